"""The servers behind a case, what became of them, and whom to ask to shut them down.

Of each name, address and name server: its states over a window, when it was last observed, and who
answers for it. A server *lives* if a name of the case (or, to an address that is itself listed, any
name) was observed to lead to it within the last days of the window. Observed means resolved:
nothing was connected to, so whether anything answers there is not known.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from remnant.cases.rules import compile_rules
from remnant.enrich.addresses import parse, to_bytes
from remnant.infrastructure.led_to import Led, Sinkhole, walk
from remnant.infrastructure.server import ALIVE_DAYS, Found, Place, Server
from remnant.infrastructure.states import (
    LIVE,
    SLACK,
    Evidence,
    Interval,
    registered_again,
    registry_evidence,
    served_again,
    taken_over,
    timeline,
)
from remnant.infrastructure.whom import Ask, networks, registrars
from remnant.watchlist import Rule
from remnant.windows import Window, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from remnant.cases.model import Case
    from remnant.enrich.reference import Reference
    from remnant.infrastructure.pivot import Pivots
    from remnant.infrastructure.registrations import Dated, Registrations
    from remnant.infrastructure.server import Kind

__all__ = ["servers"]

_EXAMPLES: Final = 5

_STRANGERS: Final = 20
"""Names of others at a server from which on its note says that it may be shared."""

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Judge:
    """What is needed to judge evidence."""

    window: Window
    alive: timedelta

    def states(self, evidence: Iterable[Evidence]) -> tuple[Interval, ...]:
        return tuple(timeline(evidence, self.window))

    def lives(self, states: Sequence[Interval], evidence: Iterable[Evidence]) -> bool:
        """Return whether somebody must act: it leads somewhere, and was seen to do so of late."""
        border = self.window.until - self.alive
        live = [e.until for e in evidence if e.state in LIVE and e.since < self.window.until]
        return states[-1].state in LIVE and any(time >= border for time in live)

    def last(self, evidence: Iterable[Evidence]) -> datetime | None:
        """Return when it was last observed in DNS, by the end of the window."""
        times = [
            min(e.until, self.window.until)
            for e in evidence
            if e.by in {"address", "alias", "delegation"} and e.since < self.window.until
        ]
        return max(times, default=None)

    def note(self, states: Sequence[Interval]) -> str:
        """Return what a reader must know about the age of the last state."""
        end = states[-1]
        if end.state == "unknown":
            return end.evidence[0]
        if end.last is not None and self.window.until - end.last > self.alive:
            days = (self.window.until - end.last) // _DAY
            return f"last observed {days} days before the end of the window"
        return ""


def servers(
    case: Case,
    pivots: Pivots,
    registrations: Registrations,
    reference: Reference,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    alive_days: int = ALIVE_DAYS,
    candidates: Sequence[str] = (),
    responses: Callable[[Sequence[str]], Mapping[str, Sequence[Evidence]]] | None = None,
) -> Found:
    """Return the servers of a case, and its names, with their states.

    Args:
        case: whose names count; its own sinkhole is known as such.
        pivots: passive DNS of the case; its whole history tells more than that of the window.
        registrations: what registries said.
        reference: whose addresses are.
        since: start of the window; default: the first observation of the case's names.
        until: its end, exclusive; default: just after the last one.
        alive_days: see ``Found``.
        candidates: names and addresses that are not the case's, but may well be the botnet's.
        responses: returns evidence from response codes about some names.
    """
    rules = compile_rules(case)
    known = {rule.text for rule in rules}
    more = [one for one in dict.fromkeys(candidates) if one not in known]
    addresses = [one for one in more if _is_address(one)]
    extra = [Rule(case.name, "exact", one) for one in more if not _is_address(one)]
    rules += extra
    listed = [address for rule in rules if (address := _single(rule)) is not None]
    listed += addresses
    led = walk(pivots, rules, Sinkhole.of(case), listed, until=until)
    history = registrations.domains(sorted(set(led.zones.values())))
    codes = {} if responses is None else responses(list(led.rules))
    evidence = {
        name: _about(name, led, history.get(led.zones[name], []), case, codes) for name in led.rules
    }
    there = {address: list(led.at(address)) for address in listed}
    # The names say what the window is; where nothing is known of any, the listed addresses do.
    dated = evidence if any(evidence.values()) else there
    window = _span(dated.values(), since, until)
    judge = _Judge(window, timedelta(days=alive_days))
    found = _names(led, evidence, judge, registrations, history)
    found += _addresses(led, evidence, judge, registrations, reference, there)
    found += _name_servers(led, evidence, judge, registrations)
    zones = tuple(sorted(set(led.zones.values())))
    not_the_case = {rule.text for rule in extra}.union(addresses)
    found = [replace(one, candidate=one.value in not_the_case) for one in found]
    return Found(_grouped(found), window, alive_days, zones, tuple(led.left_out))


def _about(
    name: str,
    led: Led,
    history: Sequence[Dated],
    case: Case,
    responses: Mapping[str, Sequence[Evidence]],
) -> list[Evidence]:
    """Return all evidence about a name."""
    zone = led.zones[name]
    seen = taken_over(led.evidence(name))
    served = [(row.rdata, row.first, row.last) for row in led.delegations.get(zone, [])]
    again = _began_again(seen, history, case) or served_again(served, seen)
    if again is not None:
        seen = registered_again(seen, *again)
    return [*seen, *responses.get(name, ()), *registry_evidence(history, seen)]


def _began_again(
    seen: Sequence[Evidence], history: Sequence[Dated], case: Case
) -> tuple[datetime, str] | None:
    """Return since when the domain is registered anew, by its registry."""
    began = max(
        (one.registration.began for one in history if one.registration.began is not None),
        default=None,
    )
    if began is None:
        return None
    first = min((e.since for e in seen), default=None)
    # A name that the case knows, or DNS saw, before that was somebody's already.
    known = case.takedown if first is None else min(first, case.takedown)
    return (began, f"RDAP: registered {iso(began)}") if began - known > _DAY else None


def _span(
    evidence: Iterable[Sequence[Evidence]], since: datetime | None, until: datetime | None
) -> Window:
    times = [time for one in evidence for e in one for time in (e.since, e.until)]
    now = datetime.now(tz=UTC)
    first = min(times, default=now) if since is None else since
    last = max(times, default=now) + timedelta(seconds=1) if until is None else until
    return Window(first if since is not None else min(first, last - _DAY), last)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _single(rule: Rule) -> str | None:
    """Return the address of a rule that is about one address."""
    if rule.kind != "address":
        return None
    network = ipaddress.ip_network(rule.text)
    return str(network.network_address) if network.num_addresses == 1 else None


def _names(
    led: Led,
    evidence: Mapping[str, Sequence[Evidence]],
    judge: _Judge,
    registrations: Registrations,
    history: Mapping[str, Sequence[Dated]],
) -> list[Server]:
    asks = registrars(registrations, led.rules)
    found = []
    for name, rule in led.rules.items():
        states = judge.states(evidence[name])
        lives = judge.lives(states, evidence[name])
        newest = [d.registration for d in history.get(led.zones[name], []) if d.registration.found]
        paid = newest[-1].expires if newest else None
        server = _server(
            "name",
            name,
            states,
            evidence[name],
            judge,
            lives=lives,
            names=[name],
            ask=asks[name],
            case_state=rule.state,
            registered_until=paid,
        )
        if paid is not None and paid <= judge.window.until:
            notes = [server.note, f"paid until {iso(paid)}, which has passed"]
            server = replace(server, note="; ".join(filter(None, notes)))
        found.append(server)
    return found


def _addresses(
    led: Led,
    evidence: Mapping[str, Sequence[Evidence]],
    judge: _Judge,
    registrations: Registrations,
    reference: Reference,
    there: Mapping[str, Sequence[Evidence]],
) -> list[Server]:
    about: dict[str, list[Evidence]] = {address: [*seen] for address, seen in there.items()}
    names: dict[str, set[str]] = defaultdict(set)
    serves: dict[str, set[str]] = defaultdict(set)
    for address, seen in there.items():
        serves[address].update({"hosts"} if seen else ())
    for name in led.rules:
        for one in evidence[name]:
            if one.by == "address" and one.server:
                about.setdefault(one.server, []).append(_plain(one))
                names[one.server].add(name)
                serves[one.server].add("hosts")
    members = _members(led)
    for zone, inside in members.items():
        leads = [one for name in inside for one in evidence[name] if one.by == "address"]
        for one in (_serves_sinkhole(host, leads) for host in led.hosting(zone)):
            about.setdefault(one.server, []).append(one)
            names[one.server].update(inside)
            serves[one.server].add("name server")
    values = sorted(about)
    places = _places(reference, values)
    systems = {a: p.asn for a, p in places.items() if p.asn is not None}
    asks = networks(registrations, values, systems)
    found = []
    for value in values:
        states = judge.states(about[value])
        server = _server(
            "address",
            value,
            states,
            about[value],
            judge,
            lives=judge.lives(states, about[value]),
            names=names[value],
            ask=asks[value],
            other_names=led.degrees.get(value),
        )
        found.append(
            replace(server, serves=" and ".join(sorted(serves[value])), place=places[value])
        )
    return found


def _name_servers(
    led: Led,
    evidence: Mapping[str, Sequence[Evidence]],
    judge: _Judge,
    registrations: Registrations,
) -> list[Server]:
    about: dict[str, list[Evidence]] = defaultdict(list)
    names: dict[str, set[str]] = defaultdict(set)
    zones: dict[str, set[str]] = defaultdict(set)
    for zone, inside in _members(led).items():
        leads = [one for name in inside for one in evidence[name] if one.by == "address"]
        for one in led.serving(zone):
            about[one.server].append(_serves_sinkhole(one, leads))
            names[one.server].update(inside)
            zones[one.server].add(zone)
    asks = registrars(registrations, sorted(about))
    found = []
    for value in sorted(about):
        states = judge.states(about[value])
        found.append(
            _server(
                "name_server",
                value,
                states,
                about[value],
                judge,
                lives=judge.lives(states, about[value]),
                names=names[value],
                ask=asks[value],
                other_names=led.degrees.get(value),
                own=len(zones[value]),
            )
        )
    return found


def _serves_sinkhole(server: Evidence, leads: Sequence[Evidence]) -> Evidence:
    """Return a name server as that of a sinkhole if its names led only there, else as it was.

    Who takes names over often has name servers that no list knows.
    """
    if server.state not in LIVE:
        return server
    during = [
        one
        for one in leads
        if one.since <= server.until and one.until > min(server.since + SLACK, server.until)
    ]
    if not during or any(one.state != "sinkholed" for one in during):
        return server
    text = f"{server.what}, which led only to the sinkhole"
    return replace(server, state="sinkholed", whose=during[0].whose, what=text)


def _server(
    kind: Kind,
    value: str,
    states: tuple[Interval, ...],
    evidence: Iterable[Evidence],
    judge: _Judge,
    *,
    lives: bool,
    names: Iterable[str],
    ask: Ask,
    other_names: int | None = None,
    own: int | None = None,
    case_state: str | None = None,
    registered_until: datetime | None = None,
) -> Server:
    end = states[-1]
    inside = sorted(names)
    settled = end.state not in LIVE and end.state != "unknown"
    note = judge.note(states)
    strangers = (other_names or 0) - (len(inside) if own is None else own)
    if strangers >= _STRANGERS and not settled:
        what = "domains are served by it" if kind == "name_server" else "names are known there"
        shared = f"may be shared: {strangers:,} other {what}"
        note = "; ".join(filter(None, (shared, note)))
    return Server(
        kind,
        value,
        "",
        end.state,
        end.whose,
        end.also,
        None if end.state == "unknown" else end.since,
        judge.last(evidence),
        lives,
        note,
        len(inside),
        tuple(inside[:_EXAMPLES]),
        other_names,
        Place(),
        Ask("nobody", end.whose) if settled else ask,
        case_state,
        registered_until,
        states,
    )


def _members(led: Led) -> dict[str, list[str]]:
    members: dict[str, list[str]] = defaultdict(list)
    for name, zone in led.zones.items():
        members[zone].append(name)
    return members


def _plain(one: Evidence) -> Evidence:
    """Return evidence about a name as evidence about the address that it names."""
    return replace(one, state="resolving") if one.state == "reregistered" else one


def _places(reference: Reference, addresses: Sequence[str]) -> dict[str, Place]:
    if not addresses:
        return {}
    parsed = parse(pa.array(addresses, pa.string()))
    rows = reference.lookup(np.ascontiguousarray(to_bytes(parsed.high, parsed.low)))
    names = ("prefix", "asn", "as_name", "country")
    columns = [rows[name].to_pylist() for name in names]
    return {
        address: Place(*values)
        for address, values in zip(addresses, zip(*columns, strict=True), strict=True)
    }


def _grouped(found: Sequence[Server]) -> tuple[Server, ...]:
    """Return servers by whom to ask: who has most to shut down first."""
    living = Counter(one.ask.who for one in found if one.alive)
    return tuple(
        sorted(
            found,
            key=lambda one: (
                -living[one.ask.who],
                one.ask.who,
                not one.alive,
                -one.names,
                one.kind,
                one.value,
            ),
        )
    )
