"""An operator's infrastructure beside an innocent internet."""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from remnant.enrich.addresses import parse, to_bytes
from remnant.errors import SimulationError
from remnant.names import fold
from remnant.schema import ANSWERS
from remnant.simulate.hosting import SINKHOLE, Hosting, Known, hosting


@pytest.fixture(scope="module")
def world() -> Hosting:
    return hosting(7, innocents=0.2)


def addresses_of(world: Hosting) -> dict[str, set[str]]:
    records = world.answers.filter(pc.field("rrtype") == 1)
    found: dict[str, set[str]] = defaultdict(set)
    for row in zip(records["rrname"].to_pylist(), records["rdata"].to_pylist(), strict=True):
        found[str(row[0])].add(str(row[1]))
    return found


def test_the_answers_are_columns_of_the_schema_with_folded_names(world: Hosting) -> None:
    assert world.answers.schema.equals(ANSWERS.arrow)
    assert all(column.null_count == 0 for column in world.answers.columns)
    names = list(map(str, pc.unique(world.answers["rrname"]).to_pylist()))
    assert all(fold(name) == name for name in names[:: len(names) // 200])
    first, last = world.answers["time_first"], world.answers["time_last"]
    assert pc.all(pc.less_equal(first, last)).as_py()
    assert pc.min(first).as_py() >= world.since
    assert pc.max(last).as_py() <= world.until


def test_the_same_seed_gives_the_same_world_and_another_seed_another() -> None:
    one, same, other = (hosting(s, innocents=0.01, neighbours=50) for s in (3, 3, 4))
    assert one.answers.equals(same.answers)
    assert one.seeds != other.seeds


def test_hidden_names_are_as_many_as_wanted_and_no_seeds(world: Hosting) -> None:
    assert len(world.hidden) == 40
    assert not set(world.hidden) & set(world.seeds)
    shared = world.truth.filter(pc.field("hidden") & (pc.field("behind") == "shared_hosting"))
    assert shared.num_rows == 12


def test_a_name_behind_shared_hosting_has_many_innocent_neighbours(world: Hosting) -> None:
    at = addresses_of(world)
    names = defaultdict(set)
    for name, hosts in at.items():
        for host in hosts:
            names[host].add(name)
    rows = world.truth.filter(pc.field("behind") == "shared_hosting").to_pylist()
    for row in rows:
        assert max(len(names[host]) for host in at[row["value"]]) > 350


def test_seized_names_lead_to_the_sinkhole_from_the_takedown_on(world: Hosting) -> None:
    there = world.answers.filter(pc.field("rdata") == SINKHOLE)
    assert set(there["rrname"].to_pylist()) <= set(world.seeds)
    assert pc.min(there["time_first"]).as_py() >= world.takedown


def test_tenants_of_one_address_are_never_there_at_the_same_time(world: Hosting) -> None:
    truth = world.truth.to_pylist()
    servers = {
        row["value"]: row for row in truth if row["kind"] == "address" and row["link"] == "server"
    }
    at = addresses_of(world)
    reused = [row for row in truth if row["behind"] == "reused"]
    assert reused
    for row in reused:
        (address,) = at[row["value"]]
        server = servers[address]
        assert row["until"] < server["since"] or row["since"] > server["until"]


def test_unlinked_names_were_never_on_a_server_and_the_others_of_their_kind_were() -> None:
    world = hosting(5, innocents=0.05, unlinked=0.1)
    at = addresses_of(world)
    truth = world.truth.to_pylist()
    servers = {
        row["value"] for row in truth if row["kind"] == "address" and row["link"] == "server"
    }
    link = {row["value"]: row["link"] for row in truth if row["kind"] == "name" and row["hidden"]}
    assert sorted(link.values()).count("none") == 4
    for name, how in link.items():
        if how in {"none", "server", "earlier"}:
            assert bool(at[name] & servers) == (how != "none")


def test_published_names_keep_their_address_before_the_takedown() -> None:
    known = [Known("ns1.timedate1.com", address="203.0.113.10", address_since=80.0)]
    world = hosting(2, seeds=known, compromised=0, innocents=0.02, neighbours=20)
    assert world.seeds == ("ns1.timedate1.com",)
    records = world.answers.filter(pc.field("rdata") == "203.0.113.10")
    assert set(records["rrname"].to_pylist()) == {"ns1.timedate1.com"}
    assert pc.min(records["time_first"]).as_py() >= world.since + timedelta(days=80)
    assert pc.max(records["time_last"]).as_py() <= world.takedown


def test_the_reference_knows_the_networks_of_all_servers(world: Hosting) -> None:
    servers = [row["value"] for row in world.truth.to_pylist() if row["kind"] == "address"]
    found = parse(pa.array(servers))
    facts = world.reference().lookup(to_bytes(found.high, found.low))
    assert facts["asn"].null_count == 0
    assert np.unique(facts["asn"].to_numpy()).size > 3


def test_shares_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(SimulationError, match="no infrastructure"):
        hosting(1, shared_share=0.8, cdn_share=0.5)
    with pytest.raises(SimulationError, match="no infrastructure"):
        hosting(1, seeds=0)


def test_a_world_is_made_within_a_second() -> None:
    hosting(1, innocents=0.01)
    begin = time.process_time()
    hosting(1)
    assert time.process_time() - begin < 2.0
