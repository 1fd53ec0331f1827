"""Views of the store that many requests share; a new one when the store has changed."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remnant.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.settings import Settings
    from remnant.store import View

__all__ = ["Snapshots"]


@dataclass(slots=True)
class _Held:
    """A view of one case, for one question at a time."""

    store: Store
    view: View
    stamp: str
    turn: threading.Lock = field(default_factory=threading.Lock)


class Snapshots:
    """Views of cases. Safe to use from many threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()

    def stamp(self, case: str) -> str:
        """Return a short text that changes whenever what is stored for a case changes."""
        with Store.open(self._settings) as store:
            return store.stamp(case)

    @contextlib.contextmanager
    def view(self, case: str) -> Iterator[View]:
        """Hold the newest view of a case; its engine answers one question at a time."""
        stamp = self.stamp(case)
        with self._lock:
            held = self._held.get(case)
            if held is None or held.stamp != stamp:
                store = Store.open(self._settings)
                self._held[case] = fresh = _Held(store, store.view(case), stamp)
                if held is not None:
                    # Who still reads it has its turn first.
                    with held.turn:
                        held.store.close()
                held = fresh
        with held.turn:
            yield held.view

    def close(self) -> None:
        """Close every view."""
        with self._lock:
            for held in self._held.values():
                with held.turn:
                    held.store.close()
            self._held.clear()
