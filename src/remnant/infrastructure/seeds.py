"""The seeds of a map: the names and addresses that a case watches.

Names as written; of ``*.zone`` and of generated names only those that somebody saw.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.cases.rules import compile_rules
from remnant.infrastructure.joins import texts
from remnant.schema import SIGHTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.cases.model import Case
    from remnant.infrastructure.pivot import Pivots
    from remnant.store import View
    from remnant.watchlist import Rule
    from remnant.windows import Window

__all__ = ["Seeds", "names_seen", "seeds_of"]

_WIDEST: Final = 256
"""Addresses of the largest watched network that is asked for one by one."""

_FOREVER: Final = (-(1 << 62), 1 << 62)

# A dot between labels: one that no backslash escapes, which another may escape itself.
_DOT: Final = re.compile(r"(?<!\\)(?:\\\\)*\.")


@dataclass(frozen=True, slots=True)
class Seeds:
    """What a map starts from.

    Attributes:
        table: columns value, role and state (text), sorted by value, each value once.
        networks: watched networks that are too large to ask for one by one.
        left_out: generated names and names below a zone that were seen, and are too many.
    """

    table: pa.Table
    networks: tuple[str, ...]
    left_out: tuple[str, ...]


def seeds_of(
    case: Case,
    pivots: Pivots,
    *,
    most: int,
    seen: pa.Array[Any] | None = None,
    window: Window | None = None,
) -> Seeds:
    """Return the seeds of a case.

    Args:
        case: says what is watched.
        pivots: says what is below a zone, which generated names there were, and when.
        most: names below zones and generated names at most; those that come first by text.
        seen: names that the case's sightings hold: of them, too, those below a watched zone and
            generated ones are seeds.
        window: generated names of other times are left out.
    """
    since, until = (None, None) if window is None else (window.since, window.until)
    rules = compile_rules(case, since=since, until=until)
    generated = [rule for rule in rules if _is_generated(rule)]
    written = [rule for rule in rules if not _is_generated(rule)]
    found: dict[str, tuple[str, str]] = {}
    for rule in written:
        if rule.kind in {"exact", "below"}:
            found.setdefault(rule.text.removeprefix("*."), (rule.role, rule.state))
    addresses, networks = _addresses(written, pivots)
    found = {**addresses, **found}
    extra = _below(written, pivots, seen)
    for name, marks in _generated(generated, pivots, seen).items():
        extra.setdefault(name, marks)
    extra = {name: marks for name, marks in sorted(extra.items()) if name not in found}
    kept = list(extra)[:most]
    rows = sorted((found | {name: extra[name] for name in kept}).items())
    table = pa.table(
        {
            "value": pa.array([value for value, _ in rows], pa.string()),
            "role": pa.array([role for _, (role, _) in rows], pa.string()),
            "state": pa.array([state for _, (_, state) in rows], pa.string()),
        }
    )
    return Seeds(table, networks, tuple(list(extra)[most:]))


def names_seen(view: View, *, most: int, window: Window | None = None) -> pa.Array[Any]:
    """Return the names that a case's sightings hold, those asked for most first.

    Args:
        view: of the case.
        most: names at most; of equal ones the first by text.
        window: only sightings in it.
    """
    import ibis  # noqa: PLC0415 - the query engine

    table = view.table(SIGHTINGS)
    if window is not None:
        table = table.filter(
            table.time >= ibis.literal(window.since), table.time < ibis.literal(window.until)
        )
    names = table.group_by("name").agg(queries=table.weight.sum())
    first = names.order_by([ibis.desc("queries"), "name"]).limit(most).to_pyarrow()
    found: pa.Array[Any] = first["name"].combine_chunks()
    return found


def _is_generated(rule: Rule) -> bool:
    return rule.kind == "exact" and (rule.valid_from is not None or rule.role == "dga")


def _addresses(
    rules: Sequence[Rule], pivots: Pivots
) -> tuple[dict[str, tuple[str, str]], tuple[str, ...]]:
    """Return watched addresses (of small networks those that records hold), and large networks."""
    found: dict[str, tuple[str, str]] = {}
    wide: list[str] = []
    asked: dict[str, tuple[str, str]] = {}
    for rule in rules:
        if rule.kind != "address":
            continue
        network = ipaddress.ip_network(rule.text, strict=False)
        marks = (rule.role, rule.state)
        if network.num_addresses == 1:
            found.setdefault(str(network.network_address), marks)
        elif network.num_addresses <= _WIDEST:
            for address in network:
                asked.setdefault(str(address), marks)
        else:
            wide.append(rule.text)
    if asked:
        held = pivots.at(pa.array(list(asked), pa.string())).degrees["key"].unique()
        for address_text in texts(held):
            found.setdefault(address_text, asked[address_text])
    return found, tuple(wide)


def _below(
    rules: Sequence[Rule], pivots: Pivots, seen: pa.Array[Any] | None
) -> dict[str, tuple[str, str]]:
    """Return the names seen below watched zones; of two zones that hold a name the first counts."""
    zones: dict[str, tuple[str, str]] = {}
    for rule in rules:
        if rule.kind == "below":
            zones.setdefault(rule.text.removeprefix("*."), (rule.role, rule.state))
    if not zones:
        return {}
    records = pivots.below(pa.array(list(zones), pa.string())).records
    owners = records.group_by(["key", "rrname"]).aggregate([])
    marks = dict(zip(texts(owners["rrname"]), texts(owners["key"]), strict=True))
    found = {name: zones[zone] for name, zone in sorted(marks.items())}
    for name in [] if seen is None else texts(seen):
        zone = _zone_over(name, zones)
        if zone is not None:
            found.setdefault(name, zones[zone])
    return found


def _zone_over(name: str, zones: dict[str, tuple[str, str]]) -> str | None:
    """Return the closest of some zones that a name is, or lies below."""
    for at in (0, *(dot.end() for dot in _DOT.finditer(name))):
        if name[at:] in zones:
            return name[at:]
    return None


def _generated(
    rules: Sequence[Rule], pivots: Pivots, seen: pa.Array[Any] | None
) -> dict[str, tuple[str, str]]:
    """Return the generated names that were seen while they hold."""
    if not rules:
        return {}
    names = pa.array([rule.text for rule in rules], pa.string())
    records = pivots.owned(names).records
    spans = [(rule.valid_from, rule.valid_until) for rule in rules]
    begin = np.array([_FOREVER[0] if a is None else a for a, _ in spans], np.int64)
    end = np.array([_FOREVER[1] if b is None else b for _, b in spans], np.int64)
    # A name may be on the list of several days, each with its own rule.
    rows = pa.table({"name": names, "begin": pa.array(begin), "end": pa.array(end)})
    joined = records.select(["rrname", "time_first", "time_last"]).join(
        rows, "rrname", "name", join_type="inner"
    )
    first, last = (
        joined[column].cast(pa.int64()).to_numpy() for column in ("time_first", "time_last")
    )
    held = (last >= joined["begin"].to_numpy()) & (first < joined["end"].to_numpy())
    found = set(texts(joined["rrname"].filter(pa.array(held)).unique()))
    if seen is not None:
        # Sightings are matched with the dates of a rule already.
        hit: Any = pc.is_in(seen, value_set=names)
        found |= set(texts(seen.filter(hit)))
    return {rule.text: (rule.role, rule.state) for rule in reversed(rules) if rule.text in found}
