"""Whether a name looks generated."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant.cases.dga import generate
from remnant.infrastructure.likeness import likeness


@pytest.mark.parametrize("family", ["newgoz", "conficker-a", "ramnit", "necurs", "tinba"])
def test_names_of_families_that_draw_letters_look_generated(family: str) -> None:
    names = generate(family, date(2015, 11, 3))[:300]
    assert (likeness(names) >= 0.5).mean() > 0.9


def test_names_made_of_words_do_not() -> None:
    names = ["timedate1.com", "ns1.helpupdater.net", "thepicturehut.net", "wikipedia.org",
             "stackoverflow.com", "street-light.example", "kitchen.example"]  # fmt: skip
    assert (likeness(names) < 0.5).all()
    assert likeness(generate("gozi-luther", date(2015, 11, 3))).mean() < 0.2


def test_a_name_without_characters_to_score_has_no_score() -> None:
    assert np.isnan(likeness([r"\255\254.com", "_.example"])).tolist() == [False, True]
    assert likeness([]).tolist() == []


@given(st.lists(st.from_regex(r"[a-z0-9_-]{1,63}\.(com|example)", fullmatch=True), max_size=5))
def test_a_score_is_between_0_and_1_and_each_name_has_its_own(names: list[str]) -> None:
    together = likeness(names)
    alone = np.array([likeness([name])[0] for name in names])
    np.testing.assert_allclose(together, alone)
    scored = together[~np.isnan(together)]
    assert ((scored >= 0) & (scored <= 1)).all()
