"""What pages about places answer with, and how it is put together for who asks."""

from __future__ import annotations

import contextlib
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from remnant.errors import NoData
from remnant.report.lands import UNKNOWN, name_of, tiles
from remnant.web.access.networks import owns
from remnant.web.access.viewer import Role
from remnant.web.places.rows import PlaceRow, exact, published
from remnant.web.places.seen import Scope, curves, places, scope
from remnant.windows import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remnant.store import View
    from remnant.web.places.asking import Days
    from remnant.web.places.seen import By
    from remnant.web.site import Asked

__all__ = [
    "About",
    "Facet",
    "Tile",
    "about_of",
    "content_of",
    "counted_tiles",
    "draw_curves",
    "facets",
    "noted",
    "own_rows",
    "published_about",
    "published_rows",
    "rates_about",
    "scope_of",
]

_SHADES: Final = 5
_MOST_FACETS: Final = 40


class About(BaseModel):
    """Which traffic the numbers are about.

    ``since`` and ``until`` are UTC, half-open; ``unit`` is what one client is; of ``days`` in the
    window ``covered_days`` are no gaps. ``exact`` is false where small counts are hidden, those
    under ``minimum_count``.
    """

    vantage: str
    vantages: list[str]
    unit: str
    since: datetime
    until: datetime
    days: int
    covered_days: int
    takedown: datetime | None
    exact: bool
    minimum_count: int


class Facet(BaseModel):
    """How many rows have one value."""

    value: str
    label: str
    count: int


class Tile(BaseModel):
    """One country of the map: where its tile stands, what it says, how dark it is (0 to 5)."""

    code: str
    name: str
    column: int | None
    row: int | None
    clients_a_day: float | None
    half_life: float | None
    state: str | None
    shade: int
    hidden: bool = False


def scope_of(asked: Asked, case: str, view: View, query: Days) -> Scope:
    """Return the traffic that was asked for.

    Raises:
        NoData: there is none.
    """
    takedown = asked.case(case).takedown
    return scope(view, takedown, vantage=query.vantage, since=query.since, until=query.until)


@contextlib.contextmanager
def noted(notes: list[str]) -> Iterator[None]:
    """Say on the page that there is no data, where that is so."""
    try:
        yield
    except NoData as error:
        notes.append(". ".join(part for part in (error.what, error.hint) if part))


def about_of(view: View, of: Scope) -> About:
    """Return what exact numbers are about."""
    from remnant.estimate.traffic import unit_of

    return About(
        vantage=of.vantage,
        vantages=list(of.vantages),
        unit=unit_of(view, of.vantage),
        since=of.window.since,
        until=of.window.until,
        days=len(of.days),
        covered_days=len(of.full_days),
        takedown=of.takedown,
        exact=True,
        minimum_count=0,
    )


def content_of(asked: Asked, case: str) -> dict[str, Any] | None:
    """Return what a report for publication shows of a case; null while it is being made."""
    value: dict[str, Any] | None = asked.site.results.get(case, "overview", internal=False).value
    return value


def published_about(content: dict[str, Any]) -> About:
    """Return what published numbers are about."""
    window = content.get("window") or content
    days = content.get("days") or ()
    return About(
        vantage=content["vantage"],
        vantages=[content["vantage"]],
        unit=content["unit"],
        since=_time(window["since"]),
        until=_time(window["until"]),
        days=len(days),
        covered_days=sum(1 for day in days if not day["gap"]),
        takedown=_time(content["takedown"]) if content.get("takedown") else None,
        exact=False,
        minimum_count=content["minimum_count"],
    )


def published_rows(content: dict[str, Any] | None, by: By) -> list[PlaceRow]:
    """Return the published rows, and their share of the published client-days where all are."""
    return [] if content is None else published(content, by)


