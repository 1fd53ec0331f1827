"""A small curve for a table cell: one polyline, drawn without any library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from markupsafe import Markup

if TYPE_CHECKING:
    from remnant.report.facts import Pulse

__all__ = ["sparkline"]

_WIDTH: Final = 112
_HEIGHT: Final = 24


def sparkline(pulse: Pulse) -> Markup:
    """Return a curve from zero as inline SVG, broken at nulls; empty where there is none.

    It is hidden from screen readers: the first and last values stand in the cells beside it.
    """
    values = pulse.values
    known = [value for value in values if value is not None]
    if not known:
        return Markup()
    top = max(known) or 1.0
    step = (_WIDTH - 4) / max(len(values) - 1, 1)
    moves: list[str] = []
    pen_down = False
    for index, value in enumerate(values):
        if value is None:
            pen_down = False
            continue
        x = 2 + index * step
        y = _HEIGHT - 3 - (_HEIGHT - 6) * value / top
        # A point alone gets a dot: a line of no length with round ends.
        dot = (
            "h0" if not pen_down and (index + 1 == len(values) or values[index + 1] is None) else ""
        )
        moves.append(f"{'L' if pen_down else 'M'}{x:.1f} {y:.1f}{dot}")
        pen_down = True
    return Markup(  # noqa: S704 - made of numbers only
        f'<svg class="pulse" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">'
        f'<path d="M0 {_HEIGHT - 2}H{_WIDTH}" stroke="var(--line)"/>'
        f'<path d="{"".join(moves)}" fill="none" stroke="var(--accent)" stroke-width="1.6" '
        'stroke-linejoin="round" stroke-linecap="round"/></svg>'
    )
