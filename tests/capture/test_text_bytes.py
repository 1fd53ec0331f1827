from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from remnant.capture.text_bytes import next_byte, note_bytes

# Bytes that differ from the wanted one in one bit are what a search in words may mistake.
NEAR = st.lists(st.sampled_from([9, 8, 10, 0, 1, 0x89, 255]), max_size=60).map(bytes)


@settings(max_examples=300, deadline=None)
@given(data=NEAR, start=st.integers(0, 60), stop=st.integers(0, 60))
@example(data=b"\x09\x08" * 8, start=0, stop=16)
def test_the_next_byte_is_found_as_in_bytes(data: bytes, start: int, stop: int) -> None:
    view = np.frombuffer(data, np.uint8).copy()
    start, stop = min(start, len(data)), min(stop, len(data))
    found = data.find(b"\x09", start, stop)

    assert next_byte(view, start, stop, 9) == (max(start, stop) if found < 0 else found)


@settings(max_examples=300, deadline=None)
@given(data=NEAR, start=st.integers(0, 60), room=st.integers(1, 60))
@example(data=b"\x09\x08" * 8, start=0, room=60)
@example(data=b"\x09" * 8, start=0, room=8)
def test_all_bytes_are_noted_as_far_as_there_is_room(data: bytes, start: int, room: int) -> None:
    view = np.frombuffer(data, np.uint8).copy()
    start = min(start, len(data))
    wanted = [i for i in range(start, len(data)) if data[i] == 9]
    out = np.empty(room, np.int64)
    count, end = note_bytes(view, start, len(data), 9, out)

    assert out[:count].tolist() == wanted[:room]
    if len(wanted) <= room:
        assert end == len(data)
    else:
        assert end == wanted[room - 1] + 1
