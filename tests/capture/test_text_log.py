from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.text_log import details


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=20))
def test_texts_that_say_the_same_are_looked_at_once(ranges: list[tuple[int, int]]) -> None:
    data = b"abababababcdcdcdcdcd"
    spans = np.array([(min(pair), max(pair), 0) for pair in ranges], np.int64).reshape(-1, 3)
    texts = [data[start:stop] for start, stop, _ in spans.tolist()]
    asked: list[bytes] = []

    def make(text: bytes) -> str | None:
        asked.append(text)
        return None if text.startswith(b"b") else text.decode() + "!"

    found = details(np.frombuffer(data, np.uint8).copy(), spans, make)

    assert found.to_pylist() == [
        None if text.startswith(b"b") else text.decode() + "!" for text in texts
    ]
    assert sorted(asked) == sorted(set(texts))
