"""The records of the seized zones as they stand in answers, made once.

Zones with the same configuration share theirs: a name inside a zone is written as its own labels
and a pointer to where the zone's name stands in the question, so that nothing of it depends on the
zone.

References:
    RFC 1035 sections 3.3, 3.4 and 4.1.4 (records, compression), RFC 3596 (AAAA), RFC 7208 (SPF),
    RFC 7505 (null MX), RFC 8482 (ANY), RFC 8659 (CAA).
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from remnant.names import text_to_wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeAlias

    from remnant.sinkhole.zones import Zone

__all__ = [
    "AAAA",
    "ANY",
    "APEX",
    "BELOW",
    "BETWEEN",
    "CAA",
    "EXPIRE",
    "MX",
    "NS",
    "REFRESH",
    "RETRY",
    "SERVER",
    "SERVER_TTL",
    "SOA",
    "TXT",
    "WATCHED",
    "A",
    "Records",
    "RrSet",
    "Shared",
    "contact_name",
    "minimum_of",
]

A: Final = 1
NS: Final = 2
SOA: Final = 6
HINFO: Final = 13
MX: Final = 15
TXT: Final = 16
AAAA: Final = 28
CAA: Final = 257
ANY: Final = 255

# What a name of a seized zone is: bits of one number.
WATCHED: Final = 1
APEX: Final = 2
SERVER: Final = 4
BETWEEN: Final = 8
"""It exists because of a name below it."""
BELOW: Final = 16
"""Everything below it is watched as well."""

SERVER_TTL: Final = 3600
"""Seconds that resolvers may keep NS records, and addresses of name servers nobody watches."""
REFRESH: Final = 14_400
RETRY: Final = 3600
EXPIRE: Final = 1_209_600
_LEAST_MINIMUM: Final = 300

_HEADER_BYTES: Final = 12
_OWNER: Final = b"\xc0\x0c"
"""A pointer to the name in the question."""
_NULL_MX: Final = b"\0\0\0"
_SPF: Final = b"\x0bv=spf1 -all"
_NO_ISSUER: Final = b"\0\x05issue;"
_NO_ANY: Final = b"\x07RFC8482\0"
_KINDS: Final = WATCHED | APEX | SERVER


class RrSet(NamedTuple):
    """The records of an answer, without the OPT record.

    Attributes:
        answers: how many are in the answer section.
        authorities: how many are in the authority section.
        data: the records one after the other.
        ttl: of the address that they give, in seconds; -1 if they give none.
    """

    answers: int
    authorities: int
    data: bytes
    ttl: int


if TYPE_CHECKING:
    Tables: TypeAlias = tuple[Mapping[int, RrSet], ...]


class Records:
    """What is answered in zones with the same configuration.

    Attributes:
        tables: for each time to live, and for what a name is (``WATCHED | APEX | SERVER``), the
            records of each type.
    """

    __slots__ = ("_rname", "_server", "_soa", "_tail", "_ttl", "tables")

    def __init__(self, zone: Zone) -> None:
        answering = zone.answering
        self._ttl = answering.ttls[0]
        self._server = _relative(text_to_wire(zone.nameservers[0]), zone.name)
        self._rname = _relative(contact_name(zone.contact), zone.name)
        minimum = minimum_of(self._ttl)
        self._tail = struct.pack(
            "!5I", answering.serial & 0xFFFFFFFF, REFRESH, RETRY, EXPIRE, minimum
        )
        self._soa: dict[int, RrSet] = {}
        self.tables: tuple[Tables, ...] = tuple(self._of_arm(zone, ttl) for ttl in answering.ttls)

    def soa(self, position: int) -> RrSet:
        """Return what says "no": the SOA record in the authority section.

        Args:
            position: where the zone's name begins in the question, counted from the start of the
                message: 12 to 266, so that no more answers are kept than that.
        """
        record = self._soa.get(position)
        if record is None:
            pointer = (0xC000 | position).to_bytes(2, "big")
            data = _placed(self._server, pointer) + _placed(self._rname, pointer) + self._tail
            record = RrSet(0, 1, _record(pointer, SOA, self._ttl, data), -1)
            self._soa[position] = record
        return record

    def _of_arm(self, zone: Zone, ttl: int) -> Tables:
        """Return the records of each type, for each of the eight things a name can be."""
        first = self._ttl
        addresses = _addresses(zone, ttl)
        anything = {ANY: _rrset(HINFO, first, [_NO_ANY])}
        extra = {kind: _rrset(kind, first, [data]) for kind, data in _extra(zone)}
        servers = [
            _placed(_relative(text_to_wire(name), zone.name), _OWNER) for name in zone.nameservers
        ]
        apex = {
            SOA: RrSet(1, 0, self.soa(_HEADER_BYTES).data, -1),
            NS: _rrset(NS, SERVER_TTL, servers),
        }
        tables = []
        for kind in range(_KINDS + 1):
            table: dict[int, RrSet] = dict(anything) if kind else {}
            if kind & SERVER:
                table |= _addresses(zone, SERVER_TTL)
            if kind & WATCHED:
                table |= addresses
            if kind & (WATCHED | APEX):
                table |= extra
            if kind & APEX:
                table |= apex
            tables.append(table)
        return tuple(tables)


class Shared:
    """Gives zones with the same configuration the same records."""

    def __init__(self) -> None:
        self._known: dict[object, Records] = {}

    def of(self, zone: Zone) -> Records:
        """Return the records of a zone."""
        answering, config = zone.answering, zone.answering.config
        # Names that the zone gives itself are the same in every zone, as far as they are written.
        servers = tuple(_relative(text_to_wire(name), zone.name) for name in config.nameservers)
        contact = _relative(contact_name(zone.contact), zone.name) if config.contact else None
        key = (answering, servers, contact)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Records(zone)
        return found


def minimum_of(ttl: int) -> int:
    """Return the last number of a zone's SOA, in seconds."""
    return max(_LEAST_MINIMUM, ttl)


