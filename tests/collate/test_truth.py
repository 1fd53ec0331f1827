"""However the same traffic is cut into sources, days count the same."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collate.made_up import by_day, ingest, line, rolled_up, settings_in, truth
from remnant.store import Store

NAMES = ["evil.example", "bad.example", "www.bad.example", "good.example"]


@st.composite
def traffic(draw: st.DrawFn) -> list[bytes]:
    """Lines that all differ: the same line twice in one sensor's log would be two queries."""
    seen = draw(
        st.lists(
            st.tuples(st.integers(0, 9), st.sampled_from(NAMES), st.integers(0, 3)),
            min_size=1,
            max_size=30,
        )
    )
    return [
        line(index + day * 86_400, f"192.0.2.{client}", name)
        for index, (client, name, day) in enumerate(seen)
    ]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_split_shuffled_and_given_twice(data: st.DataObject) -> None:
    lines = data.draw(traffic())
    cuts = sorted(data.draw(st.sets(st.integers(1, len(lines)), max_size=4)) | {0, len(lines)})
    parts = [b"".join(lines[start:end]) for start, end in pairwise(cuts)]
    again = data.draw(st.lists(st.sampled_from(parts), max_size=2))
    order = data.draw(st.permutations(parts + again))
    settle = data.draw(st.booleans())

    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(settings_in(Path(folder)), write=True)
        for part in order:
            ingest(store, part, chunk=data.draw(st.sampled_from([64, 4096])))
        if settle:
            store.settle()
        found = by_day(store)
        rolled = rolled_up(store) if settle else found
        store.close()

    assert found == rolled == truth(b"".join(lines))
