"""Kernels that read the question and answer lines of the PowerDNS Recursor.

A classic answer names neither the client nor the transport, only the thread and the task in it; the
question that this task answers said both.

References:
    PowerDNS, pdns/recursordist/pdns_recursor.cc and rec-tcp.cc (what ``quiet=no`` writes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64

from remnant.capture.lines import MAX_LINE
from remnant.capture.pdns_fields import (
    key_end,
    read_client,
    read_name,
    read_prefix,
    read_question,
    read_subnet,
    read_value,
    skip_value,
)
from remnant.capture.text_fields import (
    BAD,
    find,
    parse_seconds,
    parse_uint,
    same_word,
    starts,
    token_end,
)
from remnant.capture.text_log import add_row
from remnant.capture.text_rows import (
    BAD_ADDRESS,
    BAD_FIELDS,
    BAD_NAME,
    BAD_NUMBER,
    BAD_TIME,
    QUERIES_SEEN,
    SKIPPED,
    TOO_LONG,
    Rows,
    reject,
)
from remnant.capture.text_stamp import LOCAL, TIME
from remnant.capture.text_types import parse_type
from remnant.wire import Bytes, Int, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["NAMELESS", "Tasks", "new_tasks", "read_lines"]

NAMELESS: Final = 6
"""Counter of the skipped lines of queries that were answered from the packet cache, unnamed."""

_SLOTS: Final = 1 << 16
_MAX_RCODE: Final = 4095
_MAX_WORDS: Final = 12
_NO_MESSAGE: Final = -2
_UNNAMED: Final = -3
_QUESTION: Final = 0
_ANSWER: Final = 1

# What a key means.
_OTHER: Final = 0
_NAME: Final = 1
_TYPE: Final = 2
_REMOTE: Final = 4
_SOURCE: Final = 8
_RCODE_KEY: Final = 16
_PROTO: Final = 32
_SUBNET: Final = 64
_TS: Final = 128

_ALL: Final = _NAME | _TYPE | _REMOTE | _PROTO | _SUBNET | _TS
_NEVER: Final = 256


def _bytes(word: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(word, np.uint8).copy()


_TCP: Final = _bytes(b"TCP ")
_ASKED: Final = _bytes(b"question for '")
_CACHED: Final = _bytes(b"question answered from packet cache ")
_ANSWERED: Final = _bytes(b"answer to question '")
_ANSWERED_NO_RD: Final = _bytes(b"answer to non-rd question '")
_FROM: Final = _bytes(b" from ")
_ECS: Final = _bytes(b"(ecs ")
_RCODE: Final = _bytes(b" rcode=")
_MSG: Final = _bytes(b'msg="')
_MSG_QUESTION: Final = _bytes(b'msg="Question"')
_MSG_ANSWER: Final = _bytes(b'msg="Answer"')
_MSG_CACHED: Final = _bytes(b'msg="Question answered from packet cache"')
_MSG_TCP_CACHED: Final = _bytes(b'msg="TCP question answered from packet cache"')
_KEY_NAME: Final = _bytes(b"qname")
_KEY_TYPE: Final = _bytes(b"qtype")
_KEY_REMOTE: Final = _bytes(b"remote")
_KEY_SOURCE: Final = _bytes(b"source")
_KEY_PROTO: Final = _bytes(b"proto")
_KEY_ECS: Final = _bytes(b"ecs")
_KEY_RCODE: Final = _bytes(b"rcode")
_KEY_TS: Final = _bytes(b"ts")
_VALUE_TCP: Final = _bytes(b"tcp")
_VALUE_UDP: Final = _bytes(b"udp")


class Tasks(NamedTuple):
    """Who asked the question that each task of each thread works on.

    Attributes:
        key: int64[n]: thread and task, 0 for none; a later question takes the place.
        address: uint8[16 n].
        client_port: int32[n].
        transport: int8[n].
    """

    key: npt.NDArray[np.int64]
    address: Bytes
    client_port: npt.NDArray[np.int32]
    transport: npt.NDArray[np.int8]


def new_tasks() -> Tasks:
    """Return a table without tasks."""
    return Tasks(
        np.zeros(_SLOTS, np.int64),
        np.zeros(16 * _SLOTS, np.uint8),
        np.zeros(_SLOTS, np.int32),
        np.zeros(_SLOTS, np.int8),
    )


@kernel
def _task(view: Bytes, start: Int, stop: Int) -> Int:
    """Return a number for ``3 [15/1] `` before ``stop`` (thread 3, task 15), or 0."""
    end = stop - 1
    if end - start < 3 or view[end - 1] != 93:
        return int64(0)
    slash = end - 2
    while slash > start and view[slash] != 47:
        slash -= 1
    bracket = slash - 1
    while bracket > start and view[bracket] != 91:
        bracket -= 1
    task = parse_uint(view, bracket + 1, slash)
    if view[bracket] != 91 or task < 0:
        return int64(0)
    thread = int64(0)
    before = bracket - 1
    if before > start and view[before] == 32:
        begin = before
        while begin > start and view[begin - 1] != 32:
            begin -= 1
        thread = max(parse_uint(view, begin, before), int64(0))
    return (thread << 34) | (task + 1)


@kernel
def _slot(key: Int) -> Int:
    return (key + (key >> 34) * 7919) & (_SLOTS - 1)


@kernel
def _asked(view: Bytes, i: Int, stop: Int, key: Int, n: Int, tasks: Tasks, rows: Rows) -> Int:
    """Read what follows ``question for '`` into row ``n``; return the reason why not, or -1."""
    # No name holds a space; it may hold a quote or a bar.
    end = token_end(view, i, stop)
    if end - i < 2 or view[end - 1] != 39 or not starts(view, end, stop, _FROM):
        return BAD_FIELDS
    reason = read_question(view, i, end - 1, n, rows)
    if reason >= 0:
        return reason
    i = end + _FROM.size
    end = token_end(view, i, stop)
    port = read_client(view, i, end, rows.address, 16 * n)
    if port < -1:
        return BAD_ADDRESS
    rows.client_port[n] = port
    rows.rcode[n] = -1
    rows.ecs[17 * n + 16] = 255
    subnet = find(view, end, stop, _ECS)
    if subnet >= 0:
        last = subnet
        while last < stop and view[last] != 41:
            last += 1
        if not read_subnet(view, subnet + _ECS.size, last, rows.ecs, 17 * n):
            return BAD_FIELDS
    if key != 0:
        slot = _slot(key)
        tasks.key[slot] = key
        tasks.client_port[slot] = port
        tasks.transport[slot] = rows.transport[n]
        for k in range(16):
            tasks.address[16 * slot + k] = rows.address[16 * n + k]
    return -1


