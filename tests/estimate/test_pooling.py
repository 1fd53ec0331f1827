from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from estimate.fakeview import DAY, START, coverage_row, settings
from estimate.fakeview import FakeView as Fake
from remnant.cases.model import Case
from remnant.estimate.basis import Basis
from remnant.estimate.pooling import by_country, by_network, pool, ranking
from remnant.windows import Window

CASE = Case("test", "Test botnet", START)
DAYS = 30


def basis(networks: dict[tuple[int | None, str | None], float], days: int = DAYS) -> Basis:
    """A case whose networks start with 400 clients a day and fall at their rates."""
    rng = np.random.default_rng(9)
    rows: list[dict[str, Any]] = []
    for (asn, country), rate in networks.items():
        for day in range(days):
            clients = int(rng.poisson(400 * np.exp(-rate * day)))
            rows.append(row("network", START + day * DAY, clients, asn, country))
    coverage = [coverage_row(START + timedelta(hours=hour)) for hour in range(24 * days)]
    hours = [row("hour", START + timedelta(hours=h), 900, None, None) for h in range(24 * days)]
    view: Any = Fake({"activity": rows + hours, "coverage": coverage})
    return Basis(view, CASE, settings(), Window(START, START + days * DAY), "resolver")


def row(grain: str, start: Any, clients: int, asn: int | None, country: str | None) -> Any:
    return {
        "grain": grain, "start": start, "vantage": "resolver", "unit": "ipv4", "sensor": None,
        "asn": asn, "country": country, "name": None, "queries": clients, "clients": clients,
    }  # fmt: skip


NETWORKS: dict[tuple[int | None, str | None], float] = {
    (64500, "NL"): 0.03,
    (64501, "NL"): 0.025,
    (64502, "DE"): 0.0,
    (64503, "DE"): 0.005,
    (None, "DE"): 0.0,
}


def test_each_network_has_its_rate() -> None:
    found = {estimate.asn: estimate for estimate in by_network(basis(NETWORKS))}

    assert set(found) == {64500, 64501, 64502, 64503}
    for (asn, country), rate in NETWORKS.items():
        if asn is not None:
            assert found[asn].country == country
            low, high = found[asn].low, found[asn].high
            assert low is not None
            assert high is not None
            assert low <= rate <= high


def test_countries_stand_for_all_their_networks() -> None:
    found = {estimate.country: estimate for estimate in by_country(basis(NETWORKS))}

    assert set(found) == {"NL", "DE"}
    assert found["NL"].value == pytest.approx(0.0275, abs=0.004)
    assert found["DE"].value == pytest.approx(0.0017, abs=0.004)
    assert found["DE"].method.startswith("mean of 3 networks")


def test_ranks_have_intervals() -> None:
    rows = ranking(basis(NETWORKS))

    assert [row.rank for row in rows] == [1, 2, 3, 4]
    assert {row.asn for row in rows[:2]} == {64500, 64501}
    assert all(row.rank_low <= row.rank <= row.rank_high for row in rows)
    assert rows[0].rank_high <= 2


def test_few_days_are_refused_and_no_network_is_no_question() -> None:
    (refused,) = by_network(basis(NETWORKS, 9))

    assert refused.value is None
    assert "there are 9" in str(refused.refusal)
    assert by_network(basis({(None, None): 0.01})) == []
    assert ranking(basis(NETWORKS, 9)) == []


def test_uncertain_networks_move_towards_their_country() -> None:
    rates = np.array([0.010, 0.011, 0.009, 0.050])
    errors = np.array([0.001, 0.001, 0.001, 0.040])

    middle, low, high = pool(rates, errors, np.zeros(4, dtype=np.int64)).interval(0.95)

    assert middle[3] < 0.02
    assert high[3] - low[3] < 0.08
    assert middle[:3] == pytest.approx(rates[:3], abs=0.001)


def test_certain_and_different_networks_stay_where_they_are() -> None:
    rates = np.array([0.0, 0.01, 0.02, 0.03])

    middle, _, _ = pool(rates, np.full(4, 1e-4), np.array([0, 0, 1, 1])).interval(0.95)

    assert middle == pytest.approx(rates, abs=3e-4)
