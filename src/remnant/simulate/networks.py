"""The made-up internet: networks, their countries, sizes, habits and address space.

Only reserved space is used: 10.0.0.0/8 (RFC 1918) and 2001:db8::/32 (RFC 3849) for clients, private
AS numbers (RFC 6996). The prefix table covers every address that a client can have.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from math import ceil, log2
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.errors import SimulationError

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.simulate.scenario import Scenario

__all__ = [
    "CLOUDS",
    "CLOUD_V4",
    "FARM_V4",
    "MONITOR_V4",
    "RESERVED",
    "RESOLVER_V4",
    "V6_TOP",
    "Networks",
    "Registry",
    "build",
    "prefix_rows",
    "registry",
    "reserved_address",
]

MONITOR_V4: Final = int(IPv4Address("10.255.255.1"))
"""The first of the addresses from which the resolvers are monitored."""

RESOLVER_V4: Final = int(IPv4Address("10.254.0.1"))
"""The first of the addresses from which the observed resolvers ask others."""

FARM_V4: Final = int(IPv4Address("10.254.1.1"))
"""The first address of the first public farm of resolvers; the next farm has the next /24."""

CLOUD_V4: Final = int(IPv4Address("10.254.128.0"))
"""The first cloud network, a /24; the others follow."""

CLOUDS: Final = 8

RESERVED: Final = 8
"""Addresses at the end of each network that no household gets: its resolver's is there."""

V6_TOP: Final = int(IPv6Address("2001:db8::")) >> 96
"""The upper 32 bits of every IPv6 client; network ``i`` has the /44 number ``i + 1`` below them."""

_V4_FIRST: Final = int(IPv4Address("10.0.0.0"))
_V4_END: Final = int(IPv4Address("10.254.0.0"))
_MONITOR_ASN: Final = 65534
_RESOLVER_ASN: Final = 65533
_FARM_ASN: Final = 65520
_CLOUD_ASN: Final = 65512
_IPV6_BIT: Final = 1 << 40
_ASN_16: Final = 64512
_ASN_16_COUNT: Final = 1000
_ASN_32: Final = 4_200_000_000
_MOST_PREFIXES: Final = 4
_SMALLEST_POOL_BITS: Final = 8


@dataclass(frozen=True, slots=True)
class Networks:
    """One row per network, by falling size.

    Attributes:
        weight: share of the households (adds up to 1).
        asn: autonomous system number.
        country: index into the scenario's countries.
        resolver: index into the scenario's resolvers.
        churn: index into the scenario's ways of changing addresses.
        hazard: clean-up rate relative to the others (log-normal).
        carrier_nat: many bots share one address here.
        prefixes: number of IPv4 prefixes, 1 to 4.
        prefix_bits: size of each of them: 2 ** prefix_bits addresses.
        first: address of the first of them; the others follow without a gap.
    """

    weight: npt.NDArray[np.float64]
    asn: npt.NDArray[np.int64]
    country: npt.NDArray[np.int16]
    resolver: npt.NDArray[np.int8]
    churn: npt.NDArray[np.int8]
    hazard: npt.NDArray[np.float64]
    carrier_nat: npt.NDArray[np.bool_]
    prefixes: npt.NDArray[np.int64]
    prefix_bits: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return self.weight.size

    @property
    def pool(self) -> npt.NDArray[np.int64]:
        """Number of IPv4 addresses of each network."""
        return self.prefixes << self.prefix_bits


def build(scenario: Scenario, households: float, random: np.random.Generator) -> Networks:
    """Return the networks of a scenario with address space for a number of households.

    Raises:
        SimulationError: they do not fit into the address space there is.
    """
    count = scenario.networks
    size = 1.0 / (np.arange(1, count + 1) + scenario.network_shift)
    weight: npt.NDArray[np.float64] = size / size.sum()
    prefixes = random.integers(1, _MOST_PREFIXES + 1, count)
    wanted = weight * households * scenario.pool_per_household / prefixes
    bits = np.array([max(_SMALLEST_POOL_BITS, ceil(log2(max(room, 1)))) for room in wanted])
    shares = np.array([country.share for country in scenario.countries])
    served = np.array([share for _, share in scenario.resolvers])
    rank = np.arange(count)
    if int((prefixes << bits).sum()) > _V4_END - _V4_FIRST:
        raise SimulationError(
            "the networks do not fit into 10.0.0.0/8",
            got=f"{households:,.0f} households",
            expected="a smaller scale, or a smaller pool_per_household",
        )
    return Networks(
        weight=weight,
        asn=np.where(rank < _ASN_16_COUNT, _ASN_16 + rank, _ASN_32 + rank - _ASN_16_COUNT),
        country=_filled(weight, shares / shares.sum()).astype(np.int16),
        resolver=_filled(weight, served / served.sum()).astype(np.int8),
        churn=_filled(weight, np.array([churn.share for churn in scenario.churn])).astype(np.int8),
        hazard=np.exp(random.normal(0.0, scenario.hazard_spread, count)),
        carrier_nat=_evenly(rank, scenario.carrier_nat),
        prefixes=prefixes,
        prefix_bits=bits,
        first=_placed(prefixes, bits),
    )