@kernel
def _answered(view: Bytes, i: Int, stop: Int, key: Int, n: Int, tasks: Tasks, rows: Rows) -> Int:
    """Read what follows ``answer to question '`` into row ``n``; return the reason or -1."""
    slot = _slot(key)
    if key == 0 or tasks.key[slot] != key:
        return _NO_MESSAGE
    end = token_end(view, i, stop)
    if end - i < 3 or view[end - 1] != 58 or view[end - 2] != 39:
        return BAD_FIELDS
    reason = read_question(view, i, end - 2, n, rows)
    if reason >= 0:
        return reason
    code = find(view, end, stop, _RCODE)
    if code < 0:
        return BAD_FIELDS
    code += _RCODE.size
    last = code
    while last < stop and 48 <= view[last] <= 57:
        last += 1
    rows.rcode[n] = parse_uint(view, code, last)
    if rows.rcode[n] < 0 or rows.rcode[n] > _MAX_RCODE:
        return BAD_NUMBER
    tasks.key[slot] = 0
    rows.client_port[n] = tasks.client_port[slot]
    rows.transport[n] = tasks.transport[slot]
    rows.ecs[17 * n + 16] = 255
    for k in range(16):
        rows.address[16 * n + k] = tasks.address[16 * slot + k]
    return -1


