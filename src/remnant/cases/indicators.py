r"""One indicator as a person wrote it, normalised or refused with a reason.

DNS itself allows any byte in a name. A list of indicators does not: a space, a slash or a colon in
it means that the text is something else (a sentence, a URL, an address with a port), and watching
it as a name would watch nothing without saying so. Bytes other than letters, digits, ``-`` and
``_`` are therefore taken only as explicit escapes (``\032``).

References:
    RFC 1035 section 5.1 (escapes), RFC 4343 (case), RFC 5890 (A-labels), RFC 4291 section 2.5.5.2
    (IPv4-mapped addresses).
"""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from typing import Final

from remnant.errors import CaseError
from remnant.names import NameSyntaxError, fold

__all__ = ["address", "bare", "looks_like_address", "name", "prefix"]

_PLAIN: Final = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
_STRANGE: Final = re.compile(r"[^a-z0-9_.\\-]|\\(?!\d{3}|[.\\])", re.ASCII)
_NUMBERS: Final = re.compile(r"[0-9.]+(?:/[0-9]*)?")
_LONGEST: Final = 1024  # escapes (\DDD) make the text of a 255-byte name up to four times longer
_LONGEST_PLAIN: Final = 253


def bare(text: str) -> str:
    """Return the name of a normalised indicator without its ``*.``.

    >>> bare("*.evil.example")
    'evil.example'
    """
    return text.removeprefix("*.")


def looks_like_address(text: str) -> bool:
    """Return whether a text is an IP address or prefix, or was meant as one.

    >>> looks_like_address("203.0.113.7"), looks_like_address("evil.example")
    (True, False)
    """
    if len(text) > _LONGEST:
        return False
    text = text.strip("[]")
    if _NUMBERS.fullmatch(text) is not None:
        return text.strip(".") != ""
    if ":" not in text:
        return False
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


def name(text: str) -> str:
    """Return a watched name, folded, with ``*.`` kept in front.

    Raises:
        CaseError: the text is not a name that can be watched.

    >>> name("NS1.TimeDate1.COM."), name("*.Evil.Example")
    ('ns1.timedate1.com', '*.evil.example')
    """
    lower = text.lower() if text.isascii() else text
    if len(lower) <= _LONGEST_PLAIN and _PLAIN.fullmatch(lower):
        if not lower[lower.rfind(".") + 1 :].isdigit():
            return lower
    elif len(text) > _LONGEST:
        raise CaseError("the name is too long", got=text, expected="at most 255 bytes")
    star, body = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    if star and body in {"", "."}:
        raise CaseError(
            "this would watch every name there is",
            got=text,
            expected="*. and a name",
            hint="name the domain: *.evil.example",
        )
    if looks_like_address(body):
        raise CaseError(
            "this is an address, not a name",
            got=text,
            expected="a domain name",
            hint='put it in addresses = ["..."] of a [[watch]] table',
        )
    if "*" in body:
        raise CaseError(
            "a star stands only at the beginning, as a whole label",
            got=text,
            expected="*.evil.example",
            hint="*.evil.example is evil.example and everything below it",
        )
    try:
        folded = fold(body)
    except NameSyntaxError as error:
        raise CaseError(error.what, got=text, expected="a domain name") from None
    strange = _STRANGE.search(folded) or (body.isascii() and _STRANGE.search(_unescaped(body)))
    if strange or folded == "." or folded[folded.rfind(".") + 1 :].isdigit():
        raise CaseError(
            "this is not a domain name",
            got=text,
            expected="letters, digits, - and _ in labels with dots between them",
            hint=_hint_for(text),
        )
    return star + folded


def prefix(text: str) -> str:
    """Return a watched address or prefix as CIDR text.

    Raises:
        CaseError: not an address, host bits are set, or it covers every address.

    >>> prefix("203.0.113.7"), prefix("::ffff:203.0.113.0/120")
    ('203.0.113.7/32', '203.0.113.0/24')
    """
    interface = None
    if len(text) <= _LONGEST and "%" not in text:
        with suppress(ValueError):
            interface = ipaddress.ip_interface(text)
    if interface is None:
        raise CaseError(
            "this is not an address or a prefix",
            got=text,
            expected="203.0.113.7, 203.0.113.0/24 or 2001:db8::/48",
            hint="names belong in names = [...]; an address with a port is not an address",
        )
    network = interface.network
    if interface.ip != network.network_address:
        raise CaseError(
            "bits of the prefix are set beyond its length",
            got=text,
            expected=str(network),
            hint=f"write {network} for the whole prefix, or {interface.ip} for the one address",
        )
    if isinstance(network, ipaddress.IPv6Network):
        mapped = network.network_address.ipv4_mapped
        if mapped is not None and network.prefixlen >= 96:
            network = ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    if network.prefixlen == 0:
        raise CaseError(
            "this would watch every address there is", got=text, expected="a longer prefix"
        )
    return str(network)


def address(text: str) -> str:
    """Return one address in canonical text.

    Raises:
        CaseError: not a single address.

    >>> address("2001:DB8:0::53")
    '2001:db8::53'
    """
    if len(text) <= _LONGEST and "%" not in text:
        with suppress(ValueError):
            return str(ipaddress.ip_address(text))
    raise CaseError("this is not an address", got=text, expected="192.0.2.53 or 2001:db8::53")


def _unescaped(text: str) -> str:
    r"""Return a text in lower case without its pairs of backslashes, which are one escape each."""
    return text.lower().replace("\\\\", "")


def _hint_for(text: str) -> str:
    if "/" in text:
        return "a URL or path cannot be watched in DNS; name its host, if all of it is malicious"
    if ":" in text:
        return "leave out the port; an address belongs in addresses = [...]"
    if "[" in text:
        return "write plain dots instead of [.]"
    if any(char.isspace() for char in text):
        return "one name in each string, without spaces"
    return r"a byte that cannot be printed is written as \DDD, its decimal value"
