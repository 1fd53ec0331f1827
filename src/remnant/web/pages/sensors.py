"""The sensors: how much of the time each looked, what it lost, and whether it delivers now."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, HTTPException, Query
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from remnant.errors import NoData
from remnant.web.access.audit import Action, audit
from remnant.web.access.gate import admits
from remnant.web.access.viewer import ANALYSTS
from remnant.web.page import page
from remnant.web.pages.about import About, about
from remnant.web.paging import MOST_CURSOR, read_cursor, write_cursor
from remnant.web.problem import RESPONSES
from remnant.web.site import AskedBy
from remnant.web.strips import Cell, coverage_strip
from remnant.web.writing import writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.estimate.sensor_hours import SensorHours
    from remnant.report.facts import Sensor
    from remnant.store import View
    from remnant.store.records import SourceRecord
    from remnant.web.site import Asked

__all__ = ["router"]

router = APIRouter(tags=["sensors"])

_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LIVE: Final = timedelta(minutes=5)
"""What the live rate is measured over, and how long ago the last message of a live sensor is."""

_MOST_GAPS: Final = 12
_STEPS: Final = (1, 24, 168)
_MOST_CELLS: Final = 400


class SensorsQuery(BaseModel):
    """Which part of the sources."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(25, ge=1, le=500, description="Sources of a page.")
    after: str | None = Field(None, max_length=MOST_CURSOR, description="Cursor of a page.")


class Gap(BaseModel):
    """A span in which a sensor was expected and delivered nothing (UTC, end exclusive)."""

    since: datetime
    until: datetime
    hours: int


class Rate(BaseModel):
    """What a sensor delivers now.

    ``messages_per_s`` is the mean of the hour so far (``messages_over_s`` seconds), and
    ``matched_per_s`` that of the last ``matched_over_s`` seconds before the page was made.
    """

    messages_per_s: float
    messages_over_s: float
    matched_per_s: float
    matched_over_s: float


class RunningNow(BaseModel):
    """A sinkhole of this home that runs now, as it counts, before its events are in the store.

    ``events`` are those of all cases that it serves (``cases_served`` of them) since ``since``;
    ``committed`` of them are in the store. ``per_s`` is the mean of the last ``over_s`` seconds
    before ``written`` (UTC), null in its first second; ``last_event`` is known to a second.
    ``dropped`` messages the system dropped before they were read, ``unkept`` rows were lost because
    the disk was too slow, ``lost`` rows could not be written; all since ``since``.
    """

    sensor: str
    cases_served: int
    since: datetime
    written: datetime
    events: int
    committed: int
    last_event: datetime | None
    last_event_age_s: float | None
    per_s: float | None
    over_s: float
    dropped: int
    unkept: int
    lost: int


class SensorRow(BaseModel):
    """One sensor at one vantage.

    ``first``, ``last``, ``hours``, ``messages`` and ``retired`` are what ``remnant sensor list``
    says. ``expected`` counts the hours from its first one until it was retired or the data end,
    ``covered`` those of them in which it delivered; both are null where its sources hold hits only.
    """

    sensor: str
    vantage: str
    first: datetime
    last: datetime
    last_message: datetime | None
    hours: int
    expected: int | None
    covered: int | None
    coverage: float | None
    messages: int
    matched: int
    malformed: int
    skipped: int
    lost: int
    clock_faults: int
    retired: datetime | None
    rate: Rate | None
    gaps: list[Gap]
    gaps_total: int
    gap_hours: int
    strip: str = Field(exclude=True)


class SourceRow(BaseModel):
    """One source that was read; times are UTC."""

    path: str
    format: str
    sensor: str | None
    vantage: str
    bytes: int
    messages: int
    matched: int
    malformed: int
    first: datetime | None
    last: datetime | None
    read_at: datetime
    complete: bool
    simulated: bool


class Sensors(BaseModel):
    """The sensors of a case, and what was read.

    ``running`` are the sinkholes of this home that run now; the rates of ``sensors`` are those of
    what is committed.
    """

    about: About
    window: list[datetime] | None
    step_hours: int | None
    running: list[RunningNow] = []
    sensors: list[SensorRow]
    quarantine: list[tuple[str, int]]
    sources_total: int
    sources: list[SourceRow]
    after: str | None
    watchlist: dict[str, Any] | None
    now: datetime
    may_retire: bool


