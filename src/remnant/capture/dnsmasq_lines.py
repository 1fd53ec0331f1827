"""Kernels that read the lines of a dnsmasq log, Pi-hole's among them.

After what ``dnsmasq_head`` reads, a line says where it comes from (``query[A]``, ``reply``,
``config``, a hosts file, ...) and then what.
Names stand as they are, without escapes; those with bytes that cannot be printed do not stand there
at all.

References:
    dnsmasq, src/cache.c (log_query, querystr), src/log.c; Pi-hole FTL, src/dnsmasq_interface.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64

from remnant.capture.dnsmasq_answers import (
    CNAME,
    FIRST_LINE,
    MESSAGES,
    QUERIES,
    Answer,
    Output,
    add_line,
    close,
    goes_on,
    is_open,
)
from remnant.capture.dnsmasq_head import (
    BLOCK,
    HINT,
    LOCAL_SOURCE,
    NAMELESS,
    PORT,
    PROCESS,
    RCODE,
    RECORD,
    SEEN,
    SERIAL,
    SIZE,
    TEXT_SIZE,
    TRANSPORT,
    Line,
    read_body,
    read_to_tag,
)
from remnant.capture.dnsmasq_waiting import (
    ANY_TYPE,
    AT,
    FROM_PORT,
    IS_LOCAL,
    LENGTH,
    NAME_AT,
    NUMBER,
    OF_PROCESS,
    OF_TYPE,
    OFFSET,
    OTHER_TYPE,
    OVER,
    Waiting,
    expire,
    key_of_name,
    key_of_serial,
    put,
)
from remnant.capture.lines import MAX_LINE
from remnant.capture.text_fields import (
    BAD,
    find,
    parse_address,
    parse_uint,
    same_word,
    starts,
    token_end,
)
from remnant.capture.text_log import NO_TIME, NO_YEAR
from remnant.capture.text_rows import (
    BAD_ADDRESS,
    BAD_FIELDS,
    BAD_NAME,
    BAD_TIME,
    SKIPPED,
    TOO_LONG,
    Rows,
    reject,
)
from remnant.capture.text_stamp import (
    LOCAL,
    NO_YEAR_TIME,
    TIME,
)
from remnant.capture.text_types import parse_type
from remnant.wire import Bytes, Int, inlined, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["flush", "read_lines"]

_MAX_PORT: Final = 65535
_MAX_TEXT: Final = 46

# What a line is.
_NO_TAG: Final = 0
_OTHER: Final = 1
_BESIDE: Final = 2
"""It stands among the lines of an answer, and says nothing about the query."""
_QUESTION: Final = 3
_FIRST: Final = 4
_FURTHER: Final = 5


def _bytes(word: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(word, np.uint8).copy()


_QUERY: Final = _bytes(b"query[")
_AUTH_QUERY: Final = _bytes(b"auth[")
_NUMBERED: Final = _bytes(b"type=")
_NSAP_PTR: Final = _bytes(b"NSAP_PTR")
_FROM: Final = _bytes(b" from ")
_IS: Final = _bytes(b" is ")
_REPLY: Final = _bytes(b"reply ")
_CACHED: Final = _bytes(b"cached ")
_STALE: Final = _bytes(b"cached-stale ")
_CONFIG: Final = _bytes(b"config ")
_DHCP: Final = _bytes(b"DHCP ")
_AUTH: Final = _bytes(b"auth ")
_GRAVITY: Final = _bytes(b"gravity blocked ")
_EXACTLY: Final = _bytes(b"exactly ")
_REGEX: Final = _bytes(b"regex ")
_SPECIAL: Final = _bytes(b"special domain ")
_RATE: Final = _bytes(b"Rate-limiting ")
_UPSTREAM: Final = _bytes(b"blocked upstream ")
_PIHOLE: Final = _bytes(b"Pi-hole ")
_GRAVITY_LIST: Final = _bytes(b"gravity.list")
_BLACK_LIST: Final = _bytes(b"black.list")
_REGEX_LIST: Final = _bytes(b"regex.list")
_NXDOMAIN: Final = _bytes(b"NXDOMAIN")
_NODATA: Final = _bytes(b"NODATA")
_NODATA4: Final = _bytes(b"NODATA-IPv4")
_NODATA6: Final = _bytes(b"NODATA-IPv6")
_SERVFAIL: Final = _bytes(b"SERVFAIL")
_REFUSED: Final = _bytes(b"REFUSED")
_NOTIMP: Final = _bytes(b"not implemented")
_ERROR: Final = _bytes(b"error")
_UNPRINTABLE: Final = _bytes(b"<name unprintable>")
_CHAIN: Final = _bytes(b"blocked during ")


@kernel
def _plain_name(view: Bytes, start: Int, stop: Int, out: Bytes) -> Int:
    """Write a name that has no escapes as a wire name; return its length, or ``NAMELESS``."""
    if stop - start == 1 and view[start] == 46:
        out[0] = 0
        return int64(1)
    if stop > start and view[stop - 1] == 46:
        stop -= 1
    if stop <= start or stop - start > 253:
        return int64(NAMELESS)
    if same_word(view, start, stop, _UNPRINTABLE):
        return int64(NAMELESS)
    length_at = int64(0)
    for i in range(start, stop):
        at = i - start + 1
        if view[i] == 46:
            size = at - length_at - 1
            if size == 0 or size > 63:
                return int64(NAMELESS)
            out[length_at] = size
            length_at = at
        else:
            out[at] = view[i]
    last = stop - start + 1
    size = last - length_at - 1
    if size == 0 or size > 63:
        return int64(NAMELESS)
    out[length_at] = size
    out[last] = 0
    return last + 1


@kernel
def _type_at(view: Bytes, start: Int, stop: Int) -> Int:
    if starts(view, start, stop, _NUMBERED):
        number = parse_uint(view, start + _NUMBERED.size, stop)
        return number if number <= _MAX_PORT else -1
    if same_word(view, start, stop, _NSAP_PTR):
        return 23
    return parse_type(view, start, stop)


@kernel
def _query(view: Bytes, i: Int, stop: Int, line: Line) -> Int:
    """Read ``A] NAME from ADDRESS`` into ``line``; return the reason why not, or -1."""
    bracket = i
    while bracket < stop and view[bracket] != 93:
        bracket += 1
    qtype = _type_at(view, i, bracket)
    if qtype < 0 or bracket + 2 > stop or view[min(bracket + 1, stop - 1)] != 32:
        return BAD_FIELDS
    # An address holds no spaces, a name may.
    last = stop - 1
    while last > bracket and view[last] != 32:
        last -= 1
    end = last - _FROM.size + 1
    if end <= bracket + 1 or not same_word(view, end, last + 1, _FROM):
        return BAD_FIELDS
    size = _plain_name(view, bracket + 2, end, line.name)
    if size < 0:
        return BAD_NAME
    if not parse_address(view, last + 1, stop, line.address, int64(0)):
        return BAD_ADDRESS
    line.number[HINT] = qtype
    line.number[SIZE] = size
    return -1


@inlined
def _wait(line: Line, waiting: Waiting, when: npt.NDArray[np.int64], at: Int) -> None:
    """Put the query of a line, which stands at an offset of the stream, into the table."""
    serial = line.number[SERIAL]
    size = line.number[SIZE]
    if serial >= 0:
        key = key_of_serial(waiting.seed, serial, line.number[PORT])
    else:
        key = key_of_name(waiting.seed, line.name, int64(0), size)
    place = put(waiting, key)
    numbers = waiting.numbers
    numbers[place, AT] = when[TIME]
    numbers[place, IS_LOCAL] = when[LOCAL]
    numbers[place, OFFSET] = at
    numbers[place, NUMBER] = serial
    numbers[place, OF_PROCESS] = line.number[PROCESS]
    numbers[place, FROM_PORT] = line.number[PORT]
    numbers[place, OVER] = line.number[TRANSPORT]
    numbers[place, OF_TYPE] = line.number[HINT]
    numbers[place, LENGTH] = size
    for k in range(16):
        waiting.data[place, k] = line.address[k]
    for k in range(size):
        waiting.data[place, NAME_AT + k] = line.name[k]


@kernel
def _list_name(view: Bytes, start: Int, stop: Int) -> Int:
    """Return why a name of this hosts file is blocked: Pi-hole's lists up to version 4."""
    for size in (_GRAVITY_LIST.size, _BLACK_LIST.size):
        begin = stop - size
        if begin <= start or view[begin - 1] != 47:
            continue
        if same_word(view, begin, stop, _GRAVITY_LIST):
            return 1
        if same_word(view, begin, stop, _BLACK_LIST):
            return 2
        if same_word(view, begin, stop, _REGEX_LIST):
            return 3
    return 0


