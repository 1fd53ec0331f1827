"""Gozi (Ursnif), the configuration that takes its words from Luther's Ninety-five Theses.

12 names for every four days, counted from 2015-01-01. The seed is 65,536 plus the number of the
four days minus 306,607,824; a linear congruential generator follows. For each name one output is
passed over and the next says how many letters the name must reach: 12 to 23. Then words are drawn
and joined: each is cut to its first half if the next output is a multiple of 3, and left out if it
would make more than 24 letters.

The words are those of three letters or more of a Latin text that the bot fetches from the web:
Project Wittenberg's copy of the theses of 1517, with the notice at its end. The text of the theses
is in ``words/theses.txt`` (The Latin Library's copy, in the public domain); the notice's words
stand here.

References:
    Luther, "Disputatio pro declaratione virtutis indulgentiarum", 1517 (public domain).
    baderj, domain_generation_algorithms, gozi: which words the bot makes of the text, and a list
    of 12 names, which belong to 2016-03-28 to 31. All names agree.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from remnant.cases.dga.algorithm import Algorithm, Epoch

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FAMILIES"]

_COUNT: Final = 12
_DAYS: Final = 4
_LONGEST: Final = 24
_START: Final = date(2015, 1, 1)
_SEED: Final = (1 << 16) - 306_607_824
_NOTICE: Final = (
    "xvii this text was converted ascii format for project wittenberg rev robert smith and the "
    "public domain you may freely distribute copy print this text please direct any comments "
    "suggestions rev robert smith the walther library concordia theological seminary mail smithre "
    "mail ctsfw edu surface mail clinton wayne usa phone fax file pub resources text wittenberg "
    "luther ninetyfive latin txt"
)


@cache
def _words() -> tuple[str, ...]:
    """Return the words in the order of the text, each as often as it stands there."""
    theses = files("remnant.cases.dga").joinpath("words/theses.txt").read_text(encoding="ascii")
    return (*re.findall(r"[a-z]{3,}", theses.lower()), *_NOTICE.split())


def _first(day: date) -> date:
    return day - timedelta(days=(day - _START).days % _DAYS)


def _names(day: date) -> Iterator[str]:
    words = _words()
    state = _SEED + (day - _START).days // _DAYS

    def draw() -> int:
        nonlocal state
        state = (state * 1_664_525 + 1_013_904_223) & 0xFFFFFFFF
        return state

    for _ in range(_COUNT):
        draw()
        wanted = 12 + draw() % 12
        name = ""
        while len(name) < wanted:
            word = words[draw() % len(words)]
            if draw() % 3 == 0:
                word = word[: len(word) // 2]
            if len(name) + len(word) <= _LONGEST:
                name += word
        yield name + ".com"


FAMILIES: Final = (
    Algorithm(
        name="gozi-luther",
        title="Gozi (Ursnif), words of Luther's theses",
        per_day=_COUNT,
        reference="baderj, domain_generation_algorithms, gozi",
        make=_names,
        epoch=Epoch(_DAYS, _first),
        checked=True,
    ),
)
