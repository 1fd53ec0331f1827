"""Records of connections, flows and reports, and how they become a batch.

Beside a name, such a record may have a destination address and words for the malware. Each of them
is matched against its kind of rule. Times, counts and quarantine are those of ``text_rows``.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.capture import text_rows
from remnant.capture.details import details
from remnant.capture.text_fields import DAY_US, SECOND_US
from remnant.schema import QUERIES, TIME
from remnant.windows import to_us
from remnant.wire import MAX_LABELS, case_bits, compiled, labels, names_to_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import numpy.typing as npt

    from remnant.capture import Batch
    from remnant.capture.details import Keys
    from remnant.capture.lines import Block
    from remnant.capture.text_rows import Rows
    from remnant.watchlist import Watchlist
    from remnant.wire import Bytes

    Details = Callable[[npt.NDArray[np.int64]], pa.Array[Any]]
    """Gives the column ``detail`` of some rows, by their indexes."""

__all__ = [
    "DNS_TCP",
    "DNS_UDP",
    "HTTP",
    "MAX_WORDS",
    "NO_PROOF",
    "TCP",
    "TLS",
    "EventTables",
    "Events",
    "destination_text",
    "details_of",
    "room_for",
]

PROOFS: Final = ("none", "dns_udp", "dns_tcp", "tcp", "tls", "http")
"""What shows that the source address is genuine; the constants below are indexes into these."""

NO_PROOF: Final = 0
DNS_UDP: Final = 1
DNS_TCP: Final = 2
TCP: Final = 3
TLS: Final = 4
HTTP: Final = 5

MAX_WORDS: Final = 8
"""Words of one record that are compared with family words."""

_FIRST_US: Final = 946_684_800 * SECOND_US  # 2000-01-01
_TRANSPORTS: Final = ("udp", "tcp")
_NO_NAME: Final = "-"


class Events(NamedTuple):
    """What kernels write beside ``text_rows.Rows``, row by row.

    A row may be without a name: its range in ``Rows.names`` is then empty.

    Attributes:
        target: uint8[16 n]: destination address, 16 bytes per row.
        has_target: bool[n]: there is one.
        proof: int8[n]: index into ``PROOFS``.
        weight: int64[n]: events that the row stands for.
        record: int64[n]: which record of the block it is.
        fields: int64[n, fields, 3]: ranges that the format's reader keeps for ``detail``.
        words: uint8: words end to end, each as a wire name of one label.
        word_offsets: int64[m + 1] into ``words``.
        word_row: int64[m]: the row of each word.
        word_count: int64[1]: m.
    """

    target: npt.NDArray[np.uint8]
    has_target: npt.NDArray[np.bool_]
    proof: npt.NDArray[np.int8]
    weight: npt.NDArray[np.int64]
    record: npt.NDArray[np.int64]
    fields: npt.NDArray[np.int64]
    words: npt.NDArray[np.uint8]
    word_offsets: npt.NDArray[np.int64]
    word_row: npt.NDArray[np.int64]
    word_count: npt.NDArray[np.int64]


def room_for(block: Block, *, fields: int = 0, words: bool = False) -> Events:
    """Return empty columns with room for every record of a block.

    Args:
        block: the records.
        fields: how many ranges are kept of each.
        words: whether words are wanted.
    """
    count = block.ends.size
    slots = MAX_WORDS * count if words else 0
    # A field gives itself and its parts as words, each with two bytes more.
    size = 2 * block.data.size + 4 * slots if words else 0
    return Events(
        target=np.empty(16 * count, np.uint8),
        has_target=np.zeros(count, np.bool_),
        proof=np.zeros(count, np.int8),
        weight=np.ones(count, np.int64),
        record=np.empty(count, np.int64),
        fields=np.empty((count, fields, 3), np.int64),
        words=np.empty(size, np.uint8),
        word_offsets=np.zeros(slots + 1, np.int64),
        word_row=np.empty(slots, np.int64),
        word_count=np.zeros(1, np.int64),
    )


def details_of(block: Block, events: Events, keys: Keys) -> Details:
    """Return what gives ``detail`` of rows from the ranges that ``Events.fields`` keeps of them."""

    def made(rows: npt.NDArray[np.int64]) -> pa.Array[Any]:
        return details(block.data, events.fields[rows], keys)

    return made


@compiled
def _take_names(
    names: Bytes,
    offsets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    out: Bytes,
    out_offsets: npt.NDArray[np.int64],
    bits: npt.NDArray[np.int64],
) -> None:
    """Copy the names of some rows end to end, and note which letters are capitals."""
    starts = np.zeros(MAX_LABELS + 2, np.int64)
    for k in range(rows.size):
        start = offsets[rows[k]]
        stop = offsets[rows[k] + 1]
        for i in range(stop - start):
            out[out_offsets[k] + i] = names[start + i]
        bits[k] = case_bits(names, starts, max(labels(names, start, stop, starts), 0))


class EventTables:
    """Makes the batches of one source of events.

    Args:
        watchlist: what to look for.
        vantage: where the sensor stood.
        now: times of more than a day after it are clock faults, as are those before 2000.
    """

    def __init__(self, watchlist: Watchlist, vantage: str, now: datetime) -> None:
        self._watchlist = watchlist
        self._vantage = vantage
        self._latest = to_us(now) + DAY_US
        self._tables = text_rows.Tables(watchlist, vantage, now)
        order = np.argsort(-watchlist.specificity.astype(np.int64), kind="stable")
        self._by_place = order.astype(np.int32)
        self._place = np.empty(order.size, np.int64)
        self._place[order] = np.arange(order.size)

    @property
    def notes(self) -> list[str]:
        """What is added to the next batch."""
        return self._tables.notes

    def note_incomplete(self, block: Block) -> None:
        """Note that the last record is left for a later reading, when it may have grown."""
        self._tables.note_incomplete(block)

    def batch(self, block: Block, rows: Rows, events: Events, detail: Details) -> Batch:
        """Return the batch of a block whose records have been read.

        Args:
            block: the records.
            rows: what they say.
            events: what else they say.
            detail: gives the column ``detail`` of some rows, by their indexes.
        """
        seen = int(rows.counters[text_rows.QUERIES_SEEN])
        # Without names the tables of text logs match nothing: they count.
        nameless = rows._replace(name_offsets=np.zeros(seen + 1, np.int64))
        batch = self._tables.batch(block, nameless)
        hits, entries = self._hits(rows, events, seen)
        return replace(batch, queries=self._queries(block, rows, events, hits, entries, detail))

    def _hits(
        self, rows: Rows, events: Events, seen: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Return each row and entry that it hits once, the most specific first."""
        offsets = rows.name_offsets[: seen + 1]
        found = [self._watchlist.match_wire(rows.names[: offsets[-1]], offsets)]
        if self._watchlist.has_addresses:
            targets = np.flatnonzero(events.has_target[:seen])
            addresses = events.target.reshape(-1, 16)[targets]
            where, entries = self._watchlist.match_addresses(addresses)
            found.append((targets[where], entries))
        words = int(events.word_count[0])
        if words:
            spans = events.word_offsets[: words + 1]
            where, entries = self._watchlist.match_words(events.words[: spans[-1]], spans)
            found.append((events.word_row[where], entries))
        hits = np.concatenate([rows for rows, _ in found])
        entries = np.concatenate([entries for _, entries in found])
        time = rows.time[hits]
        usable = (time >= _FIRST_US) & (time < self._latest)
        # One number a hit sorts faster than two: the row, then the place of the entry.
        count = self._by_place.size
        pairs = np.unique(hits[usable] * count + self._place[entries[usable]])
        return pairs // max(count, 1), self._by_place[pairs % max(count, 1)]

    def _queries(
        self,
        block: Block,
        rows: Rows,
        events: Events,
        hits: npt.NDArray[np.int64],
        entries: npt.NDArray[np.int32],
        detail: Details,
    ) -> pa.RecordBatch:
        count = hits.size
        # A row that hits several entries has its texts made once.
        own, which = np.unique(hits, return_inverse=True)
        name, bits = self._names(rows, events, own)
        texts: Any = [name, detail(own)]
        if own.size < count:
            texts = [text.take(pa.array(which)) for text in texts]
            bits = bits[which]
        none = np.zeros(count, np.bool_)
        columns: dict[str, pa.Array[Any]] = {
            "time": pa.array(rows.time[hits], pa.int64()).cast(TIME),
            "offset": pa.array(rows.line[hits] + block.offset, pa.int64()),
            "response": pa.array(none),
            "sensor": pa.nulls(count, QUERIES.arrow.field("sensor").type),
            "vantage": _word((self._vantage,), np.zeros(count, np.int8)),
            "address": _address(rows.address.reshape(-1, 16)[hits]),
            "ecs": pa.nulls(count, pa.binary(17)),
            "client_port": _number(rows.client_port[hits], pa.uint16()),
            "service_port": _number(rows.service_port[hits], pa.uint16()),
            "transport": _word(_TRANSPORTS, rows.transport[hits]),
            "name": texts[0],
            "case_bits": pa.array(bits, pa.int64(), mask=bits == 0),
            "qtype": _number(rows.qtype[hits], pa.uint16()),
            "rcode": pa.nulls(count, pa.int16()),
            "entry": pa.array(entries, pa.int32()),
            "proof": _word(PROOFS, events.proof[hits]),
            "weight": pa.array(events.weight[hits]),
            "detail": texts[1],
            "limited": pa.array(none),
        }
        return pa.RecordBatch.from_arrays(
            [columns[column] for column in QUERIES.names], schema=QUERIES.arrow
        )

    def _names(
        self, rows: Rows, events: Events, hits: npt.NDArray[np.int64]
    ) -> tuple[pa.Array[Any], npt.NDArray[np.int64]]:
        """Return the name of each hit, or its destination address as text, and the case bits."""
        sizes = np.diff(rows.name_offsets)[hits]
        wire_offsets = np.zeros(hits.size + 1, np.int64)
        np.cumsum(sizes, out=wire_offsets[1:])
        wire = np.empty(int(wire_offsets[-1]), np.uint8)
        bits = np.zeros(hits.size, np.int64)
        _take_names(rows.names, rows.name_offsets, hits, wire, wire_offsets, bits)
        starts, text = names_to_text(wire, wire_offsets)
        buffers: Any = [starts, text]
        first, second = map(pa.py_buffer, buffers)
        name: Any = pa.LargeStringArray.from_buffers(hits.size, first, second)
        name = name.cast(pa.string())
        if (sizes > 0).all():
            return name, bits
        has_target = events.has_target[hits]
        targets = events.target.reshape(-1, 16)[hits]
        # Watched destinations are few, however many rows go there.
        few, index = np.unique(targets, axis=0, return_inverse=True)
        texts: Any = pa.array(
            [destination_text(few[i].tobytes()) for i in range(len(few))], pa.string()
        )
        other = pc.if_else(
            pa.array(has_target), texts.take(pa.array(index.reshape(-1))), pa.scalar(_NO_NAME)
        )
        return pc.if_else(pa.array(sizes > 0), name, other), bits


def destination_text(packed: bytes) -> str:
    """Return 16 address bytes as text, an IPv4 address that they carry as such."""
    address = ipaddress.IPv6Address(packed)
    return str(address.ipv4_mapped or address)


def _word(words: tuple[str, ...], index: npt.NDArray[np.int8]) -> pa.Array[Any]:
    """Return a dictionary column; a negative index is null."""
    return pa.DictionaryArray.from_arrays(
        pa.array(index.astype(np.int32), pa.int32(), mask=index < 0), pa.array(words, pa.string())
    )


def _number(values: npt.NDArray[np.int32], kind: pa.DataType) -> pa.Array[Any]:
    """Return a number column; a negative value is null."""
    missing = values < 0
    return pa.array(np.where(missing, 0, values), pa.int32(), mask=missing).cast(kind)


def _address(values: npt.NDArray[np.uint8]) -> pa.Array[Any]:
    """Return a column of 16 bytes from uint8[n, 16]."""
    data: Any = np.ascontiguousarray(values)
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), values.shape[0], [None, pa.py_buffer(data)]
    )
