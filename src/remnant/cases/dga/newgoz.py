"""newGOZ, the GameOver Zeus that came back in July 2014 without its peer-to-peer network.

1,000 names a day. The i-th name is made from the MD5 of: i (32 bits), the year, the key, the month,
the key, the day, the key (year, month and day in 16 bits; all little-endian; the key is the four
bytes 01 05 19 35). The digest is four little-endian 32-bit words, and each is written in base 36
(0-9a-z) and joined. The top-level domain follows from i: com for multiples of 4, else org for
multiples of 3, else biz for multiples of 2, else net.

References:
    baderj, domain_generation_algorithms, newgoz (list of 1,000 names, which belong to 2015-08-31).
    The byte order was found by trying all of them against that list; all 1,000 names agree.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import date

__all__ = ["NEWGOZ", "NewGoz"]

_KEY: Final = bytes.fromhex("01051935")
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_THREE: Final = tuple(a + b + c for a in _DIGITS for b in _DIGITS for c in _DIGITS)
_CUBE: Final = 36**3
_WORDS: Final = struct.Struct("<4I")
_INDEX: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class NewGoz:
    """The family ``newgoz``."""

    name: str = "newgoz"
    title: str = "newGOZ (GameOver Zeus, July 2014)"
    per_day: int = 1000
    reference: str = "baderj, domain_generation_algorithms, newgoz"

    def generate(self, day: date) -> list[str]:
        """Return the 1,000 names of one UTC day in index order."""
        tail = b"".join(struct.pack("<H", part) + _KEY for part in (day.year, day.month, day.day))
        names = []
        for index in range(self.per_day):
            # MD5 is the botnet's choice; nothing is protected by it.
            digest = hashlib.md5(_INDEX.pack(index) + tail, usedforsecurity=False).digest()
            names.append("".join(map(_base36, _WORDS.unpack(digest))) + _suffix(index))
        return names


NEWGOZ: Final = NewGoz()


def _base36(word: int) -> str:
    """Return a 32-bit number in base 36, three digits at a time."""
    high, low = divmod(word, _CUBE)
    top, middle = divmod(high, _CUBE)
    if top:
        return _DIGITS[top] + _THREE[middle] + _THREE[low]
    if middle:
        return _THREE[middle].lstrip("0") + _THREE[low]
    return _THREE[low].lstrip("0") or "0"


def _suffix(index: int) -> str:
    if index % 4 == 0:
        return ".com"
    if index % 3 == 0:
        return ".org"
    if index % 2 == 0:
        return ".biz"
    return ".net"
