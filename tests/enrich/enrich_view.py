"""A case of made-up rows, seen as a view and changed as a store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa

from remnant import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

START = datetime(2015, 4, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def sighting(client: int, hours: float, **more: Any) -> dict[str, Any]:
    """Return a sighting so many hours after the start."""
    row = {
        "time": START + hours * HOUR, "sensor": "a", "vantage": "resolver", "client": client,
        "unit": "ipv4", "client_port": 1000 + client, "service_port": 53, "transport": "udp",
        "name": "evil.example", "qtype": 1, "rcode": 0, "indicator": "evil.example",
        "proof": "dns_udp", "weight": 1, "limited": False, "source": "s1",
    }  # fmt: skip
    return row | more


def client(key: int, address: str, **more: Any) -> dict[str, Any]:
    """Return a row of the clients table."""
    unit = "ipv6_64" if ":" in address else "ipv4"
    row = {
        "client": key, "unit": unit, "address": address, "first_time": START, "last_time": START,
        "queries": 1, "source": "s1", "sensor": "a", "vantage": "resolver",
    }  # fmt: skip
    return row | more


class MadeUpCase:
    """Answers as ``store.View`` and as ``store.Store`` of one case."""

    def __init__(self, **rows: list[dict[str, Any]]) -> None:
        self.case = "test"
        self.tables = {
            table.name: pa.Table.from_pylist(rows.get(table.name, []), schema=table.arrow)
            for table in (schema.SIGHTINGS, schema.UNLISTED, schema.CLIENTS)
        }

    def view(self, case: str) -> MadeUpCase:
        assert case == self.case
        return self

    def table(self, table: schema.Table) -> Any:
        stored = self.tables[table.name]
        plain = pa.schema(
            [
                (f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type)
                for f in stored.schema
            ]
        )
        return ibis.memtable(stored.cast(plain))

    def transform(
        self, case: str, edits: Mapping[schema.Table, Callable[[pa.Table], pa.Table]]
    ) -> None:
        assert case == self.case
        for table, edit in edits.items():
            halves = len(self.tables[table.name]) // 2
            files = [self.tables[table.name].slice(0, halves),
                     self.tables[table.name].slice(halves)]  # fmt: skip
            self.tables[table.name] = pa.concat_tables(
                [edit(file) for file in files], promote_options="none"
            )

    def rows(self, table: schema.Table, *names: str) -> list[tuple[Any, ...]]:
        return [tuple(row[name] for name in names) for row in self.tables[table.name].to_pylist()]