@kernel
def _key(view: Bytes, start: Int, stop: Int) -> Int:
    """Return which of the keys that matter this is, or ``_OTHER``."""
    if same_word(view, start, stop, _KEY_NAME):
        return _NAME
    if same_word(view, start, stop, _KEY_TYPE):
        return _TYPE
    if same_word(view, start, stop, _KEY_REMOTE):
        return _REMOTE
    if same_word(view, start, stop, _KEY_SOURCE):
        return _SOURCE
    if same_word(view, start, stop, _KEY_RCODE):
        return _RCODE_KEY
    if same_word(view, start, stop, _KEY_PROTO):
        return _PROTO
    if same_word(view, start, stop, _KEY_ECS):
        return _SUBNET
    if same_word(view, start, stop, _KEY_TS):
        return _TS
    return _OTHER


@kernel
def _structured(
    view: Bytes,
    i: Int,
    stop: Int,
    n: Int,
    wanted: Int,
    value: Bytes,
    when: npt.NDArray[np.int64],
    rows: Rows,
) -> Int:
    """Read the fields of a structured line into row ``n``; return the reason why not, or -1.

    What stands after all of the wanted fields is not looked at.
    """
    seen = 0
    rows.client_port[n] = -1
    rows.transport[n] = -1
    rows.rcode[n] = -1
    rows.ecs[17 * n + 16] = 255
    when[TIME] = BAD
    when[LOCAL] = 0
    zero = int64(0)
    while i < stop:
        end = key_end(view, i, stop)
        if end < 0:
            return BAD_FIELDS
        key = _key(view, i, end)
        size = zero
        if key == _OTHER:
            i = skip_value(view, end, stop)
        else:
            size, i = read_value(view, end, stop, value)
        if i < 0:
            return BAD_FIELDS
        before = seen
        seen |= key
        if key == _NAME:
            if not read_name(value, zero, size, n, rows):
                return BAD_NAME
        elif key == _TYPE:
            rows.qtype[n] = parse_type(value, zero, size)
            if rows.qtype[n] < 0:
                return BAD_FIELDS
        elif key == _SOURCE or (key == _REMOTE and before & _SOURCE == 0):
            # With the proxy's protocol more follows: the client stands first.
            port = read_client(value, zero, token_end(value, zero, size), rows.address, 16 * n)
            if port < -1:
                return BAD_ADDRESS
            rows.client_port[n] = port
        elif key == _RCODE_KEY:
            rows.rcode[n] = parse_uint(value, zero, size)
            if rows.rcode[n] < 0 or rows.rcode[n] > _MAX_RCODE:
                return BAD_NUMBER
        elif key == _PROTO:
            if same_word(value, zero, size, _VALUE_UDP):
                rows.transport[n] = 0
            elif same_word(value, zero, size, _VALUE_TCP):
                rows.transport[n] = 1
        elif key == _SUBNET and size > 0:
            if not read_subnet(value, zero, size, rows.ecs, 17 * n):
                return BAD_FIELDS
        elif key == _TS:
            when[TIME] = parse_seconds(value, zero, size)
        if seen & wanted == wanted:
            break
    if when[TIME] == BAD:
        return BAD_TIME
    asked = _NAME | _TYPE
    known = seen & (_REMOTE | _SOURCE) != 0
    return -1 if seen & asked == asked and known else BAD_FIELDS