@page(
    router,
    "/cases/{case}/sensors",
    title="Sensors",
    roles=ANALYSTS,
    table="sensors",
    kept=False,  # a sinkhole counts while nothing is committed
    live=True,
)
def sensors(asked: AskedBy, case: str, query: Annotated[SensorsQuery, Query()]) -> Sensors:
    """Coverage, loss, clock faults and live rate of every sensor; the sources that were read."""
    key = ("sensors", asked.scope_of_view, asked.path_and_query)
    found: Sensors = asked.site.answers.models.get(
        key, asked.state, lambda: _committed(asked, case, query)
    )
    return found.model_copy(update={"running": _running(asked, case)})


def _running(asked: Asked, case: str) -> list[RunningNow]:
    from remnant.sinkhole.published import running

    now = datetime.now(tz=UTC)
    return [
        RunningNow(
            sensor=one.sensor,
            cases_served=len(one.cases),
            since=one.since,
            written=one.written,
            events=one.events,
            committed=one.committed,
            last_event=one.last_event,
            last_event_age_s=None
            if one.last_event is None
            else max(0.0, round((now - one.last_event).total_seconds(), 1)),
            per_s=one.per_s,
            over_s=one.over_s,
            **one.lost,
        )
        for one in running(asked.site.settings.home, case, now)
    ]


def _committed(asked: Asked, case: str, query: SensorsQuery) -> Sensors:
    """Return what the store says of them."""
    from remnant.estimate.coverage import default_window
    from remnant.estimate.sensor_hours import sensor_hours
    from remnant.report.intake import intake
    from remnant.store import Store

    head = about(asked, case)
    now = datetime.now(tz=UTC)
    with Store.open(asked.site.settings) as store:
        listed = store.sensors(case)
    with asked.site.snapshots.view(case) as view:
        sources = view.sources
        told = intake(view, [])
        hours: list[SensorHours] = []
        window = None
        with contextlib.suppress(NoData):
            window = default_window(view)
            hours = sensor_hours(view)
        rates = _rates(view, now)
    step = _step(window)
    known = {(row.sensor, row.vantage): row for row in told.sensors}
    by_key = {(row.sensor, row.vantage): row for row in hours}
    rows = [
        _row(
            number,
            row,
            known.get((row["sensor"] or "default", row["vantage"])),
            by_key.get((row["sensor"] or "", row["vantage"])),
            rates.get((row["sensor"] or "", row["vantage"])),
            window,
            step,
        )
        for number, row in enumerate(listed)
    ]
    part, after = _part(sources, query)
    result = asked.site.results.get(case, "names", internal=True).value
    return Sensors(
        about=head,
        window=None if window is None else [window.since, window.until],
        step_hours=step,
        sensors=rows,
        quarantine=list(told.quarantine),
        sources_total=len(sources),
        sources=part,
        after=after,
        watchlist=None if result is None else result["watchlist"],
        now=now,
        may_retire=asked.viewer.role in ANALYSTS,
    )


@router.post(
    "/cases/{case}/sensors/retire",
    status_code=303,
    response_class=RedirectResponse,
    summary="Retire a sensor, or expect it again",
    responses=RESPONSES,
)
@admits(ANALYSTS, records=(Action.SENSOR_RETIRED, Action.SENSOR_EXPECTED))
def retire(
    asked: AskedBy,
    case: str,
    sensor: Annotated[str, Form(max_length=255)],
    at: Annotated[str, Form(max_length=40, description="A date or a time with a zone.")] = "",
    undo: Annotated[bool, Form(description="Expect it again.")] = False,
) -> RedirectResponse:
    """Say that a sensor was switched off on purpose, so that its silence is not a gap.

    It holds for every case that the sensor delivered to.
    """
    from remnant.windows import iso, parse_time

    asked.case(case)
    time = None if undo else parse_time(at.strip())
    with writing(asked.site.settings) as store:
        names = {str(row["sensor"]) for row in store.sensors(case)}
        if sensor not in names:
            raise NoData("no sensor of this name delivered to this case", got=sensor)
        if undo and sensor not in store.view(case).retired:
            raise HTTPException(409, "this sensor is not retired")
        # Before it is done: on a guarded site what cannot be recorded is not done.
        if time is None:
            audit(asked.request, Action.SENSOR_EXPECTED, f"{case} {sensor}")
        else:
            audit(asked.request, Action.SENSOR_RETIRED, f"{case} {sensor} at {iso(time)}")
        store.retire_sensor(sensor, time)
    return RedirectResponse(f"/cases/{case}/sensors", 303)


