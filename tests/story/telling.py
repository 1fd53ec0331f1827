"""A home folder with commands to run in it, and dnstap files to cut and join."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import zstandard

from dnstap_writer import START, STOP
from remnant.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

CASE = "demo-beebone"
DAYS = ("2015-04-07", "2015-04-08", "2015-04-09")
"""The days of the small case: one before the takedown, its day, one after."""
AFTER = "2015-04-10"


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


class Place:
    """A home folder and a site key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "REMNANT_HOME": str(self.home),
            "REMNANT_STORE__THREADS": "1",
            "REMNANT_SITE_KEY": str(self.folder / "key" / "site.key"),
        }

    def run(self, *arguments: object, stdin: bytes = b"") -> Outcome:
        """Run one command in this process."""
        out, err = io.StringIO(), io.StringIO()
        before = {key: os.environ.get(key) for key in self.environment}
        given, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin))
        # What a command makes of this is not what the tests are to make of it.
        on_terminate = signal.getsignal(signal.SIGTERM)
        os.environ |= self.environment
        code = 0
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        finally:
            sys.stdin = given
            signal.signal(signal.SIGTERM, on_terminate)
            for key, value in before.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value
        return Outcome(code, out.getvalue(), err.getvalue())

    def do(self, *arguments: object, stdin: bytes = b"") -> Outcome:
        """Run a command that has to succeed."""
        outcome = self.run(*arguments, stdin=stdin)
        assert outcome.code == 0, outcome.said
        return outcome

    def ask(self, *arguments: object) -> Any:
        """Run a reading verb and return its JSON."""
        return strict_json(self.do(*arguments, "--format", "json").out)

    def ingest(self, *arguments: object, stdin: bytes = b"") -> list[dict[str, Any]]:
        """Ingest and return what became of each source."""
        text = self.do("ingest", CASE, *arguments, "--format", "json", stdin=stdin).out
        sources: list[dict[str, Any]] = strict_json(text)["sources"]
        return sources

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command in a process of its own."""
        given: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        return subprocess.Popen(
            [sys.executable, "-m", "remnant", *map(str, arguments)],
            env=os.environ | self.environment,
            # A job in the background has SIGINT ignored, and its children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
            **given,
        )

    def answers(self) -> dict[str, Any]:
        """Return what the store says about a case, whichever way it came in."""
        one_day = ("--since", DAYS[1], "--until", DAYS[2])
        return {
            "day": self.ask("traffic", CASE, "--by", "day"),
            "hour": self.ask("traffic", CASE, "--by", "hour"),
        } | {
            by: self.ask("traffic", CASE, "--by", by, *one_day)
            for by in ("name", "network", "sensor")
        }


def strict_json(text: str) -> Any:
    """Return what JSON says; NaN and Infinity are none."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    return json.loads(text, parse_constant=refuse)


@dataclass(frozen=True)
class Made:
    """What a simulation wrote."""

    folder: Path

    @property
    def case(self) -> Path:
        return self.folder / "case.toml"

    def files(self, *resolvers: str, days: Sequence[str] = DAYS) -> list[Path]:
        """Return the traffic files of some days."""
        found = sorted((self.folder / "traffic").rglob("*.dnstap.zst"))
        return [
            path
            for path in found
            if path.name[:10] in days and (not resolvers or path.parent.name in resolvers)
        ]

    def truth(self, table: str, **where: object) -> list[dict[str, Any]]:
        """Return the rows of a table of the truth; the tests alone may look."""
        rows: list[dict[str, Any]] = pq.read_table(
            self.folder / "truth" / f"{table}.parquet"
        ).to_pylist()
        return [row for row in rows if all(str(row[key]) == value for key, value in where.items())]


def plain(path: Path) -> bytes:
    """Return the decompressed bytes of a traffic file."""
    with zstandard.ZstdDecompressor().stream_reader(path.read_bytes()) as stream:
        return stream.read()


def frames(stream: bytes) -> Iterator[bytes]:
    """Yield the data frames, each with its length in front."""
    at = 0
    while at < len(stream):
        length = int.from_bytes(stream[at : at + 4], "big")
        if not length:
            at += 8 + int.from_bytes(stream[at + 4 : at + 8], "big")
        else:
            yield stream[at : at + 4 + length]
            at += 4 + length


def joined(parts: Sequence[bytes]) -> bytes:
    """Return one file with all frames of some files."""
    return START + b"".join(frame for part in parts for frame in frames(part)) + STOP
