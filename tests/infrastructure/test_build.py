"""A map joins what passive DNS joins to a case's seeds, the same whatever the order of records."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.made_records import (
    LIMITS,
    START,
    case,
    edges,
    left_out,
    mapped,
    node,
    record,
    records,
    table,
    values,
)
from remnant.enrich.reference import Reference
from remnant.infrastructure.build import build
from remnant.infrastructure.pivot import TablePivots
from remnant.windows import Window

if TYPE_CHECKING:
    from remnant.infrastructure.graph import Graph

BOTNET = records(
    "c2.evil.com A 5.6.7.8",
    "c2.other.net A 5.6.7.8",
    "other.net NS ns1.own.org",
    "third.info NS ns1.own.org",
    "ns1.own.org A 5.6.7.9",
    "evil.com MX 10 mail.evil.com",
    "www.evil.com CNAME c2.evil.com",
)


def test_every_kind_of_record_gives_its_relation() -> None:
    graph = mapped(BOTNET, case("c2.evil.com"))

    assert edges(graph) == {
        ("c2.evil.com", "resolves_to", "5.6.7.8"),
        ("c2.other.net", "resolves_to", "5.6.7.8"),
        ("ns1.own.org", "resolves_to", "5.6.7.9"),
        ("other.net", "served_by", "ns1.own.org"),
        ("third.info", "served_by", "ns1.own.org"),
        ("evil.com", "mail_by", "mail.evil.com"),
        ("www.evil.com", "alias_of", "c2.evil.com"),
        ("c2.evil.com", "below", "evil.com"),
        ("www.evil.com", "below", "evil.com"),
        ("mail.evil.com", "below", "evil.com"),
        ("c2.other.net", "below", "other.net"),
        ("ns1.own.org", "below", "own.org"),
    }
    kinds = {row["value"]: row["kind"] for row in graph.nodes.to_pylist()}
    assert kinds["ns1.own.org"] == "name_server"
    assert kinds["mail.evil.com"] == "mail_exchanger"
    assert kinds["evil.com"] == "domain"
    assert kinds["5.6.7.8"] == "address"


def test_steps_from_the_seeds_and_what_a_seed_is() -> None:
    graph = mapped(BOTNET, case("c2.evil.com", state="seized", role="download"))

    assert graph.nodes["value"].to_pylist()[:1] == ["c2.evil.com"]
    seed = node(graph, "c2.evil.com")
    assert (seed["seed"], seed["role"], seed["state"], seed["hop"]) == (
        True,
        "download",
        "seized",
        0,
    )
    assert node(graph, "5.6.7.8")["hop"] == 1
    assert node(graph, "c2.other.net")["hop"] == 2
    assert node(graph, "third.info")["hop"] == 5


@pytest.mark.parametrize(
    ("hops", "farthest"), [(1, "5.6.7.8"), (2, "c2.other.net"), (3, "ns1.own.org")]
)
def test_no_more_rounds_than_asked_for(hops: int, farthest: str) -> None:
    graph = mapped(BOTNET, case("c2.evil.com"), replace(LIMITS, hops=hops))

    assert farthest in values(graph)
    assert "third.info" not in values(graph)
    assert left_out(graph)["beyond the last round"] >= 1


def test_ipv6_addresses_and_ipv4_in_ipv6_are_joined() -> None:
    rows = records("a.com AAAA 2a00::5", "b.com AAAA 2a00::5", "b.com A 5.6.7.8")
    rows += records("c.com AAAA ::ffff:5.6.7.8")

    assert {"a.com", "b.com", "c.com", "2a00::5", "5.6.7.8"} == values(mapped(rows, case("a.com")))


def test_a_zone_is_seeded_with_what_was_seen_below_it() -> None:
    rows = records("a.b.evil.com A 5.6.7.8", "evil.com A 5.6.7.9", "notevil.com A 5.6.7.1")

    graph = mapped(rows, case("*.evil.com"))

    assert {"a.b.evil.com", "evil.com", "5.6.7.8", "5.6.7.9"} == values(graph)
    assert node(graph, "a.b.evil.com")["seed"]


def test_a_watched_name_without_records_stands_alone() -> None:
    graph = mapped([], case("unseen.com"))

    assert values(graph) == {"unseen.com"}
    assert graph.edges.num_rows == 0


def test_watched_addresses_join_what_was_there() -> None:
    rows = records("a.com A 5.6.7.8", "b.com A 5.6.7.77", "c.com A 5.6.8.1")

    graph = mapped(rows, case(addresses=["5.6.7.8/32", "5.6.7.64/26", "9.0.0.0/8"]))

    assert {"5.6.7.8", "a.com", "5.6.7.77", "b.com", "9.0.0.0/8"} == values(graph)
    assert node(graph, "9.0.0.0/8")["kind"] == "prefix"
    assert left_out(graph)["watched network too large to ask for its addresses"] == 1


def test_counts_add_up_over_sensors_and_spans_join() -> None:
    rows = [
        record("a.com A 5.6.7.8", 0, 5, count=3, sensor="north", source="x"),
        record("a.com A 5.6.7.8", 2, 9, count=4, sensor="south", source="y"),
    ]

    (edge,) = mapped(rows, case("a.com")).edges.to_pylist()

    assert (edge["count"], edge["sensors"], edge["sources"]) == (7, ["north", "south"], ["x", "y"])
    assert edge["time_first"] == START
    assert edge["time_last"] == START + timedelta(days=9)


def test_generated_names_are_seeds_only_if_seen_in_their_time() -> None:
    from remnant.cases import dga
    from remnant.cases.model import Case, Watch

    family = "conficker_a" if "conficker_a" in dga.FAMILIES else next(iter(dga.FAMILIES))
    day = START.date()
    names = list(dga.generate(family, day))
    watch = Watch(dga=family, role="dga", since=START, until=START + timedelta(days=1))
    watched = Case("made-up", "made up", START, (watch,))
    rows = [record(f"{names[0]} A 5.6.7.8", 0, 1), record(f"{names[1]} A 5.6.7.9", 90, 99)]
    always = dga.family(family).epoch_days is None

    graph = mapped(rows, watched)

    assert names[0] in values(graph)
    assert (names[1] in values(graph)) == always
    assert names[2] not in values(graph)


def test_names_of_sightings_seed_zones_that_passive_dns_does_not_know() -> None:
    import pyarrow as pa

    seen = pa.array(["deep.evil.com", "elsewhere.com", r"x\.evil.com"])
    graph = build(case("*.evil.com"), TablePivots(table([])), Reference.none(), LIMITS, seen=seen)

    assert values(graph) == {"evil.com", "deep.evil.com"}


def test_a_window_cuts_records() -> None:
    rows = [record("a.com A 5.6.7.8", 0, 5), record("b.com A 5.6.7.8", 20, 25)]
    window = Window(START, START + timedelta(days=10))
    pivots = TablePivots(table(rows), window=window)

    graph = build(case("a.com"), pivots, Reference.none(), LIMITS, window)

    assert values(graph) == {"a.com", "5.6.7.8"}


def test_a_later_tenant_of_an_address_is_not_joined() -> None:
    rows = [record("a.com A 5.6.7.8", 0, 5), record("b.com A 5.6.7.8", 10, 15)]
    rows += [record("c.com A 5.6.7.8", 80, 90)]

    graph = mapped(rows, case("a.com"))

    assert values(graph) == {"a.com", "b.com", "5.6.7.8"}
    assert left_out(graph) == {"was there at another time": 1}


def test_limits_hold_and_say_what_they_left_out() -> None:
    rows = [record(f"n{i}.com A 5.6.7.8", count=i + 1) for i in range(20)]
    rows += records("a.com A 5.6.7.8")

    graph = mapped(rows, case("a.com"), replace(LIMITS, names_per_address=5))

    assert values(graph) == {"a.com", "5.6.7.8", *(f"n{i}.com" for i in range(15, 20))}
    assert left_out(graph) == {"more than an address or server may bring": 15}


def test_a_pivot_that_is_cut_short_says_so() -> None:
    rows = [record(f"n{i}.com A 5.6.7.8", count=i + 1) for i in range(20)]
    rows += [record("a.com A 5.6.7.8", count=99)]

    graph = mapped(rows, case("a.com"), per_key=10)

    assert left_out(graph) == {"more than a pivot returns of one key": 11}
    assert node(graph, "5.6.7.8")["degree"] == 21


def test_a_round_prefers_what_is_joined_to_most() -> None:
    rows = records(*(f"a{i}.com A 5.6.7.8" for i in range(3)), "a0.com A 5.6.7.9")

    graph = mapped(rows, case("a0.com", "a1.com", "a2.com"), replace(LIMITS, nodes_per_hop=1))

    assert "5.6.7.8" in values(graph)
    assert "5.6.7.9" not in values(graph)


NAMES = [f"{host}{zone}" for zone in ("a.com", "b.net", "c.co.uk") for host in ("", "x.", "y.")]
ADDRESSES = ["5.6.7.8", "5.6.7.9", "9.9.1.1"]
made = st.builds(
    record,
    st.one_of(
        st.builds("{} A {}".format, st.sampled_from(NAMES), st.sampled_from(ADDRESSES)),
        st.builds("{} CNAME {}".format, st.sampled_from(NAMES), st.sampled_from(NAMES)),
        st.builds("{} NS {}".format, st.sampled_from(NAMES), st.sampled_from(NAMES)),
        st.builds("{} MX 5 {}".format, st.sampled_from(NAMES), st.sampled_from(NAMES)),
    ),
    st.sampled_from([0.0, 40.0]),
    st.sampled_from([41.0, 100.0]),
    count=st.integers(2, 9),
)


def same(graph: Graph) -> list[Any]:
    plain = graph.edges.drop_columns(["sensors"])
    return [graph.nodes.to_pylist(), plain.to_pylist(), graph.left_out.to_pylist()]


@settings(max_examples=12, deadline=None)
@given(st.lists(made, max_size=25), st.integers(0, 99), st.integers(1, 4))
def test_order_and_sensors_of_records_do_not_change_the_map(
    rows: list[dict[str, Any]], seed: int, per_key: int
) -> None:
    random = np.random.default_rng(seed)
    split = [{**row, "count": 1, "sensor": "other"} for row in rows]
    rest = [{**row, "count": row["count"] - 1} for row in rows]
    both = split + rest
    shuffled = [both[i] for i in random.permutation(len(both))]
    limits = replace(LIMITS, shared_domains=1, names_per_address=2, hops=2)

    one = mapped(rows, case("a.com", "x.b.net"), limits, per_key=per_key)
    other = mapped(shuffled, case("a.com", "x.b.net"), limits, per_key=per_key)

    assert same(one) == same(other)


@settings(max_examples=12, deadline=None)
@given(st.lists(made, max_size=30), st.integers(1, 3))
def test_nothing_is_joined_through_a_hub(rows: list[dict[str, Any]], shared: int) -> None:
    graph = mapped(rows, case("a.com"), replace(LIMITS, shared_domains=shared, hops=3))

    reached = set(graph.seeds.tolist())
    fresh = {n for n in reached if not graph.hubs[n]}
    places = {
        n for n, kind in enumerate(graph.nodes["kind"].to_pylist()) if kind in {"prefix", "asn"}
    }
    pairs = list(zip(graph.tails.tolist(), graph.heads.tolist(), strict=True))
    while fresh:
        near = {b for a, b in pairs if a in fresh} | {a for a, b in pairs if b in fresh}
        fresh = {n for n in near - reached if not graph.hubs[n] and n not in places}
        reached |= near
    assert reached == set(range(len(graph)))
    assert "a.com" in values(graph)
