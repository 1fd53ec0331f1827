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

from remnant.cases.model import SinkholeConfig
from remnant.cases.zones import zone_of
from remnant.errors import CaseError
from remnant.names import is_below, labels_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from remnant.cases.model import Case
    from remnant.watchlist import Rule

__all__ = ["OWN_SERVERS", "REFUSED_STATES", "Answering", "Zone", "served_zones", "text_labels"]

OWN_SERVERS: Final = ("sinkhole-ns1", "sinkhole-ns2")
"""Labels of the name servers in a zone whose case names none."""

REFUSED_STATES: Final = frozenset({"live", "lost"})
"""Names in these states are not the sinkhole's: they are answered as names of strangers."""


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
        return name in self.exact or any(is_below(name, top) for top in self.below)

    def between(self) -> Iterator[str]:
        """Yield the names that exist only because of a name below them, the apex not among them."""
        seen: set[str] = set()
        for name in (*self.exact, *self.below, *self.servers_inside):
            labels = text_labels(name)
            for depth in range(1, len(labels)):
                above = ".".join(labels[depth:])
                if above in seen or not is_below(above, self.name) or above == self.name:
                    break
                seen.add(above)
                if not self.watched(above) and above not in self.servers_inside:
                    yield above


def text_labels(name: str) -> list[str]:
    r"""Return the labels of a folded name as text, escapes kept.

    >>> text_labels(r"a\.b.example")
    ['a\\.b', 'example']
    """
    if "\\" not in name:
        return name.split(".")
    count = len(labels_of(name))
    labels, rest = [], name
    for _ in range(count - 1):
        position = 0
        while rest[position] != ".":
            position += 2 if rest[position] == "\\" else 1
        labels.append(rest[:position])
        rest = rest[position + 1 :]
    return [*labels, rest]


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
    for case, rules in cases:
        answering = _answering(case, answer, serials[case.name])
        found = 0
        for rule in rules:
            if rule.kind not in {"exact", "below"} or rule.state in REFUSED_STATES:
                continue
            if rule.until is not None and rule.until <= now:
                continue
            name = rule.text.removeprefix("*.")
            top = rule.zone or zone_of(name)
            zone = zones.get(top)
            if zone is None:
                zone = zones[top] = Zone(top, answering, [case.name])
            elif zone.cases[-1] != case.name:
                zone.cases.append(case.name)
            (zone.exact if rule.kind == "exact" else zone.below)[name] = None
            found += 1
        if not found:
            raise CaseError(
                "this case has no name for a sinkhole to answer",
                where=case.name,
                expected="a watched name whose state is seized, suspended or unknown",
                hint="names that are live or lost are not the sinkhole's",
            )
    return list(zones.values())


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
    parsed = [ipaddress.ip_address(text) for text in addresses]
    return Answering(
        case=case.name,
        ipv4=tuple(str(address) for address in parsed if address.version == 4),
        ipv6=tuple(str(address) for address in parsed if address.version == 6),
        ttls=config.ttl_arms or (config.ttl,),
        serial=serial,
        config=config,
    )
