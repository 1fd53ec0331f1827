"""What other programs read: keys and types of JSON, CSV that parses, numbers that add up."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from story.telling import CASE, DAYS, strict_json

if TYPE_CHECKING:
    from story.telling import Made, Place

NONE = type(None)
UNITS = {"ipv4", "ipv6_64", "mixed"}
SOURCE = {
    "path": str,
    "format": str,
    "records": int,
    "messages": int,
    "matched": int,
    "malformed": int,
    "skipped": int,
    "clock_faults": int,
    "first": (str, NONE),
    "last": (str, NONE),
    "state": str,
    "notes": list,
}
COUNTS: dict[str, Any] = {
    "queries": (int, NONE),
    "clients": (int, NONE),
    "vantage": str,
    "unit": str,
}
PLACE: dict[str, Any] = {"asn": (int, NONE), "as_name": (str, NONE), "country": (str, NONE)}
KEYED: dict[str, dict[str, Any]] = {
    "hour": {"start": str, "coverage": (int, float, NONE)},
    "day": {"start": str, "coverage": (int, float, NONE)},
    "week": {"start": str, "coverage": (int, float, NONE)},
    "name": {"name": str},
    "network": PLACE,
    "country": {"country": (str, NONE)},
    "sensor": {"sensor": str},
}
CLIENT = {
    "address": (str, NONE),
    "first": str,
    "last": str,
    "queries": int,
    "client_port": (int, NONE),
    "proof": (str, NONE),
    "role": (str, NONE),
    "unit": str,
    "vantage": str,
} | PLACE
NUMBER = (int, float, NONE)
ESTIMATE = {
    "quantity": str,
    "value": NUMBER,
    "low": NUMBER,
    "high": NUMBER,
    "level": NUMBER,
    "unit": str,
    "since": str,
    "until": str,
    "population": str,
    "method": str,
    "n": (int, NONE),
    "coverage": NUMBER,
    "assumptions": list,
}
VERDICT = {
    "state": str,
    "sentence": str,
    "series": str,
    "rate_per_day": dict,
    "half_life_days": dict,
    "can_tell_by": (str, NONE),
    "evidence": list,
}


def fits(row: dict[str, Any], contract: dict[str, Any]) -> None:
    assert contract.keys() <= row.keys(), contract.keys() - row.keys()
    for key, kind in contract.items():
        assert isinstance(row[key], kind), (key, row[key])
        assert not isinstance(row[key], bool), key


def test_ingest(place: Place, made: Made) -> None:
    text = place.do("ingest", CASE, *made.files(days=DAYS[:1]), "--format", "json").out
    answer = strict_json(text)

    assert set(answer) == {"sources", "seconds"}
    assert answer["seconds"] > 0
    for row in answer["sources"]:
        fits(row, SOURCE)
        assert row["messages"] + row["malformed"] + row["skipped"] == row["records"] > 0
        assert row["first"][:10] == row["last"][:10] == DAYS[0]
        assert row["first"].endswith("Z")


@pytest.mark.parametrize("by", list(KEYED))
def test_traffic(by: str, small: Place, whole: Place) -> None:
    place = whole if by == "week" else small
    rows = place.ask("traffic", CASE, "--by", by)

    assert rows
    for row in rows:
        fits(row, KEYED[by] | COUNTS)
        assert row["unit"] in UNITS
    if by in {"hour", "day", "week"}:
        starts = [datetime.fromisoformat(row["start"]) for row in rows]
        step = {"hour": 1, "day": 24, "week": 168}[by]
        assert {b - a for a, b in pairwise(starts)} == {timedelta(hours=step)}
        if by == "week":
            assert {start.weekday() for start in starts} == {0}
    else:
        assert [row["queries"] for row in rows] == sorted(
            (row["queries"] for row in rows), reverse=True
        )
        key = tuple(KEYED[by])
        assert len({tuple(row[k] for k in key) for row in rows}) == len(rows)


def test_clients(small: Place) -> None:
    rows = small.ask("clients", CASE, "--limit", 20)

    assert len(rows) == 20
    for row in rows:
        fits(row, CLIENT)
    some = rows[0]
    network = small.ask("clients", CASE, "--network", f"AS{some['asn']}")
    assert some["address"] in {row["address"] for row in network}
    assert {row["asn"] for row in network} == {some["asn"]}
    assert small.ask("clients", CASE, "--network", some["address"])[0] == some
    assert small.ask("clients", CASE, "--vantage", "resolver", "--limit", 20) == rows


def test_clients_that_show_signs(small: Place) -> None:
    rows = small.ask("clients", CASE, "--bystanders")

    assert all(row["excluded"] == (row["score"] >= 70) for row in rows)
    assert all(row["reason"] and row["kind"] for row in rows)
    assert sum(row["excluded"] for row in rows) <= 0.05 * len(small.ask("clients", CASE))


def test_measure(whole: Place) -> None:
    rows = whole.ask("measure", CASE)

    assert len({row["quantity"] for row in rows}) == len(rows) > 4
    for row in rows:
        fits(row, ESTIMATE)
        assert row["since"] < row["until"]
        assert all(isinstance(text, str) for text in row["assumptions"])
        if None not in (row["low"], row["value"]):
            assert row["low"] <= row["value"]
        if None not in (row["high"], row["value"]):
            assert row["value"] <= row["high"]


def test_judge(whole: Place) -> None:
    verdict = whole.ask("judge", CASE)

    fits(verdict, VERDICT)
    for key in ("rate_per_day", "half_life_days"):
        fits(verdict[key], {"value": NUMBER, "low": NUMBER, "high": NUMBER})
    assert "SIMULATED" in verdict["sentence"] or "simulated" in str(verdict["evidence"])
    assert verdict["sentence"].endswith(".")


def test_cases(small: Place) -> None:
    rows = small.ask("case", "list")
    for row in rows:
        fits(row, {"name": str, "title": str, "takedown": str, "origin": str})
    assert {"beebone", "kelihos", "zbot", "conficker", CASE} <= {row["name"] for row in rows}

    shown = small.ask("case", "show", CASE)
    assert shown["origin"] == "stored"
    assert set(shown["watched_since"])
    checked = small.ask("case", "check", CASE)
    assert checked.keys() <= shown.keys()
    fits(checked, {"name": str, "title": str, "takedown": str, "warnings": list})


def test_sensors(small: Place) -> None:
    for row in small.ask("sensor", "list", CASE):
        fits(row, {"sensor": str, "vantage": str, "first": str, "last": str, "hours": int})
        assert row["retired"] is None


@pytest.mark.parametrize(
    "command",
    [
        *(["traffic", CASE, "--by", by] for by in KEYED),
        ["clients", CASE],
        ["measure", CASE],
        ["judge", CASE],
        ["case", "list"],
        ["case", "show", CASE],
        ["case", "check", CASE],
        ["sensor", "list", CASE],
        ["settings", "show"],
    ],
    ids=lambda command: " ".join(command[:4]),
)
def test_csv_is_the_same_rows(command: list[str], small: Place) -> None:
    table = list(csv.reader(io.StringIO(small.do(*command, "--format", "csv").out), strict=True))
    head, *body = table

    assert len(set(head)) == len(head)
    assert {len(row) for row in body} <= {len(head)}
    if command[0] in {"traffic", "clients"}:
        rows = small.ask(*command)
        assert len(rows) == len(body)
        assert set(rows[0]) == set(head)
        at = head.index("queries")
        assert [row[at] for row in body] == [str(row["queries"]) for row in rows]


@pytest.mark.parametrize("verb", ["traffic", "clients", "measure", "sensor list", "case list"])
def test_tables_fit_100_columns_without_breaking_numbers(
    verb: str, small: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    words = verb.split() if verb == "case list" else [*verb.split(), CASE]
    lines = small.do(*words).out.splitlines()

    assert max(map(len, lines)) <= 100
    rows = small.ask(*words)
    if verb in {"traffic", "clients"}:
        assert len(lines) == len(rows) + 2


def test_tables_in_a_pipe_are_as_wide_as_they_need(
    small: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    lines = small.do("traffic", CASE, "--by", "network").out.splitlines()

    assert len(lines) == len(small.ask("traffic", CASE, "--by", "network")) + 2
