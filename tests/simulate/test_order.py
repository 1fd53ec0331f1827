from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from remnant.simulate.order import distinct, hour_counts, time_order

if TYPE_CHECKING:
    import numpy.typing as npt

DAY_US = 86_400_000_000


def spread(count: int, most: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(count).integers(0, most, count) + 16_000 * DAY_US


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 1000, 50_000])
@pytest.mark.parametrize("most", [1, 3, 1000, DAY_US])
def test_times_are_sorted_and_equal_ones_keep_their_order(count: int, most: int) -> None:
    times = spread(count, most)

    assert np.array_equal(time_order(times), np.argsort(times, kind="stable"))


def test_a_crowd_within_a_second_is_sorted_too() -> None:
    crowd = np.concatenate([spread(9000, 1_000_000), spread(1000, DAY_US)])
    sorted_already = np.sort(crowd)

    assert np.array_equal(time_order(crowd), np.argsort(crowd, kind="stable"))
    assert np.array_equal(time_order(crowd[::-1]), np.argsort(crowd[::-1], kind="stable"))
    assert np.array_equal(time_order(sorted_already), np.arange(crowd.size))


@pytest.mark.parametrize("count", [0, 1, 7, 20_000])
@pytest.mark.parametrize("most", [1, 50, 1 << 46])
def test_distinct_values_come_sorted_and_once(count: int, most: int) -> None:
    values = spread(count, most)

    assert np.array_equal(distinct(values), np.unique(values))
    assert np.array_equal(distinct(np.repeat(values, 3)), np.unique(values))


def test_each_hour_counts_those_who_have_its_bit() -> None:
    hours = np.array([0b1, 0b11, 1 << 23, (1 << 24) - 1, 1 << 24, 0], np.uint64)

    counts = hour_counts(hours).tolist()

    assert counts == [3, 2, *[1] * 21, 2]
    assert hour_counts(hours[:0]).tolist() == [0] * 24
