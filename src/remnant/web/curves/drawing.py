"""Curves drawn as SVG without any library: in milliseconds, so that live pages can have them.

Everything in it is a number of ours or escaped text. Colours are the page's custom properties. The
attributes ``data-plot`` (left, top, width, height of the plot in the drawing), ``data-from`` and
``data-until`` (milliseconds since 1970 UTC at its edges) and ``data-scale`` (foot, height, lowest
and highest value, 1 for logarithmic) let a script find what is under a pointer.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from remnant.report.drawing import FONT
from remnant.report.palette import LIGHT
from remnant.report.timeline import GUTTER, LANE, labels, ticks, written

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from remnant.report.drawing import Frame
    from remnant.report.facts import Mark
    from remnant.windows import Window

    Points = Sequence[tuple[datetime, float | None]]

__all__ = ["Line", "Looks", "coverage_strip", "draw", "log_ticks", "round_ticks", "standalone"]

_VIEW: Final = re.compile(r'viewBox="0 0 (\d+) (\d+)"')
_LEFT: Final = 50
_RIGHT: Final = GUTTER - _LEFT
_BOTTOM: Final = 24
_TOP: Final = 8
_WASTE: Final = 1.1
_DENSE: Final = 1.5
"""Points a pixel above which a line is drawn by the lowest and highest of each pixel."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: times and values (null breaks it), and how it looks."""

    points: Points
    ink: str = "accent"
    width: float = 1.9
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Looks:
    """What is drawn beside the lines.

    Attributes:
        label: what it shows, for those who hear the page.
        log: logarithmic scale; zeros then lie on the base line.
        share: values are shares: the axis shows per cent.
        relative: the axis counts days from its start instead of naming dates.
        gaps: shaded spans.
        band: time, value, low, high of a fitted curve.
        marks: numbered rules.
    """

    label: str = ""
    log: bool = False
    share: bool = False
    relative: bool = False
    gaps: Sequence[tuple[datetime, datetime]] = ()
    band: Sequence[tuple[datetime, float, float, float]] = ()
    marks: Sequence[Mark] = field(default=())


@dataclass(frozen=True, slots=True)
class _Scale:
    """From times and values to pixels."""

    window: Window
    width: float
    top: float
    height: float
    low: float
    high: float
    log: bool

    def x(self, time: datetime) -> float:
        since, until = self.window.since, self.window.until
        part = (time - since) / (until - since)
        return _LEFT + self.width * min(1.0, max(0.0, part))

    def y(self, value: float) -> float:
        if self.log:
            value = max(value, self.low)
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return self.top + self.height * (1 - min(1.0, max(0.0, part)))


def draw(
    lines: Sequence[Line], window: Window, frame: Frame, looks: Looks, *, css_class: str
) -> Markup:
    """Return lines on one axis as an SVG element."""
    placed = labels(looks.marks, window, frame)
    lanes = 1 + max((label.lane for label in placed), default=-1)
    # Labels lie above the plot's highest value, never on the curve.
    room = lanes * LANE + (4 if lanes else 0)
    values = [v for line in lines for _, v in line.points if v is not None]
    values += [high for *_, high in looks.band]
    if looks.log:
        values += [low for _, _, low, _ in looks.band if low > 0]
    marked = log_ticks(values) if looks.log else round_ticks(max(values, default=0.0))
    low, high = _domain(values, marked, log=looks.log)
    plot_height = frame.height - _TOP - _BOTTOM
    scale = _Scale(
        window,
        frame.width - _LEFT - _RIGHT,
        _TOP + room,
        plot_height - room,
        low,
        high,
        looks.log,
    )
    out = [_head(frame, scale, looks.label, css_class, plot_height)]
    out += [
        _rect(scale.x(since), _TOP, scale.x(until), frame.height - _BOTTOM)
        for since, until in looks.gaps
        if since < window.until and until > window.since
    ]
    out += _rungs(scale, marked, share=looks.share)
    if looks.band:
        out.append(_band(scale, looks))
    out += [_stroke(scale, line) for line in lines]
    if looks.band:
        middle = Line([(time, value) for time, value, _, _ in looks.band], "ink", 2.6)
        out.append(_stroke(scale, middle))
    out += _times(scale, window, frame, relative=looks.relative)
    foot = frame.height - _BOTTOM
    for mark in placed:
        x, y = scale.x(mark.time), _TOP + mark.lane * LANE
        out.append(f'<path d="M{x:.1f} {y}V{foot}" stroke="var(--soft)"/>')
    for mark in placed:
        x, y = scale.x(mark.time), _TOP + mark.lane * LANE + 11
        side = f'x="{x - 5:.1f}" text-anchor="end"' if mark.left else f'x="{x + 5:.1f}"'
        out.append(
            f'<text {side} y="{y}" fill="var(--ink)" stroke="var(--paper)" stroke-width="4" '
            f'paint-order="stroke">{escape(mark.text)}</text>'
        )
    return Markup("".join(out) + "</g></svg>")  # noqa: S704 - numbers, and text escaped above


