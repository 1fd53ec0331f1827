"""Curves of a result that was worked out before: the same days as the report shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from remnant.report.facts import Mark
from remnant.report.wording import UNIT_WORDS, legible
from remnant.web.curves.curve import Curve, Point
from remnant.windows import Window, parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["curves"]

_DATE: Final = 10


def curves(told: Mapping[str, Any]) -> tuple[Curve, Curve]:
    """Return clients online and requests per day from an ``overview`` result."""
    window = Window(parse_time(told["since"]), parse_time(told["until"]))
    marks = tuple(Mark(parse_time(m["time"]), m["kind"], m["note"]) for m in told["marks"])
    fitted = {
        point["time"][:_DATE]: (point["value"], point["low"], point["high"])
        for point in told["trend"]
    }
    asked = tuple(
        Point(parse_time(day["start"]), day["queries"], day["coverage"], day["gap"])
        for day in told["days"]
    )
    seen = tuple(
        replace(
            point,
            value=day["online"],
            fit=fitted.get(day["start"][:_DATE]),
            clients=day["clients"],
        )
        for point, day in zip(asked, told["days"], strict=True)
    )
    words = UNIT_WORDS.get(told["unit"], legible(told["unit"], 60))
    requests = Curve(
        key="requests",
        title="Requests for watched names per day",
        column="requests",
        counted="requests per UTC day",
        step="day",
        window=window,
        vantage=told["vantage"],
        as_of=parse_time(told["as_of"]),
        level=told["level"],
        simulated=told["simulated"],
        points=asked,
        marks=marks,
        unit="queries",
    )
    online = replace(
        requests,
        key="online",
        title="Clients online at a time",
        column="online",
        counted=f"{words}, mean of the day's hourly counts",
        points=seen,
        unit=told["unit"],
    )
    return online, requests
