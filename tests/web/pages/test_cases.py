"""The list of takedowns."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from web.hostile import CASE, QUIET
from web.pages.test_overview import settle

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from story.telling import Place


def test_cases_with_traffic_stand_apart_from_those_without(client: TestClient) -> None:
    settle(client, internal=True)
    told = client.get("/cases.json").json()
    assert [row["name"] for row in told["cases"]] == [CASE]
    assert {QUIET, "beebone", "conficker"} <= {row["name"] for row in told["waiting"]}
    page = client.get("/cases").text
    assert f"remnant ingest {QUIET}" in page


def test_a_case_shows_verdict_level_and_trend(client: TestClient, home: Place) -> None:
    settle(client, internal=True)
    row = client.get("/cases.json").json()["cases"][0]
    asked = home.ask("judge", CASE)
    assert (row["state"], row["sentence"]) == (asked["state"], asked["sentence"])
    level = next(m for m in home.ask("measure", CASE) if m["quantity"] == "online_hosts")
    # No day of this case is complete, so neither the page nor the command can tell.
    assert (row["level"] or {"value": None})["value"] == level["value"]
    days = home.ask("traffic", CASE, "--by", "day")
    assert row["trend"] == [day["clients"] if day["coverage"] >= 0.95 else None for day in days]
    assert row["as_of"].startswith("2015-04")


def test_csv_has_a_row_for_each_case_with_traffic(client: TestClient) -> None:
    settle(client, internal=True)
    rows = list(csv.DictReader(io.StringIO(client.get("/cases.csv").text)))
    told = client.get("/cases.json").json()["cases"]
    assert [row["name"] for row in rows] == [row["name"] for row in told]
    assert rows[0]["sentence"] == told[0]["sentence"]
    assert rows[0]["online"] == ""


def test_every_order_is_answered_and_no_other(client: TestClient) -> None:
    for order in ("name", "takedown", "level", "half_life", "state"):
        assert client.get(f"/cases.json?sort={order}").status_code == 200
    assert client.get("/cases.json?sort=price").status_code == 422


def test_titles_of_strangers_stay_text(client: TestClient) -> None:
    page = client.get("/cases").text
    assert "<img src=x" not in page
    assert "\u202e" not in page