@kernel
def _other_source(view: Bytes, i: Int, stop: Int, line: Line) -> Int:
    """Return the length of a rarer source of one word, 0 for one of several words, -1 for none."""
    if starts(view, i, stop, _CONFIG):
        return int64(_CONFIG.size)
    if starts(view, i, stop, _STALE):
        line.number[SEEN] = 1
        return int64(_STALE.size)
    if starts(view, i, stop, _DHCP):
        return int64(_DHCP.size)
    if starts(view, i, stop, _AUTH):
        return int64(_AUTH.size)
    if starts(view, i, stop, _GRAVITY):
        line.number[BLOCK] = 1
    elif starts(view, i, stop, _EXACTLY):
        line.number[BLOCK] = 2
    elif starts(view, i, stop, _REGEX):
        line.number[BLOCK] = 3
    elif starts(view, i, stop, _SPECIAL):
        line.number[BLOCK] = 4
    elif starts(view, i, stop, _RATE):
        line.number[BLOCK] = 5
    elif starts(view, i, stop, _UPSTREAM):
        line.number[BLOCK] = 6
    elif not starts(view, i, stop, _PIHOLE):
        return int64(-1)
    return int64(0)


@kernel
def _source(view: Bytes, i: Int, stop: Int, line: Line) -> tuple[Int, Int]:
    """Read where an answer comes from; return (where its name begins, where `` is `` stands).

    The first is -1 if the line is no answer.
    """
    line.number[LOCAL_SOURCE] = 1
    line.number[BLOCK] = 0
    line.number[SEEN] = 0
    if i >= stop:
        return -1, -1
    single = 0
    byte = view[i]
    if byte == 102:
        return -1, -1
    if byte == 114 and starts(view, i, stop, _REPLY):
        line.number[LOCAL_SOURCE] = 0
        line.number[SEEN] = 1
        single = _REPLY.size
    elif byte == 99 and starts(view, i, stop, _CACHED):
        line.number[SEEN] = 1
        single = _CACHED.size
    elif byte == 47:
        end = token_end(view, i, stop)
        line.number[BLOCK] = _list_name(view, i, end)
        single = end + 1 - i
    else:
        single = _other_source(view, i, stop, line)
        if single < 0:
            return -1, -1
    at = find(view, i, stop, _IS)
    if at < 0:
        return -1, -1
    if single > 0:
        return (i + single if i + single < at else -1), at
    # Sources of several words: the name is the last of them.
    begin = at
    while begin > i and view[begin - 1] != 32:
        begin -= 1
    return begin, at


