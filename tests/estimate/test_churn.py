from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from campaigns.hosts import Botnet, botnets, tally
from estimate.fakeview import DAY, HOUR, START, coverage_row, settings, sighting, view_of
from remnant.cases.model import Case
from remnant.estimate import churn, population
from remnant.estimate.basis import Basis
from remnant.estimate.recapture import GROUPS
from remnant.windows import Window

CASE = Case("test", "Test botnet", START)


def found(made: Botnet, seed: int = 1) -> churn.Churn:
    [seen] = botnets(made, np.random.default_rng(seed), 1)
    return churn.churn(seen.counts)


@pytest.mark.parametrize("rate", [0.03, 0.3, 1.0, 2.0])
def test_rate_is_found_where_addresses_change_at_random_times(rate: float) -> None:
    made = found(Botnet(hosts=400, rate=rate))

    assert made.rate == pytest.approx(rate, rel=0.2)
    assert made.low < made.rate < made.high
    assert made.method == ("days" if rate < 0.9 else "hours")


def test_renumbering_every_24_hours_is_found() -> None:
    made = found(Botnet(hosts=200, change="period"))

    assert made.period == 24
    assert made.rate == 1


def test_no_rate_is_larger_than_what_addresses_lose_from_hour_to_hour() -> None:
    for rate in (0.3, 1.0, 3.0):
        assert found(Botnet(hosts=200, rate=rate)).most > rate


def test_clean_up_is_not_taken_for_churn() -> None:
    made = found(Botnet(hosts=600, rate=0.1, cleaned=0.03))

    assert made.rate == pytest.approx(0.1, rel=0.15)


def test_addresses_given_to_others_are_not_taken_for_hosts_that_stayed() -> None:
    made = found(Botnet(hosts=150, rate=0.5, pool=3000))

    assert made.chance[0] == pytest.approx(1 / 3000, rel=0.4)
    assert made.rate == pytest.approx(0.5, rel=0.2)


def test_address_that_never_changes_has_a_rate_near_none() -> None:
    made = found(Botnet(hosts=100, rate=0.0))

    assert made.low == 0
    assert made.rate < 0.01


def test_few_days_and_few_hosts_are_refused() -> None:
    assert "complete days" in str(found(Botnet(hosts=50, days=6)).refusal)
    assert found(Botnet(hosts=2, rate=5.0, always_on=0.0)).refusal


def test_addresses_that_all_came_on_one_day_have_no_rate() -> None:
    [seen] = tally(
        np.arange(20),
        np.zeros(20, np.int64),
        np.full(20, 0xFFFF),
        np.full(20, 0.6),
        np.full(20, 16.0),
        np.zeros(20, np.int64),
        np.ones((1, 28), np.bool_),
    )

    assert churn.churn(seen).refusal == "too few addresses came back"


def test_addresses_that_came_on_two_days_in_a_row_give_a_bound() -> None:
    """Machines of a cloud that come around the clock for two days, and never again."""
    client = np.repeat(np.arange(40), 2)
    [seen] = tally(
        client,
        np.tile([0, 1], 40),
        np.full(80, 0xFFFFFF),
        np.full(80, 1.0),
        np.full(80, 24.0),
        np.zeros(80, np.int64),
        np.ones((1, 28), np.bool_),
    )
    rate = churn.Churn(0.1, 0.05, 0.2, np.full(1 + GROUPS, 0.1), "days", None, 0.5,
                       np.zeros(1 + GROUPS), 100.0)  # fmt: skip

    hosts = population.population(seen, rate)

    assert hosts.bound == "no client was seen two days or more after the first"
    assert hosts.value <= 40


def question() -> Basis:
    """Three weeks of one network whose 60 hosts are on by day and change address at midnight."""
    rng = np.random.default_rng(9)
    sightings: list[dict[str, Any]] = []
    for host in range(60):
        address = host
        for day in range(21):
            if rng.random() < 0.2:
                address = int(rng.integers(1 << 40))
            if rng.random() < 0.9:
                start = START + day * DAY
                sightings += [
                    sighting(
                        start + hour * HOUR + timedelta(minutes=minute),
                        address,
                        asn=7,
                        country="NL",
                    )
                    for hour in range(8, 12)
                    for minute in (5, 35)
                ]
    looked = [coverage_row(START + h * HOUR) for h in range(24 * 21)]
    window = Window(START, START + 21 * DAY)
    return Basis(view_of(sightings, looked), CASE, settings(), window, "resolver")


def test_estimates_of_a_case_come_from_its_sightings(monkeypatch: pytest.MonkeyPatch) -> None:
    basis = question()
    # One reading serves all questions here, as the store's view keeps it.
    known = churn.networks(basis)
    for module in (churn, population):
        monkeypatch.setattr(module, "networks", lambda _: known)

    [rate] = churn.estimates(basis)
    online, alive = population.estimates(basis)
    [here], [living] = churn.by_network(basis), population.by_network(basis)

    assert [rate.quantity] == list(churn.QUANTITIES)
    assert [online.quantity, alive.quantity] == list(population.QUANTITIES)
    assert rate.low is not None
    assert rate.low < 0.223 < (rate.high or 0)
    # Sixty hosts, nine of ten on, four hours a day; every hour shows two beacons.
    assert online.value == pytest.approx(60 * 0.9 * 4 / 24, rel=0.05)
    assert alive.low is not None
    assert alive.low < 60
    assert alive.high is None
    assert "with one host behind each address the upper limit would be" in str(alive.refusal)
    assert (here.asn, here.country, here.value) == (7, "NL", rate.value)
    assert (living.asn, living.country, living.value) == (7, "NL", alive.value)


def test_few_hosts_have_a_rough_rate_that_is_refused_for_their_network() -> None:
    made = found(Botnet(hosts=14, rate=1.5), seed=2)

    assert made.refusal is not None
    assert made.rough is not None
    value, low, high = made.rough
    assert low < value <= high <= max(value, made.most)


def test_resolvers_are_no_hosts() -> None:
    view = view_of([sighting(START, 1)], [coverage_row(START, vantage="authority")])
    basis = Basis(view, CASE, settings(), Window(START, START + DAY), "authority")

    told = churn.estimates(basis) + population.estimates(basis)

    assert [estimate.value for estimate in told] == [None] * 3
    assert all("resolver" in str(estimate.refusal) for estimate in told)
    assert churn.by_network(basis) == population.by_network(basis) == []
