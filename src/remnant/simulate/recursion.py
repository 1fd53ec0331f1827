"""Resolvers between the bots and the sinkhole: who resolves for whom, and what caches let through.

A *site* is one address, or a few, behind which caches stand: the observed resolvers, one resolver
for each network that nobody observes, and public farms. A household with a resolver of its own is a
site as well, behind the last of the others.

References:
    BIND: max-cache-ttl 604800, max-ncache-ttl 10800, prefetch 2 9; Unbound: cache-max-ttl 86400,
    cache-max-negative-ttl 3600 (defaults of both); RFC 2308 (negative answers), RFC 7871 (answers
    to a client subnet are kept for that subnet).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from remnant.simulate.draws import STEP, below, bits, stream, unit
from remnant.simulate.networks import FARM_V4, RESOLVER_V4, reserved_address
from remnant.windows import to_us
from remnant.wire import Int, Word, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.simulate.networks import Networks
    from remnant.simulate.population import Households
    from remnant.simulate.scenario import Scenario

__all__ = ["NO_SCOPE", "Lookups", "Recursion", "Sites", "Visible"]

NO_SCOPE: Final = -1
"""The scope of lookups that carry no client subnet."""

_CACHES: Final = 6
_SECOND_US: Final = 1_000_000
_BIND: Final = 1
_UNBOUND: Final = 2
_FARM_ADDRESSES: Final = 8
_BIND_TRIGGER_US: Final = 2 * _SECOND_US
_BIND_ELIGIBLE: Final = 9
_ODD: Final = np.uint64(0xD1342543DE82EF95)


class Sites(NamedTuple):
    """One row per site.

    Attributes:
        first: number of its first cache; the others follow.
        caches: how many it has.
        address: unit number of its first address.
        addresses: how many it has; cache ``i`` asks from address ``i`` modulo this.
        subnet: sends the client's subnet and caches by it.
        longest, longest_negative, floor: bounds of what is kept (seconds).
        prefetch: 0 none, 1 as BIND, 2 as Unbound.
        blocked_from: UTC microseconds from which it answers the seized names itself; else never.
    """

    first: npt.NDArray[np.int64]
    caches: npt.NDArray[np.int64]
    address: npt.NDArray[np.int64]
    addresses: npt.NDArray[np.int64]
    subnet: npt.NDArray[np.bool_]
    longest: npt.NDArray[np.int64]
    longest_negative: npt.NDArray[np.int64]
    floor: npt.NDArray[np.int64]
    prefetch: npt.NDArray[np.int8]
    blocked_from: npt.NDArray[np.int64]


class Lookups(NamedTuple):
    """Lookups that resolvers get, in time order.

    Attributes:
        time: UTC microseconds.
        site: of the household.
        scope: the client's unit shortened to its subnet, or ``NO_SCOPE``.
        name, family: what is asked; family 1 for AAAA.
        negative: the sinkhole answers that the name does not exist.
    """

    time: npt.NDArray[np.int64]
    site: npt.NDArray[np.int64]
    scope: npt.NDArray[np.int64]
    name: npt.NDArray[np.int32]
    family: npt.NDArray[np.uint8]
    negative: npt.NDArray[np.bool_]


class Visible(NamedTuple):
    """What the caches did with each lookup.

    Attributes:
        asked: the sinkhole was asked.
        cache: number of the cache.
        ttl: seconds that the sinkhole gave; -1 where it gave no address, or was not asked.
    """

    asked: npt.NDArray[np.bool_]
    cache: npt.NDArray[np.int64]
    ttl: npt.NDArray[np.int32]


class Recursion:
    """All sites, and what their caches hold from day to day.

    Attributes:
        sites: see ``Sites``.
        site: of each household (int64); from ``len(sites.first)`` on it is a household's own.
        observed: of each household: its resolver is observed.
    """

    def __init__(
        self,
        scenario: Scenario,
        networks: Networks,
        households: Households,
        random: np.random.Generator,
        seed: np.uint64,
    ) -> None:
        self.sites = _sites(scenario, networks, random)
        self.observed = ~households.hidden
        self.site = _site_of(scenario, networks, households, self.sites.first.size, random)
        self._seed = seed
        self._own = int(self.sites.first[-1] + self.sites.caches[-1])
        self._ttl = (
            scenario.sinkhole_ttl,
            scenario.sinkhole_ttl if scenario.second_ttl is None else scenario.second_ttl,
            scenario.negative_ttl,
        )
        self._keys = np.zeros(16, np.uint64)
        self._until = np.zeros(16, np.int64)
        self._given = np.zeros(16, np.int64)

    def blocks(
        self, households: npt.NDArray[np.int32], times: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Return whether the households' resolvers answer the seized names themselves then."""
        site = self.site[households]
        own = site >= self.sites.first.size
        blocked: npt.NDArray[np.bool_] = ~own & (
            times >= self.sites.blocked_from[np.where(own, 0, site)]
        )
        return blocked

    def scopes(
        self, households: npt.NDArray[np.int32], units: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return the client subnets that the households' resolvers send (units shortened)."""
        site = self.site[households]
        sends = (site < self.sites.first.size) & self.sites.subnet[
            np.minimum(site, self.sites.first.size - 1)
        ]
        # A /24 of IPv4; of IPv6 the /56, eight bits above the /64 that is the unit.
        return np.where(sends, units & ~np.int64(0xFF), NO_SCOPE)

    def egress(
        self, site: npt.NDArray[np.int64], cache: npt.NDArray[np.int64], unit: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return the unit numbers of the addresses from which caches ask the sinkhole.

        Args:
            site: of each lookup.
            cache: that answered it.
            unit: of the household, whose own resolver asks from the same address.
        """
        own = site >= self.sites.first.size
        safe = np.where(own, 0, site)
        number = (cache - self.sites.first[safe]) % self.sites.addresses[safe]
        return np.where(own, unit, self.sites.address[safe] + number)

    def through(self, day: int, start: int, lookups: Lookups) -> Visible:
        """Return which lookups of a day reach the sinkhole; caches go on from the day before."""
        count = lookups.time.size
        kept = (self._keys != 0) & (self._until > start)
        keys, until, given = self._keys[kept], self._until[kept], self._given[kept]
        size = 1 << max(4, int(2 * (count + keys.size)).bit_length())
        self._keys = np.zeros(size, np.uint64)
        self._until = np.zeros(size, np.int64)
        self._given = np.zeros(size, np.int64)
        out = Visible(
            np.zeros(count, np.bool_), np.zeros(count, np.int64), np.full(count, -1, np.int32)
        )
        _through(
            self._seed,
            day,
            self._own,
            self._ttl,
            lookups,
            self.sites,
            (keys, until, given),
            (self._keys, self._until, self._given),
            out,
        )
        return out


def _sites(scenario: Scenario, networks: Networks, random: np.random.Generator) -> Sites:
    """Draw the sites: observed resolvers, one per network, farms."""
    given = scenario.recursion
    seen, nets, farms = len(scenario.resolvers), len(networks), given.farms
    total = seen + nets + farms
    kind = np.repeat([0, 1, 2], [seen, nets, farms])
    caches = np.full(total, given.observed_caches, np.int64)
    caches[kind == 1] = random.integers(1, given.isp_caches + 1, nets)
    caches[kind == 2] = random.integers(given.farm_caches[0], given.farm_caches[1] + 1, farms)
    unbound = random.random(total) < given.unbound
    prefetch = np.where(random.random(total) < given.prefetch, np.where(unbound, 2, 1), 0)
    floor = np.where(random.random(total) < given.floor, given.floor_seconds, 0)
    address = np.concatenate(
        [
            RESOLVER_V4 + np.arange(seen),
            reserved_address(networks),
            FARM_V4 + 256 * np.arange(farms),
        ]
    )
    blocked = np.full(total, np.iinfo(np.int64).max)
    since = scenario.takedown if scenario.blocking.since is None else scenario.blocking.since
    blocks = (random.random(total) < scenario.blocking.share) & (kind == 1)
    blocks[:seen] = [name in scenario.blocking.observed for name, _ in scenario.resolvers]
    blocked[blocks] = to_us(since)
    return Sites(
        first=np.cumsum(caches) - caches,
        caches=caches,
        address=address.astype(np.int64),
        addresses=np.where(kind == 2, _FARM_ADDRESSES, 1),
        subnet=kind == 2,
        longest=np.where(unbound, 86_400, 604_800),
        longest_negative=np.where(unbound, 3_600, 10_800),
        floor=np.where(kind == 1, floor, 0),
        prefetch=np.where(kind == 1, prefetch, 0).astype(np.int8),
        blocked_from=blocked,
    )


def _site_of(
    scenario: Scenario,
    networks: Networks,
    households: Households,
    sites: int,
    random: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """Return the site of each household."""
    given = scenario.recursion
    seen = len(scenario.resolvers)
    shares = np.array([given.isp, given.farm if given.farms else 0.0, given.own])
    kind = np.searchsorted(
        np.cumsum(shares / shares.sum())[:-1], random.random(len(households)), side="right"
    )
    farm = seen + len(networks) + random.integers(0, max(1, given.farms), len(households))
    hidden = np.choose(
        kind, [seen + households.network.astype(np.int64), farm, sites + np.arange(len(households))]
    )
    return np.where(
        households.hidden, hidden, networks.resolver[households.network].astype(np.int64)
    )


@kernel
def _slot(keys: npt.NDArray[np.uint64], key: Word) -> Int:
    """Return where a key stands in the hash table, or the free place for it."""
    mask = np.uint64(keys.size - 1)
    at = key & mask
    while keys[np.int64(at)] != 0 and keys[np.int64(at)] != key:
        at = (at + np.uint64(1)) & mask
    return np.int64(at)


@kernel
def _through(
    seed: Word,
    day: Int,
    own: Int,
    ttls: tuple[int, int, int],
    lookups: Lookups,
    sites: Sites,
    before: tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64]],
    table: tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64]],
    out: Visible,
) -> None:
    keys, until, given = table
    for i in range(before[0].size):
        at = _slot(keys, before[0][i])
        keys[at] = before[0][i]
        until[at] = before[1][i]
        given[at] = before[2][i]
    shared = sites.first.size
    for row in range(lookups.time.size):
        site = lookups.site[row]
        state = stream(seed, _CACHES, day, row)
        now = lookups.time[row]
        floor = np.int64(0)
        longest = np.int64(604_800)
        negative = np.int64(10_800)
        prefetch = 0
        if site < shared:
            cache = sites.first[site] + below(state, sites.caches[site])
            floor = sites.floor[site]
            longest = sites.longest[site]
            negative = sites.longest_negative[site]
            prefetch = sites.prefetch[site]
        else:
            cache = own + site - shared
        out.cache[row] = cache
        key = bits(np.uint64(cache) * _ODD + np.uint64(2 * lookups.name[row] + lookups.family[row]))
        key = bits(key + np.uint64(lookups.scope[row])) | np.uint64(1)
        at = _slot(keys, key)
        left = until[at] - now
        if keys[at] == key and left > 0:
            again = (
                prefetch == _BIND and left <= _BIND_TRIGGER_US and given[at] >= _BIND_ELIGIBLE
            ) or (prefetch == _UNBOUND and left <= given[at] * (_SECOND_US // 10))
            if not again:
                continue
        out.asked[row] = True
        if lookups.negative[row]:
            kept = min(np.int64(ttls[2]), negative)
        else:
            ttl = ttls[0] if unit(state + STEP) < 0.5 else ttls[1]
            out.ttl[row] = ttl
            kept = max(floor, min(np.int64(ttl), longest))
        keys[at] = key
        until[at] = now + kept * _SECOND_US
        given[at] = kept
