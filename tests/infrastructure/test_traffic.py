"""Traffic on the map agrees with a plain count over the sightings."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from collate.made_up import OPTIONS, START, ingest, line, settings_in, watching
from remnant.enrich.reference import Reference
from remnant.errors import NoData
from remnant.infrastructure.graph import Graph
from remnant.infrastructure.traffic import OTHER, UNKNOWN, asks, joined, named, slider, with_traffic
from remnant.schema import EDGES, NODES, SIGHTINGS
from remnant.store import Store
from remnant.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from remnant.store import View

FIRST = datetime.fromtimestamp(START, UTC)
NAMES = ["evil.example", "bad.example", "x.bad.example", "never.example"]
DAY = 86_400


def whose(addresses: npt.NDArray[np.uint8]) -> pa.Table:
    """Say that the third octet is the AS, and of AS 9 that nothing is known."""
    octet = addresses[:, 14].astype(np.int64)
    known = [None if value == 9 else int(value) for value in octet]
    rows = Reference.none().lookup(addresses)
    columns: dict[str, Any] = {
        "asn": pa.array(known, pa.int64()),
        "prefix": pa.array([None if v is None else f"192.0.{v}.0/24" for v in known]),
        "country": pa.array([None if v is None else ("DE", "FR")[v % 2] for v in known]),
    }
    for name, column in columns.items():
        field = rows.schema.field(name)
        rows = rows.set_column(rows.schema.get_field_index(name), field, column.cast(field.type))
    return rows


def lines() -> bytes:
    random = np.random.default_rng(7)
    rows = []
    for _ in range(600):
        seconds = float(random.integers(0, 3 * DAY))
        asn, host = random.integers(6, 10), random.integers(1, 30)
        name = ["evil.example", "bad.example", "www.bad.example"][random.integers(3)]
        rows.append(line(seconds, f"192.0.{asn}.{host}", name, f"s{random.integers(2)}"))
    return b"".join(rows)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    settings = settings_in(tmp_path_factory.mktemp("traffic"))
    with Store.open(settings, write=True) as store:
        watchlist = watching("evil.example", "*.bad.example")
        ingest(store, lines(), watchlist=watchlist, lookup=whose)
        ingest(
            store, line(5, "192.0.6.1"), watchlist=watchlist, lookup=whose, path="two",
            options=replace(OPTIONS, vantage="authority"),
        )  # fmt: skip
    with Store.open(settings) as store:
        yield store.view("demo")


@pytest.fixture(scope="module")
def rows(view: View) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = view.table(SIGHTINGS).to_pyarrow().to_pylist()
    return [row for row in found if row["vantage"] == "resolver"]


def counted(
    rows: list[dict[str, Any]], key: str = "asn"
) -> dict[tuple[str, str], tuple[int, int, datetime, datetime]]:
    """The same from plain rows; www.bad.example counts for what watches it."""
    seen: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        name = row["name"] if row["name"] in NAMES else "bad.example"
        asn = row["asn"]
        network = UNKNOWN if asn is None else f"AS{asn}" if key == "asn" else f"192.0.{asn}.0/24"
        seen[network, name].append(row)
    return {
        edge: (
            sum(one["weight"] for one in part),
            len({one["client"] for one in part}),
            min(one["time"] for one in part),
            max(one["time"] for one in part),
        )
        for edge, part in seen.items()
    }


def as_rows(table: pa.Table) -> dict[tuple[str, str], tuple[int, int, datetime, datetime]]:
    return {
        (r["network"], r["name"]): (r["queries"], r["clients"], r["time_first"], r["time_last"])
        for r in table.to_pylist()
    }


@pytest.mark.parametrize("by", ["asn", "prefix"])
def test_edges_are_what_a_plain_count_gives(view: View, rows: Any, by: Any) -> None:
    found = asks(view, NAMES, by=by)

    assert as_rows(found.edges) == counted(rows, by)
    assert (found.vantage, found.left_out, found.not_on_map) == ("resolver", 0, 0)
    queries: list[Any] = found.edges["queries"].to_pylist()
    assert queries == sorted(queries, reverse=True)
    assert all(row["sensors"] == ["s0", "s1"] for row in found.edges.to_pylist())


def test_vantages_are_never_added_up(view: View) -> None:
    found = asks(view, NAMES, vantage="authority")
    assert found.edges["queries"].to_pylist() == [1]
    with pytest.raises(NoData):
        asks(view, NAMES, vantage="flow")


def test_what_is_not_on_the_map_and_what_is_left_out_is_counted(view: View, rows: Any) -> None:
    found = asks(view, ["evil.example"], most=2)
    mine = {edge: v for edge, v in counted(rows).items() if edge[1] == "evil.example"}
    kept = sum(row["queries"] for row in found.edges.to_pylist())
    assert found.edges.num_rows == 2
    assert kept + found.left_out == sum(value[0] for value in mine.values())
    assert found.not_on_map + kept + found.left_out == sum(row["weight"] for row in rows)


def test_countries(view: View) -> None:
    found = asks(view, NAMES, by="country")
    assert set(found.edges["network"].to_pylist()) == {"DE", "FR", UNKNOWN}


def graph() -> Graph:
    nodes = [
        {"kind": "name", "value": "evil.example", "seed": True, "hop": 0, "degree": 1},
        {"kind": "address", "value": "203.0.113.7", "seed": False, "hop": 1, "degree": 1},
        {"kind": "domain", "value": "bad.example", "seed": False, "hop": 2, "degree": 0},
    ]
    edges = [
        {"tail": 0, "head": 1, "type": "resolves_to", "count": 1, "sensors": [], "sources": []}
    ]
    return Graph(
        pa.Table.from_pylist(nodes, schema=NODES.arrow),
        pa.Table.from_pylist(edges, schema=EDGES.arrow),
    )


def test_a_map_with_traffic(view: View, rows: Any) -> None:
    plain = graph()
    full = with_traffic(plain, view)

    again = joined(plain, asks(view, named(plain)))
    assert (again.nodes, again.edges) == (full.nodes, full.edges)
    assert full.nodes.schema.equals(NODES.arrow)
    assert full.edges.schema.equals(EDGES.arrow)
    assert full.nodes.slice(0, 3).equals(plain.nodes)
    assert full.edges.slice(0, 1).equals(plain.edges)
    values = full.nodes["value"].to_pylist()
    added = full.edges.slice(1).to_pylist()
    told = {
        (values[e["tail"]], values[e["head"]]): (
            e["count"], e["clients"], e["time_first"], e["time_last"]
        )
        for e in added
    }  # fmt: skip
    assert told == counted(rows)
    networks = full.nodes.slice(3).to_pylist()
    assert {n["value"]: (n["kind"], n["asn"], n["country"], n["hop"]) for n in networks} == {
        "AS6": ("client_network", 6, "DE", 1),
        "AS7": ("client_network", 7, "FR", 1),
        "AS8": ("client_network", 8, "DE", 1),
        UNKNOWN: ("client_network", None, None, 1),
    }
    for number, node in enumerate(networks, 3):
        mine = [e for e in added if e["tail"] == number]
        assert node["degree"] == len(mine)
        assert node["time_first"] == min(e["time_first"] for e in mine)
    assert {e["type"] for e in added} == {"asks"}


def test_a_map_that_nobody_asks_for_stays_as_it_is(view: View) -> None:
    plain = graph()
    empty = Graph.empty()
    assert with_traffic(empty, view) is empty
    late = Window(FIRST + timedelta(days=9), FIRST + timedelta(days=10))
    assert with_traffic(plain, view, late) is plain


@pytest.mark.parametrize("step", ["day", "hour"])
def test_a_slider_adds_up_to_the_edges(view: View, rows: Any, step: Any) -> None:
    found = slider(view, NAMES, step=step)
    edges = counted(rows)

    assert dict(zip(zip(found.networks, found.names, strict=True), found.queries.sum(1).tolist(),
                    strict=True)) == {edge: value[0] for edge, value in edges.items()}  # fmt: skip
    assert found.others == 0
    width = {"day": DAY, "hour": 3600}[step]
    for row, (network, name) in enumerate(zip(found.networks, found.names, strict=True)):
        for interval in {0, len(found.starts) - 1}:
            mine = {
                one["client"]
                for one in rows
                if (one["time"] - FIRST).total_seconds() // width == interval
                and (UNKNOWN if one["asn"] is None else f"AS{one['asn']}") == network
                and (one["name"] if one["name"] in NAMES else "bad.example") == name
            }
            assert found.clients[row, interval] == len(mine)


def test_others_are_one_row_with_clients_counted_once(view: View, rows: Any) -> None:
    found = slider(view, NAMES, most=3)
    whole = slider(view, NAMES)

    assert (found.networks[-1], found.names[-1]) == (OTHER, OTHER)
    assert found.others == len(whole.networks) - 3
    assert found.queries.sum() == whole.queries.sum() == sum(row["weight"] for row in rows)
    rest = set(zip(whole.networks[3:], whole.names[3:], strict=True))
    first = {
        one["client"]
        for one in rows
        if (one["time"] - FIRST).days == 0
        and (
            UNKNOWN if one["asn"] is None else f"AS{one['asn']}",
            one["name"] if one["name"] in NAMES else "bad.example",
        ) in rest
    }  # fmt: skip
    assert found.clients[-1, 0] == len(first)


def test_where_nobody_looked_there_is_no_zero(view: View) -> None:
    window = Window(FIRST - timedelta(days=2), FIRST + timedelta(days=1))
    found = slider(view, NAMES, window)
    told = found.to_json()

    assert found.covered.tolist() == [False, False, True]
    assert all(row[:2] == [None, None] for row in told["queries"] + told["clients"])
    assert told["exact"] is True
    assert json.loads(json.dumps(told)) == told
