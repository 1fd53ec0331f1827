"""The frames of a segment one by one, whatever its length, with the times of their events."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, NamedTuple

import pyarrow as pa

from remnant.capture.segment_frames import (
    HEADER_BYTES,
    MAX_PAYLOAD,
    ROWS,
    Frame,
    events_of,
    read_frame,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Span", "frames_of"]


class Span(NamedTuple):
    """The events of a frame: how many, and the times of the first and the last of them."""

    rows: int
    first: int
    last: int


def frames_of(file: IO[bytes]) -> Iterator[tuple[Frame, Span | None]]:
    """Yield the frames of a stream up to the first bytes that are none.

    Their places are those in the stream; their bodies can be used until the next one comes.
    """
    at = 0
    while True:
        head = file.read(HEADER_BYTES)
        size = int.from_bytes(head[12:16], "little")
        if len(head) < HEADER_BYTES or size > MAX_PAYLOAD:
            return
        data = memoryview(head + file.read(size))
        frame = read_frame(data, 0)
        if isinstance(frame, int):
            return
        yield frame._replace(start=at, end=at + frame.end), _span(frame)
        at += frame.end


def _span(frame: Frame) -> Span | None:
    events = events_of(frame) if frame.kind == ROWS else None
    if events is None or not len(events):
        return None
    time = events["time"].cast(pa.int64()).to_numpy()
    return Span(len(events), int(time.min()), int(time.max()))
