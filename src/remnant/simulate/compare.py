"""The hidden truth beside estimates: for tests of the estimators, and for nothing else.

No other part of Remnant reads ``truth/``; a person asks for it by name of the folder.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from remnant.errors import SimulationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from remnant.estimate import Estimate

    Rows = list[dict[str, Any]]
    Truth = Callable[[dict[str, Rows], Estimate], float]

__all__ = ["compare"]


def compare(folder: Path, estimates: Sequence[Estimate]) -> list[dict[str, object]]:
    """Return for each estimate its ``truth`` and whether the interval holds it (``inside``).

    Both are null where the simulation has no such truth, and ``inside`` where there is no interval.

    Args:
        folder: what ``remnant simulate -o`` made, or its ``truth`` folder.
        estimates: of the case that was ingested from that simulation.

    Raises:
        SimulationError: the folder holds no truth.
    """
    place = folder / "truth" if (folder / "truth").is_dir() else folder
    tables = {name: _read(place, name) for name in _TABLES}
    return [_told(tables, estimate) for estimate in estimates]


def _read(place: Path, name: str) -> Rows:
    import pyarrow.parquet as pq  # noqa: PLC0415 - heavy

    if name == "dga" and not (place / f"{name}.parquet").exists():
        # A botnet without a generator.
        return []
    try:
        rows: Rows = pq.read_table(place / f"{name}.parquet").to_pylist()
    except (OSError, ValueError) as error:
        raise SimulationError(
            "the truth of the simulation cannot be read",
            where=str(place),
            got=error,
            hint="name the folder that remnant simulate -o, or remnant demo --keep-traffic, made",
        ) from error
    return rows


def _told(tables: dict[str, Rows], estimate: Estimate) -> dict[str, object]:
    known = _TRUTHS.get(estimate.quantity)
    apart = estimate.asn is not None or estimate.country is not None
    truth = None if known is None or apart else known(tables, estimate)
    if truth is None or not math.isfinite(truth):
        return {"truth": None, "inside": None}
    if estimate.value is None or estimate.level is None:
        return {"truth": truth, "inside": None}
    low = -math.inf if estimate.low is None else estimate.low
    high = math.inf if estimate.high is None else estimate.high
    return {"truth": truth, "inside": low <= truth <= high}


def _column(rows: Rows, key: str, estimate: Estimate, column: str) -> list[float]:
    """Return a column of the rows in the estimate's window about the bots that its vantage sees."""
    behind = _BEHIND.get(estimate.vantage or "", "all")
    found = []
    for row in rows:
        at = row[key]
        time = at if isinstance(at, datetime) else datetime(at.year, at.month, at.day, tzinfo=UTC)
        if row.get("behind", behind) == behind and estimate.since <= time < estimate.until:
            found.append(float(row[column]))
    return found


def _mean(table: str, key: str, column: str) -> Truth:
    def truth(tables: dict[str, Rows], estimate: Estimate) -> float:
        found = _column(tables[table], key, estimate, column)
        return sum(found) / len(found) if found else math.nan

    return truth


def _rate(tables: dict[str, Rows], estimate: Estimate) -> float:
    """Return the fall per day of the bots online: a straight line through the days' logarithm."""
    hourly = np.array(_column(tables["activity"], "hour", estimate, "online_bots"))
    days = hourly[: hourly.size // 24 * 24].reshape(-1, 24).mean(axis=1)
    if days.size < 2 or not (days > 0).all():
        return math.nan
    return -float(np.polyfit(np.arange(days.size), np.log(days), 1)[0])


def _half_life(tables: dict[str, Rows], estimate: Estimate) -> float:
    rate = _rate(tables, estimate)
    return math.log(2) / rate if rate > 0 else math.nan


def _lookups(tables: dict[str, Rows], estimate: Estimate) -> float:
    """Return the lookups that reached all caches, a day."""
    days = {row["day"] for row in tables["caches"]}
    found = _column(tables["caches"], "day", estimate, "lookups")
    inside = {day for day in days if estimate.since.date() <= day < estimate.until.date()}
    return sum(found) / len(inside) if inside else math.nan


_TABLES: Final = ("activity", "activity_days", "caches", "dga")
_BEHIND: Final = {"resolver": "observed"}
"""Which bots a vantage sees, where not all."""
_TRUTHS: Final[dict[str, Truth]] = {
    "infected_online": _mean("activity", "hour", "beacon_bots"),
    "infected_population": _mean("activity_days", "day", "alive_bots"),
    "decay_rate": _rate,
    "half_life": _half_life,
    "lookups_behind_caches": _lookups,
    "hosts_behind_caches": _mean("activity_days", "day", "beacon_bots"),
    "dga_bots_whole": _mean("dga", "day", "bots"),
}
