"""Murofet (Licat), the generated names of Zbot and, as its first version, of GameOver Zeus.

A name comes from the MD5 of a few bytes: the year plus 48 (its low byte), the month, the day, and
the index as 32 bits, little-endian. Version 1 takes the day rounded down to a multiple of 7, so
that a list holds for a week; version 2 takes the day, a zero byte, and the index rounded down to
an even number, all XORed with a four-byte key, if the sample has one.

Version 1 makes up to two letters of each byte of the digest (its low five bits, its high five bits;
both only if they differ, each only if it is a letter), version 2 one (the sum of its two halves).
The top-level domain is that of the largest n that divides the index, counted down from the number
of domains.

A bot begins at its clock's minute times 17, counts up modulo 1,020, and tries up to 800 names.

References:
    Bader, "Three Variants of Murofet's DGA": procedure, start, 800 of 1,020 names, keys.
    baderj, domain_generation_algorithms, murofet/v1 and v2: lists of 1,000 and 1,020 names, which
    belong to 2015-09-01 and to 2015-09-03 (no key). All names agree.
"""

from __future__ import annotations

import hashlib
import struct
from functools import partial
from typing import TYPE_CHECKING, Final

from remnant.cases.dga.algorithm import DAILY, WEEKLY, Algorithm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

__all__ = ["FAMILIES"]

_COUNT: Final = 60 * 17
_FIRST: Final = ("ru", "biz", "info", "org", "net", "com")
_SECOND: Final = _FIRST[1:]
_SOURCE: Final = "Bader, Three Variants of Murofet's DGA"
_KEYS: Final = (0xD6D7A4BE, 0xDEADC2DE, 0xD6D7A4B1)


def _two_letters(byte: int) -> str:
    low, high = byte & 31, byte >> 3
    if low == high:
        return ""
    return "".join(chr(97 + number) for number in (low, high) if number < 26)


def _one_letter(byte: int) -> str:
    number = (byte & 15) + (byte >> 4)
    return chr(97 + number) if number < 26 else ""


_PAIRS: Final = tuple(map(_two_letters, range(256)))
_SINGLES: Final = tuple(map(_one_letter, range(256)))


def _names(
    letters: tuple[str, ...], suffixes: tuple[str, ...], seed: Callable[[int], bytes]
) -> Iterator[str]:
    """Yield the names of one list: letters by byte, endings in order, input of MD5 by index."""
    divisors = range(len(suffixes), 0, -1)
    for index in range(_COUNT):
        # MD5 is the botnet's choice; nothing is protected by it.
        digest = hashlib.md5(seed(index), usedforsecurity=False).digest()
        ending = next(s for s, n in zip(suffixes, divisors, strict=True) if index % n == 0)
        yield "".join(letters[byte] for byte in digest) + "." + ending


def _v1(day: date) -> Iterator[str]:
    date_bytes = bytes((_year(day), day.month, day.day // 7 * 7))
    return _names(_PAIRS, _FIRST, lambda index: date_bytes + struct.pack("<I", index))


def _v2(key: int, day: date) -> Iterator[str]:
    date_part = int.from_bytes(bytes((_year(day), day.month, day.day, 0)), "little") ^ key
    return _names(
        _SINGLES, _SECOND, lambda index: struct.pack("<II", date_part, index // 2 * 2 ^ key)
    )


def _year(day: date) -> int:
    return (day.year + 48) & 255


def _second(key: int) -> Algorithm:
    return Algorithm(
        name="murofet-v2" + (f"-{key:08x}" if key else ""),
        title="Murofet 2 (Zbot)" + (f", key {key:08X}" if key else ""),
        per_day=_COUNT,
        reference="baderj, domain_generation_algorithms, murofet/v2",
        make=partial(_v2, key),
        epoch=DAILY,
        barrel="random_cut",
        lookups=800,
        barrel_source=_SOURCE,
        checked=not key,
    )


FAMILIES: Final = (
    Algorithm(
        name="murofet-v1",
        title="Murofet 1 (Zbot; backup names of GameOver Zeus)",
        per_day=_COUNT,
        reference="baderj, domain_generation_algorithms, murofet/v1",
        make=_v1,
        epoch=WEEKLY,
        barrel="random_cut",
        lookups=800,
        barrel_source=_SOURCE,
        checked=True,
    ),
    *map(_second, (0, *_KEYS)),
)
