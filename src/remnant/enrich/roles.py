"""What some addresses are known to be, whoever else holds them: sinkholes and public resolvers.

The lists are files beside this one, a line for each address, prefix or name with its operator and
source. They are facts about single addresses: the addresses from which public resolvers *send*
queries change often and are not in them, so such a resolver is usually seen without its role.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from remnant.enrich.addresses import parse
from remnant.enrich.content import row_numbers
from remnant.enrich.ranges import Segments, find, flatten, from_prefixes

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

__all__ = ["ROLES", "Known", "known", "roles_of"]

ROLES: Final = {"sinkhole": "sinkholes.csv", "public_resolver": "public_resolvers.csv"}
"""The roles that come from lists, with their files; where both apply the first is given."""


class Known(NamedTuple):
    """One line of a list.

    Attributes:
        indicator: an address, a prefix, or a name.
        operator: who runs it, as the source calls them.
        source: where it is from.
    """

    indicator: str
    operator: str
    source: str


@cache
def known(role: str) -> tuple[Known, ...]:
    """Return the list of a role of ``ROLES``, in the order of the file."""
    file = resources.files("remnant.enrich").joinpath("known", ROLES[role])
    with file.open(encoding="utf-8") as lines:
        return tuple(Known(**row) for row in csv.DictReader(lines))


def roles_of(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> pa.Array[Any]:
    """Return the role of each address as text, null where nothing is known."""
    segments, codes = _compiled()
    at = find(segments, high, low)
    owner = np.where(at >= 0, segments.owner[at], -1)
    code = np.where(owner >= 0, codes[owner], -1)
    names: pa.Array[Any] = pa.array(list(ROLES), pa.string())
    return names.take(row_numbers(code))


@cache
def _compiled() -> tuple[Segments, npt.NDArray[np.int64]]:
    texts = []
    codes = []
    for code, role in enumerate(ROLES):
        texts += [entry.indicator for entry in known(role)]
        codes += [code] * len(known(role))
    found = parse(pa.array(texts, pa.string()))
    rows = np.flatnonzero(found.length >= 0)  # the others are names
    ranges = from_prefixes(found.high[rows], found.low[rows], found.length[rows])
    return flatten(ranges), np.array(codes, np.int64)[rows]
