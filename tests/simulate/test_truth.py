from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from simulate.conftest import SHORT

if TYPE_CHECKING:
    from remnant.simulate import SimulationResult
    from simulate.slow_decoder import Frame

WATCHED = {name.name for name in SHORT.names}


def observations(frames: list[Frame]) -> list[Frame]:
    return [f for f in frames if f.type == 5 and f.parsed is not None and f.name in WATCHED]


def truth(short: SimulationResult, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(short.truth / f"{table}.parquet").to_pylist()
    return rows


def day_of(path: Path) -> Any:
    return datetime.fromisoformat(path.name[:10]).replace(tzinfo=UTC).date()


def test_daily_truth_is_what_a_slow_reader_counts(
    short: SimulationResult, read: dict[Path, list[Frame]]
) -> None:
    counted: dict[tuple[Any, str], list[Frame]] = defaultdict(list)
    for path, frames in read.items():
        for word in (path.parent.name, "all"):
            counted[day_of(path), word] += observations(frames)
    rows = truth(short, "daily")

    assert len(rows) == 4 * 3
    for row in rows:
        seen = counted[row["day"], row["resolver"]]
        units = {frame.unit for frame in seen}
        assert len(seen) == row["queries"] > 0
        assert len(units) == row["clients"]
        assert sum(":" in unit for unit in units) == row["clients_ipv6_64"]
        assert row["clients_ipv4"] + row["clients_ipv6_64"] == row["clients"]


def test_hourly_truth_is_what_a_slow_reader_counts(
    short: SimulationResult, read: dict[Path, list[Frame]]
) -> None:
    counted: dict[tuple[int, str], list[str]] = defaultdict(list)
    for path, frames in read.items():
        for frame in observations(frames):
            for word in (path.parent.name, "all"):
                counted[frame.time_us // 3_600_000_000, word].append(frame.unit)
    rows = truth(short, "hourly")

    assert len(rows) == 4 * 24 * 3
    for row in rows:
        units = counted[int(row["hour"].timestamp()) // 3600, row["resolver"]]
        assert (len(units), len(set(units))) == (row["queries"], row["clients"])


def test_truth_by_name_is_what_a_slow_reader_counts(
    short: SimulationResult, read: dict[Path, list[Frame]]
) -> None:
    queries: Counter[tuple[Any, str]] = Counter()
    clients = defaultdict(set)
    for path, frames in read.items():
        for frame in observations(frames):
            queries[day_of(path), frame.name] += 1
            clients[day_of(path), frame.name].add(frame.unit)
    rows = truth(short, "names")

    assert {(row["day"], row["name"]): row["queries"] for row in rows} == queries
    for row in rows:
        assert row["clients"] == len(clients[row["day"], row["name"]])


def test_truth_by_network_adds_up_to_the_day(short: SimulationResult) -> None:
    queries: Counter[Any] = Counter()
    clients: Counter[Any] = Counter()
    for row in truth(short, "networks"):
        queries[row["day"]] += row["queries"]
        clients[row["day"]] += row["clients"]

    for row in truth(short, "daily"):
        if row["resolver"] == "all":
            # An address belongs to one network: here distinct counts may be added.
            assert (queries[row["day"]], clients[row["day"]]) == (row["queries"], row["clients"])


def test_file_counts_are_what_a_slow_reader_finds(
    short: SimulationResult, read: dict[Path, list[Frame]]
) -> None:
    rows = truth(short, "files")

    assert sum(row["messages"] for row in rows) == short.messages
    for row in rows:
        frames = read[Path(row["path"])]
        types = Counter(frame.type for frame in frames)
        broken = Counter(kind_of_break(frame) for frame in frames if frame.parsed is None)
        assert len(frames) == row["messages"]
        assert types[5] == row["client_queries"] + broken.total()
        assert types[6] == row["client_responses"]
        assert types[3] + types[4] == row["skipped"]
        assert {kind: broken[kind] for kind in ("short", "cut", "loop", "label")} == {
            kind: row[kind] for kind in ("short", "cut", "loop", "label")
        }
        assert broken.total() > 0


def kind_of_break(frame: Frame) -> str:
    if len(frame.message) == 5:
        return "short"
    return {0xC0: "loop", 0x80: "label", 0x00: "cut"}[frame.message[12] & 0xC0]


def test_bots_ask_only_while_they_live(short: SimulationResult) -> None:
    for row in truth(short, "daily"):
        assert 0 < row["online_bots"] <= row["alive_bots"]
    bots = truth(short, "bots")

    assert all(bot["clean"] is None or bot["clean"] > bot["birth"] for bot in bots)
    assert {bot["resolver"] for bot in bots} == {"resolver-a", "resolver-b", "unobserved"}
