"""The list of servers, from records, registrations and a case that are made up."""

from __future__ import annotations

import ipaddress
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from collate.made_up import settings_in
from infrastructure.registered import domain, network
from remnant.cases.casefile import loads
from remnant.enrich.reference import Reference
from remnant.infrastructure import led_to
from remnant.infrastructure.pivot import TablePivots
from remnant.infrastructure.registrations import Registrations, import_files
from remnant.infrastructure.servers import servers
from remnant.infrastructure.states import Evidence
from remnant.infrastructure.unusable import SPECIAL
from remnant.schema import ANSWERS
from remnant.store import Store
from remnant.windows import Window, iso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remnant.infrastructure.server import Found, Server

START = datetime(2015, 4, 1, tzinfo=UTC)
TYPES = {"A": 1, "NS": 2, "CNAME": 5, "AAAA": 28}
CASE = """
[case]
name = "demo"
takedown = 2015-05-01
[[watch]]
names = ["evil.example", "*.bad.example", "gone.example", "alias.example"]
state = "seized"
[[watch]]
addresses = ["203.0.113.99/32", "198.51.100.0/24"]
[sinkhole]
addresses = ["192.0.2.53"]
operator = "The takers"
"""

Record = tuple[float, float, str, str, str]


def answers(*records: Record) -> pa.Table:
    """Records of days ``first`` to ``last``: name, type, data."""
    rows = [
        {
            "rrname": name,
            "rrtype": TYPES[kind],
            "rdata": data,
            "time_first": START + timedelta(days=first),
            "time_last": START + timedelta(days=last),
            "count": 3,
            "sensor": "s1",
            "source": "src1",
        }
        for first, last, name, kind, data in records
    ]
    return pa.Table.from_pylist(rows, schema=ANSWERS.arrow)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(settings_in(tmp_path), write=True)
    yield opened
    opened.close()


def listing(store: Store, *records: Record, case: str = CASE, **more: Any) -> Found:
    return servers(
        loads(case, "case.toml"),
        TablePivots(answers(*records)),
        Registrations(store, "demo", simulated=False),
        Reference.none(),
        **more,
    )


def registered(store: Store, folder: Path, *values: dict[str, Any]) -> None:
    path = folder / "in.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    list(import_files(store, [path], now=datetime(2026, 1, 1, tzinfo=UTC), at=START))


def by_value(found: Found) -> dict[str, Server]:
    names = {one.value for one in found.servers if one.kind == "name"}
    values = {
        f"NS {one.value}" if one.kind == "name_server" and one.value in names else one.value: one
        for one in found.servers
    }
    assert len(values) == len(found.servers)
    return values


def test_what_lives_and_what_does_not(store: Store) -> None:
    found = listing(
        store,
        (0, 29, "evil.example", "A", "203.0.113.7"),
        (30, 100, "evil.example", "A", "192.0.2.53"),
        (0, 100, "www.bad.example", "A", "203.0.113.8"),
        (0, 100, "bad.example", "NS", "ns1.bad.example"),
        (0, 100, "ns1.bad.example", "A", "203.0.113.9"),
        (0, 100, "other.example", "A", "203.0.113.8"),
    )
    one = by_value(found)

    assert {value: (s.state, s.alive) for value, s in one.items()} == {
        "evil.example": ("sinkholed", False),
        "bad.example": ("unknown", False),
        "www.bad.example": ("resolving", True),
        "ns1.bad.example": ("resolving", True),
        "gone.example": ("unknown", False),
        "alias.example": ("unknown", False),
        "203.0.113.7": ("unknown", False),
        "203.0.113.8": ("resolving", True),
        "203.0.113.9": ("resolving", True),
        "192.0.2.53": ("sinkholed", False),
        "203.0.113.99": ("unknown", False),
        "NS ns1.bad.example": ("resolving", True),
    }
    assert one["evil.example"].whose == "The takers"
    assert one["203.0.113.8"].other_names == 2
    assert (one["203.0.113.9"].serves, one["203.0.113.9"].names) == ("hosts and name server", 3)
    assert one["192.0.2.53"].ask.kind == "nobody"
    assert one["203.0.113.7"].note == "nothing observed since 2015-04-30T00:00:00Z"
    assert found.window == Window(START, START + timedelta(days=100, seconds=1))


