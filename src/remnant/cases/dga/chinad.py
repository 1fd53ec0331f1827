"""Chinad: 256 names a day.

A name comes from the SHA-1 of 16 bytes: the year plus 48 (its low byte), the month, the day, the
number of the name, and zeros. Read as five big-endian words whose bytes are turned round, the first
16 bytes mod 36 are the letters (a-z0-9), and the 17th mod 7 chooses the top-level domain.

References:
    360netlab, DGA, chinad (MIT licence): the bytes that are hashed.
    baderj, domain_generation_algorithms, chinad: a list of 256 names, which belong to 2017-01-13.
    All names agree.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Final

from remnant.cases.dga.algorithm import Algorithm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

__all__ = ["FAMILIES"]

_COUNT: Final = 256
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_SUFFIXES: Final = ("com", "org", "net", "biz", "info", "ru", "cn")


def _names(day: date) -> Iterator[str]:
    for index in range(_COUNT):
        head = bytes(((day.year + 48) & 255, day.month, day.day, index))
        # SHA-1 is the botnet's choice; nothing is protected by it.
        digest = hashlib.sha1(head + bytes(12), usedforsecurity=False).digest()
        turned = struct.pack("<5I", *struct.unpack(">5I", digest))
        letters = "".join(_LETTERS[byte % 36] for byte in turned[:16])
        yield letters + "." + _SUFFIXES[turned[16] % 7]


FAMILIES: Final = (
    Algorithm(
        name="chinad",
        title="Chinad",
        per_day=_COUNT,
        reference="baderj, domain_generation_algorithms, chinad; 360netlab, DGA",
        make=_names,
        checked=True,
    ),
)
