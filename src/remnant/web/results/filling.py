"""Working out all that the dashboard shows of a case, beside what else is made of it."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final

from remnant.web.results.kept import Kept, Key
from remnant.web.results.kinds import KINDS, sharing
from remnant.web.results.process import Worker, WorkFailed
from remnant.web.results.state import state_of
from remnant.web.results.work import keep

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from remnant.settings import Settings
    from remnant.store import Store, View

__all__ = ["BESIDE", "filled"]

BESIDE: Final = ("names", "map", "joined")
"""Kinds that need little of what a report is made of: a process of their own makes them meanwhile.

The others follow on the report's view, which knows the most of them by then.
"""


@contextlib.contextmanager
def filled(settings: Settings, store: Store, view: View) -> Iterator[None]:
    """Work out every kind of result of a case, for who sees every number.

    Some kinds are made beside the body of the ``with``; what was not made there, and the others,
    after it, on the same view. With an error of the body nothing more is made.

    Args:
        settings: of the home folder.
        store: opened for reading.
        view: of the case.

    Raises:
        OSError: there is no place for a result.
    """
    kept = Kept(settings.home)
    state = state_of(settings, view.case, store.stamp(view.case))
    worker = Worker(settings, kept)
    made: set[str] = set()

    def beside() -> None:
        for kind in BESIDE:
            with contextlib.suppress(WorkFailed):
                worker.do(Key(view.case, kind, internal=True))
                made.add(kind)

    def here(kinds: Iterable[str]) -> None:
        for kind in kinds:
            keep(settings, kept, Key(view.case, kind, internal=True), state)

    thread = threading.Thread(target=beside, name="results beside")
    thread.start()
    try:
        yield
        with sharing(view.case, store, view):
            here(kind for kind in KINDS if kind not in BESIDE)
            thread.join()
            here(kind for kind in BESIDE if kind not in made)
    finally:
        worker.close()
        thread.join()
        worker.stop()
