"""How one result is worked out, and the process that does nothing else.

The process reads one line of JSON for each piece of work and answers with one; the results
themselves go through the files of ``kept``. It ends when the server that started it is gone.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pickle
import queue
import socket
import sys
import threading
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from remnant.errors import RemnantError, printable
from remnant.store import Store
from remnant.web.results.kept import Head, Kept, Key, to_json
from remnant.web.results.kinds import KINDS, sharing
from remnant.web.results.state import state_of

if TYPE_CHECKING:
    from remnant.settings import Settings
    from remnant.store import View

__all__ = ["Bench", "as_line", "keep", "main"]

_PATIENCE_S: Final = 60.0
"""A view is held so long after the last work on it: the next kind of the case uses it too."""


class _OutOfMemory(Exception):
    """The query engine may not have as much memory as a question needs."""


def keep(settings: Settings, kept: Kept, key: Key, stamp: str, *, again: bool = False) -> Head:
    """Work a result out and keep it; where it cannot be, keep the reason.

    Args:
        settings: of the home folder.
        kept: where it goes.
        key: which result.
        stamp: the state that it is made of.
        again: it can be tried once more with more room.

    Raises:
        _OutOfMemory: with ``again``, there was too little room.
    """
    begun = time.monotonic()
    value, problem = None, None
    try:
        value = KINDS[key.kind](settings, key.case, internal=key.internal, **key.choices)
    except RemnantError as error:
        problem = error.sentence()
    except Exception as error:
        # Whatever it was, the page says so.
        if again and type(error).__name__ == "OutOfMemoryException":
            raise _OutOfMemory from error
        problem = f"the program failed: {type(error).__name__}: {printable(str(error), 200)}"
    head = Head(stamp, datetime.now(tz=UTC), time.monotonic() - begun, problem, 0, "")
    return kept.put(key, head, to_json(value))


class Bench:
    """Works results out one after the other, on one view of a case for as long as it is new.

    Args:
        settings: of the home folder.
        kept: where results go.
    """

    def __init__(self, settings: Settings, kept: Kept) -> None:
        self._settings = settings
        self._kept = kept
        self._store: Store | None = None
        self._view: View | None = None
        self._stamp = ""

    def do(self, key: Key) -> Head:
        """Work out one result and keep it."""
        try:
            return self._done(key, self._settings, again=True)
        except _OutOfMemory:
            # What earlier kinds keep in the view goes, and each thread wants memory of its own.
            self.rest()
            store = replace(self._settings.store, threads=1)
            try:
                return self._done(key, replace(self._settings, store=store), again=False)
            finally:
                self.rest()

    def _done(self, key: Key, settings: Settings, *, again: bool) -> Head:
        try:
            store, view = self._opened(key.case, settings)
        except RemnantError as error:
            head = Head("", datetime.now(tz=UTC), 0.0, error.sentence(), 0, "")
            return self._kept.put(key, head, to_json(None))
        # The state is taken before the work: what changes meanwhile makes it old, never wrong.
        state = state_of(self._settings, key.case, self._stamp)
        with sharing(key.case, store, view):
            return keep(settings, self._kept, key, state, again=again)

    def rest(self) -> None:
        """Let go of the view."""
        if self._store is not None:
            self._store.close()
            self._store = self._view = None

    def _opened(self, case: str, settings: Settings) -> tuple[Store, View]:
        if self._store is not None and self._view is not None:
            if self._view.case == case and self._stamp == self._store.stamp(case):
                return self._store, self._view
            self.rest()
        store = Store.open(settings)
        self._store, self._stamp = store, store.stamp(case)
        self._view = store.view(case)
        return store, self._view


def as_line(settings: Settings) -> bytes:
    """Return settings as the first line that the process reads; a password may stand in them."""
    return base64.b64encode(pickle.dumps(replace(settings, origins={}))) + b"\n"


def main() -> None:
    """Work until the other end of a socket is closed; arguments: file descriptor, folder."""
    number, temporary = sys.argv[1:]
    connection = socket.socket(fileno=int(number))
    heard = connection.makefile("rb")
    settings: Settings = pickle.loads(base64.b64decode(heard.readline()))  # noqa: S301 - our own parent's
    with contextlib.suppress(OSError):
        os.nice(5)  # pages come first
    todo: queue.Queue[dict[str, object]] = queue.Queue()
    threading.Thread(target=_hear, args=(heard, todo), daemon=True).start()
    kept = Kept(settings.home, Path(temporary) if temporary else None)
    bench = Bench(settings, kept)
    while True:
        try:
            asked = todo.get(timeout=_PATIENCE_S)
        except queue.Empty:
            bench.rest()
            asked = todo.get()
        try:
            head = bench.do(Key(**asked))  # type: ignore[arg-type]  # as the server wrote it
            said = asdict(head) | {"made": head.made.isoformat()}
        except OSError as error:
            said = {"failed": error.strerror or str(error)}
        connection.sendall(json.dumps(said).encode() + b"\n")


def _hear(heard: BinaryIO, todo: queue.Queue[dict[str, object]]) -> None:
    """Take down what is to be done; end the process when nobody is there any more."""
    with contextlib.suppress(OSError):
        for line in heard:
            todo.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main()
