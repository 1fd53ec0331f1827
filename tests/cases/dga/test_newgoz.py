"""newGOZ writes numbers in base 36."""

from __future__ import annotations

import pytest

from remnant.cases.dga.newgoz import _base36, _tables


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0, "0"),
        (1, "1"),
        (35, "z"),
        (36, "10"),
        (36**3, "1000"),
        (36**6 - 1, "zzzzzz"),
        (36**6, "1000000"),
        (2**32 - 1, "1z141z3"),
    ],
)
def test_base_36(word: int, text: str) -> None:
    assert _base36(word) == text
    assert int(text, 36) == word


def test_the_tables_reach_over_all_32_bits() -> None:
    high, low = _tables()
    assert (len(high) - 1) * len(low) <= 2**32 - 1 < len(high) * len(low)
    assert high[1] == "1"
    assert high[-1] == "1z14"
