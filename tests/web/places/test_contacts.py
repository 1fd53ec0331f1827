"""Whom to tell of clients: from imported records alone, bounded, to who may see the clients."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from infrastructure.registered import card, network
from remnant.web.access.viewer import PUBLIC, Role, Viewer
from remnant.web.places.contacts import FIELDS
from web.conftest import settings_of
from web.own_home import copied
from web.places.conftest import BIG, OTHER, OWNER, SMALL, seen_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi.testclient import TestClient

    from story.telling import Place

CASE = "/cases/spread"
HOSTILE = "<script>alert(1)</script>\u202e\x1b[2J" + "x" * 5_000


@pytest.fixture(scope="module")
def informed(spread: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The home, with records of two networks and of one AS."""
    place = copied(spread, tmp_path_factory.mktemp("informed") / "copy")
    said: list[dict[str, Any]] = [
        network("198.51.100.0", "198.51.100.255", name="BIGNET"),
        network(
            "203.0.113.0",
            "203.0.113.255",
            name=HOSTILE,
            entities=[
                {
                    "objectClassName": "entity",
                    "handle": "H",
                    "roles": ["abuse"],
                    "vcardArray": card(fn=HOSTILE, tel=f"tel:+1{HOSTILE}"),
                }
            ],
        ),
        {
            "objectClassName": "autnum",
            "handle": "AS",
            "startAutnum": BIG,
            "endAutnum": BIG,
            "name": "BIG-AS",
            "entities": network()["entities"],
        },
    ]
    path = place.folder / "said.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in said))
    done = place.run("rdap", "import", path, "--at", "2026-05-04")
    assert done.code == 0, done.said
    return place


@pytest.fixture(scope="module")
def seen_by(informed: Place) -> Iterator[Callable[[Viewer], TestClient]]:
    """The application over it as somebody sees it."""
    from remnant.web.app import create_app

    with seen_in(create_app(settings_of(informed), beside=False)) as ask:
        yield ask


@pytest.fixture
def analyst(seen_by: Callable[[Viewer], TestClient]) -> TestClient:
    return seen_by(Viewer("ann", Role.ANALYST))


def rows(client: TestClient, path: str, field: str = "rows") -> list[dict[str, Any]]:
    answer = client.get(f"{CASE}{path}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()[field]
    assert found
    return found


def test_clients_have_the_contact_of_the_record_that_covers_them(analyst: TestClient) -> None:
    found = {row["address"]: row for row in rows(analyst, "/clients.json?span=all&limit=200")}
    big = [row for address, row in found.items() if address.startswith("198.51.100.")]
    assert {tuple(row[name] for name in FIELDS) for row in big} == {
        (
            "abuse@hosting.example",
            "BIGNET",
            "198.51.100.0 - 198.51.100.255",
            "2026-05-04T00:00:00Z",
        )
    }
    other = [row for address, row in found.items() if address.startswith("192.0.2.")]
    assert other
    assert {row[name] for row in other for name in FIELDS} == {None}


def test_networks_and_prefixes_have_it_too(analyst: TestClient) -> None:
    listed = {row["asn"]: row for row in rows(analyst, "/networks.json")}
    assert listed[BIG]["contact"] == "abuse@hosting.example"
    assert listed[BIG]["contact_source"] == f"AS{BIG}"
    assert listed[OTHER]["contact"] is listed[OTHER]["contact_source"] is None
    (prefix,) = rows(analyst, f"/networks/{BIG}.json", "prefixes")
    assert prefix["contact_source"] == "198.51.100.0 - 198.51.100.255"
    page = analyst.get(f"{CASE}/networks", headers={"accept": "text/html"}).text
    assert "abuse@hosting.example" in page
    assert "unknown: import an RDAP record" in page


@pytest.mark.parametrize("path", ["/networks.csv", "/clients.csv?span=all"])
def test_the_csv_has_it_in_its_last_columns(analyst: TestClient, path: str) -> None:
    answer = analyst.get(f"{CASE}{path}")
    told = list(csv.DictReader(io.StringIO(answer.text)))
    assert tuple(told[0])[-4:] == FIELDS
    assert {row["contact"] for row in told if row["asn"] == str(BIG)} == {"abuse@hosting.example"}


def test_words_of_strangers_are_bounded_and_escaped(analyst: TestClient) -> None:
    for path, field in (
        ("/clients.json?span=all&limit=200", "rows"),
        (f"/networks/{SMALL}.json", "prefixes"),
    ):
        mine = [row for row in rows(analyst, path, field) if row["contact_source"]]
        told = [str(row[name]) for row in mine for name in FIELDS]
        assert all(len(text) <= 200 for text in told)
        assert not any("\u202e" in text or "\x1b" in text for text in told)
    for path in ("/clients?span=all", f"/networks/{SMALL}"):
        page = analyst.get(f"{CASE}{path}", headers={"accept": "text/html"}).text
        assert "<script>alert(1)" not in page


def test_owners_are_told_of_their_own_and_the_public_of_none(
    seen_by: Callable[[Viewer], TestClient],
) -> None:
    owner = seen_by(OWNER)
    shown = owner.get(f"{CASE}/networks.json").json()
    assert shown["own"]
    assert {row["contact_source"] for row in shown["rows"]} <= {None}
    clients = owner.get(f"{CASE}/clients.json?span=all").json()["rows"]
    assert any(row["contact_source"] for row in clients)
    assert all(row["asn"] in {SMALL, OTHER} for row in clients)
    public = seen_by(PUBLIC)
    shown = public.get(f"{CASE}/networks.json").json()
    assert shown["own"] == []
    assert "hosting.example" not in json.dumps(shown)
    assert "hosting.example" not in public.get(f"{CASE}/networks.csv").text
    assert public.get(f"{CASE}/clients.json").status_code == 403
