"""Made-up server networks: who holds which addresses of the space for benchmarks.

Servers stand in 198.18.0.0/15 (RFC 2544, RFC 6890) and, where a scenario's traffic already names
them, in the documentation networks (RFC 5737). AS numbers are private (RFC 6996). No household of
the simulator has an address there.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.errors import SimulationError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Holder", "Space", "address_texts", "holders"]

_FIRST: Final = int(IPv4Address("198.18.0.0"))
_END: Final = int(IPv4Address("198.20.0.0"))
_ASN_FIRST: Final = 4_210_000_000
"""Above the numbers that the networks of households get."""

_BLOCK: Final = 256
_COUNTRIES: Final = ("US", "DE", "NL", "FR", "GB", "RU", "UA", "PL", "SG", "JP", "BR", "CA")


@dataclass(frozen=True, slots=True)
class Holder:
    """One AS: its kind, number, name, country and its /24s (first addresses)."""

    kind: str
    asn: int
    name: str
    country: str
    blocks: tuple[int, ...]


class Space:
    """Gives out addresses, each at most once."""

    def __init__(self, found: tuple[Holder, ...]) -> None:
        self.holders = found
        self._free: dict[str, npt.NDArray[np.int64]] = {}

    def take(self, kind: str, count: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
        """Return addresses of the holders of a kind, spread over them: int64[count].

        Raises:
            SimulationError: there are not so many.
        """
        if kind not in self._free:
            blocks = [block for holder in self.holders if holder.kind == kind
                      for block in holder.blocks]  # fmt: skip
            inside = np.arange(1, _BLOCK - 1)
            every = (np.array(blocks, np.int64)[:, None] + inside).reshape(-1)
            self._free[kind] = random.permutation(every)
        free = self._free[kind]
        if count > free.size:
            raise SimulationError(
                "the servers do not fit into 198.18.0.0/15",
                got=f"{count:,} more addresses of kind {kind}",
                expected=f"at most {free.size:,}",
            )
        self._free[kind] = free[count:]
        return free[:count]

    def rows(self) -> list[tuple[str, str, int, str, str]]:
        """Return the prefix table: first and last address, AS number, country, AS name."""
        found = sorted(
            (block, holder.asn, holder.country, holder.name)
            for holder in self.holders
            for block in holder.blocks
        )
        return [
            (str(IPv4Address(block)), str(IPv4Address(block + _BLOCK - 1)), asn, country, name)
            for block, asn, country, name in found
        ]


def holders(wanted: dict[str, tuple[int, int]], random: np.random.Generator) -> tuple[Holder, ...]:
    """Return the ASes of each kind: how many, and how many /24s each.

    Raises:
        SimulationError: they do not fit.
    """
    block = _FIRST
    found: list[Holder] = []
    for kind, (count, size) in wanted.items():
        for i in range(count):
            country = _COUNTRIES[int(random.integers(len(_COUNTRIES)))]
            asn = _ASN_FIRST + len(found)
            blocks = tuple(block + _BLOCK * j for j in range(size))
            block += _BLOCK * size
            found.append(Holder(kind, asn, f"Simulated {kind} {i + 1}", country, blocks))
    if block > _END:
        raise SimulationError("the servers do not fit into 198.18.0.0/15", got=f"{block:,}")
    return tuple(found)


def address_texts(addresses: npt.NDArray[np.int64]) -> pa.Array[Any]:
    """Return IPv4 addresses as text."""
    octets = [pa.array((addresses >> shift) & 255).cast(pa.string()) for shift in (24, 16, 8, 0)]
    texts: pa.Array[Any] = pc.binary_join_element_wise(*octets, ".")
    return texts
