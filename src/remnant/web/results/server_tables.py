"""The table of servers: what ``infrastructure.servers`` says, for pages that read a part of it."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from remnant.cases.library import Library
from remnant.errors import RemnantError
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from remnant.cases.model import Case
    from remnant.settings import Settings
    from remnant.store import Store, View

__all__ = ["Servers", "write_rows", "write_servers"]

_ROWS: Final = 50_000


class Servers:
    """What is told of the whole list, and the state of each name."""

    def __init__(self) -> None:
        self.told: dict[str, Any] | None = None
        self.states: dict[str, str] = {}


def write_servers(
    settings: Settings, store: Store, view: View, case: Case, folder: Path
) -> tuple[Servers, str | None]:
    """Write the servers; return what is told of them, and why there are none."""
    import pyarrow as pa

    from remnant.enrich.reference import Reference
    from remnant.infrastructure.case_servers import case_servers
    from remnant.schema import TIME

    out = Servers()
    own = Library(settings.home).path(case.name).with_name("prefixes.tsv")
    reference = Reference.load(settings, extra_tables=[own] if own.is_file() else [])
    columns: list[Any] = [
        pa.field("number", pa.int64()),
        pa.field("kind", pa.string()),
        pa.field("value", pa.string()),
        pa.field("state", pa.string()),
        pa.field("whose", pa.string()),
        pa.field("since", TIME),
        pa.field("last_seen", TIME),
        pa.field("alive", pa.bool_()),
        pa.field("ask", pa.string()),
        pa.field("text", pa.string()),
    ]
    schema = pa.schema(columns)
    try:
        found = case_servers(store, view, case, reference)
    except RemnantError as error:
        write_rows(folder / "servers.parquet", schema, [])
        return out, error.sentence()
    counts: Counter[tuple[str, str]] = Counter()
    living = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal living
        for number, one in enumerate(found.servers):
            plain = one.to_json()
            counts[one.kind, one.state] += 1
            living += one.alive
            if one.kind == "name":
                out.states[one.value] = one.state
            yield {
                "number": number,
                "kind": one.kind,
                "value": one.value,
                "state": one.state,
                "whose": one.whose or None,
                "since": one.since,
                "last_seen": one.last_seen,
                "alive": one.alive,
                "ask": " ".join(part for part in one.ask.who if part),
                "text": json.dumps(plain, ensure_ascii=True),
            }

    write_rows(folder / "servers.parquet", schema, rows())
    out.told = {
        "window": [iso(found.window.since), iso(found.window.until)],
        "alive_days": found.alive_days,
        "total": len(found.servers),
        "living": living,
        "not_known": sum(count for (_, state), count in counts.items() if state == "unknown"),
        "by_kind": _nested(counts),
        "left_out": list(found.left_out),
        "reference": not reference.is_empty,
    }
    return out, None


def _nested(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    out: dict[str, dict[str, int]] = {}
    for (kind, state), count in counts.most_common():
        out.setdefault(kind, {})[state] = count
    return out


def write_rows(path: Path, schema: Any, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as Parquet, a bounded number at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        left = iter(rows)
        while part := list(islice(left, _ROWS)):
            file.write_table(pa.Table.from_pylist(part, schema))
