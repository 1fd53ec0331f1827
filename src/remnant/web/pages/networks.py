"""Networks and countries: where the clients are, and where they become fewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from remnant.report.lands import UNKNOWN
from remnant.report.wording import legible
from remnant.web.access.gate import admits
from remnant.web.access.viewer import ANALYSTS, EVERYONE, Role
from remnant.web.page import page, to_csv
from remnant.web.pages.about import About as CaseAbout
from remnant.web.pages.about import about
from remnant.web.places.answers import (
    About,
    Facet,
    Tile,
    about_of,
    content_of,
    counted_tiles,
    draw_curves,
    facets,
    noted,
    own_rows,
    published_about,
    published_rows,
    rates_about,
    scope_of,
)
from remnant.web.places.asking import MOST_ROWS, PlacesQuery
from remnant.web.places.bars import widths
from remnant.web.places.contacts import told_about
from remnant.web.places.drawn import as_file, drawn, picked
from remnant.web.places.order import Paged, paged
from remnant.web.places.rows import PlaceRow, exact, label_of, value_of
from remnant.web.problem import RESPONSES
from remnant.web.site import AskedBy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.web.site import Asked

__all__ = ["router"]

router = APIRouter(tags=["places"])


class PlacesAnswer(BaseModel):
    """A page of the table of networks or countries, and what stands beside it.

    ``before`` rows stand before the first one, ``matched`` fit the filters, ``total`` there are in
    all; ``after`` is the cursor of the next page. ``own`` are the exact rows of a network owner's
    own networks. ``tiles`` are the map of all countries, ``shades`` its steps (clients a day).
    """

    about: CaseAbout
    of: About | None = None
    show: str
    sort: str
    descending: bool
    rows: list[PlaceRow] = []
    before: int = 0
    matched: int = 0
    total: int = 0
    after: str | None = None
    own: list[PlaceRow] = []
    own_prefixes: list[str] = []
    countries: list[Facet] = []
    states: list[Facet] = []
    tiles: list[Tile] = []
    shades: list[float] = []
    rates: dict[str, Any] | None = None
    notes: list[str] = []
    bars: list[float] = Field(default=[], exclude=True)
    drawn: Any = Field(default=None, exclude=True)
    query: PlacesQuery = Field(default=PlacesQuery(), exclude=True)


@page(router, "/cases/{case}/networks", title="Networks and countries", roles=EVERYONE)
def networks(asked: AskedBy, case: str, query: Annotated[PlacesQuery, Query()]) -> PlacesAnswer:
    """Return where the clients are: networks (origin AS and country), or countries.

    Analysts see exact numbers; the public and network owners see what a report publishes, network
    owners their own networks exactly.
    """
    if asked.viewer.is_internal:
        return _exact(asked, case, query)
    query.refuse_free()
    return _published(asked, case, query)


@router.get(
    "/cases/{case}/networks.csv",
    response_class=Response,
    summary="Networks and countries, as CSV",
    responses=RESPONSES | {200: {"content": {"text/csv": {}}}},
)
@admits(EVERYONE)
def networks_csv(asked: AskedBy, case: str, query: Annotated[PlacesQuery, Query()]) -> Response:
    """Return every row that fits the filters, not a page of them."""
    if asked.viewer.is_internal:
        with asked.site.snapshots.view(case) as view:
            of = scope_of(asked, case, view, query)
            rows = _fitting(exact(asked, case, view, of, query.by), query)
        if query.by == "network":
            rows = told_about(asked.site.settings, case, rows)
    else:
        query.refuse_free()
        asked.case(case)
        rows = _fitting(published_rows(content_of(asked, case), query.by), query)
        if asked.viewer.role is Role.OWNER and query.by == "network":
            with asked.site.snapshots.view(case) as view:
                own = own_rows(asked, case, view, scope_of(asked, case, view, query))
            own = told_about(asked.site.settings, case, own)
            keys = {row.key for row in own}
            rows = own + [row for row in rows if row.key not in keys]
    ordered = _page(rows, query, limit=max(len(rows), 1)).rows
    return Response(
        to_csv(_flat(row) for row in ordered),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{case}-{query.show}.csv"'},
    )


@router.get(
    "/cases/{case}/networks/curves.{kind}",
    response_class=Response,
    summary="Clients a day of chosen networks or countries, as a figure",
    responses=RESPONSES,
)
@admits(ANALYSTS)
def curves_file(
    asked: AskedBy, case: str, kind: str, query: Annotated[PlacesQuery, Query()]
) -> Response:
    """Return the figure of the picked places as ``svg``, ``png`` or ``csv``."""
    with asked.site.snapshots.view(case) as view:
        of = scope_of(asked, case, view, query)
        about = about_of(view, of)
        chosen = picked(exact(asked, case, view, of, query.by), query.pick)
        made = drawn(view, of, chosen, query.by, about.unit, simulated=view.simulated)
    return as_file(made.figure, case, kind)


def _exact(asked: Asked, case: str, query: PlacesQuery) -> PlacesAnswer:
    answer = _empty(asked, case, query)
    rates, answer.notes = rates_about(asked, case)
    with noted(answer.notes), asked.site.snapshots.view(case) as view:
        of = scope_of(asked, case, view, query)
        answer.of = about_of(view, of)
        everything = exact(asked, case, view, of, query.by)
        found = _page(_fitting(everything, query), query, limit=query.limit, after=query.after)
        _fill(answer, found, everything, query)
        answer.rows = draw_curves(view, of, found.rows, query.by)
        if query.by == "network":
            answer.rows = told_about(asked.site.settings, case, answer.rows)
        answer.countries, answer.states = facets(everything)
        if query.by == "country":
            answer.tiles, answer.shades = counted_tiles(everything)
        chosen = picked(everything, query.pick)
        if chosen:
            answer.drawn = drawn(
                view, of, chosen, query.by, answer.of.unit, simulated=view.simulated
            )
        if rates and rates["vantage"] != of.vantage:
            answer.notes.append(f"Half-lives are worked out for vantage {rates['vantage']} only.")
        if rates:
            answer.rates = {key: rates[key] for key in ("vantage", "ranked", "refusal", "about")}
    return answer


def _published(asked: Asked, case: str, query: PlacesQuery) -> PlacesAnswer:
    answer = _empty(asked, case, query)
    content = content_of(asked, case)
    if content is None:
        answer.notes.append("There are no published numbers yet.")
    else:
        answer.of = published_about(content)
        everything = published_rows(content, query.by)
        found = _page(_fitting(everything, query), query, limit=query.limit, after=query.after)
        _fill(answer, found, everything, query)
        if query.by == "country":
            answer.tiles, answer.shades = counted_tiles(everything)
    if asked.viewer.role is Role.OWNER:
        answer.own_prefixes = [text for text in asked.viewer.networks if "/" in text]
        with noted(answer.notes), asked.site.snapshots.view(case) as view:
            own = own_rows(asked, case, view, scope_of(asked, case, view, query))
            answer.own = told_about(asked.site.settings, case, own)
    return answer


def _empty(asked: Asked, case: str, query: PlacesQuery) -> PlacesAnswer:
    return PlacesAnswer(
        about=about(asked, case),
        show=query.show,
        sort=query.sort,
        descending=query.descending,
        query=query,
    )


def _fill(
    answer: PlacesAnswer,
    found: Paged[PlaceRow],
    everything: Sequence[PlaceRow],
    query: PlacesQuery,
) -> None:
    """Put a page of the table into the answer."""
    answer.rows = found.rows
    answer.before, answer.matched = found.before, found.total
    answer.total, answer.after = len(everything), found.after
    answer.bars = widths(found.rows, query.scale, everything)


def _fitting(rows: Sequence[PlaceRow], query: PlacesQuery) -> list[PlaceRow]:
    """Return the rows that fit the filters."""
    wanted = " ".join(query.text.casefold().split()) if query.text else None
    if wanted and wanted.removeprefix("as").isdecimal():
        wanted = wanted.removeprefix("as")
    country = None if query.country is None else query.country.upper()
    unknown = country == UNKNOWN.upper()

    def fits(row: PlaceRow) -> bool:
        if country is not None and (row.country or "") != ("" if unknown else country):
            return False
        if query.state is not None and row.state != query.state:
            return False
        if not wanted:
            return True
        told = f"{label_of(row)} {row.country or ''} {row.country_name}"
        return wanted in legible(told, 400).casefold()

    return [row for row in rows if fits(row)]


def _page(
    rows: Sequence[PlaceRow], query: PlacesQuery, *, limit: int, after: str | None = None
) -> Paged[PlaceRow]:
    assert limit <= MOST_ROWS or after is None
    return paged(
        rows,
        value=value_of(query.sort),
        key=lambda row: row.key,
        descending=query.descending,
        limit=limit,
        after=after,
    )


def _flat(row: PlaceRow) -> dict[str, Any]:
    """Return a row of CSV: what is hidden says so, curves are left out."""
    plain = row.model_dump(exclude={"curve", "hidden"})
    return plain | dict.fromkeys(row.hidden, "hidden")
