"""A sinkhole in a process of its own, as an operator has it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from story.telling import Place

START_S = 240.0

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


def free_port() -> int:
    """Return a port that is free for TCP and UDP."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return port


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

    def wait_for(self, event: str, seconds: float = 60.0) -> dict[str, Any]:
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
        code = self.process.wait(90)
        self._reader.join(10)
        return code

    def kill(self) -> None:
        """End everything at once, as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        self._reader.join(10)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.control}{path}", timeout=5) as got:
            text: str = got.read().decode()
            return text

    def run(self, *command: object, stdin: bytes = b"") -> str:
        """Run a program that asks it."""
        program = shutil.which(str(command[0]))
        if program is None:
            pytest.skip(f"{command[0]} is not installed")
        done = subprocess.run(
            [program, *map(str, command[1:])],
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")

    def dig(self, *words: object) -> str:
        return self.run("dig", "@127.0.0.1", "-p", self.port, "+tries=1", "+time=5", *words)


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