def test_whom_to_ask(store: Store, tmp_path: Path) -> None:
    registered(
        store,
        tmp_path,
        domain("evil.example", events=[]),
        network("203.0.113.0", "203.0.113.127"),
    )
    found = listing(
        store,
        (0, 100, "evil.example", "A", "203.0.113.7"),
        (0, 100, "evil.example", "AAAA", "4000::7"),
        (0, 100, "gone.example", "A", "203.0.113.200"),
    )
    one = by_value(found)
    assert (one["203.0.113.7"].ask.contact, one["203.0.113.7"].ask.name) == (
        "abuse@hosting.example", "TEST-NET-3",
    )  # fmt: skip
    assert one["evil.example"].ask.contact == "abuse@names.example"
    assert one["evil.example"].ask.as_of == iso(START)
    unknown = one["203.0.113.200"].ask
    assert (unknown.contact, unknown.name) == ("", "")
    assert unknown.where == "RDAP of 203.0.113.200: https://rdap.apnic.net/ip/203.0.113.200"
    assert unknown.registry == "APNIC"
    assert "registry of .example" in one["gone.example"].ask.where
    assert one["4000::7"].ask.where == "no registry gives out this address"


def test_groups_stay_together_and_those_with_most_to_do_come_first(
    store: Store, tmp_path: Path
) -> None:
    registered(store, tmp_path, network())
    found = listing(
        store,
        *[(0.0, 100.0, "evil.example", "A", f"203.0.113.{i}") for i in range(1, 6)],
        (0, 100, "gone.example", "A", "198.18.0.1"),
    )
    groups = [one.ask.contact or one.ask.registry or one.ask.name for one in found.servers]
    assert groups[:5] == ["abuse@hosting.example"] * 5
    changes = sum(a != b for a, b in pairwise(groups))
    assert changes == len(set(groups)) - 1


def test_aliases_are_followed_while_they_held_and_never_in_circles(store: Store) -> None:
    found = listing(
        store,
        (0, 40, "alias.example", "CNAME", "cdn.test"),
        (0, 100, "cdn.test", "CNAME", "alias.example"),
        (0, 100, "cdn.test", "A", "203.0.113.50"),
        (60, 100, "alias.example", "CNAME", "parking.bodis.com"),
    )
    one = by_value(found)
    assert one["203.0.113.50"].last_seen == START + timedelta(days=40)
    assert [i.state for i in one["alias.example"].timeline] == ["resolving", "parked"]
    assert one["alias.example"].whose == "Bodis"
    assert "A 203.0.113.50 by cdn.test" in one["alias.example"].timeline[0].evidence
    assert "cdn.test" not in one


def test_sinkholes_and_parking_by_name_server(store: Store) -> None:
    found = listing(
        store,
        (0, 100, "evil.example", "A", "203.0.113.7"),
        (0, 100, "evil.example", "NS", "ns1.sinkhole.ch"),
        (0, 100, "gone.example", "A", "203.0.113.8"),
        (0, 100, "gone.example", "NS", "ns1.sedoparking.com"),
        (0, 100, "x.bad.example", "A", "203.0.113.9"),
        (0, 100, "bad.example", "NS", "ns.taken.test"),
        (0, 100, "ns.taken.test", "A", "192.0.2.53"),
    )
    one = by_value(found)
    for value, state, whose in (
        ("evil.example", "sinkholed", "abuse"),
        ("203.0.113.7", "sinkholed", "abuse"),
        ("gone.example", "parked", "Sedo"),
        ("203.0.113.8", "parked", "Sedo"),
        ("x.bad.example", "sinkholed", "The takers"),
        ("ns.taken.test", "sinkholed", "The takers"),
    ):
        assert (one[value].state, one[value].whose, one[value].alive) == (state, whose, False)


def test_registered_again_by_its_registry(store: Store, tmp_path: Path) -> None:
    again = [{"eventAction": "registration", "eventDate": "2015-05-20T00:00:00Z"}]
    registered(store, tmp_path, domain("evil.example", events=again))
    found = listing(
        store,
        (0, 20, "evil.example", "A", "203.0.113.7"),
        (60, 100, "evil.example", "A", "203.0.113.8"),
    )
    one = by_value(found)
    assert (one["evil.example"].state, one["evil.example"].alive) == ("reregistered", True)
    assert "RDAP: registered 2015-05-20T00:00:00Z" in one["evil.example"].timeline[-1].evidence[0]
    assert one["203.0.113.8"].state == "resolving"


def test_what_leads_nowhere_is_no_server(store: Store) -> None:
    found = listing(
        store,
        (0, 100, "evil.example", "A", "127.0.0.1"),
        (0, 100, "evil.example", "AAAA", "fe80::1"),
    )
    one = by_value(found)
    assert one["evil.example"].state == one["127.0.0.1"].state == "absent"
    assert not any(s.alive for s in found.servers)


