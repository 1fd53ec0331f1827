"""How crowded a server is, is what a sweep over time by hand says."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.made_records import case
from remnant.infrastructure.hubs import OWN_TIMES, crowds, listed_hubs, wildcards

Row = tuple[int, int, int, int, bool]
rows = st.lists(
    st.builds(
        lambda key, zone, first, length: (key, zone, first, first + length, zone == 0),
        st.integers(0, 2),
        st.integers(0, 8),
        st.integers(0, 20),
        st.integers(0, 10),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(rows, st.integers(0, 4))
def test_crowds_are_those_of_a_count_at_each_time(listed: list[Row], limit: int) -> None:
    columns = [np.array([row[i] for row in listed], np.int64) for i in range(4)]
    own = np.array([row[4] for row in listed], np.bool_)

    crowd = crowds(columns[0], columns[1], columns[2], columns[3], own, keys=3, limit=limit)

    for key in range(3):
        spans: dict[int, tuple[int, int]] = {}
        for _, zone, first, last, _ in (row for row in listed if row[0] == key):
            before = spans.get(zone, (first, last))
            spans[zone] = min(before[0], first), max(before[1], last)
        mine = int(0 in spans)
        count = [sum(a <= t <= b for zone, (a, b) in spans.items() if zone != 0) for t in range(40)]
        busy = [t for t in range(40) if count[t] > max(limit, OWN_TIMES * mine)]
        assert crowd.peak[key] == max(count)
        assert crowd.own[key] == mine
        assert crowd.is_crowded[key] == bool(busy)
        if busy:
            assert (crowd.begin[key], crowd.end[key]) == (busy[0], busy[-1])


def test_lists_know_names_below_theirs_and_suffixes() -> None:
    hubs = listed_hubs(["co.uk", "ns1.sedoparking.com", "evil.com", "2a00::1"], case("evil.com"))

    assert set(hubs) == {"co.uk", "ns1.sedoparking.com"}
    assert hubs["ns1.sedoparking.com"].label == "Sedo"


def test_few_names_with_the_same_data_are_no_wildcard() -> None:
    def zone(name: str, count: int, data: int) -> list[dict[str, str]]:
        return [
            {"key": name, "rrname": f"n{i}.{name}", "rdata": f"5.6.7.{i % data}"}
            for i in range(count)
        ]

    listed = zone("few.com", 20, 1) + zone("many.com", 60, 9) + zone("wild.com", 60, 1)

    assert set(wildcards(pa.Table.from_pylist(listed))) == {"wild.com"}
