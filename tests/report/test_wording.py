from __future__ import annotations

import doctest
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant.judge.rules import STATES
from remnant.report import wording
from remnant.report.suppress import Hidden
from remnant.schema import UNITS, VANTAGES
from remnant.windows import Window


def test_the_examples_are_true() -> None:
    assert doctest.testmod(wording).failed == 0


def test_every_state_vantage_and_unit_has_words() -> None:
    assert set(wording.STATES) == set(STATES)
    assert set(wording.VANTAGE_WORDS) == set(VANTAGES)
    assert set(wording.UNIT_WORDS) == {*UNITS, "mixed"}
    for state in STATES:
        assert wording.would_change(state, 180.0)


def test_states_differ_without_colour() -> None:
    signs = [sign for _, sign, _ in wording.STATES.values()]
    assert len(set(signs)) == len(signs)


@given(st.text(max_size=400))
def test_legible_text_has_no_control_or_direction_characters(text: str) -> None:
    shown = wording.legible(text)
    assert len(shown) <= 254
    for char in shown:
        assert unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_stacked_marks_are_cut() -> None:
    assert wording.legible("a" + "\u0336" * 50 + "b") == "a\u0336\u0336b"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (-0.0, "0"),
        (12.345, "12.3"),
        (999.6, "1,000"),
        (1e15, "1,000,000,000,000,000"),
        (0.0000123, "0.000012"),
        (float("inf"), "\u2013"),
        (None, "\u2013"),
    ],
)
def test_numbers(value: float | None, words: str) -> None:
    assert wording.number(value) == words


def test_compact_numbers() -> None:
    assert wording.compact(9_999_999) == "9,999,999"
    assert wording.compact(1.2e10) == "12 billion"
    assert wording.compact(None) == "\u2013"


def test_intervals_with_infinite_bounds() -> None:
    assert wording.interval(None, None) == "no bound"
    assert wording.interval(239.0, None) == "at least 239"
    assert wording.interval(None, 5.0) == "at most 5"
    assert wording.interval(-0.001, 0.002, "per day") == "\u22120.10 % to 0.20 %"


def test_a_share_is_never_rounded_up_to_everything() -> None:
    assert wording.percent(1.0) == "100 %"
    assert wording.percent(0.99999) == ">99.9 %"
    assert wording.percent(None) == "\u2013"


def test_hidden_counts_say_so() -> None:
    assert wording.published(Hidden.SMALL, 10) == "<10"
    assert wording.published(Hidden.LINKED, 10) == "hidden"
    assert wording.published(1234, 10) == "1,234"
    assert wording.published(None, 10) == "\u2013"


def test_windows_name_their_last_day() -> None:
    start = datetime(2015, 4, 8, tzinfo=UTC)
    assert wording.window_words(Window(start, start.replace(day=9))) == "8 Apr 2015"
    odd = Window(start.replace(hour=5), start.replace(day=9))
    assert wording.window_words(odd) == "8 Apr 2015 05:00 UTC to 9 Apr 2015 00:00 UTC"


def test_networks_without_a_name_or_number() -> None:
    assert wording.network_name(64500, None) == "AS64500"
    assert wording.network_name(None, "ignored") == "unknown network"
    assert wording.country_name(None) == "unknown"
