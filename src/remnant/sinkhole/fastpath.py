"""The UDP fast path: datagrams in, answers and telemetry out, all inside one kernel.

``recvmmsg`` takes up to BATCH datagrams at once, ``answer_kernel`` answers each, a row of telemetry
is written into columns, ``sendmmsg`` sends the answers. The loop stays inside compiled code and
without the interpreter's lock until its columns are full or its time is over, so that another
thread can write the columns of the round before to disk.

References:
    recvmmsg(2), sendmmsg(2), cmsg(3), ip(7) and ipv6(7) (packet information).
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numba import int32, int64, types, uint32, uint64, uintp

from remnant.sinkhole import answer_kernel as ak
from remnant.sinkhole.answer_kernel import Identity, Scratch, answer
from remnant.sinkhole.listeners import HAS_FAST_PATH, is_wild, udp_socket
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from remnant.sinkhole.limiter import Limiter
    from remnant.sinkhole.tables import Served
    from remnant.wire import Bytes, Int

__all__ = [
    "BATCH",
    "ROWS",
    "SUPPORTED",
    "Columns",
    "Room",
    "has_room",
    "new_columns",
    "new_room",
    "receive_drops",
    "serve",
    "udp_socket",
]

SUPPORTED: Final = HAS_FAST_PATH
"""Whether this platform has the system calls that the fast path makes."""

BATCH: Final = 64
"""Datagrams that are taken at once."""

ROWS: Final = 1 << 16
"""Rows of telemetry that one set of columns holds."""

_QUERY_BYTES: Final = 4096
# A cache line more than a power of two: else the starts of all buffers share a few cache sets.
_QUERY_STRIDE: Final = _QUERY_BYTES + 64
_ANSWER_STRIDE: Final = 2 * ak.MAX_ANSWER + 96
_ADDRESS_STRIDE: Final = 32
_CONTROL_STRIDE: Final = 64
_NAME_ROOM: Final = 256
_ECS_BYTES: Final = 17

# The words of struct mmsghdr on 64-bit Linux.
_NAME: Final = 0
_NAME_SIZE: Final = 1
_VECTOR: Final = 2
_VECTORS: Final = 3
_CONTROL: Final = 4
_CONTROL_SIZE: Final = 5
_LENGTH: Final = 7
_HEADER_WORDS: Final = 8

# An option of Linux that the socket module has no name for.
_SO_MEMINFO: Final = 55

_AF_INET6: Final = 10
_DONTWAIT: Final = 0x40
_CLOCK_REALTIME: Final = 0
_LONGEST_WAIT_MS: Final = 100

# Positions in the counters of a worker (int64), which its supervisor reads.
MESSAGES: Final = 0
ANSWERED: Final = 1
OBSERVED: Final = 2
UNLISTED: Final = 3
LIMITED: Final = 4
MALFORMED: Final = 5
NOT_QUERIES: Final = 6
FOREIGN: Final = 7
SILENT: Final = 8
UNSENT: Final = 9
BYTES_IN: Final = 10
BYTES_OUT: Final = 11
BATCHES: Final = 12
COOKIES: Final = 13
COUNTERS: Final = 16

_recvmmsg: Any = types.ExternalFunction(
    "recvmmsg", types.int32(types.int32, types.uintp, types.uint32, types.int32, types.uintp)
)
_sendmmsg: Any = types.ExternalFunction(
    "sendmmsg", types.int32(types.int32, types.uintp, types.uint32, types.int32)
)
_poll: Any = types.ExternalFunction("poll", types.int32(types.uintp, types.uint64, types.int32))
_clock: Any = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.uintp))


class Columns(NamedTuple):
    """Telemetry of up to ROWS events, as arrays.

    Attributes:
        used: int64[3]: rows, bytes of names, bytes of client subnets.
        time: int64[ROWS]: UTC microseconds.
        address: uint8[ROWS, 16].
        client_port: uint16[ROWS].
        service_port: uint16[ROWS].
        qtype: uint16[ROWS].
        rcode: int16[ROWS].
        ttl: int32[ROWS]: -1 where no address was given.
        limited: uint8[ROWS].
        unlisted: uint8[ROWS].
        owner: int32[ROWS]: index into the memberships.
        names: uint8: wire names end to end.
        name_offsets: int32[ROWS + 1].
        subnets: uint8: client subnets end to end, 17 bytes each.
        subnet_offsets: int32[ROWS + 1]: two equal ones say that there is none.
    """

    used: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]
    address: npt.NDArray[np.uint8]
    client_port: npt.NDArray[np.uint16]
    service_port: npt.NDArray[np.uint16]
    qtype: npt.NDArray[np.uint16]
    rcode: npt.NDArray[np.int16]
    ttl: npt.NDArray[np.int32]
    limited: npt.NDArray[np.uint8]
    unlisted: npt.NDArray[np.uint8]
    owner: npt.NDArray[np.int32]
    names: npt.NDArray[np.uint8]
    name_offsets: npt.NDArray[np.int32]
    subnets: npt.NDArray[np.uint8]
    subnet_offsets: npt.NDArray[np.int32]


def new_columns(rows: int = ROWS) -> Columns:
    """Return empty columns; a batch always fits as long as there is room for BATCH rows."""
    return Columns(
        np.zeros(3, np.int64),
        np.zeros(rows, np.int64),
        np.zeros((rows, 16), np.uint8),
        np.zeros(rows, np.uint16),
        np.zeros(rows, np.uint16),
        np.zeros(rows, np.uint16),
        np.zeros(rows, np.int16),
        np.zeros(rows, np.int32),
        np.zeros(rows, np.uint8),
        np.zeros(rows, np.uint8),
        np.zeros(rows, np.int32),
        np.zeros(64 * rows + BATCH * _NAME_ROOM, np.uint8),
        np.zeros(rows + 1, np.int32),
        np.zeros(_ECS_BYTES * rows, np.uint8),
        np.zeros(rows + 1, np.int32),
    )


@inlined
def has_room(columns: Columns) -> bool:
    """Return whether the rows of a whole batch fit."""
    return bool(
        columns.used[0] + BATCH <= columns.time.size
        and columns.used[1] + BATCH * _NAME_ROOM <= columns.names.size
    )


class Room(NamedTuple):
    """The buffers of one thread that serves, and what the system calls need to know of them.

    Attributes:
        queries: uint8[BATCH, ...].
        answers: uint8[BATCH, ...].
        sources: uint8[BATCH, 32]: socket addresses.
        controls: uint8[BATCH, 64]: to which own address a datagram came.
        arriving: int64[BATCH, 8]: struct mmsghdr.
        leaving: int64[BATCH, 8].
        arriving_vectors: int64[BATCH, 2]: struct iovec.
        leaving_vectors: int64[BATCH, 2].
        sockets: int32[sockets].
        wild: uint8[sockets]: 1 where the socket listens on any address.
        ports: int32[sockets]: the local port.
        polled: int64[sockets]: struct pollfd.
        clock: int64[2]: struct timespec.
        address: uint8[16].
        facts: int64[FACTS].
        random: uint64[1]: state of the generator that draws the arms.
        stop: int64[1]: not 0: return as soon as possible.
    """

    queries: npt.NDArray[np.uint8]
    answers: npt.NDArray[np.uint8]
    sources: npt.NDArray[np.uint8]
    controls: npt.NDArray[np.uint8]
    arriving: npt.NDArray[np.int64]
    leaving: npt.NDArray[np.int64]
    arriving_vectors: npt.NDArray[np.int64]
    leaving_vectors: npt.NDArray[np.int64]
    sockets: npt.NDArray[np.int32]
    wild: npt.NDArray[np.uint8]
    ports: npt.NDArray[np.int32]
    polled: npt.NDArray[np.int64]
    clock: npt.NDArray[np.int64]
    address: npt.NDArray[np.uint8]
    facts: npt.NDArray[np.int64]
    random: npt.NDArray[np.uint64]
    stop: npt.NDArray[np.int64]


def new_room(sockets: Sequence[socket.socket]) -> Room:
    """Return the buffers for these UDP sockets, which must outlive them."""
    import secrets  # noqa: PLC0415 - once a process

    room = Room(
        np.zeros((BATCH, _QUERY_STRIDE), np.uint8),
        np.zeros((BATCH, _ANSWER_STRIDE), np.uint8),
        np.zeros((BATCH, _ADDRESS_STRIDE), np.uint8),
        np.zeros((BATCH, _CONTROL_STRIDE), np.uint8),
        np.zeros((BATCH, _HEADER_WORDS), np.int64),
        np.zeros((BATCH, _HEADER_WORDS), np.int64),
        np.zeros((BATCH, 2), np.int64),
        np.zeros((BATCH, 2), np.int64),
        np.array([sock.fileno() for sock in sockets], np.int32),
        np.array([is_wild(sock) for sock in sockets], np.uint8),
        np.array([sock.getsockname()[1] for sock in sockets], np.int32),
        np.array([sock.fileno() | 1 << 32 for sock in sockets], np.int64),
        np.zeros(2, np.int64),
        np.zeros(16, np.uint8),
        np.zeros(ak.FACTS, np.int64),
        np.array([secrets.randbits(64) | 1], np.uint64),
        np.zeros(1, np.int64),
    )
    for i in range(BATCH):
        room.arriving_vectors[i] = room.queries[i].ctypes.data, _QUERY_BYTES
        room.arriving[i, _NAME] = room.sources[i].ctypes.data
        room.arriving[i, _VECTOR] = room.arriving_vectors[i].ctypes.data
        room.arriving[i, _VECTORS] = 1
        room.leaving[i, _VECTOR] = room.leaving_vectors[i].ctypes.data
        room.leaving[i, _VECTORS] = 1
    return room


def receive_drops(sock: socket.socket) -> int:
    """Return how many datagrams the system dropped at a socket because nobody took them in time.

    The system counts in 32 bits, from the start of the socket (sock_diag(7), SK_MEMINFO_DROPS).
    """
    try:
        return int(struct.unpack("9I", sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36))[8])
    except (OSError, struct.error):
        return 0


@inlined
def _now(clock: npt.NDArray[np.int64]) -> Int:
    _clock(int32(_CLOCK_REALTIME), uintp(clock.ctypes.data))
    return clock[0] * 1_000_000 + clock[1] // 1000


@inlined
def _source(raw: Bytes, address: Bytes) -> Int:
    """Write a socket address's 16 address bytes; return its port."""
    if int64(raw[0]) | int64(raw[1]) << 8 == _AF_INET6:
        for i in range(16):
            address[i] = raw[8 + i]
    else:
        for i in range(10):
            address[i] = 0
        address[10] = address[11] = 0xFF
        for i in range(4):
            address[12 + i] = raw[4 + i]
    return int64(raw[2]) << 8 | int64(raw[3])


