"""Who is not a victim: each sign with its reason, and victims that stay victims."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import ibis
import pytest

from estimate.fakeview import DAY, HOUR, START, coverage_row, settings, sighting, view_of
from remnant.cases.model import Case, Watch
from remnant.estimate.basis import Basis
from remnant.estimate.bystanders import SIGNS, THRESHOLD, by_kind, estimates, scored, table
from remnant.windows import Window

CASE = Case("test", "Test botnet", START)
DAYS = 8
WINDOW = Window(START, START + DAYS * DAY)
BOT = json.dumps({"method": "POST", "target": "/gate.php?id=1", "user_agent": "Mozilla/4.0"})
LOOK = json.dumps({"method": "GET", "target": "/", "user_agent": "Mozilla/5.0"})
MINUTE = timedelta(minutes=1)


def named(index: int) -> dict[str, Any]:
    return {"name": f"n{index}.example", "indicator": f"n{index}.example"}


def victims(count: int = 40, **more: Any) -> list[dict[str, Any]]:
    """Machines that ask for three of twelve names, at scattered times of half of the hours."""
    return [
        sighting(
            START + hour * HOUR + (7 * hour * (client + 3) % 60) * MINUTE,
            client,
            **named((client + hour) % 3 + client % 10),
            **more,
        )
        for client in range(count)
        for hour in range(client % 3, 24 * DAYS, 2)
    ]


def known(client: int, **more: Any) -> dict[str, Any]:
    return {
        "client": client, "unit": "ipv4", "address": f"198.51.100.{client % 250}", "source": "s",
        "sensor": "a", "vantage": "resolver", "queries": 1, "first_time": START,
        "last_time": START, "asn": 64500, "as_name": "Example", "country": "IR",
    } | more  # fmt: skip


def basis_of(
    rows: list[dict[str, Any]],
    clients: list[dict[str, Any]] | None = None,
    vantage: str = "resolver",
    case: Case = CASE,
    window: Window = WINDOW,
) -> Basis:
    made = view_of(rows, [coverage_row(START + h * HOUR, "a", vantage) for h in range(24 * DAYS)])
    made.rows["clients"] = clients or []
    return Basis(made, case, settings(), window, vantage)


def found(basis: Basis) -> dict[int, dict[str, Any]]:
    return {row["client"]: row for row in scored(basis).to_pyarrow().to_pylist()}


def test_victims_show_no_sign() -> None:
    assert found(basis_of(victims())) == {}


def test_who_asks_for_every_name_once_is_a_crawler() -> None:
    crawl = [sighting(START + n * MINUTE, 1000, **named(n)) for n in range(12)]

    row = found(basis_of(victims() + crawl))[1000]

    assert row["kind"] == "crawler"
    assert row["score"] >= THRESHOLD
    assert row["reason"] == (
        "it asked for nearly all names in a day; it asked for no name more than twice"
    )


def test_a_family_whose_bots_try_all_names_has_no_crawlers() -> None:
    tries = [
        sighting(START + day * DAY + client * HOUR / 9 + n * MINUTE, client, **named(n))
        for client in range(12)
        for day in range(client % 2, DAYS, 4)
        for n in range(12)
    ]

    assert found(basis_of(victims() + tries)) == {}


def test_bots_that_ask_for_generated_names_are_no_crawlers() -> None:
    case = Case(
        "test", "T", START, watches=(Watch(dga="newgoz", since=START, until=START + 99 * DAY),)
    )
    crawl = [sighting(START + n * MINUTE, 1000, **named(n)) for n in range(12)]

    assert found(basis_of(victims() + crawl, case=case)) == {}


@pytest.mark.parametrize(("jitter", "kept"), [(0, False), (6, True)])
def test_fixed_times_day_and_night_are_a_monitors_and_scattered_ones_are_not(
    jitter: int, kept: bool
) -> None:
    visits = [
        sighting(START + n * HOUR + (n * 7919 % 13 - 6) * jitter / 6 * MINUTE, 1000, **named(1))
        for n in range(1, 24 * DAYS - 1)
    ]

    rows = found(basis_of(victims() + visits, [known(1000, asn=14061)]))

    assert (rows[1000]["score"] < THRESHOLD) is kept
    assert rows[1000]["kind"] == ("scanner" if kept else "monitor")


def test_a_family_with_exact_timers_has_no_monitors() -> None:
    exact = [
        sighting(START + hour * HOUR + client * MINUTE, client, **named(client % 3))
        for client in range(20)
        for hour in range(24 * DAYS)
    ]

    assert found(basis_of(exact)) == {}


def test_lists_roles_and_networks_are_facts_with_weights(tmp_path: Any) -> None:
    file = tmp_path / "known.csv"
    file.write_text("# ours\n198.51.100.7,monitor,status page\n")
    basis = basis_of(
        victims(),
        [
            known(1, address="162.142.125.9"),
            known(2, role="public_resolver"),
            known(3, asn=24940),
            known(4, as_name="Kaspersky Lab"),
            known(7),
        ],
    )
    basis.settings.reference.visitors = file  # type: ignore[misc]

    rows = found(basis)

    assert {client: row["kind"] for client, row in rows.items()} == {
        1: "scanner", 2: "resolver", 3: "scanner", 4: "sandbox", 7: "monitor",
    }  # fmt: skip
    assert {client for client, row in rows.items() if row["score"] >= THRESHOLD} == {1, 2, 7}


def test_requests_of_another_shape_and_agents_tell_at_the_sinkhole() -> None:
    rows = victims(vantage="sinkhole_http", detail=BOT)
    for n, detail in enumerate(
        (
            '{"method": "GET", "target": "/", "user_agent": "zgrab/0.x"}',
            '{"method": "GET", "target": "/", "user_agent": "curl/8.1"}',
            LOOK,
        )
    ):
        rows.append(
            sighting(START + HOUR, 1000 + n, vantage="sinkhole_http", detail=detail, **named(1))
        )

    told = found(basis_of(rows, vantage="sinkhole_http"))

    assert {client: (row["kind"], row["score"] >= THRESHOLD) for client, row in told.items()} == {
        1000: ("scanner", True),
        1001: ("researcher", True),
        1002: ("researcher", False),  # a person, perhaps, behind the address of a victim
    }


def test_who_connects_and_says_nothing_is_a_scanner_only_with_more_signs() -> None:
    rows = victims(vantage="sinkhole_tcp", detail='{"payload_bytes": 3}')
    for port in (22, 23, 80, 443, 8080):
        rows.append(sighting(START, 1000, vantage="sinkhole_tcp", service_port=port, **named(1)))
    rows.append(sighting(START, 1001, vantage="sinkhole_tcp", **named(1)))

    told = found(basis_of(rows, vantage="sinkhole_tcp"))

    assert told[1000]["score"] >= THRESHOLD > told[1001]["score"]
    assert told[1000]["kind"] == "scanner"


@pytest.mark.parametrize(
    "detail",
    [
        "{", "null", "[]", '{"method": 5}', '{"user_agent": "' + "\\" * 3000, "\x00", "'; drop--",
        '{"target": "\\"user_agent\\": \\"zgrab\\""}', '{"method": "GET", "target": "' + "/" * 4000,
    ],
)  # fmt: skip
def test_hostile_details_are_never_fatal_and_prove_nothing(detail: str) -> None:
    rows = victims(vantage="sinkhole_http", detail=BOT)
    rows.append(sighting(START, 1000, vantage="sinkhole_http", detail=detail, **named(1)))

    told = found(basis_of(rows, vantage="sinkhole_http"))

    assert all(row["score"] < THRESHOLD for row in told.values())


def test_resolvers_at_the_sinkholes_name_server_are_judged_by_lists_alone() -> None:
    crawl = [
        sighting(START + n * MINUTE, 1000, vantage="sinkhole_dns", **named(n)) for n in range(12)
    ]
    rows = victims(vantage="sinkhole_dns") + crawl
    clients = [known(1000, asn=14061, role="public_resolver"), known(5, address="162.142.125.9")]

    told = found(basis_of(rows, clients, "sinkhole_dns"))

    assert set(told) == {5}


def test_they_are_left_out_of_what_counts_and_told_on_a_line_of_their_own() -> None:
    crawl = [sighting(START + n * MINUTE, 1000, **named(n)) for n in range(12)]
    basis = basis_of(victims() + crawl, [known(1000, address="192.0.2.99")])

    (estimate,) = estimates(basis)
    (row,) = table(basis)

    assert basis.accepted().filter(ibis._.client == 1000).count().to_pyarrow().as_py() == 0
    assert basis.accepted().count().to_pyarrow().as_py() == len(victims())
    assert (estimate.value, estimate.low, estimate.high, estimate.level) == (1, 1, 1, None)
    assert "crawler 1" in estimate.method
    assert by_kind(basis) == {"crawler": 1}
    assert (row["address"], row["excluded"]) == ("192.0.2.99", True)


def test_a_part_of_the_window_is_judged_by_the_whole() -> None:
    crawl = [sighting(START + n * MINUTE, 1000, **named(n)) for n in range(12)]
    crawl.append(sighting(START + 5 * DAY, 1000, **named(1)))
    basis = basis_of(victims() + crawl).within(Window(START + 5 * DAY, START + 6 * DAY))

    assert basis.accepted().filter(ibis._.client == 1000).count().to_pyarrow().as_py() == 0


LONG = 16
LONG_WINDOW = Window(START, START + LONG * DAY)


def server(client: int) -> dict[str, Any]:
    return known(client, as_name="Example Cloud", asn=64501)


def visit(client: int, day: float, minutes: int = 200) -> list[dict[str, Any]]:
    return [
        sighting(START + day * DAY + n * (minutes // 4) * MINUTE, client, **named(n % 3))
        for n in range(5)
    ]


def lasting(count: int = 40, days: range = range(LONG)) -> list[dict[str, Any]]:
    return [
        sighting(START + day * DAY + (client % 9 + 5) * HOUR, client, **named(client % 3))
        for client in range(count)
        for day in days
    ]


def test_a_visit_of_an_afternoon_from_a_network_of_servers_is_a_sandboxs() -> None:
    rows = lasting() + visit(1000, 7) + visit(1001, 7)

    told = found(basis_of(rows, [server(1000), known(1001)], window=LONG_WINDOW))

    assert told[1000]["kind"] == "sandbox"
    assert told[1000]["score"] >= THRESHOLD
    assert "it was there for a visit, and servers stay" in told[1000]["reason"]
    assert 1001 not in told  # an address of a household that changed


def test_minutes_now_and_then_from_a_network_of_servers_are_a_sandboxs() -> None:
    rows = lasting() + visit(1000, 1, 12) + visit(1000, 4, 12) + visit(1000, 9, 12)

    told = found(basis_of(rows, [server(1000)], window=LONG_WINDOW))

    assert told[1000]["score"] >= THRESHOLD


@pytest.mark.parametrize("days", [range(2), range(LONG - 2, LONG), range(4, 8), range(LONG)])
def test_an_infected_server_stays_a_victim(days: range) -> None:
    """Cleaned soon after the window began, infected at its end, there for days, or always."""
    rows = lasting() + [row for day in days for row in visit(1000, day)]

    told = found(basis_of(rows, [server(1000)], window=LONG_WINDOW))

    assert told[1000]["score"] < THRESHOLD


def test_visits_tell_nothing_where_the_familys_machines_seldom_come() -> None:
    seldom = lasting(40, range(0, LONG, 7))

    told = found(basis_of(seldom + visit(1000, 7), [server(1000)], window=LONG_WINDOW))

    assert told[1000]["score"] < THRESHOLD


def test_no_single_habit_is_enough() -> None:
    facts = {"says_scanner", "public_resolver", "other_sinkhole"}
    assert all(
        sign.weight < THRESHOLD
        for sign in SIGNS
        if sign.id not in facts and not sign.id.startswith("listed_")
    )


def test_every_question_compiles_for_spark() -> None:
    for vantage in ("resolver", "sinkhole_http", "sinkhole_tcp"):
        basis = basis_of(victims(vantage=vantage, detail=BOT), [known(1, asn=14061)], vantage)
        assert "SELECT" in ibis.to_sql(basis.accepted(), dialect="pyspark")
