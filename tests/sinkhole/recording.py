"""What the tests of telemetry share: a home, events in it, a recorder, a keeper."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from remnant import settings as settings_module
from remnant.capture import ReadOptions
from remnant.capture.readers import READERS
from remnant.capture.stream import ByteStream
from remnant.collate.ingest import ingest_source
from remnant.schema import SIGHTINGS, Table
from remnant.sinkhole.events import Counts
from remnant.sinkhole.keeper import Keeper
from remnant.sinkhole.recorder import CaseFacts, Recorder
from remnant.store import Store
from remnant.watchlist import Rule, Watchlist, digest_of
from segment_writer import events, row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from remnant.collate.ingest import SourceResult
    from remnant.settings import Settings
    from remnant.store import SourceRecord

NOW = 1_785_585_600_000_000  # 2026-08-01T12:00:00Z
HOUR = 3_600_000_000
RULES = (
    Rule("demo", "exact", "ns1.evil.example", state="seized"),
    Rule("demo", "below", "*.bots.evil.example", state="seized"),
)
OTHERS = (Rule("other", "exact", "c2.bad.example", state="seized"),)


def home() -> Settings:
    """The settings of this test's own home."""
    return settings_module.load(Path(os.environ["REMNANT_HOME"]))


class Clock:
    """Tells the time that a test says."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def facts_for(*rules: Rule, zones: Sequence[str] = ("evil.example",)) -> dict[str, CaseFacts]:
    cases = dict.fromkeys(rule.case for rule in rules)
    return {case: CaseFacts(digest_of(rules, case), (60,), tuple(zones)) for case in cases}


def recorder(settings: Settings, clock: Callable[[], int], **others: Any) -> Recorder:
    given: dict[str, Any] = {
        "sensor": "sink-1",
        "cases": facts_for(*RULES),
        "memberships": [("demo",)],
        "worker": "udp-0",
        "clock": clock,
    }
    return Recorder(settings.home / "sinkhole", **(given | others))


def keeper(settings: Settings, clock: Callable[[], int], *rules: Rule, **others: Any) -> Keeper:
    known = rules or RULES

    def rules_of(case: str) -> list[Rule] | None:
        return [rule for rule in known if rule.case == case] or None

    return Keeper(settings, rules_of, clock=clock, **others)


def add(
    into: Recorder,
    *rows: dict[str, Any],
    owners: Sequence[int] | None = None,
    counts: Counts | None = None,
) -> None:
    batch = events(*rows)
    of = np.array([0] * len(rows) if owners is None else owners, np.int32)
    into.add(batch, of, counts or Counts(messages=len(rows)))


def asked(name: str = "ns1.evil.example", time: int = NOW, **others: Any) -> dict[str, Any]:
    return row(name, time=time, **others)


def stored(settings: Settings, table: Table = SIGHTINGS, case: str = "demo") -> pa.Table:
    with Store.open(settings) as store:
        found: pa.Table = store.view(case).table(table).to_pyarrow()
    return found


def names(settings: Settings, table: Table = SIGHTINGS, case: str = "demo") -> list[str]:
    found: Any = stored(settings, table, case)["name"].to_pylist()
    return sorted(found)


def total(settings: Settings, table: Table, column: str) -> int:
    found: Any = stored(settings, table)[column].to_pylist()
    return sum(found)


def segments(settings: Settings, case: str = "demo") -> list[Path]:
    return sorted((settings.home / "sinkhole" / case).glob("[0-9]*"))


def rounds(of: Keeper, most: int = 20) -> int:
    """Make rounds until nothing is left; return how many events they committed."""
    total = 0
    for _ in range(most):
        done = of.round()
        assert done.alarm is None, done.alarm
        total += done.rows
        if not done.frames and not done.more:
            break
    return total


def ingest(settings: Settings, path: Path, *rules: Rule, case: str = "demo") -> SourceResult:
    """What ``remnant ingest`` does with a file."""
    options = ReadOptions(now=datetime.fromtimestamp(NOW / 1_000_000, UTC))
    watchlist = Watchlist.compile(rules or RULES)
    with Store.open(settings, write=True) as store, ByteStream(path.open("rb"), str(path)) as data:
        (result,) = ingest_source(
            data,
            READERS["segment"],
            store,
            watchlist,
            options,
            cases=[case],
            path=str(path),
            reopen=lambda: ByteStream(path.open("rb"), str(path)),
        )
    return result


def sources(settings: Settings, case: str = "demo") -> list[SourceRecord]:
    with Store.open(settings) as store:
        return store.view(case).sources


def decompressed(path: Path) -> bytes:
    with ByteStream(path.open("rb"), str(path)) as stream:
        parts = []
        while stream.more():
            parts.append(stream.view.tobytes())
            stream.advance(stream.view.size)
    return b"".join(parts)
