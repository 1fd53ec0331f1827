"""One country, one network, one prefix."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest

from remnant.web.access.viewer import Role, Viewer
from web.places.conftest import BIG, DAYS, OTHER, OWNER, SIX, SMALL, said

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from story.telling import Place

CASE = "/cases/spread"


def test_a_country_holds_its_networks_and_its_curve(analyst: TestClient) -> None:
    answer = analyst.get(f"{CASE}/countries/de.json").json()
    assert answer["name"] == "Germany"
    assert [row["asn"] for row in answer["networks"]] == [BIG, SMALL]
    assert [day["clients"] for day in answer["days"]] == [43 - day for day in range(DAYS)]
    assert answer["row"]["clients_a_day"] == pytest.approx(sum(43 - d for d in range(DAYS)) / DAYS)
    rows = list(csv.reader(io.StringIO(analyst.get(f"{CASE}/countries/DE/curve.csv").text)))
    assert [float(row[1]) for row in rows[1:]] == [43 - day for day in range(DAYS)]


def test_a_network_holds_prefixes_and_names(analyst: TestClient, spread: Place) -> None:
    answer = analyst.get(f"{CASE}/networks/AS{OTHER}.json").json()
    assert [row["prefix"] for row in answer["prefixes"]] == ["192.0.2.0/24"]
    told = {row["asn"]: row for row in said(spread, "traffic", "spread", "--by", "network")}
    assert answer["prefixes"][0]["clients"] == told[OTHER]["clients"]
    assert answer["prefixes"][0]["queries"] == told[OTHER]["queries"]
    assert {row["name"] for row in answer["names"]} == {"c2.evil.example", "www.wide.example"}
    assert sum(row["queries"] for row in answer["names"]) == told[OTHER]["queries"]
    six = analyst.get(f"{CASE}/networks/{SIX}.json").json()
    assert {row["prefix"] for row in six["prefixes"]} == {
        f"2001:db8:{n:x}::/48" for n in range(1, 13)
    }
    assert all(row["clients"] == 1 for row in six["prefixes"])
    assert six["prefixes_total"] == 12


@pytest.mark.parametrize(
    ("prefix", "clients"),
    [
        ("198.51.100.0/24", 40),
        ("198.51.100.0/28", 15),
        ("198.51.100.1", 1),
        ("198.48.0.0/12", 40),
        ("0.0.0.0/0", None),
        ("2001:db8::/32", 12),
        ("2001:db8:a::/48", 1),
        ("2001:db8:a::1", 1),
        ("2001:db9::/32", 0),
    ],
)
def test_a_prefix_counts_what_the_command_lists(
    analyst: TestClient, spread: Place, prefix: str, clients: int | None
) -> None:
    answer = analyst.get(f"{CASE}/prefixes/{prefix}.json").json()
    told = said(spread, "clients", "spread", "--network", prefix)
    assert answer["clients"] == len(told)
    assert answer["queries"] == sum(row["queries"] for row in told)
    if clients is not None:
        assert answer["clients"] == clients
    html = analyst.get(f"{CASE}/prefixes/{prefix}", headers={"accept": "text/html"})
    assert html.status_code == 200
    if answer["clients"]:
        assert sum(row["queries"] for row in answer["prefixes"]) == answer["queries"]
        assert analyst.get(f"{CASE}/prefixes/{prefix}/curve.svg").status_code == 200


def test_an_owner_sees_only_own_rows_of_any_prefix(owner: TestClient, spread: Place) -> None:
    own = {row["address"] for row in said(spread, "clients", "spread") if row["asn"] == SMALL}
    inside = [
        row
        for row in said(spread, "clients", "spread", "--network", "192.0.2.0/28")
        if row["address"]
    ]
    for prefix, clients in (
        ("0.0.0.0/0", len(own) + len(inside)),
        ("192.0.2.0/24", len(inside)),
        ("192.0.2.0/28", len(inside)),
        ("192.0.2.16/28", 0),
        ("198.51.100.0/24", 0),
        ("::/0", 0),
        ("2001:db8::/32", 0),
        ("203.0.113.0/24", 3),
    ):
        answer = owner.get(f"{CASE}/prefixes/{prefix}.json").json()
        assert answer["clients"] == clients, prefix
        asns = {row["asn"] for row in answer["asns"]}
        assert asns <= {SMALL, OTHER}
    assert owner.get(f"{CASE}/prefixes/198.51.100.0/24/curve.csv").status_code == 404


def test_an_owner_sees_others_networks_as_published(owner: TestClient) -> None:
    mine = owner.get(f"{CASE}/networks/{SMALL}.json").json()
    assert mine["rows"][0]["clients"] == 3
    assert mine["prefixes"]
    assert mine["names"]
    other = owner.get(f"{CASE}/networks/{BIG}.json").json()
    assert other["prefixes"] == other["names"] == other["days"] == []
    assert other["of"]["exact"] is False
    assert owner.get(f"{CASE}/networks/{BIG}/curve.csv").status_code == 404
    assert owner.get(f"{CASE}/networks/{SMALL}/curve.csv").status_code == 200
    assert owner.get(f"{CASE}/countries/DE/curve.csv").status_code == 403


@pytest.mark.parametrize("days", [{}, {"since": "2015-04-10", "until": "2015-04-11"}])
def test_an_owner_cannot_work_out_the_total_from_own_numbers(
    as_viewer: Any, days: dict[str, str]
) -> None:
    # The exact own count over its exact share would be the count of all, and less the own: others'.
    path = f"{CASE}/networks/{SMALL}.json"
    owner = as_viewer(OWNER)
    assert [row["share"] for row in owner.get(path, params=days).json()["rows"]] == [None]
    assert owner.get(f"{CASE}/networks.json").json()["own"][0]["share"] is None
    analyst = as_viewer(Viewer("ann", Role.ANALYST))
    assert analyst.get(path).json()["rows"][0]["share"] > 0


def test_the_public_sees_no_prefix_and_no_small_network(public: TestClient) -> None:
    assert public.get(f"{CASE}/prefixes/198.51.100.0/24.json").status_code == 403
    assert public.get(f"{CASE}/clients.json").status_code == 403
    answer = public.get(f"{CASE}/networks/{SMALL}.json").json()
    assert answer["rows"][0]["clients"] is None
    assert answer["names"] == answer["prefixes"] == []
    unseen = public.get(f"{CASE}/networks/65000.json").json()
    assert unseen["rows"] == []
    assert public.get(f"{CASE}/networks/{SMALL}/curve.svg").status_code == 403


@pytest.mark.parametrize(
    "path",
    ["countries/DEU", "countries/..", "networks/x", "networks/99999999999", "prefixes/999.0.0.0/8",
     "prefixes/x", "prefixes/fe80::1%25eth0", "networks/-1", "prefixes/" + "1" * 80],
)  # fmt: skip
def test_what_is_no_place_is_refused(analyst: TestClient, path: str) -> None:
    answer = analyst.get(f"{CASE}/{path}.json")
    assert 400 <= answer.status_code < 500
    assert answer.json()["error"]["status"] == answer.status_code


def test_pages_say_where_they_lie(as_viewer: Any) -> None:
    for viewer in (OWNER,):
        client = as_viewer(viewer)
        for path in (
            f"networks/{SMALL}",
            f"networks/{BIG}",
            "countries/DE",
            "prefixes/203.0.113.0/24",
        ):
            html = client.get(f"{CASE}/{path}", headers={"accept": "text/html"}).text
            assert 'aria-label="Where this page lies"' in html, path
