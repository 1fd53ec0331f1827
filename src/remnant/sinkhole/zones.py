"""What the sinkhole serves: the seized zones of its cases, and the names in each.

A zone of the sinkhole is a seized zone of a case (``cases.zones``). Inside it, a name that the case
watches has the sinkhole's addresses; with ``*.`` everything below it as well. A name between two of
these exists and has no data. Everything else in the zone does not exist, and is news when somebody
asks for it.

References:
    RFC 1034 (zones), RFC 4592 section 2.2.2 (names that exist because of those below them).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from remnant.cases.model import MAX_SINK_ADDRESSES, SinkholeConfig
from remnant.cases.zones import zone_of
from remnant.errors import CaseError
from remnant.names import NameSyntaxError, is_below, text_to_wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from remnant.cases.model import Case
    from remnant.watchlist import Rule

__all__ = ["OWN_SERVERS", "REFUSED_STATES", "Answering", "Zone", "names_above", "served_zones"]

OWN_SERVERS: Final = ("sinkhole-ns1", "sinkhole-ns2")
"""Labels of the name servers in a zone whose case names none."""

REFUSED_STATES: Final = frozenset({"live", "lost"})
"""Names in these states are not the sinkhole's: they are answered as names of strangers."""


_LONG: Final = 200
"""Characters of a zone's name from which on its own records might not fit."""


@dataclass(frozen=True, slots=True)
class Answering:
    """What the names of one case are answered with.

    Attributes:
        case: name of the case.
        ipv4: the sinkhole's IPv4 addresses.
        ipv6: its IPv6 addresses.
        ttls: one time to live in seconds, or two of which each answer gets one at random.
        serial: of the SOA.
        config: the case's ``[sinkhole]`` table.
    """

    case: str
    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]
    ttls: tuple[int, ...]
    serial: int
    config: SinkholeConfig = field(default_factory=SinkholeConfig)


@dataclass(slots=True)
class Zone:
    """One seized zone.

    Attributes:
        name: folded.
        answering: what its names get: that of the first case that has the zone.
        cases: every case that has names in it, in the order given.
        exact: watched names, each itself only.
        below: watched names that stand for everything below as well.
    """

    name: str
    answering: Answering
    cases: list[str]
    exact: dict[str, None] = field(default_factory=dict)
    below: dict[str, None] = field(default_factory=dict)

    @property
    def nameservers(self) -> tuple[str, ...]:
        """The names that stand in NS; the first one stands in the SOA as well."""
        own = tuple(f"{label}.{self.name}" for label in OWN_SERVERS)
        return self.answering.config.nameservers or own

    @property
    def servers_inside(self) -> tuple[str, ...]:
        """Those of the name servers that lie in this zone: they have the sinkhole's addresses."""
        return tuple(name for name in self.nameservers if is_below(name, self.name))

    @property
    def contact(self) -> str:
        """The mail address of the SOA, as text with ``@``."""
        return self.answering.config.contact or f"hostmaster@{self.name}"

    def watched(self, name: str) -> bool:
        """Return whether a folded name has the sinkhole's addresses because a case watches it."""
        return name in self.exact or self.covered(name)

    def covered(self, name: str) -> bool:
        """Return whether a folded name is one of ``below``, or lies below one of them."""
        return bool(self.below) and (
            name in self.below or any(above in self.below for above in names_above(name))
        )

    def existing(self) -> set[str]:
        """Return the names that exist: the zone's, watched ones, servers, and all above these."""
        stated = (*self.exact, *self.below, *self.servers_inside)
        found = {self.name, *stated}
        for name in stated:
            if name == self.name:
                continue
            for above in names_above(name):
                # What was found before brought the names above itself.
                if above in found:
                    break
                found.add(above)
        return found

    def between(self) -> Iterator[str]:
        """Yield the names that exist only because of a name below them, the apex not among them."""
        stated = {self.name, *self.exact, *self.below, *self.servers_inside}
        for name in sorted(self.existing() - stated):
            if not self.covered(name):
                yield name


def names_above(name: str) -> Iterator[str]:
    """Yield the names above a folded one, the nearest first, the root not among them."""
    if "\\" not in name:
        position = name.find(".")
        while position >= 0:
            yield name[position + 1 :]
            position = name.find(".", position + 1)
        return
    position = 0
    while position < len(name):
        if name[position] == "\\":
            position += 2
            continue
        if name[position] == ".":
            yield name[position + 1 :]
        position += 1


