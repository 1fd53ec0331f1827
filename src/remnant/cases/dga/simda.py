"""Simda: 1,000 names of seven letters, the same on every day.

A number begins as 0x45AE94B2 and grows for each name by the sum of the characters of the sample's
key. The letter at place i is chosen by that number divided by 3 + 2i: consonants and vowels by
turns.

References:
    baderj, domain_generation_algorithms, simda: key, and a list of 1,000 names. All names agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remnant.cases.dga.algorithm import ALWAYS, Algorithm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

__all__ = ["FAMILIES"]

_COUNT: Final = 1000
_STEP: Final = sum(b"1676d5775e05c50b46baa5579d4fc7")
_BASE: Final = 0x45AE94B2
_LETTERS: Final = ("qwrtpsdfghjklzxcvbnm", "eyuioa")


def _names(_: date) -> Iterator[str]:
    for number in range(_BASE + _STEP, _BASE + (_COUNT + 1) * _STEP, _STEP):
        name = ""
        for place in range(7):
            letters = _LETTERS[place % 2]
            name += letters[number // (3 + 2 * place) % len(letters)]
        yield name + ".com"


FAMILIES: Final = (
    Algorithm(
        name="simda",
        title="Simda",
        per_day=_COUNT,
        reference="baderj, domain_generation_algorithms, simda",
        make=_names,
        epoch=ALWAYS,
        checked=True,
    ),
)
