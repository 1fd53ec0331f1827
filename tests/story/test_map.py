"""The map as a person uses it: from a case and passive DNS to candidates, files and a report."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime
from html import unescape
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import networkx as nx
import pytest

from dnstap_writer import CLIENT_QUERY, START_TIME, message, query, stream
from story.telling import CASE, Place, strict_json

if TYPE_CHECKING:
    from pathlib import Path

    from story.telling import Made

SECTION = "What is it joined to?"
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "<script>alert(1)</script>.example",
    'x\\"onload=alert(1).example',
    "]]>&amp;<svg.example",
    "</style><img.example",
)
TAKEN = """
[case]
name = "taken"
title = "Taken </title><script>alert(1)</script> ]]> & co"
takedown = 2015-04-08
[[watch]]
names = ["c2.evil.example"]
state = "seized"
"""


@pytest.fixture(scope="module")
def told(charted: Place) -> dict[str, Any]:
    """The map as JSON."""
    found: dict[str, Any] = charted.ask("map", CASE)
    return found


@pytest.fixture(scope="module")
def ranked(charted: Place) -> list[dict[str, Any]]:
    """The first 50 candidates."""
    found: list[dict[str, Any]] = charted.ask("map", CASE, "--candidates")
    return found


@pytest.fixture(scope="module")
def pages(charted: Place, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The public and the internal report."""
    folder = tmp_path_factory.mktemp("pages")
    charted.do("report", CASE, "-o", folder / "public.html", "--figures", folder / "figures")
    charted.do("report", CASE, "-o", folder / "internal.html", "--internal")
    assert {path.name for path in (folder / "figures").glob(f"{CASE}-map*")} >= {
        f"{CASE}-map.svg", f"{CASE}-map.png", f"{CASE}-map.csv",
    }  # fmt: skip
    public, internal = (folder / name for name in ("public.html", "internal.html"))
    return public.read_text(encoding="utf-8"), internal.read_text(encoding="utf-8")


def section(page: str) -> str:
    """Return the part of a report that is about the map."""
    start = page.index(f">{SECTION}</h2>")
    return page[start : page.index("</section>", start)]


def names(told: dict[str, Any]) -> set[tuple[str, str]]:
    return {(row["kind"], row["value"]) for row in told["nodes"]}


def test_the_map_in_words_in_json_and_in_csv_says_the_same(
    charted: Place, made: Made, told: dict[str, Any]
) -> None:
    published = {row["value"] for row in told["nodes"] if row["seed"]}
    watched = {row["name"] for row in made.truth("names")}
    assert published
    assert any(name in watched or name.removeprefix("*.") in watched for name in published)
    values = [row["value"] for row in told["nodes"]]
    hubs = {row["value"] for row in told["nodes"] if row["hub"]}
    assert "192.0.2.53" in hubs

    text = charted.do("map", CASE).out
    assert text.startswith(f"SIMULATED. Map of {CASE}: {len(values):,} things, ")
    assert f"{len(hubs):,} hubs, which join nothing" in text
    rows = list(csv.DictReader(io.StringIO(charted.do("map", CASE, "--format", "csv").out)))
    assert sorted((row["tail"], row["type"], row["head"]) for row in rows) == sorted(
        (values[row["tail"]], row["type"], values[row["head"]]) for row in told["edges"]
    )


def test_hidden_names_are_among_the_first_fifty_candidates(
    charted: Place, made: Made, told: dict[str, Any], ranked: list[dict[str, Any]]
) -> None:
    assert len(ranked) == 50
    assert all(set(row) >= {"kind", "value", "score", "reasons"} for row in ranked)
    assert all(row["reasons"] and 0 < row["score"] < 1 for row in ranked)
    assert [row["score"] for row in ranked] == sorted((r["score"] for r in ranked), reverse=True)
    assert {(row["kind"], row["value"]) for row in ranked} <= names(told)
    seeds = {row["value"] for row in told["nodes"] if row["seed"]}
    listed = {value for row in ranked for value in (row["value"], *row["also"])}
    assert not listed & seeds

    hidden = [row["value"] for row in made.truth("infrastructure", hidden="True", kind="name")]
    assert len(hidden) == 16
    assert sum(name in listed for name in hidden) >= 0.85 * len(hidden)

    addresses = charted.ask("map", CASE, "--candidates", "--kind", "address", "--limit", "9")
    assert {row["kind"] for row in addresses} == {"address"}
    table = charted.do("map", CASE, "--candidates", "--limit", "3").out
    assert ranked[2]["value"] in table
    assert ranked[3]["value"] not in table


