"""Fast flux told from content delivery and pools."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from remnant.enrich.content import row_numbers
from remnant.enrich.reference import Reference
from remnant.infrastructure.flux import (
    ADDRESS_COLUMNS,
    COLUMNS,
    HOLZ_THRESHOLD,
    address_features,
    features,
    holz,
)
from remnant.schema import ANSWERS, TIME
from remnant.simulate import flux as made
from remnant.simulate.flux_world import FluxWorld
from remnant.windows import Window

START = datetime(2015, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def world() -> FluxWorld:
    return FluxWorld.make(11)


def rows_of(world: FluxWorld, *styles: str, days: float = 7.0) -> dict[str, dict[str, Any]]:
    table = pa.concat_tables(world.observed(made.STYLES[s], f"{s}.example", days) for s in styles)
    return {row["name"]: row for row in features(table, world.reference)}


@pytest.mark.parametrize("style", ["kelihos", "zbot", "slow_flux"])
def test_flux_is_called_flux(world: FluxWorld, style: str) -> None:
    row = rows_of(world, style)[f"{style}.example"]
    assert row["state"] == "flux"
    assert row["score"] >= 0.5
    assert row["new_a_day"] > 0.3
    assert row["ttl_low"] == made.STYLES[style].ttl


@pytest.mark.parametrize(
    "style", ["cdn", "wide_cdn", "rotating_cdn", "volunteer_pool", "dynamic_dns", "round_robin"]
)
def test_what_only_changes_addresses_or_has_many_is_not(world: FluxWorld, style: str) -> None:
    row = rows_of(world, style)[f"{style}.example"]
    assert row["state"] == "not_flux"


def test_the_classic_rule_is_published_and_calls_a_wide_cdn_flux(world: FluxWorld) -> None:
    assert holz(5, 3).item() == pytest.approx(1.32 * 5 + 18.54 * 3)
    row = rows_of(world, "wide_cdn")["wide_cdn.example"]
    assert row["holz"] > HOLZ_THRESHOLD


def test_the_highest_score_comes_first_and_rows_have_all_columns(world: FluxWorld) -> None:
    table = pa.concat_tables(
        world.observed(made.STYLES[s], f"{s}.example", 7.0) for s in ("cdn", "kelihos")
    )
    rows = features(table, world.reference)
    assert [row["name"] for row in rows] == ["kelihos.example", "cdn.example"]
    assert all(tuple(row) == COLUMNS for row in rows)
    assert len(features(table, world.reference, most=1)) == 1


def test_too_little_is_refused(world: FluxWorld) -> None:
    few = world.observed(made.STYLES["kelihos"], "few.example", 7.0).slice(0, 20)
    short = world.observed(made.STYLES["kelihos"], "short.example", 0.3)
    rows = features(pa.concat_tables([few, short]), world.reference)
    assert {row["state"] for row in rows} == {"cannot_tell"}
    assert all(row["score"] is None for row in rows)


def test_without_reference_data_nothing_is_called_flux(world: FluxWorld) -> None:
    table = world.observed(made.STYLES["kelihos"], "a.example", 7.0)
    (row,) = features(table, Reference.none())
    assert (row["state"], row["ases"]) == ("cannot_tell", 0)


def test_an_unknown_ttl_is_told_and_changes_no_score(world: FluxWorld) -> None:
    table = world.observed(made.STYLES["zbot"], "a.example", 7.0)
    blank = pa.nulls(table.num_rows, pa.int64())
    at = table.schema.get_field_index("ttl_low")
    without = table.set_column(at, "ttl_low", blank)
    without = without.set_column(at + 1, "ttl_high", blank)
    (known,), (unknown,) = (features(t, world.reference) for t in (table, without))
    assert unknown["ttl_low"] is None
    assert "TTL not known" in unknown["why"]
    assert unknown["score"] == known["score"]


def test_a_name_that_moves_from_server_to_server_is_not_fast_flux(world: FluxWorld) -> None:
    hosts = world.random.choice(world.pool, 15, replace=False)
    moves = [
        record("moves.example", 1, str(IPv4Address(int(host))), START + timedelta(days=9 * i),
               START + timedelta(days=9 * i + 9))
        for i, host in enumerate(hosts)
    ]  # fmt: skip
    (row,) = features(pa.concat_tables(moves), world.reference)
    assert (row["state"], row["persistence"] < 0.2) == ("not_flux", True)
    assert row["why"].endswith("it moves now and then")


def test_a_long_ttl_lowers_the_score(world: FluxWorld) -> None:
    table = world.observed(made.STYLES["zbot"], "a.example", 7.0)
    at = table.schema.get_field_index("ttl_high")
    long = table.set_column(at, "ttl_high", pa.array(np.full(table.num_rows, 86_400)))
    assert features(long, world.reference)[0]["state"] == "not_flux"


def test_name_servers_on_infected_hosts_are_double_flux(world: FluxWorld) -> None:
    rows = {
        row["name"]: row for row in features(world.double_flux("zone.example"), world.reference)
    }
    assert rows["zone.example"]["double_flux"] is True
    assert rows["zone.example"]["servers"] == 5
    assert rows["zone.example"]["server_ases"] > 10


def test_fixed_name_servers_are_not(world: FluxWorld) -> None:
    single = world.observed(
        made.STYLES["kelihos"], "one.example", 7.0, servers=("ns1.fixed.example",)
    )
    host = record("ns1.fixed.example", 1, world.fixed_address, START, START + timedelta(days=6))
    row = next(
        row for row in features(pa.concat_tables([single, host]), world.reference)
        if row["name"] == "one.example"
    )  # fmt: skip
    assert (row["servers"], row["server_addresses"], row["double_flux"]) == (1, 1, False)


def test_the_order_and_the_grain_of_rows_change_nothing(world: FluxWorld) -> None:
    table = world.observed(made.STYLES["zbot"], "a.example", 7.0)
    mixed = table.take(row_numbers(np.random.default_rng(3).permutation(table.num_rows)))
    assert features(mixed, world.reference) == features(table, world.reference)


def test_records_outside_the_window_are_left_out(world: FluxWorld) -> None:
    table = world.observed(made.STYLES["zbot"], "a.example", 7.0)
    window = Window(START + timedelta(days=20), START + timedelta(days=30))
    assert features(table, world.reference, window=window) == []
    day = Window(START, START + timedelta(days=2))
    (row,) = features(table, world.reference, window=day)
    assert row["until"] == "2015-03-03T00:00:00Z"
    assert row["addresses"] < features(table, world.reference)[0]["addresses"]


def test_data_that_is_no_address_is_left_out(world: FluxWorld) -> None:
    bad = record("a.example", 1, r"\# 4 7f", START, START)
    table = pa.concat_tables([bad, world.observed(made.STYLES["zbot"], "a.example", 7.0)])
    (row,) = features(table, world.reference)
    assert row["state"] == "flux"
    assert features(bad, world.reference) == []


def test_hosts_of_flux_names_come_first_among_addresses(world: FluxWorld) -> None:
    table = pa.concat_tables(
        [
            world.observed(made.STYLES["zbot"], "flux.example", 7.0),
            record("site.example", 1, world.fixed_address, START, START),
        ]
    )
    rows = address_features(table, world.reference, flux_names=["flux.example"])
    assert all(tuple(row) == ADDRESS_COLUMNS for row in rows)
    assert rows[0]["flux_names"] == 1
    assert (rows[-1]["address"], rows[-1]["flux_names"]) == (world.fixed_address, 0)
    assert rows[-1]["names"] == 1
    assert len(rows) == len({row["address"] for row in rows})


def record(name: str, rrtype: int, data: str, first: datetime, last: datetime) -> pa.Table:
    row = {"rrname": name, "rrtype": rrtype, "rdata": data, "time_first": first,
           "time_last": last, "count": 100, "sensor": "s", "source": "x"}  # fmt: skip
    columns: dict[str, Any] = {}
    for field in ANSWERS.arrow:
        value: Any = row.get(field.name)
        timed = isinstance(value, datetime)
        one = pa.array([value], TIME) if timed else pa.array([value])
        columns[field.name] = one.cast(field.type)
    return pa.table(columns, ANSWERS.arrow)
