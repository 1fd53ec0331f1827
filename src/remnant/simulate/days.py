"""The run: one UTC day after the other, so that memory does not grow with the period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import zstandard

from remnant.simulate import dnstap
from remnant.simulate.addresses import AddressPlan
from remnant.simulate.behaviour import (
    FIRST_BROKEN,
    MALFORMED,
    MARK_LOST,
    BotDays,
    InnocentDays,
    Rows,
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

_BLOCK: Final = 1 << 13
"""Frames in a block: the encoded bytes stay in the processor's cache until they are compressed."""

_LEVEL: Final = -1
"""Zstandard's level: a third faster than level 1, and 4 % larger."""


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
    asked = questions(scenario)
    plan = AddressPlan(scenario, networks, households, key)
    innocents = InnocentDays(scenario, networks, households, asked, scale, key)
    behaviour = BotDays(scenario, networks, bots, asked, key)
    truth = Truth(scenario, networks, bots, asked)
    habits = _habits(households)
    resolvers = [
        _Resolver(i, identity, out, asked, np.uint64((int(key) + i) % (1 << 64)))
        for i, (identity, _) in enumerate(scenario.resolvers)
    ]
    takedown = to_us(scenario.takedown)
    for day in range(scenario.days):
        start = to_us(scenario.since) + day * DAY_US
        plan.advance(day, start)
        rows = Rows.joined([behaviour.advance(day, start), innocents.queries(day, start)])
        units = plan.at(rows.household, rows.time)
        network = households.network[rows.household].astype(np.int64)
        seen = (rows.name < asked.watched) & (rows.mark <= MARK_LOST)
        truth.add_day(
            start,
            time=rows.time[seen],
            unit=units[seen],
            name=rows.name[seen],
            network=network[seen],
            hours=behaviour.hours,
        )
        for resolver in resolvers:
            mine = networks.resolver[network] == resolver.index
            part = rows.take(mine)
            table = resolver.messages(part, units[mine], habits[part.household], start, takedown)
            path, counts = resolver.write(table, day, start)
            truth.add_file(start, resolver.identity, path, counts)
        if progress is not None:
            progress(day + 1, scenario.days)
    truth.write(out / "truth")
    return Totals(
        messages=sum(resolver.messages_written for resolver in resolvers),
        sightings=truth.queries,
        files=len(resolvers) * scenario.days,
        written_bytes=sum(resolver.bytes_written for resolver in resolvers),
        networks=networks,
    )


def _habits(households: Households) -> npt.NDArray[np.uint8]:
    """Return the bits of ``dnstap.Messages.habits`` of each household."""
    return (
        households.mixed_case.astype(np.uint8)
        | households.edns.astype(np.uint8) << 1
        | households.ecs.astype(np.uint8) << 2
    ).astype(np.uint8)


class _Resolver:
    """One resolver with dnstap on: a file a day.

    Attributes:
        index: in the scenario.
        identity: as in the frames; also the name of its folder.
        messages_written, bytes_written: so far, the bytes as compressed.
    """

    def __init__(
        self, index: int, identity: str, out: Path, asked: Questions, key: np.uint64
    ) -> None:
        self.index = index
        self.identity = identity
        self.messages_written = 0
        self.bytes_written = 0
        self._out = out
        self._asked = asked
        self._key = key
        self._sensor = dnstap.sensor(
            identity, f"192.0.2.{index + 1}", f"2001:db8:0:a::{index + 1:x}"
        )
        self._buffer = np.empty(_BLOCK * dnstap.MOST_BYTES, np.uint8)
        (out / "traffic" / identity).mkdir(parents=True)

    def messages(
        self,
        rows: Rows,
        units: npt.NDArray[np.int64],
        habits: npt.NDArray[np.uint8],
        start: int,
        takedown: int,
    ) -> dnstap.Messages:
        """Return the messages of a day: its clients' and its monitoring."""
        monitor = monitor_queries(self._asked, self.index, start)
        every = Rows.joined([rows, monitor])
        count = monitor.time.size
        address = np.full(count, MONITOR_V4 + self.index, np.int64)
        return dnstap.Messages(
            time=every.time,
            unit=np.concatenate([units, address]),
            name=every.name,
            qtype=every.qtype,
            after=(every.time >= takedown).astype(np.uint8),
            mark=every.mark,
            habits=np.concatenate([habits, np.zeros(count, np.uint8)]),
            # A machine without a bot is known by its household.
            device=np.where(every.host < 0, -1 - every.household, every.host),
        )

    def write(self, table: dnstap.Messages, day: int, start: int) -> tuple[str, dict[str, int]]:
        """Write a day's compressed file block by block; return its path and what is in it."""
        frames = dnstap.schedule(table, self._key, day, start + DAY_US)
        date = np.datetime64(start, "us").astype("datetime64[D]")
        path = f"traffic/{self.identity}/{date}.dnstap.zst"
        compressor = zstandard.ZstdCompressor(level=_LEVEL)
        with (
            (self._out / path).open("wb") as raw,
            compressor.stream_writer(raw, closefd=False) as file,
        ):
            file.write(dnstap.START)
            for begin in range(0, frames.time.size, _BLOCK):
                block = dnstap.encode(
                    frames.part(begin, begin + _BLOCK),
                    table,
                    self._asked.table,
                    self._sensor,
                    seed=self._key,
                    day=day,
                    out=self._buffer,
                )
                file.write(block.data)
            file.write(dnstap.STOP)
        self.messages_written += frames.time.size
        self.bytes_written += (self._out / path).stat().st_size
        return path, _counts(frames, table)


def _counts(frames: dnstap.Frames, table: dnstap.Messages) -> dict[str, int]:
    types = np.bincount(frames.type, minlength=7)
    broken = np.bincount(table.mark, minlength=FIRST_BROKEN + len(MALFORMED))[FIRST_BROKEN:]
    return {
        "messages": frames.time.size,
        "client_queries": int(types[dnstap.QUERY] - broken.sum()),
        "client_responses": int(types[dnstap.RESPONSE]),
        "skipped": int(types[dnstap.RESOLVER_QUERY] + types[dnstap.RESOLVER_RESPONSE]),
        **{word: int(broken[i]) for i, word in enumerate(MALFORMED)},
    }
