"""Which address a household has at what time: leases, forced changes, finite pools with reuse.

An address is kept as its *unit number* (int64): the IPv4 address itself, or for IPv6 bit 40 and the
low 32 bits of the /64 below 2001:db8::/32. Two clients are the same counting unit exactly if their
unit numbers are equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.simulate.draws import STEP, below, bits, stream, unit
from remnant.simulate.networks import RESERVED
from remnant.simulate.population import DAY_US
from remnant.wire import Int, Word, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.simulate.networks import Networks
    from remnant.simulate.population import Households
    from remnant.simulate.scenario import Scenario

__all__ = ["IPV6_BIT", "AddressPlan"]

IPV6_BIT: Final = 1 << 40
_MOST_CHANGES: Final = 6
_TRIES: Final = 64
_HELD: Final = 32_000
_PURPOSE: Final = 1
_V6_SLOTS: Final = np.uint64((1 << 20) - 1)


class AddressPlan:
    """The addresses of all households, moved on from day to day.

    Attributes:
        changes: number of address changes of each household in the day.
        times: when they happen (UTC microseconds, ascending; households x 6).
        units: the unit numbers before, between and after them (households x 7).
    """

    def __init__(
        self, scenario: Scenario, networks: Networks, households: Households, seed: np.uint64
    ) -> None:
        count = len(households)
        self._seed = seed
        self._households = households
        self._networks = networks
        self._rate = np.array([churn.changes_a_day for churn in scenario.churn])[networks.churn]
        self._forced = np.array([churn.forced for churn in scenario.churn])[networks.churn]
        self._slot = np.full(count, -1, np.int64)
        pool = networks.pool
        self._base = np.cumsum(pool) - pool
        self._busy_until = np.zeros(int(pool.sum()), np.int16)
        self.changes = np.zeros(count, np.int8)
        self.times = np.zeros((count, _MOST_CHANGES), np.int64)
        self.units = np.zeros((count, _MOST_CHANGES + 1), np.int64)

    def advance(self, day: int, start: int) -> None:
        """Move on to a day (its number, and its midnight in UTC microseconds)."""
        homes = self._households
        _advance(
            self._seed,
            day,
            start,
            homes.network,
            homes.since,
            homes.ipv6,
            homes.hour_us,
            self._rate,
            self._forced,
            self._networks.first,
            self._networks.pool - RESERVED,
            self._base,
            self._slot,
            self._busy_until,
            self.changes,
            self.times,
            self.units,
        )

    def at(
        self, households: npt.NDArray[np.int32], times: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return the unit numbers of households at times within the day."""
        out = np.empty(times.size, np.int64)
        _at(households, times, self.changes, self.times, self.units, out)
        return out


@kernel
def _take(
    state: Word, day: Int, base: Int, size: Int, slot: Int, busy_until: npt.NDArray[np.int16]
) -> Int:
    """Return a free slot of a network's pool and hold it; the old one is free from tomorrow.

    Not today: households are handled one after the other, each over the whole day.
    """
    chosen = np.int64(0)
    for _ in range(_TRIES):
        chosen = below(state, size)
        state += STEP
        if busy_until[base + chosen] <= day:
            break
    if slot >= 0:
        busy_until[base + slot] = day + 1
    busy_until[base + chosen] = _HELD
    return chosen


@kernel
def _advance(
    seed: Word,
    day: Int,
    start: Int,
    network: npt.NDArray[np.int32],
    since: npt.NDArray[np.int64],
    ipv6: npt.NDArray[np.bool_],
    hour_us: npt.NDArray[np.int64],
    rate: npt.NDArray[np.float64],
    forced: npt.NDArray[np.bool_],
    first: npt.NDArray[np.int64],
    pool: npt.NDArray[np.int64],
    base: npt.NDArray[np.int64],
    slot: npt.NDArray[np.int64],
    busy_until: npt.NDArray[np.int16],
    changes: npt.NDArray[np.int8],
    times: npt.NDArray[np.int64],
    units: npt.NDArray[np.int64],
) -> None:
    for home in range(network.size):
        if since[home] >= start + DAY_US:
            continue
        net = network[home]
        state = stream(seed, _PURPOSE, day, home)
        count = 0
        if forced[net]:
            count = 1
            times[home, 0] = start + hour_us[home]
        else:
            # A Poisson number of changes: gaps are drawn until the day is over.
            at = -np.log(1.0 - unit(state)) / rate[net]
            while at < 1.0 and count < _MOST_CHANGES:
                times[home, count] = start + np.int64(at * DAY_US)
                count += 1
                state += STEP
                at += -np.log(1.0 - unit(state)) / rate[net]
        changes[home] = count
        for i in range(count + 1):
            state += STEP
            if i > 0 or slot[home] < 0:
                if ipv6[home]:
                    slot[home] = np.int64(bits(state) & _V6_SLOTS)
                else:
                    key = bits(state)
                    slot[home] = _take(key, day, base[net], pool[net], slot[home], busy_until)
            if ipv6[home]:
                units[home, i] = IPV6_BIT | ((np.int64(net) + 1) << 20) | slot[home]
            else:
                units[home, i] = first[net] + slot[home]


@kernel
def _at(
    households: npt.NDArray[np.int32],
    when: npt.NDArray[np.int64],
    changes: npt.NDArray[np.int8],
    times: npt.NDArray[np.int64],
    units: npt.NDArray[np.int64],
    out: npt.NDArray[np.int64],
) -> None:
    for row in range(when.size):
        home = households[row]
        i = 0
        while i < changes[home] and times[home, i] <= when[row]:
            i += 1
        out[row] = units[home, i]
