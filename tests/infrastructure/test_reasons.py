from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from made_maps import made_map
from remnant.infrastructure.rank import CANDIDATES, Candidate, candidates
from remnant.infrastructure.reasons import days

if TYPE_CHECKING:
    from collections.abc import Mapping

Edge = tuple[Any, ...]


def found(edges: list[Edge], value: str, *, degrees: Mapping[str, int] | None = None) -> Candidate:
    seeds = [f"s{i}.test" for i in range(9)]
    graph = made_map(edges, seeds=seeds, degrees=degrees)
    return next(one for one in candidates(graph, kinds=CANDIDATES) if one.value == value)


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        ("2015-04-09", "2015-04-09", "9 April 2015"),
        ("2015-03-28", "2015-04-03", "28 March-3 April 2015"),
    ],
)
def test_days_in_words(first: str, last: str, text: str) -> None:
    assert days(np.datetime64(first), np.datetime64(last)) == text


def test_seeds_that_were_there_at_the_same_time_are_told_from_the_others() -> None:
    edges = [
        (f"s{i}.test", "resolves_to", "203.0.113.7", "2015-04-02", f"2015-04-0{4 + i}")
        for i in range(3)
    ]
    edges += [
        ("s5.test", "resolves_to", "203.0.113.7", "2015-05-01", "2015-05-03"),
        ("x.test", "resolves_to", "203.0.113.7", "2015-04-05", "2015-04-09"),
    ]

    one = found(edges, "x.test", degrees={"203.0.113.7": 25})

    assert one.reasons == (
        "shares 203.0.113.7 with 2 seeds, 5-6 April 2015 (and with 2 seeds at other times); "
        "20 others are known there",
    )
    assert one.paths == (("s1.test", "203.0.113.7", "x.test"),)


def test_the_next_tenant_is_said_to_be_one() -> None:
    one = found(
        [
            ("s1.test", "resolves_to", "203.0.113.7", "2015-04-02", "2015-04-04"),
            ("x.test", "resolves_to", "203.0.113.7", "2015-06-01", "2015-06-30"),
        ],
        "x.test",
    )

    assert one.reasons == (
        "had 203.0.113.7, 1-30 June 2015, but never while the seed s1.test did, 2-4 April 2015: "
        "a weak link",
    )


def test_two_name_servers_of_one_domain_are_one_reason() -> None:
    edges: list[Edge] = [
        (name, "served_by", server)
        for name in ("s1.test", "s2.test", "x.test")
        for server in ("ns1.dns.test", "ns2.dns.test")
    ]
    edges += [(server, "below", "dns.test") for server in ("ns1.dns.test", "ns2.dns.test")]

    one = found(edges, "x.test")

    assert one.reasons == ("shares the name servers ns1.dns.test and ns2.dns.test with 2 seeds",)


@pytest.mark.parametrize(
    ("edge", "value", "reason"),
    [
        (("s1.test", "resolves_to", "203.0.113.7"), "203.0.113.7", "the seed s1.test led to it"),
        (("x.test", "alias_of", "s1.test"), "x.test", "is an alias of the seed s1.test"),
        (("s1.test", "alias_of", "x.test"), "x.test", "the seed s1.test is an alias of it"),
        (("s1.test", "served_by", "ns.x.test"), "ns.x.test", "serves the seed s1.test"),
    ],
)
def test_what_stands_beside_a_seed_says_so(edge: Edge, value: str, reason: str) -> None:
    one = found([edge], value)

    assert one.reasons == (reason,)
    assert one.paths == (("s1.test", value),)


def test_far_things_tell_the_way() -> None:
    one = found(
        [
            ("s1.test", "resolves_to", "203.0.113.7"),
            ("m.test", "resolves_to", "203.0.113.7"),
            ("m.test", "served_by", "ns.m.test"),
            ("x.test", "served_by", "ns.m.test"),
        ],
        "x.test",
    )

    assert one.reasons == (
        "is 4 steps from the seed s1.test, by way of the name server ns.m.test, the name m.test, "
        "the address 203.0.113.7",
    )
    assert one.paths == (("s1.test", "203.0.113.7", "m.test", "ns.m.test", "x.test"),)


def test_the_strongest_reason_comes_first_and_at_most_five() -> None:
    edges: list[Edge] = [
        (name, "resolves_to", f"203.0.113.{i}") for i in range(7) for name in ("s1.test", "x.test")
    ]
    edges += [("s2.test", "resolves_to", "203.0.113.6"), ("s3.test", "resolves_to", "203.0.113.6")]

    one = found(edges, "x.test")

    assert len(one.reasons) == len(one.paths) == 5
    assert one.reasons[0] == "shares 203.0.113.6 with 3 seeds"
