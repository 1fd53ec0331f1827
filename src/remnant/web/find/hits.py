"""Where what a person means is found, in one case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from pydantic import BaseModel

from remnant import schema
from remnant.errors import NoData
from remnant.report.lands import name_of
from remnant.report.wording import country_name, day, number
from remnant.web.access.networks import owns
from remnant.web.access.viewer import Role
from remnant.web.places.answers import content_of
from remnant.web.places.as_names import as_names
from remnant.web.places.clients import client_rows
from remnant.web.places.parts import MOST_CLIENT_ROWS, recent
from remnant.web.places.prefixes import counting_unit
from remnant.web.places.rows import published
from remnant.web.places.seen import places, scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.cases.model import Case
    from remnant.store import View
    from remnant.web.find.meaning import Meaning
    from remnant.web.site import Asked

__all__ = ["EACH", "Hit", "in_case"]

EACH: Final = 8
"""Hits of a kind in a case at most."""
_MOST_NAME_ROWS: Final = 5_000_000
_MOST_RULES: Final = 200_000


class Hit(BaseModel):
    """Something that was found: ``path`` is the page about it; ``exact`` is no part of a word."""

    kind: str
    label: str
    detail: str
    path: str
    case: str
    exact: bool


def in_case(asked: Asked, loaded: Case, meaning: Meaning) -> Iterator[Hit]:
    """Yield what is found in a case, as far as the viewer may know of it."""
    case = loaded.name
    if asked.viewer.is_internal:
        yield from _watched(loaded, meaning)
        try:
            with asked.site.snapshots.view(case) as view:
                yield from list(_exactly(asked, case, view, meaning))
        except NoData:
            return
    else:
        yield from _published(asked, case, meaning)
        if asked.viewer.role is Role.OWNER and meaning.network is not None:
            try:
                with asked.site.snapshots.view(case) as view:
                    yield from list(_clients(asked, case, view, meaning))
            except NoData:
                return


def _watched(loaded: Case, meaning: Meaning) -> Iterator[Hit]:
    """Yield the names that the case file holds."""
    if not meaning.name and not meaning.words:
        return
    found: dict[str, bool] = {}
    names = (text for watch in loaded.watches for text in watch.names)
    for text, _ in zip(names, range(_MOST_RULES), strict=False):
        plain = text.removeprefix("*.")
        exact = meaning.name is not None and (
            plain == meaning.name or (text != plain and meaning.name.endswith(f".{plain}"))
        )
        if exact or (meaning.words and meaning.words in plain):
            found[text] = exact
    for text in sorted(found, key=lambda text: (not found[text], len(text), text))[:EACH]:
        yield Hit(
            kind="name",
            label=text,
            detail="watched",
            path=f"/cases/{loaded.name}/names/{quote(text, safe='')}",
            case=loaded.name,
            exact=found[text],
        )
        if found[text]:
            yield Hit(
                kind="map",
                label=text,
                detail="what it is joined to",
                path=f"/cases/{loaded.name}/map?node={quote(f'name {text}', safe='')}",
                case=loaded.name,
                exact=True,
            )


def _exactly(asked: Asked, case: str, view: View, meaning: Meaning) -> Iterator[Hit]:
    if not view.has(schema.SIGHTINGS):
        return
    of = scope(view, None)
    yield from _asked_for(case, view, meaning)
    if meaning.network is not None:
        yield from _clients(asked, case, view, meaning)
    found = places(view, of, "network")
    days = max(len(of.full_days), 1)
    if meaning.asn is not None or (meaning.words and meaning.network is None):
        numbers = {place.asn for place in found if place.asn is not None}
        names = as_names.of(view, numbers, str(asked.site.settings.home))
        sizes: dict[int, int] = {}
        for place in found:
            if place.asn is not None:
                sizes[place.asn] = sizes.get(place.asn, 0) + place.client_days
        chosen = [n for n in numbers if _fits(meaning, n, names.get(n))]
        for asn in sorted(chosen, key=lambda n: (n != meaning.asn, -sizes[n], n))[:EACH]:
            yield Hit(
                kind="network",
                label=f"AS{asn} {names.get(asn) or ''}".strip(),
                detail=f"{number(sizes[asn] / days)} clients a day",
                path=f"/cases/{case}/networks/{asn}",
                case=case,
                exact=asn == meaning.asn,
            )
    lands = {place.country: place.client_days for place in places(view, of, "country")}
    for code in meaning.countries:
        if code in lands:
            yield _country(case, code, f"{number(lands[code] / days)} clients a day", meaning)


def _fits(meaning: Meaning, asn: int, name: str | None) -> bool:
    if meaning.asn is not None:
        return asn == meaning.asn
    return bool(name) and meaning.words in str(name)[:200].casefold()


def _country(case: str, code: str, detail: str, meaning: Meaning) -> Hit:
    return Hit(
        kind="country",
        label=f"{name_of(code)} ({country_name(code)})",
        detail=detail,
        path=f"/cases/{case}/countries/{code}",
        case=case,
        exact=code == meaning.countries[0],
    )


def _asked_for(case: str, view: View, meaning: Meaning) -> Iterator[Hit]:
    """Yield the names that were asked for, those with most requests first."""
    import ibis

    if meaning.network is not None or not (meaning.name or meaning.words):
        return
    table = view.table(schema.ACTIVITY)
    table = table.filter(table.grain == "name")
    many = sum(view.rows_by_day(schema.ACTIVITY).values()) > _MOST_NAME_ROWS
    if many or not meaning.words:
        if meaning.name is None:
            return
        table = table.filter(table.name == meaning.name)
    else:
        part = table.name.contains(meaning.words)
        table = table.filter(part if meaning.name is None else part | (table.name == meaning.name))
    exact = ibis.literal(value=False) if meaning.name is None else table.name == meaning.name
    found = (
        table.mutate(exact=exact)
        .group_by("name", "exact")
        # Vantages are never added together: the largest stands for the name.
        .aggregate(queries=table.queries.sum(), days=table.start.nunique())
        .order_by(ibis.desc("exact"), ibis.desc("queries"), "name")
        .limit(EACH)
    )
    for row in found.to_pyarrow().to_pylist():
        yield Hit(
            kind="name",
            label=row["name"],
            detail=f"asked for on {number(row['days'])} day{'s' if row['days'] != 1 else ''}",
            path=f"/cases/{case}/names/{quote(row['name'], safe='')}",
            case=case,
            exact=row["exact"],
        )


def _clients(asked: Asked, case: str, view: View, meaning: Meaning) -> Iterator[Hit]:
    """Yield the client at an address, and the pages of a prefix."""
    network = meaning.network
    if network is None or not view.has(schema.CLIENTS):
        return
    of = scope(view, None)
    text = str(network)
    own = owns(asked.viewer, address=text)
    if meaning.is_address:
        unit = counting_unit(network)
        written = str(unit) if network.version == 6 else str(network.network_address)
        rows = client_rows(view, recent(view, of, schema.CLIENTS, MOST_CLIENT_ROWS), asked.viewer)
        rows = rows.filter(rows.address == written)
        row: dict[str, Any] = (
            rows.aggregate(
                last=rows.last_time.max(), queries=rows.queries.sum(), asn=rows.asn.max()
            )
            .to_pyarrow()
            .to_pylist()[0]
        )
        if row["last"] is None:
            return
        yield Hit(
            kind="client",
            label=written,
            detail=f"client, last seen {day(row['last'])}, {number(row['queries'])} requests",
            path=f"/cases/{case}/clients?span=all&network={quote(written, safe='')}",
            case=case,
            exact=True,
        )
        if row["asn"] is not None:
            yield Hit(
                kind="network",
                label=f"AS{row['asn']}",
                detail=f"the network of {written}",
                path=f"/cases/{case}/networks/{row['asn']}",
                case=case,
                exact=True,
            )
        around = unit if network.version == 6 else network.supernet(new_prefix=24)
        yield _prefix(case, str(around), f"around {written}")
    elif own or asked.viewer.is_internal or any("AS" in n for n in asked.viewer.networks):
        yield _prefix(case, text, "clients in it, by day and by prefix")


def _prefix(case: str, text: str, detail: str) -> Hit:
    return Hit(
        kind="prefix",
        label=text,
        detail=detail,
        path=f"/cases/{case}/prefixes/{text}",
        case=case,
        exact=True,
    )


def _published(asked: Asked, case: str, meaning: Meaning) -> Iterator[Hit]:
    """Yield the networks and countries that a report for publication names."""
    content = content_of(asked, case)
    if content is None:
        return
    seen: set[int] = set()
    for row in published(content, "network"):
        if row.asn is None or row.asn in seen:
            continue
        wanted = meaning.asn is not None or (meaning.words and meaning.network is None)
        if wanted and _fits(meaning, row.asn, row.as_name) and len(seen) < EACH:
            seen.add(row.asn)
            yield Hit(
                kind="network",
                label=f"AS{row.asn} {row.as_name or ''}".strip(),
                detail="published",
                path=f"/cases/{case}/networks/{row.asn}",
                case=case,
                exact=row.asn == meaning.asn,
            )
    lands = {row.country for row in published(content, "country")}
    for code in meaning.countries:
        if code in lands:
            yield _country(case, code, "published", meaning)