def test_response_codes_count(store: Store) -> None:
    def at(number: int) -> datetime:
        return START + timedelta(days=number)

    gone = Evidence(at(40), at(100), "absent", "NXDOMAIN", by="response", sensors=("r1",))
    found = listing(
        store,
        (0, 39, "evil.example", "A", "203.0.113.7"),
        responses=lambda _: {"evil.example": [gone]},
    )
    one = by_value(found)["evil.example"]
    assert (one.state, one.last_seen) == ("absent", at(39))
    assert one.timeline[-1].sensors == ("r1",)


def test_an_earlier_window_sees_nothing_later(store: Store) -> None:
    records: list[Record] = [
        (0, 29, "evil.example", "A", "203.0.113.7"),
        (30, 100, "evil.example", "A", "192.0.2.53"),
    ]
    found = listing(store, *records, until=START + timedelta(days=20))
    one = by_value(found)
    assert (one["evil.example"].state, one["evil.example"].alive) == ("resolving", True)
    assert one["evil.example"].last_seen == found.window.until
    assert one["192.0.2.53"].last_seen is None


def test_stale_evidence_says_so(store: Store) -> None:
    found = listing(
        store,
        (0, 80, "evil.example", "A", "203.0.113.7"),
        (0, 100, "gone.example", "A", "203.0.113.8"),
    )
    one = by_value(found)["evil.example"]
    assert (one.state, one.alive) == ("resolving", False)
    assert one.note == "last observed 20 days before the end of the window"
    assert by_value(listing(
        store,
        (0, 80, "evil.example", "A", "203.0.113.7"),
        (0, 100, "gone.example", "A", "203.0.113.8"),
        alive_days=21,
    ))["evil.example"].alive  # fmt: skip


def test_nothing_known_at_all(store: Store) -> None:
    found = listing(store)
    assert {one.state for one in found.servers} == {"unknown"}
    assert found.servers[0].timeline[0].evidence == ("nothing was observed",)


def test_what_is_left_out_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(led_to, "MOST_NAMES", 6)
    monkeypatch.setattr(led_to, "MOST_OF_ONE", 10)
    many: list[Record] = [(0, 100 - i, "evil.example", "A", f"203.0.113.{i}") for i in range(30)]
    many += [(0, i, f"n{i}.bad.example", "A", "203.0.113.7") for i in range(10)]
    found = listing(store, *many)
    assert len([one for one in found.servers if one.kind == "name"]) == 6
    assert {"n9.bad.example", "n8.bad.example"} <= by_value(found).keys()
    assert "203.0.113.9" in by_value(found)
    assert "203.0.113.10" not in by_value(found)
    assert found.left_out == (
        "8 names; of those seen, the ones seen longest ago",
        "20 records of names that have more than 10",
    )