@inlined
def _record(
    columns: Columns,
    query: Bytes,
    room: Room,
    served: Served,
    subnet: Bytes,
    port: Int,
    service_port: Int,
    now: Int,
) -> None:
    """Write one row of telemetry."""
    facts = room.facts
    row = columns.used[0]
    columns.time[row] = now
    for i in range(16):
        columns.address[row, i] = room.address[i]
    columns.client_port[row] = port
    columns.service_port[row] = service_port
    columns.qtype[row] = facts[ak.QTYPE]
    columns.rcode[row] = facts[ak.RCODE]
    columns.ttl[row] = facts[ak.TTL]
    columns.limited[row] = facts[ak.LIMITED]
    columns.unlisted[row] = 1 - facts[ak.LISTED]
    columns.owner[row] = served.zone_owner[facts[ak.ZONE_INDEX]]
    at = columns.used[1]
    for i in range(facts[ak.NAME_BYTES]):
        columns.names[at + i] = query[12 + i]
    columns.used[1] = at + facts[ak.NAME_BYTES]
    columns.name_offsets[row + 1] = columns.used[1]
    if facts[ak.ECS]:
        at = columns.used[2]
        for i in range(_ECS_BYTES):
            columns.subnets[at + i] = subnet[i]
        columns.used[2] = at + _ECS_BYTES
    columns.subnet_offsets[row + 1] = columns.used[2]
    columns.used[0] = row + 1


