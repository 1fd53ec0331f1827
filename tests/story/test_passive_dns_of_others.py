"""Passive DNS files of others through the commands: choosing, exporting, and hostile files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from story.telling import Place

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400
START = 1_428_451_200  # 2015-04-08T00:00:00Z


def row(name: str, kind: str, data: Any, first: float = 0, last: float = 1, **more: Any) -> Any:
    """One row, seen from day ``first`` to day ``last``."""
    times = {"time_first": int(START + first * DAY), "time_last": int(START + last * DAY)}
    return {"rrname": name, "rrtype": kind, "rdata": data, "count": 2, **times, **more}


ROWS = [
    row("evil.example", "A", "203.0.113.1", 0, 1),
    row("evil.example", "A", "203.0.113.2", 5, 9),
    row("evil.example", "NS", ["ns1.host.example", "ns2.host.example"], 0, 9),
    row("www.evil.example", "CNAME", "evil.example", 2, 3),
    row("evil.example", "MX", "10 mail.host.example", 2, 3),
    row("evil.example", "TYPE65400", "\\# 1 00", 2, 3),
]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "place")


def imported(place: Place, rows: list[Any], name: str = "in.jsonl") -> dict[str, Any]:
    path = place.folder / name
    lines = [one if isinstance(one, str) else json.dumps(one) for one in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    said = place.do("pdns", "import", path, "--input-format", "cof", "--format", "json").out
    (source,) = json.loads(said)["sources"]
    return dict(source)


def found(place: Place, *words: str) -> set[tuple[str, str, str]]:
    return {(r["rrname"], r["rrtype"], r["rdata"]) for r in place.ask("pdns", "lookup", *words)}


def exported(place: Place, *words: str) -> list[dict[str, Any]]:
    path = place.folder / "exported.jsonl"
    place.do("pdns", "export", *words, "-o", path)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_types_servers_and_windows_are_chosen(place: Place) -> None:
    imported(place, ROWS)
    every = found(place, "*.evil.example")
    assert len(every) == 7
    assert found(place, "evil.example", "--type", "A") == {r for r in every if r[1] == "A"}
    both = found(place, "evil.example", "--type", "mx", "--type", "TYPE65400")
    assert {r[1] for r in both} == {"MX", "TYPE65400"}
    assert found(place, "ns1.host.example", "--server") == {
        ("evil.example", "NS", "ns1.host.example")
    }
    assert {r[1] for r in found(place, "*.host.example", "--server")} == {"NS", "MX"}
    assert found(place, "evil.example", "--server") == {
        ("www.evil.example", "CNAME", "evil.example")
    }
    assert found(place, "ns1.host.example") == set()
    window = ("--since", "2015-04-10", "--until", "2015-04-12")
    overlapping = found(place, "*.evil.example", *window)
    assert {r[1] for r in overlapping} == {"NS", "CNAME", "MX", "TYPE65400"}
    inside = found(place, "*.evil.example", *window, "--inside")
    assert {r[1] for r in inside} == {"CNAME", "MX", "TYPE65400"}
    assert place.run("pdns", "lookup", "evil.example", "--type", "WHAT").code == 1


def test_what_is_exported_is_what_was_asked_for_and_comes_back(place: Place) -> None:
    imported(place, ROWS)
    assert {r["rrtype"] for r in exported(place, "evil.example", "--type", "MX")} == {"MX"}
    assert len(exported(place, "ns2.host.example", "--server")) == 1
    window = ("--since", "2015-04-10", "--until", "2015-04-12", "--inside")
    assert {r["rrtype"] for r in exported(place, *window)} == {"CNAME", "MX", "TYPE65400"}
    assert exported(place, "nothing.example") == []

    out = place.folder / "out.jsonl"
    assert "records written" in place.do("pdns", "export", "-o", out).err
    other = Place(place.folder / "other")
    other.do("pdns", "import", out)
    mine, theirs = (p.ask("pdns", "lookup", "*.example") for p in (place, other))
    assert mine == theirs
    assert len(mine) == 7


LONG = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 56, "evil"])
"""A name of 255 bytes on the wire; one more byte is too many."""


def test_names_of_255_bytes_are_kept_and_longer_ones_are_counted(place: Place) -> None:
    assert sum(len(label) + 1 for label in LONG.split(".")) + 1 == 255
    source = imported(
        place,
        [
            row(LONG, "A", "203.0.113.1"),
            row("d" + LONG, "A", "203.0.113.1"),
            row(LONG.replace("d" * 56, "d" * 57), "A", "203.0.113.1"),
            row("x.evil", "NS", LONG),
            row(r"\255" * 63 + ".evil", "A", "203.0.113.2"),
        ],
    )
    assert source["malformed"] == 2
    assert found(place, LONG) == {(LONG, "A", "203.0.113.1")}
    assert found(place, LONG, "--server") == {("x.evil", "NS", LONG)}
    (wide,) = found(place, "203.0.113.2")
    assert found(place, wide[0]) == {wide}
    assert len(found(place, "*.evil")) == 3


def test_a_record_set_of_ten_thousand_addresses_is_kept_whole(place: Place) -> None:
    addresses = [f"10.{i >> 8}.{i & 255}.1" for i in range(10_000)]
    # A line holds 64 KiB: the sensor writes such a set in several.
    parts = [addresses[i : i + 2500] for i in range(0, 10_000, 2500)]
    source = imported(place, [row("big.example", "A", part) for part in parts])
    assert source["malformed"] == 0
    assert source["answers"] == 10_000
    rows = place.ask("pdns", "lookup", "big.example", "--limit", "20000")
    assert {r["rdata"] for r in rows} == set(addresses)
    assert len(place.ask("pdns", "lookup", "big.example", "--limit", "7")) == 7
    assert found(place, "10.1.2.0/24") == {("big.example", "A", "10.1.2.1")}

    whole = imported(place, [row("huge.example", "A", addresses)], "whole.jsonl")
    assert whole["malformed"] == 1
    assert found(place, "huge.example") == set()


def test_poisoned_times_and_counts_are_counted_or_bounded(place: Place) -> None:
    good = row("evil.example", "A", "203.0.113.1")
    source = imported(
        place,
        [
            good,
            good | {"time_first": 0, "time_last": 1},
            good | {"time_first": 1, "time_last": START},
            good | {"time_last": 99_999_999_999},
            good | {"time_first": START + DAY, "time_last": START},
            good | {"time_first": -5},
            good | {"time_first": "soon"},
            good | {"time_first": 1e300},
            good | {"count": 10**15 - 1},
            good | {"count": 10**15},
            good | {"count": 10**40},
            good | {"count": -3},
            good | {"count": 1.5},
            good | {"count": "many"},
        ],
    )
    assert source["malformed"] >= 8
    (only,) = place.ask("pdns", "lookup", "evil.example")
    assert only["time_first"] == "2015-04-08T00:00:00Z"
    assert only["time_last"] == "2015-04-09T00:00:00Z"
    assert only["count"] == 10**15 - 1 + 2


WRONG: dict[str, list[Any]] = {
    "rrname": [None, 7, [], {}, "", "a..b", "a" * 64],
    "rrtype": [None, [], {}, "", "WHAT", 1 << 16, -1, 1.5],
    "rdata": [None, 7, [], {}, "", "203.0.113", [None], [[]]],
    "time_first": [None, [], {}, True],
}


def test_wrong_kinds_of_values_are_malformed_lines_and_nothing_else(place: Place) -> None:
    good = row("evil.example", "A", "203.0.113.1")
    wrong: list[Any] = [
        *(good | {key: value} for key, values in WRONG.items() for value in values),
        "[]", "7", "{", '{"rrname":', '{"rrname":"a"}}', "[" * 5000,
    ]  # fmt: skip
    # Between lines that are built alike, so that none is read by a shape it does not have.
    lines = [one for pair in ((good, bad) for bad in wrong) for one in pair]
    source = imported(place, [*lines, good])
    accepted = [r for r in place.ask("pdns", "lookup", "*.") if r["rrname"] != "evil.example"]
    # An empty owner is the root's; nothing else of these is a record.
    assert {r["rrname"] for r in accepted} <= {"."}
    assert source["malformed"] == len(wrong) - len(accepted)
    (only,) = place.ask("pdns", "lookup", "evil.example")
    assert only["count"] == 2 * (len(wrong) + 1)


def test_very_long_text_is_cut_and_escaped(place: Place) -> None:
    text = '"' + "x" * 40_000 + '"'
    odd = '"\x1b[31m\u202e</script>"'
    source = imported(
        place, [row("long.example", "TXT", text), row("odd.example", "TXT", [odd, odd])]
    )
    assert source["malformed"] == 0
    (long,) = place.ask("pdns", "lookup", "long.example")
    assert 16_000 < len(long["rdata"]) <= 16 << 10
    (made,) = place.ask("pdns", "lookup", "odd.example")
    assert made["rdata"].isascii()
    assert made["rdata"].isprintable()
    assert "\x1b" not in place.do("pdns", "lookup", "odd.example").out
    assert len(exported(place)) == 2
