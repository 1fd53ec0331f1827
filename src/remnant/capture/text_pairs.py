"""Queries and responses that stand in a text log as lines of their own become one observation.

Only rows that hit come here: they become events, and ``capture.pairing`` joins them.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa
from numba import uint64

from remnant.capture.events import Events
from remnant.capture.pairing import Pairing
from remnant.schema import QUERIES
from remnant.wire import MAX_LABELS, case_bits, fold_byte, kernel, labels

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.capture.text_rows import Rows
    from remnant.wire import Bytes, Int, Word

__all__ = ["PairedBy", "Pairs", "copy_names"]

PairedBy = Literal["port", "address"]
"""What a query and its response have in common besides name and type: the client's address and
port, or only its address, where one kind of line does not show the port."""

_MULTIPLIER: Final = uint64(0x9E3779B97F4A7C15)
_NO_ECS: Final = 255


class Pairs:
    """Joins the rows of one source, batch by batch, with bounded memory.

    Args:
        by: what a query and its response have in common.
        vantage: where the sensor stood.
    """

    def __init__(self, by: PairedBy, vantage: str) -> None:
        self._by_port = by == "port"
        self._vantages = (vantage,)
        self._pairing = Pairing()
        self._seed = np.array([secrets.randbits(64)], np.uint64)
        self._queries = 0
        self._offsets = np.empty(0, np.int64)
        self._details: pa.Array[Any] = pa.nulls(0, pa.string())

    @property
    def waiting(self) -> int:
        """How many rows wait for their partner."""
        return self._pairing.waiting

    def add(
        self,
        rows: Rows,
        seen: int,
        offset: int,
        hits: npt.NDArray[np.int64],
        entries: npt.NDArray[np.int32],
        details: pa.Array[Any] | None,
        waiting: npt.NDArray[np.int64] | None = None,
        *,
        final: bool,
    ) -> pa.RecordBatch:
        """Take the rows of a block; return the observations that are complete.

        Args:
            rows: what the lines say.
            seen: how many rows there are.
            offset: where the block starts in the stream.
            hits: int64[m] ascending: rows that hit.
            entries: int32[m]: what each hits.
            details: string[m]: the ``detail`` of each hit, or ``None``.
            waiting: int64[k] ascending: rows of queries that may yet hit by what answers them.
            final: whether the source has ended, so that nothing waits any longer.

        Returns:
            Rows of ``schema.QUERIES``. A query has the rcode of its response, and the transport and
            ports that only the response shows.
        """
        self._queries += seen - int(np.count_nonzero(rows.response[:seen]))
        first = np.flatnonzero(np.diff(hits, prepend=-1))
        index = hits[first]
        if waiting is not None:
            index = np.union1d(index, waiting)
            first = np.searchsorted(hits, index)
        events = self._events(rows, index, offset)._replace(
            entry_offsets=np.append(first, hits.size), entries=entries
        )
        if details is not None:
            hit = np.isin(index, hits)
            self._keep(events.offset[hit], details.take(_index(first[hit])))
        batch = self._pairing.add(
            events,
            responses=not self._queries,
            final=final,
            sensors=(None,),
            vantages=self._vantages,
        )
        return self._with_details(batch)

    def _events(
        self,
        rows: Rows,
        index: npt.NDArray[np.int64],
        offset: int,
    ) -> Events:
        """Return the events of some rows, without entries."""
        count = index.size
        zeros = np.zeros(count, np.int32)
        address = rows.address.reshape(-1, 16)[index]
        ecs = rows.ecs.reshape(-1, 17)[index]
        ports = rows.client_port[index]
        sizes = (rows.name_offsets[1:] - rows.name_offsets[:-1])[index]
        name_offsets = np.zeros(count + 1, np.int64)
        np.cumsum(sizes, out=name_offsets[1:])
        names = np.empty(int(name_offsets[-1]), np.uint8)
        bits = np.zeros(count, np.int64)
        key = np.empty(count, np.uint64)
        copy_names(
            rows.names,
            rows.name_offsets,
            index,
            names,
            name_offsets,
            bits,
            np.zeros(MAX_LABELS + 2, np.int64),
        )
        _keys(
            self._seed,
            address,
            ports if self._by_port else zeros,
            rows.qtype[index],
            names,
            name_offsets,
            key,
        )
        time = rows.time[index]
        return Events(
            filled=np.array([count]),
            response=np.minimum(rows.response[index], 1),
            time=time,
            heard=time,
            offset=rows.line[index] + offset,
            address=address,
            client_port=ports,
            service_port=rows.service_port[index],
            transport=rows.transport[index].astype(np.int32),
            ident=zeros - 1,
            qtype=rows.qtype[index],
            rcode=rows.rcode[index],
            ecs=ecs,
            has_ecs=(ecs[:, 16] != _NO_ECS).astype(np.uint8),
            case_bits=bits,
            sensor=zeros,
            vantage=zeros,
            key=key,
            policy=zeros,
            name_offsets=name_offsets,
            names=names,
            rule_offsets=np.zeros(count + 1, np.int64),
            rules=np.empty(0, np.uint8),
            entry_offsets=np.zeros(count + 1, np.int64),
            entries=np.empty(0, np.int32),
        )

    def _keep(self, offsets: npt.NDArray[np.int64], details: pa.Array[Any]) -> None:
        """Note the details of rows, which the rows come back for when they are complete."""
        known = details.drop_null()
        if len(known):
            where = np.flatnonzero(details.is_valid().to_numpy(zero_copy_only=False))
            self._offsets = np.concatenate([self._offsets, offsets[where]])
            self._details = pa.concat_arrays([self._details, known])

    def _with_details(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if not self._offsets.size:
            return batch
        offsets = batch.column("offset").to_numpy()
        place = np.minimum(np.searchsorted(self._offsets, offsets), self._offsets.size - 1)
        found = self._offsets[place] == offsets
        index: Any = pa.array(place, mask=~found)
        column: Any = self._details.take(index)
        at = QUERIES.names.index("detail")
        batch = batch.set_column(at, QUERIES.arrow.field(at), column)
        # A response that was taken never comes: what is older than all that waits is done.
        oldest = self._pairing.first_offset
        keep = int(np.searchsorted(self._offsets, oldest))
        self._offsets = self._offsets[keep:]
        self._details = self._details[keep:]
        return batch


def _index(values: npt.NDArray[np.int64]) -> Any:  # noqa: ANN401 - the stubs take it for booleans
    return pa.array(values)


@kernel
def copy_names(
    names: Bytes,
    offsets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    out: Bytes,
    out_offsets: npt.NDArray[np.int64],
    bits: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
) -> None:
    """Copy the names of some rows end to end, folded, and note their case bits."""
    for k in range(rows.size):
        start = offsets[rows[k]]
        stop = offsets[rows[k] + 1]
        begin = out_offsets[k]
        for i in range(stop - start):
            out[begin + i] = fold_byte(names[start + i])
        bits[k] = case_bits(names, starts, max(labels(names, start, stop, starts), 0))


@kernel
def _mixed(state: Word, word: Word) -> Word:
    state = (state ^ word) * _MULTIPLIER
    return state ^ (state >> uint64(29))


@kernel
def _keys(
    seed: npt.NDArray[np.uint64],
    address: Bytes,
    port: npt.NDArray[np.int32],
    qtype: npt.NDArray[np.int32],
    names: Bytes,
    offsets: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint64],
) -> None:
    """Write the keyed hash of what a query and its response have in common."""
    for row in range(out.size):
        number: Int = (np.int64(port[row]) & 0xFFFFFFFF) << 32 | (np.int64(qtype[row]) & 0xFFFFFFFF)
        state = _mixed(seed[0], uint64(number))
        for half in range(0, 16, 8):
            word = uint64(0)
            for i in range(half, half + 8):
                word = (word << uint64(8)) | uint64(address[row, i])
            state = _mixed(state, word)
        for i in range(offsets[row], offsets[row + 1]):
            state = _mixed(state, uint64(names[i]))
        out[row] = state ^ (state >> uint64(32))
