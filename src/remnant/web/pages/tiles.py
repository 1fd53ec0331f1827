"""The numbers that stand first on a case's page: each with interval, unit, window, and method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from remnant.report import wording
from remnant.windows import Window, parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remnant.web.curves.curve import Curve

__all__ = ["Tile", "tiles"]

_SHOWN: Final = (
    ("online_hosts", "Online at a time"),
    ("half_life", "Halves every"),
    ("infected_population", "Infected machines in all"),
    ("active_clients", "Seen a day"),
    ("footprint", "Addresses ever seen"),
    ("queries", "Requests in the window"),
)
_COUNTED: Final = frozenset({"queries", "ipv4", "ipv6_64", "mixed"})


class Tile(BaseModel):
    """One number in words.

    ``value`` and ``interval`` are as they read; ``what`` is unit and window; ``method`` is the page
    that says how it is computed.
    """

    quantity: str
    name: str
    value: str
    interval: str
    what: str
    method: str


def tiles(told: Mapping[str, Any], curves: Sequence[Curve]) -> list[Tile]:
    """Return the tiles of an overview; of the curves alone while it is being worked out."""
    if not told:
        return _from_curves(curves)
    found = {
        measure["quantity"]: measure
        for measure in reversed(told["measures"])
        if measure["vantage"] in {None, told["vantage"]}
    }
    return [
        _tile(found[quantity], name, told["minimum_count"])
        for quantity, name in _SHOWN
        if quantity in found
    ]


def _tile(measure: Mapping[str, Any], name: str, minimum: int) -> Tile:
    value, unit = measure["value"], measure["unit"]
    if measure["hidden"] is not None:
        shown = f"<{minimum}" if measure["hidden"] == f"<{minimum}" else "hidden"
        limits = "too few to publish" if shown != "hidden" else "would give a small count away"
    else:
        shown = wording.compact(value) if unit in _COUNTED else wording.amount(value, unit)
        if unit == "days" and value is not None:
            shown += " days"
        limits = _limits(measure)
        if value is None:
            shown = "cannot tell yet" if limits.startswith("cannot") else "no finite value"
    return Tile(
        quantity=measure["quantity"],
        name=name,
        value=shown,
        interval=limits,
        what=_what(measure),
        method=f"/method/{measure['quantity']}",
    )


def _limits(measure: Mapping[str, Any]) -> str:
    value, low, high, level = (measure[key] for key in ("value", "low", "high", "level"))
    if value is None and low is None and high is None:
        return "cannot be estimated yet"
    if low == high and low is not None and level is None:
        return "counted, not estimated"
    told = "" if level is None else f"{wording.percent(level)} interval "
    return told + wording.interval(low, high, measure["unit"])


def _what(measure: Mapping[str, Any]) -> str:
    """Return unit and window."""
    unit = wording.UNIT_WORDS.get(measure["unit"], wording.counted_in(measure["unit"]))
    parts = [] if measure["unit"] == "days" else [unit]
    if measure["since"] and measure["until"]:
        window = Window(parse_time(measure["since"]), parse_time(measure["until"]))
        parts.append(wording.window_words(window))
    return " · ".join(parts)


def _from_curves(curves: Sequence[Curve]) -> list[Tile]:
    """Return what the roll-ups tell at once."""
    out = []
    names = {"online": ("online_hosts", "Online at a time"), "requests": ("queries", "Requests")}
    for curve in curves:
        known = [(p.start, p.drawn) for p in curve.points if p.drawn is not None]
        if not known or curve.key not in names:
            continue
        quantity, name = names[curve.key]
        start, value = known[-1]
        out.append(
            Tile(
                quantity=quantity,
                name=name,
                value=wording.compact(value),
                interval="counted; its interval is being worked out",
                what=f"last complete {curve.step}: {wording.day(start)}",
                method=f"/method/{quantity}",
            )
        )
    return out
