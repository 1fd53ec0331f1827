"""Rows that do not fit into memory come back by day, none lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from collate.made_up import ingest, line, settings_in, stored, total
from remnant.collate import spill
from remnant.collate.spill import Rows
from remnant.schema import CLIENTS, SIGHTINGS
from remnant.store import Store

if TYPE_CHECKING:
    from pathlib import Path


def rows(*days: int) -> pa.Table:
    words = pa.array([f"w{day}" for day in days]).dictionary_encode()
    return pa.table({"day": pa.array(days, pa.int32()), "word": words})


@pytest.mark.parametrize("limit", [1, 4, 1000])
def test_rows_come_back_by_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(spill, "SPILL_ROWS", limit)
    kept = Rows(tmp_path, "rows")
    for days in [(3, 1), (2, 2, 1), (1,), (5, 3, 3)]:
        kept.add(rows(*days))

    found = {day: [part["word"].to_pylist() for part in kept.parts(day)] for day in kept.days()}
    kept.close()

    assert found == {1: [["w1"] * 3], 2: [["w2"] * 2], 3: [["w3"] * 3], 5: [["w5"]]}
    assert bool(list(tmp_path.iterdir())) == (limit < 1000)


def test_a_big_day_comes_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "SPILL_ROWS", 2)
    monkeypatch.setattr(spill, "PART_ROWS", 3)
    kept = Rows(tmp_path, "rows")
    for _ in range(5):
        kept.add(rows(1, 1))

    assert kept.days() == [1]
    assert [len(part) for part in kept.parts(1)] == [4, 4, 2]
    kept.close()


def test_a_source_that_spills_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "SPILL_ROWS", 7)
    monkeypatch.setattr(spill, "PART_ROWS", 10)
    store = Store.open(settings_in(tmp_path), write=True)
    data = b"".join(line(i * 1000, f"192.0.2.{i % 3}") for i in range(100))

    ingest(store, data, chunk=256)

    assert len(stored(store, SIGHTINGS)) == total(store, "matched") == 100
    clients = stored(store, CLIENTS).to_pylist()
    assert len(clients) == len({(c["client"], c["first_time"].date()) for c in clients}) == 6
    assert sum(c["queries"] for c in clients) == 100
    assert list(store.folder.temporary.iterdir()) == []
    store.close()
