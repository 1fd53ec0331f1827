"""A home whose store changes while pages look at it; rows go in without any traffic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from remnant.cases.casefile import loads
from remnant.cases.library import Library
from remnant.schema import COVERAGE, SIGHTINGS, Table
from remnant.settings import Settings
from remnant.store import SourceRecord, Store
from remnant.store.files import conform

if TYPE_CHECKING:
    from pathlib import Path

CASE: Final = "taken"
START: Final = datetime(2015, 4, 8, tzinfo=UTC)
TEXT: Final = """
[case]
name = "{name}"
title = "Taken"
takedown = 2015-04-08
[[watch]]
names = ["c2.evil.example"]
state = "seized"
"""


def settled(folder: Path, *cases: str) -> Settings:
    """Return the settings of a new home with a case."""
    settings = Settings(home=folder / "home", site_key=folder / "site.key")
    for name in cases or (CASE,):
        text = TEXT.format(name=name)
        Library(settings.home).save(loads(text, name), text=text)
    return settings


def commit(
    settings: Settings, hour: int = 0, *, clients: int = 3, networks: int = 1, case: str = CASE
) -> None:
    """Store one hour of one sensor: each client, of the networks in turn, asks once."""
    time = START + timedelta(hours=hour)
    source = f"s{hour}"
    day = f"{time:%Y-%m-%d}"
    sightings = [
        {
            "time": time + timedelta(seconds=number),
            "sensor": "tap",
            "vantage": "resolver",
            "client": number,
            "unit": "ipv4",
            "asn": 64500 + number % networks,
            "country": "DE",
            "name": "c2.evil.example",
            "indicator": "c2.evil.example",
            "proof": "dns_udp",
            "weight": 1,
            "limited": False,
            "source": source,
        }
        for number in range(clients)
    ]
    coverage = {
        "source": source,
        "sensor": "tap",
        "vantage": "resolver",
        "hour": time,
        "messages": clients,
        "matched": clients,
        "malformed": 0,
        "skipped": 0,
        "lost": 0,
        "first_time": time,
        "last_time": time + timedelta(seconds=clients),
        "clock_faults": 0,
        "basis": "traffic",
    }
    with Store.open(settings, write=True, sweep=False) as store, store.change() as change:
        change.write(SIGHTINGS, case, day, _made(SIGHTINGS, sightings), [source])
        change.write(COVERAGE, case, None, _made(COVERAGE, [coverage]), [source])
        change.put_source(_record(source, case, time), None)
        change.commit()


def _made(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    columns = {
        field.name: pa.array(
            [row.get(field.name) for row in rows],
            field.type.value_type if pa.types.is_dictionary(field.type) else field.type,
        )
        for field in table.arrow
    }
    return conform(table, pa.table(columns))


def _record(source: str, case: str, time: datetime) -> SourceRecord:
    return SourceRecord(
        source, case, "path", "lines", "", None, "resolver", "w", source, 1, 0, True,
        1, 1, 1, 1, 0, 0, 0, time, time, datetime.now(tz=UTC), False,
    )  # fmt: skip
