"""Names in seized zones that the case does not list: told, shown when asked, counted nowhere."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner

from remnant.cli import app
from remnant.sinkhole.clock import now_us
from sinkhole.recording import RULES, Clock, add, asked, home, keeper, recorder

CASE = """
[case]
name = "demo"
title = "Demo"
takedown = 2026-01-01T00:00:00Z

[[watch]]
names = ["ns1.evil.example", "*.bots.evil.example"]
state = "seized"
"""


def run(*words: str) -> Any:
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, list(words))


def keep(*names: tuple[str, bool]) -> None:
    settings = home()
    settings.home.mkdir(parents=True, exist_ok=True)
    (settings.home / "case.toml").write_text(CASE)
    assert run("case", "import", str(settings.home / "case.toml")).exit_code == 0
    clock = Clock(now_us())  # one hour, also when the next one begins meanwhile
    writing = recorder(settings, clock)
    rows = [asked(name, clock.now, unlisted=unlisted) for name, unlisted in names]
    add(writing, *rows)
    writing.close()
    keeper(settings, clock, *RULES).close()


def test_a_note_says_that_there_are_any_and_nothing_counts_them() -> None:
    keep(("ns1.evil.example", False), ("a.evil.example", True), ("b.evil.example", True))
    done = run("traffic", "demo", "--format", "json")

    assert done.exit_code == 0, done.output
    assert [row["queries"] for row in json.loads(done.stdout)] == [1]
    note = "2 queries for 2 unlisted names in seized zones: remnant traffic demo --by name --unlist"
    assert note in done.stderr
    by_name = json.loads(run("traffic", "demo", "--by", "name", "--format", "json").stdout)
    assert [row["name"] for row in by_name] == ["ns1.evil.example"]
    clients = json.loads(run("clients", "demo", "--format", "json").stdout)
    assert [row["queries"] for row in clients] == [1]


def test_they_are_shown_when_asked_for() -> None:
    keep(("ns1.evil.example", False), ("a.evil.example", True), ("a.evil.example", True))
    done = run("traffic", "demo", "--by", "name", "--unlisted", "--format", "json")

    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)
    assert row["kind"] == "unlisted"
    assert (row["name"], row["zone"], row["queries"], row["clients"], row["vantage"]) == (
        "a.evil.example",
        "evil.example",
        2,
        1,
        "sinkhole_dns",
    )
    assert row["first"] <= row["last"]
    table = run("traffic", "demo", "--by", "name", "--unlisted").stdout
    assert table.split()[:5] == ["name", "kind", "zone", "queries", "clients"]
    later = run("traffic", "demo", "--by", "name", "--unlisted", "--since", "2100-01-01")
    assert "a.evil.example" not in later.stdout


def test_where_there_are_none_nothing_is_said() -> None:
    keep(("ns1.evil.example", False))
    done = run("traffic", "demo")

    assert done.exit_code == 0
    assert "unlisted" not in done.output
    done = run("traffic", "demo", "--by", "name", "--unlisted", "--format", "json")
    assert json.loads(done.stdout) == []


def test_it_goes_with_names_only() -> None:
    keep(("ns1.evil.example", False))

    assert run("traffic", "demo", "--unlisted").exit_code == 2
    assert run("traffic", "demo", "--by", "name", "--unlisted", "--vantage", "flow").exit_code == 2


def test_segments_are_ingested_by_hand_like_anything_else() -> None:
    keep(("ns1.evil.example", False), ("a.evil.example", True))
    done = run("ingest", "demo", str(home().home / "sinkhole" / "demo"), "--format", "json")

    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    states = {row["format"]: row["state"] for row in told["sources"]}
    assert states == {"segment": "known"}
