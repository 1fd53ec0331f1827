"""The clients of a case: the addresses that were seen, and who among them is no victim."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, HTTPException, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from remnant.enrich.content import MAX_ASN
from remnant.errors import NoData
from remnant.web.access.audit import Action, audit
from remnant.web.access.gate import admits
from remnant.web.access.networks import owns
from remnant.web.access.viewer import OWNERS
from remnant.web.page import page, to_csv
from remnant.web.pages.about import About as CaseAbout
from remnant.web.pages.about import about
from remnant.web.places.answers import About, about_of, scope_of
from remnant.web.places.asking import Days
from remnant.web.places.clients import ClientRow, client_rows, page_of_clients
from remnant.web.places.contacts import FIELDS, told_about
from remnant.web.places.order import CURSOR
from remnant.web.places.prefixes import Network, parse
from remnant.web.problem import RESPONSES
from remnant.web.site import AskedBy
from remnant.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.settings import Settings
    from remnant.web.access.viewer import Viewer
    from remnant.web.site import Asked

__all__ = ["router"]

router = APIRouter(tags=["places"])

MOST_CSV: Final = 1_000_000
"""Rows of the CSV of all clients at most."""
_RECENT_DAYS: Final = 7
_PART: Final = 2_000


class ClientsQuery(Days):
    """Which clients."""

    network: str | None = Field(
        default=None, max_length=60, description="Only this AS (AS64500) or prefix (192.0.2.0/24)."
    )
    view: Literal["clients", "bystanders"] = Field(
        default="clients", description="All clients, or those with signs of being no victims."
    )
    span: Literal["recent", "all"] = Field(
        default="recent", description="Without days given: the last seven days, or all there is."
    )
    after: str | None = Field(
        default=None, pattern=CURSOR, description="Cursor of the page before."
    )
    limit: int = Field(default=100, ge=1, le=200, description="Rows of a page at most.")

    @property
    def asked_for(self) -> str | None:
        """The network as text, or null where none was asked for."""
        return (self.network or "").strip() or None

    def parsed(self) -> tuple[int | None, Network | None]:
        """Return the AS number or the prefix that was asked for.

        Raises:
            HTTPException: 422, it is neither.
        """
        text = self.asked_for
        if text is None:
            return None, None
        number = text.upper().removeprefix("AS")
        if number.isascii() and number.isdecimal() and len(number) <= 10:
            if not 0 < int(number) <= MAX_ASN:
                raise HTTPException(422, "there is no such AS number")
            return int(number), None
        return None, parse(text)


class Bystander(BaseModel):
    """One client that shows signs of being no victim; from 70 points on it is left out."""

    address: str | None
    kind: str
    score: int
    excluded: bool
    reason: str
    asn: int | None
    as_name: str | None
    country: str | None


class ClientsAnswer(BaseModel):
    """A page of clients, those seen last first; ``after`` is the cursor of the next.

    ``bystanders`` are at most the 1,000 with most points over all days of the case.
    """

    about: CaseAbout
    of: About | None = None
    rows: list[ClientRow] = []
    after: str | None = None
    bystanders: list[Bystander] = []
    notes: list[str] = []
    own_only: bool = False
    most_csv: int = Field(default=MOST_CSV, description="Rows of the CSV at most.")
    query: ClientsQuery = Field(default=ClientsQuery(), exclude=True)


@page(
    router,
    "/cases/{case}/clients",
    title="Clients",
    roles=OWNERS,
    kept=False,
    recorded=Action.CLIENTS_SEEN,
)
def clients(asked: AskedBy, case: str, query: Annotated[ClientsQuery, Query()]) -> ClientsAnswer:
    """Return the clients of a case: all of them to analysts, to network owners their own.

    A client is an address that was seen. It may stand for one infected host, several, or a
    resolver.
    """
    answer = ClientsAnswer(
        about=about(asked, case), own_only=not asked.viewer.is_internal, query=query
    )
    asn, network = query.parsed()
    try:
        with asked.site.snapshots.view(case) as view:
            of = scope_of(asked, case, view, _with_recent(asked, case, view, query))
            answer.of = about_of(view, of)
            if query.view == "clients":
                rows = client_rows(view, of, asked.viewer, asn=asn, network=network)
                answer.rows, answer.after = page_of_clients(
                    view, of, rows, limit=query.limit, after=query.after
                )
                answer.rows = told_about(asked.site.settings, case, answer.rows, by="address")
    except NoData as error:
        answer.notes.append(error.what)
    if query.view == "bystanders" and answer.of is not None:
        _add_bystanders(asked, case, answer, asn, network)
    return answer


def _with_recent(asked: Asked, case: str, view: Any, query: ClientsQuery) -> Days:
    """Return the days asked for; none asked for: the last seven."""
    if query.since is not None or query.until is not None or query.span == "all":
        return query
    from datetime import timedelta

    whole = scope_of(asked, case, view, query).whole
    return query.model_copy(
        update={"since": max(whole.since, whole.until - timedelta(days=_RECENT_DAYS)).date()}
    )


def _add_bystanders(
    asked: Asked, case: str, answer: ClientsAnswer, asn: int | None, network: Network | None
) -> None:
    found = asked.site.results.get(case, "bystanders", internal=True)
    if found.problem:
        answer.notes.append(found.problem)
    elif found.value is None:
        answer.notes.append("Who is no victim is being worked out.")
    viewer = asked.viewer
    for row in (found.value or {}).get("rows", ()):
        if not (viewer.is_internal or owns(viewer, row["asn"], row["address"])):
            continue
        if asn is not None and row["asn"] != asn:
            continue
        if network is not None and not _lies(row["address"], network):
            continue
        answer.bystanders.append(Bystander(**{k: row[k] for k in Bystander.model_fields}))


def _lies(address: str | None, network: Network) -> bool:
    if address is None:
        return False
    found: Any = parse(address)
    return bool(found.version == network.version and found.subnet_of(network))


@router.get(
    "/cases/{case}/clients.csv",
    response_class=StreamingResponse,
    summary="Clients, as CSV",
    responses=RESPONSES | {200: {"content": {"text/csv": {}}}},
)
@admits(OWNERS)
def clients_csv(asked: AskedBy, case: str, query: Annotated[ClientsQuery, Query()]) -> Response:
    """Return every client that fits, those with most requests first, as they are read.

    At most 1,000,000 rows; the header ``X-Remnant-Row-Limit`` says so. Not a page: ``after`` and
    ``limit`` are of no meaning here.
    """
    what = f" of {query.network}" if query.network else ""
    audit(asked.request, Action.CLIENTS_EXPORTED, f"{case}{what}")
    answer = clients(asked, case, query.model_copy(update={"limit": 1, "after": None}))
    name = f"{case}-{query.view}.csv"
    headers = {
        "content-disposition": f'attachment; filename="{name}"',
        "x-remnant-row-limit": str(MOST_CSV),
    }
    if query.view == "bystanders" or answer.of is None:
        text = to_csv(row.model_dump() for row in answer.bystanders)
        return Response(text, media_type="text/csv; charset=utf-8", headers=headers)
    parts = _stream(asked.site.settings, case, asked.viewer, answer)
    return StreamingResponse(parts, media_type="text/csv; charset=utf-8", headers=headers)


def _stream(settings: Settings, case: str, viewer: Viewer, answer: ClientsAnswer) -> Iterator[str]:
    """Yield the CSV in parts, from a view of its own: nobody waits for a slow reader."""
    from remnant.enrich.clients import iter_clients
    from remnant.store import Store

    of = answer.of
    assert of is not None
    yield ",".join(ClientRow.model_fields) + "\n"
    with Store.open(settings) as store:
        view = store.view(case)
        found = iter_clients(
            view,
            network=answer.query.asked_for,
            window=Window(of.since, of.until),
            vantage=of.vantage,
            limit=MOST_CSV if viewer.is_internal else None,
        )
        # Asked of each row, beside what the network asked for leaves.
        mine = (row for row in found if owns(viewer, row["asn"], row["address"]))
        names = ClientRow.model_fields.keys() - set(FIELDS)
        told = (ClientRow.model_construct(**{name: row[name] for name in names}) for row in mine)
        rows = islice(told, MOST_CSV)
        while part := list(islice(rows, _PART)):
            full = told_about(settings, case, part, by="address")
            columns = ClientRow.model_fields
            lines = ({name: getattr(row, name) for name in columns} for row in full)
            yield to_csv(lines).partition("\n")[2]
