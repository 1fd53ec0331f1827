"""Conficker A and B: 250 names a day, by a generator that works on floating-point numbers.

The state is 64 bits. It begins as ((F x vm mod 2^64) div 7 days + va) mod 2^64, F being the time of
00:00 UTC in 100 ns since 1601. A draw reads the state as a signed number s, and its product with rm
(mod 2^64) as an unsigned number p, both rounded to doubles, and makes

    r = ((p + sin s) s + ra) s + ln s        (the logarithm only where s > 0);

the bits of the double r are the new state, and their low 32 bits, signed, are the draw. A name has
8 + (draw rem 4) letters, the remainder with the sign of the draw: 5 to 11. Then come its letters,
and then the top-level domain, by the draw as an unsigned number.

The bot computed sin with the x87 instruction FSIN, which reduces its argument by a pi of 66 bits. s
is huge, so this pi matters: with a precise sine some days go wrong part of the way. ``_fsin`` does
as FSIN does.

References:
    Porras, Saidi, Yegneswaran, "A Foray into Conficker's Logic and Rendezvous Points", LEET 2009:
    250 names a day, top-level domains. itWire, 2009-03-13: a bot tries all of them.
    Will-Beninger, ConfickerDGA: names of each day of 2020; all of them agree (91,250 of A, 91,500
    of B). The names of A of 2008-12-09 agree with a list that F-Secure published.
    Intel, Software Developer's Manual, volume 1, 8.3.8: FSIN's pi.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from remnant.cases.dga.algorithm import Algorithm

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FAMILIES"]

_COUNT: Final = 250
_MASK: Final = 2**64 - 1
_SEVEN_DAYS: Final = 0x58028E44000
_DAY: Final = 864_000_000_000
_EPOCH: Final = date(1601, 1, 1).toordinal()
_SCALE: Final = 66
_HALF_PI: Final = 0xC90FDAA22168C234C // 2
"""Half of FSIN's pi, times 2^66."""
_DOUBLE: Final = struct.Struct("<d")
_STATE: Final = struct.Struct("<Q")
_DRAW: Final = struct.Struct("<i")


def _fsin(value: float) -> float:
    """Return the sine of a whole number below 2^63 in size as the x87 instruction computes it."""
    quarters, rest = divmod((int(value) << _SCALE) + _HALF_PI // 2, _HALF_PI)
    angle = (rest - _HALF_PI // 2) / (1 << _SCALE)
    sine = math.cos(angle) if quarters & 1 else math.sin(angle)
    return -sine if quarters & 2 else sine


@dataclass(frozen=True, slots=True)
class _Version:
    """The numbers of one version, by the names of the formulas above."""

    rm: int
    vm: int
    va: int
    ra: float
    suffixes: tuple[str, ...]

    def names(self, day: date) -> Iterator[str]:
        """Yield the names of one UTC day."""
        time = (day.toordinal() - _EPOCH) * _DAY
        state = ((time * self.vm & _MASK) // _SEVEN_DAYS + self.va) & _MASK

        def draw() -> int:
            nonlocal state
            s = float(state - (1 << 64) if state >> 63 else state)
            p = float(state * self.rm & _MASK)
            r = ((p + _fsin(s)) * s + self.ra) * s
            if s > 0:
                r += math.log(s)
            bits = _DOUBLE.pack(r)
            (state,) = _STATE.unpack(bits)
            number: int = _DRAW.unpack_from(bits)[0]
            return number

        for _ in range(_COUNT):
            length = 8 + int(math.fmod(draw(), 4))
            letters = [chr(97 + abs(draw()) % 26) for _ in range(length)]
            ending = self.suffixes[(draw() & 0xFFFFFFFF) % len(self.suffixes)]
            yield "".join(letters) + "." + ending


_A: Final = _Version(
    rm=0x64236735,
    vm=0x463DA5676,
    va=0xB46A7637,
    ra=0.737565675,
    suffixes=("com", "net", "org", "info", "biz"),
)
_B: Final = _Version(
    rm=0x53125624,
    vm=0x352C94565,
    va=0xA3596526,
    ra=0.6264545640,
    suffixes=("cc", "cn", "ws", "com", "net", "org", "info", "biz"),
)


def _family(letter: str, version: _Version) -> Algorithm:
    return Algorithm(
        name=f"conficker-{letter.lower()}",
        title=f"Conficker {letter}",
        per_day=_COUNT,
        reference="Will-Beninger, ConfickerDGA; Porras et al., LEET 2009",
        make=version.names,
        lookups=_COUNT,
        barrel_source="itWire, 2009-03-13 (all names are tried; in which order was not found)",
        checked=True,
    )


FAMILIES: Final = (_family("A", _A), _family("B", _B))
