"""Serials only ever grow, in a circle."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from remnant.sinkhole.serials import MAX_SERIAL, is_newer, newest, next_serial

SERIALS = st.integers(0, MAX_SERIAL)


@given(st.one_of(st.none(), SERIALS), st.integers(0, 1 << 40))
def test_the_next_is_newer_than_the_last(old: int | None, now: int) -> None:
    serial = next_serial(old, now)

    assert 0 <= serial <= MAX_SERIAL
    assert old is None or is_newer(serial, old)


@given(SERIALS, SERIALS)
def test_of_two_at_most_one_is_newer(first: int, second: int) -> None:
    assert not (is_newer(first, second) and is_newer(second, first))
    assert not is_newer(first, first)


def test_the_time_is_taken_where_it_is_newer() -> None:
    assert next_serial(None, 1_700_000_000) == 1_700_000_000
    assert next_serial(1_600_000_000, 1_700_000_000) == 1_700_000_000
    # A serial that was made of a date is ahead of the time.
    assert next_serial(2_026_112_601, 1_795_000_000) == 2_026_112_602


def test_zero_is_skipped() -> None:
    assert next_serial(MAX_SERIAL, MAX_SERIAL) == 1


def test_the_newest_of_some() -> None:
    assert newest([]) is None
    assert newest([5, 9, 7]) == 9
    assert newest([MAX_SERIAL, 3]) == 3
