"""Registered domains of many names at once; ``cases.zones`` says what one is."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.cases.zones import DYNAMIC_DNS, suffix_kind, suffix_rules, zone_of

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["are_suffixes", "suffix_words", "zones_of"]

_FEW: Final = 1000
"""Names up to which one look at each is faster than Arrow's, which hashes the list each time."""

_MOST_LABELS: Final = 8
"""Labels of the longest rule of the Public Suffix List, and one."""


class _Rules(NamedTuple):
    """Rules of the Public Suffix List by what they say of a name that ends so."""

    plain: Any
    wildcard: Any
    exception: Any


@cache
def _rules() -> _Rules:
    # Names have internationalised labels as A-labels, the list writes them as people do.
    rules = [rule if rule.isascii() else rule.encode("idna").decode() for rule in suffix_rules()]
    return _Rules(
        pa.array([r for r in rules if r[0] not in "*!"], pa.string()),
        pa.array([r[2:] for r in rules if r.startswith("*.")], pa.string()),
        pa.array([r[1:] for r in rules if r.startswith("!")], pa.string()),
    )


def zones_of(names: Any) -> Any:  # noqa: ANN401 - Arrow
    """Return ``cases.zones.zone_of`` of each folded name, as an array of text."""
    coded: Any = pc.dictionary_encode(_array(names))
    distinct = coded.dictionary
    if len(distinct) <= _FEW:
        few: Any = pa.array([zone_of(name) for name in distinct.to_pylist()], pa.string())
        return few.take(coded.indices)
    ends = _ends(distinct)
    taken = _suffix_labels(ends) + 1
    taken = np.where(_is_in(ends[1], _dynamic()), np.maximum(taken, 3), taken)
    zones: Any = distinct
    for count in range(2, _MOST_LABELS + 1):
        here = (taken == count) & ends[count - 1].is_valid().to_numpy(zero_copy_only=False)
        zones = pc.if_else(pa.array(here), ends[count - 1], zones)
    # Escaped dots are rare: names that have any are split one by one.
    odd = np.flatnonzero(pc.match_substring(distinct, "\\").to_numpy(zero_copy_only=False))
    if odd.size:
        listed = zones.to_pylist()
        for row in odd.tolist():
            listed[row] = zone_of(distinct[row].as_py())
        zones = pa.array(listed, pa.string())
    return zones.take(coded.indices)


def are_suffixes(names: Any) -> npt.NDArray[np.bool_]:  # noqa: ANN401 - Arrow
    """Return which names are public suffixes: bool[n]; see ``cases.zones.suffix_kind``."""
    coded: Any = pc.dictionary_encode(_array(names))
    distinct = coded.dictionary
    if len(distinct) <= _FEW:
        one_by_one = [suffix_kind(name) is not None for name in distinct.to_pylist()]
        codes = coded.indices.to_numpy(zero_copy_only=False)
        return np.asarray(np.array(one_by_one, np.bool_)[codes], np.bool_)
    labels = pc.add(pc.count_substring(distinct, "."), 1).to_numpy(zero_copy_only=False)
    found = (_suffix_labels(_ends(distinct)) >= labels) | _is_in(distinct, _dynamic())
    odd = pc.match_substring(distinct, "\\").to_numpy(zero_copy_only=False)
    found = np.where(odd, False, found).astype(np.bool_)
    return np.asarray(found[coded.indices.to_numpy(zero_copy_only=False)], np.bool_)


def suffix_words(name: str) -> str:
    """Return in words what kind of public suffix a name is.

    >>> suffix_words("ddns.net"), suffix_words("co.uk")
    ('dynamic DNS', 'public suffix')
    """
    return "dynamic DNS" if suffix_kind(name) == "dynamic" else "public suffix"


def _array(names: Any) -> Any:  # noqa: ANN401 - Arrow
    return names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names


@cache
def _dynamic() -> Any:  # noqa: ANN401 - Arrow
    return pa.array(sorted(DYNAMIC_DNS), pa.string())


def _ends(names: Any) -> list[Any]:  # noqa: ANN401 - Arrow
    """Return the last 1, 2, ... labels of each name; null where there are not so many."""
    found = []
    for count in range(1, _MOST_LABELS + 1):
        pattern = rf"(?:^|\.)(?P<end>(?:[^.]+\.){{{count - 1}}}[^.]+)$"
        found.append(pc.struct_field(pc.extract_regex(names, pattern), "end"))
    return found


def _suffix_labels(ends: list[Any]) -> npt.NDArray[np.int64]:
    """Return how many labels the public suffix of each name has; 1 where no rule says."""
    rules = _rules()
    labels = np.ones(len(ends[0]), np.int64)
    for count, end in enumerate(ends, start=1):
        labels[_is_in(end, rules.plain)] = count
        if count > 1:
            labels[_is_in(ends[count - 2], rules.wildcard) & _given(end)] = count
    for count, end in enumerate(ends, start=1):
        labels[_is_in(end, rules.exception)] = count - 1
    return labels


def _is_in(values: Any, listed: Any) -> npt.NDArray[np.bool_]:  # noqa: ANN401 - Arrow
    found: npt.NDArray[np.bool_] = pc.is_in(values, value_set=listed).to_numpy(zero_copy_only=False)
    return found & _given(values)


def _given(values: Any) -> npt.NDArray[np.bool_]:  # noqa: ANN401 - Arrow
    found: npt.NDArray[np.bool_] = values.is_valid().to_numpy(zero_copy_only=False)
    return found
