"""Frames of the sinkhole's segments: how bytes become frames, and frames bytes.

A segment is a row of frames. The first one is a head; then come frames of events or of nothing but
counts; an end closes it. Each frame carries two checksums, so that a tail that a crash or a full
disk left is recognised, and nothing behind it is believed.

All numbers are little-endian::

    0   8  magic
    8   1  kind: 0 head, 1 rows, 2 alive, 3 end
    9   1  version of the format, 1
    10  2  zero
    12  4  bytes of the payload
    16  8  sequence: 0 for the head, one more for each frame after it
    24  8  xxh3-64 of the payload
    32  8  xxh3-64 of the 32 bytes before
    40     payload: bytes of the facts (4), the facts as JSON, zeros up to a multiple of 8, then for
           rows one encapsulated record batch of ``schema.EVENTS`` (Arrow IPC), not compressed

References:
    Apache Arrow columnar format, section "Serialization and Interprocess Communication";
    FlatBuffers internals (tables and vtables); xxHash specification.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa
import xxhash

from remnant.schema import EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ALIVE",
    "BAD",
    "END",
    "HEAD",
    "HEADER_BYTES",
    "MAGIC",
    "MAX_PAYLOAD",
    "MORE",
    "ROWS",
    "Frame",
    "encode",
    "events_of",
    "read_frame",
]

MAGIC: Final = b"\x93RMNSEG\n"
HEAD: Final = 0
ROWS: Final = 1
ALIVE: Final = 2
END: Final = 3

HEADER_BYTES: Final = 40
MAX_PAYLOAD: Final = 64 << 20
"""Bytes of the longest payload; writers stay far below."""

VERSION: Final = 1
MORE: Final = 0
"""``read_frame``: the bytes end inside a frame."""
BAD: Final = 1
"""``read_frame``: these bytes are no frame."""

_FIELDS: Final = struct.Struct("<8sBBHIQQ")
_SUM: Final = struct.Struct("<Q")
_SIZE: Final = struct.Struct("<I")
_CONTINUATION: Final = 0xFFFFFFFF
_ALIGNED: Final = 8
_REQUIRED: Final = tuple(column.name for column in EVENTS.columns if column.null is None)


class Frame(NamedTuple):
    """One frame whose checksums agree.

    Attributes:
        kind: HEAD, ROWS, ALIVE or END.
        sequence: its place in the segment.
        start: where it begins in what was read.
        end: where it ends.
        facts: what its JSON says.
        body: the record batch, still encoded.
    """

    kind: int
    sequence: int
    start: int
    end: int
    facts: dict[str, Any]
    body: memoryview


def encode(
    kind: int, sequence: int, facts: Mapping[str, object], body: pa.Buffer | None = None
) -> list[Any]:
    """Return the buffers of a frame, to be written one after the other."""
    text = json.dumps(facts, separators=(",", ":")).encode()
    words = _SIZE.pack(len(text)) + text
    words += bytes(-len(words) % 8)
    size = len(words) + (0 if body is None else body.size)
    digest = xxhash.xxh3_64(words)
    if body is not None:
        digest.update(memoryview(body))
    fields = _FIELDS.pack(MAGIC, kind, VERSION, 0, size, sequence, digest.intdigest())
    head = fields + _SUM.pack(xxhash.xxh3_64_intdigest(fields)) + words
    return [head] if body is None else [head, memoryview(body)]


def read_frame(view: memoryview, start: int) -> Frame | int:
    """Return the frame at a position, or MORE, or BAD.

    Args:
        view: the bytes (format ``B``).
        start: where the frame should begin.
    """
    head = bytes(view[start : start + HEADER_BYTES])
    if not MAGIC.startswith(head[: len(MAGIC)]):
        return BAD
    if len(head) < HEADER_BYTES:
        return MORE
    _, kind, version, zero, size, sequence, digest = _FIELDS.unpack_from(head)
    if _SUM.unpack_from(head, _FIELDS.size)[0] != xxhash.xxh3_64_intdigest(head[: _FIELDS.size]):
        return BAD
    if kind > END or version != VERSION or zero or not _SIZE.size <= size <= MAX_PAYLOAD:
        return BAD
    end = start + HEADER_BYTES + size
    if end > len(view):
        return MORE
    payload = view[start + HEADER_BYTES : end]
    if xxhash.xxh3_64_intdigest(payload) != digest:
        return BAD
    length = _SIZE.unpack_from(payload)[0]
    if length > size - _SIZE.size:
        return BAD
    try:
        facts = json.loads(bytes(payload[_SIZE.size : _SIZE.size + length]))
    except (ValueError, RecursionError):
        return BAD
    if not isinstance(facts, dict):
        return BAD
    body = _SIZE.size + length
    return Frame(kind, sequence, start, end, facts, payload[body + -body % 8 :])


def events_of(frame: Frame, *, lasting: bool = False) -> pa.RecordBatch | None:
    """Return the events of a frame, or ``None`` where it holds no valid ones.

    Args:
        frame: a frame of rows.
        lasting: the frame's memory stays as it is for as long as the events are used; else they
            are a copy.
    """
    # Memory that may be written to: kernels are compiled once for all arrays.
    data: Any = frame.body
    if not lasting or data.readonly or frame.start % _ALIGNED:
        data = bytearray(data)
    if _is_compressed(data):
        return None
    try:
        events = pa.ipc.read_record_batch(pa.py_buffer(data), EVENTS.arrow)
        events.validate(full=True)
    except (pa.ArrowException, OSError, ValueError):
        return None
    if any(events.column(name).null_count for name in _REQUIRED):
        return None
    return events


def _is_compressed(data: bytes | bytearray) -> bool:
    """Return whether the buffers of a record batch are compressed, or it is no record batch.

    A few bytes of such a buffer may claim any size, and memory would be taken for it.
    """
    try:
        mark, _ = struct.unpack_from("<II", data)
        if mark != _CONTINUATION:
            return True
        message = _table(data, 8 + struct.unpack_from("<I", data, 8)[0])
        header = _field(data, message, 2)
        if header is None:
            return True
        batch = _table(data, header + struct.unpack_from("<I", data, header)[0])
        return _field(data, batch, 3) is not None
    except struct.error:
        return True


def _table(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Return where a table and its vtable stand."""
    vtable = at - struct.unpack_from("<i", data, at)[0]
    if vtable < 0:
        raise struct.error
    return at, vtable


def _field(data: bytes | bytearray, table: tuple[int, int], number: int) -> int | None:
    """Return where a field of a table stands, ``None`` where it is not set."""
    at, vtable = table
    if 4 + 2 * number >= struct.unpack_from("<H", data, vtable)[0]:
        return None
    offset = struct.unpack_from("<H", data, vtable + 4 + 2 * number)[0]
    return at + offset if offset else None
