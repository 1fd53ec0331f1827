"""Bots of a DGA from stored sightings, at vantages that see different parts of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from campaigns.cache_events import let_through
from estimate.fakeview import DAY, HOUR, FakeView, coverage_row, settings, sighting
from remnant.cases import dga
from remnant.cases.model import Case, Watch
from remnant.estimate.basis import Basis
from remnant.estimate.dga_sightings import QUANTITIES, estimates
from remnant.windows import Window

START = datetime(2014, 7, 14, tzinfo=UTC)
DAYS, RESOLVERS, BOTS, OWNED = 2, 2, 10, 12


def newgoz(vantage: str, *, cached: bool = True) -> list[dict[str, Any]]:
    """Bots that ask from a random start on until a name is registered; what the vantage sees."""
    rng = np.random.default_rng(8)
    rows = []
    for day in range(DAYS):
        names = dga.generate("newgoz", (START + day * DAY).date())
        owned = np.sort(rng.choice(1000, OWNED, replace=False))
        for resolver in range(RESOLVERS):
            asked, times, bots = [], [], []
            for bot in range(BOTS):
                start = int(rng.integers(1000))
                length = int((owned - start).min(where=owned >= start, initial=1000)) + 1
                if start > owned[-1]:
                    length = 1000 - start + int(owned[0]) + 1
                asked.append((start + np.arange(length)) % 1000)
                times.append(np.full(length, rng.uniform(0, 86_400)))
                bots.append(np.full(length, bot))
            items, at = np.concatenate(asked), np.concatenate(times)
            who = np.concatenate(bots)
            if cached:
                items, at = let_through(items, at, 900.0)
                who = np.zeros_like(items)
            for name, time, bot in zip(items, at, who, strict=True):
                is_owned = bool((owned == name).any())
                if is_owned or vantage != "sinkhole_dns":
                    rows.append(
                        sighting(
                            START + day * DAY + timedelta(seconds=float(time)),
                            resolver if cached else 100 * resolver + int(bot),
                            vantage=vantage,
                            name=names[name],
                            rcode=0 if is_owned else 3,
                            detail='{"ttl":900}',
                        )
                    )
    return rows


def view_of(rows: list[dict[str, Any]], coverage: list[dict[str, Any]]) -> Any:
    return FakeView({"sightings": rows, "coverage": coverage, "clients": []})


def asked(rows: list[dict[str, Any]], vantage: str) -> dict[str, Any]:
    coverage = [coverage_row(START + i * HOUR, vantage=vantage) for i in range(24 * DAYS)]
    watch = Watch(dga="newgoz", since=START, until=START + 30 * DAY)
    case = Case("test", "Test", START, watches=(watch,))
    window = Window(START, START + DAYS * DAY)
    view = view_of(rows, coverage)
    found = estimates(Basis(view, case, settings(), window, vantage))
    assert [one.quantity for one in found] == list(QUANTITIES)
    return {one.quantity: one for one in found}


@pytest.mark.parametrize("vantage", ["authority", "sinkhole_dns"])
def test_bots_behind_resolvers_are_found(vantage: str) -> None:
    found = asked(newgoz(vantage), vantage)

    bots = found["dga_bots_whole"]
    assert bots.value == pytest.approx(RESOLVERS * BOTS, rel=0.3)
    if vantage == "authority":
        assert bots.low < RESOLVERS * BOTS < (bots.high or 1e9)
    else:
        # Only registered names are seen, and nobody sees how often a bot comes back to one.
        assert bots.low is None
        assert bots.high > RESOLVERS * BOTS * 0.8
        assert "upper bound" in bots.refusal
    # Every start leads to a registered name, so the owner of all of them meets every bot.
    assert found["sinkhole_share"].value == pytest.approx(1)
    assert "random_cut" in bots.assumptions[0]


def test_who_comes_back_to_a_found_name_counts_once_where_hosts_are_seen() -> None:
    hidden, seen = newgoz("sinkhole_dns"), newgoz("resolver", cached=False)
    back = timedelta(minutes=61)
    again = [row | {"time": row["time"] + back} for row in hidden + seen if row["rcode"] == 0]
    coverage = [
        coverage_row(START + i * HOUR, vantage=vantage)
        for vantage in ("sinkhole_dns", "resolver")
        for i in range(24 * DAYS)
    ]
    watch = Watch(dga="newgoz", since=START, until=START + 30 * DAY)
    view = view_of(hidden + seen + again, coverage)
    case = Case("test", "Test", START, watches=(watch,))
    window = Window(START, START + DAYS * DAY)

    found = estimates(Basis(view, case, settings(), window, "sinkhole_dns"))

    whole = {one.quantity: one for one in found}["dga_bots_whole"]
    assert "2.0 lookups of a bot for a name, as seen at resolver" in whole.method
    assert whole.value == pytest.approx(RESOLVERS * BOTS, rel=0.35)
    assert whole.high is None
    assert "lower bound" in str(whole.refusal)


def test_at_a_resolver_hosts_are_counted() -> None:
    found = asked(newgoz("resolver", cached=False), "resolver")

    # Some bots start at a registered name, and one name is no activation.
    assert found["dga_bots"].value == pytest.approx(RESOLVERS * BOTS, abs=2)


def test_without_lookups_there_is_a_refusal() -> None:
    found = asked([sighting(START, 1, vantage="authority")], "authority")

    assert all(one.value is None for one in found.values())
    assert "nobody asked" in found["dga_bots"].refusal


def test_a_case_without_generated_names_has_no_bots_of_them() -> None:
    view = view_of([sighting(START, 1)], [coverage_row(START)])
    case = Case("test", "Test", START)

    assert estimates(Basis(view, case, settings(), Window(START, START + DAY), "resolver")) == []
