from __future__ import annotations

import csv
import doctest
import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.report import text
from remnant.report.text import estimates_table, neutral, render, to_csv, verdict_text
from report.sample import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS: list[dict[str, Any]] = [
    {"name": "a.example", "queries": 1234567, "clients": None, "coverage": 0.99, "asn": 64500},
    {"name": HOSTILE, "queries": 0, "clients": 3, "coverage": 1.0, "asn": None},
]
COLUMNS = ("name", "asn", "queries", "clients", "coverage")


def test_the_examples_are_true() -> None:
    assert doctest.testmod(text).failed == 0


def test_a_table_groups_numbers_but_not_names_of_things() -> None:
    shown = render(ROWS, COLUMNS, "table")
    assert "1,234,567" in shown
    assert "64500" in shown
    assert "99 %" in shown
    assert shown.endswith("\n")


def test_a_table_shows_hostile_text_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    shown = render(ROWS, COLUMNS, "table")
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[bold]" in shown  # not taken for markup
    assert "\\x1b[2J" in shown


def test_an_address_and_its_last_day_are_not_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    row = {
        "value": "198.51.100.195",
        "last_seen": "2015-06-30T23:23:57Z",
        "network": "198.51.100.0/24 AS64500 a network with a long name",
        "evidence": "A 198.51.100.195 of many names, as passive DNS says",
    }
    shown = render([row], list(row), "table")
    assert "198.51.100.195 " in shown
    assert "2015-06-30 23:23 " in shown


def test_no_rows_is_said() -> None:
    assert render([], COLUMNS, "table") == "no rows\n"
    assert render([], COLUMNS, "json") == "[]\n"
    assert render([], COLUMNS, "csv") == ",".join(COLUMNS) + "\n"


def test_long_tables_are_cut_and_say_so() -> None:
    shown = render([{"n": i} for i in range(2500)], ["n"], "table")
    assert "500 more rows" in shown


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from(COLUMNS), json_values), max_size=4))
@settings(max_examples=30, deadline=None)
def test_json_loses_nothing_and_is_safe_to_print(rows: list[dict[str, Any]]) -> None:
    shown = render(rows, COLUMNS, "json")
    assert shown.isascii()
    assert json.loads(shown, parse_constant=lambda _: None) == json.loads(
        json.dumps(rows), parse_constant=lambda _: None
    )


def test_json_writes_times_as_iso() -> None:
    time = datetime(2015, 4, 8, tzinfo=UTC)
    assert json.loads(render([{"t": time, "x": float("inf")}], ["t"], "json")) == [
        {"t": "2015-04-08T00:00:00Z", "x": None}
    ]


@given(st.text())
def test_no_csv_cell_of_text_begins_as_a_formula(value: str) -> None:
    (cell,) = next(csv.reader(io.StringIO(to_csv((), [[value]])[1:])), [""])
    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell.isprintable() or not cell


def test_csv_keeps_numbers_as_numbers() -> None:
    assert to_csv(("a", "b", "c", "d"), [[-1.5, None, True, float("nan")]]) == (
        "a,b,c,d\n-1.5,,true,\n"
    )
    assert neutral("-1") == "'-1"


@pytest.mark.parametrize("limit", [None, 0.002])
def test_estimates_for_reading(limit: float | None) -> None:
    row = {
        "quantity": "decay_rate", "value": 0.001, "low": -0.001, "high": limit, "level": 0.95,
        "unit": "per day", "since": None, "until": None, "population": "clients", "n": 84,
        "method": "a line", "coverage": 0.99, "assumptions": ["=HYPERLINK()", "\x1b[0m"],
    }  # fmt: skip
    refused = row | {"quantity": "half_life", "value": None, "low": None, "high": None}
    shown = estimates_table([row, refused])
    assert "Decline a day" in shown
    assert "0.10 %" in shown
    assert "cannot be estimated" in shown
    assert "\x1b" not in shown
    assert "[all]" in shown
    assert estimates_table([]).strip()