def contact_name(contact: str) -> bytes:
    r"""Return the wire name of a mail address; dots before the ``@`` do not part labels.

    >>> contact_name("j.doe@example")
    b'\x05j.doe\x07example\x00'
    """
    local, _, domain = contact.rpartition("@")
    label = local.encode()
    return bytes((len(label),)) + label + text_to_wire(domain)


def _relative(name: bytes, zone: str) -> tuple[bytes, bool]:
    """Return (the labels of a wire name before the zone's, whether the zone's follow).

    A name outside the zone is returned as a whole, its root label included.
    """
    folded, top = name.lower(), text_to_wire(zone)
    position = 0
    while True:
        if folded[position:] == top:
            return name[:position], True
        if not name[position]:
            return name, False
        position += 1 + name[position]


def _placed(name: tuple[bytes, bool], pointer: bytes) -> bytes:
    labels, inside = name
    return labels + pointer if inside else labels


def _record(owner: bytes, kind: int, ttl: int, data: bytes) -> bytes:
    return owner + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


def _rrset(kind: int, ttl: int, datas: Iterable[bytes]) -> RrSet:
    records = [_record(_OWNER, kind, ttl, data) for data in datas]
    return RrSet(len(records), 0, b"".join(records), ttl if kind in {A, AAAA} else -1)


def _addresses(zone: Zone, ttl: int) -> dict[int, RrSet]:
    """Return the addresses of each family that there are any of."""
    found = {}
    for kind, texts in ((A, zone.answering.ipv4), (AAAA, zone.answering.ipv6)):
        if texts:
            found[kind] = _rrset(kind, ttl, [ipaddress.ip_address(text).packed for text in texts])
    return found


def _extra(zone: Zone) -> list[tuple[int, bytes]]:
    config = zone.answering.config
    wanted = (
        (config.null_mx, MX, _NULL_MX),
        (config.spf, TXT, _SPF),
        (config.caa, CAA, _NO_ISSUER),
    )
    return [(kind, data) for asked, kind, data in wanted if asked]
