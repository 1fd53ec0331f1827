"""The figures of a report. One function each; page, files and tests use the same ones.

A figure knows its title, what it counts, over which window, from which vantage and as of when, its
numbers (the table beside it and its CSV), and how to draw itself in a frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

from remnant.report import charts
from remnant.report.drawing import NARROW, PRINT, WIDE, inline_svg, specification
from remnant.report.facts import FULL_COVERAGE
from remnant.report.reality import Rung, rungs
from remnant.report.suppress import Hidden
from remnant.report.wording import (
    VANTAGE_WORDS,
    country_name,
    day,
    interval,
    legible,
    mark_words,
    network_name,
    number,
    percent,
    published,
    unit_word,
    window_words,
)
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from remnant.report.drawing import Frame, Sheet
    from remnant.report.facts import Content, TwoViews
    from remnant.report.suppress import Count

__all__ = ["Figure", "figures"]

_ROWS: Final = 15
_SINGULAR: Final = {"countries": "country", "networks": "network", "names": "name"}
_HALF: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        key: short name, used for anchors and file names.
        title: what it shows.
        facts: unit, step, window, vantage and age of the data, in one line.
        label: what one would say about it to somebody who cannot see it.
        columns: names of the columns of its numbers.
        rows: its numbers as published, one tuple a row.
        draw: the chart in a frame.
        height: pixels of height in a wide frame; ``None`` for the frame's own.
        note: what stands beside the facts when the figure stands alone.
    """

    key: str
    title: str
    facts: str
    label: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    draw: Callable[[Frame], Sheet]
    height: int | None = None
    note: str = ""

    def framed(self, frame: Frame) -> Frame:
        """Return the frame with the height that this figure needs."""
        return frame if self.height is None else frame.tall(self.height + 100 * frame.titled)

    def specification(self, frame: Frame = PRINT) -> dict[str, Any]:
        """Return the Vega-Lite specification; with title and facts where the frame has them."""
        frame = self.framed(frame)
        spec = specification(self.draw(frame), frame)
        if frame.titled:
            facts = f"{self.facts} · {self.note}" if self.note else self.facts
            spec["title"] = {"text": self.title, "subtitle": wrap(facts, frame.width // 7)}
        return spec

    def inline(self) -> tuple[str, str]:
        """Return the SVG elements for a page: one for wide windows, one for narrow ones."""
        return (
            inline_svg(self.specification(WIDE), self.label, "wide"),
            inline_svg(self.specification(NARROW), self.label, "narrow"),
        )


def figures(content: Content) -> list[Figure]:
    """Return the figures of a report, in reading order."""
    return [
        requests_by_day(content),
        online_by_day(content),
        how_many(content),
        coverage_by_day(content),
        by_country(content),
        by_network(content),
        by_name(content),
        *([] if content.views is None else [two_views(content, content.views)]),
    ]


def requests_by_day(content: Content) -> Figure:
    """Requests per UTC day."""
    points = [(row.start + _HALF, _drawn(row.queries, gap=row.gap)) for row in content.days]
    return Figure(
        key="requests",
        title="Requests for watched names per day",
        facts=_facts(content, "requests per UTC day"),
        label=_curve_label("Requests per day", points),
        columns=("day", "requests", "coverage", "gap"),
        rows=tuple(
            (_date(row.start), _cell(row.queries, content), row.coverage, row.gap)
            for row in content.days
        ),
        draw=lambda frame: charts.curve(
            points, content.window, frame, gaps=content.gaps, marks=content.marks
        ),
        note=_key(content),
    )


def online_by_day(content: Content) -> Figure:
    """Clients online at a time, per UTC day, with the fitted trend."""
    points = [(row.start + _HALF, _drawn(row.online, gap=row.gap)) for row in content.days]
    # The fitted curve is smooth: some sixty points draw it as well as a thousand.
    every = max(1, len(content.trend) // 60)
    bend = (*content.trend[:-1:every], *content.trend[-1:])
    band = [(point.time, point.value, point.low, point.high) for point in bend]
    fitted = {point.time.date(): point for point in content.trend}
    unit = f"{unit_word(content.unit)}, mean of the day's hourly counts"
    rows = []
    for row in content.days:
        point = fitted.get(row.start.date())
        trend = (point.value, point.low, point.high) if point else (None, None, None)
        rows.append(
            (
                _date(row.start),
                _cell(row.online, content),
                *trend,
                _cell(row.clients, content),
                row.coverage,
            )
        )
    return Figure(
        key="online",
        title="Clients online at a time",
        facts=_facts(content, unit),
        label=_curve_label("Clients online at a time", points)
        + (" A heavy line shows the fitted trend, a band its interval." if band else ""),
        columns=("day", "online", "trend", "low", "high", "distinct clients", "coverage"),
        rows=tuple(rows),
        draw=lambda frame: charts.curve(
            points, content.window, frame, gaps=content.gaps, band=band, marks=content.marks
        ),
        note=_key(content),
    )


def how_many(content: Content) -> Figure:
    """Addresses that were seen and machines that are concluded, on one scale."""
    found = rungs(content)
    drawn = []
    for rung in found:
        measure = rung.measure
        if measure.hidden is not None:
            words = published(measure.hidden, content.minimum_count)
        else:
            words = _size(rung)
        drawn.append((rung.label, measure.value, (measure.low, measure.high), words, rung.counted))
    return Figure(
        key="how_many",
        title="How many, really",
        facts=_facts(
            content,
            "bars: addresses counted; dots: machines concluded, with interval; triangles: at least "
            "so many, with the lower limit",
        ),
        label="How many, really. "
        + ", ".join(f"{label} {words}" for label, _, _, words, _ in drawn)
        + ".",
        columns=("size", "value", "low", "high", "counted"),
        rows=tuple(
            (
                rung.label,
                words if rung.measure.hidden is not None else value,
                *((None, None) if rung.counted else limits),
                rung.counted,
            )
            for rung, (_, value, limits, words, _) in zip(found, drawn, strict=True)
        ),
        draw=lambda frame: charts.ladder(drawn, frame),
        height=30 * max(len(drawn), 1) + 16,
    )


def _size(rung: Rung) -> str:
    """Return the value and limits of a size as they stand beside it."""
    measure = rung.measure
    words = number(measure.value)
    if rung.counted or (measure.low is None and measure.high is None):
        return words
    if measure.high is None:
        # The value of a bound is itself a least one: two of "at least" in a line confuse.
        return f"≥ {words} (≥ {number(measure.low)})"
    return f"{words} ({interval(measure.low, measure.high)})"


def coverage_by_day(content: Content) -> Figure:
    """Share of the expected sensor-hours in which traffic came, per UTC day."""
    runs: list[tuple[datetime, datetime, float | None]] = []
    for row in content.days:
        end = row.start + timedelta(days=1)
        if runs and runs[-1][2] == row.coverage and runs[-1][1] == row.start:
            runs[-1] = (runs[-1][0], end, row.coverage)
        else:
            runs.append((row.start, end, row.coverage))
    known = [row.coverage for row in content.days if row.coverage is not None]
    low = sum(value < FULL_COVERAGE for value in known)
    return Figure(
        key="coverage",
        title="How much of the view was there",
        facts=_facts(content, "share of the expected sensor-hours with traffic, per UTC day"),
        label=(
            f"Coverage per day: {low} of {len(known)} days are under {percent(FULL_COVERAGE, 0)}."
        ),
        columns=("day", "coverage", "gap"),
        rows=tuple((_date(row.start), row.coverage, row.gap) for row in content.days),
        draw=lambda frame: charts.coverage_bars(
            [(max(a, content.window.since), min(b, content.window.until), c) for a, b, c in runs],
            content.window,
            frame,
            full=FULL_COVERAGE,
        ),
        height=84,
    )


def two_views(content: Content, views: TwoViews) -> Figure:
    """Distinct clients an hour at two vantages, per UTC day, on one axis."""
    names = [VANTAGE_WORDS.get(side.vantage, (side.vantage, ""))[0] for side in views.sides]
    lines = (
        [(row.start + _HALF, _number(row.left)) for row in views.days],
        [(row.start + _HALF, _number(row.right)) for row in views.days],
    )
    gaps: list[tuple[datetime, datetime]] = []
    for row in views.days:
        end = row.start + timedelta(days=1)
        if row.left is not None and row.right is not None:
            continue
        if gaps and gaps[-1][1] == row.start:
            gaps[-1] = (gaps[-1][0], end)
        else:
            gaps.append((row.start, end))
    parts = [views.scale, window_words(content.window), f"seen by: {' and by: '.join(names)}"]
    if content.simulated:
        parts.insert(0, "SIMULATED")
    return Figure(
        key="views",
        title="Two views of the same botnet",
        facts=" · ".join(parts),
        label=" ".join(
            _curve_label(f"{name}, clients an hour", line)
            for name, line in zip(names, lines, strict=True)
        ),
        columns=("day", *(side.vantage for side in views.sides)),
        rows=tuple(
            (_date(row.start), _cell(row.left, content), _cell(row.right, content))
            for row in views.days
        ),
        draw=lambda frame: charts.curves(lines, content.window, frame, gaps=gaps),
        note=f"line: {names[0]} · dashed: {names[1]} · shaded: not covered by both",
    )


def by_country(content: Content) -> Figure:
    """Distinct clients per country over the window."""
    return _bars(
        content,
        "countries",
        "Where the clients are: countries",
        [
            (country_name(row.code), row.pulse.mean, row.clients, row.queries)
            for row in content.countries
        ],
        content.countries_total,
    )


def by_network(content: Content) -> Figure:
    """Distinct clients per origin AS and country over the window."""
    return _bars(
        content,
        "networks",
        "Where the clients are: networks",
        [
            (
                network_name(row.asn, row.as_name)
                + (f" ({country_name(row.country)})" if row.country else ""),
                row.pulse.mean,
                row.clients,
                row.queries,
            )
            for row in content.networks
        ],
        content.networks_total,
    )


def by_name(content: Content) -> Figure:
    """Distinct clients per watched name over the window."""
    return _bars(
        content,
        "names",
        "Which names are asked for",
        [(legible(row.name), row.clients, row.clients, row.queries) for row in content.names],
        content.names_total,
    )


def _bars(
    content: Content, key: str, title: str, rows: list[tuple[str, Count, Count, Count]], total: int
) -> Figure:
    top = rows[:_ROWS]
    drawn = [
        (label, _number(size), published(size, content.minimum_count)) for label, size, _, _ in top
    ]
    places = key != "names"
    count = f"{len(top)} of {max(total, len(rows))} shown" if rows else "none seen"
    leaders = ", ".join(f"{label} {words}" for label, _, words in drawn[:3])
    return Figure(
        key=key,
        title=title,
        facts=_facts(
            content, f"distinct {unit_word(content.unit)}" + (", mean of the days" * places)
        ),
        label=f"{title}. {f'Largest: {leaders}.' if leaders else 'None seen.'}",
        columns=(_SINGULAR[key], *(("clients a day",) * places), "clients", "requests"),
        rows=tuple(
            (label, *(_cell(count, content) for count in counts[0 if places else 1 :]))
            for label, *counts in rows
        ),
        draw=lambda frame: charts.bars(drawn, frame),
        height=24 * max(len(top), 1) + 16,
        note=count,
    )


def _facts(content: Content, unit: str) -> str:
    vantage = VANTAGE_WORDS.get(content.vantage, (legible(content.vantage, 40), ""))[0]
    parts = [unit, window_words(content.window), f"seen by: {vantage}"]
    if content.as_of is not None:
        parts.append(f"data as of {day(content.as_of - timedelta(microseconds=1))}")
    if content.simulated:
        parts.insert(0, "SIMULATED")
    return " · ".join(parts)


def _key(content: Content) -> str:
    """Return what the numbers on the curves and the shaded days mean."""
    parts = [
        f"{n} {day(mark.time)} {mark_words(mark, 60)}"
        for n, mark in enumerate(content.marks, 1)
        if mark.time in content.window
    ]
    if content.gaps:
        parts.append(f"shaded: gaps, under {percent(FULL_COVERAGE, 0)} coverage")
    return " · ".join(parts)


def _curve_label(what: str, points: list[tuple[datetime, float | None]]) -> str:
    known = [(time, value) for time, value in points if value is not None]
    if not known:
        return f"{what}: no day that could be measured."
    (first, start), (last, end) = known[0], known[-1]
    high = max(known, key=lambda pair: pair[1])
    return (
        f"{what}: {number(start)} on {day(first)}, {number(end)} on {day(last)}, most "
        f"{number(high[1])} on {day(high[0])}. {len(points) - len(known)} days are not drawn."
    )


def _drawn(count: Count | float, *, gap: bool) -> float | None:
    return None if gap else _number(count)


def _number(count: Count | float | None) -> float | None:
    return None if count is None or isinstance(count, Hidden) else float(count)


def _cell(count: Count | float | None, content: Content) -> str | float | None:
    return published(count, content.minimum_count) if isinstance(count, Hidden) else count


def _date(time: datetime) -> str:
    return iso(time)[:10]
