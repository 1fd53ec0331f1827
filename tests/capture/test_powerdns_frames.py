"""How messages stand in a stream, and how they are found again."""

from __future__ import annotations

import numpy as np
import pytest

import powerdns_writer as writer
from remnant.capture import powerdns_frames as frames
from remnant.capture.powerdns_fields import FIELDS

MESSAGE = writer.message(writer.QUERY, b"a.test.")
FRAME = writer.stream(MESSAGE)


def view_of(raw: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(raw, np.uint8).copy()


def resumed(raw: bytes, width: int = 2, *, final: bool = True) -> tuple[int, bool]:
    at, found = frames.resume(view_of(raw), 0, len(raw), width, final, np.zeros(FIELDS, np.int64))
    return int(at), bool(found)


@pytest.mark.parametrize(
    ("raw", "width", "found"),
    [
        (b"", 2, frames.MORE),
        (b"\x00", 2, frames.MORE),
        (b"\x00\x00", 2, frames.BAD),
        (b"\x00\x02\x08", 2, frames.MORE),
        (b"\x00\x02\x08\x01", 2, frames.DATA),
        (b"\xff\xff", 2, frames.MORE),
        (b"\x00\x00\x00", 4, frames.MORE),
        (b"\x00\x00\x00\x00", 4, frames.BAD),
        (b"\x00\x00\x00\x01\x08", 4, frames.DATA),
        (b"\x7f\x00\x00\x00", 4, frames.BAD),
    ],
)
def test_a_frame_is_its_length_and_as_many_bytes(raw: bytes, width: int, found: int) -> None:
    kind, start, end = map(int, frames.next_frame(view_of(raw), 0, len(raw), width))

    assert kind == found
    if kind == frames.DATA:
        assert (start, end) == (width, len(raw))


@pytest.mark.parametrize("width", [2, 4])
def test_a_message_is_found_by_its_shape(width: int) -> None:
    data = b"\x00\x09\x08\x01" * 7 + writer.stream(MESSAGE, width=width) + FRAME

    assert resumed(data, width) == (28, True)


@pytest.mark.parametrize("width", [2, 4])
def test_half_a_message_is_waited_for(width: int) -> None:
    data = bytes(9) + writer.stream(MESSAGE, width=width)[:-1]

    assert resumed(data, width, final=False) == (9, False)
    assert resumed(data, width, final=True) == (len(data), False)


@pytest.mark.parametrize(
    ("raw", "possible"),
    [
        (b"", True),
        (b"\x00\x20\x08", True),
        (b"\x00\x20\x08\x01", True),
        (b"\x00\x20\x08\x05", False),
        (b"\x00\x20\x12\x01", False),
        (b"\x00\x03\x08\x01", False),
    ],
)
def test_what_may_follow_is_told_from_its_first_bytes(raw: bytes, possible: bool) -> None:
    assert bool(frames.follows(view_of(raw), 0, len(raw), 2)) is possible


@pytest.mark.parametrize(
    ("head", "width"),
    [
        (FRAME * 2, 2),
        (FRAME, 2),
        (writer.stream(MESSAGE, MESSAGE, width=4), 4),
        (FRAME * 2 + FRAME[:20], 2),
        (FRAME + FRAME[:20], None),
        (b"", None),
        (bytes(200), None),
        (writer.stream(MESSAGE[:-1], MESSAGE), None),
    ],
)
def test_the_width_of_lengths_is_recognised(head: bytes, width: int | None) -> None:
    assert frames.width_of(head) == width


@pytest.mark.parametrize(
    ("head", "width"),
    [
        (b"junk" + FRAME, 2),
        (b"junk" + writer.stream(MESSAGE, width=4), 4),
        (b"junk", None),
        (FRAME[:-1], None),
    ],
)
def test_the_width_is_that_of_the_first_message_among_damage(
    head: bytes, width: int | None
) -> None:
    assert frames.width_within(head) == width


@pytest.mark.parametrize(
    ("head", "unfinished"),
    [
        (FRAME[:-1], True),
        (FRAME[:1], True),
        (b"\x00\x00\x00\x40\x08\x01", True),
        (b"ab" * 9, False),
    ],
)
def test_a_stream_may_just_have_begun(head: bytes, unfinished: bool) -> None:
    assert frames.is_unfinished(head) is unfinished
