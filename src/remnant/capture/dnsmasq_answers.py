"""The lines with which dnsmasq answers one query, until the last of them has been read.

Each line is one record (``reply a.example is <CNAME>``, ``reply b.example is 192.0.2.1``), or says
that there is none. When another line follows, the lines are one answer, and its query is looked up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64

from remnant.capture.dnsmasq_head import (
    BLOCK,
    HINT,
    LINE_COLUMNS,
    LOCAL_SOURCE,
    PORT,
    PROCESS,
    RCODE,
    RECORD,
    SEEN,
    SERIAL,
    SIZE,
    TEXT_BYTES,
    TEXT_SIZE,
    Line,
)
from remnant.capture.dnsmasq_waiting import (
    ANY_TYPE,
    Waiting,
    by_name,
    by_serial,
    last_query,
    leave,
)
from remnant.wire import MAX_WIRE, Bytes, Int, fold_byte, inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.capture.lines import Block
    from remnant.capture.text_rows import Rows

__all__ = [
    "BLOCKS",
    "CNAME",
    "Answer",
    "Output",
    "Records",
    "add_line",
    "close",
    "goes_on",
    "is_open",
    "new_answer",
    "new_output",
]

BLOCKS: Final = ("gravity", "exact", "regex", "special", "rate-limit", "upstream")
"""Why Pi-hole did not resolve a query; ``Line.number[BLOCK]`` is an index into these plus 1."""

CNAME: Final = 5
_MAX_RECORDS: Final = 64

# Columns of ``Answer.number``, besides those of the first line.
_OPEN: Final = LINE_COLUMNS
_RECORDS: Final = LINE_COLUMNS + 1
_TIME: Final = LINE_COLUMNS + 2
_LOCAL: Final = LINE_COLUMNS + 3
_ALIAS: Final = LINE_COLUMNS + 4
_ANSWER_COLUMNS: Final = LINE_COLUMNS + 5


class Answer(NamedTuple):
    """The lines of the answer that is being read.

    Attributes:
        number: int64: of the first line, and what all lines come to.
        names: uint8[255 records]: the owner of each record, as wire names; ``sizes`` their length.
        kinds: int32: record types, 0 for what is no record of DNS.
        addresses: uint8[records, 16], and as ``texts`` uint8[48 records] of ``text_sizes``.
        last: uint8[510]: the names of the first and of the last line, where those have no serial
            numbers; ``last_size`` their lengths.
    """

    number: npt.NDArray[np.int64]
    names: Bytes
    sizes: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int32]
    addresses: Bytes
    texts: Bytes
    text_sizes: npt.NDArray[np.int64]
    last: Bytes
    last_size: npt.NDArray[np.int64]


class Records(NamedTuple):
    """Resource records end to end.

    Attributes:
        total: int64[1]: how many.
        row: int64: the row of the query that each answers, -1 if none.
        kind: int32: record type.
        time: int64: when the answer was logged; ``local``: the time has no zone.
        owners: uint8: wire names, end to end, and ``owner_offsets``.
        data: uint8: an address as text, or the wire name of an alias, and ``data_offsets``.
    """

    total: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int32]
    time: npt.NDArray[np.int64]
    local: npt.NDArray[np.bool_]
    owners: Bytes
    owner_offsets: npt.NDArray[np.int64]
    data: Bytes
    data_offsets: npt.NDArray[np.int64]


class Output(NamedTuple):
    """What the lines of a block complete, besides rows.

    Attributes:
        counters: int64: messages, queries among them, where in the block the line of the first
            message stands, and how many addresses rows were answered with.
        time: int64: of each message whose line stands in the block; ``local``: it has no zone.
        block: uint8: of each row: index into ``BLOCKS`` plus 1, or 0.
        address: uint8[m, 16]: what rows were answered with; ``row``: int64, ascending.
        records: of all types.
    """

    counters: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]
    local: npt.NDArray[np.bool_]
    block: Bytes
    address: Bytes
    row: npt.NDArray[np.int64]
    records: Records


MESSAGES: Final = 0
QUERIES: Final = 1
FIRST_LINE: Final = 2
ADDRESSES: Final = 3


def new_answer() -> Answer:
    """Return an answer without lines."""
    return Answer(
        np.zeros(_ANSWER_COLUMNS, np.int64),
        np.zeros(_MAX_RECORDS * MAX_WIRE, np.uint8),
        np.zeros(_MAX_RECORDS, np.int64),
        np.zeros(_MAX_RECORDS, np.int32),
        np.zeros((_MAX_RECORDS, 16), np.uint8),
        np.zeros(_MAX_RECORDS * TEXT_BYTES, np.uint8),
        np.zeros(_MAX_RECORDS, np.int64),
        np.zeros(2 * MAX_WIRE, np.uint8),
        np.zeros(2, np.int64),
    )


def _new_records(block: Block) -> Records:
    lines = block.ends.size
    count = lines + _MAX_RECORDS
    # A printed name of n bytes has a wire form of at most n + 2 bytes.
    room = block.data.size + 2 * lines + _MAX_RECORDS * MAX_WIRE
    return Records(
        total=np.zeros(1, np.int64),
        row=np.empty(count, np.int64),
        kind=np.empty(count, np.int32),
        time=np.empty(count, np.int64),
        local=np.zeros(count, np.bool_),
        owners=np.empty(room, np.uint8),
        owner_offsets=np.zeros(count + 1, np.int64),
        data=np.empty(room, np.uint8),
        data_offsets=np.zeros(count + 1, np.int64),
    )


def new_output(block: Block, rows: int) -> Output:
    """Return columns with room for all that a block can complete, and so many rows."""
    lines = block.ends.size
    return Output(
        counters=np.zeros(4, np.int64),
        time=np.empty(lines, np.int64),
        local=np.zeros(lines, np.bool_),
        block=np.zeros(rows, np.uint8),
        address=np.empty((lines + _MAX_RECORDS, 16), np.uint8),
        row=np.empty(lines + _MAX_RECORDS, np.int64),
        records=_new_records(block),
    )


@inlined
def is_open(answer: Answer) -> bool:
    """Return whether an answer is being read."""
    return bool(answer.number[_OPEN] == 1)


@inlined
def goes_on(answer: Answer, line: Line) -> bool:
    """Return whether a line belongs to the answer that is being read."""
    number = answer.number
    if (
        number[_OPEN] == 0
        or number[SERIAL] != line.number[SERIAL]
        or number[PORT] != line.number[PORT]
        or number[PROCESS] != line.number[PROCESS]
    ):
        return False
    if number[SERIAL] >= 0 or number[_ALIAS] == 1:
        return True
    # Without serial numbers: more records of one name and type.
    size = line.number[SIZE]
    if (
        number[LOCAL_SOURCE] != line.number[LOCAL_SOURCE]
        or number[RECORD] != line.number[RECORD]
        or number[HINT] != line.number[HINT]
        or number[HINT] == ANY_TYPE
        or answer.last_size[1] != size
    ):
        return False
    for i in range(size):
        if fold_byte(int64(answer.last[MAX_WIRE + i])) != fold_byte(int64(line.name[i])):
            return False
    return True


@kernel
def add_line(answer: Answer, line: Line, time: Int, local: Int) -> None:
    """Add a line to the answer that is being read; it is the first if none is."""
    number = answer.number
    size = max(line.number[SIZE], int64(0))
    if number[_OPEN] == 0:
        for k in range(LINE_COLUMNS):
            number[k] = line.number[k]
        number[_OPEN] = 1
        number[_RECORDS] = 0
        number[_TIME] = time
        number[_LOCAL] = local
        answer.last_size[0] = size
        if number[SERIAL] < 0:
            for i in range(size):
                answer.last[i] = line.name[i]
    else:
        number[RCODE] = line.number[RCODE]
        number[RECORD] = line.number[RECORD]
        if line.number[HINT] != ANY_TYPE:
            number[HINT] = line.number[HINT]
        if line.number[BLOCK] > 0:
            number[BLOCK] = line.number[BLOCK]
    number[_ALIAS] = 1 if line.number[RECORD] == CNAME else 0
    answer.last_size[1] = size
    if number[SERIAL] < 0:
        for i in range(size):
            answer.last[MAX_WIRE + i] = line.name[i]
    at = number[_RECORDS]
    # The name of a line that is no record may still be the target of the alias before it.
    if at == _MAX_RECORDS or size == 0:
        return
    number[_RECORDS] = at + 1
    answer.kinds[at] = line.number[RECORD] if line.number[SEEN] == 1 else 0
    answer.sizes[at] = size
    for i in range(size):
        answer.names[at * MAX_WIRE + i] = line.name[i]
    for k in range(16):
        answer.addresses[at, k] = line.address[k]
    answer.text_sizes[at] = line.number[TEXT_SIZE]
    for k in range(line.number[TEXT_SIZE]):
        answer.texts[at * TEXT_BYTES + k] = line.text[k]


@kernel
def _put(
    answer: Answer, at: Int, row: Int, data: Bytes, start: Int, size: Int, records: Records
) -> None:
    n = records.total[0]
    records.total[0] = n + 1
    records.row[n] = row
    records.kind[n] = answer.kinds[at]
    records.time[n] = answer.number[_TIME]
    records.local[n] = answer.number[_LOCAL] == 1
    begin = records.owner_offsets[n]
    for i in range(answer.sizes[at]):
        records.owners[begin + i] = answer.names[at * MAX_WIRE + i]
    records.owner_offsets[n + 1] = begin + answer.sizes[at]
    begin = records.data_offsets[n]
    for i in range(size):
        records.data[begin + i] = data[start + i]
    records.data_offsets[n + 1] = begin + size


@inlined
def close(answer: Answer, waiting: Waiting, rows: Rows, offset: Int, out: Output) -> None:
    """End the answer that is being read: its query becomes a row."""
    number = answer.number
    number[_OPEN] = 0
    found = int64(-1)
    before = int64(-1)
    if number[SERIAL] >= 0:
        found, before = by_serial(waiting, number[SERIAL], number[PORT])
    else:
        if number[LOCAL_SOURCE] == 1 or answer.last_size[0] == 0:
            # It answered at once; or it names nobody, and only one can be meant.
            alone = 1 - number[LOCAL_SOURCE]
            found, before = last_query(waiting, number[PROCESS], alone)
        if found < 0 and answer.last_size[0] > 0:
            size = answer.last_size[0]
            found, before = by_name(waiting, answer.last, int64(0), size, number[HINT])
    row = int64(-1)
    if found >= 0:
        row = leave(waiting, found, before, rows, offset)
        rows.rcode[row] = number[RCODE]
        out.block[row] = number[BLOCK]
    records = number[_RECORDS]
    for at in range(records):
        if answer.text_sizes[at] > 0:
            if row >= 0:
                n = out.counters[ADDRESSES]
                out.counters[ADDRESSES] = n + 1
                out.row[n] = row
                for k in range(16):
                    out.address[n, k] = answer.addresses[at, k]
            if answer.kinds[at] > 0:
                size = answer.text_sizes[at]
                _put(answer, at, row, answer.texts, at * TEXT_BYTES, size, out.records)
        elif answer.kinds[at] == CNAME and at + 1 < records:
            size = answer.sizes[at + 1]
            _put(answer, at, row, answer.names, (at + 1) * MAX_WIRE, size, out.records)
