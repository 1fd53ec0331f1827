"""Kraken (Oderoor, Bobax), version 1: names below four dynamic-DNS domains, the same on every day.

The n-th pair of names comes from N = 1,000,015 + n, in two ways: with a seed for machines where a
temporary file of the bot is there and with one where it is not. A product of three numbers near N,
cut to 32 bits and divided by 9, plus a polynomial of N and the seed, starts a linear congruential
generator. Three draws make the length (6 to 11), each further one a letter; N mod 4 chooses the
domain. There are two sets of seeds, A and B.

The list has no end. The first 1,000 pairs are made here.

References:
    Bader, "Kraken's Two Domain Generation Algorithms", 2015: it does not depend on the date.
    baderj, domain_generation_algorithms, kraken/v1: seeds, and a list of 2,000 names of set A.
    All names agree.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from remnant.cases.dga.algorithm import ALWAYS, Algorithm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

__all__ = ["FAMILIES"]

_PAIRS: Final = 1000
_START: Final = 1_000_015
_ZONES: Final = ("dyndns.org", "yi.org", "dynserv.com", "mooo.com")
_SEEDS: Final = {"a": (0x8924541, -0x0FCFBF88), "b": (0x7924542, -0x1FCFBF87)}
"""By set: the seed without the temporary file, and the seed with it."""


def _signed(number: int) -> int:
    """Return the low 32 bits as a signed number."""
    return (number + 0x80000000 & 0xFFFFFFFF) - 0x80000000


def _ninth(number: int) -> int:
    """Return a ninth of the low 32 bits as a signed number, towards zero."""
    whole = _signed(number)
    return -(-whole // 9) if whole < 0 else whole // 9


def _name(start: int, zone: str) -> str:
    state = start

    def draw() -> int:
        nonlocal state
        state = _signed(1_103_515_245 * state + 12_435)
        return state >> 8 & 0x7FFF

    first, second, third = draw(), draw(), draw()
    length = (first * second - third) % 6 + 6
    return "".join(chr(97 + draw() % 26) for _ in range(length)) + "." + zone


def _names(seeds: tuple[int, int], _: date) -> Iterator[str]:
    without, with_file = seeds
    for n in range(_START, _START + _PAIRS):
        zone = _ZONES[n % 4]
        yield _name(_signed(_ninth((n + 2) * (n + 7) * n) + (3 * n + 1) * n + without), zone)
        yield _name(_signed(_ninth(n * (n + 7) * (n + 12)) + n * (n + 1) + with_file), zone)


def _family(letter: str) -> Algorithm:
    return Algorithm(
        name="kraken-v1" + ("" if letter == "a" else f"-{letter}"),
        title=f"Kraken 1, seeds {letter.upper()}",
        per_day=2 * _PAIRS,
        reference="baderj, domain_generation_algorithms, kraken/v1",
        make=partial(_names, _SEEDS[letter]),
        epoch=ALWAYS,
        checked=letter == "a",
    )


FAMILIES: Final = tuple(map(_family, _SEEDS))