def test_each_estimate_says_its_window_and_who_counts_and_why_it_has_no_value() -> None:
    base = {
        "value": 50.0, "low": 40.0, "high": 60.0, "level": 0.95, "unit": "hosts",
        "since": "2015-04-08T00:00:00Z", "until": "2015-04-15T00:00:00Z", "n": 7,
        "method": "a model", "coverage": 0.99, "assumptions": ["all is well"],
    }  # fmt: skip
    shown = estimates_table(
        [
            base | {"quantity": "infected_online", "population": "hosts a", "vantage": "resolver"},
            base | {"quantity": "infected_online", "population": "hosts b", "vantage": "flow"},
            base
            | {
                "quantity": "churn_rate", "population": "addresses", "vantage": "flow",
                "value": None, "low": None, "high": None, "method": "none",
                "assumptions": ["too few came back"],
            },
        ]
    )  # fmt: skip
    about, lines = "infected machines at a time", shown.splitlines()

    assert "8 Apr 2015 to" in shown
    assert "14 Apr 2015" in shown
    assert f"  - hosts a [{about} at resolver]" in lines
    assert f"  - hosts b [{about} at flow]" in lines
    why = lines.index("What cannot be estimated, and why:")
    assert lines[why + 1] == "  - too few came back [address changes a day]"
    assert not any(line.startswith("  - none") for line in lines)


def test_a_lower_bound_is_marked_as_one() -> None:
    row = {
        "quantity": "infected_population", "value": 1067.0, "low": 1045.0, "high": None,
        "level": 0.95, "unit": "hosts", "since": None, "until": None, "population": "hosts",
        "n": 28, "method": "a model", "coverage": 1.0, "assumptions": ["lower bound: NAT"],
    }  # fmt: skip

    assert "≥ 1,067" in estimates_table([row])
    assert "≥" not in estimates_table([row | {"assumptions": ["no more than that"]}])
    assert "≥" not in estimates_table([row | {"high": 1100.0}])


def test_a_verdict_for_reading() -> None:
    shown = verdict_text(
        {
            "state": "cannot_tell",
            "sentence": "It cannot be told. " + HOSTILE,
            "series": "online hosts",
            "rate_per_day": {"value": None, "low": None, "high": None},
            "half_life_days": {"value": 347.0, "low": 239.0, "high": None},
            "can_tell_by": "2015-05-20",
            "evidence": [
                {"id": "x", "state": "failed", "sentence": "sensor died"},
                {"id": "y", "state": "info", "sentence": "84 days"},
                "plain",
            ],
        }
    )
    assert shown.startswith("CANNOT TELL YET")
    assert "2015-05-20" in shown
    assert "FAIL x: sensor died" in shown
    assert "at least 239" in shown
    assert "\x1b" not in shown


def test_checks_are_named_and_equal_reasons_stand_in_one_line() -> None:
    reason = "Not checked: no trend could be fitted."
    names = ("coverage", "other_traffic", "canary")
    nothing = {"value": None, "low": None, "high": None}
    shown = verdict_text(
        {
            "state": "cannot_tell",
            "sentence": "It cannot be told.",
            "series": "online hosts",
            "rate_per_day": nothing,
            "half_life_days": nothing,
            "can_tell_by": None,
            "evidence": [{"id": n, "state": "unavailable", "sentence": reason} for n in names],
        }
    )
    assert shown.count(reason) == 1
    assert f"n/a coverage, other traffic, canary: {reason}" in shown


def test_units_of_clients_are_said_in_words() -> None:
    row = {
        "quantity": "footprint", "value": 20, "low": 20, "high": 20, "level": None,
        "unit": "mixed", "since": None, "until": None, "population": "clients", "n": 84,
        "method": "counted", "coverage": 1.0, "assumptions": [],
    }  # fmt: skip
    shown = estimates_table([row])
    assert "clients (IPv4 and IPv6 /64)" in shown
    assert "mixed" not in shown


@pytest.mark.parametrize("count", [0, 1, 3, 1999, 2000, 2001, 4500])
@pytest.mark.parametrize("output", ["json", "csv", "table"])
def test_rows_in_pieces_read_as_rows_at_once(count: int, output: str) -> None:
    rows = [{"name": f"a{i}\u2028", "queries": i} for i in range(count)]
    columns = ("name", "queries")

    assert "".join(text.stream(iter(rows), columns, output)) == text.render(rows, columns, output)


def test_only_a_bounded_number_of_rows_is_held() -> None:
    taken = 0

    def rows() -> Iterator[dict[str, int]]:
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield {"queries": number}

    next(text.stream(rows(), ("queries",), "csv"))

    assert taken <= text.MOST_ROWS