@kernel
def _result(view: Bytes, i: Int, stop: Int, line: Line) -> bool:
    """Read what an answer says; return whether it says anything about the query."""
    number = line.number
    number[RECORD] = 0
    number[TEXT_SIZE] = 0
    number[HINT] = ANY_TYPE
    number[RCODE] = 0
    if starts(view, i, stop, _CHAIN):
        return False
    end = token_end(view, i, stop)
    if end < stop and starts(view, i, stop, _NOTIMP):
        end = min(i + _NOTIMP.size, stop)
    if end < stop and (end + 1 >= stop or view[end + 1] != 40):
        # Several words: a text.
        number[HINT] = OTHER_TYPE
        return True
    if view[i] == 60 and view[end - 1] == 62:
        kind = _type_at(view, i + 1, end - 1)
        number[RECORD] = kind if kind == CNAME else 0
        number[HINT] = kind if kind > 0 and kind != CNAME else ANY_TYPE
    elif same_word(view, i, end, _NXDOMAIN):
        number[RCODE] = 3
    elif same_word(view, i, end, _NODATA):
        number[HINT] = OTHER_TYPE
    elif same_word(view, i, end, _NODATA4):
        number[HINT] = 1
    elif same_word(view, i, end, _NODATA6):
        number[HINT] = 28
    elif same_word(view, i, end, _SERVFAIL):
        number[RCODE] = 2
    elif same_word(view, i, end, _REFUSED):
        number[RCODE] = 5
    elif same_word(view, i, end, _NOTIMP):
        number[RCODE] = 4
    else:
        family = 0
        if end - i <= _MAX_TEXT:
            family = parse_address(view, i, end, line.address, int64(0))
        if family > 0:
            number[RECORD] = 1 if family == 4 else 28
            number[HINT] = number[RECORD]
            number[TEXT_SIZE] = end - i
            for k in range(end - i):
                line.text[k] = view[i + k]
        elif number[SIZE] == NAMELESS:
            code = parse_uint(view, i, end)
            number[RCODE] = code if 0 <= code <= 4095 else -1
        else:
            number[HINT] = OTHER_TYPE
    return True