@inlined
def _count(counters: npt.NDArray[np.int64], facts: npt.NDArray[np.int64]) -> None:
    kind = facts[ak.KIND]
    if kind == ak.OBSERVED:
        counters[OBSERVED] += 1
        counters[UNLISTED] += 1 - facts[ak.LISTED]
    elif kind == ak.FOREIGN:
        counters[FOREIGN] += 1
    elif kind in (ak.MALFORMED, ak.SILENT_SHORT):
        counters[MALFORMED] += 1
    else:
        counters[NOT_QUERIES] += 1
    counters[LIMITED] += facts[ak.LIMITED]
    counters[COOKIES] += facts[ak.COOKIE_VALID]


@kernel
def _batch(
    room: Room,
    number: Int,
    count: Int,
    now: Int,
    served: Served,
    identity: Identity,
    limiter: Limiter,
    scratch: Scratch,
    columns: Columns,
    counters: npt.NDArray[np.int64],
) -> Int:
    """Answer ``count`` datagrams of one socket; return how many answers are ready to be sent."""
    ready = int64(0)
    for i in range(count):
        size = room.arriving[i, _LENGTH] & 0xFFFFFFFF
        counters[MESSAGES] += 1
        counters[BYTES_IN] += size
        port = _source(room.sources[i], room.address)
        # The generator of Marsaglia, "Xorshift RNGs", 2003.
        state = room.random[0]
        state ^= state << uint64(13)
        state ^= state >> uint64(7)
        state ^= state << uint64(17)
        room.random[0] = state
        arm = int64((state >> uint64(32)) & uint64(1))
        length = answer(
            served,
            identity,
            limiter,
            scratch,
            room.queries[i],
            size,
            room.address,
            now,
            arm,
            room.answers[ready],
            room.facts,
        )
        _count(counters, room.facts)
        if room.facts[ak.KIND] == ak.OBSERVED:
            _record(
                columns,
                room.queries[i],
                room,
                served,
                scratch.subnet,
                port,
                room.ports[number],
                now,
            )
        if length == 0 or port == 0:
            counters[SILENT] += 1
            continue
        counters[BYTES_OUT] += length
        room.leaving_vectors[ready, 0] = int64(room.answers[ready].ctypes.data)
        room.leaving_vectors[ready, 1] = length
        room.leaving[ready, _NAME] = int64(room.sources[i].ctypes.data)
        room.leaving[ready, _NAME_SIZE] = room.arriving[i, _NAME_SIZE] & 0xFFFFFFFF
        room.leaving[ready, _CONTROL] = 0
        room.leaving[ready, _CONTROL_SIZE] = 0
        if room.wild[number] and room.arriving[i, _CONTROL_SIZE] > 0:
            # From the address that was asked, on whatever interface the route says.
            control = room.controls[i]
            first = 32 if room.arriving[i, _CONTROL_SIZE] > 32 else 16
            for k in range(first, first + 4):
                control[k] = 0
            room.leaving[ready, _CONTROL] = int64(control.ctypes.data)
            room.leaving[ready, _CONTROL_SIZE] = room.arriving[i, _CONTROL_SIZE]
        ready += 1
    return ready


