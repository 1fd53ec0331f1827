"""The list of clients: first and last, strongest proof, filters by network and time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from enrich.enrich_view import HOUR, START, MadeUpCase, client, sighting
from remnant.enrich.clients import NetworkSyntaxError, list_clients
from remnant.windows import Window

if TYPE_CHECKING:
    from remnant.store import View

KNOWN = {"asn": 64500, "as_name": "Example", "country": "DE"}
CASE = MadeUpCase(
    clients=[
        client(1, "192.0.2.1", **KNOWN),
        client(2, "2001:db8:0:1::/64", asn=64501),
        client(3, "198.51.100.7"),
    ],
    sightings=[
        sighting(1, 0, proof="dns_udp", client_port=5000, weight=3),
        sighting(1, 5, proof="tls", client_port=6000),
        sighting(1, 9, proof="dns_tcp", client_port=None),
        sighting(2, 2, unit="ipv6_64"),
        sighting(3, 3),
        sighting(3, 4),
        sighting(4, 4, client_port=None),
        sighting(1, 4, vantage="sinkhole_dns"),
        sighting(5, 4, vantage="sinkhole_dns"),
    ],
)


def listed(case: MadeUpCase = CASE, **more: Any) -> list[dict[str, Any]]:
    return list_clients(cast("View", case), **more)


def addresses(**more: Any) -> list[str | None]:
    return [row["address"] for row in listed(**more)]


def test_a_row_says_everything_of_a_client() -> None:
    assert listed()[0] == {
        "address": "192.0.2.1",
        "unit": "ipv4",
        "vantage": "resolver",
        "first": "2015-04-08T00:00:00Z",
        "last": "2015-04-08T09:00:00Z",
        "queries": 5,
        "client_port": 6000,
        "proof": "tls",
        "role": None,
        **KNOWN,
    }


def test_those_with_most_queries_come_first_and_no_one_is_dropped() -> None:
    assert [(row["address"], row["queries"]) for row in listed()] == [
        ("192.0.2.1", 5),
        ("198.51.100.7", 2),
        ("2001:db8:0:1::/64", 1),
        (None, 1),  # its address is no longer stored
    ]
    assert listed()[3]["client_port"] is None


def test_a_limit() -> None:
    assert addresses(limit=2) == ["192.0.2.1", "198.51.100.7"]


def test_vantages_are_not_added_together() -> None:
    rows = listed(vantage="sinkhole_dns")

    assert [(row["queries"], row["vantage"]) for row in rows] == [(1, "sinkhole_dns")] * 2
    assert listed(vantage="flow") == []


def test_a_window_is_half_open() -> None:
    window = Window(START + 2 * HOUR, START + 4 * HOUR)

    assert addresses(window=window) == ["2001:db8:0:1::/64", "198.51.100.7"]
    later = Window(START + 4 * HOUR, START + 4 * HOUR + timedelta(seconds=1))
    assert [row["queries"] for row in listed(window=later)] == [1, 1]


@pytest.mark.parametrize(
    ("network", "found"),
    [
        ("AS64500", ["192.0.2.1"]),
        ("64501", ["2001:db8:0:1::/64"]),
        ("as7", []),
        ("192.0.2.0/24", ["192.0.2.1"]),
        ("192.0.2.1", ["192.0.2.1"]),
        ("192.0.2.2/31", []),
        ("0.0.0.0/0", ["192.0.2.1", "198.51.100.7"]),
        ("::/0", ["2001:db8:0:1::/64"]),
        ("2001:db8::/32", ["2001:db8:0:1::/64"]),
        ("2001:db8:0:1::5/128", ["2001:db8:0:1::/64"]),
        ("2001:db8:0:2::/64", []),
    ],
)
def test_a_network_is_an_as_or_a_prefix(network: str, found: list[str]) -> None:
    assert addresses(network=network) == found


@pytest.mark.parametrize("network", ["", "AS", "AS0", "AS4294967296", "x", "1.2.3.4/33", "DE"])
def test_anything_else_is_a_clear_error(network: str) -> None:
    with pytest.raises(NetworkSyntaxError) as caught:
        listed(network=network)

    assert caught.value.expected is not None


def test_the_latest_facts_hold_and_a_known_role_is_kept() -> None:
    case = MadeUpCase(
        clients=[
            client(1, "192.0.2.1", asn=1, country="US", role="resolver"),
            client(1, "192.0.2.1", asn=2, last_time=START + HOUR),
        ],
        sightings=[sighting(1, 0)],
    )
    (row,) = listed(case)

    assert (row["asn"], row["country"], row["role"]) == (2, None, "resolver")


def test_a_case_without_sightings_has_no_clients() -> None:
    assert listed(MadeUpCase()) == []
    assert listed(MadeUpCase(), network="AS1") == []
    assert listed(MadeUpCase(), network="192.0.2.0/24") == []
