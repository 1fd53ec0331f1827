"""The run: one UTC day after the other, so that memory does not grow with the period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from remnant.simulate import dnstap
from remnant.simulate.infrastructure import Written, write_infrastructure
from remnant.simulate.packing import compressor
from remnant.simulate.population import DAY_US
from remnant.simulate.rows import FIRST_BROKEN, MALFORMED
from remnant.simulate.segments import SegmentFiles
from remnant.simulate.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remnant.simulate.networks import Networks
    from remnant.simulate.questions import Questions
    from remnant.simulate.scenario import Scenario

__all__ = ["Totals", "make"]

_BLOCK: Final = 1 << 13
"""Frames in a block: the encoded bytes stay in the processor's cache until they are compressed."""


class Totals(NamedTuple):
    """What a run wrote."""

    messages: int
    sightings: int
    events: int
    files: int
    written_bytes: int
    networks: Networks
    servers: Written


def make(
    scenario: Scenario,
    out: Path,
    scale: float,
    seed: int,
    progress: Callable[[int, int], None] | None,
    case: str,
) -> Totals:
    """Write ``traffic/`` and ``truth/`` of a scenario."""
    world = World(scenario, scale, seed)
    resolvers = [
        _Resolver(i, identity, out, world.asked, world.keys[i])
        for i, (identity, _) in enumerate(scenario.resolvers)
    ]
    ttls = {scenario.sinkhole_ttl, scenario.second_ttl or scenario.sinkhole_ttl}
    segments = SegmentFiles(out, case, world.asked, tuple(sorted(ttls)), seed)
    for day in world.days():
        for resolver, table in zip(resolvers, day.messages, strict=True):
            path, counts = resolver.write(table, day.number, day.start)
            world.truth.add_file(day.start, resolver.identity, path, counts)
        if day.listens is not None:
            silent = world.silent["sinkhole"]
            segments.write("udp-0", ("sinkhole_dns",), day.dns, day.listens, silent)
            vantages = ("sinkhole_http", "sinkhole_tcp")
            segments.write("tcp-0", vantages, day.tcp, day.listens, silent)
        if progress is not None:
            progress(day.number + 1, scenario.days)
    world.truth.write(out / "truth")
    servers = write_infrastructure(scenario, out, seed, world.networks)
    return Totals(
        messages=sum(resolver.messages_written for resolver in resolvers),
        sightings=world.truth.queries,
        events=segments.events,
        files=len(resolvers) * scenario.days + segments.files + servers.files,
        written_bytes=sum(resolver.bytes_written for resolver in resolvers)
        + segments.bytes
        + servers.bytes,
        networks=world.networks,
        servers=servers,
    )


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

    def write(self, table: dnstap.Messages, day: int, start: int) -> tuple[str, dict[str, int]]:
        """Write a day's compressed file block by block; return its path and what is in it."""
        frames = dnstap.schedule(table, self._key, day, start + DAY_US)
        date = np.datetime64(start, "us").astype("datetime64[D]")
        path = f"traffic/{self.identity}/{date}.dnstap.zst"
        with (
            (self._out / path).open("wb") as raw,
            compressor().stream_writer(raw, closefd=False) as file,
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