def coverage_strip(
    days: Sequence[tuple[datetime, datetime, float | None, bool]],
    window: Window,
    frame: Frame,
    label: str,
    *,
    css_class: str,
) -> Markup:
    """Return a strip of days: covered ones pale, gaps dark as far as they were covered.

    Args:
        days: start, end, coverage (null where nothing was expected), and whether it is a gap.
        window: the horizontal axis.
        frame: the paper.
        label: what it shows.
        css_class: of the element.
    """
    height = frame.height - _BOTTOM
    scale = _Scale(window, frame.width - _LEFT - _RIGHT, 0, height, 0, 1, log=False)
    runs: list[tuple[datetime, datetime, float | None, bool]] = []
    for since, until, share, gap in days:
        if runs and runs[-1][1:] == (since, share, gap):
            runs[-1] = (runs[-1][0], until, share, gap)
        else:
            runs.append((since, until, share, gap))
    out = [
        f'<svg class="{css_class}" viewBox="0 0 {frame.width} {frame.height}" role="img" '
        f'aria-label="{escape(label)}"><g font-size="{12 if frame.narrow else 12.5}">'
    ]
    for since, until, share, gap in runs:
        left, right = scale.x(since), scale.x(until)
        out.append(_rect(left, 0, right, height))
        if share:
            ink = "ink" if gap else "band"
            out.append(
                f'<path d="M{left:.1f} {height}V{scale.y(share):.1f}'
                f'H{max(right, left + 0.5):.1f}V{height}z" fill="var(--{ink})"/>'
            )
    out += [
        f'<text x="{_LEFT - 7}" y="{y}" text-anchor="end" fill="var(--soft)">{words}</text>'
        for y, words in ((11, "100 %"), (height, "0 %"))
    ]
    out += _times(scale, window, frame, relative=False)
    return Markup("".join(out) + "</g></svg>")  # noqa: S704 - numbers, and text escaped above


def standalone(drawing: str, title: str, lines: Sequence[str]) -> str:
    """Return a drawing as an SVG document of its own: light colours, title and facts above it."""
    found = _VIEW.search(drawing)
    assert found is not None, "drawings of ours have a size"
    width, height = int(found[1]), int(found[2])
    head = 40 + 18 * len(lines)
    words = "".join(
        f'<text x="12" y="{50 + 18 * n}" font-size="12.5" fill="var(--soft)">{escape(line)}</text>'
        for n, line in enumerate(lines)
    )
    inner = drawing[drawing.index("<g ") : drawing.rindex("</svg>")]
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 24}" '
        f'height="{height + head + 24}" font-family="{escape(FONT)}">'
        f'<rect width="100%" height="100%" fill="var(--paper)"/>'
        f'<text x="12" y="28" font-size="17" font-weight="600" fill="var(--ink)">{escape(title)}'
        f'</text>{words}<g transform="translate(12 {head + 12})">{inner}</g></svg>'
    )
    for name, colour in LIGHT.items():
        text = text.replace(f"var(--{name})", colour)
    return text


def round_ticks(top: float) -> list[float]:
    """Return about five round values from zero to at least the highest value.

    >>> round_ticks(490)
    [0.0, 100.0, 200.0, 300.0, 400.0, 500.0]
    """
    if top <= 0 or not math.isfinite(top):
        return [0.0, 1.0]
    rough = top / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * part for part in (1, 2, 5, 10) if power * part >= rough * 0.999)
    if top >= 1:
        step = max(step, 1.0) if top >= 5 else step
    count = math.ceil(top / step * 0.9999)
    return [round(step * i, 12) for i in range(count + 1)]


def log_ticks(values: Sequence[float]) -> list[float]:
    """Return the powers of ten, and where they are few their double and fivefold, around values.

    >>> log_ticks([20, 4000])
    [10.0, 100.0, 1000.0, 10000.0]
    """
    above = [value for value in values if value > 0]
    if not above:
        return [1.0, 10.0]
    first = math.floor(math.log10(min(above)) + 1e-9)
    last = math.ceil(math.log10(max(above)) - 1e-9)
    last = max(last, first + 1)
    if last - first > 2:
        step = math.ceil((last - first) / 8)
        return [10.0**power for power in range(first, last + 1, step)]
    every = [part * 10.0**power for power in range(first, last + 1) for part in (1, 2, 5)]
    low = max(value for value in every if value <= min(above) * 1.0001)
    high = min((value for value in every if value >= max(above) * 0.9999), default=10.0**last)
    kept = [value for value in every if low <= value <= high]
    return kept if len(kept) > 1 else [low, low * 10]


def _domain(values: Sequence[float], marked: Sequence[float], *, log: bool) -> tuple[float, float]:
    top = max([*values, marked[1]])
    if log:
        return marked[0], max(top, marked[-1])
    # The next round value, unless that wastes paper.
    return 0.0, marked[-1] if marked[-1] <= _WASTE * top else top


