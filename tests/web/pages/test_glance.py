from __future__ import annotations

from typing import Any

import pytest

from remnant.web.pages.glance import Answer, glance


def answers(
    verdict: dict[str, Any] | None,
    *,
    has_traffic: bool = True,
    told: dict[str, Any] | None = None,
) -> dict[str, Answer]:
    found = glance(
        "case",
        takedown=None,
        days_since=None,
        verdict=verdict,
        told=told or {},
        curves=[],
        joined=None,
        joined_known=True,
        has_traffic=has_traffic,
        tabs=[],
    )
    return {answer.key: answer for answer in found}


def verdict(state: str, rate: float, low: float | None, high: float | None) -> dict[str, Any]:
    return {
        "state": state,
        "rate_per_day": {"value": rate, "low": low, "high": high},
        "half_life_days": {"value": None, "low": None, "high": None},
        "can_tell_by": None,
        "evidence": [],
    }


@pytest.mark.parametrize(
    ("state", "rate", "words"),
    [
        (
            "growing",
            -0.01,
            "It does not fall: 1.01 % more a day (95 % interval +0.50 % to +2.02 %).",
        ),
        ("cannot_tell", -0.01, "Fitted 1.01 % more a day (95 % interval +0.50 % to +2.02 %);"),
    ],
)
def test_a_pace_says_which_way_it_goes(state: str, rate: float, words: str) -> None:
    told = answers(verdict(state, rate, -0.02, -0.005))["working"].detail
    assert told.startswith(words)


def test_where_nothing_can_be_told_the_fitted_pace_goes_both_ways() -> None:
    told = answers(verdict("cannot_tell", 0.002, -0.01, 0.014))["working"]
    assert told.short == "Cannot tell yet"
    assert "0.20 % less a day" in told.detail
    assert "\u22121.39 % to +1.01 %" in told.detail
    assert "does not fall" not in told.detail


def test_what_is_still_being_worked_out_is_not_called_no_data() -> None:
    for key in ("still", "where", "working"):
        assert "being worked out" in answers(None)[key].detail
        assert answers(None, has_traffic=False)[key].detail == "No data."


def test_what_a_verdict_rests_on_is_linked_where_there_is_one() -> None:
    assert answers(None)["sure"].more is None
    assert answers(verdict("growing", -0.01, None, None))["sure"].more == "#rests"


@pytest.mark.parametrize(
    ("codes", "short", "detail"),
    [
        ([None], "Countries not known", "No reference data says"),
        (["DE", None], "Most in Germany, unknown", "2 countries, 1 network in all."),
    ],
)
def test_where_says_when_nothing_tells_countries(
    codes: list[str | None], short: str, detail: str
) -> None:
    told = {
        "intake": {"covered_days": 1, "gap_days": 0},
        "countries": [{"code": code, "pulse": {"mean": 2}} for code in codes],
        "countries_total": len(codes),
        "networks_total": 1,
    }
    where = answers(None, told=told)["where"]
    assert where.short == short
    assert detail in where.detail
