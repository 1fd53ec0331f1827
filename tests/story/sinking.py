"""A sinkhole in a process of its own, as an operator has it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from story.telling import Place

START_S = 300.0
PATIENCE = 120.0
"""Seconds after which something hangs, on a machine that does many other things."""

CASE = """
[case]
name = "mine"
takedown = 2020-01-01
[[watch]]
names = [{names}]
state = "seized"
[sinkhole]
addresses = ["192.0.2.77"]
http = "notice"
operator = "CERT <Example>"
help_url = "https://www.example.org/help"
"""


class Sink:
    """A running sinkhole, and what it said."""

    def __init__(self, place: Place, *arguments: object, **options: Any) -> None:
        self.place = place
        self.port, self.control = free_port(), free_port()
        self.said: list[dict[str, Any]] = []
        self.process = place.start(
            "sink", *arguments, "--listen", f"127.0.0.1:{self.port}",
            "--metrics", f"127.0.0.1:{self.control}", start_new_session=True,
            stdout=subprocess.DEVNULL, **options,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait_for("serving", START_S)

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                with contextlib.suppress(ValueError):
                    self.said.append(json.loads(line))

    def wait_for(self, event: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait until it said that something happened."""
        deadline = time.monotonic() + seconds
        while True:
            for fact in list(self.said):
                if fact["event"] == event:
                    return fact
            if self.process.poll() is not None and not self._reader.is_alive():
                raise AssertionError(f"it ended with {self.process.returncode}: {self.said}")
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(2 * PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def kill(self) -> None:
        """End everything at once, as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.control}{path}", timeout=PATIENCE
        ) as got:
            text: str = got.read().decode()
            return text

    def problems(self) -> list[str]:
        """Return what is wrong with it."""
        try:
            found: list[str] = json.loads(self.get("/health"))["problems"]
        except urllib.error.HTTPError as error:
            found = json.loads(error.read())["problems"]
        return found

    def total(self, metric: str) -> int:
        """Return what all of its processes have counted."""
        return sum(
            int(line.rpartition(" ")[2])
            for line in self.get("/metrics").splitlines()
            if line.startswith(f"remnant_sinkhole_{metric}_total{{")
        )

    def run(self, *command: object, stdin: bytes = b"") -> str:
        """Run a program that asks it."""
        program = shutil.which(str(command[0]))
        if program is None:
            pytest.skip(f"{command[0]} is not installed")
        done = subprocess.run(
            [program, *map(str, command[1:])],
            input=stdin,
            capture_output=True,
            timeout=2 * PATIENCE,
            check=False,
        )
        return done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")

    def dig(self, *words: object) -> str:
        return self.run("dig", "@127.0.0.1", "-p", self.port, "+tries=1", "+time=60", *words)


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for a condition, or fail."""
    deadline = time.monotonic() + seconds
    while True:
        begun = time.monotonic()
        if condition():
            return
        looked = time.monotonic()
        assert looked < deadline
        # Not more than half of the time: what the test waits for needs the processor as well.
        time.sleep(max(0.05, looked - begun))


def names_seen(place: Place, *options: object, case: str = "beebone") -> dict[str, int]:
    outcome = place.run("traffic", case, "--by", "name", *options, "--format", "json")
    if outcome.code:
        return {}
    return {row["name"]: row["queries"] for row in json.loads(outcome.out)}


@contextlib.contextmanager
def sinking(place: Place, *arguments: object, **options: Any) -> Iterator[Sink]:
    sink = Sink(place, *arguments, **options)
    try:
        yield sink
    finally:
        if sink.process.poll() is None:
            sink.kill()


def question(name: str, ident: int) -> bytes:
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    return struct.pack("!6H", ident, 0x100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"
