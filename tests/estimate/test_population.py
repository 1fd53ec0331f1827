from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from campaigns.hosts import Botnet, Seen, botnets
from remnant.estimate.churn import churn
from remnant.estimate.population import Hosts, online, population, rare_beacons

DOCS = Path(__file__).parents[2] / "docs" / "explanation"


def made(botnet: Botnet, seed: int = 1) -> tuple[Seen, Hosts]:
    [seen] = botnets(botnet, np.random.default_rng(seed), 1)
    return seen, population(seen.counts, churn(seen.counts))


@pytest.mark.parametrize("rate", [0.03, 0.3, 1.0])
def test_hosts_are_counted_through_the_churn(rate: float) -> None:
    seen, hosts = made(Botnet(hosts=400, rate=rate))

    assert hosts.bound is None
    assert hosts.low < seen.alive < hosts.high
    assert abs(hosts.value - seen.alive) < 0.25 * seen.alive
    assert seen.addresses > (1.5 if rate == 0.03 else 5) * seen.alive


def test_hosts_that_are_off_on_the_day_are_counted() -> None:
    seen, hosts = made(Botnet(hosts=600, rate=0.03, daily=(2.0, 2.0), always_on=0.2))

    assert hosts.active < 0.7 * seen.alive
    assert hosts.value > 0.85 * seen.alive


@pytest.mark.parametrize("botnet", [Botnet(rate=3.0), Botnet(change="period")])
def test_addresses_that_never_come_back_give_a_bound(botnet: Botnet) -> None:
    seen, hosts = made(botnet)

    assert hosts.bound
    assert hosts.high == np.inf
    assert 0.4 * seen.alive < hosts.low < seen.alive


def test_changes_at_switching_on_do_not_count_hosts_twice() -> None:
    seen, hosts = made(Botnet(hosts=300, rate=0.1, change="reconnect"))

    assert hosts.low < seen.alive


def test_hosts_online_are_counted_without_their_second_address() -> None:
    [seen] = botnets(Botnet(hosts=400, rate=2.0), np.random.default_rng(2), 1)

    found = online([(seen.counts, churn(seen.counts))], 16_000)

    assert found is not None
    assert found.low is not None
    assert found.seen.value > 1.04 * seen.online
    assert found.value == pytest.approx(seen.online, rel=0.02)


def test_hosts_missed_for_an_hour_are_added_and_the_lower_limit_does_without_them() -> None:
    [seen] = botnets(Botnet(hosts=100), np.random.default_rng(4), 1)
    rate = churn(seen.counts)
    always = seen.counts.between[:, [0, 0]]
    skipped = always * [1.0, 0.9]
    added = 0.1 * always[:, 0].sum() / seen.counts.hourly[..., 1:-1].sum()

    plain = online([(replace(seen.counts, between=always), rate)], 16_000)
    missed = online([(replace(seen.counts, between=skipped), rate)], 16_000)

    assert plain is not None
    assert missed is not None
    assert plain.unnoticed == 0
    assert missed.unnoticed == pytest.approx(added)
    assert missed.value == pytest.approx(plain.value * (1 + added))
    assert missed.low == plain.low
    assert (missed.high or 0) > (plain.high or 0)


def test_beacons_rarer_than_hourly_add_no_hosts() -> None:
    [seen] = botnets(Botnet(hosts=100), np.random.default_rng(4), 1)
    between = seen.counts.between.copy()
    between[:, 1] *= 0.4

    found = online([(replace(seen.counts, between=between), churn(seen.counts))], 16_000)

    assert found is not None
    assert found.unnoticed == 0


def test_unknown_churn_widens_the_limits_of_hosts_online() -> None:
    [seen] = botnets(Botnet(hosts=200, rate=1.0), np.random.default_rng(3), 1)
    rate = churn(seen.counts)
    unknown = replace(rate, refusal="not known", rate=np.nan, low=np.nan, high=np.nan)

    sure = online([(seen.counts, rate)], 16_000)
    unsure = online([(seen.counts, unknown)], 16_000)

    assert sure is not None
    assert unsure is not None
    assert unsure.unknown == 1
    assert (unsure.low or 0) < (sure.low or 0)
    assert (unsure.high or 0) > (sure.high or 0)


def test_clients_that_skip_hours_are_noticed() -> None:
    [seen] = botnets(Botnet(hosts=100), np.random.default_rng(4), 1)
    rate = churn(seen.counts)
    lags = seen.counts.lags.copy()
    lags[:, [1, 2, 4, 5]] = 0.0

    assert not rare_beacons([(seen.counts, rate)])
    assert rare_beacons([(replace(seen.counts, lags=lags), rate)])


def test_pages_tell_what_the_code_computes() -> None:
    [seen] = botnets(Botnet(hosts=400, rate=0.3), np.random.default_rng(1), 1)
    rate = churn(seen.counts)
    hosts = population(seen.counts, rate)
    found = online([(seen.counts, rate)], 16_000)
    matches, later, _ = seen.counts.day_pairs()
    share = 100 * matches[0, 1:8] / later[0, 1:8]
    assert found is not None

    told = {
        "churn": [
            f"{seen.addresses:,} distinct addresses",
            f"{share[0]:.0f} % were there the day before, {share[1]:.0f} % two days before",
            f"{share[6]:.0f} % seven days before",
            f"{rate.rate:.2f} changes a day ({rate.low:.2f} to {rate.high:.2f})",
        ],
        "online-hosts": [
            f"{found.seen.value:.1f} clients an hour",
            f"{found.value:.1f} ({found.low:.1f} to {found.high:.1f})",
            f"is {seen.online:.1f}.",
        ],
        "population-over-days": [
            f"{seen.counts.daily.sum(axis=0).mean():.1f} a day",
            f"{hosts.active:.1f} hosts active a day",
            f"{hosts.value:.1f} in all ({hosts.low:.1f} to {hosts.high:.1f})",
        ],
    }
    for page, sentences in told.items():
        text = (DOCS / f"{page}.md").read_text()
        for sentence in sentences:
            assert sentence in text
