"""The kinds of chart that the figures are made of, as Altair layers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import altair as alt

from remnant.report.palette import LIGHT
from remnant.report.wording import legible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remnant.report.drawing import Frame
    from remnant.report.facts import Mark
    from remnant.windows import Window

__all__ = ["Label", "bars", "coverage_bars", "curve", "labels", "ticks"]

_DAY: Final = timedelta(days=1)
_LANE: Final = 16  # pixels between two rows of labels
_LANES: Final = 4
_EM: Final = 6.6  # mean width of a letter of the labels, pixels
_GUTTER: Final = 60  # what the vertical axis takes from the width, pixels

_COUNT_TICKS: Final = (
    "abs(datum.value) < 1000 ? format(datum.value, '~g') : "
    "replace(format(datum.value, '~s'), 'G', ' bn')"
)


@dataclass(frozen=True, slots=True)
class Label:
    """A dated label on a curve: ``lane`` is its row from the top, ``left`` its side."""

    time: datetime
    text: str
    lane: int
    left: bool


def curve(
    points: Sequence[tuple[datetime, float | None]],
    window: Window,
    frame: Frame,
    *,
    gaps: Iterable[tuple[datetime, datetime]] = (),
    band: Sequence[tuple[datetime, float, float, float]] = (),
    marks: Sequence[Mark] = (),
) -> alt.LayerChart:
    """Return a curve over time from zero, broken at nulls, gaps shaded, dated marks labelled.

    Args:
        points: time and value; a null ends the line, the next value begins another.
        window: the horizontal axis.
        frame: the paper; it decides how many labels there is room for.
        gaps: shaded spans.
        band: time, value, low, high of a fitted curve.
        marks: vertical rules, numbered in this order.
    """
    placed = labels(marks, window, frame)
    lanes = 1 + max((label.lane for label in placed), default=-1)
    top = max(
        [value for _, value in points if value is not None] + [row[3] for row in band], default=0.0
    )
    # Headroom for the labels, so that they never lie on the curve.
    share = min(0.5, (lanes * _LANE + 6) / max(frame.height - 30, 1))
    y = alt.Y(
        "value:Q",
        title=None,
        scale=alt.Scale(domain=[0, (top or 1.0) / (1 - share)], nice=False, zero=True),
        axis=alt.Axis(labelExpr=_COUNT_TICKS, tickCount=5, tickMinStep=1 if top < 5 else 0),
    )
    x = _time_axis(window, frame)
    layers: list[alt.Chart] = [_gaps(gaps, window, x)]
    if band:
        layers += _band(band, x, y)
    layers += _line(points, x, y)
    layers += _labels(placed, x)
    return alt.LayerChart(layer=layers)


def coverage_bars(
    runs: Sequence[tuple[datetime, datetime, float | None]],
    window: Window,
    frame: Frame,
    *,
    full: float,
) -> alt.LayerChart:
    """Return bars as high as the coverage of each run of days, low ones in ink, none shaded."""
    x = _time_axis(window, frame)
    y = alt.Y(
        "value:Q",
        title=None,
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(values=[0, 0.5, 1], format=".0%"),
    )
    rows = [
        {"time": _ms(since), "until": _ms(until), "value": value, "zero": 0}
        for since, until, value in runs
        if value is not None
    ]
    unknown = [(since, until) for since, until, value in runs if value is None]
    rects = [
        _chart([row for row in rows if (row["value"] >= full) == complete])
        .mark_rect(color=LIGHT["band"] if complete else LIGHT["ink"])
        .encode(x=x, x2="until:T", y=y, y2="zero:Q")
        for complete in (True, False)
    ]
    return alt.LayerChart(layer=[_gaps(unknown, window, x), *rects])


def bars(rows: Sequence[tuple[str, float | None, str]], frame: Frame) -> alt.LayerChart:
    """Return horizontal bars: label, value (null draws none), and the value in words at its end."""
    top = max((value for _, value, _ in rows if value is not None), default=0.0) or 1.0
    # Equal labels stay apart: the axis is over positions, the words are looked up.
    data = [
        {"row": index, "label": label, "value": value or 0, "words": words}
        for index, (label, value, words) in enumerate(rows)
    ]
    y = alt.Y("row:O", axis=None, sort=None, scale=alt.Scale(paddingInner=0.35))
    room = frame.width * (0.42 if frame.narrow else 0.36)
    space = frame.width - room
    longest = max((len(words) for _, _, words in rows), default=1)
    reach = top * space / max(space - longest * _EM * 1.15 - 14, space * 0.3)
    x = alt.X(
        "value:Q", axis=None, scale=alt.Scale(domain=[-reach * room / space, reach], nice=False)
    )
    base = _chart(data)
    size = 12 if frame.narrow else 12.5
    layers = [
        base.mark_bar(color=LIGHT["accent"], cornerRadiusEnd=2).encode(y=y, x=x, x2=alt.datum(0)),
        base.mark_text(
            align="left", color=LIGHT["ink"], fontSize=size, limit=round(room - 12)
        ).encode(y=y, x=alt.value(0), text="label:N"),
        base.mark_text(align="left", dx=5, color=LIGHT["soft"], fontSize=size).encode(
            y=y, x=x, text="words:N"
        ),
    ]
    return alt.LayerChart(layer=layers)


def labels(marks: Sequence[Mark], window: Window, frame: Frame) -> list[Label]:
    """Return where the labels of the marks inside the window stand, none on another.

    A mark for which no row is free keeps its rule and its place in the key, without words.
    """
    width = frame.width - _GUTTER
    placed: list[Label] = []
    spans: list[tuple[float, float, int]] = []
    numbered = [(n, mark) for n, mark in enumerate(marks, 1) if mark.time in window]
    for n, mark in sorted(numbered, key=lambda pair: pair[1].time):
        x = width * ((mark.time - window.since) / (window.until - window.since))
        kind = legible(mark.kind, 24).replace("_", " ")
        for text in (str(n),) if frame.narrow else (f"{n} {kind}", str(n)):
            length = len(text) * _EM + 10
            left = x + length > width
            low, high = (x - length, x) if left else (x, x + length)
            lane = 1 + max(
                (lane for start, end, lane in spans if start < high and low < end), default=-1
            )
            if lane < _LANES:
                break
        else:
            text = ""
            lane = _LANES - 1
        if text:
            spans.append((low, high, lane))
        placed.append(Label(mark.time, text, lane, left))
    return placed


def ticks(window: Window, room: int) -> tuple[list[datetime], str]:
    """Return at most about ``room`` round times of a window, and how Vega writes them."""
    span = window.until - window.since
    for hours in (1, 3, 6, 12):
        step = timedelta(hours=hours)
        if span <= step * room and span <= 3 * _DAY:
            return _steps(window, step, datetime(1970, 1, 1, tzinfo=UTC)), _HOURS
    for days in (1, 2, 7, 14):
        if span <= _DAY * days * room:
            return _steps(window, _DAY * days, datetime(1970, 1, 5, tzinfo=UTC)), _DAYS
    for months in (1, 2, 3, 6, 12, 24, 60):
        if span <= _DAY * 30 * months * room or months == 60:
            return _months(window, months), _MONTHS
    raise AssertionError


_HOURS: Final = "utcFormat(datum.value, utchours(datum.value) == 0 ? '%-d %b' : '%H:%M')"
_DAYS: Final = "utcFormat(datum.value, datum.index == 0 ? '%-d %b %Y' : '%-d %b')"
_MONTHS: Final = (
    "utcFormat(datum.value, datum.index == 0 || utcmonth(datum.value) == 0 ? '%b %Y' : '%b')"
)


def _steps(window: Window, step: timedelta, origin: datetime) -> list[datetime]:
    first = window.since + (origin - window.since) % step
    return [
        first + step * i
        for i in range(int((window.until - first) / step) + 1)
        if first + step * i <= window.until
    ]


def _months(window: Window, months: int) -> list[datetime]:
    first = window.since.year * 12 + window.since.month - 1
    last = window.until.year * 12 + window.until.month - 1
    starts = (
        datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
        for month in range(first, last + 1)
        if month % months == 0
    )
    return [start for start in starts if window.since <= start <= window.until]


def _chart(rows: Sequence[dict[str, Any]]) -> alt.Chart:
    chart: alt.Chart = alt.Chart(alt.InlineData(values=list(rows)))
    return chart


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def _time_axis(window: Window, frame: Frame) -> alt.X:
    values, words = ticks(window, max(2, (frame.width - _GUTTER) // (66 if frame.narrow else 78)))
    return alt.X(
        "time:T",
        title=None,
        scale=alt.Scale(
            type="utc", domain=[_ms(window.since), _ms(window.until)], nice=False, padding=0
        ),
        axis=alt.Axis(
            values=[_ms(value) for value in values],
            labelExpr=words,
            labelFlush=True,
            labelOverlap="greedy",
        ),
    )


def _gaps(gaps: Iterable[tuple[datetime, datetime]], window: Window, x: alt.X) -> alt.Chart:
    rows = [
        {"time": _ms(max(since, window.since)), "until": _ms(min(until, window.until))}
        for since, until in gaps
    ]
    chart: alt.Chart = _chart(rows).mark_rect(color=LIGHT["gap"]).encode(x=x, x2="until:T")
    return chart


def _band(
    band: Sequence[tuple[datetime, float, float, float]], x: alt.X, y: alt.Y
) -> list[alt.Chart]:
    rows = [
        {"time": _ms(time), "value": value, "low": low, "high": high}
        for time, value, low, high in band
    ]
    base = _chart(rows)
    area_y = y.copy()
    area_y.shorthand = "low:Q"
    return [
        base.mark_area(color=LIGHT["band"]).encode(x=x, y=area_y, y2="high:Q"),
        base.mark_line(color=LIGHT["ink"], strokeDash=[5, 4], strokeWidth=1.4).encode(x=x, y=y),
    ]


def _line(points: Sequence[tuple[datetime, float | None]], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    segments: list[list[dict[str, Any]]] = [[]]
    for time, value in points:
        if value is None:
            segments.append([])
        else:
            row = {"time": _ms(time), "value": value, "segment": len(segments)}
            segments[-1].append(row)
    lines = [row for segment in segments if len(segment) > 1 for row in segment]
    # A day between two gaps has no line to lie on.
    lonely = [segment[0] for segment in segments if len(segment) == 1]
    return [
        _chart(lines)
        .mark_line(color=LIGHT["accent"], strokeWidth=1.9, strokeJoin="round")
        .encode(x=x, y=y, detail="segment:N"),
        _chart(lonely).mark_circle(color=LIGHT["accent"], size=26, opacity=1).encode(x=x, y=y),
    ]


def _labels(placed: Sequence[Label], x: alt.X) -> list[alt.Chart]:
    layers: list[alt.Chart] = []
    for lane, left in sorted({(label.lane, label.left) for label in placed}):
        here = [label for label in placed if (label.lane, label.left) == (lane, left)]
        base = _chart([{"time": _ms(label.time), "text": label.text} for label in here])
        layers.append(
            base.mark_rule(color=LIGHT["soft"], strokeWidth=1).encode(
                x=x, y=alt.value(lane * _LANE + 1), y2=alt.value("height")
            )
        )
        for halo in (True, False):
            style: dict[str, Any] = (
                {"stroke": LIGHT["paper"], "strokeWidth": 4, "color": LIGHT["paper"]}
                if halo
                else {"color": LIGHT["ink"]}
            )
            layers.append(
                base.mark_text(
                    align="right" if left else "left",
                    baseline="top",
                    dx=-5 if left else 5,
                    fontSize=12,
                    **style,
                ).encode(x=x, y=alt.value(lane * _LANE + 1), text="text:N")
            )
    # Words above all rules.
    return sorted(layers, key=lambda layer: layer.mark.type != "rule")
