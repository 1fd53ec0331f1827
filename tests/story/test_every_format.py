"""A folder with one file or more of every format, as an operator would point at it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from remnant.capture.readers import READERS
from samples import SAMPLES, write_all
from story.telling import Place

if TYPE_CHECKING:
    from pathlib import Path

CASE = """\
[case]
name = "evil"
title = "Evil"
takedown = 2015-04-08T00:00:00Z

[[watch]]
names = ["*.evil.example"]
addresses = ["198.51.100.53"]
families = ["beebone"]
"""


def test_one_command_reads_them_all_and_says_what_each_was(tmp_path: Path) -> None:
    place = Place(tmp_path)
    case = tmp_path / "evil.toml"
    case.write_text(CASE, encoding="utf-8")
    place.do("case", "import", case)
    folder = tmp_path / "logs"
    write_all(folder)
    (folder / "notes.txt").write_text("no traffic at all\n", encoding="utf-8")

    told = place.do("ingest", "evil", folder, "--year", "2015", "--format", "json")
    sources = {row["path"].rpartition("/")[2]: row for row in json.loads(told.out)["sources"]}

    assert sources.pop("notes.txt")["state"] == "not recognised"
    assert {name: row["format"] for name, row in sources.items()} == {
        sample.file: sample.reader for sample in SAMPLES
    }
    assert {row["format"] for row in sources.values()} == set(READERS)
    for name, row in sources.items():
        # A log of queries that a longer one begins with is told to be known.
        assert row["state"] in {"new", "known"}, name
        assert row["records"] == row["messages"] + row["malformed"] + row["skipped"] > 0, name
        assert row["matched"] > 0 or row["answers"], name

    table = place.do("ingest", "evil", folder, "--year", "2015")
    assert all(sample.reader in table.out for sample in SAMPLES)
    assert "malformed" in table.out
    assert "skipped" in table.out


def test_hits_of_every_vantage_stand_apart(tmp_path: Path) -> None:
    place = Place(tmp_path)
    case = tmp_path / "evil.toml"
    case.write_text(CASE, encoding="utf-8")
    place.do("case", "import", case)
    folder = tmp_path / "logs"
    write_all(folder)
    place.do("ingest", "evil", folder, "--year", "2015")

    for vantage in ("resolver", "authority", "flow", "report"):
        rows = place.ask("traffic", "evil", "--by", "name", "--vantage", vantage)
        assert rows["rows"] if isinstance(rows, dict) else rows, vantage
    names = place.ask("pdns", "lookup", "*.evil.example")
    assert {(row["rrtype"], row["rdata"]) for row in names} >= {("A", "192.0.2.53")}
