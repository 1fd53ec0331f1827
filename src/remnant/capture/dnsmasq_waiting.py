"""The queries of a dnsmasq log that wait for the lines that say what became of them.

What dnsmasq answers stands in one line per record, without the type and, unless the log has serial
numbers, without the client. So a query is kept, as the log has it, until the last of these lines
has been read; then it becomes a row, complete. A query without an answer leaves after 10 s, or when
16,384 others have come after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64, uint64

from remnant.capture.pairing import WAIT_US, advance_clock
from remnant.capture.text_fields import BAD
from remnant.capture.text_rows import QUERIES_SEEN, Rows
from remnant.wire import MAX_WIRE, Bytes, Int, Word, fold_byte, inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "ANY_TYPE",
    "AT",
    "FROM_PORT",
    "IS_LOCAL",
    "LENGTH",
    "NAME_AT",
    "NUMBER",
    "OFFSET",
    "OF_PROCESS",
    "OF_TYPE",
    "OTHER_TYPE",
    "OVER",
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

_PLACES: Final = 1 << 14
_SLOTS: Final = 1 << 15
_STEPS: Final = 64
"""Queries with the same hash that are looked at for one answer."""

# Columns of ``Waiting.marks``.
_OLDEST: Final = 0
_NEXT: Final = 1
_CLOCK: Final = 2
_COUNT: Final = 3

# Columns of ``Waiting.numbers``.
_SLOT: Final = 0
_AFTER: Final = 1
AT: Final = 2
IS_LOCAL: Final = 3
OFFSET: Final = 4
NUMBER: Final = 5
OF_PROCESS: Final = 6
FROM_PORT: Final = 7
OVER: Final = 8
OF_TYPE: Final = 9
LENGTH: Final = 10
_COLUMNS: Final = 11

NAME_AT: Final = 16
_ROW: Final = NAME_AT + MAX_WIRE + 1
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
        chains: int64[2, n]: number of the first and the last query with this hash, -1 for none.
        numbers: int64[m, 11]: the hash of a query (-1: it waits no more), the next query with the
            same hash (-1: none), its time as the log shows it, whether that has no zone, the offset
            of its line in the stream, the serial number that dnsmasq gave it (-1: none), its
            process, client port (-1: not in the log), transport, type, and length of its name.
        data: uint8[m, 272]: the client's address, and from 16 on the wire name.
    """

    marks: npt.NDArray[np.int64]
    seed: npt.NDArray[np.uint64]
    chains: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    data: Bytes


def new_waiting(seed: int) -> Waiting:
    """Return an empty table."""
    numbers = np.zeros((_PLACES, _COLUMNS), np.int64)
    numbers[:, _SLOT] = -1
    return Waiting(
        np.zeros(4, np.int64),
        np.array([seed], np.uint64),
        np.full((2, _SLOTS), -1, np.int64),
        numbers,
        np.zeros((_PLACES, _ROW), np.uint8),
    )


def count_waiting(waiting: Waiting) -> int:
    """Return how many queries wait."""
    return int(waiting.marks[_COUNT])


@kernel
def _mixed(state: Word, word: Word) -> Word:
    state = (state ^ word) * _MULTIPLIER
    return state ^ (state >> _S29)


@kernel
def key_of_serial(seed: npt.NDArray[np.uint64], serial: Int, port: Int) -> Int:
    """Return the hash of a query that has a serial number."""
    state = _mixed(seed[0], uint64((serial << 16) | (port + 1)))
    return int64((state >> _S29) & uint64(_SLOTS - 1))


@kernel
def key_of_name(seed: npt.NDArray[np.uint64], name: Bytes, start: Int, stop: Int) -> Int:
    """Return the hash of a query that has none: that of its name."""
    state = seed[0]
    for i in range(start, stop):
        state = _mixed(state, uint64(fold_byte(int64(name[i]))))
    return int64((state >> _S29) & uint64(_SLOTS - 1))