@kernel
def _read_line(
    view: Bytes,
    start: Int,
    stop: Int,
    n: Int,
    value: Bytes,
    year: npt.NDArray[np.int64],
    when: npt.NDArray[np.int64],
    tasks: Tasks,
    rows: Rows,
) -> Int:
    """Read one line into row ``n``; return -1 if it is a message.

    Else ``_NO_MESSAGE``, ``_UNNAMED``, or the reason why it cannot be read.
    """
    i = start
    tcp = 0
    for _ in range(_MAX_WORDS):
        if i >= stop:
            return _NO_MESSAGE
        byte = view[i]
        if byte == 109 and starts(view, i, stop, _MSG):
            rows.response[n] = _QUESTION
            wanted = _ALL
            if starts(view, i, stop, _MSG_ANSWER):
                rows.response[n] = _ANSWER
                wanted = _ALL | _RCODE_KEY
            elif not starts(view, i, stop, _MSG_QUESTION):
                # The client may stand at the end, after its proxy.
                wanted = _NEVER
                if not (
                    starts(view, i, stop, _MSG_CACHED) or starts(view, i, stop, _MSG_TCP_CACHED)
                ):
                    return _NO_MESSAGE
            return _structured(view, i, stop, n, wanted, value, when, rows)
        before = i - tcp * _TCP.size
        what = _NO_MESSAGE
        if byte == 113 and starts(view, i, stop, _ASKED):
            rows.response[n] = _QUESTION
            rows.transport[n] = tcp
            key = _task(view, start, before)
            what = _asked(view, i + _ASKED.size, stop, key, n, tasks, rows)
        elif byte == 97:
            size = 0
            if starts(view, i, stop, _ANSWERED):
                size = _ANSWERED.size
            elif starts(view, i, stop, _ANSWERED_NO_RD):
                size = _ANSWERED_NO_RD.size
            if size > 0:
                rows.response[n] = _ANSWER
                what = _answered(view, i + size, stop, _task(view, start, i), n, tasks, rows)
                if what == _NO_MESSAGE:
                    return what
        elif byte == 113 and starts(view, i, stop, _CACHED):
            return _UNNAMED
        if what != _NO_MESSAGE:
            bad_time = read_prefix(view, start, before, year, when)
            if bad_time and what < 0 and 48 <= view[start] <= 57 and when[TIME] == BAD:
                return _unreadable(view, start, before)
            return what
        tcp = 1 if starts(view, i, stop, _TCP) else 0
        i = token_end(view, i, stop) + 1
    return _NO_MESSAGE


@kernel
def _unreadable(view: Bytes, start: Int, stop: Int) -> Int:
    """Return ``BAD_TIME`` if more than a thread and its task stand before a message, else -1."""
    end = token_end(view, start, stop)
    if end + 1 >= stop or view[end + 1] == 91:
        return int64(-1)
    return int64(BAD_TIME)


@kernel
def read_lines(
    view: Bytes,
    ends: npt.NDArray[np.int64],
    year: npt.NDArray[np.int64],
    when: npt.NDArray[np.int64],
    value: Bytes,
    tasks: Tasks,
    rows: Rows,
) -> None:
    """Read the lines of a block.

    Args:
        view: the bytes of the lines.
        ends: where each line ends.
        year: int64[2], as ``text_stamp.take_stamp`` keeps it.
        when: int64[STAMP_COLUMNS], scratch.
        value: uint8[VALUE_LIMIT]: scratch.
        tasks: kept up to date.
        rows: filled.
    """
    for line in range(ends.size):
        start = ends[line - 1] + 1 if line > 0 else 0
        stop = ends[line]
        if stop - start > MAX_LINE:
            reject(rows, start, stop, int64(TOO_LONG))
            continue
        while stop > start and (view[stop - 1] == 13 or view[stop - 1] == 32):
            stop -= 1
        if stop == start or view[start] == 35:
            continue
        n = rows.counters[QUERIES_SEEN]
        what = _read_line(view, start, stop, n, value, year, when, tasks, rows)
        if what < -1:
            rows.counters[SKIPPED] += 1
            rows.counters[NAMELESS] += what == _UNNAMED
        elif what >= 0:
            reject(rows, start, stop, int64(what))
        else:
            add_row(rows, start, when)
