"""Two series side by side: two periods, two networks or countries, or two vantages.

Daily values of complete days only; a day that is not complete is a gap on its side.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from remnant import schema
from remnant.errors import RemnantError
from remnant.report.facts import FULL_COVERAGE
from remnant.report.wording import UNIT_WORDS, VANTAGE_WORDS, legible
from remnant.windows import Window, ceil, floor, parse_time

if TYPE_CHECKING:
    from remnant.store import View

__all__ = ["Counted", "NotAPlace", "Side", "largest", "of_place", "of_whole", "parse_place"]

Counted = Literal["online", "clients", "requests"]

_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AS: Final = re.compile(r"(?:AS)?(\d{1,10})", re.IGNORECASE)
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}")
_COLUMN: Final = {"clients": "clients", "requests": "queries"}


class NotAPlace(RemnantError):
    """A text that is neither an AS nor a country."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two.

    Attributes:
        label: what it is.
        window: its days.
        vantage: where it was seen.
        unit: what one is, in words.
        days: midnights (UTC), one after the other.
        values: null on a day that is not complete.
        coverage: sensor-hours with traffic / expected over the window; null where not known.
    """

    label: str
    window: Window
    vantage: str
    unit: str
    days: tuple[datetime, ...]
    values: tuple[float | None, ...]
    coverage: float | None

    @property
    def known(self) -> list[tuple[datetime, float]]:
        """Its complete days."""
        pairs = zip(self.days, self.values, strict=True)
        return [(day, value) for day, value in pairs if value is not None]

    @property
    def gap_days(self) -> int:
        """How many of its days are not complete."""
        return len(self.days) - len(self.known)


def of_whole(view: View, window: Window, vantage: str, counted: Counted, label: str = "") -> Side:
    """Return all of a case over a window, seen from one vantage."""
    from remnant.estimate import online, traffic

    rows: list[dict[str, Any]] = traffic.by_time(view, "day", window, vantage)
    made = online.series(view, window, vantage)
    levels = dict(zip(made.days.tolist(), made.values.tolist(), strict=True))
    values: list[float | None] = []
    for row in rows:
        start = parse_time(row["start"])
        value: float | None
        if counted == "online":
            level = levels.get((start - _EPOCH) // _DAY, float("nan"))
            value = None if np.isnan(level) else float(level)
        else:
            value = row[_COLUMN[counted]] if _complete(row, window) else None
        values.append(value)
    return Side(
        label=label or VANTAGE_WORDS.get(vantage, (legible(vantage, 40), ""))[0],
        window=window,
        vantage=vantage,
        unit=_unit(counted, made.unit),
        days=tuple(parse_time(row["start"]) for row in rows),
        values=tuple(values),
        coverage=_coverage(rows),
    )


def of_place(
    view: View, window: Window, vantage: str, counted: Counted, place: tuple[int | None, str | None]
) -> Side:
    """Return one network (AS number) or one country over a window.

    Clients of a day add up over the countries of an AS, and over the networks of a country: a
    client is of one network.
    """
    import ibis

    from remnant.estimate import traffic

    asn, country = place
    rows: list[dict[str, Any]] = traffic.by_time(view, "day", window, vantage)
    table = view.table(schema.ACTIVITY)
    low, high = (
        ibis.literal(time, type="timestamp('UTC', 6)")
        for time in (floor(window.since, "day"), ceil(window.until, "day"))
    )
    table = table.filter(
        table.grain == "network",
        table.vantage == vantage,
        table.start >= low,
        table.start < high,
        table.asn == asn if asn is not None else table.country == country,
    )
    column = _COLUMN["requests" if counted == "requests" else "clients"]
    found = table.group_by("start").aggregate(n=table[column].sum()).to_pyarrow().to_pylist()
    seen = {row["start"].astimezone(UTC): row["n"] for row in found}
    days = tuple(parse_time(row["start"]) for row in rows)
    return Side(
        label=f"AS{asn}" if asn is not None else str(country),
        window=window,
        vantage=vantage,
        unit=_unit(
            "requests" if counted == "requests" else "clients", traffic.unit_of(view, vantage)
        ),
        days=days,
        values=tuple(
            float(seen.get(day, 0)) if _complete(row, window) else None
            for day, row in zip(days, rows, strict=True)
        ),
        coverage=_coverage(rows),
    )


def parse_place(text: str) -> tuple[int | None, str | None]:
    """Return the AS number or the country that a text names.

    Raises:
        NotAPlace: it names neither.

    >>> parse_place("AS64500"), parse_place("de")
    ((64500, None), (None, 'DE'))
    """
    if _COUNTRY.fullmatch(text):
        return None, text.upper()
    number = _AS.fullmatch(text)
    if number and int(number[1]) < 2**32:
        return int(number[1]), None
    raise NotAPlace(
        "this is neither a network nor a country", got=text[:64], expected="AS64500 or DE"
    )


def largest(view: View, vantage: str, window: Window, most: int) -> tuple[list[str], list[str]]:
    """Return networks and countries with most client-days, as ``parse_place`` reads them."""
    from remnant.report.places import client_days

    days = [
        day
        for day in (window.since + _DAY * n for n in range(int(window.seconds // 86_400)))
        if day == floor(day, "day")
    ]
    places: dict[int, int] = {}
    countries: dict[str, int] = {}
    for key, size in client_days(view, vantage, days, networks=True).items():
        asn, country = key if isinstance(key, tuple) else (None, key)
        if asn is not None:
            places[asn] = places.get(asn, 0) + size
        if country is not None:
            countries[country] = countries.get(country, 0) + size
    return (
        [f"AS{asn}" for asn in sorted(places, key=lambda a: (-places[a], a))[:most]],
        sorted(countries, key=lambda c: (-countries[c], c))[:most],
    )


def _unit(counted: Counted, unit: str) -> str:
    words = UNIT_WORDS.get(unit, legible(unit, 60))
    return {
        "requests": "requests a day",
        "clients": f"distinct {words} a day",
        "online": f"{words}, mean of the day's hourly counts",
    }[counted]


def _complete(row: dict[str, Any], window: Window) -> bool:
    start = parse_time(row["start"])
    if start < window.since or start + _DAY > window.until or row["queries"] is None:
        return False
    return row["coverage"] is None or row["coverage"] >= FULL_COVERAGE


def _coverage(rows: list[dict[str, Any]]) -> float | None:
    known = [row["coverage"] for row in rows if row["coverage"] is not None]
    return sum(known) / len(known) if known else None
