"""Lookups and hosts behind caches, from stored sightings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from campaigns.cache_events import let_through
from estimate.fakeview import DAY, HOUR, START, FakeView, coverage_row, settings, sighting
from remnant.cases.model import Case, SinkholeConfig
from remnant.estimate.basis import Basis
from remnant.estimate.behind_caches import QUANTITIES, estimates
from remnant.windows import Window

DAYS = 2


def basis(rows: list[dict[str, Any]], vantage: str = "sinkhole_dns", ttl: int | None = 60) -> Basis:
    places = {vantage, *(row["vantage"] for row in rows)}
    coverage = [
        coverage_row(START + hour * HOUR, vantage=place)
        for hour in range(24 * DAYS)
        for place in places
    ]
    config = None if ttl is None else SinkholeConfig(ttl=ttl)
    case = Case("test", "Test", START, sinkhole=config)
    window = Window(START, START + DAYS * DAY)
    view: Any = FakeView({"sightings": rows, "coverage": coverage, "clients": []})
    return Basis(view, case, settings(), window, vantage)


def poisson(
    seed: int, items: int, a_day: float, ttl: float, detail: str | None = None, farm: int = 1
) -> list[dict[str, Any]]:
    """Visible misses of names at clients (two names each), each with so many lookups a day."""
    rng = np.random.default_rng(seed)
    number = rng.poisson(items * a_day * DAYS)
    cache = rng.integers(0, items * farm, number)
    cache, times = let_through(cache, rng.uniform(0, DAYS * 86_400, number), ttl)
    return [
        sighting(
            START + timedelta(seconds=float(at)),
            int(which) % items // 2,
            vantage="sinkhole_dns",
            name=f"n{which % items % 2}.example",
            ecs=int(which) // items,
            detail=detail,
        )
        for which, at in zip(cache, times, strict=True)
    ]


def by_quantity(asked: Basis) -> dict[str, Any]:
    return {found.quantity: found for found in estimates(asked)}


def test_lookups_are_found_behind_caches() -> None:
    found = by_quantity(basis(poisson(1, 6, 200, 900, '{"ttl":900}')))

    assert list(found) == list(QUANTITIES)
    lookups = found["lookups_behind_caches"]
    assert lookups.value == pytest.approx(1200, rel=0.15)
    assert lookups.low < 1200 < lookups.high
    # Without the caches' part more than half would be missing.
    assert lookups.n < 0.6 * DAYS * lookups.value
    assert "no vantage of the case sees hosts directly" in found["hosts_behind_caches"].refusal
    assert "1 TTL and not two" in found["ttl_arms"].refusal


def test_the_ttl_of_the_case_holds_where_rows_state_none() -> None:
    stated = by_quantity(basis(poisson(2, 4, 300, 600, '{"ttl":600}'), ttl=None))
    of_case = by_quantity(basis(poisson(2, 4, 300, 600), ttl=600))
    neither = by_quantity(basis(poisson(2, 4, 300, 600), ttl=None))

    quantity = "lookups_behind_caches"
    assert stated[quantity].value == pytest.approx(of_case[quantity].value)
    assert neither[quantity].value is None
    assert "neither the rows nor the case" in neither[quantity].refusal


def test_a_subnet_is_a_cache_of_its_own() -> None:
    rows = poisson(3, 2, 400, 900, '{"ttl":900}', farm=2)
    apart = by_quantity(basis(rows))["lookups_behind_caches"]
    one = by_quantity(basis([row | {"ecs": None} for row in rows]))["lookups_behind_caches"]

    assert apart.low < 800 < apart.high
    assert not any("several caches" in text for text in apart.assumptions)
    # Without the subnets two caches show in misses that are too close for one.
    assert any("several caches" in text for text in one.assumptions)
    assert one.low < 800
    assert one.high is None or one.high > 800


def test_a_question_repeated_at_once_is_one_lookup() -> None:
    rows = poisson(4, 4, 200, 600, '{"ttl":600}')
    twice = rows + [row | {"time": row["time"] + timedelta(milliseconds=800)} for row in rows]

    quantity = "lookups_behind_caches"
    assert by_quantity(basis(twice))[quantity].value == pytest.approx(
        by_quantity(basis(rows))[quantity].value, rel=0.01
    )


def test_clockwork_is_refused() -> None:
    rows = [
        sighting(START + timedelta(seconds=1000 * i + 10 * c), c, vantage="sinkhole_dns")
        for i in range(160)
        for c in range(3)
    ]
    found = by_quantity(basis(rows, ttl=900))

    assert found["lookups_behind_caches"].value is None
    assert "fixed period" in found["lookups_behind_caches"].refusal
    assert found["hosts_behind_caches"].value is None


def test_hosts_are_lookups_by_lookups_of_a_host_seen_elsewhere() -> None:
    direct = [
        sighting(
            START + day * DAY + timedelta(minutes=7 * i + host),
            host,
            vantage="resolver",
            name=f"n{i % 2}.example",
        )
        for day in range(DAYS)
        for host in range(20)
        for i in range(12)
    ]
    found = by_quantity(basis(poisson(5, 8, 300, 300, '{"ttl":300}') + direct))

    hosts = found["hosts_behind_caches"]
    assert hosts.value == pytest.approx(found["lookups_behind_caches"].value / 12)
    assert hosts.low < 200
    assert hosts.high is None
    assert "lower bound" in hosts.refusal


@pytest.mark.parametrize("least", [0, 200])
def test_two_ttls_show_who_changes_them(least: int) -> None:
    rng = np.random.default_rng(6)
    rows, at = [], 0.0
    while True:
        ttl = int(rng.choice([60, 300]))
        rows.append(
            sighting(
                START + timedelta(seconds=at), 1, vantage="sinkhole_dns", detail=f'{{"ttl":{ttl}}}'
            )
        )
        at += max(ttl, least) + float(rng.exponential(120))
        if at > DAYS * 86_400:
            break
    arms = by_quantity(basis(rows))["ttl_arms"]

    assert (arms.low < 1 < arms.high) == (least == 0)


def test_where_clients_are_hosts_there_is_nothing_to_ask() -> None:
    assert estimates(basis([sighting(START, 1)], "resolver")) == []
    assert estimates(basis([])) == []
