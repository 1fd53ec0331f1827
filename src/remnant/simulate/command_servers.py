"""What a botnet's operator rents and registers, and how it moves in the course of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.cases.zones import DYNAMIC_DNS, zone_of
from remnant.enrich.content import row_numbers
from remnant.simulate.address_space import address_texts
from remnant.simulate.innocent_hosting import DYNAMIC_ZONE
from remnant.simulate.made_names import joined, labels
from remnant.simulate.observed_records import NS, A

if TYPE_CHECKING:
    from remnant.simulate.innocent_hosting import World
    from remnant.simulate.observed_records import Records

__all__ = ["SINKHOLE", "Known", "Operator", "Wanted"]

SINKHOLE: Final = "192.0.2.53"
"""Where seized names lead."""

_SINKHOLE_SERVERS: Final = ("ns1.seized.example", "ns2.seized.example")
_HOSTS: Final = ("", "", "", "ns1.", "update.", "cdn.")
_NAME_SERVER_SETS: Final = 3
_BULLETPROOF: Final = 0.6
_STAY_DAYS: Final = 25.0
_TTL: Final = 300
_POISONED_DAYS: Final = 0.2
_PARKED_AFTER: Final = 12.0
_RENTED_GAP: Final = 3.0


@dataclass(frozen=True, slots=True)
class Known:
    """One published name.

    Attributes:
        name: folded text; ``None``: one is made up.
        after: what becomes of it at the takedown: ``sinkhole``; ``expired`` (it resolves no more);
            ``parked`` (expired, then a parking service has the domain); ``registered`` (expired,
            then somebody else has it); ``live`` (nobody got hold of it).
        address: where it is just before the takedown; ``None``: on a server of the operator's.
        address_since: from which day on.
    """

    name: str | None
    after: str = "sinkhole"
    address: str | None = None
    address_since: float = 0.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Parameters of an operator; see ``hosting.hosting``."""

    hidden: int
    known: tuple[Known, ...]
    shared_share: float
    cdn_share: float
    dynamic_share: float
    second_tier: float
    unlinked: float
    own_name_servers: float
    servers: int
    server_days: float
    reused: float
    compromised: int
    poisoned: int
    days: float
    takedown: float


@dataclass(slots=True)
class _Server:
    """A rented server: its address, from when to when, and whether a seed was there."""

    address: str
    since: float
    until: float
    tier: int
    known: bool = False


