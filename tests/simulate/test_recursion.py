from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from remnant.simulate.beebone import BEEBONE
from remnant.simulate.networks import Networks, build
from remnant.simulate.population import Households, populate
from remnant.simulate.recursion import NO_SCOPE, Lookups, Recursion
from remnant.simulate.surroundings import Blocking, Resolvers
from remnant.windows import to_us

if TYPE_CHECKING:
    from remnant.simulate.scenario import Scenario

START = to_us(BEEBONE.takedown)
SECOND = 1_000_000


def made(scenario: Scenario) -> tuple[Networks, Households, Recursion]:
    random = np.random.default_rng(3)
    networks = build(scenario, 900, random)
    _, households = populate(scenario, networks, 0.01, random)
    return networks, households, Recursion(scenario, networks, households, random, np.uint64(5))


def asked(times: np.ndarray, site: int, *, name: int = 0, negative: bool = False) -> Lookups:
    count = times.size
    return Lookups(
        START + (times * SECOND).astype(np.int64),
        np.full(count, site, np.int64),
        np.full(count, NO_SCOPE, np.int64),
        np.full(count, name, np.int32),
        np.zeros(count, np.uint8),
        np.full(count, negative),
    )


def test_one_cache_lets_through_what_the_renewal_formula_says() -> None:
    scenario = replace(BEEBONE, sinkhole_ttl=60, recursion=Resolvers(observed_caches=1))
    _, _, recursion = made(scenario)
    random = np.random.default_rng(1)
    for rate in (1 / 600, 1 / 60, 1 / 6):
        times = np.cumsum(random.exponential(1 / rate, 20_000))
        seen = recursion.through(0, START, asked(times, 0, name=int(1 / rate)))
        # Jung, Berger, Balakrishnan (2003): a share 1 / (1 + rate * TTL) of lookups misses.
        assert seen.asked.mean() == pytest.approx(1 / (1 + rate * 60), rel=0.04)
        assert set(seen.ttl[seen.asked].tolist()) == {60}
        assert (seen.ttl[~seen.asked] == -1).all()


def test_a_cache_goes_on_over_midnight_and_negative_answers_have_a_ttl_of_their_own() -> None:
    scenario = replace(BEEBONE, sinkhole_ttl=300, negative_ttl=60)
    _, _, recursion = made(scenario)
    late = 86_400.0 - 100
    first = recursion.through(0, START, asked(np.array([late, late + 50]), 0))
    second = recursion.through(
        1, START + 86_400 * SECOND, asked(np.array([late + 299, late + 301]), 0)
    )
    gone = recursion.through(2, START, asked(np.array([0.0, 59, 61]), 1, negative=True))

    assert first.asked.tolist() == [True, False]
    assert second.asked.tolist() == [False, True]
    assert gone.asked.tolist() == [True, False, True]
    assert gone.ttl.tolist() == [-1, -1, -1]


def test_two_arms_are_given_as_a_coin_falls() -> None:
    _, _, recursion = made(replace(BEEBONE, second_ttl=300))
    seen = recursion.through(0, START, asked(np.arange(4_000) * 400.0, 0))

    assert seen.asked.all()
    assert (seen.ttl == 300).mean() == pytest.approx(0.5, abs=0.03)
    assert set(seen.ttl.tolist()) == {60, 300}


def test_households_are_divided_among_resolvers_as_the_scenario_says() -> None:
    networks, households, recursion = made(BEEBONE)
    bots = np.flatnonzero(households.since < START)
    seen, count = len(BEEBONE.resolvers), recursion.sites.first.size

    assert households.hidden[: len(bots) // 2].mean() == pytest.approx(0.2, abs=0.01)
    assert (recursion.observed == ~households.hidden).all()
    assert (
        recursion.site[~households.hidden]
        == networks.resolver[households.network[~households.hidden]]
    ).all()
    hidden = recursion.site[households.hidden]
    isp = (hidden >= seen) & (hidden < seen + len(networks))
    assert isp.mean() == pytest.approx(0.6, abs=0.12)
    assert (hidden >= count).mean() == pytest.approx(0.1, abs=0.08)
    assert set(np.flatnonzero(recursion.sites.subnet).tolist()) == {count - 2, count - 1}
    own = households.network[households.hidden][isp]
    assert (
        recursion.sites.address[hidden[isp]] == networks.first[own] + networks.pool[own] - 1
    ).all()


def test_a_blocking_resolver_blocks_from_its_day_on() -> None:
    scenario = replace(BEEBONE, blocking=Blocking(observed=("resolver-a",), share=0.5))
    _, households, recursion = made(scenario)
    every = np.arange(len(households), dtype=np.int32)
    before = recursion.blocks(every, np.full(every.size, START - 1))
    after = recursion.blocks(every, np.full(every.size, START))

    assert not before.any()
    assert after[recursion.site == 0].all()
    assert not after[recursion.site == 1].any()
    shared = recursion.site < recursion.sites.first.size
    assert 0.2 < after[households.hidden & shared].mean() < 0.8
    assert not after[~shared].any()
