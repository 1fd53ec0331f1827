"""Pivots over a table and over the store give the same bounded answers."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from infrastructure.made_records import record, records, table
from remnant.infrastructure.pivot import DEGREES, RECORDS, Pivoted, TablePivots

ROWS = [
    record("a.evil.com A 5.6.7.8", count=3, sensor="north"),
    record("a.evil.com A 5.6.7.8", count=4, sensor="south"),
    record("b.com A 5.6.7.8"),
    record("c.com A 5.6.7.8", count=9),
    *records("d.com AAAA ::ffff:5.6.7.8", "evil.com MX 10 mail.evil.com"),
    *records("evil.com NS ns1.evil.com", "www.evil.com CNAME a.evil.com", "a.evil.com TXT A"),
    *records(r"x\.evil.com A 5.6.7.9", "y.evil.com A 5.6.7.9", "notevil.com A 5.6.7.9"),
]


def found(pivoted: Pivoted) -> list[tuple[str, str, str, int]]:
    assert pivoted.records.schema == RECORDS
    assert pivoted.degrees.schema == DEGREES
    return [
        (row["key"], row["rrname"], row["rdata"], row["count"])
        for row in pivoted.records.to_pylist()
    ]


def degrees(pivoted: Pivoted) -> dict[tuple[str, int], int]:
    return {(r["key"], r["rrtype"]): r["degree"] for r in pivoted.degrees.to_pylist()}


def test_an_address_gives_every_owner_also_through_mapped_addresses() -> None:
    pivoted = TablePivots(table(ROWS)).at(pa.array(["5.6.7.8"]))

    assert found(pivoted) == [
        ("5.6.7.8", "a.evil.com", "5.6.7.8", 3),
        ("5.6.7.8", "a.evil.com", "5.6.7.8", 4),
        ("5.6.7.8", "b.com", "5.6.7.8", 1),
        ("5.6.7.8", "c.com", "5.6.7.8", 9),
        ("5.6.7.8", "d.com", "5.6.7.8", 1),
    ]
    assert degrees(pivoted) == {("5.6.7.8", 1): 3, ("5.6.7.8", 28): 1}


def test_the_bound_keeps_those_seen_most_and_tells_the_true_number() -> None:
    pivoted = TablePivots(table(ROWS), per_key=2).at(pa.array(["5.6.7.8"]))

    assert [name for _, name, _, _ in found(pivoted)] == [
        "a.evil.com",
        "a.evil.com",
        "c.com",
        "d.com",
    ]
    assert degrees(pivoted)["5.6.7.8", 1] == 3


def test_what_points_to_a_name_and_what_a_name_leads_to() -> None:
    pivots = TablePivots(table(ROWS))

    pointing = pivots.pointing(pa.array(["mail.evil.com", "ns1.evil.com", "a.evil.com"]))
    owned = pivots.owned(pa.array(["evil.com", "a.evil.com"]))

    assert [(k, n) for k, n, _, _ in found(pointing)] == [
        ("a.evil.com", "www.evil.com"),
        ("mail.evil.com", "evil.com"),
        ("ns1.evil.com", "evil.com"),
    ]
    assert {data for _, _, data, _ in found(owned)} == {"mail.evil.com", "ns1.evil.com", "5.6.7.8"}


def test_below_a_zone_no_dot_inside_a_label_counts() -> None:
    pivoted = TablePivots(table(ROWS)).below(pa.array(["evil.com"]))

    assert {name for _, name, _, _ in found(pivoted)} == {
        "a.evil.com",
        "evil.com",
        "www.evil.com",
        "y.evil.com",
    }
    odd = TablePivots(table(ROWS)).below(pa.array([r"x\.evil.com", "."]))
    assert ((r"x\.evil.com", r"x\.evil.com")) in {(k, n) for k, n, _, _ in found(odd)}
    assert degrees(odd)[".", 1] == 6


def test_nothing_asked_nothing_found() -> None:
    pivots = TablePivots(table([]))
    none: pa.Array[Any] = pa.array([], pa.string())

    for pivoted in (pivots.at(none), pivots.owned(none), pivots.below(none)):
        assert found(pivoted) == []