def test_every_file_is_read_back(charted: Place, told: dict[str, Any], tmp_path: Path) -> None:
    paths = {}
    for kind in ("viewer", "graphml", "gexf", "stix", "misp", "csv", "svg", "png"):
        paths[kind] = tmp_path / f"map.{kind}"
        charted.do("map", CASE, "--format", kind, "-o", paths[kind])
    every = names(told)

    graph = nx.read_graphml(paths["graphml"], force_multigraph=True)
    assert {(n["kind"], n["value"]) for _, n in graph.nodes(data=True)} == every
    assert graph.number_of_edges() == len(told["edges"])
    other = nx.read_gexf(paths["gexf"], version="1.3")
    assert {(n["kind"], n["value"]) for _, n in other.nodes(data=True)} == every

    viewer = strict_json(paths["viewer"].read_text())
    assert viewer["format"] == "remnant-map"
    folded = {value for fold in viewer["folds"].values() for value in fold}
    assert set(viewer["nodes"]["value"]) | folded >= {row["value"] for row in told["nodes"]}
    assert len(viewer["candidates"]) == 50

    bundle = strict_json(paths["stix"].read_text())
    assert bundle["type"] == "bundle"
    stix = {one["value"] for one in bundle["objects"] if one["type"] == "domain-name"}
    assert {value for kind, value in every if kind == "domain"} <= stix
    event = strict_json(paths["misp"].read_text())["Event"]
    assert {one["value"] for one in event["Attribute"] if one["type"] == "domain"} <= {
        value for _, value in every
    }

    rows = {
        part: list(csv.DictReader(io.StringIO((tmp_path / f"map-{part}.csv").read_text("utf-8"))))
        for part in ("nodes", "edges")
    }
    assert {(row["kind"], row["value"]) for row in rows["nodes"]} == every
    assert len(rows["edges"]) == len(told["edges"])

    assert ET.parse(paths["svg"]).getroot().tag == f"{SVG}svg"
    assert "SIMULATED" in paths["svg"].read_text("utf-8")
    assert paths["png"].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_traffic_adds_the_networks_that_ask(charted: Place, told: dict[str, Any]) -> None:
    asked = charted.ask("map", CASE, "--traffic")
    networks = {row["value"] for row in asked["nodes"] if row["kind"] == "client_network"}
    assert networks
    assert names(asked) - names(told) == {("client_network", value) for value in networks}
    asks = [row for row in asked["edges"] if row["type"] == "asks"]
    queries = sum(row["queries"] for row in charted.ask("traffic", CASE, "--by", "name"))
    assert 0 < sum(row["count"] for row in asks) <= queries
    assert all(row["clients"] > 0 for row in asks)
    assert len(asked["edges"]) == len(told["edges"]) + len(asks)


def test_traffic_of_each_network_and_name_over_time(charted: Place) -> None:
    days = charted.ask("map", CASE, "--traffic", "--over", "day")
    hours = charted.ask("map", CASE, "--traffic", "--over", "hour")
    assert {row["covered"] for row in days} <= {True, False}
    for rows in (days, hours):
        assert [row["start"] for row in rows] == sorted(row["start"] for row in rows)
        assert all(row["queries"] >= row["clients"] > 0 for row in rows if row["covered"])
    assert sum(row["queries"] or 0 for row in days) == sum(row["queries"] or 0 for row in hours)
    queries = sum(row["queries"] for row in charted.ask("traffic", CASE, "--by", "name"))
    assert 0 < sum(row["queries"] or 0 for row in days) <= queries
    assert "--traffic" in charted.run("map", CASE, "--over", "day").said


def test_exact_counts_are_told_to_be_exact(charted: Place) -> None:
    assert "not for publication" in charted.do("map", CASE, "--traffic", "--format", "csv").said


def test_what_lives_and_who_holds_it(
    charted: Place, made: Made, ranked: list[dict[str, Any]], tmp_path: Path
) -> None:
    alive = charted.ask("servers", CASE, "--alive")
    assert alive
    assert all(row["alive"] and not row["candidate"] and row["ask"]["where"] for row in alive)
    assert "192.0.2.53" not in {row["value"] for row in alive}

    listed = tmp_path / "candidates.json"
    listed.write_text(json.dumps(ranked), encoding="utf-8")
    more = charted.ask("servers", CASE, "--candidates", listed)
    addresses = {row["value"] for row in more if row["kind"] == "address"}
    assert {row["value"] for row in more if row["candidate"]} <= {row["value"] for row in ranked}
    theirs = {row["value"] for row in made.truth("infrastructure", hidden="True", kind="address")}
    assert len(addresses & theirs) >= 0.8 * len(theirs)


def test_registrations_are_imported_and_shown(mine: Place, made: Made) -> None:
    told = mine.ask("rdap", "import", made.folder / "rdap")
    assert told
    assert all(row["new"] == 1 for row in told)
    assert all(row["new"] == 0 for row in mine.ask("rdap", "import", made.folder / "rdap"))
    (shown,) = mine.ask("rdap", "show", "ns1.helpupdates.com")
    assert shown["key"] == "helpupdates.com"
    assert shown["contact"]


