"""The resource records that kernels take out of responses, on their way to passive DNS.

A kernel appends records that may be watched; ``capture.answers`` decides which are kept.

References:
    RFC 1035 section 4.1.3 (records), RFC 2181 (record sets).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64

from remnant import wire
from remnant.capture.answers import answer_rows
from remnant.capture.rdata import data_text
from remnant.watchtable import lookup_address, lookup_name
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from remnant.capture import AnswersMode
    from remnant.watchlist import Watchlist
    from remnant.watchtable import Tables
    from remnant.wire import Bytes, Int

__all__ = [
    "MODES",
    "NONE",
    "Records",
    "add_record",
    "new_records",
    "offer_record",
    "records_room",
    "records_table",
    "write_records",
]

MODES: Final[dict[AnswersMode, int]] = {"none": 0, "watched": 1, "all": 2}
"""Which records a kernel writes."""

NONE: Final = -1
"""In ``Records.asked``: the question hit nothing."""

_MAX_RECORDS: Final = wire.MAX_MESSAGE // 11
"""Records that one response can hold: none is shorter than 11 bytes."""
_MAX_DATA: Final = 80 * wire.MAX_MESSAGE + 4096
"""Bytes of text that the records of one response can become. Compressed names grow most: 13 bytes
of a record become 1,020 of text, 35 of an SOA 2,100; the last record may be written twice."""
_ROWS: Final = 1 << 16
_ALL: Final = 2
_INTERNET: Final = 1
_TKEY: Final = 249
_TSIG: Final = 250


class Records(NamedTuple):
    """Columns of n records.

    Attributes:
        filled: int64[1]: how many are filled in.
        time: int64, UTC microseconds: when the response was heard.
        ttl: int64, seconds; -1 where the source has none.
        sensor: int32: index into the reader's sensors.
        asked: int32: the entry that the question hit, NONE if it hit none.
        rrtype: int32.
        name_offsets: int64[n + 1] into ``names``.
        names: uint8: wire names of the owners end to end.
        data_offsets: int64[n + 1] into ``data``.
        data: uint8: presentation texts end to end.
    """

    filled: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]
    ttl: npt.NDArray[np.int64]
    sensor: npt.NDArray[np.int32]
    asked: npt.NDArray[np.int32]
    rrtype: npt.NDArray[np.int32]
    name_offsets: npt.NDArray[np.int64]
    names: Bytes
    data_offsets: npt.NDArray[np.int64]
    data: Bytes


def new_records(mode: AnswersMode) -> Records:
    """Return empty columns for one batch, with room for many responses of usual size."""
    kept = mode != "none"
    count = _ROWS if kept else 0
    return Records(
        np.zeros(1, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.int32),
        np.zeros(count, np.int32),
        np.zeros(count, np.int32),
        np.zeros(count + 1, np.int64),
        np.zeros(count * 40 + kept * _MAX_RECORDS * wire.MAX_WIRE, np.uint8),
        np.zeros(count + 1, np.int64),
        np.zeros(count * 60 + kept * _MAX_DATA, np.uint8),
    )


@inlined
def records_room(records: Records) -> Int:
    """Return whether the records of one more response fit, or none are kept."""
    count = records.filled[0]
    return records.time.size == 0 or (
        count + _MAX_RECORDS <= records.time.size
        and records.name_offsets[count] + _MAX_RECORDS * wire.MAX_WIRE <= records.names.size
        and records.data_offsets[count] + _MAX_DATA <= records.data.size
    )


@kernel
def add_record(
    records: Records,
    buffer: Bytes,
    message: Int,
    owner: Bytes,
    owner_size: Int,
    kind: Int,
    data: tuple[Int, Int],
    scratch: Bytes,
    starts: npt.NDArray[np.int64],
    numbers: tuple[Int, Int, Int, Int],
) -> None:
    """Append one record; the caller has seen that there is room.

    Args:
        records: of this batch.
        buffer: holds the data.
        message: where the message begins, if names in the data may be compressed.
        owner: the owner's wire name, from its front.
        owner_size: bytes of it. ``owner`` may be ``scratch``.
        kind: type.
        data: where the data begins and ends.
        scratch: uint8[256], overwritten.
        starts: int64[130], overwritten.
        numbers: time, TTL, sensor, asked: as the columns.
    """
    row = records.filled[0]
    records.filled[0] = row + 1
    records.time[row], records.ttl[row], records.sensor[row], records.asked[row] = numbers
    records.rrtype[row] = kind
    at = records.name_offsets[row]
    for i in range(owner_size):
        records.names[at + i] = owner[i]
    records.name_offsets[row + 1] = at + owner_size
    at = records.data_offsets[row]
    records.data_offsets[row + 1] = data_text(
        buffer, message, kind, data, scratch, starts, records.data, at
    )


@kernel
def _watched(
    tables: Tables,
    buffer: Bytes,
    kind: Int,
    data: tuple[Int, Int],
    owner: tuple[Bytes, npt.NDArray[np.int64], Int],
    hits: npt.NDArray[np.int32],
    address: Bytes,
) -> bool:
    """Return whether a record's owner, or its address, is watched."""
    name, starts, count = owner
    if lookup_name(tables, name, starts, count, hits) > 0:
        return True
    start, stop = data
    size = stop - start
    if tables.prefix_lengths.size == 0:
        return False
    if not (kind == wire.A and size == 4) and not (kind == wire.AAAA and size == 16):
        return False
    for i in range(10):
        address[i] = 0
    address[10] = address[11] = 0xFF
    for i in range(size):
        address[16 - size + i] = buffer[start + i]
    return bool(lookup_address(tables, address, hits) > 0)


