from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant.judge import rules
from remnant.judge.guards import GUARDS
from remnant.judge.rules import Facts, decide

R_MIN = 0.00385


def facts(low: float | None, high: float | None, days: int = 60, *failed: str) -> Facts:
    return Facts(days, 14, failed, low, high, R_MIN)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (facts(0.02, 0.03, 13), "too_few_days"),
        (facts(None, None), "no_trend"),
        (facts(0.02, 0.03, 60, "sensors"), "guard_failed"),
        (facts(-0.02, -0.001), "growing"),
        (facts(0.004, 0.03), "effective"),
        (facts(-0.001, 0.003), "no_effective_cleanup"),
        (facts(0.001, 0.003), "no_effective_cleanup"),
        (facts(0.001, 0.03), "working"),
        (facts(-0.001, 0.03), "wide_interval"),
    ],
)
def test_first_rule_that_holds_decides(given: Facts, rule: str) -> None:
    assert decide(given).id == rule


def test_limits_on_the_line_decide_nothing() -> None:
    assert decide(facts(R_MIN, 0.03)).id == "working"
    assert decide(facts(0.0, 0.03)).id == "wide_interval"
    assert decide(facts(-0.1, 0.0)).id == "no_effective_cleanup"


def test_ids_are_unique_and_every_state_is_reachable() -> None:
    ids = [rule.id for rule in rules.RULES]

    assert len(set(ids)) == len(ids)
    assert {rule.outcome for rule in rules.RULES} == set(rules.STATES)


@given(
    st.integers(0, 100),
    st.lists(st.sampled_from(["coverage", "sensors"]), max_size=1),
    st.floats(-1, 1),
    st.floats(0, 1),
)
def test_conclusions_are_never_stronger_than_the_interval(
    days: int, failed: list[str], low: float, width: float
) -> None:
    state = decide(facts(low, low + width, days, *failed)).outcome

    if state != "cannot_tell":
        assert days >= 14
        assert not failed
    assert state != "effective" or low > R_MIN
    assert state != "working" or low > 0
    assert state != "growing" or low + width < 0
    assert state != "no_effective_cleanup" or low + width < R_MIN


def test_every_rule_and_guard_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "verdict.md").read_text("utf-8")

    for rule in rules.RULES:
        assert f"| `{rule.id}` |" in page
        assert f"| `{rule.outcome}` |" in page
    assert all(f"| `{guard}` |" in page for guard in GUARDS)
