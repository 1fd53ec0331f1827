from __future__ import annotations

import numpy as np

from remnant.simulate.addresses import IPV6_BIT, AddressPlan
from remnant.simulate.beebone import BEEBONE
from remnant.simulate.networks import build
from remnant.simulate.population import DAY_US, populate
from remnant.windows import to_us

START = to_us(BEEBONE.since)


def test_addresses_stay_in_their_network_and_are_never_held_twice() -> None:
    random = np.random.default_rng(2)
    networks = build(BEEBONE, 70_000 * 0.02, random)
    _, households = populate(BEEBONE, networks, 0.02, random)
    plan = AddressPlan(BEEBONE, networks, households, np.uint64(5))
    there = np.flatnonzero(households.since == START).astype(np.int32)
    v6 = households.ipv6[there]
    net = households.network[there]
    previous = None
    changed = []
    for day in range(4):
        start = START + day * DAY_US
        plan.advance(day, start)
        if previous is not None:
            # What a household has at midnight is what it had before.
            assert (plan.at(there, np.full(there.size, start)) == previous).all() or day == 0
        for hour in (0.0, 11.5, 23.99):
            units = plan.at(there, np.full(there.size, start + int(hour * 3.6e9), np.int64))
            first, pool = networks.first[net], networks.pool[net]
            assert ((units >= first) & (units < first + pool))[~v6].all()
            assert (((units ^ IPV6_BIT) >> 20) == net + 1)[v6].all()
            assert np.unique(units[~v6]).size == (~v6).sum()
        previous = units
        changed.append(plan.changes[there])
    forced = np.array([way.forced for way in BEEBONE.churn])[networks.churn[net]]
    assert all((changes[forced] == 1).all() for changes in changed)
    sticky = networks.churn[net] == 0
    assert 0.01 < np.mean([changes[sticky].mean() for changes in changed]) < 0.06


def test_a_change_happens_at_its_time() -> None:
    random = np.random.default_rng(2)
    networks = build(BEEBONE, 70_000 * 0.02, random)
    _, households = populate(BEEBONE, networks, 0.02, random)
    plan = AddressPlan(BEEBONE, networks, households, np.uint64(5))
    plan.advance(0, START)
    home = np.flatnonzero(plan.changes == 1).astype(np.int32)
    at = plan.times[home, 0]

    before, after = plan.at(home, at - 1), plan.at(home, at)

    assert home.size > 50
    assert (before == plan.units[home, 0]).all()
    assert (after == plan.units[home, 1]).all()
    assert (before != after).mean() > 0.99