@kernel
def offer_record(
    records: Records,
    tables: Tables,
    buffer: Bytes,
    message: Int,
    owner: Bytes,
    starts: npt.NDArray[np.int64],
    count: Int,
    kind: Int,
    data: tuple[Int, Int],
    hits: npt.NDArray[np.int32],
    address: Bytes,
    numbers: tuple[Int, Int, Int, Int, Int],
) -> None:
    """Append a record if it may be kept; the caller has seen that there is room.

    Args:
        records: of this batch.
        tables: the compiled watchlist.
        buffer: holds the data.
        message: where the message begins, if names in the data may be compressed.
        owner: uint8[256], the owner's wire name from its front; overwritten.
        starts: int64[130], its labels; overwritten.
        count: how many labels it has.
        kind: type.
        data: where the data begins and ends.
        hits: int32[MAX_HITS], scratch.
        address: uint8[16] or more, scratch.
        numbers: time, sensor, the entry hit by the question that this record answers or NONE,
            which are kept (MODES), TTL.
    """
    time, sensor, asked, mode, ttl = numbers
    if (
        mode != _ALL
        and asked < 0
        and not _watched(tables, buffer, kind, data, (owner, starts, count), hits, address)
    ):
        return
    add_record(
        records, buffer, message, owner, starts[count] + 1, kind, data,
        owner, starts, (time, ttl, sensor, asked),
    )  # fmt: skip


@kernel
def write_records(
    records: Records,
    tables: Tables,
    buffer: Bytes,
    message: Int,
    stop: Int,
    question: npt.NDArray[np.int64],
    scratch: Bytes,
    starts: npt.NDArray[np.int64],
    hits: npt.NDArray[np.int32],
    address: Bytes,
    numbers: tuple[Int, Int, Int, Int],
) -> None:
    """Append the records of a response that may be kept.

    Of a watched question these are its answers; of any response the records whose own name or
    address is watched; or all.

    Args:
        records: of this batch.
        tables: the compiled watchlist.
        buffer: holds the message.
        message: where it begins.
        stop: where it ends.
        question: what ``wire.question`` wrote.
        scratch: uint8[256].
        starts: int64[130].
        hits: int32[MAX_HITS], scratch.
        address: uint8[16] or more, scratch.
        numbers: time, sensor, the entry that the question hit or NONE, which are kept (MODES).
    """
    time, sensor, asked, mode = numbers
    if question[wire.QDCOUNT] > 1 or records.time.size == 0:
        return
    answers = question[wire.ANCOUNT]
    total = answers + question[wire.NSCOUNT] + question[wire.ARCOUNT]
    position = question[wire.END]
    last = records.filled[0] + _MAX_RECORDS
    for i in range(total):
        owner = position
        kind, start, end = wire.record(buffer, position, stop)
        if kind < 0 or records.filled[0] == last:
            return
        position = end
        if wire.u16(buffer, start - 8) != _INTERNET:
            continue
        if kind in (wire.OPT, _TSIG, _TKEY):
            continue
        count, _ = wire.read_name(buffer, message, owner, stop, scratch, starts)
        if count < 0:
            continue
        offer_record(
            records, tables, buffer, message, scratch, starts, count, kind, (start, end),
            hits, address,
            (time, sensor, asked if i < answers else int64(NONE), mode, wire.ttl(buffer, start)),
        )  # fmt: skip


def records_table(
    records: Records, watchlist: Watchlist, mode: AnswersMode, sensors: Sequence[str | None]
) -> pa.RecordBatch | None:
    """Return the kept records as rows of ``schema.ANSWER_ROWS`` and empty the columns."""
    count = int(records.filled[0])
    records.filled[0] = 0
    if not count:
        return None
    name_offsets = records.name_offsets[: count + 1]
    data_offsets = records.data_offsets[: count + 1]
    time = records.time[:count]
    return answer_rows(
        watchlist,
        mode,
        names=records.names[: name_offsets[-1]],
        name_offsets=name_offsets,
        rrtype=records.rrtype[:count],
        rdata=records.data[: data_offsets[-1]],
        rdata_offsets=data_offsets,
        first=time,
        last=time,
        count=np.ones(count, np.int64),
        asked=records.asked[:count],
        sensor=records.sensor[:count],
        sensors=sensors,
        ttl=records.ttl[:count],
    )
