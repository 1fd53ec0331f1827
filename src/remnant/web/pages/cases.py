"""All takedowns: what became of each, at a glance."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from remnant.judge.wording import short_title
from remnant.report.facts import Pulse
from remnant.report.wording import STATES
from remnant.store import Store
from remnant.web.access.viewer import EVERYONE
from remnant.web.page import page
from remnant.web.results.pulse import of_overview
from remnant.web.results.results import Result
from remnant.web.site import AskedBy
from remnant.windows import parse_time

if TYPE_CHECKING:
    from remnant.web.site import Asked

__all__ = ["router"]

router = APIRouter(tags=["cases"])

Order = Literal["name", "takedown", "level", "half_life", "state"]

_WORST_FIRST: Final = ("growing", "no_effective_cleanup", "cannot_tell", "working", "effective")


class Sort(BaseModel):
    """How the cases are sorted."""

    model_config = ConfigDict(extra="forbid")

    sort: Order = "name"


class Interval(BaseModel):
    """A value with the limits of its interval; a null limit is infinite."""

    value: float | None
    low: float | None
    high: float | None
    level: float | None = None


class CaseRow(BaseModel):
    """One takedown.

    ``level`` is clients online at a time (``unit``), a mean over the last seven complete days;
    ``half_life_days`` is what the verdict found; ``trend`` is mean distinct clients a day in equal
    steps from ``since`` to ``as_of``, null in gaps. ``working`` says that a part is being worked
    out and ``problem`` why one cannot be.
    """

    name: str
    title: str
    takedown: datetime | None
    days_since_takedown: int | None
    state: str | None
    sentence: str | None
    level: Interval | None
    half_life_days: Interval | None
    unit: str | None
    vantage: str | None
    since: datetime | None
    as_of: datetime | None
    gap_days: int | None
    simulated: bool
    trend: list[float | None] = Field(default_factory=list)
    working: bool = False
    problem: str | None = None


class CaseLine(BaseModel):
    """One takedown as a row of CSV."""

    name: str
    title: str
    takedown: str
    state: str | None
    sentence: str | None
    online: float | None
    online_low: float | None
    online_high: float | None
    half_life_days: float | None
    half_life_days_low: float | None
    half_life_days_high: float | None
    unit: str | None
    vantage: str | None
    as_of: str
    simulated: bool


class Cases(BaseModel):
    """All stored cases that have traffic, and those that have none yet."""

    cases: list[CaseRow]
    waiting: list[CaseRow]
    sort: Order
    now: datetime
    lines: list[CaseLine] = Field(exclude=True)
    drawn: dict[str, Any] = Field(exclude=True)
    states: dict[str, Any] = Field(exclude=True)


@page(router, "/cases", title="Cases", roles=EVERYONE, table="lines")
def cases(asked: AskedBy, query: Annotated[Sort, Query()]) -> Cases:
    """Every stored case with its verdict, present level and trend."""
    now = datetime.now(tz=UTC)
    stored = _with_traffic(asked)
    rows = [_row(asked, name, now, stored=name in stored) for name in asked.site.library.names()]
    with_data = [row for row in rows if row.name in stored]
    with_data.sort(key=lambda row: _place(row, query.sort))
    return Cases(
        cases=with_data,
        waiting=[row for row in rows if row.name not in stored],
        sort=query.sort,
        now=now,
        lines=[_line(row) for row in with_data],
        drawn={row.name: Pulse(values=tuple(row.trend)) for row in rows},
        states=STATES,
    )


def _with_traffic(asked: Asked) -> set[str]:
    """Return the cases of which anything was read."""
    with Store.open(asked.site.settings) as store:
        return set(store.ledger.cases())


def _row(asked: Asked, name: str, now: datetime, *, stored: bool) -> CaseRow:
    case = asked.case(name)
    judged, told = _known(asked, name) if stored else (Result(), Result())
    verdict: dict[str, Any] = judged.value or {}
    pulse: dict[str, Any] = told.value or {}
    half_life = verdict.get("half_life_days")
    return CaseRow(
        name=name,
        title=short_title(case.title, simulated=bool(pulse.get("simulated"))),
        takedown=case.takedown,
        days_since_takedown=(now - case.takedown).days,
        state=verdict.get("state"),
        sentence=verdict.get("sentence"),
        level=Interval(**_limits(pulse["level"])) if pulse.get("level") else None,
        half_life_days=Interval(**_limits(half_life)) if half_life else None,
        unit=pulse.get("unit"),
        vantage=pulse.get("vantage"),
        since=parse_time(pulse["since"]) if pulse else None,
        as_of=parse_time(pulse["as_of"]) if pulse else None,
        gap_days=pulse.get("gap_days"),
        simulated=bool(pulse.get("simulated")),
        trend=pulse.get("trend", []),
        working=judged.is_working or told.is_working,
        problem=told.problem or judged.problem,
    )


def _known(asked: Asked, name: str) -> tuple[Result, Result]:
    """Return the verdict and the trend that this viewer may see."""
    from dataclasses import replace

    results = asked.site.results
    if asked.viewer.is_internal:
        return (
            results.get(name, "verdict", internal=True),
            results.get(name, "pulse", internal=True),
        )
    # All that is published comes from one closure over the whole report.
    whole = results.get(name, "overview", internal=False)
    if whole.value is None:
        return whole, whole
    return (
        replace(whole, value=whole.value["verdict"]),
        replace(whole, value=of_overview(whole.value)),
    )


def _limits(found: dict[str, Any]) -> dict[str, Any]:
    return {key: found.get(key) for key in ("value", "low", "high", "level")}


def _place(row: CaseRow, sort: Order) -> tuple[Any, ...]:
    """Return what a row is sorted by: unknown last, then by name."""
    if sort == "takedown":
        return (row.takedown is None, -(row.takedown.timestamp() if row.takedown else 0), row.name)
    if sort == "level":
        value = row.level.value if row.level else None
        return (value is None, -(value or 0), row.name)
    if sort == "half_life":
        life = row.half_life_days.value if row.half_life_days else None
        # Slowest first; one that does not halve at all is slower than any.
        return (row.half_life_days is None, -(life if life is not None else 1e18), row.name)
    if sort == "state":
        known = row.state in _WORST_FIRST
        return (not known, _WORST_FIRST.index(str(row.state)) if known else 0, row.name)
    return (row.name,)


def _line(row: CaseRow) -> CaseLine:
    level = row.level or Interval(value=None, low=None, high=None)
    life = row.half_life_days or Interval(value=None, low=None, high=None)
    return CaseLine(
        name=row.name,
        title=row.title,
        takedown=row.takedown.isoformat() if row.takedown else "",
        state=row.state,
        sentence=row.sentence,
        online=level.value,
        online_low=level.low,
        online_high=level.high,
        half_life_days=life.value,
        half_life_days_low=life.low,
        half_life_days_high=life.high,
        unit=row.unit,
        vantage=row.vantage,
        as_of=row.as_of.isoformat() if row.as_of else "",
        simulated=row.simulated,
    )
