"""``remnant servers`` and ``remnant rdap`` as a person uses them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from infrastructure.registered import domain, network
from infrastructure.test_resolving import knot
from remnant.settings import Settings
from remnant.web.access.access import Access
from story.telling import Place

if TYPE_CHECKING:
    from pathlib import Path

CASE = """
[case]
name = "taken"
takedown = 2015-04-08
[[watch]]
names = ["www.evil.example", "gone.evil.example", "alias.evil.example"]
state = "seized"
"""
COF = (
    '{{"rrname": "www.evil.example.", "rrtype": "A", "rdata": "203.0.113.7",'
    ' "time_first": {0}, "time_last": {1}, "count": 7}}\n'
    '{{"rrname": "hidden.test.", "rrtype": "A", "rdata": "203.0.113.8",'
    ' "time_first": {0}, "time_last": {1}, "count": 7}}\n'
)


def seconds(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "place")
    (tmp_path / "case.toml").write_text(CASE, encoding="utf-8")
    place.do("case", "import", tmp_path / "case.toml")
    history = COF.format(seconds(2015, 3, 1), seconds(2015, 5, 1))
    place.do("pdns", "import", "-", stdin=history.encode())
    (tmp_path / "rdap").mkdir()
    for name, value in {"net": network(), "dom": domain("evil.example")}.items():
        (tmp_path / "rdap" / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    return place


def by_value(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["value"]: row for row in rows}


def test_the_list_and_whom_to_ask(place: Place, tmp_path: Path) -> None:
    before = by_value(place.ask("servers", "taken"))
    assert before["203.0.113.7"]["alive"] is True
    assert before["203.0.113.7"]["ask"]["registry"] == "APNIC"

    told = place.ask("rdap", "import", tmp_path / "rdap", "--at", "2015-04-20")
    assert [(row["objects"], row["new"]) for row in told] == [(1, 1), (1, 1)]
    after = by_value(place.ask("servers", "taken"))
    assert after["203.0.113.7"]["ask"] == {
        "kind": "network", "name": "TEST-NET-3", "contact": "abuse@hosting.example",
        "registry": "APNIC", "where": "RDAP of 203.0.113.7: https://rdap.apnic.net/ip/203.0.113.7",
        "as_of": "2015-04-20T00:00:00Z", "redacted": False,
    }  # fmt: skip
    assert after["www.evil.example"]["ask"]["contact"] == "abuse@names.example"
    assert after["www.evil.example"]["registered_until"] == "2016-02-01T10:00:00Z"
    text = place.do("servers", "taken", "--alive").out
    assert "Ask abuse@hosting.example (TEST-NET-3)" in text
    assert "nothing was connected to" in text
    assert "gone.evil.example" not in text
    lines = place.do("servers", "taken", "--format", "csv").out.splitlines()
    assert lines[0].startswith("ask_kind,ask_contact,ask_name,ask_registry,ask_where,kind,value")
    assert len(lines) == 1 + len(after)


def test_windows(place: Place) -> None:
    early = by_value(place.ask("servers", "taken", "--until", "2015-04-01"))
    assert early["www.evil.example"]["state"] == "resolving"
    late = by_value(place.ask("servers", "taken", "--until", "2016-04-01"))
    assert late["www.evil.example"]["state"] == "unknown"
    assert late["www.evil.example"]["note"] == "nothing observed since 2015-05-01T00:00:00Z"
    assert place.run("servers", "taken", "--since", "2016-01-01", "--until", "2015-01-01").code == 1


def test_candidates_are_listed_and_marked(place: Place, tmp_path: Path) -> None:
    rows: list[Any] = [
        {"kind": "name", "value": "Hidden.test.", "score": 1.0},
        {"kind": "address", "value": "198.18.0.1"},
        {"kind": "asn", "value": "AS64500"},
        {"kind": "name", "value": "a..b"},
        {"kind": "name", "value": 7},
        "x",
    ]
    path = tmp_path / "candidates.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    found = by_value(place.ask("servers", "taken", "--candidates", path))
    assert {value for value, row in found.items() if row["candidate"]} == {
        "hidden.test", "198.18.0.1",
    }  # fmt: skip
    assert found["203.0.113.8"]["examples"] == ["hidden.test"]
    path.write_text("{", encoding="utf-8")
    assert "no list of candidates" in place.run("servers", "taken", "--candidates", path).err


def test_rdap_is_shown_and_bad_files_are_told(place: Place, tmp_path: Path) -> None:
    place.do("rdap", "import", tmp_path / "rdap")
    (shown,) = place.ask("rdap", "show", "www.evil.example")
    assert (shown["key"], shown["contact"]) == ("evil.example", "abuse@names.example")
    (shown,) = place.ask("rdap", "show", "203.0.113.9")
    assert shown["name"] == "TEST-NET-3"
    assert place.ask("rdap", "show", "AS64500") == []
    bad = tmp_path / "bad.json"
    bad.write_bytes(b"[" * 100_000)
    outcome = place.run("rdap", "import", bad)
    assert (outcome.code, "nested too deeply" in outcome.err) == (1, True)
    assert place.run("rdap", "import", tmp_path / "absent.json").code == 1


def test_resolve_refuses_without_a_resolver_and_for_a_listed_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = place.run("servers", "taken", "--resolve")
    assert (outcome.code, "no resolver is named" in outcome.err) == (1, True)
    monkeypatch.setenv("REMNANT_RESOLVE__SERVER", "203.0.113.7")
    outcome = place.run("servers", "taken", "--resolve")
    assert (outcome.code, "one of the listed servers" in outcome.err) == (1, True)


def test_resolve_asks_and_history_grows(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with knot(tmp_path) as resolver:
        monkeypatch.setenv("REMNANT_RESOLVE__SERVER", str(resolver))
        monkeypatch.setenv("REMNANT_RESOLVE__PER_SECOND", "1000")
        outcome = place.do("servers", "taken", "--resolve", "--format", "json")
    assert "for 4 names: 4 answers" in outcome.err
    found = by_value(json.loads(outcome.out))
    assert found["192.0.2.10"]["alive"] is True
    assert found["192.0.2.10"]["sensors"] == ["resolve"]
    assert found["gone.evil.example"]["state"] == "absent"
    assert found["gone.evil.example"]["evidence"] == [f"NXDOMAIN from {resolver}"]
    assert found["ns1.evil.example"]["kind"] == "name_server"
    assert found["203.0.113.7"]["alive"] is False
    states = [one["state"] for one in found["www.evil.example"]["timeline"]]
    assert states == ["resolving", "unknown", "resolving"]
    # What was asked for stays, without a resolver too.
    assert by_value(place.ask("servers", "taken"))["192.0.2.10"]["alive"] is True
    # That it asked is in the audit log; looking at what is known is not.
    access = Access(Settings(home=place.home))
    told = [entry for entry in access.log.entries() if entry.action == "names resolved"]
    access.close()
    assert [(entry.subject, entry.outcome) for entry in told][:1] == [("taken", "done")]
    assert sum(entry.outcome == "done" for entry in told) == 1
    (record,) = place.ask("pdns", "lookup", "192.0.2.10")
    assert (record["rrname"], record["sensor_id"]) == ("www.evil.example", "resolve")
