"""What is watched changes, sensors go, cases end: the stored facts follow, and the text says so."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from remnant import simulate
from remnant.simulate.beebone import BEEBONE
from story.telling import CASE, DAYS
from story.test_truth import counted, told, true_answers

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from story.telling import Made, Place

NAME = "ns1.timedate1.com"


def names(place: Place) -> set[str]:
    rows = place.ask("traffic", CASE, "--by", "name", "--since", DAYS[1], "--until", DAYS[2])
    return {row["name"] for row in rows}


def test_a_name_goes_and_comes_back(mine: Place, made: Made, tmp_path: Path) -> None:
    fewer = tmp_path / "fewer.toml"
    text = made.case.read_text(encoding="utf-8")
    assert f'"{NAME}",' in text
    fewer.write_text(text.replace(f'"{NAME}",', ""), encoding="utf-8")
    assert NAME in names(mine)

    refused = mine.run("case", "import", fewer)
    assert refused.code == 1
    assert "--replace" in refused.err
    mine.do("case", "import", fewer, "--replace")
    for verb in ("traffic", "measure"):
        said = mine.do(verb, CASE)
        assert "6 of 6 sources were read with an older watchlist" in said.err
        assert f"remnant ingest {CASE}" in said.err
    for verb in ("judge", "clients"):
        said = mine.do(verb, CASE, "--format", "json")
        assert "6 of 6 sources were read with an older watchlist" in said.err
    evidence = {item["id"]: item for item in mine.ask("judge", CASE)["evidence"]}
    assert evidence["older_watchlist"]["older"] == 6
    assert NAME in names(mine), "the stored facts stay until they are read again"

    one, *others = made.files()
    assert [row["state"] for row in mine.ingest(one)] == ["reread"]
    assert "5 of 6 sources" in mine.do("traffic", CASE).err
    assert {row["state"] for row in mine.ingest(*others)} == {"reread"}
    assert mine.do("traffic", CASE).err == ""
    truth = counted(made.truth("names", day=DAYS[1]), "name")
    rows = mine.ask("traffic", CASE, "--by", "name", "--since", DAYS[1], "--until", DAYS[2])
    assert counted(rows, "name") == {k: v for k, v in truth.items() if k != NAME}

    mine.do("case", "import", made.case, "--replace")
    told_of = mine.do("traffic", CASE).err
    assert "6 of 6" in told_of
    assert f"{NAME} since 20" in told_of
    assert {row["state"] for row in mine.ingest(*made.files())} == {"reread"}
    assert told(mine.answers()) == true_answers(made)
    shown = mine.ask("case", "show", CASE)["watched_since"]
    assert shown[NAME] > min(shown.values()), "watched without a break only since it came back"


def test_a_sensor_that_falls_silent_is_a_gap_until_it_is_retired(place: Place, made: Made) -> None:
    place.ingest(*made.files("resolver-a"), *made.files("resolver-b", days=DAYS[:2]))
    coverage = [row["coverage"] for row in place.ask("traffic", CASE)]
    assert coverage == [1, 1, 0.5]
    before = place.ask("judge", CASE)

    place.do("sensor", "retire", "resolver-b", "--at", DAYS[2])
    assert [row["coverage"] for row in place.ask("traffic", CASE)] == [1, 1, 1]
    (row,) = [r for r in place.ask("sensor", "list", CASE) if r["sensor"] == "resolver-b"]
    assert row["retired"] == f"{DAYS[2]}T00:00:00Z"
    assert place.ask("judge", CASE)["evidence"] != before["evidence"]

    said = place.do("sensor", "retire", "resolver-b", "--undo").err
    assert f"expected again, in: {CASE}" in said
    assert [row["coverage"] for row in place.ask("traffic", CASE)] == coverage
    again = place.run("sensor", "retire", "resolver-b", "--undo")
    assert (again.code, "not retired" in again.err) == (1, True)


def test_options_that_a_case_says_itself_are_refused(place: Place, made: Made) -> None:
    for option, value in (("--role", "dga"), ("--state", "lost"), ("--source", "x")):
        refused = place.run("case", "import", made.case, option, value)
        assert (refused.code, option in refused.err) == (1, True)
    for option, value in (("--title", "x"), ("--role", "c2"), ("--state", "unknown")):
        refused = place.run("case", "new", "beebone", option, value)
        assert (refused.code, option in refused.err) == (1, True)
    place.do("case", "new", "beebone")


def test_a_day_that_no_sensor_delivered_is_no_zero(place: Place, made: Made) -> None:
    place.ingest(*made.files(days=(DAYS[0], DAYS[2])))
    gap = place.ask("traffic", CASE)[1]

    assert (gap["queries"], gap["clients"], gap["coverage"]) == (None, None, 0)
    line = place.do("traffic", CASE).out.splitlines()[3]
    assert line.startswith(DAYS[1])
    assert " 0 " not in line.replace("0 %", "").replace("0%", "")


def test_a_deleted_case_leaves_nothing_behind(mine: Place, made: Made) -> None:
    address = next(row["address"] for row in mine.ask("clients", CASE) if len(row["address"]) > 9)
    other = mine.folder / "other.toml"
    other.write_text(made.case.read_text(encoding="utf-8").replace(CASE, "other"))
    mine.do("case", "import", other)
    mine.do("ingest", "other", *made.files(days=DAYS[:1]))
    kept = mine.ask("traffic", "other")
    assert places_of(mine.home, CASE)

    asked = mine.run("case", "delete", CASE)
    assert asked.code == 1
    assert "1 version of its file" in asked.said
    assert "sources with all their rows" in asked.said
    assert "Aborted" in asked.said
    assert mine.ask("traffic", CASE)

    said = mine.do("case", "delete", CASE, "--yes").err
    assert "deleted" in said
    # Its name is left in the audit log alone: who deleted it, and when.
    assert places_of(mine.home, CASE) == [str(mine.home / "state.sqlite")]
    assert tables_of(mine.home / "state.sqlite", CASE) == {"audit"}
    assert mine.run("traffic", CASE).code == 1
    assert mine.ask("traffic", "other") == kept

    mine.do("case", "delete", "other", "--yes")
    for needle in (address, NAME):
        assert places_of(mine.home, needle) == [], needle
    # So are the paths of the files that were read, which name the sensor here.
    assert places_of(mine.home, "resolver-a") == [str(mine.home / "state.sqlite")]
    assert tables_of(mine.home / "state.sqlite", "resolver-a") == {"audit"}
    again = mine.run("case", "delete", CASE, "--yes")
    assert again.code == 1
    assert "case list" in again.err


def places_of(home: Path, needle: str) -> list[str]:
    """Return the files whose name or content (also inside Parquet) holds a text."""
    import pyarrow.parquet as pq

    found = []
    for path in home.rglob("*"):
        held = needle in str(path.relative_to(home))
        if path.is_file():
            held |= needle.encode() in path.read_bytes()
            if path.suffix == ".parquet":
                held |= needle in str(pq.ParquetFile(path).read().to_pydict())
        if held:
            found.append(str(path))
    return found


def tables_of(state: Path, needle: str) -> set[str]:
    """Return the tables of a state that hold a text."""
    with contextlib.closing(sqlite3.connect(state)) as connection:
        tables = connection.execute("select name from sqlite_master where type = 'table'")
        return {
            name
            for (name,) in tables.fetchall()
            if any(needle in str(row) for row in connection.execute(f'select * from "{name}"'))
        }


def test_the_demonstration_twice_in_a_row(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    short = dataclasses.replace(BEEBONE, until=datetime(2015, 4, 12, tzinfo=UTC))
    monkeypatch.setattr(simulate, "scenarios", lambda: {short.name: short})
    shutil.rmtree(place.home)
    first, second = (
        place.do("demo", "beebone", "--scale", "0.0003", "--no-serve") for _ in range(2)
    )

    assert first.out == second.out
    assert "The report lies in" in first.out
    assert (place.home / "reports" / f"{CASE}.html").stat().st_size > 10_000
    assert not (place.home / "demo" / "beebone").exists()
    assert "\x1b" not in first.said
