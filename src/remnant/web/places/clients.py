"""The clients of a window a page at a time, those seen last first, without reading them all.

The window is walked from its end in spans of days that grow: what a page needs is mostly in the
newest. A client stands where it was seen last, so a span leaves out those of later days. Only for
the clients of the page are first time, requests, proof and port then read over the whole window.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from fastapi import HTTPException
from pydantic import BaseModel

from remnant import schema
from remnant.web.access.networks import owned
from remnant.web.places.prefixes import inside

if TYPE_CHECKING:
    from remnant.store import View
    from remnant.web.access.viewer import Viewer
    from remnant.web.places.prefixes import Network
    from remnant.web.places.seen import Scope

__all__ = ["ClientRow", "client_rows", "page_of_clients"]

_DAY: Final = timedelta(days=1)
_MOST_US: Final = 1 << 62


class ClientRow(BaseModel):
    """One client in the window: an address that was seen, or an IPv6 /64.

    ``first`` and ``last`` are UTC. ``proof`` is the strongest sign that the address is genuine.
    ``address`` is null where it is no longer stored. ``contact`` and what follows say whom to tell.
    """

    address: str | None
    unit: str
    first: datetime
    last: datetime
    queries: int
    client_port: int | None
    proof: str | None
    role: str | None
    asn: int | None
    as_name: str | None
    country: str | None
    contact: str | None = None
    contact_name: str | None = None
    contact_source: str | None = None
    contact_as_of: str | None = None


def client_rows(
    view: View,
    of: Scope,
    viewer: Viewer,
    *,
    asn: int | None = None,
    network: Network | None = None,
) -> Any:
    """Return the rows of ``clients`` that were asked for and that the viewer may see."""
    rows = view.of_days(schema.CLIENTS, of.window.since.date(), of.window.until.date())
    rows = rows.filter(rows.vantage == of.vantage)
    if not viewer.is_internal:
        rows = rows.filter(owned(viewer, rows.asn, rows.address))
    if asn is not None:
        rows = rows.filter(rows.asn == asn)
    if network is not None:
        rows = rows.filter(inside(rows, network))
    return rows


def page_of_clients(
    view: View, of: Scope, rows: Any, *, limit: int, after: str | None = None
) -> tuple[list[ClientRow], str | None]:
    """Return a page of clients, and the cursor of the next one.

    Args:
        view: the case.
        of: days and vantage.
        rows: of ``client_rows``.
        limit: clients at most.
        after: cursor of the page before.

    Raises:
        HTTPException: 422, this is no cursor.
    """
    chosen = _newest(of, rows, limit + 1, None if after is None else _read(after))
    more = len(chosen) > limit
    chosen = chosen[:limit]
    return (
        _details(view, of, rows, [client for _, client in chosen]),
        _cursor(*chosen[-1]) if more else None,
    )


def _newest(
    of: Scope, rows: Any, limit: int, after: tuple[int, int] | None
) -> list[tuple[int, int]]:
    """Return when each client was last seen (microseconds) and its key, the newest first."""
    import ibis

    found: list[tuple[int, int]] = []
    end = of.window.until
    if after is not None:
        last = datetime.fromtimestamp(after[0] / 1_000_000, tz=end.tzinfo)
        while end - _DAY > last and end > of.window.since:
            end -= _DAY
    width = _DAY
    while end > of.window.since and len(found) < limit:
        start = max(end - width, of.window.since)
        span = rows.filter(rows.first_time >= _at(start), rows.first_time < _at(end))
        seen = span.group_by("client").aggregate(last=span.last_time.max())
        if end < of.window.until:
            later = rows.filter(rows.first_time >= _at(end)).select("client").distinct()
            seen = seen.anti_join(later, "client")
        seen = seen.mutate(us=seen.last.epoch_seconds() * 1_000_000 + seen.last.microsecond())
        if after is not None:
            us, client = after
            seen = seen.filter((seen.us < us) | ((seen.us == us) & (seen.client > client)))
        part = seen.order_by(ibis.desc("us"), "client").limit(limit - len(found)).to_pyarrow()
        found += zip(part["us"].to_pylist(), part["client"].to_pylist(), strict=True)
        end, width = start, 2 * width
    return found


def _details(view: View, of: Scope, rows: Any, clients: list[int]) -> list[ClientRow]:
    """Return the rows of some clients, in their order."""
    if not clients:
        return []
    known = rows.filter(rows.client.isin(clients))
    # As the newest row says it, and a role that any row knows.
    facts = known.group_by("client").aggregate(
        unit=known.unit.max(),
        first=known.first_time.min(),
        last=known.last_time.max(),
        queries=known.queries.sum(),
        address=known.address.argmax(known.last_time),
        role=known.role.argmax(known.last_time, where=known.role.notnull()),
        asn=known.asn.argmax(known.last_time, where=known.asn.notnull()),
        as_name=known.as_name.argmax(known.last_time, where=known.as_name.notnull()),
        country=known.country.argmax(known.last_time, where=known.country.notnull()),
    )
    by_client = {row["client"]: row for row in facts.to_pyarrow().to_pylist()}
    proofs = _proofs(view, of, clients)
    made = []
    for client in clients:
        row = by_client[client]
        proof, port = proofs.get(client, (None, None))
        row = {key: value for key, value in row.items() if key != "client"}
        made.append(ClientRow(**row, proof=proof, client_port=port))
    return made


def _proofs(view: View, of: Scope, clients: list[int]) -> dict[int, tuple[str | None, int | None]]:
    """Return the strongest proof and the last port of some clients."""
    seen = view.of_days(schema.SIGHTINGS, of.window.since.date(), of.window.until.date())
    seen = seen.filter(seen.vantage == of.vantage, seen.client.isin(clients))
    strength = seen.proof.cases(
        *((name, rank) for rank, name in enumerate(schema.PROOFS)), else_=-1
    )
    found = seen.group_by("client").aggregate(
        strength=strength.max(),
        port=seen.client_port.argmax(seen.time, where=seen.client_port.notnull()),
    )
    return {
        row["client"]: (
            schema.PROOFS[row["strength"]] if row["strength"] >= 0 else None,
            row["port"],
        )
        for row in found.to_pyarrow().to_pylist()
    }


def _cursor(us: int, client: int) -> str:
    raw = us.to_bytes(8, "big", signed=True) + client.to_bytes(8, "big", signed=True)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read(text: str) -> tuple[int, int]:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    us, client = (int.from_bytes(raw[at : at + 8], "big", signed=True) for at in (0, 8))
    if len(raw) != 16 or not 0 <= us < _MOST_US:
        raise HTTPException(422, "this is no place in this list: begin at the first page")
    return us, client


def _at(moment: datetime) -> Any:
    import ibis

    return ibis.literal(moment, type="timestamp('UTC', 6)")
