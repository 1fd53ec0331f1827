"""A small SVG writer: marks of a map by the thousand, text that is escaped, labels without overlap.

Colours are those of the light palette; ``palette.to_variables`` makes them follow a page.
Coordinates are written to a tenth of a pixel, and marks of one look are one path: a map of 5,000
things stays under half a megabyte.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.report.drawing import FONT
from remnant.report.wording import legible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

__all__ = ["SHAPES", "Canvas", "Labels", "dots", "glyph", "text_width"]

Point = tuple[float, float]


def _regular(corners: int, turn: float, reach: float) -> tuple[Point, ...]:
    return tuple(
        (
            reach * math.cos(turn + 2 * math.pi * k / corners),
            reach * math.sin(turn + 2 * math.pi * k / corners),
        )
        for k in range(corners)
    )


def _cross(arm: float, half: float) -> tuple[Point, ...]:
    a, h = arm, half
    return (
        *((-h, -a), (h, -a), (h, -h), (a, -h), (a, h), (h, h)),
        *((h, a), (-h, a), (-h, h), (-a, h), (-a, -h), (-h, -h)),
    )


SHAPES: Final[dict[str, tuple[Point, ...]]] = {
    "circle": (),
    "hexagon": _regular(6, 0.0, 1.1),
    "square": _regular(4, math.pi / 4, 1.25),
    "diamond": _regular(4, 0.0, 1.3),
    "up": _regular(3, -math.pi / 2, 1.42),
    "down": _regular(3, math.pi / 2, 1.42),
    "cross": _cross(1.2, 0.52),
}
"""Corners of each shape at radius 1, all of about the same area; a circle has none."""


def glyph(shape: str, x: float, y: float, radius: float) -> str:
    """Return the path of one mark.

    >>> glyph("diamond", 10, 10, 10)
    'M23 10L10 23L-3 10L10 -3Z'
    """
    corners = SHAPES[shape]
    if not corners:
        r, d = _n(radius), _n(2 * radius)
        return f"M{_n(x - radius)} {_n(y)}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0Z"
    return "M" + "L".join(f"{_n(x + radius * a)} {_n(y + radius * b)}" for a, b in corners) + "Z"


def dots(points: Iterable[Point]) -> str:
    """Return the path of many dots: ends of lines without length, as wide as the stroke."""
    return "".join(f"M{_n(x)} {_n(y)}h0" for x, y in points)


def text_width(text: str, size: float) -> float:
    """Return about how wide a text is drawn, in pixels."""
    wide = sum(0.36 if c in "iljtf.,:;|!'()[] 1" else 0.9 if c in "mwMW@%" else 0.58 for c in text)
    return wide * size


def _n(value: float) -> str:
    text = f"{value:.1f}"
    return text.removesuffix(".0")


class Canvas:
    """What a figure is drawn on."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []

    def path(
        self,
        data: str,
        *,
        fill: str = "none",
        stroke: str = "none",
        width: float = 1.0,
        opacity: float = 1.0,
        cap: str = "",
        dash: str = "",
    ) -> None:
        """Draw a path; nothing where it is empty. ``opacity`` is that of the stroke."""
        if not data:
            return
        more = f' stroke="{stroke}" stroke-width="{_n(width)}"' if stroke != "none" else ""
        more += f' stroke-opacity="{opacity:g}"' if opacity < 1.0 else ""
        more += f' stroke-linecap="{cap}" stroke-linejoin="{cap}"' if cap else ""
        more += f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(f'<path d="{data}" fill="{fill}"{more}/>')

    def rect(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """Draw a rectangle."""
        size = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
        self._parts.append(f'<rect {size} fill="{fill}"/>')

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float,
        fill: str,
        anchor: str = "start",
        weight: int = 400,
        halo: str = "",
    ) -> None:
        """Write a text, made legible and escaped; ``halo`` is the colour of its outline."""
        shown = escape(legible(text, 200))
        more = f' text-anchor="{anchor}"' if anchor != "start" else ""
        more += f' font-weight="{weight}"' if weight != 400 else ""
        at = f'x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}"{more}'
        if halo:
            # Twice, for not every program draws the outline below the letters.
            outline = f'fill="{halo}" stroke="{halo}" stroke-width="3" stroke-linejoin="round"'
            self._parts.append(f'<text {at} {outline} aria-hidden="true">{shown}</text>')
        self._parts.append(f'<text {at} fill="{fill}">{shown}</text>')

    def svg(self, label: str, css_class: str = "") -> str:
        """Return the drawing as an SVG element; ``label`` says what it shows."""
        w, h = _n(self.width), _n(self.height)
        look = f' class="{escape(css_class)}"' if css_class else ""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg"{look} viewBox="0 0 {w} {h}" width="{w}" '
            f'height="{h}" role="img" aria-label="{escape(legible(label, 600))}" '
            f'font-family="{FONT}">'
        )
        return head + "".join(self._parts) + "</svg>"


class Labels:
    """Places for labels: beside their mark, in the frame, and not over another one."""

    def __init__(
        self, frame: tuple[float, float, float, float], marks: npt.NDArray[np.float64]
    ) -> None:
        """Begin with nothing taken.

        Args:
            frame: left, top, right and bottom.
            marks: float64[marks, 2]: what a label had better not cover.
        """
        self._frame = frame
        self._marks = marks
        self._taken: list[tuple[float, float, float, float]] = []

    def block(self, x: float, y: float, radius: float) -> None:
        """Keep labels off a mark."""
        self._taken.append((x - radius, y - radius, x + radius, y + radius))

    def place(
        self, x: float, y: float, radius: float, wide: float, high: float, covering: int = 3
    ) -> tuple[float, float] | None:
        """Return the left and the middle line of a free place near a mark, and take it.

        Args:
            x: of the mark.
            y: of the mark.
            radius: of the mark.
            wide: width of the label.
            high: height of the label.
            covering: how many marks it may cover; the place that covers fewest is taken.
        """
        gap = radius + 3
        tries: Sequence[Point] = (
            (x + gap, y),
            (x - gap - wide, y),
            (x - wide / 2, y - gap - high / 2),
            (x - wide / 2, y + gap + high / 2),
            (x + 0.7 * gap, y - 0.7 * gap - high / 2),
            (x + 0.7 * gap, y + 0.7 * gap + high / 2),
            (x - 0.7 * gap - wide, y - 0.7 * gap - high / 2),
            (x - 0.7 * gap - wide, y + 0.7 * gap + high / 2),
        )
        left, top, right, bottom = self._frame
        best, fewest = None, covering + 1
        for at, middle in tries:
            box = (at, middle - high / 2, at + wide, middle + high / 2)
            if box[0] < left or box[2] > right or box[1] < top or box[3] > bottom:
                continue
            if any(
                box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3]
                for b in self._taken
            ):
                continue
            inside = (self._marks >= box[:2]) & (self._marks <= box[2:])
            covered = int(np.count_nonzero(inside.all(axis=1)))
            if covered < fewest:
                best, fewest = box, covered
        if best is None:
            return None
        self._taken.append(best)
        return best[0], 0.5 * (best[1] + best[3])
