from __future__ import annotations

from datetime import timedelta

import numpy as np

from estimate.fakeview import FakeView
from remnant.report.places import client_days, daily_clients, pulses
from remnant.report.suppress import Hidden
from report.madeup import START, make_view

DAYS = [START + timedelta(days=i) for i in range(3)]


def test_networks_and_countries_by_day() -> None:
    view = make_view(3, clients=24, dead=(1,), small=3)
    countries = daily_clients(view, "resolver", DAYS, ["IR", "PE", None, "XX"])  # type: ignore[arg-type]
    assert countries.tolist() == [[20, 0, 20], [3, 0, 3], [1, 0, 1], [0, 0, 0]]
    networks = daily_clients(view, "resolver", DAYS, [(64502, "PE"), (None, None), (64502, "IR")])  # type: ignore[arg-type]
    assert networks.tolist() == [[3, 0, 3], [1, 0, 1], [0, 0, 0]]


def test_client_days_rank_places() -> None:
    view = make_view(3, clients=24, dead=(1,), small=3)
    days = [DAYS[0], DAYS[2]]
    assert client_days(view, "resolver", days, networks=False) == {"IR": 40, "PE": 6, None: 2}  # type: ignore[arg-type]
    found = client_days(view, "resolver", days, networks=True)  # type: ignore[arg-type]
    assert found[64502, "PE"] == 6
    assert client_days(view, "resolver", [], networks=True) == {}  # type: ignore[arg-type]


def test_nothing_asked_nothing_found() -> None:
    assert daily_clients(FakeView({}), "resolver", [], ["IR"]).shape == (1, 0)  # type: ignore[arg-type]
    assert daily_clients(FakeView({}), "resolver", DAYS, ["IR"]).tolist() == [[0, 0, 0]]  # type: ignore[arg-type]


def test_trends_skip_gaps_and_raise_small_values() -> None:
    matrix = np.array([[100.0, 0.0, 90.0], [25.0, 0.0, 4.0], [5.0, 0.0, 4.0]])
    covered = np.array([True, False, True])
    first, second, third = pulses(matrix, covered, 10, everything=True)
    assert first.values == (100.0, None, 90.0)
    assert second.values == (25.0, None, 10.0)
    assert third.values == ()  # a line along the floor would look like a finding
    assert first.first is None  # fewer than two weeks


def test_first_and_last_week() -> None:
    matrix = np.vstack([np.arange(20.0) + 100, np.full(20, 3.0), np.full(20, 50.0)])
    covered = np.ones(20, dtype=bool)
    rows = pulses(matrix, covered, 10, everything=True)
    assert (rows[0].first, rows[0].last) == (103, 116)
    assert (rows[1].first, rows[1].last) == (Hidden.SMALL, Hidden.SMALL)
    assert rows[2].first is Hidden.LINKED
    assert pulses(matrix, covered, 10, everything=False)[2].first == 50
    assert (
        len(pulses(np.ones((1, 1095)), np.ones(1095, dtype=bool), 0, everything=True)[0].values)
        == 40
    )