def own_rows(asked: Asked, case: str, view: View, of: Scope) -> list[PlaceRow]:
    """Return the exact rows of a network owner's own ASes, with their curves; else none."""
    if asked.viewer.role is not Role.OWNER:
        return []
    found = exact(asked, case, view, of, "network")
    own = [row for row in found if row.asn is not None and owns(asked.viewer, row.asn)]
    return draw_curves(view, of, own, "network")


def draw_curves(view: View, of: Scope, rows: Sequence[PlaceRow], by: By) -> list[PlaceRow]:
    """Return the rows with their curves."""
    known = {place.key: place for place in places(view, of, by)}
    chosen = [known[row.key] for row in rows]
    return [
        row.model_copy(update={"curve": [_short(value) for value in pulse.values]})
        for row, pulse in zip(rows, curves(view, of, chosen, by), strict=True)
    ]


def _short(value: float | None) -> float | None:
    """Return a mean to three digits: finer than any curve shows."""
    return None if value is None else float(f"{value:.3g}")


def facets(rows: Sequence[PlaceRow]) -> tuple[list[Facet], list[Facet]]:
    """Return how many rows lie in each country, and how many are in each state."""
    countries = Counter(row.country or UNKNOWN for row in rows)
    states = Counter(row.state for row in rows if row.state)
    return (
        [
            Facet(value=code, label=name_of(None if code == UNKNOWN else code), count=count)
            for code, count in sorted(countries.items(), key=lambda item: (-item[1], item[0]))
        ][:_MOST_FACETS],
        [Facet(value=state, label=state, count=count) for state, count in states.most_common()],
    )


def counted_tiles(rows: Sequence[PlaceRow]) -> tuple[list[Tile], list[float]]:
    """Return a tile for every country, and the least clients a day of each shade.

    Shades are steps of equal ratio between the smallest and the largest count.
    """
    seen = {row.country or UNKNOWN: row for row in rows}
    values = [row.clients_a_day for row in rows if row.clients_a_day]
    low = max(min(values, default=1.0), max(values, default=1.0) / 1000, 0.1)
    high = max(values, default=1.0)
    ratio = max((high / low) ** (1 / _SHADES), 1.0)
    steps = [low * ratio**step for step in range(_SHADES)]

    def tile(code: str, column: int | None, line: int | None) -> Tile:
        row = seen.get(code)
        size = row.clients_a_day if row is not None else None
        return Tile(
            code=code,
            name=name_of(None if code == UNKNOWN else code),
            column=column,
            row=line,
            clients_a_day=size,
            half_life=row.half_life if row is not None else None,
            state=row.state if row is not None else None,
            shade=0 if not size else max(1, sum(1 for step in steps if size >= step * 0.999999)),
            hidden=row is not None and "clients_a_day" in row.hidden,
        )

    grid = tiles()
    placed = [tile(code, column, line) for code, (column, line) in grid.items()]
    elsewhere = [tile(code, None, None) for code in sorted(seen) if code not in grid]
    return placed + elsewhere, steps


def rates_about(asked: Asked, case: str) -> tuple[dict[str, Any] | None, list[str]]:
    """Return how the rates were made, and what is not known of them yet, in sentences."""
    notes = []
    fitted = asked.site.results.get(case, "places", internal=True)
    if fitted.problem:
        notes.append(f"Half-lives cannot be told: {fitted.problem}")
    elif fitted.value is None:
        notes.append("Half-lives and ranks are being worked out.")
    elif fitted.value["refusal"]:
        notes.append(f"Half-lives cannot be told yet: {fitted.value['refusal']}.")
    elif not fitted.is_current:
        notes.append("Half-lives and ranks are from before the newest data.")
    counted = asked.site.results.get(case, "distinct_places", internal=True)
    if counted.value is None and not counted.problem:
        notes.append("Distinct clients of all days are being counted.")
    return fitted.value or None, notes


def _time(value: object) -> datetime:
    return value if isinstance(value, datetime) else parse_time(str(value))
