"""What a DNS message holds by dnspython's word, written the way Remnant writes it.

dnspython reads the names and the data; only the choice of a form is repeated here. Every record is
looked at for itself, so that one that is broken does not hide the others.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.wire

from remnant import names

INTERNET = 1
NO_RECORDS = (41, 249, 250)
"""OPT, TKEY and TSIG belong to the exchange, not to the data."""


def name_text(name: dns.name.Name) -> str:
    return names.wire_to_text(name.canonicalize().to_wire() or b"")


def address_text(packed: bytes) -> str:
    """RFC 5952, with the dotted end for IPv4-mapped addresses alone."""
    if len(packed) == 4:
        return str(ipaddress.IPv4Address(packed))
    address = ipaddress.IPv6Address(packed)
    mapped = address.ipv4_mapped
    return f"::ffff:{mapped}" if mapped is not None else address.compressed


def unknown_text(data: bytes) -> str:
    """RFC 3597, in upper case."""
    return " ".join([r"\#", str(len(data)), *([data.hex().upper()] if data else [])])


def quoted(text: bytes) -> str:
    out = ""
    for byte in text:
        if byte in b'"\\':
            out += "\\" + chr(byte)
        else:
            out += chr(byte) if 0x20 <= byte <= 0x7E else f"\\{byte:03d}"
    return f'"{out}"'


def rdata_text(rdata: Any) -> str | None:
    """The text of data that dnspython has read; ``None`` for a type that Remnant does not know."""
    match dns.rdatatype.to_text(rdata.rdtype):
        case "A" | "AAAA":
            return address_text(rdata.to_wire())
        case "NS" | "CNAME" | "PTR" | "DNAME":
            return name_text(rdata.target)
        case "MX":
            return f"{rdata.preference} {name_text(rdata.exchange)}"
        case "SRV":
            return f"{rdata.priority} {rdata.weight} {rdata.port} {name_text(rdata.target)}"
        case "SOA":
            times = (rdata.serial, rdata.refresh, rdata.retry, rdata.expire, rdata.minimum)
            return " ".join([name_text(rdata.mname), name_text(rdata.rname), *map(str, times)])
        case "TXT" | "SPF":
            return " ".join(map(quoted, rdata.strings))
        case "CAA":
            return f"{rdata.flags} {rdata.tag.decode().lower()} {quoted(rdata.value)}"
        case _:
            return None


def rdata_of(message: bytes, start: int, stop: int, kind: int, group: int = INTERNET) -> Any:
    """The data that stands in a message, ``None`` if it is not what its type says."""
    words = dns.rdataclass.RdataClass.make(group), dns.rdatatype.RdataType.make(kind)
    try:
        return dns.rdata.from_wire(*words, message[:stop], start, stop - start)
    except (dns.exception.DNSException, ValueError):
        return None


def data_text(message: bytes, start: int, stop: int, kind: int) -> str:
    """The text of the data that stands in a message."""
    # dnspython refuses a compressed name in DNAME, Remnant resolves it: as in NS.
    kind = 2 if kind == 39 else kind
    rdata = rdata_of(message, start, stop, kind)
    text = None if rdata is None else rdata_text(rdata)
    return unknown_text(message[start:stop]) if text is None else text


@dataclass
class Said:
    """A message by dnspython's word.

    Attributes:
        header: whether there is one.
        question: name, type, class; ``None`` where there is none.
        bad_question: whether the first question cannot be read.
        records: owner, type, text of those in class IN, section by section.
        odd: what ends or hides records: ``no question``, ``questions``, ``cut``, ``owner``,
            ``trailing``.
        bad_data: whether some data, of any class, is not what its type says.
    """

    header: bool = False
    question: tuple[str, int, int] | None = None
    bad_question: bool = False
    records: list[tuple[str, int, str]] = field(default_factory=list)
    odd: set[str] = field(default_factory=set)
    bad_data: bool = False


def read(message: bytes) -> Said:
    """Read a message name by name and record by record."""
    said = Said()
    if len(message) < 12:
        return said
    said.header = True
    counts = [int.from_bytes(message[at : at + 2], "big") for at in (4, 6, 8, 10)]
    if counts[0] == 0:
        if sum(counts):
            said.odd.add("no question")
        return said
    parser = dns.wire.Parser(message, 12)
    try:
        name, used = dns.name.from_wire(message, 12)
        parser.seek(12 + used)
        said.question = (name_text(name), *parser.get_struct("!HH"))
    except dns.exception.DNSException:
        said.bad_question = True
        return said
    if counts[0] > 1:
        said.odd.add("questions")
        return said
    for _ in range(sum(counts[1:])):
        start = parser.current
        after = _after_name(message, start)
        if after is None or after + 10 > len(message):
            said.odd.add("cut")
            return said
        kind, group, _, size = dns.wire.Parser(message, after).get_struct("!HHIH")
        data = after + 10
        if data + size > len(message):
            said.odd.add("cut")
            return said
        parser.seek(data + size)
        if rdata_of(message, data, data + size, kind, group) is None:
            said.bad_data = True
        try:
            owner = name_text(dns.name.from_wire(message, start)[0])
        except dns.exception.DNSException:
            said.odd.add("owner")
            continue
        if group != INTERNET or kind in NO_RECORDS:
            continue
        said.records.append((owner, kind, data_text(message, data, data + size, kind)))
    if parser.remaining():
        said.odd.add("trailing")
    return said


def _after_name(message: bytes, at: int) -> int | None:
    """Where a name ends, without following its pointers."""
    while at < len(message):
        length = message[at]
        if length >= 0xC0:
            return at + 2 if at + 2 <= len(message) else None
        if length > 63:
            return None
        at += length + 1
        if length == 0:
            return at
    return None
