"""How complete the view was, and how old the watchlist: what a reader must know before the numbers.

Everything here is grouped by the query engine or taken from the ledger's few rows; no sighting
is read.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from remnant import schema
from remnant.report.facts import Intake, Sensor, SourceGroup, WatchlistAge
from remnant.report.suppress import shown
from remnant.watchlist import digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.cases.model import Case
    from remnant.report.facts import Day
    from remnant.settings import Settings
    from remnant.store import View
    from remnant.watchlist import Rule

__all__ = ["intake", "reference_dates", "watchlist_age"]

_SUMS: Final = ("messages", "matched", "malformed", "skipped", "lost", "clock_faults")
_ROWS: Final = 40


def intake(view: View, days: Sequence[Day]) -> Intake:
    """Return sensors, sources, reasons of malformed records, and how many days are gaps."""
    gaps = sum(day.gap for day in days)
    return Intake(
        sensors=_sensors(view),
        sources=_sources(view),
        quarantine=_quarantine(view),
        gap_days=gaps,
        covered_days=len(days) - gaps,
    )


def watchlist_age(
    view: View, case: Case, rules: Sequence[Rule], settings: Settings
) -> tuple[WatchlistAge, tuple[tuple[str, datetime], ...]]:
    """Return how old the watchlists of the sources are, and all that was added to the case."""
    from remnant.judge.watched import watched  # noqa: PLC0415 - rooms load when used

    found = watched(view, case, settings, digest=digest_of(rules, case.name))
    age = WatchlistAge(
        entries=len(rules),
        older_sources=found.older,
        added=found.added[:_ROWS],
        added_total=len(found.added),
    )
    return age, found.added


def reference_dates(view: View) -> tuple[str, ...]:
    """Return the dates of the reference data that named the networks, newest first."""
    found = view.table(schema.CLIENTS).select("as_of").distinct().to_pyarrow()
    dates = sorted((date for date in found["as_of"].to_pylist() if date), reverse=True)
    return tuple(dates[:_ROWS])


def _sensors(view: View) -> tuple[Sensor, ...]:
    table = view.table(schema.COVERAGE)
    stated = table.basis.fill_null("traffic") == "stated"
    grouped = table.group_by("sensor", "vantage").aggregate(
        hours=table.hour.nunique(where=stated | (table.messages > 0)),
        first=table.first_time.min(),
        last=table.last_time.max(),
        **{name: table[name].sum() for name in _SUMS},
    )
    rows = [
        Sensor(
            sensor=row["sensor"] or "default",
            vantage=row["vantage"],
            hours=row["hours"] or 0,
            first=_utc(row["first"]),
            last=_utc(row["last"]),
            retired=view.retired.get(row["sensor"] or ""),
            **{name: row[name] or 0 for name in _SUMS},
        )
        for row in grouped.to_pyarrow().to_pylist()
    ]
    order = {name: place for place, name in enumerate(schema.VANTAGES)}
    return tuple(sorted(rows, key=lambda row: (order.get(row.vantage, 99), row.sensor)))


def _sources(view: View) -> tuple[SourceGroup, ...]:
    """Return sources grouped by format, sensor and vantage; file names are not published."""
    groups: dict[tuple[str, str, str], SourceGroup] = {}
    for source in view.sources:
        key = (source.format, source.sensor or "as the source says", source.vantage)
        known = groups.get(key) or SourceGroup(*key, 0, 0, 0, None, None, None)
        groups[key] = replace(
            known,
            sources=known.sources + 1,
            bytes=known.bytes + source.bytes,
            records=(shown(known.records) or 0) + source.records,
            first=min(filter(None, (known.first, source.first)), default=None),
            last=max(filter(None, (known.last, source.last)), default=None),
            read_at=max(filter(None, (known.read_at, source.read_at)), default=None),
        )
    return tuple(groups[key] for key in sorted(groups))


def _quarantine(view: View) -> tuple[tuple[str, int], ...]:
    table = view.table(schema.QUARANTINE)
    rows = table.group_by("reason").aggregate(n=table.count()).to_pyarrow().to_pylist()
    rows.sort(key=lambda row: (-row["n"], str(row["reason"])))
    return tuple((str(row["reason"]), row["n"]) for row in rows[:12])


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)
