"""Made-up records of passive DNS for tests of the map."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from remnant.cases.model import Case, SinkholeConfig, Watch
from remnant.enrich.reference import Reference
from remnant.infrastructure.build import build
from remnant.infrastructure.pivot import TablePivots
from remnant.schema import ANSWERS
from remnant.settings import InfrastructureSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remnant.infrastructure.graph import Graph

START = datetime(2020, 1, 1, tzinfo=UTC)
NOW = datetime(2021, 1, 1, tzinfo=UTC)
TYPES = {"A": 1, "NS": 2, "CNAME": 5, "MX": 15, "TXT": 16, "AAAA": 28}
LIMITS = InfrastructureSettings()


def record(
    line: str,
    first: float = 0.0,
    last: float = 30.0,
    *,
    count: int = 1,
    sensor: str = "s",
    source: str = "x",
) -> dict[str, Any]:
    """One record of ``name type data``; times in days after START."""
    name, kind, data = line.split(" ", 2)
    return {
        "rrname": name,
        "rrtype": TYPES[kind],
        "rdata": data,
        "time_first": START + timedelta(days=first),
        "time_last": START + timedelta(days=last),
        "count": count,
        "sensor": sensor,
        "source": source,
    }


def records(*lines: str) -> list[dict[str, Any]]:
    """Records that were seen over the same month."""
    return [record(line) for line in lines]


def table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """The rows as a table of answers."""
    return pa.Table.from_pylist(list(rows), pa.schema(_plain()))


def _plain() -> list[pa.Field[Any]]:
    words = {"sensor", "source"}
    names = ("rrname", "rrtype", "rdata", "time_first", "time_last", "count", "sensor", "source")
    return [
        pa.field(name, pa.string() if name in words else ANSWERS.arrow.field(name).type)
        for name in names
    ]


def case(
    *names: str, addresses: Sequence[str] = (), sinkhole: Sequence[str] = (), **more: Any
) -> Case:
    """A case that watches names and addresses."""
    sink = SinkholeConfig(addresses=tuple(sinkhole)) if sinkhole else None
    watch = Watch(names=names, addresses=tuple(addresses), **more)
    return Case("made-up", "made up", START, (watch,), (), sink)


def mapped(
    rows: Iterable[dict[str, Any]],
    watched: Case,
    limits: InfrastructureSettings = LIMITS,
    reference: Reference | None = None,
    per_key: int = 1000,
) -> Graph:
    """The map of a case over some records."""
    return build(
        watched,
        TablePivots(table(rows), per_key=per_key),
        Reference.none() if reference is None else reference,
        limits,
        now=NOW,
    )


def values(graph: Graph) -> set[str]:
    """What is on a map."""
    found: list[Any] = graph.nodes["value"].to_pylist()
    return set(found)


def node(graph: Graph, value: str) -> dict[str, Any]:
    """One thing of a map."""
    (row,) = [row for row in graph.nodes.to_pylist() if row["value"] == value]
    return row


def edges(graph: Graph) -> set[tuple[str, str, str]]:
    """The relations of a map: tail, type, head."""
    listed = graph.nodes["value"].to_pylist()
    return {
        (listed[row["tail"]], row["type"], listed[row["head"]]) for row in graph.edges.to_pylist()
    }


def left_out(graph: Graph) -> dict[str, int]:
    """How much is not on a map, by reason."""
    return {row["reason"]: row["count"] for row in graph.left_out.to_pylist()}