def test_the_report_shows_the_map_and_names_no_candidate(
    pages: tuple[str, str], ranked: list[dict[str, Any]]
) -> None:
    public, internal = pages
    shown = section(public)
    figure = shown[shown.index('id="infrastructure"') : shown.index("</figure>")]
    assert figure.count("<svg") == 2
    assert "all times on record" in figure
    assert "What still lives" in shown

    def named(page: str, value: str) -> bool:
        words = unescape(re.sub(r"<[^>]*>", "", section(page)))
        return re.search(rf"(?<![\w.-]){re.escape(value)}(?![\w-])", words) is not None

    table = re.search(r'aria-label="Candidates">.*?</table>', section(internal), re.DOTALL)
    assert table is not None
    first = [row["value"] for row in ranked[:20]]
    assert re.findall(r'<th scope="row" class="name mono"><bdi>([^<]+)', table[0]) == first
    assert 'aria-label="Candidates"' not in public
    assert [value for value in first if named(public, value)] == []
    assert "are not named here" in shown


def test_without_passive_dns_the_report_has_no_such_section(tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    (tmp_path / "case.toml").write_text(TAKEN, encoding="utf-8")
    place.do("case", "import", tmp_path / "case.toml")
    asked = (
        message(CLIENT_QUERY, query("c2.evil.example"), time=START_TIME + 3600.0 * hour)
        for hour in range(48)
    )
    (tmp_path / "in.dnstap").write_bytes(stream(*asked))
    place.do("ingest", "taken", tmp_path / "in.dnstap")
    page = tmp_path / "r.html"
    place.do("report", "taken", "-o", page)
    assert SECTION not in page.read_text(encoding="utf-8")
    outcome = place.do("map", "taken", "--candidates", "--format", "json")
    assert strict_json(outcome.out) == []
    assert "remnant pdns import" in outcome.err


def test_hostile_names_are_counted_and_hostile_words_escaped(tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    (tmp_path / "case.toml").write_text(TAKEN, encoding="utf-8")
    place.do("case", "import", tmp_path / "case.toml")
    span = [int(datetime(2015, month, 1, tzinfo=UTC).timestamp()) for month in (3, 5)]
    rows: list[dict[str, Any]] = [
        {"rrname": name, "rrtype": "A", "rdata": "5.6.7.8", "count": 500}
        | {"time_first": span[0], "time_last": span[1]}
        for name in ("c2.evil.example", "good_name.example", *HOSTILE)
    ]
    place.do("pdns", "import", "-", stdin="\n".join(map(json.dumps, rows)).encode())

    told = place.ask("map", "taken")
    assert [(row["reason"], row["count"]) for row in told["left_out"]] == [
        ("owner is no host name", len(HOSTILE))
    ]
    (found,) = place.ask("map", "taken", "--candidates")
    assert found["value"] == "good_name.example"
    for kind in ("svg", "graphml", "gexf"):
        path = tmp_path / f"map.{kind}"
        place.do("map", "taken", "--format", kind, "-o", path)
        written = path.read_text(encoding="utf-8")
        tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(written).iter()}
        assert not tags & {"script", "img"}
        assert "good_name.example" in written
        assert "&lt;script&gt;" in written
        assert "alert(1).example" not in written
    page = tmp_path / "r.html"
    asked = message(CLIENT_QUERY, query("c2.evil.example"), time=START_TIME)
    (tmp_path / "in.dnstap").write_bytes(stream(asked))
    place.do("ingest", "taken", tmp_path / "in.dnstap")
    place.do("report", "taken", "-o", page, "--internal")
    text = page.read_text(encoding="utf-8")
    assert "good_name.example" in section(text)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert "<script>alert" not in place.do("map", "taken", "--layout").out


def test_features_of_names_and_addresses_are_those_of_the_map(
    charted: Place, told: dict[str, Any]
) -> None:
    on_map = {(node["kind"], node["value"]) for node in told["nodes"]}

    names = charted.ask("map", CASE, "--flux", "--limit", 2000)
    addresses = charted.ask("map", CASE, "--flux", "--kind", "address", "--limit", 20)

    assert {row["state"] for row in names} <= {"flux", "not_flux", "cannot_tell"}
    assert all({("name", row["name"]), ("domain", row["name"])} & on_map for row in names)
    assert any(row["ttl_low"] is not None for row in names)
    assert all(row["since"] < row["until"] and row["sensors"] for row in names)
    assert len(addresses) == 20
    assert addresses[0]["names"] >= addresses[-1]["names"] >= 1
    refused = charted.run("map", CASE, "--flux", "--format", "svg")
    assert refused.code == 1
    assert "--flux prints a list" in refused.said