@kernel
def _send(room: Room, sock: Int, ready: Int, counters: npt.NDArray[np.int64]) -> None:
    """Send the answers; one that the system does not take is counted and left out."""
    done = int64(0)
    while done < ready:
        sent = _sendmmsg(
            int32(sock),
            uintp(room.leaving[done].ctypes.data),
            uint32(ready - done),
            int32(_DONTWAIT),
        )
        if sent <= 0:
            counters[UNSENT] += 1
            sent = 1
        else:
            counters[ANSWERED] += sent
        done += sent


@kernel
def serve(
    room: Room,
    served: Served,
    identity: Identity,
    limiter: Limiter,
    scratch: Scratch,
    columns: Columns,
    counters: npt.NDArray[np.int64],
    until: Int,
) -> None:
    """Answer datagrams until the columns are full, the time is over, or ``room.stop`` is set.

    Args:
        room: the sockets and buffers of this thread.
        served: the zones.
        identity: of this sinkhole.
        limiter: the rate limit.
        scratch: of this thread.
        columns: takes a row for each observation.
        counters: int64[COUNTERS], added to.
        until: when to return (UTC microseconds).
    """
    now = _now(room.clock)
    begun = now
    # A clock that was set back must not keep rows from the disk until it is where it was.
    while begun <= now < until and room.stop[0] == 0:
        taken = int64(0)
        for number in range(room.sockets.size):
            if not has_room(columns):
                return
            for i in range(BATCH):
                room.arriving[i, _NAME_SIZE] = _ADDRESS_STRIDE
                room.arriving[i, _CONTROL] = 0
                room.arriving[i, _CONTROL_SIZE] = 0
                if room.wild[number]:
                    room.arriving[i, _CONTROL] = int64(room.controls[i].ctypes.data)
                    room.arriving[i, _CONTROL_SIZE] = _CONTROL_STRIDE
            count = _recvmmsg(
                int32(room.sockets[number]),
                uintp(room.arriving.ctypes.data),
                uint32(BATCH),
                int32(_DONTWAIT),
                uintp(0),
            )
            if count <= 0:
                continue
            now = _now(room.clock)
            taken += count
            counters[BATCHES] += 1
            ready = _batch(
                room,
                number,
                int64(count),
                now,
                served,
                identity,
                limiter,
                scratch,
                columns,
                counters,
            )
            _send(room, int64(room.sockets[number]), ready, counters)
        if taken == 0:
            wait = min(int64(_LONGEST_WAIT_MS), (until - now) // 1000 + 1)
            _poll(uintp(room.polled.ctypes.data), uint64(room.polled.size), int32(wait))
            now = _now(room.clock)
