"""newGOZ, the GameOver Zeus that came back in July 2014 without its peer-to-peer network.

1,000 names a day. The i-th name is made from the MD5 of: i (32 bits), the year, the key, the month,
the key, the day, the key (year, month and day in 16 bits; all little-endian; the key is the four
bytes 01 05 19 35). The digest is four little-endian 32-bit words, and each is written in base 36
(0-9a-z) and joined. The top-level domain follows from i: com for multiples of 4, else org for
multiples of 3, else biz for multiples of 2, else net.

A bot begins at a random index and counts up (Arbor). A second configuration has the key 0x52e645
and tries up to 10,000 names; no list of it was found to check it against.

References:
    baderj, domain_generation_algorithms, newgoz (list of 1,000 names, which belong to 2015-08-31).
    The byte order was found by trying all of them against that list; all 1,000 names agree.
    Schwarz, Loftus (Arbor Networks), "Five Sinkholes of newGOZ", 2014: keys, maximum of names to
    try, random start.
"""

from __future__ import annotations

import hashlib
import struct
from functools import cache, partial
from typing import TYPE_CHECKING, Final, NamedTuple

from remnant.cases.dga.algorithm import Algorithm

if TYPE_CHECKING:
    from datetime import date

__all__ = ["FAMILIES"]

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_CUBE: Final = 36**3
_WORDS: Final = struct.Struct("<4I")
_INDEX: Final = struct.Struct("<I")
_ARBOR: Final = "Arbor Networks, Five Sinkholes of newGOZ, 2014"


class _Tables(NamedTuple):
    """Parts of numbers in base 36: a 32-bit number is one of ``high`` and one of ``low``."""

    high: tuple[str, ...]
    low: tuple[str, ...]


@cache
def _tables() -> _Tables:
    """Return the tables: made once, and only where names are made."""
    three = tuple(a + b + c for a in _DIGITS for b in _DIGITS for c in _DIGITS)
    high = [text.lstrip("0") for text in three]
    count = (1 << 32) // _CUBE + 1
    high += [_DIGITS[number // _CUBE] + three[number % _CUBE] for number in range(_CUBE, count)]
    return _Tables(tuple(high), three)


def _names(count: int, key: int, day: date) -> list[str]:
    """Return the names of one UTC day in index order."""
    high, low = _tables()
    secret = _INDEX.pack(key)
    tail = b"".join(struct.pack("<H", part) + secret for part in (day.year, day.month, day.day))
    md5, words = hashlib.md5, _WORDS.unpack
    names = []
    for index in range(count):
        # MD5 is the botnet's choice; nothing is protected by it.
        a, b, c, d = words(md5(_INDEX.pack(index) + tail, usedforsecurity=False).digest())
        if min(a, b, c, d) < _CUBE:
            stem = "".join(map(_base36, (a, b, c, d)))
        else:
            stem = (
                f"{high[a // _CUBE]}{low[a % _CUBE]}{high[b // _CUBE]}{low[b % _CUBE]}"
                f"{high[c // _CUBE]}{low[c % _CUBE]}{high[d // _CUBE]}{low[d % _CUBE]}"
            )
        names.append(stem + _SUFFIXES[index % 12])
    return names


def _base36(word: int) -> str:
    """Return a 32-bit number in base 36."""
    high, low = _tables()
    return (high[word // _CUBE] + low[word % _CUBE]).lstrip("0") or "0"


def _suffix(index: int) -> str:
    if index % 4 == 0:
        return ".com"
    if index % 3 == 0:
        return ".org"
    if index % 2 == 0:
        return ".biz"
    return ".net"


_SUFFIXES: Final = tuple(map(_suffix, range(12)))


FAMILIES: Final = (
    Algorithm(
        name="newgoz",
        title="newGOZ (GameOver Zeus, July 2014)",
        per_day=1000,
        reference="baderj, domain_generation_algorithms, newgoz",
        make=partial(_names, 1000, 0x35190501),
        barrel="random_cut",
        lookups=1000,
        barrel_source=_ARBOR,
        checked=True,
    ),
    Algorithm(
        name="newgoz-52e645",
        title="newGOZ, second configuration",
        per_day=10_000,
        reference=_ARBOR,
        make=partial(_names, 10_000, 0x52E645),
        barrel="random_cut",
        lookups=10_000,
        barrel_source=_ARBOR,
    ),
)
