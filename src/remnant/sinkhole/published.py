"""What a sinkhole that runs tells other programs of its home: a small file, anew each second.

The store hears of events when they are committed, which is in steps; these numbers are read from
the memory that the processes count in. They hold no address and no name that was asked for.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["FRESH", "LOST", "Publisher", "Running", "running"]

FRESH: Final = timedelta(seconds=10)
"""A file that is older tells of a sinkhole that was killed, or of a disk that is full."""
LOST: Final = ("dropped", "unkept", "lost")
"""Counters of what was not kept: by the system, for want of time, for want of room."""
_OVER_S: Final = 10.0
_EACH_S: Final = 1.0
_STALE_S: Final = 3_600.0
_NAME: Final = re.compile(r"running-\d{1,10}\.json")
_MOST_FILES: Final = 64
_MOST_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Running:
    """A sinkhole that runs now; times are UTC.

    Attributes:
        sensor: its name.
        cases: those that it serves.
        since: when it was started.
        written: when it said this.
        events: events of all its cases that it kept since it was started.
        committed: of these, those that are in the store.
        last_event: when the newest was kept, to a second; ``None`` before the first.
        per_s: events a second, the mean of the last ``over_s`` seconds; ``None`` in the first one.
        over_s: how long that is, 10 s unless it has just been started.
        lost: messages or rows since it was started that were not kept, by counter (``LOST``).
    """

    sensor: str
    cases: tuple[str, ...]
    since: datetime
    written: datetime
    events: int
    committed: int
    last_event: datetime | None
    per_s: float | None
    over_s: float
    lost: dict[str, int]


class Publisher:
    """Tells the numbers of one sinkhole.

    Args:
        home: the home folder.
        clock: steady seconds.
        now: the time, UTC.
    """

    def __init__(
        self,
        home: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(tz=UTC),
    ) -> None:
        self._folder = home / "sinkhole"
        self._path = self._folder / f"running-{os.getpid()}.json"
        self._clock = clock
        self._now = now
        self._since = now()
        self._seen: deque[tuple[float, int]] = deque()
        self._last: datetime | None = None
        self._told = float("-inf")

    def turn(self, totals: Mapping[str, int], sensor: str, cases: Iterable[str]) -> None:
        """Look at the numbers; tell them once a second. A disk that is full stops nothing.

        Args:
            totals: what all processes counted since the start; zeros may be absent.
            sensor: name of the sensor.
            cases: those that are served.
        """
        now, at = self._now(), self._clock()
        events = totals.get("rows", 0)
        if events > (self._seen[-1][1] if self._seen else 0):
            self._last = now
        self._seen.append((at, events))
        while len(self._seen) > 2 and at - self._seen[1][0] >= _OVER_S:
            self._seen.popleft()
        if at - self._told < _EACH_S:
            return
        first = self._told == float("-inf")
        self._told = at
        over = at - self._seen[0][0]
        found = Running(
            sensor=sensor,
            cases=tuple(cases),
            since=self._since,
            written=now,
            events=events,
            committed=totals.get("committed_rows", 0),
            last_event=self._last,
            per_s=(events - self._seen[0][1]) / over if over >= _EACH_S else None,
            over_s=round(over, 3),
            lost={name: totals.get(name, 0) for name in LOST},
        )
        with contextlib.suppress(OSError):
            self._write(found, first=first)

    def close(self) -> None:
        """Tell no more."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _write(self, found: Running, *, first: bool) -> None:
        if first:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._tidy()
        values = asdict(found)
        for name in ("since", "written", "last_event"):
            values[name] = None if values[name] is None else iso(values[name])
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(values), encoding="ascii")
        draft.replace(self._path)

    def _tidy(self) -> None:
        """Take away what sinkholes left that were killed."""
        for entry in os.scandir(self._folder):
            old = _NAME.fullmatch(entry.name) and time.time() - entry.stat().st_mtime > _STALE_S
            if old:
                Path(entry.path).unlink(missing_ok=True)


def running(home: Path, case: str, now: datetime | None = None) -> list[Running]:
    """Return the sinkholes of a home that run now and serve a case, by name of the sensor."""
    now = now or datetime.now(tz=UTC)
    folder = home / "sinkhole"
    found = []
    try:
        names = sorted(e.name for e in os.scandir(folder) if _NAME.fullmatch(e.name))
    except OSError:
        return []
    for name in names[:_MOST_FILES]:
        one = _read(folder / name)
        if one is not None and abs(now - one.written) <= FRESH and case in one.cases:
            found.append(one)
    return sorted(found, key=lambda one: (one.sensor, one.since))


def _read(path: Path) -> Running | None:
    """Return what a file says; ``None`` if it says nothing that can be understood."""
    try:
        with path.open("rb") as file:
            values: Any = json.loads(file.read(_MOST_BYTES))
        last, per_s = values["last_event"], values["per_s"]
        found = Running(
            sensor=str(values["sensor"]),
            cases=tuple(map(str, values["cases"])),
            since=datetime.fromisoformat(values["since"]),
            written=datetime.fromisoformat(values["written"]),
            events=int(values["events"]),
            committed=int(values["committed"]),
            last_event=None if last is None else datetime.fromisoformat(last),
            per_s=None if per_s is None else float(per_s),
            over_s=float(values["over_s"]),
            lost={name: int(values["lost"][name]) for name in LOST},
        )
        times = (found.since, found.written, found.last_event)
        return found if all(t is None or t.tzinfo is not None for t in times) else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