def _filled(
    weight: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Give each network, largest first, to the group that is farthest below its share."""
    missing = shares.copy()
    groups = np.empty(weight.size, np.int64)
    for network, size in enumerate(weight):
        group = int(np.argmax(missing))
        groups[network] = group
        missing[group] -= size
    return groups


def _evenly(rank: npt.NDArray[np.int64], share: float) -> npt.NDArray[np.bool_]:
    """Choose a share of the networks, spread over all sizes."""
    steps = np.floor(np.append(rank, rank.size) * share + 0.5)
    return np.diff(steps) > 0


def _placed(prefixes: npt.NDArray[np.int64], bits: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return first addresses: large prefixes first, so each stands on a multiple of its size."""
    order = np.argsort(-bits, kind="stable")
    sizes = (prefixes << bits)[order]
    first = np.empty(bits.size, np.int64)
    first[order] = _V4_FIRST + np.cumsum(sizes) - sizes
    return first


def reserved_address(networks: Networks) -> npt.NDArray[np.int64]:
    """Return the address of each network's own resolver: its last one."""
    return networks.first + networks.pool - 1


def prefix_rows(scenario: Scenario, networks: Networks) -> list[tuple[str, str, int, str, str]]:
    """Return the prefix table: first and last address, AS number, country, name of the network.

    The columns are those of iptoasn.com's combined table; IPv4 first, ascending.
    """
    v4 = []
    v6 = []
    for i in range(len(networks)):
        country = scenario.countries[networks.country[i]].code
        row = (int(networks.asn[i]), country, f"Simulated {country} network {i + 1}")
        size = 1 << int(networks.prefix_bits[i])
        for part in range(int(networks.prefixes[i])):
            start = int(networks.first[i]) + part * size
            v4.append((start, start + size - 1, *row))
        start = (V6_TOP << 96) | ((i + 1) << 84)
        v6.append((start, start + (1 << 84) - 1, *row))
    for address, asn, name in _others(scenario):
        v4.append((address, address + 255, asn, "None", name))
    return [
        *((str(IPv4Address(a)), str(IPv4Address(b)), *row) for a, b, *row in sorted(v4)),
        *((str(IPv6Address(a)), str(IPv6Address(b)), *row) for a, b, *row in sorted(v6)),
    ]


def _others(scenario: Scenario) -> list[tuple[int, int, str]]:
    """Return first address, AS number and name of the /24s in which no household is."""
    found = [(RESOLVER_V4 & ~0xFF, _RESOLVER_ASN, "Simulated resolvers")]
    for i in range(scenario.recursion.farms):
        found.append(((FARM_V4 & ~0xFF) + 256 * i, _FARM_ASN + i, f"Simulated public DNS {i + 1}"))
    for i in range(CLOUDS):
        found.append((CLOUD_V4 + 256 * i, _CLOUD_ASN + i, f"Simulated cloud {i + 1}"))
    found.append((MONITOR_V4 & ~0xFF, _MONITOR_ASN, "Simulated monitoring"))
    return found


@dataclass(frozen=True, slots=True)
class Registry:
    """The prefix table as columns, for unit numbers.

    Attributes:
        first, last: of each IPv4 prefix, ascending.
        row: which entry each of them belongs to; entry ``i`` of the networks is network ``i``.
        asn: of each entry.
        country: of each entry; ``None``: none.
        name: of each entry.
        text: each prefix as text.
    """

    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    asn: npt.NDArray[np.int64]
    country: tuple[str | None, ...]
    name: tuple[str, ...]
    text: tuple[str, ...]

    def of(
        self, units: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return entry and IPv4 prefix of each unit number; -1 where there is none."""
        at = np.searchsorted(self.first, units, side="right") - 1
        safe = np.maximum(at, 0)
        inside = (at >= 0) & (units <= self.last[safe])
        six = (units & _IPV6_BIT) != 0
        row = np.where(inside, self.row[safe], -1)
        network = ((units ^ _IPV6_BIT) >> 20) - 1
        return np.where(six, network, row), np.where(inside & ~six, safe, -1)


def registry(scenario: Scenario, networks: Networks) -> Registry:
    """Return the prefix table as columns."""
    count = len(networks)
    parts = networks.prefixes
    index = np.repeat(np.arange(count), parts)
    size = np.int64(1) << networks.prefix_bits[index]
    within = np.arange(index.size) - np.repeat(np.cumsum(parts) - parts, parts)
    others = _others(scenario)
    first = np.concatenate([networks.first[index] + within * size, [a for a, _, _ in others]])
    last = first + np.concatenate([size, np.full(len(others), 256)]) - 1
    row = np.concatenate([index, count + np.arange(len(others))])
    order = np.argsort(first)
    length = (last - first + 1)[order]
    codes = [scenario.countries[c].code for c in networks.country.tolist()]
    texts = [
        f"{IPv4Address(a)}/{33 - int(n).bit_length()}"
        for a, n in zip(first[order].tolist(), length.tolist(), strict=True)
    ]
    return Registry(
        first=first[order].astype(np.int64),
        last=last[order].astype(np.int64),
        row=row[order].astype(np.int64),
        asn=np.concatenate([networks.asn, [asn for _, asn, _ in others]]).astype(np.int64),
        country=(*codes, *(None for _ in others)),
        name=(
            *(f"Simulated {code} network {i + 1}" for i, code in enumerate(codes)),
            *(name for _, _, name in others),
        ),
        text=tuple(texts),
    )