@dataclass(slots=True)
class Operator:
    """Adds the records of an operator and tells the truth about them.

    Attributes:
        seeds: the published names, once it has run.
    """

    wanted: Wanted
    world: World
    records: Records
    random: np.random.Generator
    seeds: tuple[str, ...] = ()
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _servers: list[_Server] = field(default_factory=list)
    _fixed: dict[str, _Server] = field(default_factory=dict)
    _own: list[tuple[str, str]] = field(default_factory=list)
    _own_used: int = 0

    def run(self) -> list[dict[str, Any]]:
        """Add all records; return the rows of the truth, their times in days."""
        self._rent()
        self._run_name_servers()
        self._publish()
        self._hide()
        self._mislead()
        for server in (*self._servers, *self._fixed.values()):
            behind = "dedicated" if server.tier == 1 else "second_tier"
            link = "server" if server.tier == 1 else None
            span = (max(server.since, 0.0), min(server.until, self.wanted.days))
            self._tell("address", server.address, span, behind, link, hidden=not server.known)
        return self._rows

    def _rent(self) -> None:
        """Rent servers one after the other, so that some are there at any time."""
        wanted, draw = self.wanted, self.random
        for tier, count in ((1, wanted.servers), (2, max(2, wanted.servers // 4))):
            length = wanted.server_days * (1 if tier == 1 else 2)
            begin = np.linspace(-length, wanted.days, count, endpoint=False)
            bulletproof = draw.random(count) < _BULLETPROOF
            for i in range(count):
                kind = "bulletproof hosting" if bulletproof[i] else "dedicated hosting"
                address = self._rented(kind)
                lasts = length * draw.uniform(0.7, 1.5)
                since = float(begin[i]) + draw.uniform(0.0, 5.0)
                until = min(since + lasts, wanted.days)
                if until > 1.0:
                    self._servers.append(_Server(address, since, until, tier))
        if not any(server.tier == 1 and server.until >= wanted.days for server in self._servers):
            last = max((s for s in self._servers if s.tier == 1), key=lambda s: s.until)
            last.until = wanted.days

    def _rented(self, kind: str) -> str:
        """Return an address of a kind of network that nobody else has."""
        return str(address_texts(self.world.space.take(kind, 1, self.random))[0].as_py())

    def _run_name_servers(self) -> None:
        for own in self.world.names.domains(_NAME_SERVER_SETS).to_pylist():
            hosts = self.world.space.take("bulletproof hosting", 2, self.random)
            pair = (f"ns1.{own}", f"ns2.{own}")
            for host, address in zip(pair, map(str, address_texts(hosts).to_pylist()), strict=True):
                span = (0.0, self.wanted.days)
                self.records.add(host, A, address, *span, a_day=10.0, ttl=_TTL)
                self.records.add(own, NS, host, *span, a_day=1.0, ttl=86_400)
                self._tell("name_server", host, span, "dedicated", "name_server", hidden=True)
                self._tell("address", address, span, "dedicated", "name_server", hidden=True)
            self._own.append(pair)

    def _publish(self) -> None:
        """Add the seeds: their servers, then what the takedown made of them."""
        wanted, draw = self.wanted, self.random
        made = iter(self._made_names(len(wanted.known)))
        names = []
        for known in wanted.known:
            name = next(made) if known.name is None else known.name
            names.append(name)
            born = draw.uniform(0.0, 0.5 * wanted.takedown)
            end = wanted.days if known.after == "live" else wanted.takedown
            self._live(name, born, end, known)
            self._after(name, known.after)
            self._tell("name", name, (born, end), "dedicated", "server", hidden=False)
        for i in range(min(wanted.compromised, len(self.world.shared_names))):
            site = self.world.shared_names[i][0].as_py()
            names.append(site)
            span = (0.0, wanted.days)
            self._tell("name", site, span, "compromised", None, hidden=False, operator=False)
        self.seeds = tuple(names)

    def _live(self, name: str, born: float, end: float, known: Known) -> None:
        zone = zone_of(name)
        dynamic = ".".join(zone.split(".")[1:]) in DYNAMIC_DNS
        until = end if known.address is None else min(max(known.address_since, born), end)
        if dynamic:
            self._at_home(name, born, until)
        else:
            self._stay(name, born, until, tier=1, known=True)
            self._delegate(zone, born, end, own=draws(self.random, self.wanted.own_name_servers))
        if known.address is not None and until < end:
            self.records.add(name, A, known.address, until, end, a_day=20.0, ttl=_TTL)
            fixed = self._fixed.setdefault(known.address, _Server(known.address, until, end, 1))
            fixed.known = True
            fixed.since = min(fixed.since, until)
            fixed.until = max(fixed.until, end)

    def _after(self, name: str, after: str) -> None:
        begin, days = self.wanted.takedown, self.wanted.days
        zone = zone_of(name)
        if after == "sinkhole":
            self.records.add(name, A, SINKHOLE, begin, days, a_day=20.0, ttl=60)
            for server in _SINKHOLE_SERVERS:
                self.records.add(zone, NS, server, begin, days, a_day=2.0, ttl=86_400)
        self._afterlife(zone, after, begin + _PARKED_AFTER)

    def _afterlife(self, zone: str, after: str, later: float) -> None:
        """Give an expired domain to a parking service, or to somebody else."""
        days = self.wanted.days
        if later >= days:
            return
        if after == "parked":
            address = self.world.parking[int(self.random.integers(len(self.world.parking)))]
            servers = self.world.parking_servers
        elif after == "registered":
            kind = "dedicated hosting"
            address = self._rented(kind)
            servers = self.world.registrars[-1]
        else:
            return
        self.records.add(zone, A, address, later, days, a_day=5.0, ttl=600)
        for server in servers:
            self.records.add(zone, NS, server, later, days, a_day=0.5, ttl=86_400)

    def _hide(self) -> None:
        """Add the hidden names."""
        wanted, draw = self.wanted, self.random
        count = wanted.hidden
        kinds = ["shared_hosting"] * round(count * wanted.shared_share)
        kinds += ["cdn"] * round(count * wanted.cdn_share)
        kinds += ["dynamic_dns"] * round(count * wanted.dynamic_share)
        rest = max(0, count - len(kinds))
        kinds += ["second_tier"] * round(rest * wanted.second_tier)
        kinds = (kinds + ["dedicated"] * count)[:count]
        alone = round(count * wanted.unlinked)
        hosts = iter(joined(self.world.names.words(count + 1), f".{DYNAMIC_ZONE}").to_pylist())
        for i, name in enumerate(self._made_names(count)):
            behind = kinds[i]
            host = next(hosts) if behind == "dynamic_dns" else name
            born = draw.uniform(0.0, 0.7 * wanted.days)
            end = wanted.days
            if draws(draw, 0.25):
                end = draw.uniform(min(born + 20.0, end), end)
            if behind == "dedicated":
                link = "server"
            elif i < alone:
                link = "none"
            elif behind != "dynamic_dns" and draws(draw, 0.5):
                link = "name_server"
            else:
                link = "earlier"
            self._one_hidden(host, behind, link, born, end)
            if behind != "dynamic_dns" and end < wanted.days:
                fate = ("expired", "parked", "registered")[i % 3]
                self._afterlife(zone_of(host), fate, end + _PARKED_AFTER)
            self._tell("name", host, (born, end), behind, link, hidden=True)

    def _one_hidden(self, name: str, behind: str, link: str, born: float, end: float) -> None:
        draw = self.random
        zone = zone_of(name)
        moved = born
        if link == "earlier":
            moved = min(born + draw.uniform(8.0, 20.0), end)
            self._stay(name, born, moved, tier=1)
        own = link == "name_server" or (
            behind == "dedicated" and draws(draw, self.wanted.own_name_servers)
        )
        servers = None
        if behind == "shared_hosting":
            which = int(draw.integers(len(self.world.shared)))
            servers = self.world.hoster_servers[which]
            at = self.world.shared[which]
            self.records.add(name, A, at, moved, end, a_day=3.0, ttl=3600)
        elif behind == "cdn":
            servers = self.world.edge_servers
            for which in draw.choice(len(self.world.edges), 3, replace=False).tolist():
                at = self.world.edges[which]
                self.records.add(name, A, at, moved, end, a_day=3.0, ttl=60)
        elif behind == "dynamic_dns":
            self._at_home(name, moved, end)
            return
        else:
            self._stay(name, moved, end, tier=2 if behind == "second_tier" else 1)
        self._delegate(zone, born, end, own=own, servers=servers)

    def _delegate(
        self,
        zone: str,
        since: float,
        until: float,
        *,
        own: bool,
        servers: tuple[str, str] | None = None,
    ) -> None:
        if own:
            # The seeds come first, so that each set serves one where there are enough.
            servers = self._own[self._own_used % len(self._own)]
            self._own_used += 1
        elif servers is None:
            registrars = self.world.registrars
            servers = registrars[int(self.random.integers(len(registrars)))]
        for server in servers:
            self.records.add(zone, NS, server, since, until, a_day=1.0, ttl=86_400)

    def _stay(
        self, name: str, since: float, until: float, *, tier: int, known: bool = False
    ) -> None:
        """Put a name on servers of a tier, one after the other."""
        at = since
        while at < until:
            there = [s for s in self._servers if s.tier == tier and s.since <= at < s.until - 0.5]
            if not there:
                later = [s.since for s in self._servers if s.tier == tier and s.since > at]
                if not later:
                    return
                at = min(later)
                continue
            server = there[int(self.random.integers(len(there)))]
            end = min(server.until, until, at + 1.0 + self.random.exponential(_STAY_DAYS))
            self.records.add(name, A, server.address, at, end, a_day=4.0, ttl=_TTL)
            server.known |= known
            at = end

    def _at_home(self, name: str, since: float, until: float) -> None:
        """Put a dynamic-DNS host on one access line after the other."""
        at = since
        while at < until:
            end = min(until, at + self.random.uniform(5.0, 30.0))
            address = self._rented("access")
            self.records.add(name, A, address, at, end, a_day=4.0, ttl=60)
            at = end

    def _mislead(self) -> None:
        """Add innocent tenants of the same addresses, poisoned answers, idle names, a wildcard."""
        wanted, draw = self.wanted, self.random
        first = [server for server in self._servers if server.tier == 1]
        for server in first:
            if not draws(draw, wanted.reused):
                continue
            before, after = server.since - _RENTED_GAP, server.until + _RENTED_GAP
            for since, until in ((0.0, before), (after, wanted.days)):
                if until - since < 5.0:
                    continue
                for name in self.world.names.domains(int(draw.integers(1, 5))).to_pylist():
                    self.records.add(name, A, server.address, since, until, a_day=2.0)
                    for ns in self.world.registrars[0]:
                        self.records.add(name, NS, ns, since, until, a_day=0.3, ttl=86_400)
                    self._tell("name", name, (since, until), "reused", None, operator=False)
        for i in range(wanted.poisoned):
            server = first[i % len(first)]
            start = max(server.since, 0.0)
            at = draw.uniform(start, max(start, server.until - _POISONED_DAYS))
            group = self.world.shared_names[i % len(self.world.shared_names)]
            name = group[int(draw.integers(len(group)))].as_py()
            if i % 2:
                name = self.world.popular[i % len(self.world.popular)]
            span = (at, at + _POISONED_DAYS)
            self.records.add(name, A, server.address, *span, a_day=20.0, ttl=60)
            self._tell("name", name, span, "poisoned", None, operator=False)
        own = [row["value"] for row in self._rows if row["kind"] == "name" and row["hidden"]]
        for i, name in enumerate(own[-4:]):
            idle = "127.0.0.1" if i % 2 else self.world.popular_addresses[i]
            since = draw.uniform(0.0, wanted.days - 1.0)
            self.records.add(name, A, idle, since, since + 1.0, a_day=5.0, ttl=_TTL)
        if own:
            below = joined(labels(30, draw), f".{own[-1]}")
            here = next((s for s in first if s.until >= wanted.days), first[-1])
            span = (max(here.since, 0.0), here.until)
            self.records.add(below, A, here.address, *span, a_day=0.2, ttl=_TTL)

    def _made_names(self, count: int) -> list[str]:
        hosts = pa.array(_HOSTS).take(row_numbers(self.random.integers(0, len(_HOSTS), count)))
        found: list[str] = joined(hosts, self.world.names.domains(count)).to_pylist()
        return found

    def _tell(
        self,
        kind: str,
        value: str,
        span: tuple[float, float],
        behind: str,
        link: str | None,
        *,
        hidden: bool = False,
        operator: bool = True,
    ) -> None:
        self._rows.append(
            {
                "kind": kind,
                "value": value,
                "operator": operator,
                "hidden": hidden and operator,
                "since": span[0],
                "until": span[1],
                "behind": behind,
                "link": link,
            }
        )


def draws(random: np.random.Generator, chance: float) -> bool:
    """Return whether something of a chance happens."""
    return bool(random.random() < chance)
