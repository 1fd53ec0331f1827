"""Records of passive DNS, found by name, address or network over everything that was stored.

A source that serves several cases stands in the store once for each; a record of it counts once.

References:
    draft-dulaunoy-dnsop-passive-dns-cof (the columns).
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, Final

import ibis
import pyarrow as pa

from remnant.capture.text_types import TYPES
from remnant.errors import RemnantError
from remnant.names import NameSyntaxError, text_to_wire, wire_to_text
from remnant.schema import ANSWERS
from remnant.store.engine import rows_of
from remnant.windows import iso

if TYPE_CHECKING:
    from datetime import datetime

    from remnant.store import Store
    from remnant.store.records import SourceRecord

    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

__all__ = ["COLUMNS", "UNASSIGNED", "lookup"]

UNASSIGNED: Final = "_pdns"
"""Under this name the store keeps records that belong to no case; no case can have it."""

COLUMNS: Final = (
    "rrname",
    "rrtype",
    "rdata",
    "time_first",
    "time_last",
    "count",
    "sensor_id",
    "ttl_low",
    "ttl_high",
    "simulated",
)

_A: Final = 1
_AAAA: Final = 28
_MAPPED: Final = "::ffff:"
"""How an IPv6 address that stands for an IPv4 address begins."""
_RECORD: Final = ["rrname", "rrtype", "rdata", "sensor", "simulated"]
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
            An IPv4 address is found in A records, and in AAAA records that map it.
        since: leaves out records that were last seen before it.
        until: leaves out records that were first seen at it or later.
        limit: rows at most.

    Returns:
        Rows with the columns COLUMNS; times in ISO 8601 (UTC), counts over all sources. Records
        of simulated sources are rows of their own.

    Raises:
        RemnantError: this is neither a name nor an address.
    """
    network = _network(what)
    name = None if network is not None else _name(what)
    everything = store.everything(ANSWERS)
    table = everything.table
    if network is None:
        table = table.filter(_named(table, name, below=what.startswith("*.")))
    else:
        table = _inside(table, network)
    if since is not None:
        table = table.filter(table.time_last >= ibis.literal(since))
    if until is not None:
        table = table.filter(table.time_first < ibis.literal(until))
    found = _merged(table, everything.sources)
    latest = [ibis.desc("time_last"), "rrname", "rrtype", "rdata", "sensor", "simulated"]
    return [
        {
            "rrname": row["rrname"],
            "rrtype": _MNEMONIC.get(row["rrtype"], f"TYPE{row['rrtype']}"),
            "rdata": row["rdata"],
            "time_first": iso(row["time_first"]),
            "time_last": iso(row["time_last"]),
            "count": int(row["count"]),
            "sensor_id": row["sensor"],
            "ttl_low": row["ttl_low"],
            "ttl_high": row["ttl_high"],
            "simulated": row["simulated"],
        }
        for row in rows_of(found.order_by(latest).limit(limit))
    ]


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


def _name(what: str) -> str:
    """Return the folded text of the name, without the ``*.`` before it."""
    address, slash, _ = what.partition("/")
    wrong: NameSyntaxError | None = None
    # An address with a length that is none is not meant as a name, though it could be one.
    if what and not (slash and _network(address) is not None):
        try:
            return wire_to_text(text_to_wire(what.removeprefix("*.") or "."))
        except NameSyntaxError as error:
            wrong = error
    raise RemnantError(
        "this is neither a name, an address nor a network",
        got=what,
        expected="evil.example, *.evil.example, 192.0.2.7 or 192.0.2.0/24",
    ) from wrong


def _named(table: Any, name: str | None, *, below: bool) -> Any:  # noqa: ANN401 - Ibis
    """Return the condition that a record's owner is a name, or lies below it."""
    exact = table.rrname == name
    if not below:
        return exact
    if name == ".":
        return ibis.literal(True)
    end = f".{name}"
    # After an odd number of backslashes the dot is part of a label.
    escaped = table.rrname.re_search(rf"(^|[^\\])(\\\\)*\\{re.escape(end)}$")
    return exact | (table.rrname.endswith(end) & ~escaped)


