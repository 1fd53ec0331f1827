"""The server's side of the process that works results out: started, watched, ended."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from remnant.web.results.work import as_line

if TYPE_CHECKING:
    from remnant.settings import Settings
    from remnant.web.results.kept import Kept, Key

__all__ = ["MOST_SECONDS", "WorkFailed", "Worked", "Worker"]

MOST_SECONDS: Final = 1800.0
"""A result that takes longer is given up."""
_LOOK_S: Final = 0.25
_ENOUGH: Final = 1536 << 20
"""A process that holds more after its work is ended: not all memory comes back otherwise."""

Worked = dict[str, Any]


class WorkFailed(Exception):
    """A result could not be worked out, for a reason that is not the case's."""


class Worker:
    """One process at a time, started when there is work. For one thread.

    Args:
        settings: of the home folder.
        kept: where results go.
        seconds: the longest that one result may take.
        memory: bytes that the process may hold; default: 60 % of the machine's.
    """

    def __init__(
        self,
        settings: Settings,
        kept: Kept,
        *,
        seconds: float = MOST_SECONDS,
        memory: int | None = None,
    ) -> None:
        self._settings = settings
        self._kept = kept
        self._seconds = seconds
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self._memory = memory or pages * 6 // 10
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._closing = threading.Event()

    @property
    def pid(self) -> int | None:
        """The process, if there is one."""
        return None if self._process is None else self._process.pid

    def do(self, key: Key) -> Worked:
        """Have a result worked out; return its ``Head`` as plain data.

        Raises:
            WorkFailed: the process ended, or was ended because it took too long or too much.
        """
        line = self._started()
        begun = time.monotonic()
        heard = b""
        try:
            line.sendall(json.dumps(asdict(key)).encode() + b"\n")
            while not heard.endswith(b"\n"):
                with contextlib.suppress(TimeoutError):
                    part = line.recv(1 << 16)
                    if not part:
                        raise ConnectionResetError
                    heard += part
                    continue
                self._watch(begun)
        except OSError:
            code = self._ended()
            raise WorkFailed(f"the process that works it out ended by itself ({code})") from None
        said: Worked = json.loads(heard)
        if "failed" in said:
            raise WorkFailed(f"it cannot be kept: {said['failed']}")
        if self._held() > _ENOUGH:
            self.stop()
        return said

    def stop(self) -> None:
        """End the process."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End what is being done, from another thread; nothing is begun after that."""
        self._closing.set()
        process = self._process
        if process is not None:
            process.kill()

    def _started(self) -> socket.socket:
        if self._line is not None and self._process is not None and self._process.poll() is None:
            return self._line
        self.stop()
        if self._closing.is_set():
            raise WorkFailed("the server ends")
        ours, theirs = socket.socketpair()
        temporary = self._kept.settle()
        with theirs:
            # A session of its own: Ctrl-C is for the server, which ends this process itself. Where
            # the server is killed, the closed socket does it.
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [
                    sys.executable,
                    *("-P", "-W", "ignore", "-m", "remnant.web.results.work"),
                    *(str(theirs.fileno()), str(temporary or "")),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        ours.settimeout(_LOOK_S)
        ours.sendall(as_line(self._settings))
        self._line = ours
        return ours

    def _watch(self, begun: float) -> None:
        """End a process that takes too much.

        Raises:
            WorkFailed: it did.
        """
        if self._closing.is_set():
            self.stop()
            raise WorkFailed("the server ends")
        if time.monotonic() - begun > self._seconds:
            self.stop()
            raise WorkFailed(f"it took more than {self._seconds:,.0f} s and was given up")
        if self._held() > self._memory:
            self.stop()
            raise WorkFailed(
                f"it needed more than {self._memory >> 20:,} MiB of memory and was given up"
            )

    def _held(self) -> int:
        """Return the bytes of memory that the process holds; 0 where the system does not say."""
        try:
            told = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()
            return int(told[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError):
            return 0

    def _ended(self) -> str:
        code = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(2)
        self.stop()
        return f"exit code {code}" if code is None or code >= 0 else f"signal {-code}"
