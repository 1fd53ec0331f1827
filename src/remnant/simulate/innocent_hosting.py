"""The innocent internet around an operator: web hosting, content delivery, parking, mail.

Sizes are chosen, so that whatever joins thousands of strangers in passive DNS occurs: an address of
shared hosting, edge servers, a parking service, a registrar's name servers, a mail provider, the
sinkhole of others, dynamic addresses, zones with a wildcard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.enrich.content import row_numbers
from remnant.simulate.address_space import address_texts
from remnant.simulate.made_names import MadeNames, joined, labels
from remnant.simulate.observed_records import CNAME, MX, NS, A

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.simulate.address_space import Space
    from remnant.simulate.observed_records import Records

__all__ = ["DYNAMIC_ZONE", "NETWORKS", "World"]

NETWORKS: Final = {
    "shared hosting": (8, 1),
    "dedicated hosting": (40, 1),
    "bulletproof hosting": (3, 1),
    "CDN": (2, 1),
    "parking": (2, 1),
    "access": (30, 1),
    "web": (3, 1),
    "mail": (2, 1),
    "DNS": (4, 1),
    "sinkhole": (1, 1),
}
"""ASes of each kind, and /24s of each AS."""

DYNAMIC_ZONE: Final = "dtdns.net"
"""A dynamic-DNS domain that no longer gives names out."""

_SHARED_HOSTS: Final = 10
_HOSTERS: Final = 4
_REGISTRARS: Final = 3
_CDN_EDGES: Final = 60
_CDN_NAMES: Final = 1500
_PARKED: Final = 2500
_SINKHOLED: Final = 800
_DEDICATED: Final = 1500
_GREY: Final = 60
_DYNAMIC: Final = 300
_MOVES: Final = 5
_POPULAR: Final = 25
_WILDCARDS: Final = 3
_RANDOM_LABELS: Final = 200


@dataclass(frozen=True, slots=True)
class World:
    """What an operator finds there.

    Attributes:
        space: gives out addresses.
        names: gives out names.
        shared: addresses of shared hosting.
        shared_names: domains behind each of them.
        hoster_servers: the pair of name servers that each address's domains use.
        edges: addresses of content delivery.
        edge_servers: its pair of name servers.
        registrars: pairs of name servers of registrars.
        parking: addresses of parking services.
        parking_servers: their pair of name servers.
        mail: mail exchangers of a provider.
        popular: well-known names.
        popular_addresses: theirs.
    """

    space: Space
    names: MadeNames
    shared: tuple[str, ...]
    shared_names: tuple[Any, ...]
    hoster_servers: tuple[tuple[str, str], ...]
    edges: tuple[str, ...]
    edge_servers: tuple[str, str]
    registrars: tuple[tuple[str, str], ...]
    parking: tuple[str, ...]
    parking_servers: tuple[str, str]
    mail: tuple[str, str]
    popular: tuple[str, ...]
    popular_addresses: tuple[str, ...]

    @classmethod
    def build(
        cls,
        space: Space,
        names: MadeNames,
        records: Records,
        random: np.random.Generator,
        days: float,
        neighbours: int,
        innocents: float,
    ) -> World:
        """Return a world and add its records.

        Args:
            space: gives out addresses.
            names: gives out names.
            records: collects them.
            random: draws sizes.
            days: length of the period.
            neighbours: names at each address of shared hosting.
            innocents: multiplies the innocent names.
        """

        def some(count: int) -> int:
            return max(1, round(count * innocents))

        shared = _taken(space, "shared hosting", _SHARED_HOSTS, random)
        edges = _taken(space, "CDN", _CDN_EDGES, random)
        parking = _taken(space, "parking", 4, random)
        mail_hosts = _taken(space, "mail", 2, random)
        firms = names.words(_HOSTERS + _REGISTRARS + 6).to_pylist()
        pairs = [(f"ns1.{word}host.example", f"ns2.{word}host.example") for word in firms]
        hosters = pairs[:_HOSTERS]
        registrars = pairs[_HOSTERS : _HOSTERS + _REGISTRARS]
        edge_servers, parking_servers, other_sinkhole = pairs[-3:]
        mail = (f"mx1.{firms[-4]}mail.example", f"mx2.{firms[-4]}mail.example")
        for pair in (*hosters, *registrars, edge_servers, parking_servers, other_sinkhole):
            for host, place in zip(pair, _taken(space, "DNS", 2, random), strict=True):
                records.add(host, A, place, 0.0, days, a_day=200.0, ttl=86_400)
        for host, place in zip(mail, mail_hosts, strict=True):
            records.add(host, A, place, 0.0, days, a_day=500.0)

        site = _Site(records, random, days, parking, parking_servers, mail)
        behind = []
        at: Any
        for i, address in enumerate(shared):
            own = names.domains(some(neighbours))
            behind.append(own)
            site.add(own, address, hosters[i % _HOSTERS], mailed=0.5, www=0.5)
        own = names.domains(some(_DEDICATED))
        hosts = space.take("dedicated hosting", -(-len(own) * 2 // 3), random)
        at = address_texts(hosts[random.integers(0, hosts.size, len(own))])
        site.add(own, at, registrars[0], mailed=0.3, www=0.3)
        # Others whom a landlord without questions serves: not this operator's.
        own = names.domains(some(_GREY))
        hosts = space.take("bulletproof hosting", -(-len(own) // 2), random)
        at = address_texts(hosts[random.integers(0, hosts.size, len(own))])
        site.add(own, at, registrars[1], mailed=0.0, www=0.0)
        own = names.domains(some(_CDN_NAMES))
        site.add(own, None, edge_servers, mailed=0.3, www=0.0)
        for _ in range(3):
            which = row_numbers(random.integers(0, len(edges), len(own)))
            records.add(own, A, pa.array(edges).take(which), 0.0, days, a_day=20.0, ttl=60)
        own = names.domains(some(_PARKED))
        at = pa.array(parking).take(row_numbers(random.integers(0, len(parking), len(own))))
        site.add(own, at, parking_servers, mailed=0.0, www=0.0)
        own = names.domains(some(_SINKHOLED))
        at = _taken(space, "sinkhole", 1, random)[0]
        site.add(own, at, other_sinkhole, mailed=0.0, www=0.0)

        popular, popular_addresses = _popular(space, names, records, random, days)
        _dynamic(space, names, records, random, days, some(_DYNAMIC))
        _wildcards(space, names, site, random, some(_RANDOM_LABELS))
        return cls(
            space=space,
            names=names,
            shared=shared,
            shared_names=tuple(behind),
            hoster_servers=tuple(hosters[i % _HOSTERS] for i in range(len(shared))),
            edges=edges,
            edge_servers=edge_servers,
            registrars=tuple(registrars),
            parking=parking,
            parking_servers=parking_servers,
            mail=mail,
            popular=popular,
            popular_addresses=popular_addresses,
        )


@dataclass(frozen=True, slots=True)
class _Site:
    """How an innocent web site stands in passive DNS."""

    records: Records
    random: np.random.Generator
    days: float
    parking: tuple[str, ...]
    parking_servers: tuple[str, str]
    mail: tuple[str, str]

    def add(
        self,
        own: Any,  # noqa: ANN401 - Arrow
        address: Any,  # noqa: ANN401 - Arrow, one text, or none
        servers: tuple[str, str],
        *,
        mailed: float,
        www: float,
    ) -> None:
        """Add domains; one in ten begins or ends in the period, half of those that end are parked.

        Args:
            own: the domains.
            address: where each of them is, or all of them are.
            servers: their name servers.
            mailed: share with the provider's mail exchangers.
            www: share with a ``www`` alias.
        """
        count = len(own)
        chance = self.random.random(count)
        at = self.random.uniform(0.0, self.days, count)
        since = np.where(chance < 0.05, at, 0.0)
        until = np.where((chance >= 0.05) & (chance < 0.1), at, self.days)
        asked = np.exp(self.random.normal(0.0, 1.2, count)) * 0.5
        if address is not None:
            self.records.add(own, A, address, since, until, a_day=asked, ttl=3600)
        for server in servers:
            self.records.add(own, NS, server, since, until, a_day=asked * 0.2, ttl=86_400)
        self._part(own, since, until, asked, www, alias=True)
        self._part(own, since, until, asked, mailed, alias=False)
        gone = np.flatnonzero((chance >= 0.05) & (chance < 0.075))
        if gone.size and self.parking_servers != servers:
            left = own.take(row_numbers(gone))
            which = self.random.integers(0, len(self.parking), gone.size)
            host: Any = pa.array(self.parking).take(row_numbers(which))
            later = until[gone] + 2.0
            self.records.add(left, A, host, later, self.days, a_day=0.5, ttl=600)
            for server in self.parking_servers:
                self.records.add(left, NS, server, later, self.days, a_day=0.2, ttl=86_400)

    def _part(
        self,
        own: Any,  # noqa: ANN401 - Arrow
        since: npt.NDArray[np.float64],
        until: npt.NDArray[np.float64],
        asked: npt.NDArray[np.float64],
        share: float,
        *,
        alias: bool,
    ) -> None:
        rows = np.flatnonzero(self.random.random(len(own)) < share)
        if not rows.size:
            return
        chosen = own.take(row_numbers(rows))
        span = (since[rows], until[rows])
        if alias:
            www = joined("www.", chosen)
            self.records.add(www, CNAME, chosen, *span, a_day=asked[rows], ttl=3600)
            return
        for host in self.mail:
            self.records.add(chosen, MX, f"10 {host}", *span, a_day=asked[rows] * 0.1, ttl=3600)


def _taken(space: Space, kind: str, count: int, random: np.random.Generator) -> tuple[str, ...]:
    return tuple(map(str, address_texts(space.take(kind, count, random)).to_pylist()))


def _popular(
    space: Space, names: MadeNames, records: Records, random: np.random.Generator, days: float
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Add web sites that everybody asks for; return their names and addresses."""
    sites = joined("www.", names.domains(_POPULAR))
    hosts = _taken(space, "web", 2 * _POPULAR, random)
    for half in (hosts[:_POPULAR], hosts[_POPULAR:]):
        records.add(sites, A, pa.array(half), 0.0, days, a_day=5_000.0, ttl=300)
    return tuple(map(str, sites.to_pylist())), hosts


