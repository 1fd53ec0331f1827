"""Generated names from the command that prints them to the queries that count, and do not."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from remnant.cases import dga
from remnant.cli import app
from story.telling import Place

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CASE = """\
[case]
name = "conficker"
title = "Conficker"
takedown = 2009-02-12T00:00:00Z

[[watch]]
dga = "conficker-a"
from = 2009-03-01
until = 2009-03-10
"""


def asked(day: date, client: int, name: str) -> str:
    stamp = f"{day:%d-%b-%Y} 12:00:00.{client % 1000:03}"
    return f"{stamp} client 192.0.2.{client}#4444: query: {name} IN A +\n"


def case_dga(*words: str) -> Any:
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, ["case", "dga", *words])


def test_what_is_asked_for_outside_of_the_dates_is_shown_and_counted_nowhere(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    case = tmp_path / "case.toml"
    case.write_text(CASE, encoding="utf-8")
    place.do("case", "import", case)
    day = date(2009, 3, 5)
    site, other = dga.generate("conficker-a", day)[:2]
    lines = [asked(day, client, name) for client in range(1, 9) for name in (site, other)]
    # The site of somebody else has visitors afterwards, too.
    for number in range(2, 6):
        later = day + timedelta(days=number)
        lines += [asked(later, 100 + client, site) for client in range(6)]
    log = tmp_path / "queries.log"
    log.write_text("".join(lines), encoding="utf-8")
    place.do("ingest", "conficker", log)

    told = place.do("traffic", "conficker", "--format", "json")
    days = {row["start"][:10]: row["queries"] for row in json.loads(told.out)}
    assert sum(count or 0 for count in days.values()) == 16
    assert "24 queries for 1 generated name outside of its dates" in told.err
    words = ("traffic", "conficker", "--by", "name", "--unlisted", "--format", "json")
    (row,) = json.loads(place.do(*words).out)
    assert (row["name"], row["kind"], row["zone"]) == (site, "outside", None)
    assert (row["queries"], row["clients"], row["vantage"]) == (24, 6, "resolver")


def test_names_are_printed_by_day_in_three_formats() -> None:
    dates = ("--from", "2016-03-30", "--until", "2016-04-01")
    names = dga.generate("gozi-luther", date(2016, 3, 30))
    rows = [(day, name) for day in ("2016-03-30", "2016-03-31") for name in names]
    rows += [("2016-04-01", name) for name in dga.generate("gozi-luther", date(2016, 4, 1))]

    lines = case_dga("gozi-luther", *dates).stdout.splitlines()
    assert lines[0] == "date,name"
    assert lines[1:] == [f"{day},{name}" for day, name in rows]
    found = json.loads(case_dga("gozi-luther", *dates, "--format", "json").stdout)
    assert [(row["date"], row["name"]) for row in found] == rows
    table = case_dga("gozi-luther", *dates, "--format", "table")
    assert names[0] in table.stdout
    assert table.stderr == ""


def test_of_a_table_only_the_first_rows_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remnant.report.text.MOST_ROWS", 30)
    dates = ("--from", "2015-09-03", "--until", "2015-09-03")
    table = case_dga("murofet-v2", *dates, "--format", "table")
    assert len(table.stdout.splitlines()) == 2 + 30
    assert "first 30 rows" in table.stderr


def test_the_last_day_that_there_is_can_be_asked_for() -> None:
    last = case_dga("symmi", "--from", "9999-12-31", "--until", "9999-12-31")
    assert len(last.stdout.splitlines()) == 65


def test_families_are_listed() -> None:
    found = json.loads(case_dga("--list", "--format", "json").stdout)
    assert [row["family"] for row in found] == list(dga.FAMILIES)
    newgoz = found[0]
    assert (newgoz["names"], newgoz["epoch_days"], newgoz["lookups"]) == (1000, 1, 1000)
    assert "kraken-v1" in case_dga("--list", "--format", "table").stdout


def test_a_family_and_dates_are_asked_for() -> None:
    assert case_dga().exit_code == 2
    assert case_dga("newgoz").exit_code == 2
    assert case_dga("--list", "newgoz").exit_code == 2
    assert case_dga("oldgoz", "--from", "2014-07-10", "--until", "2014-07-10").exit_code == 1
    assert case_dga("newgoz", "--from", "2014-07-10", "--until", "2014-07-09").exit_code == 1
