"""Records of passive DNS, found by name, address or network over everything that was stored.

A source that serves several cases stands in the store once for each; a record of it counts once.

References:
    draft-dulaunoy-dnsop-passive-dns-cof (the columns).
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from remnant.capture.text_types import TYPES
from remnant.errors import RemnantError
from remnant.names import NameSyntaxError, text_to_wire, wire_to_text
from remnant.schema import ANSWERS
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from remnant.store import Store

    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

__all__ = ["COLUMNS", "UNASSIGNED", "lookup"]

UNASSIGNED: Final = "_pdns"
"""Under this name the store keeps records that belong to no case; no case can have it."""

COLUMNS: Final = ("rrname", "rrtype", "rdata", "time_first", "time_last", "count", "sensor_id")

_ADDRESS_TYPES: Final = (1, 28)
_RECORD: Final = ["rrname", "rrtype", "rdata", "sensor"]
_MNEMONIC: Final = {number: word for word, number in reversed(TYPES.items())}


def lookup(
    store: Store,
    what: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 1000,
) -> list[dict[str, Any]]:
    """Return the records of a name, an address or a network, those seen last first.

    Args:
        store: opened for reading.
        what: a name; ``*.`` and a name for that name and everything below it; an address; a CIDR.
        since: leaves out records that were last seen before it.
        until: leaves out records that were first seen at it or later.
        limit: rows at most.

    Returns:
        Rows with the columns COLUMNS; times in ISO 8601 (UTC), counts over all sources.

    Raises:
        RemnantError: this is neither a name nor an address.
    """
    network = _network(what)
    digests: dict[str, str] = {}
    found = []
    for case in store.ledger.cases():
        view = store.view(case)
        digests |= {source.id: source.digest for source in view.sources}
        table = view.table(ANSWERS)
        table = table.filter(_condition(table, what, network))
        if since is not None:
            table = table.filter(table.time_last >= since)
        if until is not None:
            table = table.filter(table.time_first < until)
        found.append(table.to_pyarrow().cast(_plain()))
    if not found:
        return []
    rows = pa.concat_tables(found)
    if network is not None and network.num_addresses > 1:
        rows = _inside(rows, network)
    return _rows(_merged(rows, digests), limit)


def _plain() -> pa.Schema:
    return pa.schema(
        [(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in ANSWERS.arrow]
    )


def _network(what: str) -> Network | None:
    try:
        network = ipaddress.ip_network(what, strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network((mapped, network.prefixlen - 96), strict=False)
    return network


def _condition(table: Any, what: str, network: Network | None) -> Any:  # noqa: ANN401 - Ibis
    """Return the filter that the query engine can apply; a network needs another look."""
    if network is not None:
        address = table.rrtype.isin(_ADDRESS_TYPES)
        if network.num_addresses == 1:
            return address & (table.rdata == str(network.network_address))
        if network.version == 4:
            whole = str(network.network_address).split(".")[: network.prefixlen // 8]
            return (table.rrtype == 1) & table.rdata.startswith("".join(f"{p}." for p in whole))
        return table.rrtype == _ADDRESS_TYPES[1]
    below = what.startswith("*.")
    try:
        name = wire_to_text(text_to_wire(what.removeprefix("*.")))
    except NameSyntaxError as error:
        raise RemnantError(
            "this is neither a name, an address nor a network",
            got=what,
            expected="evil.example, *.evil.example, 192.0.2.7 or 192.0.2.0/24",
        ) from error
    exact = table.rrname == name
    return exact | table.rrname.endswith("." + name) if below else exact


def _inside(rows: pa.Table, network: Network) -> pa.Table:
    """Return the address records whose address lies in the network."""
    distinct: list[Any] = pc.unique(rows["rdata"]).to_pylist()
    kept = [text for text in distinct if _is_in(text, network)]
    mask: Any = pc.is_in(rows["rdata"], value_set=pa.array(kept, pa.string()))
    return rows.filter(mask)


def _is_in(text: str, network: Network) -> bool:
    try:
        return ipaddress.ip_address(text) in network
    except ValueError:
        return False


def _merged(rows: pa.Table, digests: dict[str, str]) -> pa.Table:
    """Add rows up, those of one source that stand in several cases once."""
    sources: list[Any] = rows["source"].to_pylist()
    content = pa.array([digests.get(source, source) for source in sources], pa.string())
    rows = rows.append_column("content", content)
    spans = [("time_first", "min"), ("time_last", "max"), ("count", "sum")]
    # A source may bring several rows of a record: they add up within each case.
    rows = _grouped(rows, [*_RECORD, "content", "source"], spans)
    rows = _grouped(rows, [*_RECORD, "content"], [*spans[:2], ("count", "max")])
    return _grouped(rows, _RECORD, spans)


def _grouped(rows: pa.Table, keys: list[str], how: Sequence[tuple[str, Any]]) -> pa.Table:
    names = {f"{column}_{word}": column for column, word in how}
    table = rows.group_by(keys).aggregate(list(how))
    return table.rename_columns([names.get(name, name) for name in table.column_names])


def _rows(table: pa.Table, limit: int) -> list[dict[str, Any]]:
    order: list[tuple[str, Any]] = [
        ("time_last", "descending"),
        ("rrname", "ascending"),
        ("rrtype", "ascending"),
        ("rdata", "ascending"),
    ]
    kept = table.sort_by(order).slice(0, limit)
    return [
        {
            "rrname": row["rrname"],
            "rrtype": _MNEMONIC.get(row["rrtype"], f"TYPE{row['rrtype']}"),
            "rdata": row["rdata"],
            "time_first": iso(row["time_first"]),
            "time_last": iso(row["time_last"]),
            "count": row["count"],
            "sensor_id": row["sensor"],
        }
        for row in kept.to_pylist()
    ]