def served_zones(
    cases: Sequence[tuple[Case, Sequence[Rule]]],
    *,
    answer: Sequence[str] = (),
    now: int,
    serials: Mapping[str, int],
) -> list[Zone]:
    """Return the zones that a sinkhole for these cases serves, in the order of their first name.

    Args:
        cases: each case and its compiled rules.
        answer: addresses that take the place of those in the cases.
        now: the time (UTC microseconds): names that were lost before it are not served.
        serials: the SOA serial of each case.

    Raises:
        CaseError: a case says no address and none is given, or it has no name to serve.
    """
    zones: dict[str, Zone] = {}
    served: list[tuple[str, Rule, str]] = []
    for case, rules in cases:
        answering = _answering(case, answer, serials[case.name])
        before = len(served)
        for rule in rules:
            if not _is_served(rule, now):
                continue
            name = rule.text.removeprefix("*.")
            top = rule.zone or zone_of(name)
            if top not in zones:
                zones[top] = Zone(top, answering, [])
                _check_room(zones[top])
            served.append((name, rule, case.name))
        if len(served) == before:
            raise CaseError(
                "this case has no name for a sinkhole to answer",
                where=case.name,
                expected="a watched name whose state is seized, suspended or unknown",
                hint="names that are live or lost are not the sinkhole's",
            )
    for name, rule, owner in served:
        _put(zones, name, rule, owner)
    for zone in zones.values():
        # All its names may lie in a zone within it: it is still answered for.
        if not zone.cases:
            zone.cases.append(zone.answering.case)
    _inherit(zones)
    return list(zones.values())


def _is_served(rule: Rule, now: int) -> bool:
    if rule.kind not in {"exact", "below"} or rule.state in REFUSED_STATES:
        return False
    # The end of generated names says for which days they are made, not that they were lost.
    return rule.until is None or rule.until > now or rule.valid_until is not None


def _put(zones: Mapping[str, Zone], name: str, rule: Rule, case: str) -> None:
    """Put a name into the zone that answers for it: of nested ones the innermost."""
    zone = zones.get(name)
    if zone is None:
        zone = next(zones[above] for above in names_above(name) if above in zones)
    if not zone.cases or zone.cases[-1] != case:
        zone.cases.append(case)
    (zone.exact if rule.kind == "exact" else zone.below)[name] = None


def _inherit(zones: Mapping[str, Zone]) -> None:
    """Cover a whole zone that lies below a covered name of a zone around it."""
    for name in sorted(zones, key=len):
        outer = next((zones[above] for above in names_above(name) if above in zones), None)
        if outer is not None and outer.covered(name):
            zone = zones[name]
            zone.below[name] = None
            zone.cases += [case for case in outer.cases if case not in zone.cases]


def _check_room(zone: Zone) -> None:
    """Refuse a zone whose own records would have names that are too long for DNS."""
    if len(zone.name) < _LONG:
        return
    try:
        for name in (*zone.nameservers, zone.contact.partition("@")[2]):
            text_to_wire(name)
        if not zone.answering.config.contact:
            text_to_wire(f"hostmaster.{zone.name}")
    except NameSyntaxError:
        raise CaseError(
            "the zone's name leaves no room for the names of its servers",
            where=zone.answering.case,
            got=zone.name,
            expected="at most 240 bytes",
            hint="name servers elsewhere: nameservers and contact in the [sinkhole] table",
        ) from None


def _answering(case: Case, answer: Sequence[str], serial: int) -> Answering:
    config = case.sinkhole or SinkholeConfig()
    addresses = tuple(answer) or config.addresses
    if not addresses:
        raise CaseError(
            "the case does not say which address its names get",
            where=case.name,
            expected='addresses = ["192.0.2.53"] in its [sinkhole] table',
            hint="or give the sinkhole's own address on the command line: --answer 192.0.2.53",
        )
    if len(addresses) > MAX_SINK_ADDRESSES:
        # More would not fit in the room that the fast path has for an answer.
        raise CaseError(
            "too many addresses of the sinkhole",
            where=case.name,
            got=len(addresses),
            expected=f"at most {MAX_SINK_ADDRESSES}: larger answers help who floods others",
        )
    parsed = [ipaddress.ip_address(text) for text in addresses]
    return Answering(
        case=case.name,
        ipv4=tuple(str(address) for address in parsed if address.version == 4),
        ipv6=tuple(str(address) for address in parsed if address.version == 6),
        ttls=config.ttl_arms or (config.ttl,),
        serial=serial,
        config=config,
    )
