"""Results that take seconds: asked for by pages, worked out beside the server, kept on disk.

A page never waits. It gets what is known, which may be of an older state of the case and then says
so, and what is not current is put on a list. One process works the list off: what nobody has a
value of yet first, then what was looked at last. While traffic streams in, a result is worked out
again only after a pause that grows with what it costs.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from remnant.web.results.kept import Head, Kept, Key
from remnant.web.results.kinds import KINDS
from remnant.web.results.process import Worker, WorkFailed
from remnant.web.results.state import edited, state_of
from remnant.web.results.work import Bench

if TYPE_CHECKING:
    from collections.abc import Callable

    from remnant.settings import Settings
    from remnant.web.snapshots import Snapshots

__all__ = ["Result", "Results"]

_PAUSE: Final = 10.0
"""A result costs at most one part in eleven of the time."""
_SHORTEST_S: Final = 2.0
_LONGEST_S: Final = 900.0
_AGE: Final = timedelta(days=1)
"""What depends on the date (a registration that ends) is worked out again after this."""
_WANTED: Final = 64
_MEMORY: Final = 64 << 20
"""Bytes of JSON whose parsed values are held in memory."""
_IDLE_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Result:
    """What is known of one result.

    Attributes:
        value: plain data (what JSON can hold); ``None`` until it was worked out once. Nobody may
            change it: pages share it.
        made: when (UTC).
        is_current: nothing was stored and nothing edited since.
        is_working: it is being worked out now, or is next.
        problem: why it could not be, in a sentence.
    """

    value: Any = None
    made: datetime | None = None
    is_current: bool = False
    is_working: bool = False
    problem: str | None = None


class Results:
    """The results of all cases. Safe to use from many threads.

    Until ``start``, a result is worked out in the thread that asks for it.
    """

    def __init__(self, settings: Settings, snapshots: Snapshots) -> None:
        self._settings = settings
        self._snapshots = snapshots
        self._kept = Kept(settings.home)
        self._worker = Worker(settings, self._kept)
        self._changed = threading.Condition()
        self._held: OrderedDict[Key, tuple[Head, Any]] = OrderedDict()
        self._wanted: dict[Key, float] = {}
        self._doing: Key | None = None
        self._due: dict[Key, float] = {}
        self._edits: dict[Key, str] = {}
        self._failed: dict[Key, str] = {}
        self._epochs: dict[str, int] = {}
        self._thread: threading.Thread | None = None
        self._closing = False
        self._here = threading.Lock()
        self.on_made: Callable[[], None] = lambda: None

    def get(
        self,
        case: str,
        kind: str,
        *,
        internal: bool,
        since: str | None = None,
        until: str | None = None,
        vantage: str | None = None,
    ) -> Result:
        """Return what is known of a result; where that is not current, it is asked for.

        Args:
            case: name of the case.
            kind: one of ``kinds.KINDS``.
            internal: with small counts; else as it may be published.
            since: start of the window, ISO 8601; only kinds that take it.
            until: its end.
            vantage: point of view; only kinds that take it.
        """
        if kind not in KINDS:
            raise KeyError(kind)
        key = Key(case, kind, internal, since, until, vantage)
        state = self.state(case)
        head, value = self._known(key)
        if head is not None and self._is_current(head, state):
            return Result(value, head.made, is_current=True, problem=head.problem)
        if self._thread is None:
            return self._at_once(key)
        self._want(key)
        problem = self._failed.get(key) or (head.problem if head is not None else None)
        made = head.made if head is not None else None
        return Result(value, made, is_current=False, is_working=True, problem=problem)

    def state(self, case: str) -> str:
        """Return a short text that changes when the results of a case become old."""
        return state_of(self._settings, case, self._snapshots.stamp(case))

    def epoch(self, case: str) -> int:
        """Return a number that grows whenever a result of the case was worked out."""
        return self._epochs.get(case, 0)

    def made(self) -> int:
        """Return a number that grows whenever any result was worked out."""
        return sum(self._epochs.values())

    def wait(self, case: str, kind: str, *, internal: bool, seconds: float = 60.0) -> Result:
        """Return a result when it is current, or after so many seconds what is known then."""
        until = time.monotonic() + seconds
        while True:
            found = self.get(case, kind, internal=internal)
            if found.is_current or time.monotonic() >= until:
                return found
            with self._changed:
                self._changed.wait(0.1)

    def start(self) -> None:
        """Work results out beside the pages from now on."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="results", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the work."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._worker.close()
        if self._thread is not None:
            self._thread.join(5)
        self._worker.stop()
        self._kept.close()

    @staticmethod
    def _is_current(head: Head, state: str) -> bool:
        return head.stamp == state and datetime.now(tz=UTC) - head.made < _AGE

    def _known(self, key: Key) -> tuple[Head | None, Any]:
        with self._changed:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        found = self._kept.value(key)
        if found is None:
            return None, None
        with self._changed:
            self._held[key] = found
            size = sum(head.size for head, _ in self._held.values())
            while size > _MEMORY and len(self._held) > 1:
                _, (head, _) = self._held.popitem(last=False)
                size -= head.size
        return found

    def _at_once(self, key: Key) -> Result:
        with self._here:
            self._kept.settle()
            bench = Bench(self._settings, self._kept)
            try:
                bench.do(key)
            finally:
                bench.rest()
            self._finished(key)
        head, value = self._known(key)
        if head is None:
            return Result(problem="it cannot be kept")
        return Result(value, head.made, is_current=True, problem=head.problem)

    def _want(self, key: Key) -> None:
        edits = edited(self._settings.home, key.case)
        with self._changed:
            if key == self._doing:
                return
            if self._edits.get(key) != edits:
                # A person changed what is watched and looks at what comes of it.
                self._due.pop(key, None)
                self._edits[key] = edits
            new = key not in self._wanted
            self._wanted[key] = time.monotonic()
            if len(self._wanted) > _WANTED:
                del self._wanted[min(self._wanted, key=self._wanted.__getitem__)]
            if new:
                self._changed.notify_all()

    def _run(self) -> None:
        """Work off what is wanted, until the end."""
        while True:
            with self._changed:
                key = self._next()
                while key is None and not self._closing:
                    slept = not self._changed.wait(self._pause())
                    key = self._next()
                    if slept and key is None and not self._wanted:
                        break
                if self._closing:
                    return
                self._doing = key
                if key is not None:
                    self._wanted.pop(key, None)
            if key is None:
                self._worker.stop()  # nobody looks: give its memory back
                continue
            self._do(key)

    def _do(self, key: Key) -> None:
        begun = time.monotonic()
        try:
            self._worker.do(key)
            self._failed.pop(key, None)
        except WorkFailed as error:
            self._failed[key] = str(error)
        except Exception as error:  # noqa: BLE001 - the thread must live; the page says so
            self._failed[key] = f"it cannot be worked out: {type(error).__name__}"
        self._finished(key, time.monotonic() - begun)

    def _finished(self, key: Key, seconds: float = 0.0) -> None:
        with self._changed:
            pause = min(max(_PAUSE * seconds, _SHORTEST_S), _LONGEST_S)
            if key in self._failed:
                pause = max(pause, 60.0)
            if len(self._due) > 10 * _WANTED:
                self._due.clear()
                self._edits.clear()
                self._failed.clear()
            self._due[key] = time.monotonic() + pause
            self._held.pop(key, None)
            self._doing = None
            self._epochs[key.case] = self._epochs.get(key.case, 0) + 1
            self._changed.notify_all()
        self._kept.sweep()
        self.on_made()

    def _next(self) -> Key | None:
        """Return what to do now: what has no value yet first, then what was looked at last."""
        now = time.monotonic()
        ready = [key for key in self._wanted if self._due.get(key, 0.0) <= now]
        if not ready:
            return None
        return max(ready, key=lambda key: (key not in self._due, self._wanted[key]))

    def _pause(self) -> float:
        """Return the seconds until something may be done."""
        if not self._wanted:
            return _IDLE_S
        return max(0.01, min(self._due.get(key, 0.0) for key in self._wanted) - time.monotonic())
