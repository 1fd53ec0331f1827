"""Flows of a text format become rows that hit by their destination address.

A flow is one observation at the vantage ``flow``, made by the address that opened it. It has no
query: its name is the destination address as text, and it has no query type.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import int64

from remnant.capture.rdata import address_text
from remnant.capture.text_fields import parse_name
from remnant.capture.text_rows import NO_ECS, Rows, Tables
from remnant.schema import QUERIES
from remnant.wire import kernel

if TYPE_CHECKING:
    from datetime import datetime

    import numpy.typing as npt

    from remnant.capture import Batch
    from remnant.capture.lines import Block
    from remnant.watchlist import Watchlist
    from remnant.wire import Bytes

__all__ = ["FlowTables", "Flows", "flows_room"]

_COUNTERS: Final = 3
_TEXT: Final = 48
"""Bytes of the longest address as text, and some."""
_SIZES: Final = ("packets", "packets_back", "bytes", "bytes_back")
_PROOFS: Final = ("none", "tcp")
"""A packet that anybody can have sent, or a handshake that was completed."""


class Flows(NamedTuple):
    """Columns of the flows of a block.

    Attributes:
        filled: int64[1]: how many there are.
        line: int64[n]: where in the block the line starts.
        time: int64[n]: start of the flow, UTC microseconds.
        source: uint8[n, 16]: address of who opened it; ``target`` of the other.
        source_port: int32[n], -1 if none; ``target_port`` the same.
        transport: int8[n]: 0 udp, 1 tcp, -1 another.
        established: bool[n]: a TCP handshake was completed.
        sizes: int64[n, 4]: packets and bytes from the opener, packets and bytes to it; -1 if not
            in the source.
    """

    filled: npt.NDArray[np.int64]
    line: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]
    source: Bytes
    target: Bytes
    source_port: npt.NDArray[np.int32]
    target_port: npt.NDArray[np.int32]
    transport: npt.NDArray[np.int8]
    established: npt.NDArray[np.bool_]
    sizes: npt.NDArray[np.int64]


def flows_room(lines: int) -> Flows:
    """Return empty columns with room for so many flows."""
    return Flows(
        np.zeros(1, np.int64),
        np.empty(lines, np.int64),
        np.empty(lines, np.int64),
        np.empty((lines, 16), np.uint8),
        np.empty((lines, 16), np.uint8),
        np.empty(lines, np.int32),
        np.empty(lines, np.int32),
        np.empty(lines, np.int8),
        np.empty(lines, np.bool_),
        np.empty((lines, 4), np.int64),
    )


class FlowTables:
    """Makes the batches of the flows of one source.

    Args:
        watchlist: what to look for.
        now: as in ``Tables``.
    """

    def __init__(self, watchlist: Watchlist, now: datetime) -> None:
        self._tables = Tables(watchlist, "flow", now, by_name=False)

    def batch(self, block: Block, flows: Flows) -> Batch:
        """Return the batch of the flows of a block; its records are these flows only."""
        count = int(flows.filled[0])
        target = flows.target[:count]
        batch = self._tables.batch(
            block,
            _rows(flows, count),
            (np.arange(count), target),
            detail=lambda index: _detail(flows.sizes[index]),
        )
        # Which flow a row is of, by where its line starts.
        offsets = batch.queries.column("offset").to_numpy() - block.offset
        index = np.searchsorted(flows.line[:count], offsets)
        known: Any = pa.array(flows.established[index].astype(np.int32))
        proof = pa.DictionaryArray.from_arrays(known, pa.array(_PROOFS))
        at = QUERIES.names.index("proof")
        queries = batch.queries.set_column(at, QUERIES.arrow.field(at), proof)
        return dataclasses.replace(batch, queries=queries)


def _rows(flows: Flows, count: int) -> Rows:
    names = np.empty(_TEXT * count + _TEXT, np.uint8)
    name_offsets = np.zeros(count + 1, np.int64)
    _write_names(flows.target, count, names, name_offsets, np.empty(_TEXT, np.uint8))
    counters = np.zeros(_COUNTERS, np.int64)
    counters[0] = count
    missing = np.full(count, -1, np.int32)
    return Rows(
        counters=counters,
        line=flows.line[:count],
        response=np.zeros(count, np.uint8),
        time=flows.time[:count],
        local=np.zeros(count, np.bool_),
        address=flows.source[:count].reshape(-1),
        client_port=flows.source_port[:count],
        service_port=flows.target_port[:count],
        transport=flows.transport[:count],
        qtype=missing,
        rcode=missing,
        ecs=np.full(17 * count, NO_ECS, np.uint8),
        answers=np.zeros((count, 3), np.int64),
        names=names,
        name_offsets=name_offsets,
        bad_line=np.empty((0, 2), np.int64),
        bad_reason=np.empty(0, np.int8),
    )


@kernel
def _write_names(
    target: Bytes,
    count: int,
    names: Bytes,
    name_offsets: npt.NDArray[np.int64],
    text: Bytes,
) -> None:
    """Write the addresses as names whose text is that of the address."""
    for row in range(count):
        mapped = True
        for k in range(12):
            mapped = mapped and target[row, k] == (255 if k >= 10 else 0)
        if mapped:
            end = address_text(target[row], int64(12), int64(4), text, int64(0))
        else:
            end = address_text(target[row], int64(0), int64(16), text, int64(0))
        at = name_offsets[row]
        name_offsets[row + 1] = parse_name(text, int64(0), end, True, names, at)


def _detail(sizes: npt.NDArray[np.int64]) -> pa.Array[Any]:
    """Return packets and bytes of some flows as JSON, without what the source does not say."""
    parts: list[Any] = []
    for column, name in enumerate(_SIZES):
        values: Any = pa.array(sizes[:, column], mask=sizes[:, column] < 0)
        text: Any = pc.binary_join_element_wise(f',"{name}":', pc.cast(values, pa.string()), "")
        parts.append(pc.fill_null(text, ""))
    joined: Any = pc.binary_join_element_wise(*parts, "")
    whole: Any = pc.binary_join_element_wise("{", pc.utf8_slice_codeunits(joined, 1), "}", "")
    empty: Any = pc.equal(joined, pa.scalar(""))
    details: pa.Array[Any] = pc.if_else(empty, pa.scalar(None, pa.string()), whole)
    return details
