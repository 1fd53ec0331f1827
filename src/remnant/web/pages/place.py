"""One country, one network, one prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query, Response

from remnant import schema
from remnant.report.lands import UNKNOWN, name_of
from remnant.web.access.gate import admits
from remnant.web.access.networks import owns
from remnant.web.access.viewer import ANALYSTS, EVERYONE, OWNERS, Role
from remnant.web.page import page
from remnant.web.pages.about import about
from remnant.web.places.answers import (
    about_of,
    content_of,
    draw_curves,
    noted,
    own_rows,
    published_about,
    published_rows,
    rates_about,
    scope_of,
)
from remnant.web.places.asked import CountryAnswer, Day, NetworkAnswer, PrefixAnswer
from remnant.web.places.asking import Days
from remnant.web.places.bars import widths
from remnant.web.places.clients import client_rows
from remnant.web.places.contacts import told_about
from remnant.web.places.drawn import Drawn, as_file, drawn, of_lines
from remnant.web.places.parts import (
    MOST_CLIENT_ROWS,
    by_prefix,
    inside_prefix,
    names_asked,
    recent,
)
from remnant.web.places.prefixes import parse
from remnant.web.places.rows import PlaceRow, exact
from remnant.web.places.seen import Place, daily, scope
from remnant.web.problem import RESPONSES
from remnant.web.site import AskedBy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.store import View
    from remnant.web.places.seen import By, Scope
    from remnant.web.site import Asked

__all__ = ["router"]

router = APIRouter(tags=["places"])

_ROWS = 100
Code = Annotated[str, Path(pattern="^(?:[A-Za-z]{2}|unknown)$", description="ISO code, or unknown")]
Number = Annotated[
    str, Path(pattern="^(?:[Aa][Ss])?[0-9]{1,10}$", description="AS number: 64500 or AS64500")
]
Prefix = Annotated[str, Path(max_length=60, description="192.0.2.0/24 or 2001:db8::/48")]


@page(router, "/cases/{case}/countries/{code}", title="Country", roles=EVERYONE, table="networks")
def country(
    asked: AskedBy, case: str, code: Code, query: Annotated[Days, Query()]
) -> CountryAnswer:
    """Return one country: how many clients, since when fewer, in which networks."""
    wanted = UNKNOWN if code.lower() == UNKNOWN else code.upper()
    key = None if wanted == UNKNOWN else wanted
    answer = CountryAnswer(about=about(asked, case), code=wanted, name=name_of(key), query=query)
    if not asked.viewer.is_internal:
        query.refuse_free()
        return _published_country(asked, case, answer, key)
    _, answer.notes = rates_about(asked, case)
    with noted(answer.notes), asked.site.snapshots.view(case) as view:
        of = scope_of(asked, case, view, query)
        answer.of = about_of(view, of)
        answer.row = _only(exact(asked, case, view, of, "country"), key)
        mine = [row for row in exact(asked, case, view, of, "network") if row.country == key]
        mine.sort(key=lambda row: (-(row.clients_a_day or 0.0), row.key))
        answer.networks_total = len(mine)
        answer.networks = draw_curves(view, of, mine[:_ROWS], "network")
        answer.bars = widths(answer.networks, "linear", mine)
        if answer.row is not None:
            answer.days = _days(view, of, [answer.row], "country")
            answer.drawn = drawn(
                view, of, [answer.row], "country", answer.of.unit, simulated=view.simulated
            )
    return answer


@page(router, "/cases/{case}/networks/{asn}", title="Network", roles=EVERYONE, table="prefixes")
def network(
    asked: AskedBy, case: str, asn: Number, query: Annotated[Days, Query()]
) -> NetworkAnswer:
    """Return one network: how many clients, in which prefixes, and what they ask for."""
    number = int(asn.upper().removeprefix("AS"))
    answer = NetworkAnswer(about=about(asked, case), asn=number, query=query)
    if not owns(asked.viewer, number):
        query.refuse_free()
        content = content_of(asked, case)
        found = published_rows(content, "network")
        answer.rows = [row for row in found if row.asn == number]
        answer.of = published_about(content) if content is not None else None
        answer.as_name = next((row.as_name for row in answer.rows if row.as_name), None)
        answer.notes = [] if content is not None else ["The numbers are being worked out."]
        return answer
    _, answer.notes = rates_about(asked, case)
    answer.may_see_clients = True
    with noted(answer.notes), asked.site.snapshots.view(case) as view:
        of = scope_of(asked, case, view, query)
        answer.of = about_of(view, of)
        mine = [row for row in exact(asked, case, view, of, "network") if row.asn == number]
        answer.rows = told_about(asked.site.settings, case, draw_curves(view, of, mine, "network"))
        answer.as_name = next((row.as_name for row in mine if row.as_name), None)
        if mine:
            read = recent(view, of, schema.CLIENTS, MOST_CLIENT_ROWS)
            answer.prefixes_since = read.window.since
            rows = client_rows(view, read, asked.viewer, asn=number)
            found_prefixes, answer.prefixes_total = by_prefix(rows, _ROWS)
            answer.prefixes = told_about(
                asked.site.settings, case, found_prefixes, by="prefix", asn=number
            )
            answer.names, window = names_asked(view, of, number, 50)
            answer.names_since, answer.names_until = window.since, window.until
            answer.days = _days(view, of, mine, "network")
            answer.drawn = drawn(
                view, of, mine[:6], "network", answer.of.unit, simulated=view.simulated
            )
    return answer


_FILE_RESPONSES: dict[int | str, dict[str, Any]] = RESPONSES | {
    200: {"content": {"image/svg+xml": {}, "image/png": {}, "text/csv": {}}}
}
File = Annotated[Literal["svg", "png", "csv"], Path(description="What the figure comes as.")]


@router.get(
    "/cases/{case}/countries/{code}/curve.{file}",
    response_class=Response,
    summary="Clients a day of a country, as a figure",
    responses=_FILE_RESPONSES,
)
@admits(ANALYSTS)
def country_curve(
    asked: AskedBy, case: str, code: Code, file: File, query: Annotated[Days, Query()]
) -> Response:
    """Return the figure of a country's page."""
    return _file(country(asked, case, code, query).drawn, f"{case}-{code}", file)


