"""Writes dnstap: DNS messages from columns, in protobuf, in Frame Streams.

The DNS messages are made here too, byte by byte, since a message per Python object would take a
hundred times as long.

References:
    dnstap.pb/dnstap.proto (field numbers), farsightsec/fstrm control.h (control frames),
    RFC 1035 section 4 (messages), RFC 2308 (SOA in negative answers), RFC 6891 (OPT), RFC 7871
    (client subnet).
"""

from __future__ import annotations

from ipaddress import ip_address
from struct import pack
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from remnant.simulate.addresses import IPV6_BIT
from remnant.simulate.draws import STEP, bits, mixed, stream, unit
from remnant.simulate.networks import V6_TOP
from remnant.simulate.order import time_order
from remnant.simulate.questions import NXDOMAIN, WORD, NameTable
from remnant.simulate.rows import FIRST_BROKEN
from remnant.wire import Bytes, Int, Word, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "ECS",
    "MOST_BYTES",
    "START",
    "STOP",
    "VERSION",
    "Frames",
    "Messages",
    "Sensor",
    "encode",
    "fates",
    "schedule",
    "sensor",
]

VERSION: Final = b"remnant-simulator"
"""The dnstap ``version`` of every frame: marks a source as simulated."""

_CONTENT_TYPE: Final = b"protobuf:dnstap.Dnstap"
START: Final = (
    pack(">6I", 0, 12 + len(_CONTENT_TYPE), 2, 1, len(_CONTENT_TYPE), 0)[:20] + _CONTENT_TYPE
)
STOP: Final = pack(">3I", 0, 4, 3)

QUERY: Final = 5
RESPONSE: Final = 6
RESOLVER_QUERY: Final = 3
RESOLVER_RESPONSE: Final = 4

MOST_BYTES: Final = 768
"""No frame is longer, its length included."""
_INSIDE: Final = 1023
"""Mask of positions in a frame."""
_FAR: Final = (1 << 40) - 1
"""Mask of positions in all names."""
_DRESS: Final = 4
_IID: Final = 5
_MISSES: Final = 0.03
_SERVFAIL: Final = 0.003
_TCP: Final = 0.005
_MIXED: Final = 1
_EDNS: Final = 2
ECS: Final = 4
_OVER_TCP: Final = 8
_FAILS: Final = 16
_MINUTE_US: Final = 60_000_000
_AUTHORITY: Final = int(ip_address("198.51.100.253"))
# An SOA record of a negative answer; pointers to the last label of the name are written into it.
_SOA: Final = np.frombuffer(
    pack(">3HIH", 0, 6, 1, 900, 5 + 13 + 20)
    + b"\x02ns\0\0\x0a"
    + b"h" * 10
    + b"\0\0"
    + pack(">5I", 2015032500, 7200, 3600, 1209600, 900),
    np.uint8,
)
_SOA_BYTES: Final = 50
_TOPS: Final = (0, 15, 28)


class Messages(NamedTuple):
    """One row per query message of one resolver and day.

    Attributes:
        time: UTC microseconds.
        unit: unit number of the client (see ``addresses``).
        name, qtype: what is asked.
        after: 1 after the takedown, 2 where the resolver blocks the name, else 0.
        mark: 0; 1 no response; from 2 on: broken, and how.
        habits: bits 1 mixed case, 2 EDNS, 4 client subnet.
        device: picks the interface identifier of IPv6 addresses.
    """

    time: npt.NDArray[np.int64]
    unit: npt.NDArray[np.int64]
    name: npt.NDArray[np.int32]
    qtype: npt.NDArray[np.uint16]
    after: npt.NDArray[np.uint8]
    mark: npt.NDArray[np.uint8]
    habits: npt.NDArray[np.uint8]
    device: npt.NDArray[np.int32]


class Frames(NamedTuple):
    """One row per frame: its time (UTC microseconds), its message's row, and its dnstap type."""

    time: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    type: npt.NDArray[np.uint8]

    def part(self, begin: int, end: int) -> Frames:
        """Return the frames from one index to before another."""
        return Frames(self.time[begin:end], self.row[begin:end], self.type[begin:end])

    def sorted(self) -> Frames:
        """Return the frames in time order."""
        order = time_order(self.time)
        return Frames(self.time[order], self.row[order], self.type[order])


class Sensor(NamedTuple):
    """What is the same in all frames of one resolver.

    Attributes:
        head: the protobuf fields identity and version, and ``WORD`` bytes more.
        size: of the head without those.
        v4, v6: its address on the clients' side.
    """

    head: npt.NDArray[np.uint8]
    size: int
    v4: npt.NDArray[np.uint8]
    v6: npt.NDArray[np.uint8]


