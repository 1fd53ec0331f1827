from __future__ import annotations

import pytest

from remnant.capture.years import years_of
from remnant.errors import FormatError

CHRISTMAS, NEW_YEAR, EIGHTH, SPRING, NOVEMBER = 359, 0, 7, 100, 320


@pytest.mark.parametrize(
    ("days", "years"),
    [
        ([], []),
        ([SPRING], [2014]),
        ([SPRING, SPRING], [2014, 2014]),
        ([SPRING, EIGHTH], [2014, 2014]),
        # Around the end of December, as named and in the order that rotation gives.
        ([CHRISTMAS, EIGHTH], [2014, 2015]),
        ([EIGHTH, CHRISTMAS], [2015, 2014]),
        ([NEW_YEAR, EIGHTH, CHRISTMAS, NOVEMBER], [2015, 2015, 2014, 2014]),
        # A year of logs of one month each.
        (list(range(0, 360, 31)), [2014] * 12),
    ],
)
def test_the_year_is_that_of_the_earliest_line(days: list[int], years: list[int]) -> None:
    assert years_of(days, 2014) == years


def test_logs_whose_order_cannot_be_told_are_refused() -> None:
    with pytest.raises(FormatError, match="--year"):
        years_of([240, 0, 120], 2014)