def _head(frame: Frame, scale: _Scale, label: str, css_class: str, height: float) -> str:
    size = 12 if frame.narrow else 12.5
    width = frame.width - _LEFT - _RIGHT
    since, until = (round(t.timestamp() * 1000) for t in (scale.window.since, scale.window.until))
    values = (scale.top + scale.height, scale.height, scale.low, scale.high, int(scale.log))
    return (
        f'<svg class="{css_class}" viewBox="0 0 {frame.width} {frame.height}" role="img" '
        f'aria-label="{escape(label)}" data-plot="{_LEFT} {_TOP} {width} {height:g}" '
        f'data-from="{since}" data-until="{until}" '
        f'data-scale="{" ".join(f"{value:.9g}" for value in values)}"><g font-size="{size}">'
    )


def _rungs(scale: _Scale, marked: Sequence[float], *, share: bool) -> list[str]:
    """Return the horizontal grid with its values."""
    out = []
    for value in marked:
        if value > scale.high * 1.0001:
            continue
        y = scale.y(value)
        words = f"{100 * value:g} %" if share else _short(value)
        out.append(
            f'<path d="M{_LEFT} {y:.1f}h{scale.width}" stroke="var(--line)"/>'
            f'<text x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end" fill="var(--soft)">'
            f"{words}</text>"
        )
    return out


def _times(scale: _Scale, window: Window, frame: Frame, *, relative: bool) -> list[str]:
    """Return the horizontal axis with its dates."""
    foot = frame.height - _BOTTOM
    room = max(2, int(scale.width) // (66 if frame.narrow else 78))
    if relative:
        days = (window.until - window.since) // timedelta(days=1)
        step = next(
            (n for n in (1, 2, 7, 14, 28) if n * room >= days), 28 * (1 + days // 28 // room)
        )
        found = [window.since + timedelta(days=n) for n in range(0, days + 1, step)]
        words_of = [f"day {n}" for n in range(0, days + 1, step)]
    else:
        found, how = ticks(window, room)
        words_of = written(found, how)
    out = [f'<path d="M{_LEFT} {foot}h{scale.width}" stroke="var(--soft)"/>']
    free = -1.0
    for time, words in zip(found, words_of, strict=True):
        x = scale.x(time)
        half = len(words) * 3.3
        # The first and last stay inside the drawing; one that would touch another is left out.
        middle = min(max(x, half + 2), frame.width - half - 2)
        out.append(f'<path d="M{x:.1f} {foot}v5" stroke="var(--soft)"/>')
        if middle - half > free:
            free = middle + half + 6
            out.append(
                f'<text x="{middle:.1f}" y="{foot + 18}" text-anchor="middle" '
                f'fill="var(--soft)">{words}</text>'
            )
    return out


def _band(scale: _Scale, looks: Looks) -> str:
    there = " ".join(f"{scale.x(t):.1f},{scale.y(high):.1f}" for t, _, _, high in looks.band)
    back = " ".join(f"{scale.x(t):.1f},{scale.y(low):.1f}" for t, _, low, _ in reversed(looks.band))
    return f'<polygon points="{there} {back}" fill="var(--band)"/>'


def _stroke(scale: _Scale, line: Line) -> str:
    """Return the path of a line; a point alone between two gaps becomes a dot."""
    moves: list[str] = []
    for piece in _pieces(line.points, scale.x, scale.width):
        corners = [f"{x:.1f} {scale.y(value):.1f}" for x, value in piece]
        moves.append("M" + ("L".join(corners) if len(corners) > 1 else f"{corners[0]}h0"))
    dash = ' stroke-dasharray="5 3"' if line.dashed else ""
    return (
        f'<path d="{"".join(moves)}" fill="none" stroke="var(--{line.ink})" '
        f'stroke-width="{line.width}" stroke-linejoin="round" stroke-linecap="round"{dash}/>'
    )


def _pieces(
    points: Points, x: Callable[[datetime], float], width: float
) -> list[list[tuple[float, float]]]:
    """Return the unbroken parts of a line in pixels, thinned where there are too many points."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for time, value in points:
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append((x(time), value))
    found = [piece for piece in pieces if piece]
    return found if len(points) <= _DENSE * width else [_thin(piece) for piece in found]


def _thin(piece: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return first, lowest, highest and last of each pixel's points: it looks like all of them."""
    columns: dict[int, list[tuple[float, float]]] = {}
    for point in piece:
        columns.setdefault(int(point[0]), []).append(point)
    out: list[tuple[float, float]] = []
    for column in columns.values():
        kept = {
            column[0],
            min(column, key=lambda point: point[1]),
            max(column, key=lambda point: point[1]),
            column[-1],
        }
        out += sorted(kept)
    return out


def _rect(left: float, top: float, right: float, foot: float) -> str:
    return (
        f'<path d="M{left:.1f} {top}H{max(right, left + 0.5):.1f}V{foot}H{left:.1f}z" '
        'fill="var(--gap)"/>'
    )


def _short(value: float) -> str:
    """Return a value as an axis shows it."""
    for size, unit in ((1e9, " bn"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            part = value / (1e3 if unit == "k" else size)
            return f"{part:g}{unit}"
    return f"{value:,g}"
