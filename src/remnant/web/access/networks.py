"""Whose network: what a network owner's account names, and which addresses lie in it.

An account names ASes (``AS64500``) and prefixes (``192.0.2.0/24``, ``2001:db8::/32``). An AS counts
as the reference data said it when the client was stored; a prefix counts by the address alone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from remnant.errors import AccessError
from remnant.web.access.viewer import Role, Viewer

__all__ = ["covers", "owned", "owns", "parse_networks"]

_AS: Final = re.compile(r"(?:AS)?([1-9]\d{0,9}|0)", re.IGNORECASE)
_MOST: Final = 1_000
_UNIT_BITS: Final = 64
"""Length of the prefix that counts as one client in IPv6."""
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(maxsize=4_096)
def _parse(networks: tuple[str, ...]) -> tuple[frozenset[int], tuple[_Network, ...]]:
    numbers, prefixes = set(), []
    for text in networks:
        found = _AS.fullmatch(text)
        if found and int(found[1]) < 1 << 32:
            numbers.add(int(found[1]))
            continue
        try:
            prefixes.append(ipaddress.ip_network(text))
        except ValueError:
            raise AccessError(
                "this is no network",
                got=text,
                expected="an AS such as AS64500, or a prefix such as 192.0.2.0/24",
                hint="the bits of a prefix after its length are zero",
            ) from None
    return frozenset(numbers), tuple(prefixes)


def parse_networks(texts: Iterable[str]) -> tuple[str, ...]:
    """Return networks in one spelling, sorted, each once.

    >>> parse_networks(["as64500", "192.0.2.0/24", "64500"])
    ('AS64500', '192.0.2.0/24')

    Raises:
        AccessError: one is neither an AS nor a prefix, or there are too many.
    """
    given = tuple(texts)
    if len(given) > _MOST:
        raise AccessError("an account has too many networks", expected=f"{_MOST} at most")
    numbers, prefixes = _parse(given)
    return tuple(f"AS{number}" for number in sorted(numbers)) + tuple(
        str(prefix) for prefix in sorted(set(prefixes), key=lambda p: (p.version, p))
    )


def covers(networks: tuple[str, ...], address: str) -> bool:
    """Return whether an address, or a prefix as a whole, lies in one of some prefixes."""
    try:
        inner = ipaddress.ip_network(address)
    except ValueError:
        return False
    return any(
        inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
        for outer in _parse(networks)[1]
    )


def owns(viewer: Viewer, asn: int | None = None, address: str | None = None) -> bool:
    """Return whether a viewer may see the clients of an AS, or an address or prefix.

    Args:
        viewer: who asks; analysts and operators see all, the public nothing.
        asn: origin AS of what is asked for, where it is known.
        address: an address, or a prefix: then all of it must be the viewer's.
    """
    if viewer.is_internal:
        return True
    if viewer.role is not Role.OWNER:
        return False
    if asn is not None and asn in _parse(viewer.networks)[0]:
        return True
    return address is not None and covers(viewer.networks, address)


def owned(viewer: Viewer, asn: Any, address: Any = None) -> Any:
    """Return the Ibis condition for the rows that a viewer may see exactly.

    Args:
        viewer: who asks.
        asn: the column of origin ASes.
        address: the column of addresses as text (``clients``); ``None`` where there is none
            (``sightings``): then a viewer's prefixes match nothing.

    Returns:
        A boolean expression; never null.
    """
    import ibis

    if viewer.is_internal:
        return ibis.literal(True)
    numbers, prefixes = _parse(viewer.networks) if viewer.role is Role.OWNER else ((), ())
    found = ibis.literal(False)
    if numbers:
        found = found | asn.isin(sorted(numbers)).fill_null(False)
    if address is not None and prefixes:
        found = found | _inside(address, prefixes)
    return found


def _inside(address: Any, prefixes: Iterable[_Network]) -> Any:
    """Return whether an address as text lies in one of some prefixes.

    Digits of one width compare as text the way their numbers do, in every engine.
    """
    import ibis

    four = _digits(address, ".", 4, 3)
    # A unit is a /64: what stands before "::" are its hextets, but for zeros at their end.
    six = _digits(address.split("::")[0], ":", 4, 4)
    is_six = address.contains(":").fill_null(False)
    found = ibis.literal(False)
    for prefix in prefixes:
        if isinstance(prefix, ipaddress.IPv4Network):
            low, high = (
                "".join(f"{octet:03d}" for octet in edge.packed)
                for edge in (prefix.network_address, prefix.broadcast_address)
            )
            found = found | (~is_six & four.between(low, high))
        elif prefix.prefixlen <= _UNIT_BITS:
            low, high = (
                edge.packed[:8].hex() for edge in (prefix.network_address, prefix.broadcast_address)
            )
            found = found | (is_six & six.between(low, high))
    return found.fill_null(False)


def _digits(text: Any, mark: str, parts: int, width: int) -> Any:
    pieces = text.split(mark)
    whole = pieces[0].fill_null("").lpad(width, "0")
    for number in range(1, parts):
        whole = whole + pieces[number].fill_null("").lpad(width, "0")
    return whole
