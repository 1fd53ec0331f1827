"""The run: one UTC day after the other, so that memory does not grow with the period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import zstandard

from remnant.simulate import dnstap
from remnant.simulate.addresses import AddressPlan
from remnant.simulate.behaviour import (
    MALFORMED,
    BotDays,
    Rows,
    innocent_queries,
    monitor_queries,
)
from remnant.simulate.networks import MONITOR_V4, build
from remnant.simulate.population import DAY_US, populate
from remnant.simulate.questions import questions
from remnant.simulate.truth import Truth
from remnant.windows import to_us

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from remnant.simulate.networks import Networks
    from remnant.simulate.population import Households
    from remnant.simulate.questions import Questions
    from remnant.simulate.scenario import Scenario

__all__ = ["Totals", "make"]

_BLOCK: Final = 1 << 16
_LEVEL: Final = 1
_ZSTD_THREADS: Final = 0
"""Compress in this thread: a fixed layout, hence the same bytes each time."""


class Totals(NamedTuple):
    """What a run wrote."""

    messages: int
    sightings: int
    files: int
    written_bytes: int
    networks: Networks


def make(
    scenario: Scenario,
    out: Path,
    scale: float,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> Totals:
    """Write ``traffic/`` and ``truth/`` of a scenario."""
    random = np.random.Generator(np.random.PCG64(seed))
    key = random.integers(0, 1 << 64, dtype=np.uint64)
    homes = scenario.clients_a_day * scenario.bots_per_client + scenario.innocent_households
    networks = build(scenario, homes * scale, random)
    bots, households = populate(scenario, networks, scale, random)
    asked = questions(scenario, random)
    plan = AddressPlan(scenario, networks, households, key)
    behaviour = BotDays(scenario, networks, bots, asked, key)
    truth = Truth(scenario, networks, bots, asked)
    offsets = np.array([round(c.offset_hours * 3_600_000_000) for c in scenario.countries], np.int64)
    offset_us = offsets[networks.country[households.network]]
    habits = _habits(households)
    sensors = [
        dnstap.sensor(identity, f"192.0.2.{i + 1}", f"2001:db8:0:a::{i + 1:x}")
        for i, (identity, _) in enumerate(scenario.resolvers)
    ]
    for identity, _ in scenario.resolvers:
        (out / "traffic" / identity).mkdir(parents=True)
    messages = size = files = 0
    for day in range(scenario.days):
        start = to_us(scenario.since) + day * DAY_US
        plan.advance(day, start)
        rows = Rows.joined(
            [
                behaviour.advance(day, start),
                innocent_queries(scenario, asked, households, offset_us, scale, key, day, start),
            ]
        )
        units = plan.at(rows.household, rows.time)
        network = households.network[rows.household].astype(np.int64)
        seen = (rows.name < asked.watched) & (rows.mark <= 1)
        truth.add_day(
            start, rows.time[seen], units[seen], rows.name[seen], network[seen], behaviour.hours
        )
        resolver = networks.resolver[network]
        for i, (identity, _) in enumerate(scenario.resolvers):
            mine = resolver == i
            table = _messages(
                rows.take(mine), units[mine], habits, asked, i, start, to_us(scenario.takedown)
            )
            stream_key = key + np.uint64(i)
            frames = dnstap.schedule(table, stream_key, day, start + DAY_US)
            date = np.datetime64(start, "us").astype("datetime64[D]")
            path = f"traffic/{identity}/{date}.dnstap.zst"
            size += _write(out / path, frames, table, asked, sensors[i], stream_key, day)
            truth.add_file(start, identity, path, _file_counts(frames, table))
            messages += frames.time.size
            files += 1
        if progress is not None:
            progress(day + 1, scenario.days)
    truth.write(out / "truth")
    return Totals(messages, truth.queries, files, size, networks)


def _habits(households: Households) -> npt.NDArray[np.uint8]:
    """Return the bits of ``dnstap.Messages.habits`` of each household."""
    return (
        households.mixed_case.astype(np.uint8)
        | households.edns.astype(np.uint8) << 1
        | households.ecs.astype(np.uint8) << 2
    ).astype(np.uint8)


def _messages(
    rows: Rows,
    units: npt.NDArray[np.int64],
    habits: npt.NDArray[np.uint8],
    asked: Questions,
    resolver: int,
    start: int,
    takedown: int,
) -> dnstap.Messages:
    """Return the messages of one resolver and day: its clients' and its monitoring."""
    monitor = monitor_queries(asked, resolver, start)
    all_rows = Rows.joined([rows, monitor])
    count = monitor.time.size
    return dnstap.Messages(
        time=all_rows.time,
        unit=np.concatenate([units, np.full(count, MONITOR_V4 + resolver, np.int64)]),
        name=all_rows.name,
        qtype=all_rows.qtype,
        after=(all_rows.time >= takedown).astype(np.uint8),
        mark=all_rows.mark,
        habits=np.concatenate([habits[rows.household], np.zeros(count, np.uint8)]),
        host=all_rows.host,
    )


def _write(
    path: Path,
    frames: dnstap.Frames,
    table: dnstap.Messages,
    asked: Questions,
    sensor: dnstap.Sensor,
    key: np.uint64,
    day: int,
) -> int:
    """Write one compressed file block by block; return its size in bytes."""
    compressor = zstandard.ZstdCompressor(level=_LEVEL, threads=_ZSTD_THREADS)
    with path.open("wb") as raw, compressor.stream_writer(raw, closefd=False) as file:
        file.write(dnstap.START)
        for begin in range(0, frames.time.size, _BLOCK):
            block = dnstap.Frames(*(column[begin : begin + _BLOCK] for column in frames))
            file.write(memoryview(dnstap.encode(block, table, asked.table, sensor, key, day)))
        file.write(dnstap.STOP)
    return path.stat().st_size


def _file_counts(frames: dnstap.Frames, table: dnstap.Messages) -> dict[str, int]:
    types = np.bincount(frames.type, minlength=7)
    broken = np.bincount(table.mark, minlength=2 + len(MALFORMED))[2:]
    return {
        "messages": frames.time.size,
        "client_queries": int(types[dnstap.QUERY] - broken.sum()),
        "client_responses": int(types[dnstap.RESPONSE]),
        "skipped": int(types[dnstap.RESOLVER_QUERY] + types[dnstap.RESOLVER_RESPONSE]),
        **{word: int(broken[i]) for i, word in enumerate(MALFORMED)},
    }