def _dynamic(
    space: Space,
    names: MadeNames,
    records: Records,
    random: np.random.Generator,
    days: float,
    count: int,
) -> None:
    """Add hosts of people at home: an address for some weeks, then the next; addresses return."""
    own = joined(names.words(count), f".{DYNAMIC_ZONE}")
    pool = space.take("access", max(2, count * _MOVES // 2), random)
    step = days / _MOVES
    for move in range(_MOVES):
        at = address_texts(pool[random.integers(0, pool.size, count)])
        since = move * step + random.uniform(0.0, 2.0, count)
        records.add(own, A, at, since, (move + 1) * step, a_day=2.0, ttl=60)


def _wildcards(
    space: Space, names: MadeNames, site: _Site, random: np.random.Generator, count: int
) -> None:
    """Add zones in which every name exists."""
    zones = names.domains(_WILDCARDS)
    hosts = _taken(space, "dedicated hosting", _WILDCARDS, random)
    for zone, address in zip(zones.to_pylist(), hosts, strict=True):
        below = joined(labels(count, random), f".{zone}")
        site.records.add(below, A, address, 0.0, site.days, a_day=0.05, ttl=300)
        for server in ("ns1", "ns2"):
            host = f"{server}.{zone}"
            site.records.add(zone, NS, host, 0.0, site.days, a_day=1.0, ttl=86_400)
            site.records.add(host, A, address, 0.0, site.days, a_day=1.0, ttl=86_400)
