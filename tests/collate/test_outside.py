"""Generated names outside of their dates: kept beside the sightings, counted by nothing."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from collate.made_up import START, facts, ingest, line, packed, settings_in, stored, total, watching
from remnant.cases import dga
from remnant.cases.casefile import loads
from remnant.cases.rules import compile_rules
from remnant.collate.clients import Clients
from remnant.collate.pseudonym import SiteKey
from remnant.collate.sightings import Matcher, split_unlisted
from remnant.schema import CLIENTS, QUERIES, UNLISTED
from remnant.store import Store
from remnant.watchlist import Rule, Watchlist

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = 86_400
START_US = START * 1_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(settings_in(tmp_path), write=True)
    yield opened
    opened.close()


def dated(name: str, first: int, end: int, case: str = "demo") -> Rule:
    """A rule that holds from the start of one day to that of another, in days from START."""
    us = DAY * 1_000_000
    return Rule(
        case, "exact", name, valid_from=START_US + first * us, valid_until=START_US + end * us
    )


def beside(store: Store, case: str = "demo") -> list[tuple[int, str]]:
    rows = stored(store, UNLISTED, case).sort_by("time").to_pylist()
    return [(round(row["time"].timestamp()) - START, row["indicator"]) for row in rows]


def test_a_name_outside_of_its_dates_is_kept_beside_the_sightings(store: Store) -> None:
    watchlist = watching(dated("evil.example", 0, 3), "other.example")
    times = [-DAY, 0, 3 * DAY - 1, 3 * DAY, 9 * DAY]
    data = b"".join(line(time, "192.0.2.1") for time in times)
    (result,) = ingest(store, data, watchlist=watchlist)

    assert beside(store) == [(time, "outside:evil.example") for time in (-DAY, 3 * DAY, 9 * DAY)]
    assert [row[5] for row in facts(store)] == ["evil.example"] * 2
    assert result.matched == total(store, "matched") == 2
    # Nor is there a client of which nothing but such queries was seen.
    assert sum(row["queries"] for row in stored(store, CLIENTS).to_pylist()) == 2


def test_a_name_of_several_dates_is_outside_only_between_them(store: Store) -> None:
    watchlist = watching(dated("evil.example", 0, 1), dated("evil.example", 5, 6))
    data = b"".join(line(day * DAY, "192.0.2.1") for day in range(7))
    ingest(store, data, watchlist=watchlist)

    assert len(facts(store)) == 2
    assert beside(store) == [(day * DAY, "outside:evil.example") for day in (1, 2, 3, 4, 6)]


def test_any_rule_of_the_same_case_that_holds_counts(store: Store) -> None:
    watchlist = watching(
        dated("www.bad.example", 0, 1),
        "*.bad.example",
        dated("www.bad.example", 0, 1, case="other"),
    )
    ingest(store, line(2 * DAY, "192.0.2.1", "www.bad.example"), watchlist=watchlist)

    assert [row[5] for row in facts(store)] == ["*.bad.example"]
    assert beside(store) == []
    assert beside(store, "other") == [(2 * DAY, "outside:www.bad.example")]
    assert facts(store, "other") == []


def row(entry: int, offset: int) -> dict[str, Any]:
    return {
        "time": START_US,
        "offset": offset,
        "response": False,
        "sensor": None,
        "vantage": "sinkhole_http",
        "address": packed("192.0.2.1"),
        "name": "x.evil.example",
        "entry": entry,
        "proof": "http",
        "weight": 1,
        "limited": False,
    }


def test_at_the_sinkhole_it_does_not_count_as_what_hits_no_rule() -> None:
    rules = [
        dated("x.evil.example", 5, 8),
        Rule("demo", "zone", "unlisted:evil.example"),
        Rule("demo", "sinkhole", "sinkhole"),
    ]
    watched = Watchlist.compile(rules)
    queries = pa.RecordBatch.from_pylist(
        [row(entry, 5) for entry in (0, 1, 2)] + [row(2, 6)], schema=QUERIES.arrow
    )
    key = SiteKey(b"k" * 16)
    found = Matcher(watched, Clients(key, None), key, None).rows(queries)["demo"]

    assert found["rule"].to_pylist() == [~0, 2]
    listed, others = split_unlisted(found, watched)
    assert (listed["rule"].to_pylist(), others["rule"].to_pylist()) == ([2], [~0])


def test_a_year_of_a_family_is_ingested(store: Store) -> None:
    case = loads(
        'case = {name = "demo", takedown = 2015-01-01}\n'
        'watch = [{dga = "chinad", from = 2015-01-01, until = 2015-12-31}]\n',
        "demo.toml",
    )
    watchlist = Watchlist.compile(compile_rules(case))
    names = dga.generate("chinad", date(2015, 4, 8))
    assert len(watchlist.rules) == 365 * 256
    number = {rule.text: index for index, rule in enumerate(watchlist.rules)}
    # A quarter of the queries come two days too late.
    many = 4000
    late = np.arange(many) % 4 == 0
    batch = pa.RecordBatch.from_pylist(
        [
            row(0, i) | {"time": START_US + (2 * DAY * 1_000_000 if late[i] else 0)}
            for i in range(many)
        ],
        schema=QUERIES.arrow,
    )
    entry_of = np.empty(len(watchlist.rules), np.int32)
    entry_of[watchlist.entry_rules] = np.repeat(
        np.arange(watchlist.specificity.size), np.diff(watchlist.entry_offsets)
    )
    entries = [int(entry_of[number[names[i % len(names)]]]) for i in range(many)]
    place = batch.schema.get_field_index("entry")
    batch = batch.set_column(place, batch.schema.field(place), pa.array(entries, pa.int32()))
    key = SiteKey(b"k" * 16)
    found = Matcher(watchlist, Clients(key, None), key, None).rows(batch)["demo"]
    listed, others = split_unlisted(found, watchlist)

    assert (len(listed), len(others)) == (3000, 1000)
    assert set(others["offset"].to_pylist()) == set(np.flatnonzero(late).tolist())