def _row(
    number: int,
    listed: dict[str, Any],
    known: Sensor | None,
    hours: SensorHours | None,
    rate: Rate | None,
    window: Any,
    step: int | None,
) -> SensorRow:
    gaps = [] if hours is None else hours.gaps()
    spans = [Gap(since=since, until=until, hours=(until - since) // _HOUR) for since, until in gaps]
    counted: dict[str, Any] = {
        name: 0 if known is None else int(getattr(known, name))
        for name in ("matched", "malformed", "skipped", "lost", "clock_faults")
    }
    expected = None if hours is None else hours.expected
    covered = None if hours is None else len(hours.hours)
    strip = ""
    if hours is not None and window is not None and step is not None:
        told = f"{covered} of {expected} hours covered; {len(spans)} gaps"
        strip = str(coverage_strip(_cells(hours, window, step), told, number))
    return SensorRow(
        **listed,
        **counted,
        last_message=None if known is None else known.last,
        expected=expected,
        covered=covered,
        coverage=covered / expected if covered is not None and expected else None,
        rate=rate,
        gaps=sorted(spans, key=lambda gap: gap.since, reverse=True)[:_MOST_GAPS],
        gaps_total=len(spans),
        gap_hours=sum(gap.hours for gap in spans),
        strip=strip,
    )


def _step(window: Any) -> int | None:
    """Return the hours of one cell of a strip."""
    if window is None:
        return None
    hours = window.seconds / 3600
    return next((step for step in _STEPS if hours / step <= _MOST_CELLS), _STEPS[-1])


def _cells(hours: SensorHours, window: Any, step: int) -> list[Cell]:
    start, stop = ((time - _EPOCH) // _HOUR for time in (window.since, window.until))
    start -= start % min(step, 24)
    # Decades would be thousands of weeks: wider steps then, so that each can be seen.
    step = max(step, -(-(stop - start) // (2 * _MOST_CELLS)))
    return [
        Cell(_EPOCH + _HOUR * at, *hours.between(at, at + step)) for at in range(start, stop, step)
    ]


def _rates(view: View, now: datetime) -> dict[tuple[str, str], Rate]:
    """Return what each sensor delivers that delivered a message within the last minutes."""
    import ibis

    from remnant import schema
    from remnant.windows import floor

    def at(time: datetime) -> Any:
        return ibis.literal(time, type="timestamp('UTC', 6)")

    begun = now - _LIVE
    hour = floor(now, "hour")
    if now - hour < _LIVE:  # too short to say anything: with the hour before
        hour -= _HOUR
    table = view.table(schema.COVERAGE)
    recent = table.filter(table.hour >= at(hour))
    found = recent.group_by("sensor", "vantage").aggregate(
        messages=recent.messages.sum(), last=recent.last_time.max()
    )
    live = {
        (row["sensor"] or "", row["vantage"]): row["messages"]
        for row in found.to_pyarrow().to_pylist()
        if row["last"] is not None and row["last"].astimezone(UTC) >= begun
    }
    if not live:
        return {}
    seen = view.table(schema.SIGHTINGS)
    seen = seen.filter(seen.time >= at(begun), seen.time < at(now))
    grouped = seen.group_by("sensor", "vantage").aggregate(matched=seen.weight.sum())
    matched = {
        (row["sensor"] or "", row["vantage"]): row["matched"]
        for row in grouped.to_pyarrow().to_pylist()
    }
    over = (now - hour).total_seconds()
    return {
        key: Rate(
            messages_per_s=messages / over,
            messages_over_s=over,
            matched_per_s=matched.get(key, 0) / _LIVE.total_seconds(),
            matched_over_s=_LIVE.total_seconds(),
        )
        for key, messages in live.items()
    }


def _part(
    sources: Sequence[SourceRecord], query: SensorsQuery
) -> tuple[list[SourceRow], str | None]:
    """Return a page of the sources, those read last first, and the cursor of the next one."""

    def key(source: SourceRecord) -> tuple[int, str]:
        return -round(source.read_at.timestamp() * 1e6), source.id

    ordered = sorted(sources, key=key)
    if query.after is not None:
        time, id_ = read_cursor(query.after, [int, str])
        ordered = [source for source in ordered if key(source) > (time, id_)]
    part = ordered[: query.limit]
    more = len(ordered) > query.limit
    rows = [
        SourceRow(**{name: getattr(source, name) for name in SourceRow.model_fields})
        for source in part
    ]
    return rows, write_cursor(key(part[-1])) if more else None
