"""Records of sources that grow, are read again, or serve several cases: each counts once."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from collate.made_up import LineReader, line, settings_in, states, stored, watching
from collate.made_up import ingest as ingest_lines
from remnant.capture import Batch, ReadOptions
from remnant.capture.answers import answer_rows
from remnant.collate import answers as module
from remnant.names import text_to_wire
from remnant.schema import ANSWERS
from remnant.store import Store
from remnant.watchlist import Rule, Watchlist

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remnant.capture import AnswersMode
    from remnant.capture.stream import ByteStream
    from remnant.collate.ingest import SourceResult

TWO = watching(
    "evil.example", "*.bad.example", Rule("other", "below", "*.example"),
    Rule("other", "address", "203.0.113.0/24"),
)  # fmt: skip
ALONE = Watchlist.compile([rule for rule in TWO.rules if rule.case == "demo"])
Record = tuple[str, str, str]


class AnswerReader(LineReader):
    """Lines as before; each also brings the record that its name has its address."""

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        self._watchlist, self._mode = watchlist, options.answers
        return super().read(stream, watchlist, options)

    def _batch(
        self, stream: ByteStream, data: bytes, entries: dict[str, list[int]], vantage: str
    ) -> Batch:
        batch = super()._batch(stream, data, entries, vantage)
        fields = [text.split(",") for text in data.decode().splitlines()]
        names = [text_to_wire(f[2]) for f in fields]
        texts = [f[1].encode() for f in fields]
        times = np.array([round(float(f[0]) * 1e6) for f in fields], np.int64)
        rows = answer_rows(
            self._watchlist,
            self._mode,
            names=np.frombuffer(b"".join(names), np.uint8).copy(),
            name_offsets=np.cumsum([0, *map(len, names)], dtype=np.int64),
            rrtype=np.full(len(fields), 1, np.int32),
            rdata=np.frombuffer(b"".join(texts), np.uint8).copy(),
            rdata_offsets=np.cumsum([0, *map(len, texts)], dtype=np.int64),
            first=times,
            last=times,
            count=np.ones(len(fields), np.int64),
            sensor=np.array([len(f) - 3 for f in fields], np.int32),
            sensors=[None, "named"],
        )
        return dataclasses.replace(batch, answers=rows)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(settings_in(tmp_path), write=True)
    yield opened
    opened.close()


def ingest(
    store: Store,
    data: bytes,
    mode: AnswersMode = "watched",
    watchlist: Watchlist = TWO,
    **more: Any,
) -> list[SourceResult]:
    from collate.made_up import NOW

    options = ReadOptions(now=NOW, answers=mode)
    return ingest_lines(
        store, data, watchlist=watchlist, reader=AnswerReader(), options=options, **more
    )


def records(store: Store, case: str = "demo") -> dict[Record, tuple[Any, ...]]:
    """Name, data and sensor with count, first and last time; several rows of one add up."""
    found: dict[Record, tuple[Any, ...]] = {}
    for row in stored(store, ANSWERS, case).to_pylist():
        key = (row["rrname"], row["rdata"], row["sensor"])
        count, first, last = found.get(key, (0, row["time_first"], row["time_last"]))
        found[key] = (
            count + row["count"], min(first, row["time_first"]), max(last, row["time_last"]),
        )  # fmt: skip
    return found


def lines(count: int, first: int = 0) -> bytes:
    names = ["evil.example", "www.bad.example", "good.example", "other.test", "evil.example"]
    return b"".join(
        line(
            100 * i,
            f"{'203.0.113' if i % 3 else '192.0.2'}.{i % 50}",
            names[i % len(names)],
            *(["x"] if i % 7 == 0 else []),
        )
        for i in range(first, first + count)
    )


DATA = lines(400)


def expected(data: bytes, case: str | None) -> Counter[Record]:
    """The same from the lines themselves; ``None`` for all records."""
    found: Counter[Record] = Counter()
    for text in data.decode().splitlines():
        _, address, name, *sensor = text.split(",")
        kept = {
            None: True,
            "demo": name in {"evil.example", "www.bad.example"},
            "other": name.endswith(".example") or address.startswith("203.0.113."),
        }[case]
        if kept:
            found[name, address, "named" if sensor else "default"] += 1
    return found


def counts(store: Store, case: str = "demo") -> Counter[Record]:
    return Counter({key: value[0] for key, value in records(store, case).items()})


@pytest.mark.parametrize("chunk", [1 << 16, 500])
def test_each_case_gets_its_records_with_exact_counts(store: Store, chunk: int) -> None:
    results = ingest(store, DATA, chunk=chunk)

    for result in results:
        assert counts(store, result.case) == expected(DATA, result.case)
        assert result.answers == len(expected(DATA, result.case))
    key = ("evil.example", "192.0.2.0", "named")
    assert records(store)[key][1].isoformat() == "2015-04-08T00:00:00+00:00"


def test_one_pass_over_two_cases_is_two_passes_over_one(store: Store, tmp_path: Path) -> None:
    for mode in ("watched", "all"):
        other = settings_in(tmp_path / mode)
        with (
            Store.open(other, write=True) as apart,
            Store.open(settings_in(tmp_path / f"{mode}-both"), write=True) as both,
        ):
            ingest(both, DATA, mode)
            ingest(apart, DATA, mode, ALONE)
            assert records(both) == records(apart)


def test_a_source_that_grows_adds_what_is_new(store: Store) -> None:
    assert states(ingest(store, DATA[: len(lines(250))])) == ["new", "new"]
    before = stored(store, ANSWERS).num_rows
    results = ingest(store, DATA)

    assert states(results) == ["grown", "grown"]
    assert counts(store) == expected(DATA, "demo")
    assert counts(store, "other") == expected(DATA, "other")
    assert results[0].answers == stored(store, ANSWERS).num_rows - before > 0


def test_known_content_adds_nothing(store: Store) -> None:
    ingest(store, DATA)
    before = stored(store, ANSWERS).num_rows
    results = ingest(store, DATA, path="a copy of it")

    assert states(results) == ["known", "known"]
    assert [result.answers for result in results] == [None, None]
    assert stored(store, ANSWERS).num_rows == before


def test_a_changed_watchlist_replaces_the_records(store: Store) -> None:
    ingest(store, DATA, watchlist=ALONE)
    changed = watching("good.example")

    assert states(ingest(store, DATA, watchlist=changed)) == ["reread"]
    assert {name for name, _, _ in counts(store)} == {"good.example"}
    assert states(ingest(store, DATA, watchlist=ALONE)) == ["reread"]
    assert counts(store) == expected(DATA, "demo")


def test_another_choice_of_records_replaces_them(store: Store) -> None:
    kept = {"watched": expected(DATA, "demo"), "none": Counter(), "all": expected(DATA, None)}
    for mode in ("watched", "all", "none", "watched"):
        ingest(store, DATA, mode, ALONE)
        assert counts(store) == kept[mode]


def test_all_is_everything_in_every_case(store: Store) -> None:
    ingest(store, DATA, "all")

    union = expected(DATA, None)
    assert counts(store) == counts(store, "other") == union
    for case in ("demo", "other"):
        # And nothing that is watched is missing, or counted otherwise.
        assert all(union[record] == count for record, count in expected(DATA, case).items())


def test_records_beyond_the_limit_go_to_files_and_come_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MANY_ROWS", 20)
    spilled: list[int] = []
    spill = module.Answers._spill

    def noted(self: module.Answers, place: int) -> None:
        spilled.append(place)
        spill(self, place)

    monkeypatch.setattr(module.Answers, "_spill", noted)
    ingest(store, DATA[: len(lines(250))], chunk=400)
    ingest(store, DATA, chunk=400)

    assert len(spilled) > 2
    # Before and after the place where the source ended first.
    assert 0 in spilled
    assert max(spilled) > 0
    assert counts(store) == expected(DATA, "demo")
    assert counts(store, "other") == expected(DATA, "other")


def test_the_sensor_that_a_person_names_counts(store: Store) -> None:
    ingest(store, DATA, sensor="mine")
    assert {sensor for _, _, sensor in counts(store)} == {"mine"}


def test_records_without_a_case_are_kept_under_their_own_name(store: Store) -> None:
    ingest(store, DATA, "all", Watchlist.compile([]), cases=["_pdns"])
    assert counts(store, "_pdns") == expected(DATA, None)
