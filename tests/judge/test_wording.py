from __future__ import annotations

from datetime import UTC, datetime

import pytest

from remnant.judge.wording import percent_a_day, short_title, span
from remnant.windows import Window


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [
        ((2015, 4, 8), (2015, 7, 1), "8 April to 30 June 2015"),
        ((2015, 4, 8), (2015, 4, 9), "8 April 2015"),
        ((2015, 12, 31), (2016, 1, 2), "31 December 2015 to 1 January 2016"),
    ],
)
def test_windows_in_words(
    since: tuple[int, int, int], until: tuple[int, int, int], words: str
) -> None:
    assert span(Window(datetime(*since, tzinfo=UTC), datetime(*until, tzinfo=UTC))) == words


def test_percent_a_day() -> None:
    assert percent_a_day(0.0) == 0.0
    assert percent_a_day(0.693147) == pytest.approx(50.0, rel=1e-5)
    assert percent_a_day(-0.693147) == pytest.approx(-100.0, rel=1e-5)


@pytest.mark.parametrize(
    ("title", "simulated", "short"),
    [
        ("BeeBone (SIMULATED: no real victims)", True, "BeeBone"),
        ("BeeBone (SIMULATED: no real victims)", False, "BeeBone (SIMULATED: no real victims)"),
        ("BeeBone (AAEH, VObfus)", True, "BeeBone (AAEH, VObfus)"),
        ("(simulated)", True, "(simulated)"),
        ("A (simulated) b", True, "A (simulated) b"),
    ],
)
def test_a_title_says_simulated_once(title: str, short: str, *, simulated: bool) -> None:
    assert short_title(title, simulated=simulated) == short