@kernel
def _answer(view: Bytes, i: Int, stop: Int, line: Line) -> Int:
    """Read an answer into ``line``; return what the line is."""
    begin, at = _source(view, i, stop, line)
    if begin < 0 or at + _IS.size >= stop:
        return _OTHER
    line.number[SIZE] = NAMELESS
    if not same_word(view, begin, at, _ERROR):
        line.number[SIZE] = _plain_name(view, begin, at, line.name)
    return _FIRST if _result(view, at + _IS.size, stop, line) else _BESIDE


@kernel
def _opening(view: Bytes, i: Int, stop: Int) -> Int:
    """Return the length of ``query[``, 0 if it does not stand at ``i``."""
    if starts(view, i, stop, _QUERY):
        return int64(_QUERY.size)
    return int64(_AUTH_QUERY.size) if starts(view, i, stop, _AUTH_QUERY) else int64(0)


@kernel
def read_lines(
    view: Bytes,
    ends: npt.NDArray[np.int64],
    offset: Int,
    year: npt.NDArray[np.int64],
    when: npt.NDArray[np.int64],
    waiting: Waiting,
    answer: Answer,
    line: Line,
    rows: Rows,
    out: Output,
) -> None:
    """Read the lines of a block.

    Args:
        view: the bytes of the lines.
        ends: where each line ends.
        offset: where the block begins in the stream.
        year: int64[2], as ``text_stamp.take_stamp`` keeps it.
        when: int64[STAMP_COLUMNS], scratch.
        waiting: the queries that wait for their answers; kept up to date.
        answer: the answer that is being read; kept up to date.
        line: scratch.
        rows: filled with the queries that are complete.
        out: filled.
    """
    for index in range(ends.size):
        start = ends[index - 1] + 1 if index > 0 else 0
        stop = ends[index]
        if stop - start > MAX_LINE:
            reject(rows, start, stop, int64(TOO_LONG))
            continue
        while stop > start and (view[stop - 1] == 13 or view[stop - 1] == 32):
            stop -= 1
        if stop == start or view[start] == 35:
            continue
        i, bad_time = read_to_tag(view, start, stop, year, when, line)
        kind = _NO_TAG
        opening = 0
        if i >= 0:
            i = read_body(view, i, stop, line)
            opening = _opening(view, i, stop)
            kind = _QUESTION if opening > 0 else _answer(view, i, stop, line)
            if bad_time and kind == _FIRST:
                kind = _OTHER
        if kind == _FIRST and goes_on(answer, line):
            kind = _FURTHER
        if is_open(answer) and kind in (_QUESTION, _FIRST, _OTHER):
            close(answer, waiting, rows, offset, out)
        if kind == _QUESTION:
            reason = int64(BAD_TIME) if bad_time else _query(view, i + opening, stop, line)
            if reason >= 0:
                reject(rows, start, stop, reason)
                continue
            expire(waiting, when[TIME], int64(1), rows, offset)
            _wait(line, waiting, when, start + offset)
            rows.counters[NO_TIME] += when[TIME] == BAD
            rows.counters[NO_YEAR] += when[TIME] == NO_YEAR_TIME
            out.counters[QUERIES] += 1
        elif kind in (_FIRST, _FURTHER):
            add_line(answer, line, when[TIME], when[LOCAL])
        if kind in (_QUESTION, _FIRST):
            n = out.counters[MESSAGES]
            if n == 0:
                out.counters[FIRST_LINE] = start
            out.counters[MESSAGES] = n + 1
            out.time[n] = when[TIME]
            out.local[n] = when[LOCAL] == 1
        else:
            rows.counters[SKIPPED] += 1


@kernel
def flush(waiting: Waiting, answer: Answer, offset: Int, rows: Rows, out: Output) -> None:
    """End a log: nothing waits any longer."""
    if is_open(answer):
        close(answer, waiting, rows, offset, out)
    expire(waiting, int64(BAD), int64(1 << 30), rows, offset)
