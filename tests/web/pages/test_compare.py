"""Two sides of one case."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from dnstap_writer import CLIENT_QUERY, START_TIME, message, query, stream
from story.telling import Place
from web.conftest import settings_of
from web.hostile import CASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.testclient import TestClient

PATH = f"/cases/{CASE}/compare"
CLIENTS = ("198.51.100.7", "198.51.100.9", "203.0.113.5")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Four whole days of one sensor, three clients in two networks."""
    place = Place(tmp_path_factory.mktemp("compared"))
    case = place.folder / "case.toml"
    case.write_text(
        f'[case]\nname = "{CASE}"\ntitle = "Taken"\ntakedown = 2015-04-08\n'
        '[[watch]]\nnames = ["c2.evil.example"]\nstate = "seized"\n',
        encoding="utf-8",
    )
    networks = place.folder / "networks.tsv"
    networks.write_text(
        "198.51.100.0\t198.51.100.255\t64500\tDE\tOne\n203.0.113.0\t203.0.113.255\t64501\tUS\tTwo",
        encoding="utf-8",
    )
    place.home.mkdir(parents=True)
    settings = f"[reference]\ntables = [{json.dumps(str(networks))}]\n"
    (place.home / "settings.toml").write_text(settings, encoding="utf-8")
    place.do("case", "import", case)
    asked = (
        message(
            CLIENT_QUERY,
            query("c2.evil.example"),
            time=START_TIME + 1800.0 * half,
            client=CLIENTS[half % 3],
        )
        for half in range(2 * 96)
    )
    (place.folder / "in.dnstap").write_bytes(stream(*asked))
    place.do("ingest", CASE, place.folder / "in.dnstap")
    return place


@pytest.fixture(scope="module")
def client(home: Place) -> Iterator[TestClient]:
    """The application over it, as its operator."""
    from fastapi.testclient import TestClient

    from remnant.web.app import create_app

    app = create_app(settings_of(home))
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as client:
        yield client


def test_periods_are_the_days_of_the_command(client: TestClient, home: Place) -> None:
    told = client.get(
        f"{PATH}.json?count=requests&since_a=2015-04-08&until_a=2015-04-09"
        "&since_b=2015-04-09&until_b=2015-04-10"
    ).json()
    days = {row["start"][:10]: row for row in home.ask("traffic", CASE, "--by", "day")}
    assert any(day["coverage"] == 1.0 for day in days.values())
    for side, name in zip(told["sides"], ("2015-04-08", "2015-04-09"), strict=True):
        whole = days[name]["coverage"] >= 0.95
        assert side["level"] == (days[name]["queries"] if whole else None)
        assert side["low"] is None  # one day tells no noise


def test_networks_are_the_counts_of_the_command(client: TestClient, home: Place) -> None:
    told = client.get(f"{PATH}.json?by=networks&count=requests&a=AS64500&b=us").json()
    rows = [row for row in told["days"] if row["a"] is not None]
    assert rows
    day = rows[0]["date_a"]
    after = f"{day[:-2]}{int(day[-2:]) + 1:02}"
    span = ("--since", day, "--until", after)
    networks = home.ask("traffic", CASE, "--by", "network", *span)
    countries = home.ask("traffic", CASE, "--by", "country", *span)
    assert rows[0]["a"] == sum(row["queries"] for row in networks if row["asn"] == 64500)
    assert rows[0]["b"] == sum(row["queries"] for row in countries if row["country"] == "US")


def test_one_normalisation_holds_for_both(client: TestClient) -> None:
    query = "by=networks&count=requests&a=AS64500&b=AS64501"
    plain, first, own = (
        client.get(f"{PATH}.json?{query}&scale={scale}").json()
        for scale in ("absolute", "first", "own")
    )
    starts = [side["start"] for side in plain["sides"]]
    for row, shared, each in zip(plain["days"], first["days"], own["days"], strict=True):
        if row["a"] is None:
            assert shared["a"] is None is each["a"]
            continue
        assert shared["a"] == pytest.approx(row["a"] / starts[0])
        assert shared["b"] == pytest.approx(row["b"] / starts[0])
        assert each["b"] == pytest.approx(row["b"] / starts[1])
    assert "same number" in first["scale_words"]
    assert "own first seven" in own["scale_words"]


def test_notes_say_what_makes_a_comparison_unfair(client: TestClient) -> None:
    told = client.get(f"{PATH}.json?by=networks&a=AS64500&b=AS64501").json()
    assert told["count"] == "clients"
    assert any("addresses change often" in note for note in told["notes"])
    told = client.get(f"{PATH}.json?since_a=2015-04-08&since_b=2015-04-09").json()
    assert any("overlap" in note for note in told["notes"])


def test_csv_is_the_table_of_the_page(client: TestClient) -> None:
    query = "by=networks&a=AS64500&b=AS64501"
    rows = list(csv.DictReader(io.StringIO(client.get(f"{PATH}.csv?{query}").text)))
    told = client.get(f"{PATH}.json?{query}").json()["days"]
    assert [row["a"] for row in rows] == ["" if r["a"] is None else str(r["a"]) for r in told]


def test_it_is_drawn_as_files_too(client: TestClient) -> None:
    svg = client.get(f"{PATH}.svg?by=vantages").text
    assert svg.startswith("<svg")
    assert "var(--" not in svg
    assert client.get(f"{PATH}.png?by=vantages").content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "query",
    [
        "by=networks&a=nowhere&b=DE",
        "by=networks&a=AS99999999999&b=DE",
        "by=vantages&a=flow&b=resolver",
        "by=everything",
        "since_a=%22%3E%3Cscript%3E",
        "a=" + "A" * 65,
    ],
)
def test_what_cannot_be_compared_is_refused(client: TestClient, query: str) -> None:
    assert 400 <= client.get(f"{PATH}.json?{query}").status_code < 500


def test_a_network_that_was_never_seen_is_zero_and_gives_no_ratio(client: TestClient) -> None:
    told = client.get(f"{PATH}.json?by=networks&a=AS65000&b=AS64500").json()
    assert told["sides"][0]["level"] in {0.0, None}
    assert told["ratio"] is None
    assert "No ratio" in told["sentence"]
