"""Servers that lists name: sinkholes, and the services on which unused names are parked.

A name that points to one of them, or is served by one, says nothing about the botnet any more:
somebody took the name, or somebody waits for a buyer. Names of a list stand for themselves and for
everything below them; addresses and prefixes for what they cover.

References:
    Zirngibl et al., "Domain Parking: Largely Present, Rarely Considered!", TMA 2022 (parking
    services and the DNS records that show them); MISP warninglists; maltrail (sinkholes).
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.enrich.addresses import parse
from remnant.enrich.ranges import Segments, find, flatten, from_prefixes
from remnant.enrich.roles import Known, known

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LISTS", "List", "entries", "found", "listed"]

List = Literal["sinkhole", "parking"]

LISTS: Final[tuple[List, ...]] = ("sinkhole", "parking")
"""The lists, in the order in which they are asked."""

_NONE: Final = -1


class _Compiled(NamedTuple):
    """A list ready for look-ups; ``owner`` of a segment and ``rows`` of a name are entries."""

    segments: Segments
    address_rows: Any
    names: dict[int, pa.Array[Any]]
    name_rows: dict[int, Any]


@cache
def entries(which: List) -> tuple[Known, ...]:
    """Return a list in the order of its file."""
    if which == "sinkhole":
        return known("sinkhole")
    file = resources.files("remnant.infrastructure").joinpath("known", "parking.csv")
    with file.open(encoding="utf-8") as lines:
        return tuple(Known(**row) for row in csv.DictReader(lines))


def found(which: List, values: pa.Array[Any]) -> Any:  # noqa: ANN401 - NumPy
    """Return which entry of a list each value is: int64[n], -1 where it is none.

    Args:
        which: the list.
        values: n folded names and canonical addresses or prefixes, as text; null is none.
    """
    compiled = _compiled(which)
    out = np.full(len(values), _NONE, np.int64)
    addresses = parse(values)
    is_address = addresses.length >= 0
    at = find(compiled.segments, addresses.high, addresses.low)
    owner = np.where(at >= 0, compiled.segments.owner[at], _NONE)
    hit = is_address & (owner >= 0)
    out[hit] = compiled.address_rows[owner[hit]]
    # An escaped character is part of a label, whatever it is.
    plain: Any = pc.replace_substring_regex(values, r"\\.", "--")
    # The longest name that is listed wins.
    for labels in sorted(compiled.names):
        end: Any = pc.extract_regex(plain, rf"(?:^|\.)(?P<end>(?:[^.]+\.){{{labels - 1}}}[^.]+)$")
        index: Any = pc.index_in(pc.struct_field(end, "end"), value_set=compiled.names[labels])
        rows = pc.fill_null(index, _NONE).to_numpy(zero_copy_only=False)
        hit = ~is_address & (rows >= 0)
        out[hit] = compiled.name_rows[labels][rows[hit]]
    return out


def listed(which: List, values: Iterable[str]) -> dict[str, Known]:
    """Return those of some names and addresses that a list knows, with their entries.

    >>> listed("parking", ["ns1.sedoparking.com", "ns1.evil.example"])["ns1.sedoparking.com"][1]
    'Sedo'
    """
    distinct = list(dict.fromkeys(values))
    rows = found(which, pa.array(distinct, pa.string())).tolist()
    lines = entries(which)
    return {value: lines[row] for value, row in zip(distinct, rows, strict=True) if row >= 0}


@cache
def _compiled(which: List) -> _Compiled:
    texts = [entry.indicator for entry in entries(which)]
    addresses = parse(pa.array(texts, pa.string()))
    rows = np.flatnonzero(addresses.length >= 0)
    ranges = from_prefixes(addresses.high[rows], addresses.low[rows], addresses.length[rows])
    by_length: dict[int, list[int]] = {}
    for row in np.flatnonzero(addresses.length < 0).tolist():
        by_length.setdefault(texts[row].count(".") + 1, []).append(row)
    return _Compiled(
        flatten(ranges),
        rows,
        {n: pa.array([texts[row] for row in found]) for n, found in by_length.items()},
        {n: np.array(found, np.int64) for n, found in by_length.items()},
    )
