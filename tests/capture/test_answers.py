"""Which records become rows of passive DNS, for which cases, and how often they were seen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.answers import answer_rows
from remnant.names import text_to_wire
from remnant.schema import ANSWER_ROWS
from remnant.watchlist import Rule, Watchlist

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.capture import AnswersMode

BASE = 1_428_451_200_000_000
A, CNAME, AAAA, TXT = 1, 5, 28, 16
Record = tuple[str, int, str]


def rows(
    watched: Watchlist,
    records: Sequence[Record],
    mode: AnswersMode = "watched",
    *,
    times: Sequence[int] | None = None,
    counts: Sequence[int] | None = None,
    asked: Sequence[int] | None = None,
    sensor: Sequence[int] | None = None,
    sensors: Sequence[str | None] = (None,),
    ttls: Sequence[int] | None = None,
) -> list[dict[str, Any]]:
    names = [text_to_wire(name) for name, _, _ in records]
    data = [text.encode("ascii") for _, _, text in records]
    time = np.array(times or [0] * len(records), np.int64) + BASE
    made = answer_rows(
        watched,
        mode,
        names=np.frombuffer(b"".join(names), np.uint8).copy(),
        name_offsets=np.cumsum([0, *map(len, names)], dtype=np.int64),
        rrtype=np.array([kind for _, kind, _ in records], np.int32),
        rdata=np.frombuffer(b"".join(data), np.uint8).copy(),
        rdata_offsets=np.cumsum([0, *map(len, data)], dtype=np.int64),
        first=time,
        last=time + 1,
        count=np.array(counts or [1] * len(records), np.int64),
        asked=None if asked is None else np.array(asked, np.int32),
        sensor=None if sensor is None else np.array(sensor, np.int32),
        sensors=sensors,
        ttl=None if ttls is None else np.array(ttls, np.int64),
    )
    if made is None:
        return []
    made.validate(full=True)
    assert made.schema.equals(ANSWER_ROWS.arrow)
    return made.to_pylist()


def seen(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted(
        (row["rrname"], row["rdata"], -1 if row["case"] is None else row["case"]) for row in found
    )


def entry(watched: Watchlist, name: str) -> int:
    """The entry that a question about a name hits first."""
    wire = text_to_wire(name)
    return int(
        watched.match_wire(np.frombuffer(wire, np.uint8).copy(), np.array([0, len(wire)]))[1][0]
    )


TWO = Watchlist.compile(
    [
        Rule("one", "below", "*.evil.test"),
        Rule("two", "exact", "c2.evil.test"),
        Rule("two", "address", "192.0.2.0/24"),
        Rule("one", "address", "2001:db8::/32"),
    ]
)


def test_each_case_keeps_what_it_watches() -> None:
    found = rows(
        TWO,
        [
            ("c2.evil.test", A, "203.0.113.1"),
            ("www.evil.test", A, "192.0.2.1"),
            ("www.good.test", A, "192.0.2.2"),
            ("www.good.test", AAAA, "2001:db8::1"),
            ("www.good.test", AAAA, "2001:db9::1"),
            ("www.good.test", TXT, "192.0.2.3"),
            ("www.good.test", A, r"\# 3 C00002"),
        ],
    )
    assert seen(found) == [
        ("c2.evil.test", "203.0.113.1", 0),
        ("c2.evil.test", "203.0.113.1", 1),
        ("www.evil.test", "192.0.2.1", 0),
        ("www.evil.test", "192.0.2.1", 1),
        ("www.good.test", "192.0.2.2", 1),
        ("www.good.test", "2001:db8::1", 0),
    ]


def test_a_case_keeps_a_record_once_though_several_rules_hit() -> None:
    watched = Watchlist.compile(
        [
            Rule("demo", "below", "*.test"),
            Rule("demo", "below", "*.evil.test"),
            Rule("demo", "exact", "c2.evil.test", valid_from=1),
            Rule("demo", "exact", "c2.evil.test", valid_from=2),
            Rule("demo", "address", "192.0.2.0/24"),
            Rule("demo", "address", "192.0.2.1"),
        ]
    )
    (row,) = rows(
        watched, [("c2.evil.test", A, "192.0.2.1")], asked=[entry(watched, "c2.evil.test")]
    )
    assert (row["case"], row["count"]) == (0, 1)


def test_counts_add_up_and_times_span() -> None:
    record = ("c2.evil.test", A, "203.0.113.1")
    found = rows(
        TWO,
        [record, ("C2.Evil.Test", A, "203.0.113.1"), record, ("c2.evil.test", A, "203.0.113.2")],
        times=[50, 7, 9, 1],
        counts=[2, 3, 5, 1],
    )
    first = [row for row in found if row["rdata"] == "203.0.113.1"]
    assert [(row["case"], row["count"]) for row in first] == [(0, 10), (1, 10)]
    assert {row["time_first"] for row in first} == {datetime(2015, 4, 8, 0, 0, 0, 7, tzinfo=UTC)}
    assert {row["time_last"] for row in first} == {datetime(2015, 4, 8, 0, 0, 0, 51, tzinfo=UTC)}


def test_ttls_span_and_what_is_no_ttl_is_left_out() -> None:
    record = ("c2.evil.test", A, "203.0.113.1")
    other = ("c2.evil.test", A, "203.0.113.2")
    found = rows(
        TWO,
        [record, record, record, record, other],
        mode="all",
        ttls=[300, -1, 60, 1 << 40, 1 << 31],
    )
    spans = {row["rdata"]: (row["ttl_low"], row["ttl_high"]) for row in found}
    assert spans == {"203.0.113.1": (60, 300), "203.0.113.2": (None, None)}


def test_sensors_are_kept_apart() -> None:
    record = ("www.evil.test", A, "203.0.113.1")
    found = rows(
        TWO, [record] * 4, sensor=[2, 0, 1, 2], sensors=[None, "ns1", "ns2"], times=[3, 2, 1, 0]
    )
    assert sorted((str(row["sensor"]), row["count"]) for row in found) == [
        ("None", 1), ("ns1", 1), ("ns2", 2),
    ]  # fmt: skip


# Answers to a watched question


def test_an_answer_belongs_to_every_case_that_watches_the_question() -> None:
    target = ("edge.cdn.test", A, "203.0.113.1")
    exact, below = entry(TWO, "c2.evil.test"), entry(TWO, "x.evil.test")

    assert seen(rows(TWO, [target], asked=[exact])) == [
        (target[0], target[2], 0), (target[0], target[2], 1),
    ]  # fmt: skip
    assert seen(rows(TWO, [target], asked=[below])) == [(target[0], target[2], 0)]
    assert rows(TWO, [target], asked=[-1]) == []
    assert rows(TWO, [target]) == []


def test_a_question_below_a_name_is_not_about_that_name() -> None:
    watched = Watchlist.compile(
        [
            Rule("below", "below", "*.evil.test"),
            Rule("exact", "exact", "evil.test"),
            Rule("wide", "below", "*.test"),
        ]
    )
    target = ("edge.cdn.example", A, "203.0.113.1")

    below = rows(watched, [target], asked=[entry(watched, "x.evil.test")])
    assert sorted(watched.cases[row["case"]] for row in below) == ["below", "wide"]
    itself = rows(watched, [target], asked=[entry(watched, "evil.test")])
    assert sorted(watched.cases[row["case"]] for row in itself) == ["below", "exact", "wide"]


NAMES = st.sampled_from(["test", "evil.test", "c2.evil.test", "x.c2.evil.test", "other", "."])
RULES = st.lists(
    st.tuples(st.sampled_from(["one", "two", "three"]), st.sampled_from(["exact", "below"]), NAMES),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(rules=RULES, questions=st.lists(NAMES, min_size=1, max_size=6))
def test_implied_entries_serve_every_case_that_the_question_hits(
    rules: list[tuple[str, Any, str]], questions: list[str]
) -> None:
    watched = Watchlist.compile(
        [Rule(case, kind, name if kind == "exact" else f"*.{name}") for case, kind, name in rules]
    )
    wires = [text_to_wire(name) for name in questions]
    row, hit = watched.match_wire(
        np.frombuffer(b"".join(wires), np.uint8).copy(),
        np.cumsum([0, *map(len, wires)], dtype=np.int64),
    )
    asked, expected = [], set()
    for i in range(len(questions)):
        entries = hit[row == i]
        asked.append(int(entries[0]) if entries.size else -1)
        _, cases = watched.cases_of(entries)
        expected |= {(f"target{i}.invalid", int(case)) for case in cases}

    targets = [(f"target{i}.invalid", A, "203.0.113.1") for i in range(len(questions))]
    root = {(name, int(c)) for name, _, _ in targets for c in _watching_root(watched)}
    found = rows(watched, targets, asked=asked)
    assert {(r["rrname"], r["case"]) for r in found} == expected | root
    assert len(found) == len(expected | root)


def _watching_root(watched: Watchlist) -> set[int]:
    return {watched.cases.index(rule.case) for rule in watched.rules if rule.text in {"*..", "*."}}


# Which are kept


def test_all_records_stand_once_for_all_cases() -> None:
    records = [("c2.evil.test", A, "192.0.2.1"), ("good.test", A, "203.0.113.9")] * 2
    found = rows(TWO, records, "all", asked=[entry(TWO, "c2.evil.test"), -1, -1, -1])

    assert seen(found) == [
        ("c2.evil.test", "192.0.2.1", -1), ("good.test", "203.0.113.9", -1),
    ]  # fmt: skip
    assert [row["count"] for row in found] == [2, 2]
    assert seen(rows(Watchlist.compile([]), records, "all")) == seen(found)


def test_none_and_nothing_give_no_rows() -> None:
    assert rows(TWO, [("c2.evil.test", A, "192.0.2.1")], "none") == []
    assert rows(TWO, [], "all") == []
    assert rows(TWO, [("good.test", A, "203.0.113.9")]) == []
    assert rows(Watchlist.compile([]), [("c2.evil.test", A, "192.0.2.1")]) == []


@pytest.mark.parametrize("mode", ["watched", "all"])
def test_data_of_one_row_is_bounded(mode: AnswersMode) -> None:
    long = '"' + "a" * 20_000 + '"'
    (row,) = rows(
        Watchlist.compile([Rule("demo", "below", "*.test")]), [("x.test", TXT, long)], mode
    )
    assert row["rdata"] == long[: 16 << 10]


def test_names_are_text_as_everywhere() -> None:
    (row,) = rows(Watchlist.compile([]), [(r"A\.b\000\\.TEST", CNAME, "x")], "all")
    assert row["rrname"] == r"a\.b\000\\.test"
