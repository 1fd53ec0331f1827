"""Refilling stored facts after the reference data changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from enrich.enrich_view import MadeUpCase, client, sighting
from remnant.enrich.clients import list_clients
from remnant.enrich.reference import Reference
from remnant.enrich.refill import RefillResult, refill
from remnant.schema import ACTIVITY, CLIENTS, SIGHTINGS
from remnant.settings import ReferenceSettings, Settings
from remnant.store import Store

if TYPE_CHECKING:
    from pathlib import Path

TABLE = "192.0.2.0\t192.0.2.255\t64500\tDE\tFirst\n2001:db8::\t2001:db8::ffff\t64501\tFR\tSix\n"
FACTS = ("prefix", "asn", "as_name", "country", "role", "as_of")


def reference(home: Path, text: str = TABLE) -> Reference:
    path = home / "2015-04-08.tsv"
    path.write_text(text)
    return Reference.load(Settings(home=home, reference=ReferenceSettings(tables=(path,))))


def run(case: MadeUpCase, data: Reference) -> RefillResult:
    return refill(cast("Store", case), "test", data)


def clients_of(case: MadeUpCase) -> list[tuple[Any, ...]]:
    return case.rows(CLIENTS, "client", *FACTS)


def test_clients_and_sightings_get_what_is_known_now(tmp_path: Path) -> None:
    old = {"prefix": "192.0.0.0/16", "asn": 1, "as_name": "Old", "country": "US", "as_of": "2014"}
    case = MadeUpCase(
        clients=[
            client(-7, "192.0.2.1", **old),
            client(3, "2001:db8::/64"),
            client(9, "203.0.113.1", **old),
        ],
        sightings=[
            sighting(9, 0, asn=1, country="US"),
            sighting(-7, 1, asn=1, country="US"),
            sighting(3, 2),
            sighting(-7, 3),
        ],
    )
    result = run(case, reference(tmp_path))

    assert clients_of(case) == [
        (-7, "192.0.2.0/24", 64500, "First", "DE", None, "2015-04-08"),
        (3, "2001:db8::/112", 64501, "Six", "FR", None, "2015-04-08"),
        (9, None, None, None, None, None, "2015-04-08"),
    ]
    assert case.rows(SIGHTINGS, "client", "asn", "country") == [
        (9, None, None), (-7, 64500, "DE"), (3, 64501, "FR"), (-7, 64500, "DE"),
    ]  # fmt: skip
    assert result == RefillResult(clients=3, known=2, changed=3)
    assert "3 clients" in result.sentence


def test_schemas_stay_and_a_second_refill_changes_nothing(tmp_path: Path) -> None:
    case = MadeUpCase(clients=[client(1, "192.0.2.1")], sightings=[sighting(1, 0)])
    data = reference(tmp_path)
    run(case, data)
    once = dict(case.tables)

    assert run(case, data).changed == 0
    assert case.tables == once
    for table in (CLIENTS, SIGHTINGS):
        assert case.tables[table.name].schema.equals(table.arrow)


def test_roles_of_lists_are_renewed_and_roles_of_traffic_are_kept(tmp_path: Path) -> None:
    case = MadeUpCase(
        clients=[
            client(1, "192.0.2.1", role="resolver"),
            client(2, "192.0.2.2", role="sinkhole"),
            client(3, "8.8.8.8", role="resolver"),
            client(4, "199.2.137.5"),
        ]
    )
    run(case, reference(tmp_path))

    assert [row[5] for row in clients_of(case)] == [
        "resolver",
        None,
        "public_resolver",
        "sinkhole",
    ]


def test_a_sighting_whose_address_is_gone_keeps_what_it_had(tmp_path: Path) -> None:
    case = MadeUpCase(
        clients=[client(1, "not an address", asn=5)],
        sightings=[sighting(1, 0, asn=5, country="NL"), sighting(2, 0, asn=6, country="BE")],
    )
    result = run(case, reference(tmp_path))

    assert case.rows(SIGHTINGS, "asn", "country") == [(5, "NL"), (6, "BE")]
    assert clients_of(case)[0][2] == 5
    assert result == RefillResult(0, 0, 0)


def test_without_reference_data_nothing_is_lost() -> None:
    case = MadeUpCase(clients=[client(1, "192.0.2.1", asn=5)], sightings=[sighting(1, 0, asn=5)])

    assert run(case, Reference.none()) == RefillResult(0, 0, 0)
    assert clients_of(case)[0][2] == 5


def test_a_case_without_rows(tmp_path: Path) -> None:
    assert run(MadeUpCase(), reference(tmp_path)) == RefillResult(0, 0, 0)


def test_a_store_on_disk_is_refilled_and_its_clients_listed(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, site_key=tmp_path / "elsewhere" / "site.key")
    made = MadeUpCase(
        clients=[client(1, "192.0.2.1"), client(2, "203.0.113.1")],
        sightings=[sighting(1, 0), sighting(1, 1), sighting(2, 2)],
    )
    with Store.open(settings, write=True) as store:
        with store.change() as change:
            for table in (CLIENTS, SIGHTINGS):
                change.write(table, "test", "2015-04-08", made.tables[table.name], {"s1"})
            change.commit()
        result = refill(store, "test", reference(tmp_path))
    with Store.open(settings) as store:
        view = store.view("test")
        every = list_clients(view)
        in_prefix = list_clients(view, network="192.0.2.0/24")
        in_as = list_clients(view, network="AS64500")
        by_network = view.table(ACTIVITY).to_pyarrow().to_pylist()

    assert result == RefillResult(clients=2, known=1, changed=1)
    assert [(row["address"], row["asn"]) for row in every] == [
        ("192.0.2.1", 64500), ("203.0.113.1", None),
    ]  # fmt: skip
    assert in_prefix == in_as == every[:1]
    assert {row["asn"] for row in by_network if row["grain"] == "network"} == {64500, None}
