"""Response policies become the column ``detail``."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from remnant.capture.policy import ACTIONS, APPLIED, TRIGGER_STEP, TRIGGERS, policy_details


def details(policies: list[int], rules: list[bytes], rows: list[int] | None = None) -> list[Any]:
    offsets = np.cumsum([0, *map(len, rules)], dtype=np.int64)
    index = np.arange(len(policies)) if rows is None else np.array(rows, np.int64)
    buffer = np.frombuffer(b"".join(rules), np.uint8).copy()
    column = policy_details(np.array(policies, np.int32), index, offsets, buffer)
    column.validate(full=True)
    return [None if text is None else json.loads(text)["rpz"] for text in column.to_pylist()]


def number(action: int, trigger: int) -> int:
    return APPLIED + action + TRIGGER_STEP * trigger


def test_every_action_and_trigger_has_its_word() -> None:
    pairs = [(a, t) for a in range(len(ACTIONS)) for t in range(len(TRIGGERS))]
    found = details([number(a, t) for a, t in pairs], [b"r"] * len(pairs))

    assert found == [
        {k: v for k, v in (("action", ACTIONS[a]), ("trigger", TRIGGERS[t])) if v} | {"rule": "r"}
        for a, t in pairs
    ]
    # dnstap.proto numbers them from 1.
    assert (ACTIONS.index("NXDOMAIN"), ACTIONS.index("LOCAL_DATA")) == (1, 6)
    assert (TRIGGERS.index("QNAME"), TRIGGERS.index("NS_IP")) == (1, 5)


def test_rows_without_a_policy_have_no_detail() -> None:
    assert details([0, number(1, 1), 0], [b"", b"evil.test", b""]) == [
        None, {"action": "NXDOMAIN", "trigger": "QNAME", "rule": "evil.test"}, None,
    ]  # fmt: skip
    assert details([0, 0], [b"", b""]) == [None, None]
    assert details([], []) == []


def test_the_rule_is_that_of_the_row_it_belongs_to() -> None:
    rules = [b"first", b"", b"third"]
    found = details([number(2, 0), number(3, 0), number(2, 0)], rules, rows=[2, 1, 0])

    assert found == [
        {"action": "NODATA", "rule": "third"},
        {"action": "PASS"},
        {"action": "NODATA", "rule": "first"},
    ]


def test_numbers_that_are_not_known_yet_stay_numbers() -> None:
    assert details([number(77, 200)], [b""]) == [{"action": "77", "trigger": "200"}]
    assert details([number(0, 0)], [b""]) == [{}]


@pytest.mark.parametrize("rule", [b"\xff\xfe", b'"\\\n\0', "zürich".encode(), b"x" * 255])
def test_any_rule_is_valid_json(rule: bytes) -> None:
    (found,) = details([number(1, 1)], [rule])
    assert found["rule"] == rule.decode("utf-8", "replace")
