"""Qakbot: 5,000 names for each third of a month.

The seed is the CRC-32 of the text "third.mon.year.00000000": the number of the third (the days
1-10, 11-20 and the rest: 0 to 2), the English month in three small letters, the year, and the
sample's own seed in eight hexadecimal digits. It starts a Mersenne Twister (MT19937). A number
between two limits is the low 28 bits of an output, scaled down. Of each name the top-level domain
is drawn first, then its length (8 to 25), then its letters.

References:
    baderj, domain_generation_algorithms, qakbot: a list of 5,000 names, which belong to
    2016-02-21 to 29. All names agree.
    Matsumoto, Nishimura, "Mersenne Twister", 1998 (and the initialisation of 2002).
"""

from __future__ import annotations

import random
import zlib
from functools import partial
from typing import TYPE_CHECKING, Final

from remnant.cases.dga.algorithm import Algorithm, Epoch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

__all__ = ["FAMILIES"]

_COUNT: Final = 5000
_SUFFIXES: Final = ("com", "net", "org", "info", "biz", "org")
_MONTHS: Final = (
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
)  # fmt: skip
_BITS: Final = 28
_WORDS: Final = 624


def _third(day: date) -> int:
    return min((day.day - 1) // 10, 2)


_THIRDS: Final = Epoch(10, lambda day: day.replace(day=_third(day) * 10 + 1))


def _twister(seed: int) -> random.Random:
    """Return a Mersenne Twister that was initialised with one 32-bit number."""
    words = [seed]
    for index in range(1, _WORDS):
        last = words[-1]
        words.append((0x6C078965 * (last ^ (last >> 30)) + index) & 0xFFFFFFFF)
    # Python's own seeding differs, its generator is the same. It is the bot's, and no secret.
    twister = random.Random()  # noqa: S311
    twister.setstate((3, (*words, _WORDS), None))
    return twister


def _names(seed: int, day: date) -> Iterator[str]:
    text = f"{_third(day)}.{_MONTHS[day.month - 1]}.{day.year}.{seed:08x}"
    bits = _twister(zlib.crc32(text.encode("ascii"))).getrandbits
    mask = (1 << _BITS) - 1
    for _ in range(_COUNT):
        ending = _SUFFIXES[(bits(32) & mask) * len(_SUFFIXES) >> _BITS]
        length = 8 + ((bits(32) & mask) * 18 >> _BITS)
        letters = [chr(97 + ((bits(32) & mask) * 26 >> _BITS)) for _ in range(length)]
        yield "".join(letters) + "." + ending


def _family(seed: int) -> Algorithm:
    return Algorithm(
        name="qakbot" + (f"-{seed}" if seed else ""),
        title="Qakbot" + (f", seed {seed}" if seed else ""),
        per_day=_COUNT,
        reference="baderj, domain_generation_algorithms, qakbot",
        make=partial(_names, seed),
        epoch=_THIRDS,
        checked=not seed,
    )


FAMILIES: Final = (_family(0), _family(1))
