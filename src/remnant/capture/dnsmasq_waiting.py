"""The queries of a dnsmasq log that wait for the lines that say what became of them.

What dnsmasq answers stands in one line per record, without the type and, unless the log has serial
numbers, without the client. So a query is kept, as the log has it, until the last of these lines
has been read; then it becomes a row, complete. A query without an answer leaves after 10 s, or when
65,536 others have come after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64, uint64

from remnant.capture.pairing import WAIT_US, advance_clock
from remnant.capture.text_fields import BAD
from remnant.capture.text_rows import QUERIES_SEEN, Rows
from remnant.wire import MAX_WIRE, Bytes, Int, Word, fold_byte, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "ANY_TYPE",
    "OTHER_TYPE",
    "Waiting",
    "by_name",
    "by_serial",
    "count_waiting",
    "expire",
    "key_of_name",
    "key_of_serial",
    "last_query",
    "leave",
    "new_waiting",
    "put",
]

ANY_TYPE: Final = -1
OTHER_TYPE: Final = -2
"""What an answer says of the type it answers: nothing, or only that it is neither A nor AAAA."""

_PLACES: Final = 1 << 16
_SLOTS: Final = 1 << 17
_STEPS: Final = 64
"""Queries with the same hash that are looked at for one answer."""

# Columns of ``Waiting.marks``.
_OLDEST: Final = 0
_NEXT: Final = 1
_CLOCK: Final = 2
_COUNT: Final = 3
_BACK_US: Final = 60_000_000
_MULTIPLIER: Final = uint64(0x9E3779B97F4A7C15)
_S29: Final = uint64(29)
_A: Final = 1
_AAAA: Final = 28
_ANY: Final = 255


class Waiting(NamedTuple):
    """The table: queries have numbers, one after the other; a place is a number modulo the size.

    Attributes:
        marks: int64: number of the oldest query in the table, the next number, the log's time and
            how many queries wait.
        seed: uint64[1] for the hashes.
        heads: int64: number of the first query with this hash, -1 for none; ``tails`` the last.
        slot: int64: the hash of a query that waits, -1 where it does no more.
        after: int64: number of the next query with the same hash, -1 for none.
        time: int64: as the log shows it (UTC microseconds if it shows a zone).
        local: bool: it has no zone.
        line: int64: offset of the query's line in the stream.
        serial: int64: number that dnsmasq gave the query, -1 if none; ``process`` its process id.
        address: uint8[n, 16].
        client_port: int32, -1 if not in the log; ``transport`` 0 udp, 1 tcp, -1 not in the log.
        qtype: int32.
        name: uint8[n, 255]: the wire name.
        size: int32: its length.
    """

    marks: npt.NDArray[np.int64]
    seed: npt.NDArray[np.uint64]
    heads: npt.NDArray[np.int64]
    tails: npt.NDArray[np.int64]
    slot: npt.NDArray[np.int64]
    after: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]
    local: npt.NDArray[np.bool_]
    line: npt.NDArray[np.int64]
    serial: npt.NDArray[np.int64]
    process: npt.NDArray[np.int64]
    address: Bytes
    client_port: npt.NDArray[np.int32]
    transport: npt.NDArray[np.int8]
    qtype: npt.NDArray[np.int32]
    name: Bytes
    size: npt.NDArray[np.int32]


def new_waiting(seed: int) -> Waiting:
    """Return an empty table."""
    return Waiting(
        marks=np.zeros(4, np.int64),
        seed=np.array([seed], np.uint64),
        heads=np.full(_SLOTS, -1, np.int64),
        tails=np.full(_SLOTS, -1, np.int64),
        slot=np.full(_PLACES, -1, np.int64),
        after=np.full(_PLACES, -1, np.int64),
        time=np.zeros(_PLACES, np.int64),
        local=np.zeros(_PLACES, np.bool_),
        line=np.zeros(_PLACES, np.int64),
        serial=np.zeros(_PLACES, np.int64),
        process=np.zeros(_PLACES, np.int64),
        address=np.zeros((_PLACES, 16), np.uint8),
        client_port=np.zeros(_PLACES, np.int32),
        transport=np.zeros(_PLACES, np.int8),
        qtype=np.zeros(_PLACES, np.int32),
        name=np.zeros((_PLACES, MAX_WIRE), np.uint8),
        size=np.zeros(_PLACES, np.int32),
    )


def count_waiting(waiting: Waiting) -> int:
    """Return how many queries wait."""
    return int(waiting.marks[_COUNT])


@kernel
def _mixed(state: Word, word: Word) -> Word:
    state = (state ^ word) * _MULTIPLIER
    return state ^ (state >> _S29)


@kernel
def key_of_serial(waiting: Waiting, serial: Int, port: Int) -> Int:
    """Return the hash of a query that has a serial number."""
    state = _mixed(waiting.seed[0], uint64(serial))
    state = _mixed(state, uint64(port + 1))
    return int64((state >> _S29) & uint64(_SLOTS - 1))


@kernel
def key_of_name(waiting: Waiting, name: Bytes, start: Int, stop: Int) -> Int:
    """Return the hash of a query that has none: that of its name."""
    state = waiting.seed[0]
    for i in range(start, stop):
        state = _mixed(state, uint64(fold_byte(int64(name[i]))))
    return int64((state >> _S29) & uint64(_SLOTS - 1))


@kernel
def put(waiting: Waiting, key: Int) -> Int:
    """Return the place of one more query, whose columns the caller fills.

    The caller has made room with ``expire``.
    """
    number = waiting.marks[_NEXT]
    place = number % _PLACES
    waiting.marks[_NEXT] = number + 1
    waiting.marks[_COUNT] += 1
    waiting.slot[place] = key
    waiting.after[place] = -1
    last = waiting.tails[key]
    if last < 0:
        waiting.heads[key] = number
    else:
        waiting.after[last % _PLACES] = number
    waiting.tails[key] = number
    return place


@kernel
def leave(waiting: Waiting, number: Int, before: Int, rows: Rows, offset: Int) -> Int:
    """Make a query a row without response code, and forget it; return its row.

    Args:
        waiting: the table.
        number: the query's number.
        before: the number of the one before it with the same hash, -1 if it is the first.
        rows: filled.
        offset: where the block begins in the stream.
    """
    place = number % _PLACES
    key = waiting.slot[place]
    after = waiting.after[place]
    if before < 0:
        waiting.heads[key] = after
    else:
        waiting.after[before % _PLACES] = after
    if after < 0:
        waiting.tails[key] = before
    waiting.slot[place] = -1
    waiting.marks[_COUNT] -= 1
    n = rows.counters[QUERIES_SEEN]
    rows.counters[QUERIES_SEEN] = n + 1
    rows.line[n] = waiting.line[place] - offset
    rows.time[n] = waiting.time[place]
    rows.local[n] = waiting.local[place]
    rows.client_port[n] = waiting.client_port[place]
    rows.transport[n] = waiting.transport[place]
    rows.qtype[n] = waiting.qtype[place]
    rows.rcode[n] = -1
    for k in range(16):
        rows.address[16 * n + k] = waiting.address[place, k]
    begin = rows.name_offsets[n]
    size = waiting.size[place]
    for k in range(size):
        rows.names[begin + k] = waiting.name[place, k]
    rows.name_offsets[n + 1] = begin + size
    return n


@kernel
def expire(waiting: Waiting, time: Int, room: Int, rows: Rows, offset: Int) -> None:
    """Let go the queries that have waited long enough when the log reaches a time.

    Args:
        waiting: the table.
        time: of a line, as the log shows it; ``BAD`` and other faults count for nothing.
        room: how many places must be free after it; all places: nothing waits any longer.
        rows: filled.
        offset: where the block begins in the stream.
    """
    marks = waiting.marks
    if time > BAD // 2:
        marks[_CLOCK] = advance_clock(marks[_CLOCK], time)
    while marks[_OLDEST] < marks[_NEXT]:
        number = marks[_OLDEST]
        place = number % _PLACES
        if waiting.slot[place] >= 0:
            age = marks[_CLOCK] - waiting.time[place]
            waits = -_BACK_US <= age <= WAIT_US
            if waits and marks[_NEXT] - number <= _PLACES - room:
                return
            # The oldest of all is the first of its hash.
            leave(waiting, number, int64(-1), rows, offset)
        marks[_OLDEST] = number + 1


@kernel
def by_serial(waiting: Waiting, serial: Int, port: Int) -> tuple[Int, Int]:
    """Return (number, number before it) of the last query with a serial number, or (-1, -1)."""
    before = int64(-1)
    found = int64(-1)
    found_before = int64(-1)
    number = waiting.heads[key_of_serial(waiting, serial, port)]
    for _ in range(_STEPS):
        if number < 0:
            break
        place = number % _PLACES
        if waiting.serial[place] == serial and waiting.client_port[place] == port:
            found = number
            found_before = before
        before = number
        number = waiting.after[place]
    return found, found_before


@kernel
def _same_name(waiting: Waiting, place: Int, name: Bytes, start: Int, stop: Int) -> bool:
    if waiting.size[place] != stop - start:
        return False
    for i in range(stop - start):
        if fold_byte(int64(waiting.name[place, i])) != fold_byte(int64(name[start + i])):
            return False
    return True


@kernel
def _answers(qtype: Int, hint: Int) -> bool:
    if hint == OTHER_TYPE:
        return qtype not in (_A, _AAAA)
    return hint == ANY_TYPE or qtype in (hint, _ANY)


@kernel
def by_name(waiting: Waiting, name: Bytes, start: Int, stop: Int, hint: Int) -> tuple[Int, Int]:
    """Return (number, number before it) of the oldest query that an answer can be for.

    Args:
        waiting: the table.
        name: holds the wire name that was asked for.
        start: where it begins.
        stop: where it ends.
        hint: the type that the answer is for, ``ANY_TYPE`` or ``OTHER_TYPE``.

    Returns:
        (-1, -1) if there is none.
    """
    before = int64(-1)
    number = waiting.heads[key_of_name(waiting, name, start, stop)]
    for _ in range(_STEPS):
        if number < 0:
            break
        place = number % _PLACES
        if (
            waiting.serial[place] < 0
            and _answers(int64(waiting.qtype[place]), hint)
            and _same_name(waiting, place, name, start, stop)
        ):
            return number, before
        before = number
        number = waiting.after[place]
    return int64(-1), int64(-1)


@kernel
def last_query(waiting: Waiting, process: Int, alone: Int) -> tuple[Int, Int]:
    """Return (number, number before it) of the last query, if it waits, or (-1, -1).

    Args:
        waiting: the table.
        process: it must be of this process.
        alone: 1: and no other query may wait.
    """
    number = waiting.marks[_NEXT] - 1
    if number < waiting.marks[_OLDEST] or (alone == 1 and waiting.marks[_COUNT] != 1):
        return int64(-1), int64(-1)
    place = number % _PLACES
    if waiting.slot[place] < 0 or waiting.process[place] != process:
        return int64(-1), int64(-1)
    before = int64(-1)
    step = waiting.heads[waiting.slot[place]]
    for _ in range(_STEPS):
        if step == number:
            return number, before
        before = step
        step = waiting.after[step % _PLACES]
    return int64(-1), int64(-1)
