"""Answers put in order say what they said before, and every look-up is one range of them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from collate.made_up import settings_in
from remnant.schema import ANSWERS, ANSWERS_BY_DATA
from remnant.store import Store, files, ordered, runs
from remnant.store.answer_keys import EVERYTHING, below_name, in_network, of_name, to_name
from remnant.store.files import keys_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remnant.store.records import FileRecord

START = datetime(2015, 4, 8, tzinfo=UTC)
NAMES = [f"h{i}.zone{i % 7}.test" for i in range(60)]
SERVERS = [f"ns{i}.host.test" for i in range(5)]


def made(rng: np.random.Generator, count: int, source: str) -> pa.Table:
    rows = []
    for _ in range(count):
        kind = int(rng.choice([1, 2, 15, 16, 28]))
        number = int(rng.integers(40))
        data = {
            1: f"192.0.2.{number}", 2: SERVERS[number % 5], 15: f"10 {SERVERS[number % 5]}",
            16: f'"{number}"', 28: f"2001:db8::{number:x}",
        }[kind]  # fmt: skip
        time = START + timedelta(seconds=int(rng.integers(10_000)))
        ttl = None if rng.random() < 0.3 else int(rng.integers(1000))
        rows.append(
            {
                "rrname": str(rng.choice(NAMES)), "rrtype": kind, "rdata": data,
                "time_first": time, "time_last": time + timedelta(seconds=int(rng.integers(99))),
                "count": int(rng.integers(1, 9)), "sensor": f"s{number % 2}", "source": source,
                "ttl_low": ttl, "ttl_high": ttl,
            }
        )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=ANSWERS.arrow)


def added(table: pa.Table) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """What rows say of each record, sensor and source, whatever their number and order."""
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in table.to_pylist():
        key = tuple(row[n] for n in ("rrname", "rrtype", "rdata", "sensor", "source"))
        new = (row["time_first"], row["time_last"], row["count"], row["ttl_low"], row["ttl_high"])
        old = found.get(key)
        if old is not None:
            lows = [t for t in (old[3], new[3]) if t is not None]
            highs = [t for t in (old[4], new[4]) if t is not None]
            new = (
                min(old[0], new[0]), max(old[1], new[1]), old[2] + new[2],
                min(lows, default=None), max(highs, default=None),
            )  # fmt: skip
        found[key] = new
    return found


def put(store: Store, table: pa.Table, case: str = "demo", source: str = "one") -> None:
    with store.change() as change:
        change.write(ANSWERS, case, None, table, [source])
        change.commit()


def listed(store: Store, table: Any, case: str = "demo") -> list[FileRecord]:
    with store.ledger.reading() as connection:
        return store.ledger.files(connection, case, table.name)


def whole(tables: Iterator[pa.Table]) -> pa.Table:
    return pa.concat_tables([ANSWERS.empty(), *tables])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(runs, "FEW_ROWS", 100)
    monkeypatch.setattr(runs, "_FILE_ROWS", 120)
    for module in (files, ordered):
        monkeypatch.setattr(module, "ORDERED_GROUP", 16)
    opened = Store.open(settings_in(tmp_path), write=True)
    yield opened
    opened.close()


def test_what_is_stored_stays_the_same_while_runs_are_made_and_merged(store: Store) -> None:
    rng = np.random.default_rng(1)
    everything = []
    for step in range(14):
        table = made(rng, int(rng.integers(20, 300)), f"source{step % 3}")
        everything.append(table)
        put(store, table, source=f"source{step % 3}")
        if step % 2:
            runs.order_answers(store, "demo")
        expected = added(pa.concat_tables(everything))
        answers = store.answers()
        assert added(whole(answers.by_owner(EVERYTHING, rows=70))) == expected
        keyed = {key: value for key, value in expected.items() if key[1] != 16}
        assert added(whole(answers.by_data(EVERYTHING, rows=70))) == keyed
        assert added(store.view("demo").table(ANSWERS).to_pyarrow()) == expected

    ordered_files = [file for file in listed(store, ANSWERS) if file.run is not None]
    assert {f.run for f in ordered_files} == {f.run for f in listed(store, ANSWERS_BY_DATA)}
    assert len({f.run for f in ordered_files}) < runs.SAME_SIZE * 3
    assert max(file.rows for file in ordered_files) <= 120 + 16 * 2 * len(ordered_files)


def test_files_of_a_run_share_no_key_and_are_in_order(store: Store) -> None:
    rng = np.random.default_rng(2)
    for _ in range(9):
        put(store, made(rng, 150, "one"))
        runs.order_answers(store, "demo")
    for table in (ANSWERS, ANSWERS_BY_DATA):
        by_run: dict[str | None, list[FileRecord]] = {}
        for file in listed(store, table):
            by_run.setdefault(file.run, []).append(file)
        assert any(len(group) > 1 for group in by_run.values())
        for group in by_run.values():
            group.sort(key=lambda file: file.low)
            assert all(a.high < b.low for a, b in itertools.pairwise(group))
            for file in group:
                rows = files.read_table(table, store.folder.path(file))
                keys: list[Any] = keys_of(table, rows).to_pylist()
                assert keys == sorted(keys)
                assert (keys[0], keys[-1]) == (file.low, file.high)


@pytest.mark.parametrize("order", [False, True])
def test_a_range_is_what_a_search_over_all_rows_finds(store: Store, order: bool) -> None:
    rng = np.random.default_rng(3)
    everything = [made(rng, 200, "one") for _ in range(6)]
    for i, table in enumerate(everything):
        put(store, table)
        if order and i != 5:
            runs.order_answers(store, "demo")
    rows = pa.concat_tables(everything).to_pylist()
    answers = store.answers()

    def same(found: Iterator[pa.Table], wanted: Any) -> None:
        expected = [row for row in rows if wanted(row)]
        assert expected
        assert added(whole(found)) == added(pa.Table.from_pylist(expected, schema=ANSWERS.arrow))

    import ipaddress

    same(answers.by_owner(of_name(NAMES[3])), lambda r: r["rrname"] == NAMES[3])
    same(answers.by_owner(below_name("zone2.test")), lambda r: r["rrname"].endswith(".zone2.test"))
    same(
        answers.by_data(in_network(ipaddress.ip_network("192.0.2.0/29")), rows=20),
        lambda r: r["rrtype"] == 1 and int(r["rdata"].split(".")[3]) < 8,
    )
    same(
        answers.by_data(to_name(SERVERS[2])),
        lambda r: r["rrtype"] in {2, 15} and r["rdata"].endswith(SERVERS[2]),
    )
    same(
        answers.by_owner(*(of_name(name) for name in NAMES[::3]), rows=30),
        lambda r: r["rrname"] in NAMES[::3],
    )
    assert list(answers.by_owner(of_name("nothing.test"))) == []


def test_what_the_second_order_lacks_is_found_all_the_same_and_made_again(store: Store) -> None:
    rng = np.random.default_rng(4)
    table = made(rng, 300, "one")
    put(store, table)
    runs.order_answers(store, "demo")
    wanted = to_name(SERVERS[0])
    expected = added(whole(store.answers().by_data(wanted)))
    assert expected
    for file in listed(store, ANSWERS_BY_DATA)[:1]:
        store.folder.path(file).unlink()

    assert added(whole(store.answers().by_data(wanted))) == expected
    runs.order_answers(store, "demo")
    assert all(store.folder.path(file).is_file() for file in listed(store, ANSWERS_BY_DATA))
    assert added(whole(store.answers().by_data(wanted))) == expected
    assert added(whole(store.answers().by_owner(EVERYTHING))) == added(table)


def test_a_source_that_is_taken_out_leaves_both_orders(store: Store) -> None:
    rng = np.random.default_rng(5)
    one, two = made(rng, 200, "one"), made(rng, 200, "two")
    put(store, one)
    put(store, two, source="two")
    runs.order_answers(store, "demo")
    with store.change() as change:
        change.remove_source("demo", "one")
        change.commit()

    answers = store.answers()
    assert added(whole(answers.by_owner(EVERYTHING))) == added(two)
    assert added(whole(answers.by_data(EVERYTHING))) == {
        key: value for key, value in added(two).items() if key[1] != 16
    }
    assert store.delete_case("demo") > 0 or not listed(store, ANSWERS)
    assert list(store.answers().by_owner(EVERYTHING)) == []


def test_counts_of_strangers_never_turn_negative(store: Store) -> None:
    row = made(np.random.default_rng(6), 1, "one").to_pylist()[0] | {"count": runs.MOST_COUNT}
    put(store, pa.Table.from_pylist([row] * 300, schema=ANSWERS.arrow))
    runs.order_answers(store, "demo")

    (found,) = whole(store.answers().by_owner(EVERYTHING)).to_pylist()
    assert found["count"] == runs.MOST_COUNT


def test_a_file_of_version_1_has_no_ttl(store: Store) -> None:
    table = made(np.random.default_rng(7), 300, "one").drop_columns(["ttl_low", "ttl_high"])
    put(store, table)
    runs.order_answers(store, "demo")

    found = whole(store.answers().by_owner(EVERYTHING))
    assert found["ttl_low"].null_count == found["ttl_high"].null_count == len(found) > 0