def sensor(identity: str, v4: str, v6: str) -> Sensor:
    """Return the constant part of a resolver's frames."""
    name = identity.encode()
    head = bytes((0x0A, len(name))) + name + bytes((0x12, len(VERSION))) + VERSION
    return Sensor(
        # Memory that may be written to: kernels are compiled once for all arrays.
        np.frombuffer(bytearray(head) + bytes(WORD), np.uint8),
        len(head),
        np.frombuffer(bytearray(ip_address(v4).packed), np.uint8),
        np.frombuffer(bytearray(ip_address(v6).packed), np.uint8),
    )


def schedule(messages: Messages, seed: np.uint64, day: int, end: int) -> Frames:
    """Return the frames of messages, in time order: queries, responses, questions to authorities.

    All responses come before the end of the day (UTC microseconds), so that a file is complete.
    """
    room = 4 * messages.time.size
    frames = Frames(np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.uint8))
    count = _schedule(seed, day, end, messages.time, messages.mark, frames)
    return frames.part(0, count).sorted()


@kernel
def _schedule(
    seed: Word,
    day: Int,
    end: Int,
    time: npt.NDArray[np.int64],
    mark: Bytes,
    frames: Frames,
) -> Int:
    count = 0
    for row in range(time.size):
        at = time[row]
        frames.time[count] = at
        frames.row[count] = row
        frames.type[count] = QUERY
        count += 1
        if mark[row] != 0:
            continue
        state = stream(seed, _DRESS, day, row) + STEP * np.uint64(8)
        misses = unit(state) < _MISSES
        delay = 150.0 - 400.0 * np.log(1.0 - unit(state + STEP))
        if misses:
            delay += 8_000.0 - 30_000.0 * np.log(1.0 - unit(state + STEP * np.uint64(2)))
        done = min(at + np.int64(min(delay, 2e6)), end - 1)
        if misses:
            frames.time[count] = min(at + 100, end - 1)
            frames.row[count] = row
            frames.type[count] = RESOLVER_QUERY
            frames.time[count + 1] = max(min(at + 100, end - 1), done - 50)
            frames.row[count + 1] = row
            frames.type[count + 1] = RESOLVER_RESPONSE
            count += 2
        frames.time[count] = done
        frames.row[count] = row
        frames.type[count] = RESPONSE
        count += 1
    return count


def encode(
    frames: Frames,
    messages: Messages,
    names: NameTable,
    resolver: Sensor,
    *,
    seed: Word,
    day: Int,
    out: Bytes,
) -> Bytes:
    """Return the Frame Streams data frames (a part of ``out``), without START and STOP.

    Args:
        frames: in the order in which they are to be written.
        messages: what the frames' rows point to.
        names: what the messages ask for.
        resolver: who writes.
        seed: picks ports, message numbers and letter case; all frames of one query have the same.
        day: the same.
        out: room for ``MOST_BYTES`` for each frame.
    """
    return out[: _encode(frames, messages, names, resolver, seed, day, out)]