def test_a_flood_of_names_hides_no_other_server(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can have any number of names below a zone looked up."""
    monkeypatch.setattr(led_to, "MOST_NAMES", 6)
    flood: list[Record] = [(0, 100, f"n{i}.bad.example", "A", "203.0.113.7") for i in range(30)]
    found = listing(store, *flood, (0, 90, "panel.bad.example", "A", "203.0.113.8"))
    assert {"203.0.113.7", "203.0.113.8"} <= by_value(found).keys()
    assert len([one for one in found.servers if one.kind == "name"]) == 6


def test_what_came_after_the_window_decides_on_no_name(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(led_to, "MOST_NAMES", 6)
    server = "203.0.113.7"
    later: list[Record] = [(60, 100 + i, f"n{i}.bad.example", "A", server) for i in range(9)]
    found = listing(
        store, *later, (0, 50, "then.bad.example", "A", server), until=START + timedelta(days=55)
    )
    assert by_value(found)["then.bad.example"].state == "resolving"


def test_of_too_many_written_names_those_never_seen_go_first(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(led_to, "MOST_NAMES", 2)
    found = listing(store, (0, 100, "evil.example", "A", "203.0.113.7"))
    assert "203.0.113.7" in by_value(found)
    assert "never seen" in found.left_out[0]


def test_aliases_that_multiply_are_bounded(store: Store) -> None:
    targets = [f"t{i}.test" for i in range(30)]
    records: list[Record] = [(0, 9, "alias.example", "CNAME", t) for t in targets]
    records += [(0, 9, a, "CNAME", b) for a in targets for b in targets]
    found = listing(store, *records)
    assert by_value(found)["alias.example"].timeline[-1].evidence[-1].startswith("and ")


def test_json_is_plain(store: Store) -> None:
    found = listing(store, (0, 100, "evil.example", "A", "203.0.113.7"))
    row = by_value(found)["203.0.113.7"].to_json()
    assert json.loads(json.dumps(row)) == row
    assert (row["since"], row["last_seen"]) == ("2015-04-01T00:00:00Z", "2015-07-10T00:00:00Z")
    assert (row["sensors"], row["sources"], row["examples"]) == (["s1"], ["src1"], ["evil.example"])


def test_name_servers_of_the_takers_that_no_list_knows(store: Store) -> None:
    found = listing(
        store,
        (0, 31, "evil.example", "A", "203.0.113.7"),
        (30, 100, "evil.example", "A", "192.0.2.53"),
        (0, 30, "evil.example", "NS", "ns.bad.test"),
        (30, 100, "evil.example", "NS", "ns.takers.test"),
        (0, 100, "ns.takers.test", "A", "198.18.0.7"),
        (0, 100, "gone.example", "NS", "ns.other.test"),
    )
    one = by_value(found)
    assert (one["ns.takers.test"].state, one["ns.takers.test"].whose) == ("sinkholed", "The takers")
    assert one["198.18.0.7"].state == "sinkholed"
    assert one["ns.bad.test"].timeline[0].state == "resolving"
    assert one["ns.other.test"].state == "resolving"


def test_a_name_that_still_leads_somewhere_lives_though_it_is_not_paid(
    store: Store, tmp_path: Path
) -> None:
    unpaid = [{"eventAction": "expiration", "eventDate": "2015-03-01T00:00:00Z"}]
    registered(store, tmp_path, domain("evil.example", events=unpaid))
    one = by_value(listing(store, (0, 100, "evil.example", "A", "203.0.113.7")))["evil.example"]
    assert (one.state, one.alive) == ("resolving", True)
    assert one.note == "paid until 2015-03-01T00:00:00Z, which has passed"


def test_a_listed_address_is_observed_by_any_name_that_leads_there(store: Store) -> None:
    case = '[case]\nname = "demo"\ntakedown = 2015-05-01\n[[watch]]\naddresses = ["203.0.113.99"]\n'
    (one,) = listing(
        store,
        (0, 20, "stranger.example", "A", "203.0.113.99"),
        (0, 90, "other.example", "A", "203.0.113.98"),
        case=case,
    ).servers

    assert (one.value, one.state, one.alive, one.names, one.other_names) == (
        *("203.0.113.99", "resolving", True),
        *(0, 1),
    )
    assert one.last_seen == START + timedelta(days=20)
    assert one.timeline[-1].evidence == ("A 203.0.113.99 of stranger.example",)
    (named,) = listing(store, (0, 20, "x.example", "A", "192.0.2.7"), candidates=["192.0.2.7"],
                       case=case.replace("203.0.113.99", "203.0.113.1")).servers[:1]  # fmt: skip
    assert (named.value, named.alive, named.candidate) == ("192.0.2.7", True, True)


def test_names_of_others_at_a_listed_address_do_not_move_the_window(store: Store) -> None:
    found = listing(
        store,
        (0, 20, "evil.example", "A", "203.0.113.7"),
        (0, 300, "stranger.example", "A", "203.0.113.99"),
    )

    assert found.window.until == START + timedelta(days=20, seconds=1)
    assert by_value(found)["evil.example"].alive
    assert by_value(found)["203.0.113.99"].alive


def test_servers_that_strangers_use_say_so(store: Store) -> None:
    strangers = [(0, 20, f"s{n}.example", "NS", "ns.hoster.example") for n in range(25)]
    tenants = [(0, 20, f"t{n}.example", "A", "203.0.113.7") for n in range(25)]
    found = listing(
        store,
        (0, 20, "evil.example", "A", "203.0.113.7"),
        (0, 20, "evil.example", "NS", "ns.hoster.example"),
        *((0, 20, "gone.example", "A", "192.0.2.53"),),
        *strangers,
        *tenants,
    )
    one = by_value(found)

    assert one["ns.hoster.example"].note == "may be shared: 25 other domains are served by it"
    assert one["203.0.113.7"].note == "may be shared: 25 other names are known there"
    assert not one["192.0.2.53"].note
    few = listing(store, (0, 20, "evil.example", "A", "203.0.113.7"), *tenants[:5])
    assert not by_value(few)["203.0.113.7"].note


@pytest.mark.parametrize("prefix", [prefix for prefix, _, made_up in SPECIAL if not made_up])
def test_what_the_map_takes_for_no_host_is_no_server(prefix: str) -> None:
    inside = str(ipaddress.ip_network(prefix)[5])

    assert led_to._whose([inside, "198.51.100.5"], led_to.Sinkhole(frozenset(), "")) == {
        inside: ("absent", "")
    }
