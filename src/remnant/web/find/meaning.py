"""What a person may mean by a text: a name, an address or prefix, an AS, a country.

A text can mean several things: ``de`` is a country, a domain and the beginning of many words. What
people paste is understood too: addresses of pages, ``hxxp``, ``[.]``, a dot or a port at the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remnant.enrich.content import MAX_ASN
from remnant.names import NameSyntaxError, fold
from remnant.report.lands import find
from remnant.web.places.prefixes import PrefixError, parse

if TYPE_CHECKING:
    from remnant.web.places.prefixes import Network

__all__ = ["MOST", "Meaning", "read"]

MOST: Final = 255
"""Characters of a search."""

_URL: Final = re.compile(r"(?i)^(?:[a-z][a-z0-9+.-]{0,20}:)?//(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)")
_PORT: Final = re.compile(r"^(\[[^\]]*\]|[^:/]+):\d{1,5}$")
_AS: Final = re.compile(r"(?i)^as\s?(\d{1,10})$|^(\d{1,10})$")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a text may mean.

    Attributes:
        text: as written, blanks made even.
        name: a folded domain name; null where it cannot be one.
        network: a prefix, or an address as the prefix of its own.
        asn: an AS number.
        countries: codes, the likeliest first.
        words: in small letters, to look for inside of names; empty where that would find anything.
    """

    text: str
    name: str | None = None
    network: Network | None = None
    asn: int | None = None
    countries: tuple[str, ...] = ()
    words: str = ""

    @property
    def is_address(self) -> bool:
        """Whether it is one address."""
        return self.network is not None and self.network.num_addresses == 1


def read(text: str) -> Meaning:
    """Return what a text may mean; never fails.

    >>> read("hxxps://EVIL[.]example:8080/x?y").name, read("AS64500").asn, read("Germany").countries
    ('evil.example', 64500, ('DE',))
    >>> str(read("192.0.2.0/24").network), read(" ").text
    ('192.0.2.0/24', '')
    """
    even = " ".join("".join(c if c.isprintable() else " " for c in text[:MOST]).split())
    if not even:
        return Meaning("")
    core = _core(even)
    network = _network(core)
    number = _AS.match(even)
    asn = int(number[1] or number[2]) if number else None
    if asn is not None and not 0 < asn <= MAX_ASN:
        asn = None
    name = None if network is not None or asn is not None else _name(core)
    words = (core if name else even).casefold().rstrip(".")
    return Meaning(
        text=even,
        name=name,
        network=network,
        asn=asn,
        countries=() if network is not None or number else tuple(find(even)),
        words=words if len(words) > 1 else "",
    )


def _core(text: str) -> str:
    """Return the host or network in what somebody pasted."""
    plain = text.replace("[.]", ".").replace("(.)", ".").replace("[:]", ":")
    plain = re.sub(r"(?i)^hxxp", "http", plain)
    found = _URL.match(plain)
    if found:
        plain = found[1]
    elif "/" in plain and _network(plain) is None:
        plain = plain.partition("/")[0]
    if "@" in plain:
        plain = plain.rpartition("@")[2]
    port = _PORT.match(plain)
    if port:
        plain = port[1]
    return plain.strip("[]\"'<>,; ")


def _network(text: str) -> Network | None:
    if "." not in text and ":" not in text:
        return None
    try:
        return parse(text)
    except PrefixError:
        return None


def _name(text: str) -> str | None:
    if " " in text or not text.strip("."):
        return None
    try:
        return fold(text.removeprefix("*."))
    except (NameSyntaxError, UnicodeError):
        return None
