"""Prefixes as people write them, and the rows of ``clients`` that lie in one."""

from __future__ import annotations

import ipaddress
from typing import Any, Final, TypeAlias

from remnant.errors import RemnantError
from remnant.web.access.networks import owned
from remnant.web.access.viewer import Role, Viewer

__all__ = ["Network", "PrefixError", "inside", "parse", "subnet"]

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_UNIT_BITS: Final = 64
_LONGEST: Final = 60


class PrefixError(RemnantError):
    """A text that is neither an address nor a prefix."""


def parse(text: str) -> Network:
    """Return the prefix that a person wrote; host bits are dropped, an address is its own prefix.

    >>> str(parse("192.0.2.77/24")), str(parse("2001:DB8::1")), str(parse("::ffff:192.0.2.1"))
    ('192.0.2.0/24', '2001:db8::1/128', '192.0.2.1/32')

    Raises:
        PrefixError: it is neither.
    """
    try:
        # A zone (fe80::1%eth0) means nothing here, and is no address then.
        network = ipaddress.ip_network(text.strip()[:_LONGEST].replace("%", "?"), strict=False)
    except ValueError:
        raise PrefixError(
            "this is no address and no prefix",
            got=text[:_LONGEST],
            expected="a prefix such as 192.0.2.0/24 or 2001:db8::/48",
        ) from None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network((mapped, network.prefixlen - 96), strict=False)
    return network


def counting_unit(network: Network) -> Network:
    """Return the prefix, or the /64 around it: what is longer cannot be told apart."""
    if network.version == 6 and network.prefixlen > _UNIT_BITS:
        return network.supernet(new_prefix=_UNIT_BITS)
    return network


def inside(rows: Any, network: Network) -> Any:
    """Return the Ibis condition for the rows of ``clients`` in a prefix."""
    unit = counting_unit(network)
    lies = owned(Viewer("", Role.OWNER, (str(unit),)), rows.asn, rows.address)
    begin = _beginning(unit)
    # Comparing the first letters is cheap, and leaves few rows for the exact comparison.
    return rows.address.startswith(begin) & lies if begin else lies


def _beginning(network: Network) -> str:
    """Return what the texts of all clients in a prefix begin with; may be empty."""
    if network.version == 4:
        octets = str(network.network_address).split(".")[: network.prefixlen // 8]
        return "".join(f"{octet}." for octet in octets) if network.prefixlen < 32 else ""
    hextets = network.network_address.exploded.split(":")[: network.prefixlen // 16]
    kept = []
    for hextet in hextets:
        if hextet == "0000":
            # From here on zeros may be left out.
            break
        kept.append(f"{hextet.lstrip('0')}:")
    return "".join(kept)


def subnet(text: str) -> str:
    """Return the canonical text of a prefix whose hextets may hold leading zeros."""
    return str(ipaddress.ip_network(text, strict=False))
