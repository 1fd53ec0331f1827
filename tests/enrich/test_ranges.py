"""Ranges: the narrowest wins, checked against a search through all of them."""

from __future__ import annotations

import ipaddress

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.enrich.addresses import parse
from remnant.enrich.ranges import (
    Ranges,
    Segments,
    blocks,
    find,
    flatten,
    from_prefixes,
    misplaced,
)

TOP = 2**128 - 1
MAPPED = 0xFFFF << 32
COMPILES = settings(deadline=None)
"""The first call of a kernel compiles it."""


def make(pairs: list[tuple[int, int]]) -> Ranges:
    def words(values: list[int]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
        return np.array(values, np.uint64)

    return Ranges(
        words([first >> 64 for first, _ in pairs]),
        words([first & (2**64 - 1) for first, _ in pairs]),
        words([last >> 64 for _, last in pairs]),
        words([last & (2**64 - 1) for _, last in pairs]),
    )


def owner_of(segments: Segments, value: int) -> int:
    at = find(
        segments,
        np.array([value >> 64], np.uint64),
        np.array([value & (2**64 - 1)], np.uint64),
    )
    return int(segments.owner[at[0]]) if at[0] >= 0 else -1


def narrowest(pairs: list[tuple[int, int]], value: int) -> int:
    holding = [
        (last - first, row) for row, (first, last) in enumerate(pairs) if first <= value <= last
    ]
    return min(holding)[1] if holding else -1


# Small numbers overlap often, numbers at the edges of words and of the space overflow.
edges = st.sampled_from([0, 1, 2**64 - 1, 2**64, 2**64 + 1, TOP - 1, TOP])
places = st.one_of(st.integers(0, 20), edges, st.integers(0, TOP))
pairs_of = st.lists(st.tuples(places, places).map(lambda p: (min(p), max(p))), max_size=12)


@COMPILES
@given(pairs_of, st.lists(places, min_size=1, max_size=10))
def test_the_narrowest_range_wins_however_they_overlap(
    pairs: list[tuple[int, int]], values: list[int]
) -> None:
    segments = flatten(make(pairs))
    for value in [*values, *(first for first, _ in pairs), *(last for _, last in pairs)]:
        assert owner_of(segments, value) == narrowest(pairs, value)


@COMPILES
@given(pairs_of)
def test_segments_are_sorted_differ_from_their_neighbours_and_are_few(
    pairs: list[tuple[int, int]],
) -> None:
    segments = flatten(make(pairs))
    starts = [int(h) << 64 | int(w) for h, w in zip(segments.high, segments.low, strict=True)]

    assert starts == sorted(set(starts))
    assert len(starts) <= 2 * len(pairs) + 1
    assert all(a != b for a, b in zip(segments.owner, segments.owner[1:], strict=False))


def prefixes(draw: st.DrawFn) -> str:
    if draw(st.booleans()):
        bits = draw(st.integers(0, 32))
        base = draw(st.integers(0, 2**32 - 1)) & 0xC0A8FFFF | 0xC0A80000
        return f"{ipaddress.IPv4Address(base >> (32 - bits) << (32 - bits))}/{bits}"
    bits = draw(st.integers(16, 128))
    base = 0x20010DB8 << 96 | draw(st.integers(0, 2**20 - 1)) << draw(st.integers(0, 76))
    return f"{ipaddress.IPv6Address(base >> (128 - bits) << (128 - bits))}/{bits}"


prefix_lists = st.lists(st.composite(prefixes)(), min_size=1, max_size=20)


@COMPILES
@given(prefix_lists, st.data())
def test_for_prefixes_it_is_longest_match_as_ipaddress_finds_it(
    texts: list[str], data: st.DataObject
) -> None:
    networks = [ipaddress.ip_network(text) for text in texts]
    ranges = from_prefixes(*parse(pa.array(texts)))
    segments = flatten(ranges)
    for network in networks:
        offset = data.draw(st.integers(-2, 2))
        value = int(network.network_address) + offset
        if not 0 <= value < 2**network.max_prefixlen:
            continue
        kind = ipaddress.IPv4Address if network.version == 4 else ipaddress.IPv6Address
        holding = [
            (-other.prefixlen, row)
            for row, other in enumerate(networks)
            if other.version == network.version and kind(value) in other
        ]
        inside = value | (MAPPED if network.version == 4 else 0)

        assert owner_of(segments, inside) == (min(holding)[1] if holding else -1)


@COMPILES
@given(st.tuples(places, places).map(lambda p: (min(p), max(p))), st.data())
def test_the_block_is_the_largest_that_fits(pair: tuple[int, int], data: st.DataObject) -> None:
    value = data.draw(st.integers(*pair))
    found = int(
        blocks(
            make([pair]),
            np.array([value >> 64], np.uint64),
            np.array([value & (2**64 - 1)], np.uint64),
        )[0]
    )

    def fits(bits: int) -> bool:
        first = value >> (128 - bits) << (128 - bits)
        return pair[0] <= first and first + 2 ** (128 - bits) - 1 <= pair[1]

    assert fits(found)
    assert found == 0 or not fits(found - 1)


def test_misplaced_ranges_are_those_that_answer_for_others() -> None:
    low, high = MAPPED, MAPPED | 0xFFFFFFFF
    rows = {
        (low, low + 5): False,
        (low, high): True,  # a default route
        (5, 4): True,
        (0, TOP): True,
        (0, low): True,
        (high, high + 1): True,
        (low + 1, high): False,
        (1 << 64, 2 << 64): False,
        (0, 1): False,
        (low - 1, high + 1): True,
    }

    assert misplaced(make(list(rows))).tolist() == list(rows.values())


def test_of_two_equal_ranges_the_first_holds() -> None:
    assert owner_of(flatten(make([(3, 9), (3, 9)])), 5) == 0


def test_nothing_makes_no_segments() -> None:
    segments = flatten(make([]))

    assert len(segments.high) == 0
    assert owner_of(segments, 7) == -1
