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
from remnant.simulate.questions import NXDOMAIN, NameTable
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
_MOST_DNS: Final = 512
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
_AUTHORITY: Final = np.array([198, 51, 100, 253], np.uint8)


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
        order = np.argsort(self.time, kind="stable")
        return Frames(self.time[order], self.row[order], self.type[order])


class Sensor(NamedTuple):
    """What is the same in all frames of one resolver.

    Attributes:
        head: the protobuf fields identity and version.
        v4, v6: its address on the clients' side.
    """

    head: npt.NDArray[np.uint8]
    v4: npt.NDArray[np.uint8]
    v6: npt.NDArray[np.uint8]


def sensor(identity: str, v4: str, v6: str) -> Sensor:
    """Return the constant part of a resolver's frames."""
    name = identity.encode()
    head = bytes((0x0A, len(name))) + name + bytes((0x12, len(VERSION))) + VERSION
    return Sensor(
        np.frombuffer(head, np.uint8),
        np.frombuffer(ip_address(v4).packed, np.uint8),
        np.frombuffer(ip_address(v6).packed, np.uint8),
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
    dns = np.zeros(_MOST_DNS, np.uint8)
    address = np.zeros(16, np.uint8)
    return out[: _encode(frames, messages, names, resolver, seed, day, out, dns, address)]


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
def _varint(out: Bytes, at: Int, value: Int) -> Int:
    while value >= 128:
        out[at] = (value & 0x7F) | 0x80
        value >>= 7
        at += 1
    out[at] = value
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
    at = _varint(out, at + 1, time_us // 1_000_000)
    out[at] = ((tag + 1) << 3) | 5
    nanoseconds = time_us % 1_000_000 * 1000
    for i in range(4):
        out[at + 1 + i] = (nanoseconds >> (8 * i)) & 0xFF
    return at + 5


@kernel
def _address(unit_number: Int, iid: Word, out: Bytes) -> Int:
    """Write a client's address and return its length: 4 or 16 bytes."""
    if unit_number & IPV6_BIT:
        _put32(out, 0, V6_TOP)
        _put32(out, 4, unit_number & 0xFFFFFFFF)
        _put32(out, 8, np.int64(iid >> np.uint64(32)))
        _put32(out, 12, np.int64(iid & np.uint64(0xFFFFFFFF)))
        return 16
    _put32(out, 0, unit_number)
    return 4


@kernel
def _question(
    names: NameTable,
    name: Int,
    qtype: Int,
    upper: Word,
    out: Bytes,
) -> Int:
    """Write the question behind a header; bit i of ``upper`` asks for capital i (modulo 64)."""
    start = names.offsets[name]
    length = names.offsets[name + 1] - start
    at = 12
    letter = np.uint64(0)
    _put(out, at, names.wire[start : start + length])
    if upper:
        for i in range(at, at + length):
            # Length octets are below 64, so letters are only ever letters.
            if 0x61 <= out[i] <= 0x7A:
                if (upper >> (letter & np.uint64(63))) & np.uint64(1):
                    out[i] -= 0x20
                letter += np.uint64(1)
    return _put16(out, _put16(out, at + length, qtype), 1)


@kernel
def _opt(habits: Int, address: Bytes, size: Int, at: Int, out: Bytes) -> Int:
    """Write an OPT record of 1,232 bytes, with the client's /24 or /56 where it sends it."""
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
    return _put(out, at + 2, address[:count])


@kernel
def _answer(names: NameTable, name: Int, qtype: Int, after: Int, at: Int, out: Bytes) -> Int:
    """Write the answer, or the SOA of a negative one; set rcode and counts in the header."""
    answer = names.answer[name, after]
    size = 0
    if qtype == 1 and answer & 2:
        size = 4
    elif qtype == 28 and answer & 4:
        size = 16
    if size:
        _put16(out, 6, 1)
        at = _put16(out, at, 0xC00C)
        at = _put16(out, _put16(out, at, qtype), 1)
        at = _put16(out, _put32(out, at, names.ttl[name, after]), size)
        return _put(out, at, names.v4[name, after] if size == 4 else names.v6[name, after])
    if answer & NXDOMAIN:
        out[3] |= 3
    _put16(out, 8, 1)
    top = 0xC00C + names.top[name]
    at = _put16(out, _put16(out, _put16(out, at, top), 6), 1)
    at = _put16(out, _put32(out, at, 900), 5 + 13 + 20)
    out[at] = 2
    out[at + 1] = 0x6E  # ns
    out[at + 2] = 0x73
    at = _put16(out, at + 3, top)
    out[at] = 10
    for i in range(10):
        out[at + 1 + i] = 0x68  # ten times "h"
    at = _put16(out, at + 11, top)
    for value in (2015032500, 7200, 3600, 1209600, 900):
        at = _put32(out, at, value)
    return at


@kernel
def _broken(kind: Int, end: Int, out: Bytes) -> Int:
    """Break a query (see ``behaviour.MALFORMED``) and return its new length."""
    if kind == 0:
        return 5
    if kind == 1:
        return min(end - 5, 12 + 1 + np.int64(out[12]) + 2)
    if kind == 2:
        _put16(out, 12, 0xC00C)
        return 18
    out[12] = 0x80 | out[12]
    return end


@kernel
def _encode(
    frames: Frames,
    messages: Messages,
    names: NameTable,
    resolver: Sensor,
    seed: Word,
    day: Int,
    out: Bytes,
    dns: Bytes,
    address: Bytes,
) -> Int:
    at = 0
    for frame in range(frames.time.size):
        row = frames.row[frame]
        kind = frames.type[frame]
        state = stream(seed, _DRESS, day, row)
        number = np.int64(bits(state))
        fails = unit(state + STEP) < _SERVFAIL
        tcp = unit(state + STEP * np.uint64(2)) < _TCP
        upper = np.uint64(0)
        habits = messages.habits[row]
        if habits & _MIXED:
            upper = bits(state + STEP * np.uint64(3))
        iid = bits(stream(seed, _IID, day, np.int64(messages.device[row])))
        size = _address(messages.unit[row], iid, address)
        to_authority = kind < QUERY
        responds = kind in (RESPONSE, RESOLVER_RESPONSE)

        # The DNS message.
        name = np.int64(messages.name[row])
        qtype = np.int64(messages.qtype[row])
        for i in range(12):
            dns[i] = 0
        _put16(dns, 0, (number if not to_authority else number >> 16) & 0xFFFF)
        dns[2] = 0 if to_authority else 1
        dns[5] = 1
        end = _question(names, name, qtype, upper, dns)
        if responds:
            dns[2] |= 0x84 if to_authority else 0x80
            dns[3] = 0 if to_authority else 0x80
            if fails and not to_authority:
                dns[3] |= 2
            else:
                end = _answer(names, name, qtype, np.int64(messages.after[row]), end, dns)
        if habits & (_EDNS | ECS) and not to_authority:
            dns[11] = 1
            end = _opt(habits, address, size, end, dns)
        if messages.mark[row] >= 2:
            end = _broken(messages.mark[row] - 2, end, dns)

        # The dnstap message. Its length comes first, so each part's size is added up here.
        six = size == 16 and not to_authority
        width = 16 if six else 4
        port = 1024 + ((number >> 32) & 0x7FFF)
        asked = frames.time[frame]
        if responds:
            asked = messages.time[row] if not to_authority else min(messages.time[row] + 100, asked)
        length = 6 + 2 * (2 + width) + 1 + _size(port) + 2
        length += _time_size(asked) + 1 + _size(end) + end
        if responds:
            length += _time_size(frames.time[frame])
        start = at
        at = _put(out, at + 4, resolver.head)
        out[at] = 0x72
        at = _varint(out, at + 1, length)
        out[at] = 0x08
        out[at + 1] = kind
        out[at + 2] = 0x10
        out[at + 3] = 2 if six else 1
        out[at + 4] = 0x18
        out[at + 5] = 2 if tcp and not to_authority else 1
        client = resolver.v4 if to_authority else address
        server = _AUTHORITY if to_authority else (resolver.v6 if six else resolver.v4)
        out[at + 6] = 0x22
        out[at + 7] = width
        out[at + 8 + width] = 0x2A
        out[at + 9 + width] = width
        for i in range(width):
            out[at + 8 + i] = client[i]
            out[at + 10 + width + i] = server[i]
        at += 10 + 2 * width
        out[at] = 0x30
        at = _varint(out, at + 1, port)
        out[at] = 0x38
        out[at + 1] = 53
        at = _time(out, at + 2, 8, asked)
        if responds:
            at = _time(out, at, 12, frames.time[frame])
        out[at] = 0x72 if responds else 0x52
        at = _varint(out, at + 1, end)
        at = _put(out, at, dns[:end])
        out[at] = 0x78
        out[at + 1] = 1
        at += 2
        _put32(out, start, at - start - 4)
    return at
