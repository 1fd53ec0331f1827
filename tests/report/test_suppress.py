from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from remnant.report.suppress import Hidden, feasible, shown, suppress, suppress_groups

COUNTS = st.lists(st.none() | st.integers(0, 60), max_size=12)
MINIMA = st.integers(2, 12)


@given(COUNTS, MINIMA)
def test_no_small_count_is_ever_shown(counts: list[int | None], minimum: int) -> None:
    for known in (True, False):
        published, _ = suppress(counts, minimum, total_known=known)
        for count in published:
            value = shown(count)
            assert value is None or value == 0 or value >= minimum


@given(COUNTS, MINIMA)
def test_what_is_shown_is_true_and_zero_stays(counts: list[int | None], minimum: int) -> None:
    published, _ = suppress(counts, minimum)
    for true, count in zip(counts, published, strict=True):
        assert isinstance(count, Hidden) or count == true
        assert not isinstance(count, Hidden) or true
        if count is Hidden.SMALL:
            assert true is not None
            assert 0 < true < minimum


@given(COUNTS, MINIMA)
def test_the_total_leaves_every_small_count_its_whole_range(
    counts: list[int | None], minimum: int
) -> None:
    published, total_shown = suppress(counts, minimum)
    if not total_shown:
        return
    hidden = [count for count in published if isinstance(count, Hidden)]
    for count, bounds in zip(hidden, feasible(counts, published, minimum), strict=True):
        if count is Hidden.SMALL:
            assert bounds == (1, minimum - 1)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(2, 4))
def test_the_range_is_what_a_reader_finds_by_trying_everything(
    counts: list[int], minimum: int
) -> None:
    published, _ = suppress(counts, minimum)
    hidden = [i for i, count in enumerate(published) if isinstance(count, Hidden)]
    left = sum(counts[i] for i in hidden)
    possible = [
        values
        for values in product(range(1, left + 1), repeat=len(hidden))
        if sum(values) == left
        and all(
            (value < minimum) == (published[i] is Hidden.SMALL)
            for i, value in zip(hidden, values, strict=True)
        )
    ]
    ranges = feasible(counts, published, minimum)
    for place, (low, high) in enumerate(ranges):
        tried = [values[place] for values in possible]
        assert (min(tried), max(tried)) == (low, high)


def test_a_single_small_count_takes_another_with_it() -> None:
    published, total_shown = suppress([500, 40, 3], 10)
    assert published == [500, Hidden.LINKED, Hidden.SMALL]
    assert total_shown


def test_many_small_counts_hide_each_other() -> None:
    published, total_shown = suppress([500, 40, *[5] * 12], 10)
    assert published[:2] == [500, 40]
    assert total_shown


def test_the_total_goes_when_nothing_else_helps() -> None:
    assert suppress([3], 10) == ([Hidden.SMALL], False)


def test_nothing_is_hidden_in_an_internal_report() -> None:
    assert suppress([500, 3, None, 1], 0) == ([500, 3, None, 1], True)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from("ABC")), max_size=10),
    st.sets(st.sampled_from("ABC")),
)
def test_the_finer_table_gives_no_group_away(rows: list[tuple[int, str]], closed: set[str]) -> None:
    counts, groups = [count for count, _ in rows], [group for _, group in rows]
    published = suppress_groups(counts, groups, set(closed), 10)
    for group in "ABC":
        mine = [(c, p) for c, p, g in zip(counts, published, groups, strict=True) if g == group]
        small = [c for c, p in mine if p is Hidden.SMALL]
        if group in closed:
            assert all(isinstance(p, Hidden) or c == 0 for c, p in mine)
        elif small:
            hidden = sum(c for c, p in mine if isinstance(p, Hidden))
            # Subtracting what is shown from the group's total is not the small count itself.
            assert (
                len([c for c, p in mine if isinstance(p, Hidden)]) > 1
                or hidden == sum(counts)
                or all(isinstance(p, Hidden) for c, p in mine if c)
            )
