"""Which curves a viewer asks for, and may have: free windows are for those who see small counts."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field

from remnant.web.curves import published, rollups
from remnant.web.curves.curve import Curve
from remnant.windows import Step

if TYPE_CHECKING:
    from remnant.web.site import Asked

__all__ = ["Chosen", "Span", "Time", "Vantage", "chosen"]

Time = Annotated[str, Field(max_length=40, pattern=r"^[0-9TtZz:.+\-]*$")]
"""A date or a time with a zone, or nothing."""
Vantage = Annotated[str, Field(max_length=40, pattern=r"^[a-z_]*$")]


class Span(BaseModel):
    """What of a case is shown, and how.

    ``since`` and ``until`` (exclusive) are dates or times with a zone, UTC; nothing is all of it.
    ``judge`` asks for verdict and estimates of that window too.
    """

    model_config = ConfigDict(extra="forbid")

    since: Time = ""
    until: Time = ""
    vantage: Vantage = ""
    step: Step = "day"
    log: bool = False
    judge: bool = False

    @property
    def is_free(self) -> bool:
        """Whether it asks for something else than what is published."""
        return bool(self.since or self.until or self.vantage or self.step != "day")

    @property
    def judged(self) -> dict[str, str]:
        """The window and vantage that verdict and estimates are asked for; none: the usual ones."""
        if not self.judge:
            return {}
        given = {"since": self.since, "until": self.until, "vantage": self.vantage}
        return {name: text for name, text in given.items() if text}


class Chosen(BaseModel):
    """The curves, and what can be chosen.

    ``whole_since`` and ``whole_until`` are the limits of the data. ``step`` may be coarser than
    what was asked for, then ``note`` says why.
    """

    step: Step
    log: bool
    since: datetime
    until: datetime
    whole_since: datetime
    whole_until: datetime
    vantage: str
    vantages: list[str]
    free: bool
    note: str = ""
    curves: list[Any] = Field(exclude=True)

    def curve(self, key: str) -> Curve | None:
        """Return a curve by its key."""
        return next((curve for curve in self.curves if curve.key == key), None)


def chosen(asked: Asked, case: str, span: Span) -> Chosen | None:
    """Return the curves that a viewer asks for; null where there is no traffic or no result yet.

    Raises:
        HTTPException: 403, a free window of somebody who sees only what is published.
        RemnantError: the window lies outside of the data, or is none.
    """
    if asked.viewer.is_internal:
        return _from_rollups(asked, case, span)
    if span.is_free or span.judge:
        raise HTTPException(
            403, "only analysts choose windows: differences of them would give small counts away"
        )
    told = asked.site.results.get(case, "overview", internal=False).value
    if told is None:
        return None
    curves = published.curves(told)
    window = curves[0].window
    return Chosen(
        step="day",
        log=span.log,
        since=window.since,
        until=window.until,
        whole_since=window.since,
        whole_until=window.until,
        vantage=told["vantage"],
        vantages=[told["vantage"]],
        free=False,
        curves=list(curves),
    )


def _from_rollups(asked: Asked, case: str, span: Span) -> Chosen | None:
    from remnant.errors import NoData
    from remnant.estimate.coverage import choose_vantage, default_window, vantages

    loaded = asked.case(case)
    settings = asked.site.settings
    with asked.site.snapshots.view(case) as view:
        try:
            whole = default_window(view)
        except NoData:
            return None
        vantage = choose_vantage(view, span.vantage or None)
        window = rollups.window_of(view, span.since or None, span.until or None)
        step, note = span.step, ""
        if step == "hour" and window.until - window.since > rollups.LONGEST_HOURS:
            step = "day"
            note = (
                f"Hours are drawn for windows of up to {rollups.LONGEST_HOURS.days} days; "
                "this one is shown by day."
            )
        key = ("curves", window, vantage, step, hash(repr(loaded)))
        made = view.known(
            key,
            lambda: rollups.curves(
                view, loaded, settings, window=window, vantage=vantage, step=step
            ),
        )
        return Chosen(
            step=step,
            log=span.log,
            since=window.since,
            until=window.until,
            whole_since=whole.since,
            whole_until=whole.until,
            vantage=vantage,
            vantages=list(vantages(view)),
            free=window != whole or bool(span.vantage),
            note=note,
            curves=list(made),
        )
