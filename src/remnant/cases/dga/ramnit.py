"""Ramnit: names that follow from the sample's seed alone, the same on every day.

The generator is that of Lehmer, Park and Miller (16807, by Schrage's method), kept to 32 bits
without the usual correction of negative results. A name has 8 to 19 letters a-y. The product of the
state before the length was drawn and the state after it, folded to 32 bits, starts the next name.

How many names a sample tries is written in the sample. The first 100 of each seed are made here.

References:
    Park, Miller, "Random number generators: good ones are hard to find", CACM 1988.
    baderj, domain_generation_algorithms, ramnit: seeds, and a list of 100 names
    of the seed 79159C10. All names agree.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from remnant.cases.dga.algorithm import ALWAYS, Algorithm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

__all__ = ["FAMILIES"]

_COUNT: Final = 100
_LOW: Final = 0xFFFFFFFF
_COM: Final = ("com",)
_FIRST: Final = 0x79159C10
_SEEDS: Final = {
    _FIRST: _COM,
    0xEF214BBF: _COM,
    0x28488EEA: _COM,
    0x4BFCBC6A: _COM,
    0x92F4BE35: _COM,
    0x4302C04A: ("click", "bid", "eu"),
    0x52278648: _COM,
    0x9753029A: ("eu",),
}


def _next(state: int) -> int:
    return (16_807 * (state % 127_773) - 2_836 * (state // 127_773)) & _LOW


def _names(seed: int, suffixes: tuple[str, ...], _day: date) -> Iterator[str]:
    start = seed
    for index in range(_COUNT):
        state = after = _next(start)
        letters = []
        for _ in range(state % 12 + 8):
            state = _next(state)
            letters.append(chr(97 + state % 25))
        yield "".join(letters) + "." + suffixes[index % len(suffixes)]
        product = start * after
        start = (product + (product >> 32)) & _LOW


def _family(seed: int) -> Algorithm:
    return Algorithm(
        name="ramnit" + ("" if seed == _FIRST else f"-{seed:08x}"),
        title=f"Ramnit, seed {seed:08X}",
        per_day=_COUNT,
        reference="baderj, domain_generation_algorithms, ramnit",
        make=partial(_names, seed, _SEEDS[seed]),
        epoch=ALWAYS,
        checked=seed == _FIRST,
    )


FAMILIES: Final = tuple(map(_family, _SEEDS))
