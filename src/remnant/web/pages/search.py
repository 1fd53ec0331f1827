"""One search box for a name, an address or prefix, a network, a country or a case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from remnant.errors import RemnantError
from remnant.report.wording import day
from remnant.web.access.viewer import EVERYONE
from remnant.web.find.hits import EACH, Hit, in_case
from remnant.web.find.meaning import MOST, Meaning, read
from remnant.web.page import page
from remnant.web.site import AskedBy
from remnant.windows import parse_time

if TYPE_CHECKING:
    from remnant.cases.model import Case
    from remnant.web.site import Asked

__all__ = ["router"]

router = APIRouter(tags=["search"])

_MOST_CASES: Final = 50
_KINDS: Final = {
    "case": "Cases",
    "name": "Names",
    "map": "On the map",
    "server": "Passive DNS",
    "client": "Clients",
    "prefix": "Prefixes",
    "network": "Networks",
    "country": "Countries",
}


class SearchQuery(BaseModel):
    """What is searched."""

    model_config = ConfigDict(extra="forbid")

    q: str = Field(default="", max_length=4 * MOST, description="What is searched.")


class Group(BaseModel):
    """What was found of one kind, exact matches first."""

    kind: str
    title: str
    hits: list[Hit]


class SearchAnswer(BaseModel):
    """What was found, over all cases; ``understood`` says what the text was taken for."""

    q: str
    understood: list[str]
    groups: list[Group]
    hits: int
    notes: list[str] = []


@page(router, "/search", title="Search", roles=EVERYONE)
def search(asked: AskedBy, query: Annotated[SearchQuery, Query()]) -> SearchAnswer:
    """Find a domain name, an address or prefix, an AS, a country or a case, in all cases.

    Upper case, a dot at the end, internationalised names, and whole addresses of pages are
    understood. Everybody finds what their pages show, and no more.
    """
    meaning = read(query.q)
    found: list[Hit] = []
    notes: list[str] = []
    if meaning.text:
        names = asked.site.library.names()
        cases = [asked.case(name) for name in names[:_MOST_CASES]]
        found += _cases(cases, meaning)
        if asked.viewer.is_internal:
            found += _servers(asked, meaning)
        for case in cases:
            try:
                found += list(in_case(asked, case, meaning))
            except RemnantError as error:
                notes.append(f"{case.name} could not be searched: {error.what}")
        if len(names) > _MOST_CASES:
            notes.append(f"Only the first {_MOST_CASES} cases were searched.")
    groups = _grouped(found)
    return SearchAnswer(
        q=meaning.text,
        understood=_understood(meaning),
        groups=groups,
        hits=sum(len(group.hits) for group in groups),
        notes=notes,
    )


def _grouped(found: list[Hit]) -> list[Group]:
    """Return the hits by kind, each page once; kinds with an exact match come first."""
    groups = []
    for kind, title in _KINDS.items():
        hits: dict[str, Hit] = {}
        for hit in found:
            if hit.kind == kind:
                hits.setdefault(hit.path, hit)
        if hits:
            ordered = sorted(hits.values(), key=lambda hit: not hit.exact)
            groups.append(Group(kind=kind, title=title, hits=ordered))
    return sorted(groups, key=lambda group: not group.hits[0].exact)


def _cases(cases: list[Case], meaning: Meaning) -> list[Hit]:
    wanted = meaning.text.casefold()
    found = []
    for case in cases:
        name, title = case.name, case.title
        exact = wanted in {name.casefold(), title.casefold()}
        if exact or (len(wanted) > 1 and (wanted in name or wanted in title.casefold())):
            found.append(
                Hit(
                    kind="case",
                    label=title,
                    detail=name,
                    path=f"/cases/{name}",
                    case=name,
                    exact=exact,
                )
            )
    return found[:EACH]


def _servers(asked: Asked, meaning: Meaning) -> list[Hit]:
    """Return the names that pointed at an address, or where a name pointed to: passive DNS."""
    from remnant.infrastructure.passive_dns import lookup
    from remnant.store import Store

    if meaning.is_address and meaning.network is not None:
        what = str(meaning.network.network_address)
    elif meaning.name and "." in meaning.name:
        what = meaning.name
    else:
        return []
    try:
        with Store.open(asked.site.settings, sweep=False) as store:
            rows: list[dict[str, Any]] = lookup(store, what, limit=EACH)
    except RemnantError:
        return []
    return [
        Hit(
            kind="server",
            label=f"{row['rrname']} {row['rrtype']} {row['rdata']}",
            detail=f"passive DNS, last seen {day(parse_time(row['time_last']))}",
            path=f"/search?q={quote(row['rrname' if meaning.is_address else 'rdata'], safe='')}",
            case="",
            exact=True,
        )
        for row in rows
    ]


def _understood(meaning: Meaning) -> list[str]:
    """Return what the text was taken for, in words."""
    told = []
    if meaning.network is not None:
        address = str(meaning.network.network_address)
        told.append(f"address {address}" if meaning.is_address else f"prefix {meaning.network}")
    if meaning.asn is not None:
        told.append(f"AS{meaning.asn}")
    if meaning.name is not None and "." in meaning.name:
        told.append(f"name {meaning.name}")
    told += [f"country {code}" for code in meaning.countries[:3]]
    if not told and meaning.words:
        told.append(f"part of a name: {meaning.words}")
    return told
