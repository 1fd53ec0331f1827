"""A small internet of access networks in which names can flux: for tests and campaigns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from remnant.enrich import tables
from remnant.enrich.content import segments
from remnant.enrich.reference import Reference, Source
from remnant.simulate import flux
from remnant.windows import to_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["FluxWorld"]

_FIRST: Final = int(IPv4Address("10.0.0.0"))
_ASES: Final = 300
_SIZE: Final = 65_536
_COUNTRIES: Final = ("US", "PL", "UA", "IN", "BR", "TR", "IT", "RU", "MX", "JP")
_SENSORS: Final = (("pdns-a", 0.6), ("pdns-b", 0.4))
_START: Final = datetime(2015, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class FluxWorld:
    """Addresses in many ASes, larger ones with more hosts, and what knows the ASes.

    Attributes:
        pool: addresses that hosts can have.
        asn: of each of them.
        reference: knows them all, and that of ``fixed_address``.
        fixed_address: a server.
        random: draws the lookups.
    """

    pool: npt.NDArray[np.int64]
    asn: npt.NDArray[np.int64]
    reference: Reference
    fixed_address: str
    random: np.random.Generator

    @classmethod
    def make(cls, seed: int) -> FluxWorld:
        """Return the world of a seed."""
        random = np.random.Generator(np.random.PCG64(seed))
        weight = 1.0 / (np.arange(_ASES) + 2.0)
        which = random.choice(_ASES, 30_000, p=weight / weight.sum())
        pool = _FIRST + which * _SIZE + random.integers(1, _SIZE - 1, which.size)
        rows = [
            (_FIRST + i * _SIZE, _FIRST + (i + 1) * _SIZE - 1, 64_512 + i,
             _COUNTRIES[i % len(_COUNTRIES)], f"Simulated network {i + 1}")
            for i in range(_ASES)
        ]  # fmt: skip
        text = "\n".join(
            f"{IPv4Address(a)}\t{IPv4Address(b)}\t{asn}\t{country}\t{name}"
            for a, b, asn, country, name in rows
        )
        path = Path("prefixes.tsv")
        content = tables.read(path, f"{text}\n".encode())
        table, _ = segments(content)
        source = Source(path, content.format, date(2015, 3, 1), "build date", 0, (), table)
        reference = Reference((source,), Reference.none().as_names)
        return cls(pool, 64_512 + which, reference, "10.200.0.1", random)

    def observed(
        self,
        style: flux.Style,
        name: str,
        days: float,
        *,
        a_day: float = 120.0,
        servers: Sequence[str] = (),
    ) -> pa.Table:
        """Return what two sensors see of a name in some days: columns of ``schema.ANSWERS``."""
        return self.seen(self.lookups(style, days, a_day), style, name, servers)

    def lookups(self, style: flux.Style, days: float, a_day: float) -> flux.Lookups:
        """Return the answers that a name gave in some days."""
        return flux.lookups(
            style, self.pool, self.asn, hours=days * 24.0, a_day=a_day, random=self.random
        )

    def seen(
        self, lookups: flux.Lookups, style: flux.Style, name: str, servers: Sequence[str] = ()
    ) -> pa.Table:
        """Return what two sensors see of these answers: columns of ``schema.ANSWERS``."""
        return flux.observations(
            name,
            lookups,
            start_us=to_us(_START),
            ttl=style.ttl,
            sensors=_SENSORS,
            source="simulated-flux",
            random=self.random,
            servers=servers,
        )

    def ases(self, addresses: npt.NDArray[np.int64]) -> int:
        """Return in how many ASes addresses of the pool are."""
        return int(np.unique((addresses - _FIRST) // _SIZE).size)

    def double_flux(self, name: str, days: float = 7.0) -> pa.Table:
        """Return a name of GameOver Zeus' kind whose name servers are infected hosts too."""
        style = flux.STYLES["zbot"]
        servers = [f"ns{i + 1}.{name}" for i in range(style.servers)]
        parts = [self.observed(style, name, days, servers=servers)]
        host = flux.Style("zbot", True, 3, 1, 12.0, 300)
        parts += [self.observed(host, server, days) for server in servers]
        return pa.concat_tables(parts)
