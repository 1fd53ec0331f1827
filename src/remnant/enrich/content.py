"""What one source of reference data says, whatever its format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.enrich.ranges import Ranges, flatten, misplaced

if TYPE_CHECKING:
    import datetime as dt

    import numpy.typing as npt

__all__ = ["MAX_ASN", "SEGMENTS", "Content", "country_code", "name_text", "row_numbers", "segments"]

MAX_ASN: Final = 0xFFFFFFFF
"""The largest AS number (RFC 6793); 0 is reserved and means none (RFC 7607)."""

_NAME_LIMIT: Final = 200
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_NO_COUNTRY: Final = frozenset({"AP", "EU", "XX", "ZZ"})
"""Regions and the unknown, which some registries write in place of a country."""

SEGMENTS: Final = pa.schema(
    [
        ("high", pa.uint64()),
        ("low", pa.uint64()),
        ("first_high", pa.uint64()),
        ("first_low", pa.uint64()),
        ("last_high", pa.uint64()),
        ("last_low", pa.uint64()),
        ("asn", pa.int64()),
        ("as_name", pa.dictionary(pa.int32(), pa.string())),
        ("country", pa.dictionary(pa.int32(), pa.string())),
    ]
)
"""A flattened source: where each segment starts, the range that owns it, and what that says."""


@dataclass(frozen=True, slots=True)
class Content:
    """The rows of one source.

    Attributes:
        format: what it is, for a person.
        ranges: the addresses of each row.
        facts: as many rows, columns asn, as_name and country as in ``SEGMENTS``.
        bad: rows that could not be used.
        notes: what a person should know about how it was read.
        built: the day it was built, where the source says so itself.
    """

    format: str
    ranges: Ranges
    facts: pa.Table
    bad: int
    notes: tuple[str, ...] = ()
    built: dt.date | None = None


def segments(content: Content) -> tuple[pa.Table, int]:
    """Return the flattened source as a table of ``SEGMENTS``, and how many rows were misplaced.

    A misplaced row that says nothing ("not routed" from one end of the space to the other) is left
    out without being counted.
    """
    wrong = misplaced(content.ranges)
    says = np.zeros(len(wrong), bool)
    for name in ("asn", "as_name", "country"):
        says |= content.facts[name].is_valid().to_numpy()
    keep = np.flatnonzero(~wrong)
    ranges = Ranges(*(words[keep] for words in content.ranges))
    cut = flatten(ranges)
    owner = row_numbers(cut.owner)
    facts = content.facts.take(row_numbers(keep)).take(owner)
    arrays: list[Any] = [pa.array(cut.high), pa.array(cut.low)]
    arrays += [pa.array(words).take(owner) for words in ranges]
    arrays += [facts[name].combine_chunks() for name in ("asn", "as_name", "country")]
    return pa.Table.from_arrays(arrays, schema=SEGMENTS), int((wrong & says).sum())


def row_numbers(index: npt.NDArray[np.int64]) -> Any:  # noqa: ANN401 - as ``take`` wants them
    """Return row numbers as an Arrow array, null where they are negative."""
    return pa.array(index, pa.int64(), mask=index < 0)


def country_code(text: object) -> str | None:
    """Return an ISO 3166-1 alpha-2 code in upper case, null for anything else.

    >>> country_code("de"), country_code("None"), country_code("EU")
    ('DE', None, None)
    """
    if not isinstance(text, str):
        return None
    code = text.strip().upper()
    return code if _COUNTRY.fullmatch(code) and code not in _NO_COUNTRY else None


def name_text(value: object) -> str | None:
    """Return a name as one bounded line, null when it is empty or not text."""
    if not isinstance(value, str):
        return None
    return " ".join(value[: 4 * _NAME_LIMIT].split())[:_NAME_LIMIT] or None
