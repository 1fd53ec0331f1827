"""Views of the store that many requests share; new ones when the store has changed.

One ledger stays open and tells with one small question whether anything was committed. One query
engine stays open too: each view works beside it with its own connection, so that two views answer
in parallel while memory, threads and what was read of files are shared.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from remnant.store.files import Folder
from remnant.store.ledger import Ledger, is_missing
from remnant.store.records import Extent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.settings import Settings
    from remnant.store.engine import Engine
    from remnant.store.view import View

__all__ = ["MOST_CASES", "READERS", "Snapshots"]

READERS: Final = 2
"""Views of one case that answer at once. More gain nothing: the engine's threads are shared."""
MOST_CASES: Final = 8
"""Cases whose views are kept; the one that was not used for longest is closed first."""
_IDLE_S: Final = 120.0
_NAMES: Final = 1000
"""Names of which something is remembered; anybody may make names up."""


@dataclass(slots=True)
class _Pool:
    """The views of one case at one state.

    ``free`` are those that nobody uses; ``open`` counts all. A pool that is ``over`` closes its
    views as they come back.
    """

    stamp: str
    free: list[View] = field(default_factory=list)
    open: int = 0
    used: float = 0.0
    over: bool = False


class Snapshots:
    """Views of cases. Safe to use from many threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = settings.database_url
        path = sa.make_url(self._url)
        self._file = (
            Path(path.database) if path.get_backend_name() == "sqlite" and path.database else None
        )
        self._folder = Folder(settings.home / "store")
        self._changed = threading.Condition()
        self._pools: dict[str, _Pool] = {}
        self._stamps: dict[str, tuple[str, str]] = {}
        self._extents: dict[str, tuple[str, Extent]] = {}
        self._ledger: Ledger | None = None
        self._identity: tuple[int, int] | None = None
        self._engine: Engine | None = None

    @property
    def open_views(self) -> int:
        """How many views are open now."""
        with self._changed:
            return sum(pool.open for pool in self._pools.values())

    def revision(self) -> str:
        """Return a short text that each commit to the store changes; empty where there is none."""
        ledger = self._open()
        return "" if ledger is None else f"{self._identity}{ledger.revision()}"

    def stamp(self, case: str) -> str:
        """Return a short text that changes whenever what is stored for a case changes."""
        return self._stamp(case, self.revision())

    def extent(self, case: str) -> Extent:
        """Return how far the sources of a case reach."""
        stamp = self.revision()
        known = self._extents.get(case)
        if known is not None and known[0] == stamp:
            return known[1]
        ledger = self._open()
        if ledger is None:
            return Extent(None, None, 0, None)
        with ledger.reading() as connection:
            found = ledger.extent(connection, case)
        with self._changed:
            if len(self._extents) > _NAMES:
                self._extents.clear()
            self._extents[case] = stamp, found
        return found

    @contextlib.contextmanager
    def view(self, case: str) -> Iterator[View]:
        """Hold a view as new as the store; nobody else asks it meanwhile. Keep it short."""
        pool = self._pool(case)
        view = self._taken(case, pool)
        sound = False
        try:
            yield view
            sound = True
        finally:
            with self._changed:
                pool.used = time.monotonic()
                keep = sound and not pool.over
                if keep:
                    pool.free.append(view)
                else:
                    pool.open -= 1
                self._changed.notify()
            if not keep:
                view.close()

    def tidy(self) -> None:
        """Close the views that nobody used for a while."""
        before = time.monotonic() - _IDLE_S
        with self._changed:
            for case, pool in list(self._pools.items()):
                if pool.used < before and len(pool.free) == pool.open:
                    self._retire(case)

    def close(self) -> None:
        """Close every view that nobody uses, the engine and the ledger."""
        with self._changed:
            for case in list(self._pools):
                self._retire(case)
            if self._engine is not None:
                self._engine.close()
                self._engine = None
            self._stamps.clear()
            if self._ledger is not None:
                self._ledger.close()
                self._ledger = None

    def _open(self) -> Ledger | None:
        """Return the ledger, opened again where its file was replaced; ``None`` without one."""
        identity = (0, 0)
        if self._file is not None:
            try:
                found = self._file.stat()
            except FileNotFoundError:
                return None
            identity = (found.st_dev, found.st_ino)
        if self._ledger is not None and identity == self._identity:
            return self._ledger
        with self._changed:
            if self._ledger is None or identity != self._identity:
                if is_missing(self._url):
                    return None
                ledger = Ledger(self._url, create=False)
                if ledger.is_stand_in:
                    # The database is there, nothing was ingested yet: so until somebody does.
                    ledger.close()
                    return None
                if self._ledger is not None:
                    self._ledger.close()
                self._ledger = ledger
                self._identity = identity
                self._stamps.clear()
            return self._ledger

    def _stamp(self, case: str, revision: str) -> str:
        known = self._stamps.get(case)
        if known is not None and known[0] == revision:
            return known[1]
        ledger = self._open()
        stamp = "" if ledger is None else ledger.stamp(case)
        with self._changed:
            if len(self._stamps) > _NAMES:
                self._stamps.clear()
            self._stamps[case] = revision, stamp
        return stamp

    def _pool(self, case: str) -> _Pool:
        stamp = self.stamp(case)
        with self._changed:
            pool = self._pools.get(case)
            if pool is None or pool.stamp != stamp:
                self._retire(case)
                while len(self._pools) >= MOST_CASES:
                    self._retire(min(self._pools, key=lambda name: self._pools[name].used))
                pool = self._pools[case] = _Pool(stamp)
            pool.used = time.monotonic()
            return pool

    def _taken(self, case: str, pool: _Pool) -> View:
        """Return a view of a pool that is nobody else's until it is given back."""
        from remnant.store.view import View

        with self._changed:
            while not pool.free and pool.open >= READERS:
                self._changed.wait()
            if pool.free:
                return pool.free.pop()
            pool.open += 1
        try:
            ledger = self._open() or Ledger("sqlite://", create=True)
            return View(case, self._folder, ledger, self._settings, beside=self._shared())
        except BaseException:
            with self._changed:
                pool.open -= 1
                self._changed.notify()
            raise

    def _shared(self) -> Engine:
        from remnant.store.engine import Engine

        with self._changed:
            if self._engine is None:
                self._engine = Engine(self._folder, self._settings)
            return self._engine

    def _retire(self, case: str) -> None:
        """Let go of the views of a case; those in use close when they come back."""
        pool = self._pools.pop(case, None)
        if pool is not None:
            pool.over = True
            pool.open -= len(pool.free)
            for view in pool.free:
                view.close()
            pool.free.clear()
