"""Figures as files: one set of numbers in every form."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from web.hostile import CASE
from web.pages.test_overview import settle

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

PATH = f"/cases/{CASE}/figures"
KEYS = ("online", "requests", "coverage", "how_many", "countries", "networks", "names")


@pytest.fixture(scope="module")
def known(client: TestClient) -> TestClient:
    """The application, everything worked out."""
    settle(client, internal=True)
    return client


@pytest.mark.parametrize("key", KEYS)
def test_csv_equals_json(known: TestClient, key: str) -> None:
    told = known.get(f"{PATH}/{key}.json").json()
    header, *rows = csv.reader(io.StringIO(known.get(f"{PATH}/{key}.csv").text))
    assert header == told["columns"]
    assert len(rows) == len(told["rows"]) > 0
    for line, row in zip(rows, told["rows"], strict=True):
        for cell, value in zip(line, row.values(), strict=True):
            shown = "" if value is None else str(value)
            # What a spreadsheet would run is quoted.
            assert cell in {shown, f"'{shown}"}


def test_a_figure_says_unit_window_vantage_and_age(known: TestClient) -> None:
    told = known.get(f"{PATH}/online.json").json()
    for part in ("mean of the day's hourly counts", "seen by:", "data as of", "2015"):
        assert part in told["facts"]


@pytest.mark.parametrize("key", ["requests", "names"])
def test_svg_and_png_are_drawn(known: TestClient, key: str) -> None:
    svg = known.get(f"{PATH}/{key}.svg")
    assert svg.headers["content-type"] == "image/svg+xml"
    assert svg.text.startswith("<svg")
    assert "<script" not in svg.text
    png = known.get(f"{PATH}/{key}.png")
    assert png.content.startswith(b"\x89PNG")


def test_a_log_scale_and_a_window_are_in_the_files(known: TestClient) -> None:
    plain = known.get(f"{PATH}/requests.svg").text
    log = known.get(f"{PATH}/requests.svg?log=true").text
    cut = known.get(f"{PATH}/requests.svg?since=2015-04-09&step=hour").text
    assert len({plain, log, cut}) == 3


def test_vega_for_exploring_has_the_colours_of_the_page(known: TestClient) -> None:
    text = known.get(f"{PATH}/online.vega").text
    assert json.loads(text)["marks"]
    assert "var(--ink)" in text


def test_there_is_no_other_figure(known: TestClient) -> None:
    assert known.get(f"{PATH}/secrets.json").status_code == 404
    assert known.get(f"{PATH}/..%2F..%2Fstate.json").status_code in {404, 422}
