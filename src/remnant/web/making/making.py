"""The queue of files to make: one at a time, each in a process of its own, beside the pages.

A process that takes too long, or whose file was deleted, is ended.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from fastapi import HTTPException

from remnant.web.making.made import Shelf
from remnant.web.results.work import as_line

if TYPE_CHECKING:
    from fastapi import FastAPI

    from remnant.settings import Settings
    from remnant.web.making.made import Made, Wish

__all__ = ["MOST_SECONDS", "MOST_WAITING", "Making"]

MOST_SECONDS: Final = 1800.0
"""A file that takes longer is given up."""

MOST_WAITING: Final = 10
"""Files that may wait for their turn."""

_LOOK_S: Final = 0.2


class Making:
    """Makes the files that people ask for. Safe to use from many threads.

    Args:
        settings: of the home folder.
        seconds: the longest that one file may take.
    """

    def __init__(self, settings: Settings, *, seconds: float = MOST_SECONDS) -> None:
        self._settings = settings
        self._seconds = seconds
        self.shelf = Shelf(settings.home)
        self._changed = threading.Condition()
        self._waiting: deque[Made] = deque()
        self._doing: Made | None = None
        self._unwanted: set[str] = set()
        self._thread: threading.Thread | None = None
        self._closing = False

    @classmethod
    def of(cls, app: FastAPI) -> Making:
        """Return that of an application; it is there from the first time it is asked for."""
        found: Making | None = getattr(app.state, "making", None)
        if found is None:
            found = app.state.making = cls(app.state.site.settings)
        return found

    def ask(self, case: str, wish: Wish, by: str) -> Made:
        """Have a file made; return what is known of it.

        Raises:
            HTTPException: 429, too many wait; 503, the home folder cannot be written.
        """
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                raise HTTPException(429, f"{MOST_WAITING} files wait already; try again later")
            try:
                made = self.shelf.begin(case, wish, by)
            except OSError as error:
                why = error.strerror or "no reason given"
                raise HTTPException(503, f"the report cannot be kept: {why}") from error
            self._waiting.append(made)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="making", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return made

    def remove(self, made: Made) -> None:
        """Delete a file; where it is still to be made, it is not."""
        with self._changed:
            self._waiting = deque(one for one in self._waiting if one.id != made.id)
            if self._doing is not None and self._doing.id == made.id:
                self._unwanted.add(made.id)
                self._changed.notify_all()
                self._changed.wait_for(lambda: made.id not in self._unwanted, timeout=5)
            self.shelf.remove(made)

    def close(self) -> None:
        """End the work."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(5)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if self._closing:
                    return
                made = self._doing = self._waiting.popleft()
            try:
                self._do(made)
            finally:
                with self._changed:
                    self._doing = None
                    self._unwanted.discard(made.id)
                    self._changed.notify_all()

    def _do(self, made: Made) -> None:
        process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-m", "remnant.web.making.work"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        begun = time.monotonic()
        problem = None
        try:
            assert process.stdin is not None
            try:
                process.stdin.write(as_line(self._settings))
                process.stdin.write(f"{made.case} {made.id}\n".encode())
                process.stdin.close()
            except OSError:
                problem = "the process that makes it ended by itself"
            while process.poll() is None:
                if self._closing or made.id in self._unwanted:
                    return
                if time.monotonic() - begun > self._seconds:
                    problem = f"it took more than {self._seconds:,.0f} s and was given up"
                    break
                time.sleep(_LOOK_S)
        finally:
            process.kill()
            code = process.wait()
        if code != 0:
            problem = problem or f"the process that makes it ended by itself ({code})"
            self.shelf.put(replace(made, state="failed", problem=problem))
