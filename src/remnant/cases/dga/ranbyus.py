"""Ranbyus, the version of September 2015: 40 names a day, by seed of the sample.

The state is 64 bits: day x month x year, XORed with the seed. A linear congruential generator
(multiplier and increment those of PCG) goes three steps; 16 bytes are mixed of the three states,
and the third is the new state. A name takes 17 bytes, so two such blocks: each byte mod 25 is a
letter. The top-level domain goes round eight of nine, from the day of the month on.

Bots come back to the names of up to 30 days before (Bader), so a name holds that much longer.

References:
    Bader, "Ranbyus's DGA, Revisited", 2015: seeds, top-level domains, 30 days.
    baderj, domain_generation_algorithms, ranbyus/september: a list of 40 names, which belong to
    2015-09-25 (seed 0F0D5BFA). All names agree.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING, Final

from remnant.cases.dga.algorithm import Algorithm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

__all__ = ["FAMILIES"]

_COUNT: Final = 40
_LETTERS: Final = 17
_MASK: Final = 2**64 - 1
_LOW: Final = 0xFFFFFFFF
_MULTIPLIER: Final = 0x5851F42D4C957F2D
_INCREMENT: Final = 0x14057B7EF767814F
_SUFFIXES: Final = ("in", "me", "cc", "su", "tw", "net", "com", "pw")
_OTHER: Final = ("in", "net", "org", "com", "me", "su", "tw", "cc")
_FIRST_SEED: Final = 0x0F0D5BFA
_OTHER_SEED: Final = 0xCE7F8514
_SEEDS: Final = (
    _FIRST_SEED, 0xF2C72B14, 0xAE8714BE, _OTHER_SEED, 0x572473BB, 0x17794CF1, 0xC0E32524,
    0x7CB7966E, 0x9F90C9E7, 0x8FB8879B, 0xE981684B,
)  # fmt: skip


def _block(state: int) -> tuple[int, bytes]:
    """Return the state three steps on, and the 16 bytes that are made on the way."""
    first = (_MULTIPLIER * state + _INCREMENT) & _MASK
    second = (_MULTIPLIER * first + _INCREMENT) & _MASK
    third = (_MULTIPLIER * second + _INCREMENT) & _MASK
    words = (
        # The low 20 bits of the second state are replaced by those of the third, shifted.
        (second & 0xFFF00000) | (third >> 24 & 0xFFFFF),
        second >> 32,
        (first & 0xFFF00000) | (third >> 44),
        first >> 32,
    )
    return third, struct.pack("<4I", *(word & _LOW for word in words))


def _names(seed: int, day: date) -> Iterator[str]:
    suffixes = _OTHER if seed == _OTHER_SEED else _SUFFIXES
    state = (day.day * day.month * day.year) ^ seed
    for index in range(_COUNT):
        state, head = _block(state)
        state, rest = _block(state)
        letters = (chr(97 + byte % 25) for byte in (head + rest)[:_LETTERS])
        yield "".join(letters) + "." + suffixes[(day.day + index) % len(suffixes)]


def _family(seed: int) -> Algorithm:
    first = seed == _FIRST_SEED
    return Algorithm(
        name="ranbyus-september" + ("" if first else f"-{seed:08x}"),
        title=f"Ranbyus (September 2015), seed {seed:08X}",
        per_day=_COUNT,
        reference="baderj, domain_generation_algorithms, ranbyus/september",
        make=partial(_names, seed),
        lookback_days=30,
        checked=first,
    )


FAMILIES: Final = tuple(map(_family, _SEEDS))
