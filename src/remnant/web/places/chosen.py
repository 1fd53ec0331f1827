"""The figure of a few places over time: clients a day, one curve for each."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from remnant.report.facts import Mark
from remnant.report.wording import VANTAGE_WORDS, day, legible, number, unit_word, window_words
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from remnant.report.figures import Figure
    from remnant.web.places.seen import Scope

__all__ = ["dashes", "figure"]

_HALF: Final = timedelta(hours=12)


def figure(
    lines: Sequence[tuple[str, Sequence[float | None]]],
    of: Scope,
    *,
    unit: str,
    simulated: bool,
    key: str = "clients-a-day",
) -> Figure:
    """Return the figure of some places' distinct clients a day.

    Args:
        lines: what a place is called, and its clients on each day of ``of``.
        of: the days and the vantage.
        unit: what one client is.
        simulated: whether the traffic was made up.
        key: name of its files.
    """
    from remnant.report import charts
    from remnant.report.figures import Figure

    drawn = [
        [
            (start + _HALF, value if full else None)
            for start, full, value in zip(of.days, of.covered, values, strict=True)
        ]
        for _, values in lines
    ]
    names = [legible(name, 80) for name, _ in lines]
    seen_by = VANTAGE_WORDS.get(of.vantage, (of.vantage, ""))[0]
    facts = [
        f"distinct {unit_word(unit)} per UTC day",
        window_words(of.window),
        f"seen by: {seen_by}",
        f"data as of {day(of.window.until - timedelta(microseconds=1))}",
    ]
    marks = (
        [Mark(of.takedown, "takedown")]
        if of.takedown is not None and of.takedown in of.window
        else []
    )
    one = len(drawn) == 1

    def rows() -> tuple[tuple[object, ...], ...]:
        return tuple(
            (iso(start)[:10], *(points[index][1] for points in drawn), not full)
            for index, (start, full) in enumerate(zip(of.days, of.covered, strict=True))
        )

    return Figure(
        key=key,
        title="Clients a day" + (f": {names[0]}" if one else ""),
        facts=" · ".join(["SIMULATED", *facts] if simulated else facts),
        label=" ".join(_told(name, points) for name, points in zip(names, drawn, strict=True)),
        columns=("day", *names, "gap"),
        rows=rows(),
        draw=lambda frame: (
            charts.curve(drawn[0], of.window, frame, gaps=of.gaps, marks=marks)
            if one
            else charts.curves(drawn, of.window, frame, gaps=of.gaps)
        ),
        note="shaded: gaps" if of.gaps else "",
    )


def dashes(place: int) -> Markup:
    """Return a sample of the stroke of one curve, for the key beside the figure."""
    from remnant.report.charts import STROKES

    ink, width, pattern = STROKES[place]
    dash = f' stroke-dasharray="{" ".join(map(str, pattern))}"' if pattern else ""
    return Markup(  # noqa: S704 - made of our own words and numbers
        f'<svg class="stroke" viewBox="0 0 36 8" width="36" height="8" aria-hidden="true">'
        f'<path d="M0 4H36" fill="none" stroke="var(--{ink})" stroke-width="{width + 0.6}"{dash}/>'
        "</svg>"
    )


def _told(name: str, points: Sequence[tuple[datetime, float | None]]) -> str:
    known = [(time, value) for time, value in points if value is not None]
    if not known:
        return f"{name}: no day that could be measured."
    (first, start), (last, end) = known[0], known[-1]
    return f"{name}: {number(start)} on {day(first)}, {number(end)} on {day(last)}."
