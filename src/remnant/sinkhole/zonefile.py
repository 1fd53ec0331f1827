r"""Seized zones as master files, which answer in any name server as our own sinkhole does.

All names inside a zone are written relative to it. So zones that hold the same, such as those of
generated names, have the same text, and share one file.

A wildcard does not apply below a name that exists. Where everything below a name is watched, each
name that exists there gets the addresses, and a wildcard of its own.

Names come from attackers: every byte but letters, digits, ``-`` and ``_`` is written as ``\DDD``.

References:
    RFC 1035 section 5 (master files), RFC 2308 (negative answers), RFC 4592 section 3.3
    (wildcards), RFC 7208 (SPF), RFC 7505 (null MX), RFC 8659 (CAA).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remnant.errors import ExportError
from remnant.names import is_below, labels_of
from remnant.sinkhole.records import EXPIRE, REFRESH, RETRY, SERVER_TTL, minimum_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.sinkhole.zones import Zone

__all__ = [
    "ZoneText",
    "ZoneTexts",
    "absolute",
    "address_data",
    "contact_name",
    "extra_data",
    "is_single",
    "quoted",
    "relative",
    "safe_name",
    "zone_text",
]

_PLAIN: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_SAFE: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")


@dataclass(frozen=True, slots=True)
class ZoneText:
    """A master file without its serial.

    Attributes:
        before: what stands before the serial.
        after: what stands after it.
    """

    before: str
    after: str

    def with_serial(self, serial: int) -> str:
        """Return the whole text."""
        return f"{self.before}{serial}{self.after}"


def safe_name(name: str) -> str:
    r"""Return a folded name as it may stand in a master file, without a dot at the end.

    >>> safe_name("a;b$.evil.example")
    'a\\059b\\036.evil.example'
    """
    if _PLAIN.fullmatch(name):
        return name
    return ".".join(map(_label, labels_of(name)))


def _label(label: bytes) -> str:
    return "".join(chr(byte) if byte in _SAFE else f"\\{byte:03d}" for byte in label)


def absolute(name: str) -> str:
    """Return a folded name for a master file, as seen from the root.

    >>> absolute("evil.example")
    'evil.example.'
    """
    return safe_name(name) + "."


def relative(name: str, zone: str) -> str:
    """Return a folded name for the master file of a zone: names outside with a dot at the end.

    >>> [relative(name, "evil.example") for name in ("a.evil.example", "evil.example", "b.example")]
    ['a', '@', 'b.example.']
    """
    if name == zone:
        return "@"
    if is_below(name, zone):
        return safe_name(name[: -len(zone) - 1])
    return absolute(name)


def contact_name(contact: str) -> str:
    r"""Return the folded name that stands for a mail address in an SOA record.

    >>> contact_name("j.doe@example.org")
    'j\\.doe.example.org'
    """
    local, _, domain = contact.partition("@")
    label = local.lower().replace("\\", "\\\\").replace(".", "\\.")
    return f"{label}.{domain.lower()}"


def quoted(text: str) -> str:
    r"""Return a text as the character strings of a TXT record, of at most 255 bytes each.

    >>> quoted('say "no"')
    '"say \\034no\\034"'
    """
    data = text.encode()
    parts = [data[start : start + 255] for start in range(0, len(data), 255)] or [b""]
    return " ".join(f'"{"".join(map(_text_byte, part))}"' for part in parts)


def _text_byte(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\{byte:03d}"


def address_data(zone: Zone) -> list[tuple[str, str]]:
    """Return type and data of the records that hold the sinkhole's addresses."""
    return [
        *(("A", text) for text in zone.answering.ipv4),
        *(("AAAA", text) for text in zone.answering.ipv6),
    ]


def extra_data(zone: Zone) -> list[tuple[str, str]]:
    """Return type and data of what else watched names and the zone itself have."""
    config = zone.answering.config
    found = []
    if config.null_mx:
        found.append(("MX", "0 ."))
    if config.spf:
        found.append(("TXT", '"v=spf1 -all"'))
    if config.caa:
        found.append(("CAA", '0 issue ";"'))
    return found


def zone_text(zone: Zone) -> ZoneText:
    """Return the master file of a zone, its records in a fixed order.

    Raises:
        ExportError: a name of the zone has a star as its first label.
    """
    top, ttl = zone.name, zone.answering.ttls[0]
    primary = relative(zone.nameservers[0], top)
    contact = relative(contact_name(zone.contact), top)
    before = f"@ {ttl} IN SOA {primary} {contact} "
    lines = [f" {REFRESH} {RETRY} {EXPIRE} {minimum_of(ttl)}"]
    lines += [f"@ {SERVER_TTL} IN NS {relative(name, top)}" for name in zone.nameservers]
    lines += _records(zone)
    return ZoneText(before, "\n".join(lines) + "\n")


def _records(zone: Zone) -> Iterator[str]:
    """Yield the lines of what names have, the apex first, then by relative name."""
    top, ttl = zone.name, zone.answering.ttls[0]
    addresses, extra = address_data(zone), extra_data(zone)
    watched = "".join(f" {ttl} IN {kind} {data}\n" for kind, data in (*addresses, *extra))[:-1]
    served = "".join(f" {SERVER_TTL} IN {kind} {data}\n" for kind, data in addresses)[:-1]
    bare = "".join(f" {ttl} IN {kind} {data}\n" for kind, data in extra)[:-1]

    owners = dict.fromkeys(zone.existing(), "")
    owners |= dict.fromkeys(zone.servers_inside, served)
    if bare:
        owners[top] = "\n".join(filter(None, (owners[top], bare)))
    owners |= dict.fromkeys((*zone.exact, *zone.below), watched)
    # What lies below a covered name exists, so that the wildcard above it ends there.
    covered = sorted(name for name in owners if zone.covered(name))
    owners |= dict.fromkeys(covered, watched)
    for name in sorted(owners, key=lambda name: (name != top, name)):
        if name.startswith("*."):
            raise ExportError(
                "a name with a star as its first label would stand for all names beside it",
                got=name,
                expected="the name without the star",
            )
        if owners[name]:
            yield _with_owner(relative(name, top), owners[name])
    for name in covered:
        owner = relative(name, top)
        if len(name) < _LONG or _fits(name):
            yield _with_owner("*" if owner == "@" else f"*.{owner}", watched)


_LONG: Final = 240


def _fits(name: str) -> bool:
    """Return whether a name may have names below it: a label of one byte, and its length."""
    return sum(len(label) + 1 for label in labels_of(name)) + 1 <= 253


def _with_owner(owner: str, lines: str) -> str:
    return "\n".join(owner + line for line in lines.split("\n"))


def is_single(zone: Zone) -> bool:
    """Return whether a zone holds one watched name, itself, and names nothing else inside it.

    Such zones are alike but for their names, where they answer for the same case.
    """
    if zone.below or len(zone.exact) != 1 or zone.name not in zone.exact:
        return False
    config = zone.answering.config
    domain = config.contact.partition("@")[2].lower()
    return not any(is_below(name, zone.name) for name in (*config.nameservers, domain))


class ZoneTexts:
    """Makes master files; those of zones that hold one watched name, themselves, only once."""

    def __init__(self) -> None:
        self._known: dict[int, ZoneText] = {}

    def of(self, zone: Zone) -> ZoneText:
        """Return the master file of a zone."""
        if not is_single(zone):
            return zone_text(zone)
        known = self._known.get(id(zone.answering))
        if known is None:
            known = self._known[id(zone.answering)] = zone_text(zone)
        return known
