"""Networks and countries: the numbers, who sees which, and the order they come in."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from remnant.web.access.viewer import PUBLIC, Role, Viewer
from web.places.conftest import BIG, DAYS, HOSTILE, OTHER, OWNER, SIX, SMALL, said

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from story.telling import Place

URL = "/cases/spread/networks"


def rows_of(client: TestClient, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(f"{URL}.json", params=query)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["rows"]
    return rows


@pytest.mark.parametrize("by", ["network", "country"])
def test_numbers_are_those_of_the_command(analyst: TestClient, spread: Place, by: str) -> None:
    told = said(spread, "traffic", "spread", "--by", by)
    show = "networks" if by == "network" else "countries"
    keys = (
        ("asn", "country", "queries", "clients")
        if by == "network"
        else ("country", "queries", "clients")
    )
    found = {tuple(row[key] for key in keys) for row in rows_of(analyst, show=show)}
    assert found == {tuple(row[key] for key in keys) for row in told}
    assert len(found) >= 3


def test_numbers_of_some_days_are_those_of_the_command(analyst: TestClient, spread: Place) -> None:
    days = ("--since", "2015-04-12", "--until", "2015-04-15")
    told = said(spread, "traffic", "spread", "--by", "network", *days)
    found = rows_of(analyst, since="2015-04-12", until="2015-04-15")
    assert {(r["asn"], r["queries"]) for r in found} == {(r["asn"], r["queries"]) for r in told}
    one = said(
        spread,
        "traffic",
        "spread",
        "--by",
        "network",
        "--since",
        "2015-04-12",
        "--until",
        "2015-04-13",
    )
    found = rows_of(analyst, since="2015-04-12", until="2015-04-13")
    assert {(r["asn"], r["clients"]) for r in found} == {(r["asn"], r["clients"]) for r in one}


def test_clients_a_day_and_change_are_means_of_covered_days(analyst: TestClient) -> None:
    rows = {row["asn"]: row for row in rows_of(analyst)}
    daily = [40 - day for day in range(DAYS)]
    assert rows[BIG]["clients_a_day"] == pytest.approx(sum(daily) / DAYS)
    # The takedown is on the third day.
    assert rows[BIG]["first_week"] == pytest.approx(sum(daily[2:9]) / 7)
    assert rows[BIG]["last_week"] == pytest.approx(sum(daily[-7:]) / 7)
    assert rows[BIG]["change"] == pytest.approx(sum(daily[-7:]) / sum(daily[2:9]) - 1)
    assert rows[SMALL]["clients_a_day"] == 3
    assert sum(row["share"] for row in rows.values()) == pytest.approx(1)
    # Addresses that change make distinct clients many, and clients a day not.
    assert rows[OTHER]["clients"] > 5 * rows[OTHER]["clients_a_day"]
    assert rows[BIG]["curve"][0] > rows[BIG]["curve"][-1]


def test_rates_are_those_of_the_command(analyst: TestClient, spread: Place) -> None:
    for by, show in (("network", "networks"), ("country", "countries")):
        told = said(spread, "measure", "spread", "--by", by)
        wanted = {
            (row["asn"], row["country"]): (row["value"], row["low"], row["high"]) for row in told
        }
        assert len(wanted) >= 3
        for row in rows_of(analyst, show=show):
            if row["decline"] is not None:
                low, high = row["decline_low"], row["decline_high"]
                assert (row["decline"], low, high) == pytest.approx(
                    wanted[row["asn"], row["country"]]
                )
    rows = {row["asn"]: row for row in rows_of(analyst)}
    assert rows[BIG]["state"] == "effective"
    assert rows[BIG]["half_life_low"] < rows[BIG]["half_life"] < rows[BIG]["half_life_high"]
    assert rows[BIG]["rank_low"] <= rows[BIG]["rank"] <= rows[BIG]["rank_high"]
    assert rows[SIX]["state"] != "effective"


@pytest.mark.parametrize(
    "sort",
    ["place", "name", "country", "clients_a_day", "clients", "queries", "share", "change",
     "half_life", "rank", "state"],
)  # fmt: skip
def test_every_column_sorts_both_ways_and_pages_are_complete(
    analyst: TestClient, sort: str
) -> None:
    for order in ("asc", "desc"):
        whole = [r["asn"] for r in rows_of(analyst, sort=sort, order=order)]
        assert sorted(whole) == [BIG, SMALL, OTHER, SIX]
        paged, after = [], None
        while True:
            query = {"sort": sort, "order": order, "limit": 1} | ({"after": after} if after else {})
            answer = analyst.get(f"{URL}.json", params=query).json()
            paged += [row["asn"] for row in answer["rows"]]
            after = answer["after"]
            if after is None:
                break
        assert paged == whole


def test_filters_and_facets(analyst: TestClient) -> None:
    assert {r["asn"] for r in rows_of(analyst, country="de")} == {BIG, SMALL}
    assert {r["asn"] for r in rows_of(analyst, text="TELECOM")} == {BIG}
    assert {r["asn"] for r in rows_of(analyst, text=f"as{OTHER}")} == {OTHER}
    assert rows_of(analyst, text="nobody") == []
    assert {r["asn"] for r in rows_of(analyst, state="effective")} == {BIG}
    answer = analyst.get(f"{URL}.json").json()
    assert {(f["value"], f["count"]) for f in answer["countries"]} == {
        ("DE", 2),
        ("FR", 1),
        ("JP", 1),
    }


def test_csv_holds_every_row_and_nothing_that_a_spreadsheet_runs(analyst: TestClient) -> None:
    answer = analyst.get(f"{URL}.csv", params={"limit": 1})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {int(row["asn"]) for row in rows} == {BIG, SMALL, OTHER, SIX}
    assert not any(value.startswith(("=", "+", "@")) for row in rows for value in row.values())
    assert "curve" not in rows[0]


def test_chosen_places_are_drawn_and_downloaded(analyst: TestClient) -> None:
    picks: Any = [("pick", f"AS{BIG}-DE"), ("pick", f"AS{SIX}-JP"), ("pick", "AS1-ZZ")]
    html = analyst.get(URL, params=picks, headers={"accept": "text/html"}).text
    assert html.count('<ul class="strokes">') == 1
    assert "curves.svg" in html
    text = analyst.get(f"{URL}/curves.csv", params=picks).text
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["day", f"AS{BIG} Example Telecom (DE)", f"AS{SIX} Nihon (JP)", "gap"]
    assert [float(row[1]) for row in rows[1:]] == [40 - day for day in range(DAYS)]
    assert analyst.get(f"{URL}/curves.png", params=picks).content[:4] == b"\x89PNG"
    assert b"<svg" in analyst.get(f"{URL}/curves.svg", params=picks).content
    assert analyst.get(f"{URL}/curves.csv").status_code == 404
    assert analyst.get(f"{URL}/curves.exe", params=picks).status_code in {404, 422}


def test_hostile_names_stay_text(analyst: TestClient) -> None:
    for path in (URL, f"{URL}/{SMALL}", "/cases/spread/countries/DE", "/search?q=script"):
        html = analyst.get(path, headers={"accept": "text/html"}).text
        assert "<script>alert(5)" not in html
        assert "\u202e" not in html
        assert "&lt;script&gt;alert(5)" in html
    assert HOSTILE.encode().decode() in analyst.get(f"{URL}.json").json()["rows"][-1]["as_name"]


def test_tiles_say_what_the_table_says(analyst: TestClient) -> None:
    answer = analyst.get(f"{URL}.json", params={"show": "countries"}).json()
    sizes = {row["country"]: row["clients_a_day"] for row in answer["rows"]}
    tiles = {tile["code"]: tile for tile in answer["tiles"] if tile["clients_a_day"]}
    assert {code: tile["clients_a_day"] for code, tile in tiles.items()} == sizes
    assert tiles["DE"]["shade"] == 5
    assert 1 <= tiles["JP"]["shade"] < 5
    for shade in ("clients", "half_life"):
        html = analyst.get(
            URL, params={"show": "countries", "shade": shade}, headers={"accept": "text/html"}
        ).text
        assert 'aria-label="Germany: ' in html


def test_the_public_sees_what_a_report_publishes(as_viewer: Any) -> None:
    exact = {row["asn"]: row for row in rows_of(as_viewer(Viewer("ann", Role.ANALYST)))}
    public = as_viewer(PUBLIC)
    rows = {row["asn"]: row for row in rows_of(public)}
    assert rows[OTHER]["clients"] == exact[OTHER]["clients"]
    assert rows[SMALL]["clients"] is None
    assert rows[SMALL]["hidden"]["clients"] == "small"
    # The network beside it would give it away.
    assert rows[BIG]["hidden"]["clients"] == "linked"
    assert rows[SMALL]["curve"] == rows[BIG]["curve"] == []
    assert all(row["half_life"] is None and row["rank"] is None for row in rows.values())
    html = public.get(URL, headers={"accept": "text/html"}).text
    assert "&lt;10" in html
    by_asn = {
        int(row["asn"]): row for row in csv.DictReader(io.StringIO(public.get(f"{URL}.csv").text))
    }
    assert by_asn[SMALL]["clients"] == "hidden"


@pytest.mark.parametrize(
    "query", [{"since": "2015-04-12"}, {"until": "2015-04-12"}, {"vantage": "resolver"}]
)
def test_free_windows_are_not_for_the_public_nor_for_owners(
    as_viewer: Any, query: dict[str, str]
) -> None:
    for viewer in (PUBLIC, OWNER):
        client = as_viewer(viewer)
        for path in (
            f"{URL}.json",
            f"{URL}.csv",
            f"{URL}/{BIG}.json",
            "/cases/spread/countries/DE.json",
        ):
            assert client.get(path, params=query).status_code == 403, (viewer.role, path)
        assert client.get(f"{URL}/curves.csv", params={"pick": f"AS{BIG}-DE"}).status_code == 403


def test_an_owner_sees_own_networks_exactly_and_the_rest_as_published(as_viewer: Any) -> None:
    answer = as_viewer(OWNER).get(f"{URL}.json").json()
    assert [row["asn"] for row in answer["own"]] == [SMALL]
    assert answer["own"][0]["clients"] == 3
    assert answer["own"][0]["clients_a_day"] == 3
    assert answer["own_prefixes"] == ["192.0.2.0/28"]
    assert answer["rows"] == as_viewer(PUBLIC).get(f"{URL}.json").json()["rows"]
    client = as_viewer(OWNER)
    rows = list(csv.DictReader(io.StringIO(client.get(f"{URL}.csv").text)))
    assert {int(row["asn"]) for row in rows} >= {BIG, SMALL}


def test_queries_that_make_no_sense_are_refused_kindly(analyst: TestClient) -> None:
    for query in (
        {"sort": "x"}, {"limit": "0"}, {"limit": "401"}, {"after": "!"}, {"after": "AAAA"},
        {"country": "DEU"}, {"since": "yesterday"}, {"pick": "<b>"}, {"unknown": "1"},
        {"text": "x" * 101},
    ):  # fmt: skip
        answer = analyst.get(f"{URL}.json", params=query)
        assert answer.status_code == 422, query
        assert answer.json()["error"]["status"] == 422
    answer = analyst.get(f"{URL}.json", params={"since": "2031-01-01"})
    assert answer.status_code == 200
    assert "no data of these days" in answer.json()["notes"][-1]
    assert analyst.get(f"{URL}.json", params={"vantage": "flow"}).status_code == 200


def test_a_case_without_data_says_so(client: TestClient) -> None:
    for page in ("networks", "networks/64500", "countries/DE", "prefixes/192.0.2.0/24", "clients"):
        answer = client.get(f"/cases/quiet/{page}", headers={"accept": "text/html"})
        assert answer.status_code == 200, page
        assert "no data" in answer.text.lower() or "no traffic" in answer.text.lower(), page


def test_the_document_describes_answers_without_what_only_pages_draw(analyst: TestClient) -> None:
    schemas = analyst.get("/openapi.json").json()["components"]["schemas"]
    assert "rows" in schemas["PlacesAnswer"]["properties"]
    told = analyst.get(f"{URL}.json").json()
    assert not {"drawn", "bars", "query"} & set(told)
    assert json.dumps(told)
