from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.errors import StoreError
from remnant.schema import ACTIVITY, SIGHTINGS
from remnant.store.activity import rollups
from remnant.store.engine import ibis_schema
from remnant.store.rollup import roll_up

DAY = int(datetime(2015, 4, 8, tzinfo=UTC).timestamp() * 1e6)


def some_day(rows: int, seed: int, *, days: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    pick = rng.integers

    client = pick(-3, 4, rows)

    def words(*values: str | None) -> Any:
        return pa.array([values[i] for i in pick(0, len(values), rows)])

    columns: dict[str, Any] = {
        "time": pa.array(DAY + pick(0, days * 86_400_000_000, rows)),
        "sensor": words("a", "b"),
        "vantage": words("resolver", "authority"),
        "client": pa.array(client * (1 << 61)),
        # The hash of a client takes in what it is, so one hash is never of both kinds.
        "unit": pa.array([("ipv4", "ipv6_64")[c % 2] for c in client]),
        "asn": pa.array([[None, 64512, 64513][i] for i in pick(0, 3, rows)], pa.int64()),
        "country": words(None, "IR", "PE"),
        "name": words("ns1.timedate1.com", "ns1.timedate2.com"),
        "indicator": words("ns1.timedate1.com"),
        "proof": words("dns_udp"),
        "weight": pa.array(pick(1, 3, rows)),
        "limited": pa.array(np.zeros(rows, bool)),
        "source": words("s"),
    }
    return pa.Table.from_arrays(
        [
            columns[f.name].cast(f.type) if f.name in columns else pa.nulls(rows, f.type)
            for f in SIGHTINGS.arrow
        ],
        schema=SIGHTINGS.arrow,
    )


def rows_of(table: pa.Table) -> list[tuple[object, ...]]:
    return sorted(
        (tuple(row[name] for name in ACTIVITY.names) for row in table.to_pylist()), key=repr
    )


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 400), st.integers(0, 1000))
def test_both_ways_to_roll_up_agree(rows: int, seed: int) -> None:
    sightings = some_day(rows, seed)
    columns: dict[str, Any] = {
        f.name: sightings[f.name].cast(f.type.value_type)
        if pa.types.is_dictionary(f.type)
        else sightings[f.name]
        for f in SIGHTINGS.arrow
    }
    plain = pa.table(columns)
    table = ibis.memtable(plain, schema=ibis_schema(SIGHTINGS))

    expected = rows_of(rollups(table).to_pyarrow())

    assert rows_of(roll_up(sightings)) == expected


def test_a_client_of_two_sensors_counts_once_in_all() -> None:
    two = some_day(1, 1)
    one, other = two.to_pylist()[0] | {"sensor": "a"}, two.to_pylist()[0] | {"sensor": "b"}
    found = roll_up(pa.Table.from_pylist([one, other], schema=SIGHTINGS.arrow)).to_pylist()

    days = {row["sensor"]: row["clients"] for row in found if row["grain"] == "day"}
    assert days == {None: 1, "a": 1, "b": 1}


def test_nothing_rolls_up_to_nothing() -> None:
    assert roll_up(SIGHTINGS.empty()).num_rows == 0


def test_two_days_are_refused() -> None:
    with pytest.raises(StoreError, match="one day"):
        roll_up(some_day(50, 3, days=2))
