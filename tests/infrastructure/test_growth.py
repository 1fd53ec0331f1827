"""Every kind of hub joins nothing and says why; bad records are counted, never joined."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from infrastructure.made_records import (
    LIMITS,
    case,
    edges,
    left_out,
    mapped,
    node,
    record,
    records,
    values,
)
from remnant.enrich import tables
from remnant.enrich.content import segments
from remnant.enrich.reference import Reference, Source
from remnant.enrich.roles import known
from remnant.infrastructure.listed import entries

SEED = records("c2.evil.com A 5.6.7.8")


def customers(count: int, data: str, kind: str = "A") -> list[dict[str, object]]:
    return records(*(f"site{i}.com {kind} {data}" for i in range(count)))


def test_shared_hosting_joins_nothing_and_stays_on_the_map() -> None:
    graph = mapped(SEED + customers(40, "5.6.7.8"), case("c2.evil.com"))

    assert values(graph) == {"c2.evil.com", "evil.com", "5.6.7.8"}
    hub = node(graph, "5.6.7.8")
    assert hub["hub"] == (
        "shared hosting: 40 other registered domains at once, 1 of this case "
        "(2020-01-01 to 2020-01-31)"
    )
    assert hub["degree"] == 41
    assert left_out(graph) == {"behind a hub only": 40}


def test_one_domain_with_many_names_is_no_hub() -> None:
    rows = SEED + records(*(f"host{i}.big.com A 5.6.7.8" for i in range(40)))

    assert node(mapped(rows, case("c2.evil.com")), "5.6.7.8")["hub"] is None


def test_a_server_with_many_seeds_may_have_many_others() -> None:
    seeds = [f"c{i}.evil{i}.com" for i in range(10)]
    rows = records(*(f"{name} A 5.6.7.8" for name in seeds)) + customers(60, "5.6.7.8")

    assert node(mapped(rows, case(*seeds)), "5.6.7.8")["hub"] is None
    assert node(mapped(rows, case(*seeds[:2])), "5.6.7.8")["hub"] is not None


def test_customers_one_after_the_other_are_no_crowd() -> None:
    rows = SEED + [record(f"site{i}.com A 5.6.7.8", i, i + 0.5) for i in range(40)]

    assert node(mapped(rows, case("c2.evil.com")), "5.6.7.8")["hub"] is None


def test_an_address_is_a_hub_only_while_it_is_crowded() -> None:
    alone = [record("c2.evil.com A 5.6.7.8", 0, 30), record("c3.worse.com A 5.6.7.8", 5, 20)]
    later = [record(f"site{i}.com A 5.6.7.8", 40, 60) for i in range(40)]

    graph = mapped(alone + later, case("c2.evil.com"))

    assert node(graph, "5.6.7.8")["hub"] is None
    assert values(graph) == {"c2.evil.com", "evil.com", "5.6.7.8", "c3.worse.com", "worse.com"}
    assert left_out(graph) == {"was there while it was a hub": 40}


def test_content_delivery_is_told_from_shared_hosting() -> None:
    edge = ["5.6.7.8", "5.6.7.9", "5.6.7.10"]
    rows = SEED + [row for at in edge for row in customers(40, at)]

    graph = mapped(rows, case("c2.evil.com"))

    assert node(graph, "5.6.7.8")["hub"].startswith("content delivery: 40 other")


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("NS", "ns1.host.org", "name server of many"),
        ("MX", "mx.host.org", "mail exchanger of many"),
        ("CNAME", "edge.host.org", "alias of many"),
    ],
)
def test_servers_that_many_domains_use_join_nothing(kind: str, data: str, words: str) -> None:
    text = f"10 {data}" if kind == "MX" else data
    rows = records(f"evil.com {kind} {text}") + customers(40, text, kind)

    graph = mapped(rows, case("evil.com"))

    assert node(graph, data)["hub"].startswith(f"{words}: 40 other registered domains")
    assert "site1.com" not in values(graph)


def test_the_case_own_sinkhole_joins_nothing() -> None:
    rows = records("c2.evil.com A 192.0.2.5", "other.com A 192.0.2.5")

    graph = mapped(rows, case("c2.evil.com", sinkhole=["192.0.2.5"]))

    assert edges(graph) == {
        ("c2.evil.com", "sinkholed_at", "192.0.2.5"),
        ("c2.evil.com", "below", "evil.com"),
    }
    assert node(graph, "192.0.2.5")["kind"] == "sinkhole"


def test_listed_sinkholes_and_parking_join_nothing() -> None:
    sink = next(one for one in known("sinkhole") if "." in one.indicator and "/" not in one[0])
    park = next(one for one in entries("parking") if "/" not in one[0] and one[0][0].isdigit())
    rows = records(f"evil.com A {sink[0]}", f"a.com A {sink[0]}")
    rows += records(f"evil.com A {park[0]}", f"b.com A {park[0]}")

    graph = mapped(rows, case("evil.com"))

    assert values(graph) == {"evil.com", sink[0], park[0]}
    assert node(graph, sink[0])["label"] == sink.operator
    assert node(graph, sink[0])["hub"].startswith("sinkhole: ")
    assert node(graph, park[0])["hub"].startswith("parking: ")


def test_name_servers_that_came_with_a_sinkhole_are_one() -> None:
    rows = [
        record("c2.evil.com A 5.6.7.8", 0, 30),
        record("evil.com NS ns1.before.org", 0, 30),
        record("c2.evil.com A 192.0.2.5", 40, 60),
        record("evil.com NS ns1.after.org", 41, 60),
        record("taken.com NS ns1.after.org", 10, 60),
        record("mine.com NS ns1.before.org", 0, 60),
    ]

    graph = mapped(rows, case("c2.evil.com", sinkhole=["192.0.2.5"]))

    assert node(graph, "ns1.after.org")["kind"] == "sinkhole"
    assert node(graph, "ns1.before.org")["kind"] == "name_server"
    assert "mine.com" in values(graph)
    assert "taken.com" not in values(graph)


def test_a_public_resolver_as_an_answer_joins_nothing() -> None:
    graph = mapped(records("evil.com A 8.8.8.8", "a.com A 8.8.8.8"), case("evil.com"))

    assert values(graph) == {"evil.com", "8.8.8.8"}
    assert "Google" in node(graph, "8.8.8.8")["hub"]


def test_dynamic_dns_joins_neither_its_customers_nor_by_its_servers() -> None:
    rows = records("bot.ddns.net A 5.6.7.8", "ddns.net NS nf1.provider.com")
    rows += records("bot.ddns.net NS nf1.provider.com", "ann.ddns.net A 9.9.1.1")
    rows += records("other.com NS nf1.provider.com")

    graph = mapped(rows, case("bot.ddns.net"))

    assert "ann.ddns.net" not in values(graph)
    assert "other.com" not in values(graph)
    assert node(graph, "nf1.provider.com")["hub"] == "name server of dynamic DNS: ddns.net"


def test_a_zone_with_a_wildcard_joins_nothing_but_through_its_seeds() -> None:
    rows = records(*(f"label{i}.blogs.com A 5.6.7.8" for i in range(60)))

    graph = mapped(rows, case("label1.blogs.com"))

    assert node(graph, "blogs.com")["hub"].startswith("wildcard DNS: 60 of 60")
    below = [value for value in values(graph) if value.endswith(".blogs.com")]
    assert len(below) <= LIMITS.names_per_domain + 1


def test_a_domain_with_a_wildcard_that_a_server_leads_to_is_no_hub() -> None:
    rows = records(*(f"label{i}.blogs.com A 9.9.1.1" for i in range(60)))
    rows += [*SEED, *records("blogs.com A 5.6.7.8", "blogs.com A 9.9.1.1")]

    graph = mapped(rows, case("c2.evil.com"))

    assert node(graph, "blogs.com")["hub"] is None
    assert "below a zone with a wildcard" in left_out(graph)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("c2.evil.com A 127.0.0.1", "address of no public host (loopback)"),
        ("c2.evil.com A 10.1.2.3", "address of no public host (private)"),
        ("c2.evil.com A 203.0.113.9", "address of no public host (documentation)"),
        ("c2.evil.com A 224.0.0.9", "address of no public host (multicast)"),
        ("c2.evil.com A 0.0.0.0", "address of no public host (this network)"),
        ("c2.evil.com AAAA fe80::1", "address of no public host (link-local)"),
        ("c2.evil.com A nonsense", "address record without an address"),
        ("c2.evil.com MX 0 .", "points to the root (null MX)"),
        (r"c2.evil.com CNAME odd\000.com", "points to no host name"),
        ("c2.evil.com NS " + ".".join(["a" * 60] * 5), "points to no host name"),
    ],
)
def test_bad_data_is_counted_and_not_joined(line: str, reason: str) -> None:
    rows = [record(line), record(line.replace("c2.evil.com", "bystander.com", 1))]

    graph = mapped(rows, case("c2.evil.com"))

    assert values(graph) <= {"c2.evil.com", "evil.com"}
    assert left_out(graph)[reason] == 1


def test_an_alias_of_itself_is_no_relation() -> None:
    graph = mapped(records("evil.com CNAME evil.com"), case("evil.com"))

    assert graph.edges.num_rows == 0
    assert left_out(graph) == {"alias of itself": 1}


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [
        (9, 2, "first seen after it was last seen"),
        (-9000, 2, "seen before 2000"),
        (1, 9000, "seen in the future"),
    ],
)
def test_poisoned_times_are_counted_and_not_joined(first: int, last: int, reason: str) -> None:
    graph = mapped([record("c2.evil.com A 5.6.7.8", first, last)], case("c2.evil.com"))

    assert "5.6.7.8" not in values(graph)
    assert left_out(graph) == {reason: 1}


def test_owners_with_odd_bytes_are_not_joined_unless_they_are_seeds() -> None:
    odd = r"\000\255x.com"
    rows = records(f"{odd} A 5.6.7.8", "c2.evil.com A 5.6.7.8", "a'b.com A 5.6.7.8")

    graph = mapped(rows, case("c2.evil.com"))

    assert left_out(graph) == {"owner is no host name": 2}
    assert odd in values(mapped(rows, case(odd)))


def test_a_cycle_of_aliases_joins_nothing() -> None:
    rows = records("c2.evil.com CNAME a.com", "a.com CNAME b.com", "b.com CNAME c2.evil.com")
    rows += records("c2.evil.com CNAME fine.com")

    graph = mapped(rows, case("c2.evil.com"))

    assert values(graph) == {"c2.evil.com", "evil.com", "fine.com"}
    assert left_out(graph)["in a cycle of aliases"] == 3


def test_ten_thousand_addresses_of_a_name_stay_within_the_limits() -> None:
    rows = records(*(f"c2.evil.com A 5.{i >> 8}.{i & 255}.1" for i in range(10_000)))

    graph = mapped(rows, case("c2.evil.com"), replace(LIMITS, hops=1))

    assert len(graph) == LIMITS.addresses_per_name + 2
    assert node(graph, "c2.evil.com")["degree"] >= 10_000
    reasons = left_out(graph)
    assert reasons["more than a name may bring"] == 500
    assert reasons["more than a pivot returns of one key"] == 9_000


def made_up_networks(line: str) -> Reference:
    from datetime import date
    from pathlib import Path

    path = Path("prefixes.tsv")
    content = tables.read(path, line.encode())
    table, _ = segments(content)
    source = Source(path, content.format, date(2020, 1, 1), "file name", 0, (), table)
    return Reference((source,), Reference.none().as_names)


def test_made_up_hosts_are_used_where_reference_data_name_their_network() -> None:
    reference = made_up_networks("198.18.0.0\t198.18.0.255\t64500\tDE\tSimulated\n")
    rows = records("evil.com A 198.18.0.7", "a.com A 198.18.0.7", "evil.com A 127.0.0.1")
    rows += records("evil.com A 198.18.9.7")

    graph = mapped(rows, case("evil.com"), reference=reference)

    assert values(graph) == {"evil.com", "a.com", "198.18.0.7", "198.18.0.0/24", "AS64500"}
    assert ("198.18.0.7", "in_prefix", "198.18.0.0/24") in edges(graph)
    assert ("198.18.0.0/24", "in_asn", "AS64500") in edges(graph)
    place = node(graph, "198.18.0.7")
    assert (place["asn"], place["country"]) == (64500, "DE")


def test_the_values_are_text_of_the_schema() -> None:
    from remnant.schema import EDGES, LEFT_OUT, NODES

    graph = mapped(SEED, case("c2.evil.com"))

    assert graph.nodes.schema == NODES.arrow
    assert graph.edges.schema == EDGES.arrow
    assert graph.left_out.schema == LEFT_OUT.arrow
    assert isinstance(graph.nodes, pa.Table)
