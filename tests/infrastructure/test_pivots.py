"""Pivots over the store give what pivots over one table of all rows give."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from collate.made_up import settings_in
from infrastructure.test_passive_dns import RECORDS, START, put
from remnant.infrastructure.passive_dns import UNASSIGNED
from remnant.infrastructure.pivot import Pivoted, TablePivots
from remnant.infrastructure.pivots import StoredPivots
from remnant.schema import ANSWERS
from remnant.store import Store, runs
from remnant.store.runs import order_answers
from remnant.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

A, NS, CNAME, MX, TXT, AAAA = 1, 2, 5, 15, 16, 28


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(runs, "FEW_ROWS", 50)
    opened = Store.open(settings_in(tmp_path), write=True)
    yield opened
    opened.close()


def made(seed: int, count: int) -> list[tuple[int, str, int, str, str]]:
    rng = np.random.default_rng(seed)
    records = []
    for _ in range(count):
        number = int(rng.integers(12))
        kind = int(rng.choice([A, NS, CNAME, MX, TXT, AAAA]))
        data = {
            A: f"192.0.2.{number}", NS: f"ns{number % 3}.test", CNAME: f"h{number}.zone1.test",
            MX: f"{number}_ns{number % 3}.test", TXT: '"x"', AAAA: f"::ffff:192.0.2.{number}",
        }[kind]  # fmt: skip
        name = f"h{int(rng.integers(15))}.zone{number % 4}.test"
        records.append((int(rng.integers(1000)), name, kind, data, f"s{number % 2}"))
    return records


def same(one: Pivoted, two: Pivoted) -> None:
    for mine, theirs in ((one.records, two.records), (one.degrees, two.degrees)):
        assert mine.select(theirs.column_names).to_pylist() == theirs.to_pylist()


@pytest.mark.parametrize("per_key", [2, 1000])
@pytest.mark.parametrize("order", [False, True])
def test_the_answers_are_those_of_one_table(store: Store, per_key: int, order: bool) -> None:
    for seed in range(5):
        put(store, made(seed, 60))
        if order and seed < 4:
            order_answers(store, UNASSIGNED)
    window = Window(START + timedelta(seconds=300), START + timedelta(seconds=700))
    table = store.everything(ANSWERS).table.to_pyarrow()
    whole = TablePivots(table, per_key=per_key)
    stored = StoredPivots(store, per_key=per_key)

    names = pa.array([f"h{i}.zone{i % 4}.test" for i in range(9)] + ["nothing.test"])
    same(stored.owned(names), whole.owned(names))
    addresses = pa.array([f"192.0.2.{i}" for i in range(0, 12, 2)] + ["2001:db8::1", "what"])
    same(stored.at(addresses), whole.at(addresses))
    servers = pa.array(["ns0.test", "ns2.test", "h3.zone1.test"])
    same(stored.pointing(servers), whole.pointing(servers))
    zones = pa.array(["zone1.test", "h1.zone1.test", "zone2.test", "z"])
    same(stored.below(zones), whole.below(zones))
    nothing: Any = pa.array([], pa.string())
    same(stored.owned(nothing), whole.owned(nothing))
    inside = StoredPivots(store, window=window).owned(names).records
    assert 0 < len(inside) < len(stored.owned(names).records) or per_key == 2
    last: Any = inside["time_last"].to_pylist()
    assert min(last) >= window.since


def test_a_content_of_several_cases_counts_once_and_made_up_ones_never_mix(store: Store) -> None:
    put(store, RECORDS, cases=("one", "two"))
    put(store, [(0, "evil.test", A, "192.0.2.9", "s1")], cases=("made-up",), simulated=True)
    names = pa.array(["evil.test"])

    real = StoredPivots(store, "one").owned(names).records
    assert sorted(zip(real["sensor"].to_pylist(), real["count"].to_pylist(), strict=True)) == [
        ("s1", 6), ("s2", 3),
    ]  # fmt: skip
    assert real.to_pylist() == StoredPivots(store, "other").owned(names).records.to_pylist()
    alone = StoredPivots(store, "made-up").owned(names).records
    assert alone["rdata"].to_pylist() == ["192.0.2.9"]


def test_what_a_busy_address_has_is_read_in_parts(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [(i, f"h{i}.test", A, "192.0.2.1", "s1") for i in range(400)]
    put(store, records)
    order_answers(store, UNASSIGNED)
    found = StoredPivots(store, per_key=10).at(pa.array(["192.0.2.1"]))
    assert len(found.records) == 10
    assert found.degrees.to_pylist() == [{"key": "192.0.2.1", "rrtype": A, "degree": 400}]
