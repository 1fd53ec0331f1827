"""Small strips over time as inline SVG: states of a name, hours that a sensor covered.

Drawn from numbers and from words of our own only. Colour never stands alone: each kind has its own
height or pattern, and the pages tell the same in a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from remnant.windows import Window

__all__ = ["Cell", "coverage_strip", "state_strip"]

_WIDTH: Final = 960
_HATCH: Final = (
    '<pattern id="{id}" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><path d="M0 0V6" stroke="var(--soft)" stroke-width="1.4"/>'
    "</pattern>"
)
_LOOKS: Final = {
    "resolving": ("var(--alarm)", 1.0),
    "reregistered": ("var(--alarm)", 1.0),
    "sinkholed": ("var(--accent)", 0.72),
    "parked": ("var(--soft)", 0.72),
    "suspended": ("var(--soft)", 0.5),
    "expired": ("var(--soft)", 0.34),
    "unregistered": ("var(--soft)", 0.34),
    "absent": ("var(--soft)", 0.34),
}
"""State -> colour, and how high its bar is: what needs action stands tallest."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One step of a strip.

    Attributes:
        start: its beginning (UTC).
        expected: hours expected in it.
        delivered: of those, hours in which the sensor delivered.
    """

    start: datetime
    expected: int
    delivered: int


def state_strip(timeline: Sequence[Mapping[str, Any]], window: Window, number: int = 0) -> Markup:
    """Return the states of a name over a window; an empty text where there is none.

    Args:
        timeline: intervals with ``since``, ``until`` (UTC) and ``state``.
        window: the horizontal axis.
        number: tells one strip of a page from another.
    """
    height, top = 44, 4
    parts = []
    for one in timeline:
        left = _x(one["since"], window)
        wide = max(_x(one["until"], window) - left, 1.5)
        fill, share = _LOOKS.get(one["state"], (f"url(#states{number})", 1.0))
        tall = (height - 2 * top) * share
        parts.append(
            f'<rect x="{left:.1f}" y="{height - top - tall:.1f}" width="{wide:.1f}" '
            f'height="{tall:.1f}" fill="{fill}"/>'
        )
    if not parts:
        return Markup()
    words = "; ".join(
        f"{one['state']} from {one['since']:%Y-%m-%d} to {one['until']:%Y-%m-%d}"
        for one in timeline[-12:]
    )
    return Markup(  # noqa: S704 - made of numbers and of words of our own
        f'<svg class="states" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="States over time: {escape(words)}"><defs>'
        f"{_HATCH.format(id=f'states{number}')}</defs>{''.join(parts)}"
        f'<path d="M0 {height - top}H{_WIDTH}" stroke="var(--soft)"/></svg>'
    )


def coverage_strip(cells: Sequence[Cell], label: str, number: int = 0) -> Markup:
    """Return what a sensor covered: high where it did, hatched where it should have and did not.

    Steps in which nothing was expected are left blank.

    Args:
        cells: in order, all of one width.
        label: what one would say about it to somebody who cannot see it.
        number: tells one strip of a page from another.
    """
    height = 24
    if not cells:
        return Markup()
    wide = _WIDTH / len(cells)
    gap = 0.6 if wide > 4 else 0.0
    parts = []
    for index, cell in enumerate(cells):
        if not cell.expected:
            continue
        share = min(cell.delivered / cell.expected, 1.0)
        left = index * wide
        if share < 1:
            parts.append(
                f'<rect x="{left:.2f}" y="0" width="{wide - gap:.2f}" height="{height}" '
                f'fill="url(#gap{number})"/>'
            )
        if share > 0:
            tall = max(height * share, 2.0)
            parts.append(
                f'<rect x="{left:.2f}" y="{height - tall:.1f}" width="{wide - gap:.2f}" '
                f'height="{tall:.1f}" fill="var(--accent)"/>'
            )
    return Markup(  # noqa: S704 - made of numbers and of an escaped text
        f'<svg class="strip" viewBox="0 0 {_WIDTH} {height}" preserveAspectRatio="none" '
        f'role="img" aria-label="{escape(label)}"><defs>{_HATCH.format(id=f"gap{number}")}</defs>'
        f'<path d="M0 {height - 0.5}H{_WIDTH}" stroke="var(--line)"/>{"".join(parts)}</svg>'
    )


def _x(time: datetime, window: Window) -> float:
    share = (time - window.since).total_seconds() / max(window.seconds, 1)
    return _WIDTH * min(max(share, 0.0), 1.0)