@router.get(
    "/cases/{case}/networks/{asn}/curve.{file}",
    response_class=Response,
    summary="Clients a day of a network, as a figure",
    responses=_FILE_RESPONSES,
)
@admits(OWNERS)
def network_curve(
    asked: AskedBy, case: str, asn: Number, file: File, query: Annotated[Days, Query()]
) -> Response:
    """Return the figure of a network's page, to who may see the network."""
    return _file(network(asked, case, asn, query).drawn, f"{case}-{asn}", file)


@router.get(
    "/cases/{case}/prefixes/{prefix:path}/curve.{file}",
    response_class=Response,
    summary="Clients a day of a prefix, as a figure",
    responses=_FILE_RESPONSES,
)
@admits(OWNERS)
def prefix_curve(
    asked: AskedBy, case: str, prefix: Prefix, file: File, query: Annotated[Days, Query()]
) -> Response:
    """Return the figure of a prefix's page, as far as the viewer may see it."""
    found = one_prefix(asked, case, prefix, query)
    stem = "".join(char if char.isalnum() else "-" for char in found.prefix)
    return _file(found.drawn, f"{case}-{stem}", file)


def _file(found: Drawn | None, stem: str, file: str) -> Response:
    if found is None:
        raise HTTPException(404, "there is no figure: nothing of this was seen, or not for you")
    return as_file(found.figure, stem, file)


@page(
    router,
    "/cases/{case}/prefixes/{prefix:path}",
    title="Prefix",
    roles=OWNERS,
    table="prefixes",
    template="prefix",
)
def one_prefix(
    asked: AskedBy, case: str, prefix: Prefix, query: Annotated[Days, Query()]
) -> PrefixAnswer:
    """Return one prefix: how many clients and when, as far as the viewer may see them."""
    found = parse(prefix)
    answer = PrefixAnswer(
        about=about(asked, case),
        prefix=str(found),
        query=query,
        partly=not owns(asked.viewer, address=str(found)),
    )
    with noted(answer.notes), asked.site.snapshots.view(case) as view:
        of = scope_of(asked, case, view, query)
        answer.of = about_of(view, of)
        of = recent(view, of, schema.CLIENTS, MOST_CLIENT_ROWS)
        of = scope(view, of.takedown, vantage=of.vantage, **_dates(of))
        answer.of = about_of(view, of)
        told = inside_prefix(client_rows(view, of, asked.viewer, network=found), _ROWS)
        answer.clients, answer.queries = told.clients, told.queries
        answer.first, answer.last = told.first, told.last
        answer.prefixes_total = told.prefixes_total
        answer.prefixes = told_about(asked.site.settings, case, told.prefixes, by="prefix")
        answer.asns = [
            PlaceRow(asn=n, as_name=name, country=land, country_name=name_of(land), clients=count)
            for n, name, land, count in told.asns
        ]
        if answer.clients:
            values = [told.daily.get(round(day.timestamp()) // 86_400, 0) for day in of.days]
            answer.days = _told(of, values)
            answer.drawn = of_lines(
                [(str(found), values)], of, answer.of.unit, simulated=view.simulated
            )
    return answer


def _published_country(
    asked: Asked, case: str, answer: CountryAnswer, key: str | None
) -> CountryAnswer:
    content = content_of(asked, case)
    answer.notes = [] if content is not None else ["The numbers are being worked out."]
    answer.of = published_about(content) if content is not None else None
    answer.row = _only(published_rows(content, "country"), key)
    answer.networks = [row for row in published_rows(content, "network") if row.country == key]
    if asked.viewer.role is Role.OWNER:
        own: list[PlaceRow] = []
        with noted([]), asked.site.snapshots.view(case) as view:
            own = own_rows(asked, case, view, scope_of(asked, case, view, answer.query))
        keys = {row.key for row in own}
        answer.networks = [row for row in own if row.country == key] + [
            row for row in answer.networks if row.key not in keys
        ]
    answer.networks_total = len(answer.networks)
    answer.bars = widths(answer.networks, "linear", answer.networks)
    return answer


def _only(rows: Sequence[PlaceRow], country: str | None) -> PlaceRow | None:
    return next((row for row in rows if row.country == country), None)


def _days(view: View, of: Scope, rows: Sequence[PlaceRow], by: By) -> list[Day]:
    """Return the clients of each day, of all rows together: a client is in one of them a day."""
    chosen = [Place(row.asn, row.country, 0, 0, None, None) for row in rows]
    return _told(of, daily(view, of, chosen, by).sum(axis=0).tolist())


def _told(of: Scope, values: Sequence[float]) -> list[Day]:
    return [
        Day(day=day, clients=round(value) if full else None)
        for day, full, value in zip(of.days, of.covered, values, strict=True)
    ]


def _dates(of: Scope) -> dict[str, Any]:
    return {"since": of.window.since.date(), "until": of.window.until.date()}