def fates(
    seed: np.uint64, day: int, rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return of some messages whether they end in SERVFAIL, and whether they come over TCP.

    These are the draws that ``encode`` makes.
    """
    # Arrays, not numbers: their products wrap around without a warning.
    state = np.array([seed])
    for part in (np.array([_DRESS]), np.array([day]), rows):
        state = mixed(state + STEP * (part.astype(np.uint64) + np.uint64(1)))

    def chance(step: int) -> npt.NDArray[np.float64]:
        drawn = mixed(state + STEP * np.array([step], np.uint64))
        return (drawn >> np.uint64(11)) / 9007199254740992.0

    return chance(1) < _SERVFAIL, chance(2) < _TCP


# Positions below are masked where the compiler cannot see that they are small and not negative: it
# then leaves out the question whether an index counts from the end, and joins bytes into words.


@kernel
def _put16(out: Bytes, at: Int, value: Int) -> Int:
    out[at] = (value >> 8) & 0xFF
    out[at + 1] = value & 0xFF
    return at + 2


@kernel
def _put32(out: Bytes, at: Int, value: Int) -> Int:
    return _put16(out, _put16(out, at, value >> 16), value & 0xFFFF)


@kernel
def _put(out: Bytes, at: Int, data: Bytes) -> Int:
    # A view of its own: its indexes are known not to be negative, and the loop becomes a copy.
    target = out[at : at + data.size]
    for i in range(data.size):
        target[i] = data[i]
    return at + data.size


@kernel
def _put_words(out: Bytes, at: Int, data: Bytes, first: Int, size: Int) -> Int:
    """Copy bytes by words of eight: up to seven more than asked for are read and written."""
    for i in range(0, size, WORD):
        x = (first + i) & _FAR
        y = (at + i) & _INSIDE
        # All are read before any is written: one load and one store.
        a, b, c, d = data[x], data[x + 1], data[x + 2], data[x + 3]
        e, f, g, h = data[x + 4], data[x + 5], data[x + 6], data[x + 7]
        out[y], out[y + 1], out[y + 2], out[y + 3] = a, b, c, d
        out[y + 4], out[y + 5], out[y + 6], out[y + 7] = e, f, g, h
    return at + size


@kernel
def _varint(out: Bytes, at: Int, value: Int) -> Int:
    while value >= 128:
        out[at & _INSIDE] = (value & 0x7F) | 0x80
        value >>= 7
        at += 1
    out[at & _INSIDE] = value
    return at + 1


@kernel
def _size(value: Int) -> Int:
    """Return how many bytes a varint takes."""
    size = 1
    while value >= 128:
        value >>= 7
        size += 1
    return size


@kernel
def _time_size(time_us: Int) -> Int:
    return 6 + _size(time_us // 1_000_000)


@kernel
def _time(out: Bytes, at: Int, tag: Int, time_us: Int) -> Int:
    """Write seconds (varint, field ``tag``) and nanoseconds (fixed32, the next field)."""
    out[at] = tag << 3
    at = _varint(out, at + 1, time_us // 1_000_000) & _INSIDE
    nanoseconds = time_us % 1_000_000 * 1000
    out[at] = ((tag + 1) << 3) | 5
    out[at + 1] = nanoseconds & 0xFF
    out[at + 2] = (nanoseconds >> 8) & 0xFF
    out[at + 3] = (nanoseconds >> 16) & 0xFF
    out[at + 4] = (nanoseconds >> 24) & 0xFF
    return at + 5


@kernel
def _capitals(out: Bytes, at: Int, length: Int, upper: Word) -> None:
    """Write letters of a name large: bit i of ``upper`` asks for capital i (modulo 64)."""
    letter = np.uint64(0)
    for i in range(at, at + length):
        # Length octets are below 64, so letters are only ever letters.
        if 0x61 <= out[i] <= 0x7A:
            if (upper >> (letter & np.uint64(63))) & np.uint64(1):
                out[i] -= 0x20
            letter += np.uint64(1)


@kernel
def _opt(habits: Int, client: Int, size: Int, at: Int, out: Bytes) -> Int:
    """Write an OPT record of 1,232 bytes, with the client's /24 or /56 where it sends it.

    The client's address of ``size`` bytes stands at ``client`` already.
    """
    out[at] = 0
    at = _put16(out, at + 1, 41)
    at = _put32(out, _put16(out, at, 1232), 0)
    if not habits & ECS:
        return _put16(out, at, 0)
    count = 3 if size == 4 else 7
    at = _put16(out, at, 8 + count)
    at = _put16(out, _put16(out, at, 8), 4 + count)
    at = _put16(out, at, 1 if size == 4 else 2)
    out[at] = 8 * count
    out[at + 1] = 0
    return _put(out, at + 2, out[client : client + count])


@kernel
def _answer_size(names: NameTable, name: Int, qtype: Int, after: Int) -> Int:
    """Return the bytes of the address that answers, 0 where none does."""
    answer = names.answer[name, after]
    if qtype == 1 and answer & 2:
        return 4
    return 16 if qtype == 28 and answer & 4 else 0


@kernel
def _answer(
    names: NameTable, name: Int, qtype: Int, after: Int, size: Int, at: Int, out: Bytes
) -> Int:
    """Write the address of a name, or the SOA where it has none."""
    if size:
        at = _put16(out, at, 0xC00C)
        at = _put16(out, _put16(out, at, qtype), 1)
        at = _put16(out, _put32(out, at, names.ttl[name, after]), size)
        if size == 16:
            return _put_words(out, at, names.v6[name, after], 0, 16)
        for i in range(4):
            out[at + i] = names.v4[name, after, i]
        return at + 4
    top = 0xC00C + names.top[name]
    _put(out, at, _SOA)
    for place in _TOPS:
        _put16(out, at + place, top)
    return at + _SOA_BYTES


@kernel
def _broken(kind: Int, end: Int, label: Int) -> Int:
    """Return the length of a broken query (see ``rows.MALFORMED``) whose first label is so long."""
    if kind == 0:
        return 5
    if kind == 1:
        return min(end - 5, 12 + 1 + label + 2)
    return 18 if kind == 2 else end


@kernel
def _encode(
    frames: Frames,
    messages: Messages,
    names: NameTable,
    resolver: Sensor,
    seed: Word,
    day: Int,
    out: Bytes,
) -> Int:
    done = 0
    here = np.int64(0)
    for byte in resolver.v4:
        here = here << 8 | np.int64(byte)
    head = resolver.size & 0xFF
    for frame in range(frames.time.size):
        row = frames.row[frame]
        kind = np.int64(frames.type[frame])
        to_authority = kind < QUERY
        responds = kind in (RESPONSE, RESOLVER_RESPONSE)
        state = stream(seed, _DRESS, day, row)
        number = np.int64(bits(state))
        habits = np.int64(messages.habits[row])
        name = np.int64(messages.name[row])
        qtype = np.int64(messages.qtype[row])
        after = np.int64(messages.after[row])
        mark = np.int64(messages.mark[row])
        client = messages.unit[row]
        six = (client & IPV6_BIT) != 0 and not to_authority
        first = names.offsets[name]
        wire = (names.offsets[name + 1] - first) & 0xFF

        # Lengths come before what they are about, so all of them are added up first.
        end = 12 + wire + 4
        answers = responds and (to_authority or unit(state + STEP) >= _SERVFAIL)
        size = 0
        if answers:
            size = _answer_size(names, name, qtype, after)
            end += 12 + size if size else _SOA_BYTES
        opt = (habits & (_EDNS | ECS)) != 0 and not to_authority
        if opt:
            end += 11
            if habits & ECS:
                end += 15 if six else 11
        if mark >= FIRST_BROKEN:
            end = _broken(mark - FIRST_BROKEN, end, np.int64(names.wire[first]))
        end &= _INSIDE
        width = 16 if six else 4
        port = 1024 + ((number >> 32) & 0x7FFF)
        then = frames.time[frame]
        asked = then
        if responds:
            asked = min(messages.time[row] + 100, then) if to_authority else messages.time[row]
        length = 6 + 2 * (2 + width) + 1 + _size(port) + 2
        length += _time_size(asked) + 1 + _size(end) + end
        if responds:
            length += _time_size(then)

        part = out[done : done + MOST_BYTES]
        _put_words(part, 4, resolver.head, 0, head)
        at = 4 + head
        part[at] = 0x72
        at = _varint(part, at + 1, length) & _INSIDE
        part[at] = 0x08
        part[at + 1] = kind
        part[at + 2] = 0x10
        part[at + 3] = 2 if six else 1
        part[at + 4] = 0x18
        tcp = not to_authority and unit(state + STEP * np.uint64(2)) < _TCP
        part[at + 5] = 2 if tcp else 1
        part[at + 6] = 0x22
        part[at + 7] = width
        at += 8
        source = at
        if six:
            iid = bits(stream(seed, _IID, day, np.int64(messages.device[row])))
            at = _put32(part, _put32(part, at, V6_TOP), client & 0xFFFFFFFF)
            at = _put32(part, at, np.int64(iid >> np.uint64(32)))
            at = _put32(part, at, np.int64(iid & np.uint64(0xFFFFFFFF)))
            part[at] = 0x2A
            part[at + 1] = 16
            at = _put_words(part, at + 2, resolver.v6, 0, 16)
        else:
            at = _put32(part, at, here if to_authority else client)
            part[at] = 0x2A
            part[at + 1] = 4
            at = _put32(part, at + 2, _AUTHORITY if to_authority else here)
        at &= _INSIDE
        part[at] = 0x30
        at = _varint(part, at + 1, port) & _INSIDE
        part[at] = 0x38
        part[at + 1] = 53
        at = _time(part, at + 2, 8, asked) & _INSIDE
        if responds:
            at = _time(part, at, 12, then) & _INSIDE
        part[at] = 0x72 if responds else 0x52
        at = _varint(part, at + 1, end) & _INSIDE

        # The DNS message.
        dns = at
        _put16(part, at, (number >> 16 if to_authority else number) & 0xFFFF)
        rcode = 0
        if answers:
            rcode = 3 if not size and names.answer[name, after] & NXDOMAIN else 0
        elif responds:
            rcode = 2
        part[at + 2] = (0 if to_authority else 1) | (0x80 if responds else 0)
        if responds and to_authority:
            part[at + 2] |= 0x04
        part[at + 3] = (0x80 if responds and not to_authority else 0) | rcode
        _put16(part, at + 4, 1)
        _put16(part, at + 6, 1 if size else 0)
        _put16(part, at + 8, 1 if answers and not size else 0)
        _put16(part, at + 10, 1 if opt else 0)
        _put_words(part, at + 12, names.wire, first, wire)
        if habits & _MIXED:
            _capitals(part, at + 12, wire, bits(state + STEP * np.uint64(3)))
        at = _put16(part, _put16(part, at + 12 + wire, qtype), 1)
        if answers:
            at = _answer(names, name, qtype, after, size, at, part) & _INSIDE
        if opt:
            _opt(habits, source, width, at, part)
        if mark == FIRST_BROKEN + 2:
            _put16(part, dns + 12, 0xC00C)
        elif mark == FIRST_BROKEN + 3:
            part[dns + 12] |= 0x80
        at = dns + end
        part[at] = 0x78
        part[at + 1] = 1
        _put32(part, 0, at + 2 - 4)
        done += at + 2
    return done
