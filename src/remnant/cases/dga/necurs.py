"""Necurs: 2,048 names that hold for four days.

A mixing function turns a 64-bit number into another: for k from 0 to its low 7 bits plus 20, it
adds to it its seven-fold XORed with itself shifted left by 15, plus 8k, minus itself shifted right
by 5. The state takes in, one after the other and mixed each time: the year; the month plus 43,690;
the day shifted right by 2; the number of the name; and the sample's magic number, 9. The length is
7 plus the state mod 15. Each letter mixes the state plus its place, takes it mod 25, adds 0xABBEDF
and mixes again. What is left, mod 43, chooses the top-level domain.

References:
    Bader, "The DGAs of Necurs", 2015: recorded traffic, in which a bot asked for 2,048 names. The
    first names and the last one that are printed belong to 2015-02-16 to 19, and are the numbers
    1271, 1237, 82, 898, 259 ... 780 of the list: the order is random.
    baderj, domain_generation_algorithms, necurs: a list of 2,048 names, which belong to
    2015-08-28 to 31. All names agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from remnant.cases.dga.algorithm import FOUR_DAYS, Algorithm

if TYPE_CHECKING:
    from datetime import date

    import numpy as np
    import numpy.typing as npt

__all__ = ["FAMILIES"]

_COUNT: Final = 2048
_MAGIC: Final = 9
_STEP: Final = 0xABBEDF
_LONGEST: Final = 7 + 14
_SUFFIXES: Final = (
    "tj", "in", "jp", "tw", "ac", "cm", "la", "mn", "so", "sh", "sc", "nu", "nf", "mu", "ms", "mx",
    "ki", "im", "cx", "cc", "tv", "bz", "me", "eu", "de", "ru", "co", "su", "pw", "kz", "sx", "us",
    "ug", "ir", "to", "ga", "com", "net", "org", "biz", "xxx", "pro", "bit",
)  # fmt: skip


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return what the mixing function makes of uint64[n] numbers, in their order."""
    import numpy as np  # noqa: PLC0415 - only this family needs it

    rounds = (values & np.uint64(127)).astype(np.int64) + 21
    # Those with most rounds stand first, so that each round works on the front of the array.
    order = np.argsort(-rounds, kind="stable")
    work, rounds = values[order], rounds[order]
    left = np.searchsorted(-rounds, -np.arange(int(rounds[0])), side="left")
    for k, many in enumerate(left.tolist()):
        part = work[:many]
        more = part * np.uint64(7)
        more ^= part << np.uint64(15)
        more -= part >> np.uint64(5)
        more += np.uint64(8 * k)
        part += more
    mixed = np.empty_like(values)
    mixed[order] = work
    return mixed


def _names(day: date) -> list[str]:
    """Return the names of one UTC day by number, all of them made at once."""
    import numpy as np  # noqa: PLC0415 - only this family needs it

    def number(value: int) -> Any:  # noqa: ANN401 - an array of one
        return np.array([value], np.uint64)

    start = _mixed(number(day.year))
    start = _mixed(start + number(day.month + 43_690))
    start = _mixed(start + number(day.day >> 2))
    state = _mixed(np.arange(_COUNT, dtype=np.uint64) + start)
    state = _mixed(state + number(_MAGIC))
    lengths = (state % np.uint64(15)).astype(np.int64) + 7
    letters = np.zeros((_COUNT, _LONGEST), np.uint8)
    for place in range(_LONGEST):
        more = np.flatnonzero(lengths > place)
        mixed = _mixed(state[more] + np.uint64(place))
        letters[more, place] = (mixed % np.uint64(25)).astype(np.uint8) + 97
        state[more] = _mixed(mixed + np.uint64(_STEP))
    endings = (state % np.uint64(len(_SUFFIXES))).tolist()
    text = letters.tobytes().decode("ascii")
    return [
        f"{text[row * _LONGEST : row * _LONGEST + length]}.{_SUFFIXES[ending]}"
        for row, (length, ending) in enumerate(zip(lengths.tolist(), endings, strict=True))
    ]


FAMILIES: Final = (
    Algorithm(
        name="necurs",
        title="Necurs",
        per_day=_COUNT,
        reference="baderj, domain_generation_algorithms, necurs",
        make=_names,
        epoch=FOUR_DAYS,
        barrel="permutation",
        lookups=_COUNT,
        barrel_source="Bader, The DGAs of Necurs, 2015 (recorded traffic)",
        checked=True,
    ),
)