def _inside(table: Any, network: Network) -> Any:  # noqa: ANN401 - Ibis
    """Return the address records whose address lies in a network."""
    first, last = network.network_address, network.broadcast_address
    if isinstance(network, ipaddress.IPv4Network):
        mapped = (table.rrtype == _AAAA) & table.rdata.startswith(_MAPPED)
        plain = table.rrtype == _A
        if first == last:
            text = str(first)
            return table.filter(
                (plain & (table.rdata == text)) | (mapped & (table.rdata == _MAPPED + text))
            )
        octets, rest = divmod(network.prefixlen, 8)
        text = "".join(f"{octet}." for octet in str(first).split(".")[:octets])
        table = table.filter(
            (plain & table.rdata.startswith(text))
            | (mapped & table.rdata.startswith(_MAPPED + text))
        )
        if octets and not rest:
            return table
        # Data that is no address gives null, which is in no network.
        parts = table.rdata.replace(_MAPPED, "").split(".")
        number = reduce(add, (parts[i].try_cast("int64") << (24 - 8 * i) for i in range(4)))
        return table.filter(number.between(int(first), int(last)))
    table = table.filter(table.rrtype == _AAAA)
    if first == last:
        return table.filter(table.rdata == str(first))
    table = table.filter(table.rdata.startswith(_shared_text(network)))
    distinct = table.select("rdata").distinct().to_pyarrow()["rdata"].to_pylist()
    kept = [text for text in distinct if _is_in(text, network)]
    return table.semi_join(ibis.memtable(pa.table({"rdata": pa.array(kept, pa.string())})), "rdata")


def _shared_text(network: ipaddress.IPv6Network) -> str:
    """Return what the texts of all addresses of a network begin with."""
    groups = network.network_address.exploded.split(":")[: network.prefixlen // 16]
    text = ""
    for group in groups:
        if int(group, 16) == 0:
            # Perhaps left out of a text, with its neighbours.
            break
        text += f"{int(group, 16):x}:"
    return text


def _is_in(text: str, network: Network) -> bool:
    try:
        return ipaddress.ip_address(text) in network
    except ValueError:
        return False


def _merged(table: Any, sources: list[SourceRecord]) -> Any:  # noqa: ANN401 - Ibis
    """Add rows up, those of one source that stand in several cases once."""
    digests = Counter(source.digest for source in sources)
    shared = [source for source in sources if digests[source.digest] > 1]
    simulated = [source.id for source in sources if source.simulated]
    contents = ibis.memtable(
        pa.table(
            {
                "source": pa.array([source.id for source in shared], pa.string()),
                "content": pa.array([source.digest for source in shared], pa.string()),
            }
        )
    )
    table = table.mutate(
        simulated=table.source.isin(simulated) if simulated else ibis.literal(False)
    )
    table = table.left_join(contents, "source")
    spans = {
        "time_first": "min",
        "time_last": "max",
        "count": "sum",
        "ttl_low": "min",
        "ttl_high": "max",
    }
    # Most contents are those of one source: it needs no look at the others.
    alone = _grouped(table.filter(table.content.isnull()), _RECORD, spans)
    if not shared:
        return alone
    table = table.filter(table.content.notnull())
    # A source may bring several rows of a record: they add up within each case.
    table = _grouped(table, [*_RECORD, "content", "source"], spans)
    table = _grouped(table, [*_RECORD, "content"], spans | {"count": "max"})
    table = _grouped(table, _RECORD, spans)
    return _grouped(ibis.union(alone, table), _RECORD, spans)


def _grouped(table: Any, keys: list[str], how: dict[str, str]) -> Any:  # noqa: ANN401 - Ibis
    added = {column: getattr(table[column], word)() for column, word in how.items()}
    added["count"] = added["count"].cast("int64")
    return table.group_by(keys).agg(**added).select(*keys, *how)
