from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from estimate.fakeview import (
    DAY,
    HOUR,
    START,
    coverage_row,
    hit_row,
    hourly_view,
    settings,
    sighting,
    view_of,
)
from remnant.cases.model import Case
from remnant.estimate import Estimate, conclusions, measures
from remnant.windows import Window

ROOT = Path(__file__).parents[2]
CASE = Case("test", "Test botnet", START)
KEYS = [
    "quantity", "value", "low", "high", "level", "unit", "since", "until", "population", "method",
    "n", "coverage", "assumptions", "asn", "country", "vantage",
]  # fmt: skip


def by_quantity(found: list[Estimate]) -> dict[str, Estimate]:
    return {estimate.quantity: estimate for estimate in found}


def small() -> list[Estimate]:
    """Two days: three clients on the first, client 1 again on the second."""
    sightings = [
        sighting(START + h * HOUR, c) for h, c in ((1, 1), (2, 2), (3, 3), (3, 3), (30, 1))
    ]
    view = view_of(sightings, [coverage_row(START + h * HOUR) for h in range(48)])
    return measures.measure(view, CASE, settings())


def test_every_quantity_in_order_with_the_keys_of_the_contract() -> None:
    found = small()

    counted = len(measures.QUANTITIES)
    assert [estimate.quantity for estimate in found[:counted]] == list(measures.QUANTITIES)
    assert {estimate.quantity for estimate in found[counted:]} <= set(conclusions.quantities())
    assert all(list(estimate.to_json()) == KEYS for estimate in found)


def test_counts_are_exact_for_what_was_seen() -> None:
    found = by_quantity(small())

    for quantity, value in {
        "queries": 5, "clients": 3, "footprint": 3, "peak_day_clients": 3, "active_clients": 2,
    }.items():  # fmt: skip
        estimate = found[quantity]
        assert (estimate.value, estimate.low, estimate.high) == (value, value, value)
        assert estimate.level is None
        assert estimate.coverage == 1.0
    assert found["peak_day_clients"].until == START + DAY


def test_what_cannot_be_estimated_says_why() -> None:
    found = by_quantity(small())

    assert found["online_hosts"].value == pytest.approx(5 / 48, rel=0.3)
    assert found["online_hosts"].low is None
    for quantity in ("decay_rate", "half_life"):
        assert found[quantity].value is None
        assumptions = found[quantity].to_json()["assumptions"]
        assert isinstance(assumptions, list)
        assert "five complete days" in assumptions[0]


def test_footprint_ignores_the_window() -> None:
    sightings = [sighting(START + day * DAY, day) for day in range(3)]
    view = view_of(sightings, [coverage_row(START + h * HOUR) for h in range(72)])

    found = by_quantity(measures.measure(view, CASE, settings(), window=Window(START, START + DAY)))

    assert (found["clients"].value, found["footprint"].value) == (1, 3)
    assert found["footprint"].until == START + 3 * DAY


def test_rate_and_half_life_agree() -> None:
    view = hourly_view(lambda _, i: round(5000 * math.exp(-0.02 * i / 24)), 40)

    found = by_quantity(measures.measure(view, CASE, settings()))
    rate, life = found["decay_rate"], found["half_life"]

    assert rate.value == pytest.approx(0.02, rel=0.01)
    assert rate.high is not None
    assert rate.low is not None
    assert life.low == pytest.approx(math.log(2) / rate.high)
    assert life.high == pytest.approx(math.log(2) / rate.low)
    assert (rate.n, rate.level, rate.unit, life.unit) == (40, 0.95, "per day", "days")


def test_half_life_is_unbounded_where_the_interval_holds_no_fall() -> None:
    noise = np.exp(0.05 * np.random.default_rng(2).normal(size=30))
    view = hourly_view(lambda _, i: round(5000 * noise[i // 24] * math.exp(0.001 * i / 24)), 30)

    life = by_quantity(measures.measure(view, CASE, settings()))["half_life"]

    assert life.high is None
    assert life.low is not None


def test_only_days_after_the_takedown_are_in_the_trend() -> None:
    case = Case("test", "Test botnet", START + 20 * DAY)
    view = hourly_view(
        lambda _, i: 5000 if i < 480 else round(5000 * math.exp(-0.05 * (i - 480) / 24)), 40
    )

    rate = by_quantity(measures.measure(view, case, settings()))["decay_rate"]

    assert (rate.since, rate.n) == (START + 20 * DAY, 20)
    assert rate.value == pytest.approx(0.05, rel=0.02)


def test_text_says_that_a_client_behind_dns_is_a_resolver() -> None:
    view = hourly_view(lambda _, __: 50, 20, vantage="sinkhole_dns")

    for estimate in measures.measure(view, CASE, settings()):
        assert "usually resolvers" in estimate.population
        assert "sinkhole_dns" in estimate.population


def test_every_vantage_has_words() -> None:
    from remnant.schema import VANTAGES

    assert all(measures.who(vantage).startswith("clients") for vantage in VANTAGES)


def test_reports_without_a_period_give_counts_and_no_rate() -> None:
    rows = [hit_row(START + h * HOUR) for h in range(0, 24 * 20, 5)]
    view = view_of([sighting(START, 1, "r", "report")], rows)

    found = by_quantity(measures.measure(view, CASE, settings()))

    assert (found["queries"].value, found["queries"].coverage) == (1, None)
    assert found["online_hosts"].value is None
    assert found["decay_rate"].value is None


def test_every_quantity_and_field_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "estimates.md").read_text(encoding="utf-8")

    for quantity, meaning in measures.QUANTITIES.items():
        assert f"| `{quantity}` | {meaning} |" in page
    for quantity, meaning in conclusions.quantities().items():
        assert f"| `{quantity}` | {meaning} |" in page
    assert all(f"`{key}`" in page for key in KEYS)


def test_a_window_inside_a_gap_has_no_zeros() -> None:
    hours = [*range(24), *range(72, 96)]
    view = view_of([sighting(START, 1)], [coverage_row(START + h * HOUR) for h in hours])

    gap = by_quantity(
        measures.measure(
            view, CASE, settings(), window=Window(START + 30 * HOUR, START + 40 * HOUR)
        )
    )
    quiet = by_quantity(
        measures.measure(view, CASE, settings(), window=Window(START + 3 * DAY, START + 4 * DAY))
    )

    for quantity in ("queries", "clients"):
        assert (gap[quantity].value, gap[quantity].low, gap[quantity].n) == (None, None, 0)
        assert "no sensor delivered" in str(gap[quantity].refusal)
        assert quiet[quantity].value == 0
    assert gap["footprint"].value == 1
