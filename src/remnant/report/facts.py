"""What a report shows, as plain data: no figure, no HTML, no query hides behind these types.

All times are UTC and aware; every window is half-open. A ``Count`` is a number, null where nothing
was measured, or ``Hidden`` where it is not published.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remnant.report.suppress import Count, Hidden
    from remnant.windows import Window

__all__ = [
    "Bystanders",
    "Content",
    "Country",
    "Day",
    "Intake",
    "Mark",
    "Measure",
    "NameRow",
    "Network",
    "Pulse",
    "Sensor",
    "SideFacts",
    "SourceGroup",
    "TrendPoint",
    "TwoViews",
    "VerdictFacts",
    "ViewDay",
    "WatchlistAge",
]

FULL_COVERAGE = 0.95
"""A day below this share of its expected sensor-hours is a gap (never a zero)."""


@dataclass(frozen=True, slots=True)
class Day:
    """One UTC day of the window.

    Attributes:
        start: midnight UTC.
        queries: requests seen, weighted; null where no sensor delivered.
        clients: distinct clients of the day; null where no sensor delivered.
        online: mean over the day's hours of the distinct clients of the hour; null on a gap,
            hidden where it is under the smallest published count.
        coverage: sensor-hours with traffic / sensor-hours expected; null where none was expected.
        gap: the day counts as a gap in fits and figures.
    """

    start: datetime
    queries: Count
    clients: Count
    online: float | Hidden | None
    coverage: float | None
    gap: bool


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """The fitted curve at one time, with the limits of its interval (clients online)."""

    time: datetime
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Mark:
    """Something dated that is drawn on every curve: the takedown, or an event of the case."""

    time: datetime
    kind: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Measure:
    """One estimate as ``remnant measure`` prints it; a null bound is infinite.

    Where ``hidden`` says why a value is not published, value and limits are null.
    """

    quantity: str
    value: float | None
    low: float | None
    high: float | None
    level: float | None
    unit: str
    since: datetime | None
    until: datetime | None
    population: str
    method: str
    n: int | None
    coverage: float | None
    assumptions: tuple[str, ...] = ()
    hidden: Hidden | None = None
    vantage: str | None = None


@dataclass(frozen=True, slots=True)
class VerdictFacts:
    """The judgement as ``remnant judge`` prints it."""

    state: str
    sentence: str
    series: str
    rate_per_day: tuple[float | None, float | None, float | None]
    half_life_days: tuple[float | None, float | None, float | None]
    can_tell_by: str | None
    evidence: tuple[Mapping[str, Any] | str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pulse:
    """A small trend: mean distinct clients a day in equal steps of the window.

    Attributes:
        values: one mean per step; null where no day of the step was covered. Values under the
            smallest published count are raised to it, so that a curve gives nothing away.
        first: mean of the first seven covered days, null (or hidden) where there are fewer.
        last: mean of the last seven covered days, likewise.
        mean: mean of all covered days; null where there is none.
    """

    values: tuple[float | None, ...] = ()
    first: Count = None
    last: Count = None
    mean: Count = None


@dataclass(frozen=True, slots=True)
class Country:
    """One country; ``code`` is null where the reference data knows none."""

    code: str | None
    queries: Count
    clients: Count
    pulse: Pulse = field(default_factory=Pulse)


@dataclass(frozen=True, slots=True)
class Network:
    """One origin AS in one country; ``asn`` is null where the reference data knows none."""

    asn: int | None
    as_name: str | None
    country: str | None
    queries: Count
    clients: Count
    pulse: Pulse = field(default_factory=Pulse)


@dataclass(frozen=True, slots=True)
class NameRow:
    """One folded name with what the case says about it (nulls: the case no longer watches it)."""

    name: str
    queries: Count
    clients: Count
    state: str | None = None
    role: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sensor:
    """One sensor and vantage over everything read for the case."""

    sensor: str
    vantage: str
    hours: int
    first: datetime | None
    last: datetime | None
    messages: Count
    matched: Count
    malformed: int
    skipped: int
    lost: int
    clock_faults: int
    retired: datetime | None = None


@dataclass(frozen=True, slots=True)
class SourceGroup:
    """Sources of one format, sensor and vantage."""

    format: str
    sensor: str
    vantage: str
    sources: int
    bytes: int
    records: Count
    first: datetime | None
    last: datetime | None
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class Intake:
    """How complete the view was."""

    sensors: tuple[Sensor, ...] = ()
    sources: tuple[SourceGroup, ...] = ()
    quarantine: tuple[tuple[str, int], ...] = ()
    gap_days: int = 0
    covered_days: int = 0

    @property
    def source_count(self) -> int:
        """How many sources were read."""
        return sum(group.sources for group in self.sources)


@dataclass(frozen=True, slots=True)
class WatchlistAge:
    """How old the watchlist was when the sources were read.

    Attributes:
        entries: rules of the case now.
        older_sources: sources read with another watchlist than today's; null where unknown.
        added: indicators that a later version of the case added, oldest first, with when.
        added_total: how many there are (``added`` is cut).
    """

    entries: int = 0
    older_sources: int | None = None
    added: tuple[tuple[str, datetime], ...] = ()
    added_total: int = 0


@dataclass(frozen=True, slots=True)
class ViewDay:
    """Mean distinct clients an hour on one day at two vantages; null on a gap of either."""

    start: datetime
    left: float | Hidden | None
    right: float | Hidden | None


@dataclass(frozen=True, slots=True)
class SideFacts:
    """One of two vantages: what it counts, how many an hour, and which share of the networks."""

    vantage: str
    counts: str
    unit: str
    hourly: float | Hidden
    networks: int
    share: float | None


@dataclass(frozen=True, slots=True)
class TwoViews:
    """Two vantages on one scale.

    Attributes:
        scale: what the numbers count, in words.
        hours: hours that both covered.
        sides: the two.
        days: every day of the window.
        networks: networks that either saw.
        both: clients a day seen at both; null where they cannot be matched.
        reach: share of the first's clients that reached the second, with limits; null likewise.
        hosts: hosts a day, seen or not, with limits; null where that is not identifiable.
        refusal: why it is not, or why it has no upper limit.
    """

    scale: str
    hours: int
    sides: tuple[SideFacts, SideFacts]
    days: tuple[ViewDay, ...]
    networks: int
    both: float | Hidden | None = None
    reach: tuple[float, float | None, float | None] | Hidden | None = None
    hosts: tuple[float, float | None, float | None] | Hidden | None = None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Bystanders:
    """Clients that are no victims: in every count, in no estimate of hosts."""

    total: Count = 0
    kinds: tuple[tuple[str, Count], ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that one report shows."""

    case: str
    title: str
    takedown: datetime | None
    window: Window
    vantage: str
    unit: str
    simulated: bool
    internal: bool
    minimum_count: int
    generated: datetime
    as_of: datetime | None
    verdict: VerdictFacts
    measures: tuple[Measure, ...]
    days: tuple[Day, ...]
    trend: tuple[TrendPoint, ...] = ()
    marks: tuple[Mark, ...] = ()
    countries: tuple[Country, ...] = ()
    networks: tuple[Network, ...] = ()
    names: tuple[NameRow, ...] = ()
    countries_total: int = 0
    networks_total: int = 0
    names_total: int = 0
    intake: Intake = field(default_factory=Intake)
    watchlist: WatchlistAge = field(default_factory=WatchlistAge)
    vantages: tuple[str, ...] = ()
    reference_dates: tuple[str, ...] = ()
    level: float = 0.95
    slowest_half_life_days: float | None = None
    views: TwoViews | None = None
    bystanders: Bystanders | None = None
    version: str = ""
    digest: str = ""

    @property
    def gaps(self) -> list[tuple[datetime, datetime]]:
        """Runs of consecutive gap days as (first day, day after the last)."""
        runs: list[tuple[datetime, datetime]] = []
        for day in self.days:
            if not day.gap:
                continue
            end = day.start + timedelta(days=1)
            if runs and runs[-1][1] == day.start:
                runs[-1] = (runs[-1][0], end)
            else:
                runs.append((day.start, end))
        return runs
