"""What arrives at the sinkhole on a day: DNS queries of resolvers, and connections of clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from remnant.schema import PROOFS
from remnant.simulate.order import time_order
from remnant.simulate.recursion import Lookups

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.simulate.questions import Questions
    from remnant.simulate.recursion import Recursion, Visible
    from remnant.simulate.rows import Rows

__all__ = [
    "BOT",
    "DNS_UDP",
    "HTTP",
    "NONE",
    "TCP",
    "Arrivals",
    "connections",
    "lookups_of",
    "queries",
]

NONE: Final = -1
"""Stands for a null in a column of numbers."""

DNS_UDP: Final = PROOFS.index("dns_udp")
TCP: Final = PROOFS.index("tcp")
HTTP: Final = PROOFS.index("http")

BOT: Final = 0
"""The style of a bot's request; ``noise`` has the others."""


class Arrivals(NamedTuple):
    """Events at the sinkhole, one row each; ``NONE`` where a value is missing.

    Attributes:
        time: UTC microseconds.
        unit: unit number of the source address.
        device: picks the interface identifier of an IPv6 address.
        name, qtype: what is asked for; of a request the host, without a qtype.
        rcode, ttl: what is answered.
        ecs: the client subnet, as a shortened unit number.
        proof: index into ``schema.PROOFS``.
        style: what a request looks like.
    """

    time: npt.NDArray[np.int64]
    unit: npt.NDArray[np.int64]
    device: npt.NDArray[np.int32]
    name: npt.NDArray[np.int32]
    qtype: npt.NDArray[np.int32]
    rcode: npt.NDArray[np.int16]
    ttl: npt.NDArray[np.int32]
    ecs: npt.NDArray[np.int64]
    proof: npt.NDArray[np.uint8]
    style: npt.NDArray[np.int8]

    @classmethod
    def of(
        cls,
        time: npt.NDArray[np.int64],
        unit: npt.NDArray[np.int64],
        name: npt.NDArray[np.int32],
        *,
        proof: int,
        style: int = BOT,
        device: npt.NDArray[np.int32] | None = None,
        qtype: npt.NDArray[np.int32] | int = NONE,
        rcode: npt.NDArray[np.int16] | int = NONE,
        ttl: npt.NDArray[np.int32] | int = NONE,
        ecs: npt.NDArray[np.int64] | int = NONE,
    ) -> Arrivals:
        """Return rows from columns and from values that all of them share."""
        count = time.size

        def column(value: object, kind: type) -> npt.NDArray[Any]:
            return np.full(count, value, kind) if isinstance(value, int) else np.asarray(value)

        return cls(
            time,
            unit,
            np.zeros(count, np.int32) if device is None else device,
            name.astype(np.int32),
            column(qtype, np.int32),
            column(rcode, np.int16),
            column(ttl, np.int32),
            column(ecs, np.int64),
            np.full(count, proof, np.uint8),
            np.full(count, style, np.int8),
        )

    def take(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64] | slice) -> Arrivals:
        """Return some of the rows."""
        if not isinstance(which, slice) and which.dtype == np.bool_:
            # Found once, not once for each column.
            which = np.flatnonzero(which)
        columns: list[Any] = [column[which] for column in self]
        return Arrivals(*columns)

    @staticmethod
    def joined(parts: list[Arrivals]) -> Arrivals:
        """Return the rows of all parts in time order."""
        columns: list[Any] = [np.concatenate(each) for each in zip(*parts, strict=True)]
        whole = Arrivals(*columns)
        return whole.take(time_order(whole.time))


def lookups_of(
    rows: Rows, units: npt.NDArray[np.int64], asked: Questions, recursion: Recursion, takedown: int
) -> tuple[Rows, npt.NDArray[np.int64], Lookups]:
    """Return the lookups that may reach the sinkhole's DNS, in time order: rows, units, lookups."""
    about = (asked.reached[rows.name] != 0) & (rows.time >= takedown)
    about[about] = ~recursion.blocks(rows.household[about], rows.time[about])
    chosen = np.flatnonzero(about)
    chosen = chosen[time_order(rows.time[chosen])]
    rows, units = rows.take(chosen), units[chosen]
    return (
        rows,
        units,
        Lookups(
            rows.time,
            recursion.site[rows.household],
            recursion.scopes(rows.household, units),
            rows.name,
            (rows.qtype == 28).astype(np.uint8),  # AAAA
            (asked.reached[rows.name] & 1) == 0,
        ),
    )


def queries(
    rows: Rows,
    units: npt.NDArray[np.int64],
    lookups: Lookups,
    visible: Visible,
    recursion: Recursion,
) -> Arrivals:
    """Return the queries that resolvers send to the sinkhole's DNS."""
    asked = np.flatnonzero(visible.asked)
    site, cache = lookups.site[asked], visible.cache[asked]
    return Arrivals.of(
        lookups.time[asked],
        recursion.egress(site, cache, units[asked]),
        rows.name[asked],
        proof=DNS_UDP,
        device=rows.host[asked],
        qtype=rows.qtype[asked].astype(np.int32),
        rcode=np.where(lookups.negative[asked], 3, 0).astype(np.int16),
        ttl=visible.ttl[asked],
        ecs=lookups.scope[asked],
    )


def connections(rows: Rows, units: npt.NDArray[np.int64], recursion: Recursion) -> Arrivals:
    """Return the requests of bots whose resolvers do not block."""
    open_ = ~recursion.blocks(rows.household, rows.time)
    rows, units = rows.take(open_), units[open_]
    order = time_order(rows.time)
    rows, units = rows.take(order), units[order]
    return Arrivals.of(rows.time, units, rows.name, proof=HTTP, device=rows.host)