@inlined
def put(waiting: Waiting, key: Int) -> Int:
    """Return the place of one more query, whose columns the caller fills.

    The caller has made room with ``expire``.
    """
    number = waiting.marks[_NEXT]
    place = number & (_PLACES - 1)
    waiting.marks[_NEXT] = number + 1
    waiting.marks[_COUNT] += 1
    waiting.numbers[place, _SLOT] = key
    waiting.numbers[place, _AFTER] = -1
    last = waiting.chains[1, key]
    if last < 0:
        waiting.chains[0, key] = number
    else:
        waiting.numbers[last & (_PLACES - 1), _AFTER] = number
    waiting.chains[1, key] = number
    return place


@inlined
def leave(waiting: Waiting, number: Int, before: Int, rows: Rows, offset: Int) -> Int:
    """Make a query a row without response code, and forget it; return its row.

    Args:
        waiting: the table.
        number: the query's number.
        before: the number of the one before it with the same hash, -1 if it is the first.
        rows: filled.
        offset: where the block begins in the stream.
    """
    place = number & (_PLACES - 1)
    numbers = waiting.numbers
    key = numbers[place, _SLOT]
    after = numbers[place, _AFTER]
    if before < 0:
        waiting.chains[0, key] = after
    else:
        numbers[before & (_PLACES - 1), _AFTER] = after
    if after < 0:
        waiting.chains[1, key] = before
    numbers[place, _SLOT] = -1
    waiting.marks[_COUNT] -= 1
    n = rows.counters[QUERIES_SEEN]
    rows.counters[QUERIES_SEEN] = n + 1
    rows.line[n] = numbers[place, OFFSET] - offset
    rows.time[n] = numbers[place, AT]
    rows.local[n] = numbers[place, IS_LOCAL] == 1
    rows.client_port[n] = numbers[place, FROM_PORT]
    rows.transport[n] = numbers[place, OVER]
    rows.qtype[n] = numbers[place, OF_TYPE]
    rows.rcode[n] = -1
    for k in range(16):
        rows.address[16 * n + k] = waiting.data[place, k]
    begin = rows.name_offsets[n]
    size = numbers[place, LENGTH]
    for k in range(size):
        rows.names[begin + k] = waiting.data[place, NAME_AT + k]
    rows.name_offsets[n + 1] = begin + size
    return n


@inlined
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
        place = number & (_PLACES - 1)
        if waiting.numbers[place, _SLOT] >= 0:
            age = marks[_CLOCK] - waiting.numbers[place, AT]
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
    number = waiting.chains[0, key_of_serial(waiting.seed, serial, port)]
    for _ in range(_STEPS):
        if number < 0:
            break
        place = number & (_PLACES - 1)
        if waiting.numbers[place, NUMBER] == serial and waiting.numbers[place, FROM_PORT] == port:
            found = number
            found_before = before
        before = number
        number = waiting.numbers[place, _AFTER]
    return found, found_before


@kernel
def _same_name(waiting: Waiting, place: Int, name: Bytes, start: Int, stop: Int) -> bool:
    if waiting.numbers[place, LENGTH] != stop - start:
        return False
    for i in range(stop - start):
        same = fold_byte(int64(waiting.data[place, NAME_AT + i])) == fold_byte(
            int64(name[start + i])
        )
        if not same:
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
    number = waiting.chains[0, key_of_name(waiting.seed, name, start, stop)]
    for _ in range(_STEPS):
        if number < 0:
            break
        place = number & (_PLACES - 1)
        if (
            waiting.numbers[place, NUMBER] < 0
            and _answers(waiting.numbers[place, OF_TYPE], hint)
            and _same_name(waiting, place, name, start, stop)
        ):
            return number, before
        before = number
        number = waiting.numbers[place, _AFTER]
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
    place = number & (_PLACES - 1)
    slot = waiting.numbers[place, _SLOT]
    if slot < 0 or waiting.numbers[place, OF_PROCESS] != process:
        return int64(-1), int64(-1)
    before = int64(-1)
    step = waiting.chains[0, slot]
    for _ in range(_STEPS):
        if step == number:
            return number, before
        before = step
        step = waiting.numbers[step & (_PLACES - 1), _AFTER]
    return int64(-1), int64(-1)
