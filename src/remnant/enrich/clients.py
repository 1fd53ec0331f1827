"""The clients of a case: each address that was seen, when, how often, and whose it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.enrich.addresses import is_ipv4, masked, parse
from remnant.enrich.content import MAX_ASN
from remnant.errors import RemnantError
from remnant.schema import CLIENTS, SIGHTINGS, VANTAGES
from remnant.store.engine import rows_of
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from remnant.enrich.addresses import Parsed
    from remnant.store import View
    from remnant.windows import Window

__all__ = ["PROOFS", "NetworkSyntaxError", "iter_clients", "list_clients"]

PROOFS: Final = ("none", "dns_udp", "dns_tcp", "tcp", "tls", "http", "checkin")
"""What shows that a source address is genuine, the weakest first."""

_ASN: Final = re.compile(r"(?i)(?:AS)?([0-9]{1,10})")
_UNIT_BITS: Final = 64
_IPV4_BITS: Final = 96


class NetworkSyntaxError(RemnantError):
    """A text that is neither an AS number nor a prefix."""


def list_clients(
    view: View,
    *,
    network: str | None = None,
    window: Window | None = None,
    vantage: str | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Return the rows of ``iter_clients`` as a list: all are held at once."""
    return list(iter_clients(view, network=network, window=window, vantage=vantage, limit=limit))


def iter_clients(
    view: View,
    *,
    network: str | None = None,
    window: Window | None = None,
    vantage: str | None = None,
    limit: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the clients of a case, those with the most queries first.

    The source address of a datagram can be made up, so there may be any number of clients: only a
    bounded number of rows is held.

    Args:
        view: the case.
        network: only the clients of this AS (``AS64500`` or ``64500``) or in this prefix; a /64
            that overlaps a longer prefix is in it.
        window: only sightings in it; ``None`` takes all.
        vantage: only what was seen there; ``None`` takes the first of ``schema.VANTAGES`` that is
            present, because vantages are never added together.
        limit: at most so many rows.

    Yields:
        One row for each client: address (null when no longer stored), unit, vantage, first, last
        (ISO 8601, UTC), queries, client_port (of the last sighting that has one), proof (the
        strongest), role, asn, as_name, country (each null when unknown).

    Raises:
        NetworkSyntaxError: ``network`` is neither an AS number nor a prefix.
    """
    asn, prefix = _network(network)
    sightings = view.table(SIGHTINGS)
    if window is not None:
        sightings = sightings.filter(
            sightings.time >= ibis.literal(window.since),
            sightings.time < ibis.literal(window.until),
        )
    if vantage is None:
        present = set(sightings.select("vantage").distinct().to_pyarrow()["vantage"].to_pylist())
        vantage = next((name for name in VANTAGES if name in present), VANTAGES[0])
    sightings = sightings.filter(sightings.vantage == vantage)
    known = _latest(view)
    if prefix is not None:
        inside = ibis.memtable(pa.table({"client": pa.array(_inside(view, prefix), pa.int64())}))
        sightings = sightings.semi_join(inside, "client")
    elif asn is not None:
        known = known.filter(known.asn == asn)
        sightings = sightings.semi_join(known, "client")
    strength = sightings.proof.cases(*((name, rank) for rank, name in enumerate(PROOFS)), else_=-1)
    seen = sightings.group_by("client", "unit").agg(
        first=sightings.time.min(),
        last=sightings.time.max(),
        queries=sightings.weight.sum(),
        client_port=sightings.client_port.argmax(
            sightings.time, where=sightings.client_port.notnull()
        ),
        strength=strength.max(),
    )
    joined = seen.left_join(known, "client")
    ordered = joined.order_by(joined["queries"].desc(), joined["first"], joined["client"])
    chosen = ordered if limit is None else ordered.limit(limit)
    for row in rows_of(chosen):
        yield {
            "address": row["address"],
            "unit": row["unit"],
            "vantage": vantage,
            "first": iso(row["first"]),
            "last": iso(row["last"]),
            "queries": int(row["queries"]),
            "client_port": row["client_port"],
            "proof": PROOFS[row["strength"]] if row["strength"] >= 0 else None,
            "role": row["role"],
            "asn": row["asn"],
            "as_name": row["as_name"],
            "country": row["country"],
        }


def _latest(view: View) -> Any:  # noqa: ANN401 - an Ibis table
    """Return one row for each client, as last written; a role that any row knows is kept."""
    rows = view.table(CLIENTS)
    each = ibis.window(group_by="client")
    newest = ibis.window(
        group_by="client", order_by=[rows.last_time.desc(), rows.source, rows.first_time]
    )
    marked = rows.mutate(
        place=ibis.row_number().over(newest), role=rows.role.coalesce(rows.role.max().over(each))
    )
    return marked.filter(marked.place == 0).select(
        "client", "address", "role", "asn", "as_name", "country"
    )


def _network(text: str | None) -> tuple[int | None, Parsed | None]:
    """Return the AS number, or the one prefix, that a person wrote."""
    if text is None:
        return None, None
    match = _ASN.fullmatch(text.strip())
    if match and 0 < int(match[1]) <= MAX_ASN:
        return int(match[1]), None
    prefix = parse(pa.array([text.strip()], pa.string()))
    if match or prefix.length[0] < 0:
        raise NetworkSyntaxError(
            "this is not a network",
            got=text,
            expected="an AS number such as AS64500, or a prefix such as 192.0.2.0/24",
        )
    return None, prefix


def _inside(view: View, prefix: Parsed) -> npt.NDArray[np.int64]:
    """Return the clients whose address, or /64, lies in or around a prefix."""
    pairs = view.table(CLIENTS).select("client", "unit", "address").distinct().to_pyarrow()
    found = parse(pairs["address"])
    is_64 = pc.not_equal(pairs["unit"], pa.scalar("ipv4")).to_numpy()
    own = np.where(is_64, np.minimum(found.length, _UNIT_BITS), found.length).astype(np.int32)
    length = np.minimum(own, prefix.length[0])
    count = len(length)
    high, low = masked(found.high, found.low, length)
    wanted_high, wanted_low = masked(
        np.repeat(prefix.high, count), np.repeat(prefix.low, count), length
    )
    inside = (found.length >= 0) & (high == wanted_high) & (low == wanted_low)
    # A short IPv6 prefix would hold the mapped form of every IPv4 address too.
    inside &= is_64 != (is_ipv4(prefix.high, prefix.low) & (prefix.length >= _IPV4_BITS))
    clients: npt.NDArray[np.int64] = pairs["client"].to_numpy()[inside]
    return np.unique(clients)
