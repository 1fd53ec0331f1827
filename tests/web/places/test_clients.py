"""The clients of a case: the rows, their pages, and who sees whom."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from web.places.conftest import BIG, SMALL, said

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from story.telling import Place

URL = "/cases/spread/clients"


def walk(client: TestClient, **query: Any) -> list[dict[str, Any]]:
    """Return the clients of all pages."""
    out: list[dict[str, Any]] = []
    after = None
    while True:
        given = query | ({"after": after} if after else {})
        answer = client.get(f"{URL}.json", params=given)
        assert answer.status_code == 200, answer.text
        out += answer.json()["rows"]
        after = answer.json()["after"]
        if after is None:
            return out


def plain(rows: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    names = ("address", "queries", "client_port", "proof", "role", "asn", "as_name", "country")
    return {
        (
            *(row[name] for name in names),
            datetime.fromisoformat(row["first"]),
            datetime.fromisoformat(row["last"]),
        )
        for row in rows
    }


@pytest.mark.parametrize(
    "days", [{}, {"since": "2015-04-12", "until": "2015-04-16"}], ids=["all", "some"]
)
@pytest.mark.parametrize("network", [None, "192.0.2.0/26"])
def test_pages_together_are_what_the_command_lists(
    analyst: TestClient, spread: Place, days: dict[str, str], network: str | None
) -> None:
    asked = [part for key, value in days.items() for part in (f"--{key}", value)]
    asked += ["--network", network] if network else []
    told = said(spread, "clients", "spread", *asked)
    query = days | {"span": "all"} | ({"network": network} if network else {})
    for limit in (31, 200):
        found = walk(analyst, limit=limit, **query)
        assert plain(found) == plain(told)
        assert len(found) == len(told)
        last = [row["last"] for row in found]
        assert last == sorted(last, reverse=True)
    rows = list(csv.DictReader(io.StringIO(analyst.get(f"{URL}.csv", params=query).text)))
    assert [row["address"] for row in rows] == [row["address"] for row in told]
    assert [int(row["queries"]) for row in rows] == [row["queries"] for row in told]


def test_without_days_the_last_seven_are_shown(analyst: TestClient, spread: Place) -> None:
    told = said(spread, "clients", "spread", "--since", "2015-04-22")
    assert plain(walk(analyst, limit=50)) == plain(told)
    html = analyst.get(URL, headers={"accept": "text/html"}).text
    assert "at most 1,000,000" in html
    assert analyst.get(f"{URL}.csv").headers["x-remnant-row-limit"] == "1000000"


def test_an_owner_sees_own_clients_however_it_asks(owner: TestClient, spread: Place) -> None:
    everyone = said(spread, "clients", "spread")
    ports = said(spread, "clients", "spread", "--network", "192.0.2.0/28")
    own = {row["address"] for row in everyone if row["asn"] == SMALL}
    own |= {row["address"] for row in ports}
    others = {row["address"] for row in everyone} - own
    assert len(others) > 50
    found = walk(owner, span="all", limit=8)
    assert {row["address"] for row in found} == own
    for network in (
        f"AS{BIG}",
        "198.51.100.0/24",
        "0.0.0.0/0",
        "::/0",
        "192.0.2.0/24",
        "192.0.2.99",
    ):
        rows = walk(owner, span="all", network=network, limit=200)
        assert {row["address"] for row in rows} <= own, network
        text = owner.get(f"{URL}.csv", params={"span": "all", "network": network}).text
        seen = {row["address"] for row in csv.DictReader(io.StringIO(text))}
        assert seen <= own, network
    for row in walk(owner, span="all", view="clients", vantage="resolver", limit=200):
        assert row["address"] in own


def test_an_owner_gains_nothing_from_the_cursor_of_an_analyst(
    as_viewer: Any, spread: Place
) -> None:
    from remnant.web.access.viewer import Role, Viewer
    from web.places.conftest import OWNER

    analyst = as_viewer(Viewer("ann", Role.ANALYST))
    after = analyst.get(f"{URL}.json", params={"span": "all", "limit": 10}).json()["after"]
    owner = as_viewer(OWNER)
    rows = owner.get(f"{URL}.json", params={"span": "all", "after": after}).json()["rows"]
    assert {row["asn"] for row in rows} <= {SMALL, 64502}
    assert all(
        row["asn"] == SMALL or row["address"] in {f"192.0.2.{n}" for n in range(16)} for row in rows
    )


def test_bystanders_are_shown_to_whom_they_belong(analyst: TestClient) -> None:
    answer = analyst.get(f"{URL}.json", params={"view": "bystanders"})
    assert answer.status_code == 200
    found = answer.json()["bystanders"]
    points = [row["score"] for row in found]
    assert points == sorted(points, reverse=True)
    assert analyst.get(f"{URL}.csv", params={"view": "bystanders"}).status_code == 200


def test_an_owner_sees_own_bystanders_only(owner: TestClient) -> None:
    rows = owner.get(f"{URL}.json", params={"view": "bystanders"}).json()["bystanders"]
    assert all(row["asn"] == SMALL or row["address"].startswith("192.0.2.") for row in rows)


@pytest.mark.parametrize(
    "query",
    [{"network": "x"}, {"network": "AS0"}, {"network": "AS99999999999"}, {"after": "AAAA"},
     {"after": "_" * 22}, {"after": "!"}, {"limit": "201"}, {"view": "x"}, {"span": "x"},
     {"network": "x" * 61}, {"more": "1"}],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(analyst: TestClient, query: dict[str, str]) -> None:
    answer = analyst.get(f"{URL}.json", params=query)
    assert 400 <= answer.status_code < 500
    assert answer.json()["error"]["status"] == answer.status_code
