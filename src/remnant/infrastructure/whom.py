"""Whom to ask to shut a server down, or where to find out.

A network answers for its addresses, a registrar for the names that it registered. Their abuse desks
stand in registration data; where those were not imported, the registry that has them is named. The
registry of an address is that of its block: a block that moved to another registry is found there
all the same, because registries send on to each other.

References:
    RFC 9083 section 10.2.4 (the role ``abuse``), RFC 9224 (which registry has what).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa

from remnant.cases.zones import zone_of
from remnant.enrich.addresses import parse
from remnant.enrich.ranges import find, flatten, from_prefixes
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remnant.infrastructure.registrations import Dated, Registrations

__all__ = ["Ask", "AskKind", "networks", "registrars", "registries", "systems"]

AskKind = Literal["network", "registrar", "nobody"]

_NO_REGISTRY: Final = "no registry gives out this address"


@dataclass(frozen=True, slots=True)
class Ask:
    """Whom to ask.

    Attributes:
        kind: ``network`` for an address, ``registrar`` for a name, ``nobody`` where nobody need be
            asked.
        name: who that is; empty where not known.
        contact: where abuse is reported to: a mail address, else a phone number; empty where not
            known.
        registry: who has the registration data; empty where there is none.
        where: what to ask there, for people.
        as_of: the time of the registration data; empty without.
        redacted: the registry says that it leaves out something about contacts.
        record: which record says so: a range of addresses, or an AS; empty without.
    """

    kind: AskKind
    name: str = ""
    contact: str = ""
    registry: str = ""
    where: str = ""
    as_of: str = ""
    redacted: bool = False
    record: str = ""

    @property
    def who(self) -> tuple[str, str, str, str]:
        """What is the same for servers that are asked about in one letter."""
        registry = "" if self.contact or self.name else self.registry
        return self.kind, self.contact, self.name, registry

    def to_json(self) -> dict[str, Any]:
        """Return plain data; what is not known is null."""
        return {
            "kind": self.kind,
            "name": self.name or None,
            "contact": self.contact or None,
            "registry": self.registry or None,
            "where": self.where or None,
            "as_of": self.as_of or None,
            "redacted": self.redacted,
        }


def networks(
    registrations: Registrations, addresses: Sequence[str], systems: dict[str, int]
) -> dict[str, Ask]:
    """Return whom to ask about each address or prefix, be it of a server or of a client.

    The narrowest network that covers it whole answers, then its AS.

    Args:
        registrations: what registries said.
        addresses: canonical text, of prefixes too.
        systems: the AS of an address, where it is known.
    """
    known = registrations.networks(addresses)
    places = registries(addresses)
    asks = {}
    for address in addresses:
        found = [known[address]] if address in known else []
        system = registrations.system(systems[address]) if address in systems else None
        if system is not None:
            found.append(system)
        asks[address] = _network(address, found, places.get(address))
    return asks


def systems(registrations: Registrations, numbers: Iterable[int]) -> dict[int, Ask]:
    """Return whom to ask about all of each AS: what was said of the AS itself."""
    asks = {}
    for number in numbers:
        said = registrations.system(number)
        where = f"RDAP of AS{number} (IANA's list: data.iana.org/rdap/asn.json)"
        asks[number] = _asked([] if said is None else [said], "", where)
    return asks


def _network(address: str, found: Sequence[Dated], place: tuple[str, str] | None) -> Ask:
    registry = "" if place is None else place[0]
    where = _NO_REGISTRY if place is None else f"RDAP of {address}: {place[1]}ip/{address}"
    return _asked(found, registry, where)


def _asked(found: Sequence[Dated], registry: str, where: str) -> Ask:
    """Return whom the first of some records with a contact names; else what the first one says."""
    for one in found:
        contact = one.registration.contact()
        if contact is not None:
            name = one.registration.name or contact.name or one.registration.handle
            reached = contact.email or contact.phone
            dated, record = iso(one.observed), _record(one)
            return Ask("network", name, reached, registry, where, dated, record=record)
    if found:
        said = found[0]
        name = said.registration.name or said.registration.handle
        redacted = bool(said.registration.redacted)
        dated, record = iso(said.observed), _record(said)
        return Ask("network", name, "", registry, where, dated, redacted, record)
    return Ask("network", registry=registry, where=where)


def _record(said: Dated) -> str:
    one = said.registration
    if one.kind == "autnum":
        return f"AS{one.first}"
    return one.first if one.first == one.last else f"{one.first} - {one.last}"


def registrars(registrations: Registrations, names: Iterable[str]) -> dict[str, Ask]:
    """Return whom to ask about each name: the registrar of its domain."""
    zones = {name: zone_of(name) for name in names}
    known = registrations.domains(sorted(set(zones.values())))
    return {name: _registrar(zone, known.get(zone, [])) for name, zone in zones.items()}


def _registrar(zone: str, history: Sequence[Dated]) -> Ask:
    top = zone.rpartition(".")[2] or zone
    registry = f"the registry of .{top}"
    where = f"RDAP of {zone} at {registry} (IANA's list: data.iana.org/rdap/dns.json)"
    named = [one for one in history if one.registration.found]
    if not named:
        return Ask("registrar", registry=registry, where=where)
    said = named[-1].registration
    contact = said.contact("registrar")
    reached = "" if contact is None else contact.email or contact.phone
    redacted = not reached and bool(said.redacted)
    dated = iso(named[-1].observed)
    return Ask("registrar", said.registrar, reached, registry, where, dated, redacted)


def registries(addresses: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return name and RDAP server of the registry that gives out each address.

    >>> registries(["192.0.2.1", "10.0.0.1"])
    {'192.0.2.1': ('ARIN', 'https://rdap.arin.net/registry/')}
    """
    if not addresses:
        return {}
    segments, rows = _blocks()
    parsed = parse(pa.array(addresses, pa.string()))
    at = find(segments, parsed.high, parsed.low)
    owner = np.where((at >= 0) & (parsed.length >= 0), segments.owner[at], -1).tolist()
    return {a: rows[row] for a, row in zip(addresses, owner, strict=True) if row >= 0}


@cache
def _blocks() -> tuple[Any, list[tuple[str, str]]]:
    file = resources.files("remnant.infrastructure").joinpath("known", "registries.csv")
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    parsed = parse(pa.array([row["prefix"] for row in rows], pa.string()))
    segments = flatten(from_prefixes(parsed.high, parsed.low, parsed.length))
    return segments, [(row["registry"], row["rdap"]) for row in rows]
