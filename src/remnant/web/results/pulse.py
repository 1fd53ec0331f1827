"""The small trend and the present level of a case, from the roll-ups: quick, whatever the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from remnant.cases.library import Library
from remnant.web.results.sharing import opened
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.settings import Settings

__all__ = ["pulse", "steps"]

_STEPS: Final = 60


def pulse(settings: Settings, case: str, *, internal: bool) -> dict[str, Any]:
    """Return what a list of cases shows of one, beside its verdict.

    Returns:
        ``trend``: mean distinct clients a day in equal steps of the window (null in a gap);
        ``level``: clients online at a time with its interval, or null; ``as_of``, ``since``,
        ``vantage``, ``unit``, ``simulated``, ``coverage`` of the window's days.
    """
    from remnant.estimate import coverage, online, traffic
    from remnant.web.results.overview import overview

    if not internal:
        return of_overview(overview(settings, case, internal=False))
    Library(settings.home).get(case)
    with opened(settings, case) as (_, view):
        vantage = coverage.choose_vantage(view, None)
        window = coverage.default_window(view)
        days: list[dict[str, Any]] = traffic.by_time(view, "day", window, vantage)
        made = online.series(view, window, vantage)
        found = online.headline(made, level=settings.estimate.level)
        full = [
            row["clients"] if (row["coverage"] or 0) >= coverage.COMPLETE else None for row in days
        ]
        return {
            "trend": steps(full),
            "level": found
            and {
                "value": found.value,
                "low": found.low,
                "high": found.high,
                "level": settings.estimate.level,
                "n": found.n,
                "since": iso(found.since),
                "until": iso(found.until),
            },
            "since": iso(window.since),
            "as_of": iso(window.until),
            "vantage": vantage,
            "unit": made.unit,
            "simulated": view.simulated,
            "days": len(days),
            "gap_days": sum(value is None for value in full),
        }


def of_overview(told: dict[str, Any]) -> dict[str, Any]:
    """Return the same from a published overview."""
    level = next(
        (
            row
            for row in told["measures"]
            if row["quantity"] == "online_hosts" and row["vantage"] in {None, told["vantage"]}
        ),
        None,
    )
    least = told["minimum_count"]
    # A hidden day is drawn at the smallest published count, as the report draws it.
    counts = [
        None if day["gap"] else least if isinstance(day["clients"], str) else day["clients"]
        for day in told["days"]
    ]
    return {
        "trend": steps(counts),
        "level": None
        if level is None or level["value"] is None
        else {key: level[key] for key in ("value", "low", "high", "level", "n", "since", "until")},
        "since": told["since"],
        "as_of": told["as_of"],
        "vantage": told["vantage"],
        "unit": told["unit"],
        "simulated": told["simulated"],
        "days": len(told["days"]),
        "gap_days": told["intake"]["gap_days"],
    }


def steps(days: Sequence[int | None]) -> list[float | None]:
    """Return means over equal steps of the days, null where no day of a step was covered.

    >>> steps([2, 4, None])
    [2.0, 4.0, None]
    """
    count = min(_STEPS, len(days))
    out: list[float | None] = []
    for number in range(count):
        part = days[number * len(days) // count : (number + 1) * len(days) // count]
        known = [value for value in part if value is not None]
        out.append(round(sum(known) / len(known), 1) if known else None)
    return out
