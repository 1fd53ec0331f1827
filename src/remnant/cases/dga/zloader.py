"""Zloader (Silent Night): 32 names a day, by the RC4 key of the sample.

The seed is the time of 00:00 UTC in seconds since 1970, as four little-endian bytes, encrypted with
RC4 under the key. A letter is a plus the state mod 25; the next state is the state plus the
letter's code, in 32 bits, XORed with the seed. A name has 20 letters and ends in com.

References:
    baderj, domain_generation_algorithms, zloader: keys, and dated lists, of which those from
    2020-01-01 to 04-04 (3,011 names, key q23Cud3xsNf3) agree in all names.
"""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Final

from remnant.cases.dga.algorithm import Algorithm

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FAMILIES"]

_COUNT: Final = 32
_EPOCH: Final = date(1970, 1, 1).toordinal()
_KEYS: Final = {
    "zloader": "q23Cud3xsNf3",
    "zloader-41997b4a": "41997b4a729e1a0175208305170752dd",
    "zloader-kziecw23": "kZieCw23gffpe43Sd",
    "zloader-ts72yjsj": "Ts72YjsjO5TghE6m",
}


def _encrypted(key: bytes, plain: bytes) -> bytes:
    """Return what RC4 makes of a few bytes (Rivest 1987; as RFC 6229 has test vectors of)."""
    box = list(range(256))
    other = 0
    for place in range(256):
        other = (other + box[place] + key[place % len(key)]) & 255
        box[place], box[other] = box[other], box[place]
    cipher = bytearray()
    other = 0
    for place, byte in enumerate(plain, 1):
        other = (other + box[place]) & 255
        box[place], box[other] = box[other], box[place]
        cipher.append(byte ^ box[(box[place] + box[other]) & 255])
    return bytes(cipher)


def _names(key: bytes, day: date) -> Iterator[str]:
    midnight = (day.toordinal() - _EPOCH) * 86_400 & 0xFFFFFFFF
    seed = int.from_bytes(_encrypted(key, midnight.to_bytes(4, "little")), "little")
    state = seed
    for _ in range(_COUNT):
        letters = []
        for _ in range(20):
            code = 97 + state % 25
            letters.append(chr(code))
            state = seed ^ ((state + code) & 0xFFFFFFFF)
        yield "".join(letters) + ".com"


def _family(name: str) -> Algorithm:
    return Algorithm(
        name=name,
        title=f"Zloader, key {_KEYS[name]}",
        per_day=_COUNT,
        reference="baderj, domain_generation_algorithms, zloader",
        make=partial(_names, _KEYS[name].encode("ascii")),
        checked=name == "zloader",
    )


FAMILIES: Final = tuple(map(_family, _KEYS))
