"""Generated names against published lists."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.made_cases import QUICK
from remnant.cases import dga
from remnant.errors import CaseError
from remnant.names import fold

# SHA-256 of the 1,000 names that baderj's list for newGOZ holds, one in a line.
NEWGOZ_LIST = "0b5565f72fb119138226485da81990a2a80ed5358b5b0c9278eadc5baff7d1a7"


def test_newgoz_is_the_published_list() -> None:
    names = dga.generate("newgoz", date(2015, 8, 31))
    assert names[:5] == [
        "xzz3ug32bale1uo60y7xj6rge.com",
        "1hyzmw3l2phycet88hzr2do34.net",
        "2ppq821cfem5m1mdua46pxg7bj.biz",
        "unlm9w9l8upy1kdde0kba7ktf.org",
        "1ixhw3p1ncr3cf1pjfrpz14n1u0e.com",
    ]
    assert hashlib.sha256(("\n".join(names) + "\n").encode()).hexdigest() == NEWGOZ_LIST


@pytest.mark.parametrize("family", sorted(dga.FAMILIES))
@QUICK
@given(day=st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_every_family_generates_folded_names(family: str, day: date) -> None:
    names = dga.generate(family, day)
    assert 0 < len(names) <= dga.family(family).per_day
    assert all(fold(name) == name for name in names[:50])
    assert names == dga.generate(family, day)


def test_the_date_matters() -> None:
    day = date(2014, 7, 25)
    assert not set(dga.generate("newgoz", day)) & set(
        dga.generate("newgoz", day + timedelta(days=1))
    )


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
    from remnant.cases.dga.newgoz import _base36

    assert _base36(word) == text
    assert int(text, 36) == word


def test_an_unknown_family_names_the_known_ones() -> None:
    with pytest.raises(CaseError) as raised:
        dga.generate("oldgoz", date(2014, 7, 25))
    assert raised.value.expected is not None
    assert "newgoz" in raised.value.expected
