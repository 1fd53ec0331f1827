"""The share of a botnet that a sinkhole meets."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from remnant.estimate.barrels import Round
from remnant.estimate.sinkhole_share import ShareError, share_of_names, share_of_samples, whole


@pytest.mark.parametrize(
    ("owned", "share"), [(1, 0.010), (50, 0.395), (250, 0.919), (500, 0.9936), (1000, 0.99996)]
)
def test_conficker_c_meets_owned_names_as_combinatorics_says(owned: int, share: float) -> None:
    made = Round.of("sampling", 50_000, 500, range(owned))

    found = share_of_names(made, range(owned))

    exact = 1 - math.comb(50_000 - owned, 500) / math.comb(50_000, 500)
    assert found == pytest.approx(exact, rel=1e-9)
    assert found == pytest.approx(share, abs=6e-4 if owned < 500 else 6e-5)


def test_in_order_from_a_random_start_gaps_before_owned_names_count() -> None:
    made = Round.of("random_cut", 100, 30, [10, 20, 80])

    # 30 names reach 10 (cyclically from 80), 10 reach 20, and of the 60 before 80 30 do.
    assert share_of_names(made, [10, 20, 80]) == pytest.approx((30 + 10 + 30) / 100)


def test_a_name_of_somebody_else_stands_before_ours() -> None:
    assert share_of_names(Round.of("uniform", 10, 10, [2, 5]), [5]) == 0
    assert share_of_names(Round.of("uniform", 10, 10, [2, 5]), [2]) == 1
    assert share_of_names(Round.of("permutation", 10, 10, [2, 5]), [5]) == pytest.approx(0.5)


def test_an_owned_name_must_be_registered() -> None:
    with pytest.raises(ShareError):
        share_of_names(Round.of("uniform", 10, 10, [2]), [3])


def test_samples_weigh_as_much_as_they_are_common() -> None:
    found = share_of_samples([{"a", "b"}, {"c"}, {"b"}], [6, 3, 1], {"b", "x"})

    assert found.value == pytest.approx(0.7)
    assert found.low < 0.7 < found.high
    with pytest.raises(ShareError):
        share_of_samples([{"a"}], [0.0], {"a"})


def test_the_whole_is_the_seen_by_the_share_and_its_interval_holds_both_errors() -> None:
    exact = whole(100, 0.5)
    wide = whole(100, 0.5, seen_limits=(80, 125), share_limits=(0.4, 0.6))

    assert exact.value == wide.value == 200
    assert wide.low < exact.low < 200 < exact.high < wide.high
    assert whole(100, 1.0).low == whole(100, 1.0).high == 100
    assert whole(0, 0.01).low == 0
    assert whole(0, 0.01).high > 100
    with pytest.raises(ShareError):
        whole(5, 0.0)


def test_the_worked_examples_of_the_page_are_what_the_code_says() -> None:
    page = (Path(__file__).parents[2] / "docs/explanation/partial-sinkhole.md").read_text()
    answer = whole(8.0, 0.01)

    for owned in (1, 50, 250, 500, 1000):
        share = share_of_names(Round.of("sampling", 50_000, 500, range(owned)), range(owned))
        assert f"| {owned} | {share:.5f} |" in page
    assert f"from {answer.low:.0f} to {answer.high:.0f}." in page
