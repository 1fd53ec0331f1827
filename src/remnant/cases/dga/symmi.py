"""Symmi (Mewsei): 64 names for each half of a month, below a dynamic-DNS domain.

The seed is (half of the month x 100 + month) x 10,000 + year + 42; the second half begins on the
16th. The generator is that of Microsoft's C library. A name has 8 to 15 letters, vowels and
consonants by turns: for each pair a draw says which of the two comes first, and each letter is one
draw. The last vowel and the last consonant are never chosen.

References:
    baderj, domain_generation_algorithms, symmi: a list of 64 names, which belong to 2015-08-16
    to 31. All names agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remnant.cases.dga.algorithm import Algorithm, Epoch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

__all__ = ["FAMILIES"]

_COUNT: Final = 64
_ZONE: Final = "ddns.net"
_VOWELS: Final = "aeiou"
_CONSONANTS: Final = "bcdfghklmnpqrstvwx"
_HALVES: Final = Epoch(16, lambda day: day.replace(day=max(1, day.day // 16 * 16)))


def _names(day: date) -> Iterator[str]:
    state = (day.day // 16 * 100 + day.month) * 10_000 + day.year + 42

    def draw() -> int:
        nonlocal state
        state = (state * 214_013 + 2_531_011) & 0xFFFFFFFF
        return state >> 16 & 0x7FFF

    for _ in range(_COUNT):
        length = 8 + draw() % 8
        name = ""
        sets = (_VOWELS, _CONSONANTS)
        for place in range(length):
            if place % 2 == 0:
                sets = (_CONSONANTS, _VOWELS) if draw() & 0x100 else (_VOWELS, _CONSONANTS)
            letters = sets[place % 2]
            name += letters[draw() % len(letters)]
        yield f"{name}.{_ZONE}"


FAMILIES: Final = (
    Algorithm(
        name="symmi",
        title="Symmi (Mewsei)",
        per_day=_COUNT,
        reference="baderj, domain_generation_algorithms, symmi",
        make=_names,
        epoch=_HALVES,
        checked=True,
    ),
)
