"""Tinba: names that follow from a key and a first name in the sample, the same on every day.

Each name is made of the one before it (the last of its top-level domains): 12 letters b-y, each by
adding a character, XORing the sum of the key's characters and adding the next character, in 8 bits;
where the result is no such letter, the sum grows by one and the step is repeated. Every name comes
with each of the sample's top-level domains. The first name itself is tried as well.

100 names of each key are made here, 1,000 of the oldest, as its description says.

References:
    baderj, domain_generation_algorithms, tinba: keys, and a list of 401 names of the key
    jc74FlUna852Ji9o. All names agree.
    Bader, "New Top Level Domains for Tinba's DGA", 2015.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from remnant.cases.dga.algorithm import ALWAYS, Algorithm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

__all__ = ["FAMILIES"]


class _Sample(NamedTuple):
    """What a sample of the bot brings."""

    name: str
    key: bytes
    first: str
    suffixes: tuple[str, ...]
    rounds: int


_SAMPLES: Final = (
    _Sample("tinba", b"jc74FlUna852Ji9o", "blackfreeqazyio.cc", ("com", "net", "in", "ru"), 100),
    _Sample("tinba-ogks3w3s", b"oGkS3w3sGGOGG7oc", "ssrgwnrmgrxe.com", ("com",), 1000),
    _Sample(
        "tinba-yqokqfc2", b"yqokqFC2TPBFfJcG", "watchthisnow.xyz", ("pw", "us", "xyz", "club"), 100
    ),
    _Sample(
        "tinba-j193hsnw", b"j193HsnW72Yqns7u", "j193hsne720uie8i.cc", ("com", "net", "biz", "org"),
        100,
    ),
)  # fmt: skip


def _next(key: bytes, name: str) -> str:
    total = sum(key)
    value = key[15]
    letters = []
    for this, following in pairwise(name[:13]):
        while True:
            value = ((value + ord(this)) ^ (total & 255)) + ord(following) & 255
            if ord("a") < value < ord("z"):
                break
            total += 1
        letters.append(chr(value))
    return "".join(letters)


def _names(sample: _Sample, _day: date) -> Iterator[str]:
    name = sample.first
    yield name
    for _ in range(sample.rounds):
        stem = _next(sample.key, name)
        for suffix in sample.suffixes:
            name = f"{stem}.{suffix}"
            yield name


def _family(sample: _Sample) -> Algorithm:
    return Algorithm(
        name=sample.name,
        title=f"Tinba, key {sample.key.decode('ascii')}",
        per_day=1 + sample.rounds * len(sample.suffixes),
        reference="baderj, domain_generation_algorithms, tinba",
        make=partial(_names, sample),
        epoch=ALWAYS,
        checked=sample.name == "tinba",
    )


FAMILIES: Final = tuple(map(_family, _SAMPLES))
