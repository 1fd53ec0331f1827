"""Questions without an answer: what is said, with which exit code, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remnant import __version__
from remnant.cli import app
from story.telling import AFTER, CASE, DAYS, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from story.telling import Made

READING = ("traffic", "clients", "measure", "judge")


@pytest.mark.parametrize(
    "verb", [*READING, "enrich", "ingest", "sensor list", "report", "case show"]
)
def test_a_case_that_nobody_knows(verb: str, small: Place, tmp_path: Path) -> None:
    more: dict[str, list[object]] = {"ingest": [tmp_path], "report": ["-o", tmp_path / "r.html"]}
    outcome = small.run(*verb.split(), "beebome", *more.get(verb, []))

    assert outcome.code == 1
    assert outcome.out == ""
    assert "beebome" in outcome.err
    assert "beebone" in outcome.err or "case list" in outcome.err


@pytest.mark.parametrize("verb", [*READING, "enrich", "sensor list", "report"])
def test_a_case_without_data_yet(verb: str, place: Place, tmp_path: Path) -> None:
    more = ["-o", tmp_path / "r.html"] if verb == "report" else []
    outcome = place.run(*verb.split(), CASE, *more)

    assert outcome.code == 1
    assert f"remnant ingest {CASE}" in outcome.err
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize("verb", ["clients", "measure", "judge", "report"])
def test_every_verb_refuses_a_window_outside_the_data(
    verb: str, small: Place, tmp_path: Path
) -> None:
    more = ["-o", tmp_path / "r.html"] if verb == "report" else []
    outcome = small.run(verb, CASE, "--since", AFTER, *more)

    assert outcome.code == 1, outcome.said
    assert outcome.out == ""
    assert DAYS[0] in outcome.err
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (["--since", AFTER], f"{DAYS[0]}"),
        (["--until", DAYS[0]], f"{DAYS[0]}"),
        (["--since", "2030-01-01", "--until", "2031-01-01"], f"{DAYS[0]}"),
        (["--since", DAYS[1], "--until", DAYS[1]], "empty"),
        (["--since", DAYS[2], "--until", DAYS[1]], "empty"),
        (["--since", "yesterday"], "2015-04-08"),
        (["--since", "2015-04-08T00:00:00"], "zone"),
    ],
)
def test_windows_that_hold_nothing(window: list[str], words: str, small: Place) -> None:
    outcome = small.run("traffic", CASE, *window)

    assert outcome.code == 1, outcome.said
    assert outcome.out == ""
    assert words in outcome.err
    assert "expected" in outcome.err or "hint" in outcome.err


@pytest.mark.parametrize("verb", READING)
def test_a_vantage_that_is_not_there(verb: str, small: Place) -> None:
    outcome = small.run(verb, CASE, "--vantage", "sinkhole_dns")
    assert outcome.code == 1
    assert "resolver" in outcome.err

    outcome = small.run(verb, CASE, "--vantage", "nonsense")
    assert outcome.code in {1, 2}
    assert "resolver" in outcome.err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["frobnicate"], "frobnicate"),
        (["traffic"], "CASE"),
        (["traffic", CASE, "--by", "moon"], "network"),
        (["traffic", CASE, "--format", "xml"], "csv"),
        (["traffic", CASE, "--sinse", "2015-04-08"], "--since"),
        (["clients", CASE, "--limit", "0"], "--limit"),
        (["ingest", CASE], "file"),
        (["ingest", CASE, "x", "--timezone", "Mars/Phobos"], "Europe/Rome"),
        (["ingest", CASE, "x", "--timezone", "../../etc/passwd"], "Europe/Rome"),
        (["ingest", CASE, "x", "--input-format", "pcapng2"], "dnstap"),
        (["ingest", CASE, "x", "--vantage", "moon"], "resolver"),
        (["ingest", CASE, "x", "--year", "12"], "--year"),
        (["demo", "mariposa"], "beebone"),
        (["sensor", "retire", "x"], "--at"),
        (["sensor", "retire", "x", "--at", "2015-04-08", "--undo"], "--undo"),
        (["traffic", CASE, "--limit", "5"], "--by name"),
        (["case"], "import"),
        ([], "demo"),
    ],
)
def test_usage_errors(command: list[str], words: str, small: Place) -> None:
    outcome = small.run(*command)

    assert outcome.code == 2, outcome.said
    assert words in outcome.said


def test_a_network_that_is_none(small: Place) -> None:
    outcome = small.run("clients", CASE, "--network", "AS-nonsense")

    assert outcome.code == 1
    assert "AS64500" in outcome.err


def test_a_network_without_clients(small: Place) -> None:
    assert small.ask("clients", CASE, "--network", "AS1") == []
    assert small.ask("clients", CASE, "--network", "192.0.2.0/24") == []
    assert "no rows" in small.do("clients", CASE, "--network", "AS1").out


def test_a_sensor_that_nobody_knows(mine: Place) -> None:
    outcome = mine.run("sensor", "retire", "resolver-z", "--at", DAYS[1])

    assert outcome.code == 1
    assert "resolver-a" in outcome.err


def test_a_scale_that_cannot_be(place: Place, tmp_path: Path) -> None:
    for scale in ("0", "-1", "nan", "1e9"):
        outcome = place.run("simulate", "beebone", "-o", tmp_path / "x", "--scale", scale)
        assert outcome.code in {1, 2}
        assert "Traceback" not in outcome.err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    outcome = place.run("simulate", "beebone", "-o", tmp_path / "full")
    assert outcome.code == 1
    assert "empty" in outcome.err


def test_settings_that_are_wrong(place: Place) -> None:
    (place.home / "settings.toml").write_text("[store]\nmemory_limitt = 3\n")
    outcome = place.run("traffic", CASE)

    assert outcome.code == 1
    assert "settings.toml" in outcome.err
    assert "memory_limit" in outcome.err


def test_simulated_and_real_traffic_do_not_mix(mine: Place, made: Made, tmp_path: Path) -> None:
    from dnstap_writer import CLIENT_QUERY, message, query, stream

    before = mine.ask("traffic", CASE)
    path = tmp_path / "real.dnstap"
    path.write_bytes(stream(message(CLIENT_QUERY, query("ns1.timedate1.com"))))
    outcome = mine.run("ingest", CASE, path)
    assert outcome.code == 1
    assert "simulated" in outcome.err
    assert "real" in outcome.err
    assert mine.ask("traffic", CASE) == before

    mine.do("case", "new", "genuine", "--takedown", DAYS[1], "--watch", "ns1.timedate1.com")
    mine.do("ingest", "genuine", path)
    outcome = mine.run("ingest", "genuine", *made.files())
    assert outcome.code == 1
    assert "simulated" in outcome.err
    assert sum(row["queries"] or 0 for row in mine.ask("traffic", "genuine")) == 1


# What every command has.


def commands() -> Iterator[list[str]]:
    from typer.main import get_command

    def walk(command: object, words: list[str]) -> Iterator[list[str]]:
        yield words
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, [*words, name])

    yield from walk(get_command(app), [])


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_help_of_every_command(words: list[str], tmp_path: Path) -> None:
    outcome = Place(tmp_path).run(*words, "--help")

    assert outcome.code == 0
    assert outcome.out.startswith("Usage: remnant")
    assert " ".join(words) in outcome.out
    assert outcome.err == ""
    assert "..." not in outcome.out.partition("Commands:")[2]


def test_the_version(tmp_path: Path) -> None:
    assert Place(tmp_path).do("--version").out == f"remnant {__version__}\n"


def test_home_may_stand_anywhere(small: Place, tmp_path: Path) -> None:
    expected = small.do("traffic", CASE).out
    other = Place(tmp_path / "other")
    other.environment["REMNANT_SITE_KEY"] = small.environment["REMNANT_SITE_KEY"]
    for words in (
        ["--home", small.home, "traffic", CASE],
        ["traffic", "--home", small.home, CASE],
        ["traffic", CASE, "--home", small.home],
        ["traffic", CASE, f"--home={small.home}"],
    ):
        assert other.do(*words).out == expected
    assert other.run("traffic", CASE, "--home").code == 2
    assert other.run("traffic", CASE).code == 1


def test_settings_say_where_home_comes_from(small: Place) -> None:
    rows = {row["key"]: row for row in small.ask("settings", "show")}
    assert rows["home"]["value"] == str(small.home)
    assert rows["home"]["origin"] == "REMNANT_HOME"

    rows = {row["key"]: row for row in small.ask("settings", "show", "--home", small.home)}
    assert rows["home"]["origin"] == "argument"


@pytest.mark.parametrize("verb", [("traffic", CASE, "--by", "name"), ("clients", CASE)])
def test_a_limit_gives_the_largest(verb: tuple[str, ...], small: Place) -> None:
    rows = small.ask(*verb)

    assert len(rows) > 2
    assert small.ask(*verb, "--limit", "2") == rows[:2]
    assert small.do(*verb).err == ""


def test_a_table_says_that_it_is_not_all(small: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remnant.report.text.MOST_ROWS", 2)

    assert "first 2 rows" in small.do("clients", CASE).err
    assert "more rows" not in small.do("clients", CASE).out
