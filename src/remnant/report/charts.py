"""The kinds of chart that the figures are made of, as Altair layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import altair as alt

from remnant.report.drawing import Sheet
from remnant.report.palette import LIGHT
from remnant.report.timeline import EM, GUTTER, LANE, labels, ticks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from remnant.report.drawing import Frame
    from remnant.report.facts import Mark
    from remnant.report.timeline import Label
    from remnant.windows import Window

__all__ = ["STROKES", "bars", "coverage_bars", "curve", "curves", "ladder"]


_TOLD: Final = [
    alt.Tooltip("utcyearmonthdate(time):T", title="day (UTC)", format="%-d %b %Y"),
    alt.Tooltip("value:Q", title="value", format=",.0f"),
]
STROKES: Final[tuple[tuple[str, float, tuple[int, ...]], ...]] = (
    ("accent", 1.9, ()),
    ("ink", 1.6, (5, 3)),
    ("alarm", 1.6, (1, 2)),
    ("network", 1.6, (8, 3, 1, 3)),
    ("server", 1.6, (10, 3)),
    ("mail", 1.6, (3, 1)),
)
"""Colour, width and dashes of several curves on one axis: none is told by its colour alone."""
_VALUES: Final[tuple[Any, Any]] = (alt.YValue, alt.Y2Value)
_COUNT_TICKS: Final = (
    "abs(datum.value) < 1000 ? format(datum.value, '~g') : "
    "replace(format(datum.value, '~s'), 'G', ' bn')"
)


def curve(
    points: Sequence[tuple[datetime, float | None]],
    window: Window,
    frame: Frame,
    *,
    gaps: Iterable[tuple[datetime, datetime]] = (),
    band: Sequence[tuple[datetime, float, float, float]] = (),
    marks: Sequence[Mark] = (),
    log: bool = False,
) -> Sheet:
    """Return a curve over time from zero, broken at nulls, gaps shaded, dated marks labelled.

    Args:
        points: time and value; a null ends the line, the next value begins another.
        window: the horizontal axis.
        frame: the paper; it decides how many labels there is room for.
        gaps: shaded spans.
        band: time, value, low, high of a fitted curve.
        marks: vertical rules, numbered in this order.
        log: logarithmic scale; zeros then lie on the base line.
    """
    placed = labels(marks, window, frame)
    lanes = 1 + max((label.lane for label in placed), default=-1)
    top = max(
        [value for _, value in points if value is not None] + [row[3] for row in band], default=0.0
    )
    # Headroom for the labels, so that they never lie on the curve.
    share = 0.0 if not placed else min(0.5, (lanes * LANE + 6) / max(frame.height - 30, 1))
    if log:
        above = [value for _, value in points if value] + [row[2] for row in band if row[2] > 0]
        low = 10.0 ** math.floor(math.log10(min(above, default=1.0)))
        # Likewise, as a share of the logarithm.
        high = low * max((top or 1.0) / low, 10.0) ** (1 / (1 - share))
        scale = alt.Scale(type="log", domain=[low, high], nice=False, clamp=True)
        axis = alt.Axis(labelExpr=_COUNT_TICKS, tickCount=5)
    else:
        scale = alt.Scale(domain=[0, (top or 1.0) / (1 - share)], nice=False, zero=True)
        axis = alt.Axis(labelExpr=_COUNT_TICKS, tickCount=5, tickMinStep=1 if top < 5 else 0)
    y = alt.Y("value:Q", title=None, scale=scale, axis=axis)
    x = _time_axis(window, frame)
    sheet = Sheet()
    _gaps(sheet, gaps, window, x)
    if band:
        _band(sheet, band, x, y)
    _line(sheet, points, x, y, width=1.3 if band else 1.9)
    if band:
        _trend(sheet, band, x, y)
    _labels(sheet, placed, x)
    return sheet


def curves(
    lines: Sequence[Sequence[tuple[datetime, float | None]]],
    window: Window,
    frame: Frame,
    *,
    gaps: Iterable[tuple[datetime, datetime]] = (),
) -> Sheet:
    """Return up to six curves on one axis from zero, each with colour and dashes of its own.

    The first is in colour and whole, the second dashed and in ink. All are broken at nulls; gaps
    are shaded.
    """
    top = max((value for line in lines for _, value in line if value is not None), default=0.0)
    y = alt.Y(
        "value:Q",
        title=None,
        scale=alt.Scale(domain=[0, 1.05 * (top or 1.0)], nice=False, zero=True),
        axis=alt.Axis(labelExpr=_COUNT_TICKS, tickCount=5, tickMinStep=1 if top < 5 else 0),
    )
    x = _time_axis(window, frame)
    sheet = Sheet()
    _gaps(sheet, gaps, window, x)
    for points, (ink, width, dashes) in zip(lines, STROKES, strict=False):
        _line(sheet, points, x, y, width=width, ink=ink, dashes=dashes)
    return sheet


def coverage_bars(
    runs: Sequence[tuple[datetime, datetime, float | None]],
    window: Window,
    frame: Frame,
    *,
    full: float,
) -> Sheet:
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
    sheet = Sheet()
    _gaps(sheet, unknown, window, x)
    for complete in (True, False):
        sheet.layers.append(
            sheet.chart([row for row in rows if (row["value"] >= full) == complete])
            .mark_rect(color=LIGHT["band"] if complete else LIGHT["ink"])
            .encode(x=x, x2=alt.X2("until:T"), y=y, y2=alt.Y2("zero:Q"))
        )
    return sheet


def bars(rows: Sequence[tuple[str, float | None, str]], frame: Frame) -> Sheet:
    """Return horizontal bars: label, value (null draws none), and the value in words at its end."""
    top = max((value for _, value, _ in rows if value is not None), default=0.0) or 1.0
    # Vega cuts long labels between the halves of a character that takes two UTF-16 units.
    rows = [(_basic(label), value, words) for label, value, words in rows]
    # Equal labels stay apart: the axis is over positions, the words are looked up.
    data = [
        {"row": index, "label": label, "value": value or 0, "words": words}
        for index, (label, value, words) in enumerate(rows)
    ]
    y = alt.Y("row:O", axis=None, sort=None, scale=alt.Scale(paddingInner=0.35))
    room = frame.width * (0.42 if frame.narrow else 0.36)
    space = frame.width - room
    longest = max((len(words) for _, _, words in rows), default=1)
    reach = top * space / max(space - longest * EM * 1.15 - 14, space * 0.3)
    x = alt.X(
        "value:Q", axis=None, scale=alt.Scale(domain=[-reach * room / space, reach], nice=False)
    )
    sheet = Sheet()
    base = sheet.chart(data)
    size = 12 if frame.narrow else 12.5
    sheet.layers = [
        base.mark_bar(color=LIGHT["accent"], cornerRadiusEnd=2).encode(y=y, x=x, x2=alt.X2Datum(0)),
        base.mark_text(
            align="left", color=LIGHT["ink"], fontSize=size, limit=round(room - 12)
        ).encode(y=y, x=alt.value(0), text=alt.Text("label:N")),
        base.mark_text(align="left", dx=5, color=LIGHT["soft"], fontSize=size).encode(
            y=y, x=x, text=alt.Text("words:N")
        ),
    ]
    return sheet


def _narrow(label: str) -> str:
    """Return a label of ``ladder`` in the fewest words, so that its end, the view, is not cut."""
    short = label.replace("Infected machines", "Infected").removeprefix("Machines ")
    return short[:1].upper() + short[1:]


def ladder(
    rows: Sequence[tuple[str, float | None, tuple[float | None, float | None], str, bool]],
    frame: Frame,
) -> Sheet:
    """Return sizes one below the other on one scale from zero.

    Each row: label, value (null draws none), limits (a null one is not drawn), the value in words,
    and whether it was counted (a pale bar) or concluded (a dot on its interval).
    """
    every = [part for _, value, limits, _, _ in rows for part in (value, *limits)]
    top = max((part for part in every if part is not None), default=0.0) or 1.0
    data = [
        {
            "row": index,
            "label": _basic(_narrow(label) if frame.narrow else label),
            "value": value or 0,
            "low": value if limits[0] is None else limits[0],
            "high": value if limits[1] is None else limits[1],
            "end": max([value or 0, *(part for part in limits if part is not None)]),
            "words": words,
            "counted": counted,
            "bound": not counted and limits[0] is not None and limits[1] is None,
            "drawn": value is not None,
        }
        for index, (label, value, limits, words, counted) in enumerate(rows)
    ]
    y = alt.Y("row:O", axis=None, sort=None, scale=alt.Scale(paddingInner=0.35))
    room = frame.width * (0.46 if frame.narrow else 0.36)
    space = frame.width - room
    longest = max((len(words) for _, _, _, words, _ in rows), default=1)
    reach = top * space / max(space - longest * EM * 1.15 - 14, space * 0.3)
    scale = alt.Scale(domain=[-reach * room / space, reach], nice=False)
    x = alt.X("value:Q", axis=None, scale=scale)
    size = 12 if frame.narrow else 12.5
    sheet = Sheet()
    every_row = sheet.chart(data)
    counts = sheet.chart([row for row in data if row["counted"] and row["drawn"]])
    found = sheet.chart([row for row in data if not row["counted"] and row["drawn"]])
    dots = sheet.chart(
        [row for row in data if row["drawn"] and not (row["counted"] or row["bound"])]
    )
    bounds = sheet.chart([row for row in data if row["drawn"] and row["bound"]])
    sheet.layers = [
        counts.mark_bar(color=LIGHT["band"], cornerRadiusEnd=2).encode(y=y, x=x, x2=alt.X2Datum(0)),
        found.mark_rule(color=LIGHT["accent"], strokeWidth=5, opacity=0.45).encode(
            y=y, x=alt.X("low:Q", axis=None, scale=scale), x2=alt.X2("high:Q")
        ),
        dots.mark_circle(color=LIGHT["accent"], size=90, opacity=1).encode(y=y, x=x),
        # Open to the right: a dot at the end of its line would look like the most there can be.
        bounds.mark_point(
            color=LIGHT["accent"], shape="triangle-right", filled=True, size=110, opacity=1
        ).encode(y=y, x=x),
        every_row.mark_text(
            align="left", color=LIGHT["ink"], fontSize=size, limit=round(room - 12)
        ).encode(y=y, x=alt.value(0), text=alt.Text("label:N")),
        every_row.mark_text(align="left", dx=9, color=LIGHT["soft"], fontSize=size).encode(
            y=y, x=alt.X("end:Q", axis=None, scale=scale), text=alt.Text("words:N")
        ),
    ]
    return sheet


def _basic(text: str) -> str:
    """Return text with an escape for each character beyond Unicode's basic plane."""
    return "".join(c if ord(c) <= 0xFFFF else f"\\U{ord(c):08x}" for c in text)


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def _time_axis(window: Window, frame: Frame) -> alt.X:
    values, words = ticks(window, max(2, (frame.width - GUTTER) // (66 if frame.narrow else 78)))
    return alt.X(
        "time:T",
        title=None,
        scale=alt.Scale(
            type="utc",
            # Not "domain": many layers that state one make Vega join them, with a warning each.
            domainMin=_ms(window.since),
            domainMax=_ms(window.until),
            nice=False,
            padding=0,
        ),
        axis=alt.Axis(
            values=[_ms(value) for value in values],
            labelExpr=words,
            labelFlush=True,
            labelOverlap="greedy",
        ),
    )


def _gaps(
    sheet: Sheet, gaps: Iterable[tuple[datetime, datetime]], window: Window, x: alt.X
) -> None:
    rows = [
        {"time": _ms(max(since, window.since)), "until": _ms(min(until, window.until))}
        for since, until in gaps
    ]
    sheet.layers.append(
        sheet.chart(rows).mark_rect(color=LIGHT["gap"]).encode(x=x, x2=alt.X2("until:T"))
    )


def _band(
    sheet: Sheet, band: Sequence[tuple[datetime, float, float, float]], x: alt.X, y: alt.Y
) -> None:
    base = sheet.chart(
        [{"time": _ms(time), "low": low, "high": high} for time, _, low, high in band]
    )
    area_y = y.copy()
    area_y.shorthand = "low:Q"
    sheet.layers.append(
        base.mark_area(color=LIGHT["band"]).encode(x=x, y=area_y, y2=alt.Y2("high:Q"))
    )


def _trend(
    sheet: Sheet, band: Sequence[tuple[datetime, float, float, float]], x: alt.X, y: alt.Y
) -> None:
    """Add the fitted line above the data: heavy and in ink."""
    base = sheet.chart([{"time": _ms(time), "value": value} for time, value, _, _ in band])
    sheet.layers.append(base.mark_line(color=LIGHT["ink"], strokeWidth=2.6).encode(x=x, y=y))


def _line(
    sheet: Sheet,
    points: Sequence[tuple[datetime, float | None]],
    x: alt.X,
    y: alt.Y,
    *,
    width: float,
    ink: str = "accent",
    dashes: tuple[int, ...] = (),
) -> None:
    style: dict[str, Any] = {"strokeDash": list(dashes)} if dashes else {}
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
    sheet.layers += [
        sheet.chart(lines)
        .mark_line(color=LIGHT[ink], strokeWidth=width, strokeJoin="round", **style)
        .encode(x=x, y=y, detail=alt.Detail("segment:N"), tooltip=_TOLD),
        sheet.chart(lonely)
        .mark_circle(color=LIGHT[ink], size=26, opacity=1)
        .encode(x=x, y=y, tooltip=_TOLD),
    ]


def _labels(sheet: Sheet, placed: Sequence[Label], x: alt.X) -> None:
    """Add a rule for each label, then all words above all rules, each with a halo."""
    words: list[alt.Chart] = []
    for lane, left in sorted({(label.lane, label.left) for label in placed}):
        here = [label for label in placed if (label.lane, label.left) == (lane, left)]
        base = sheet.chart([{"time": _ms(label.time), "text": label.text} for label in here])
        # Typed loosely: Altair leaves these two without annotations.
        top, bottom = _VALUES[0](lane * LANE + 1), _VALUES[1]("height")
        sheet.layers.append(
            base.mark_rule(color=LIGHT["soft"], strokeWidth=1).encode(x=x, y=top, y2=bottom)
        )
        halo = {"stroke": LIGHT["paper"], "strokeWidth": 4, "color": LIGHT["paper"]}
        for style in (halo, {"color": LIGHT["ink"]}):
            words.append(
                base.mark_text(
                    align="right" if left else "left",
                    baseline="top",
                    dx=-5 if left else 5,
                    fontSize=12,
                    **style,
                ).encode(x=x, y=top, text=alt.Text("text:N"))
            )
    sheet.layers += words
