"""One curve over time: its points, what they count, and how they read, draw and export.

The same curve is the drawing in a page, the rows of its JSON and CSV, and the figure that becomes
SVG and PNG. A gap has no value; it is never a zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from remnant.report.drawing import NARROW, WIDE
from remnant.report.facts import FULL_COVERAGE
from remnant.report.wording import (
    VANTAGE_WORDS,
    day,
    legible,
    mark_words,
    moment,
    number,
    percent,
    window_words,
)
from remnant.web.curves.drawing import Line, Looks, draw
from remnant.windows import STEPS, iso

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from markupsafe import Markup

    from remnant.report.facts import Mark
    from remnant.report.figures import Figure
    from remnant.windows import Step, Window

__all__ = ["Curve", "Point", "runs"]

_MOST_BEND: Final = 60


@dataclass(frozen=True, slots=True)
class Point:
    """One hour, day or week.

    Attributes:
        start: when it begins (UTC).
        value: the number; null in a gap; text where it is hidden from publication.
        coverage: sensor-hours with traffic / expected; null where none was expected.
        gap: it is not drawn.
        fit: the fitted trend there with the limits of its interval; null where none is.
        clients: distinct clients of the whole interval, beside a mean; null where not known.
    """

    start: datetime
    value: float | str | None
    coverage: float | None
    gap: bool
    fit: tuple[float, float, float] | None = None
    clients: int | str | None = None

    @property
    def drawn(self) -> float | None:
        """The number where it is shown on the curve."""
        return None if self.gap or self.value is None or isinstance(self.value, str) else self.value


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve.

    Attributes:
        key: short name, of the anchor and the files.
        title: what it shows.
        column: what the value is called in rows.
        counted: what is counted, in words.
        step: width of one point.
        window: the horizontal axis.
        vantage: where it was seen.
        as_of: end of the data (UTC).
        level: confidence level of the trend's interval.
        simulated: the traffic was made up.
        points: in order of time.
        marks: takedown and events.
        unit: of the value, one word for ``unit`` in rows.
    """

    key: str
    title: str
    column: str
    counted: str
    step: Step
    window: Window
    vantage: str
    as_of: datetime
    level: float
    simulated: bool
    points: tuple[Point, ...]
    marks: tuple[Mark, ...] = ()
    unit: str = ""

    @property
    def facts(self) -> str:
        """Unit, window, vantage and age of the data, in one line."""
        vantage = VANTAGE_WORDS.get(self.vantage, (legible(self.vantage, 40), ""))[0]
        parts = [
            self.counted,
            window_words(self.window),
            f"seen by: {vantage}",
            f"data as of {day(self.as_of - timedelta(microseconds=1))}",
        ]
        return " · ".join((["SIMULATED"] if self.simulated else []) + parts)

    @property
    def note(self) -> str:
        """What the numbers on the curve, the band and the shaded spans mean."""
        parts = [
            f"{n} {mark_words(mark, 80)} ({day(mark.time)})"
            for n, mark in enumerate(self.marks, 1)
            if mark.time in self.window
        ]
        if self.band:
            parts.append(f"heavy line and band: fitted trend, {percent(self.level)} interval")
        if self.gaps:
            parts.append(f"shaded: gaps, under {percent(FULL_COVERAGE, 0)} coverage")
        return " · ".join(parts)

    @property
    def has_fit(self) -> bool:
        """Whether a trend was fitted."""
        return any(point.fit is not None for point in self.points)

    @property
    def gaps(self) -> list[tuple[datetime, datetime]]:
        """Runs of intervals that are not drawn, as start and end."""
        width = STEPS[self.step]
        return runs([(point.start, point.start + width) for point in self.points if point.gap])

    @property
    def line(self) -> list[tuple[datetime, float | None]]:
        """The curve: middle of each interval, and its value."""
        half = STEPS[self.step] / 2
        return [(point.start + half, point.drawn) for point in self.points]

    @property
    def band(self) -> list[tuple[datetime, float, float, float]]:
        """The fitted trend: time, value, low, high; some sixty points draw it as well as all."""
        half = STEPS[self.step] / 2
        every = [(p.start + half, *p.fit) for p in self.points if p.fit is not None]
        step = max(1, len(every) // _MOST_BEND)
        return [*every[:-1:step], *every[-1:]]

    @property
    def label(self) -> str:
        """What one would say about it to somebody who cannot see it."""
        known = [(time, value) for time, value in self.line if value is not None]
        if not known:
            return f"{self.title}: nothing that could be measured."
        told = moment if self.step == "hour" else day
        (first, start), (last, end) = known[0], known[-1]
        high = max(known, key=lambda pair: pair[1])
        missing = len(self.points) - len(known)
        trend = " A heavy line shows the fitted trend, a band its interval." if self.has_fit else ""
        return (
            f"{self.title}: {number(start)} on {told(first)}, {number(end)} on {told(last)}, most "
            f"{number(high[1])} on {told(high[0])}. {missing} {self.step}s are not drawn.{trend}"
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of its rows."""
        fitted = ("trend", "low", "high", "clients") if self.column == "online" else ()
        return ("start", self.column, *fitted, "coverage", "gap")

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Its numbers as they may be published, one mapping for each interval."""
        out = []
        for point in self.points:
            row: dict[str, Any] = {"start": iso(point.start), self.column: point.value}
            if self.column == "online":
                trend, low, high = point.fit or (None, None, None)
                row |= {"trend": trend, "low": low, "high": high, "clients": point.clients}
            out.append(row | {"coverage": point.coverage, "gap": point.gap})
        return out

    def drawings(self, *, log: bool = False) -> tuple[Markup, Markup]:
        """Return the curve as SVG for a page: for wide windows, and for narrow ones."""
        looks = Looks(log=log, label=self.label, gaps=self.gaps, band=self.band, marks=self.marks)
        lines = [Line(self.line, width=1.3 if self.band else 1.9)]
        return (
            draw(lines, self.window, WIDE, looks, css_class="wide"),
            draw(lines, self.window, NARROW, looks, css_class="narrow"),
        )

    def figure(self, *, log: bool = False) -> Figure:
        """Return the curve as a figure of reports, which becomes SVG, PNG and Vega."""
        from remnant.report import charts
        from remnant.report.figures import Figure

        rows = self.rows
        return Figure(
            key=self.key,
            title=self.title,
            facts=self.facts,
            label=self.label,
            columns=self.columns,
            rows=tuple(tuple(row.values()) for row in rows),
            draw=lambda frame: charts.curve(
                self.line,
                self.window,
                frame,
                gaps=self.gaps,
                band=self.band,
                marks=self.marks,
                log=log,
            ),
            note=self.note,
        )


def runs(spans: Sequence[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Return consecutive spans joined."""
    out: list[tuple[datetime, datetime]] = []
    for since, until in spans:
        if out and out[-1][1] == since:
            out[-1] = (out[-1][0], until)
        else:
            out.append((since, until))
    return out
