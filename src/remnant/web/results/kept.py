"""Results on disk: one small file each, so that a server that starts again shows them at once.

    <home>/dashboard/<case>/<kind>-<digest>.json

The first line says of what state of the case the result was made, the second one is the result.
One that other code made (an older Remnant) may lack what a page shows, and counts as not there.
Only the owner can read a file (a result may hold small counts and addresses). It is written beside
its place and renamed. What cannot be read, or was cut off or changed, counts as not there.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MOST_BYTES", "MOST_FILES", "Head", "Kept", "Key", "to_json"]

MOST_BYTES: Final = 256 << 20
MOST_FILES: Final = 1000
"""Beyond either, the results that were made first are removed."""

_PACKAGE: Final = Path(__file__).parents[2]
_STALE_NS: Final = 3600 * 1_000_000_000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class Key:
    """Which result.

    Attributes:
        case: name of the case.
        kind: one of ``kinds.KINDS``.
        internal: with small counts.
        since: start of the window, ISO 8601; ``None``: the kind's default.
        until: its end, exclusive.
        vantage: point of view; ``None``: the kind's default.
    """

    case: str
    kind: str
    internal: bool
    since: str | None = None
    until: str | None = None
    vantage: str | None = None

    @property
    def choices(self) -> dict[str, str]:
        """What is not the default, as the kinds take it."""
        given = {"since": self.since, "until": self.until, "vantage": self.vantage}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def file(self) -> str:
        """The name of the result's file in the folder of its case."""
        told = json.dumps([self.kind, self.internal, self.since, self.until, self.vantage])
        return f"{self.kind}-{hashlib.sha256(told.encode()).hexdigest()[:16]}.json"


@dataclass(frozen=True, slots=True)
class Head:
    """What is known about a result without reading it.

    Attributes:
        stamp: the state of the case that it was made of.
        made: when (UTC).
        seconds: what it cost.
        problem: why there is no value.
        size: bytes of the value.
        digest: of the value.
    """

    stamp: str
    made: datetime
    seconds: float
    problem: str | None
    size: int
    digest: str


class Kept:
    """The files of results.

    Args:
        home: the data folder. Where it cannot be written, a temporary folder serves.
        temporary: that folder, where another process has made it.
    """

    def __init__(self, home: Path, temporary: Path | None = None) -> None:
        self._root = home / "dashboard"
        self._temporary = temporary
        self._mine = False

    @property
    def root(self) -> Path:
        """Where the files lie."""
        return self._temporary or self._root

    def settle(self) -> Path | None:
        """Find out whether the home can be written; return the temporary folder if it cannot."""
        if self._temporary is None:
            try:
                self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
                with tempfile.TemporaryFile(dir=self._root):
                    pass
            except OSError:
                self._temporary = Path(tempfile.mkdtemp(prefix="remnant-dashboard-"))
                self._mine = True
        return self._temporary

    def put(self, key: Key, head: Head, value: bytes) -> Head:
        """Keep a result, in place of the one before.

        Args:
            key: which one.
            head: about it; size and digest are filled in.
            value: its JSON.

        Raises:
            OSError: there is no place for it.
        """
        digest = hashlib.blake2b(value, digest_size=16).hexdigest()
        told = {
            "version": _version(),
            "stamp": head.stamp,
            "made": head.made.isoformat(),
            "seconds": round(head.seconds, 3),
            "problem": head.problem,
            "size": len(value),
            "digest": digest,
        }
        data = json.dumps(told).encode() + b"\n" + value
        self._write(key, data)
        return Head(head.stamp, head.made, head.seconds, head.problem, len(value), digest)

    def head(self, key: Key) -> Head | None:
        """Return what is known about a result; ``None`` if it is not there or damaged."""
        found = self._read(key)
        return None if found is None else found[0]

    def value(self, key: Key) -> tuple[Head, Any] | None:
        """Return a result; ``None`` if it is not there or damaged."""
        found = self._read(key)
        if found is None:
            return None
        try:
            return found[0], json.loads(found[1])
        except (ValueError, RecursionError):
            return None

    def sweep(self) -> None:
        """Remove the oldest results where there are too many, and what a stopped writer left."""
        room, number = MOST_BYTES, 0
        before = time.time_ns() - _STALE_NS
        for changed, size, path in sorted(self._files(), reverse=True):
            if path.suffix == ".part":
                if changed < before:
                    path.unlink(missing_ok=True)
                continue
            room -= size
            number += 1
            if number > MOST_FILES or room < 0:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the temporary folder, if there is one."""
        if self._temporary is not None and self._mine:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        for path in self.root.glob("*/*"):
            with contextlib.suppress(OSError):
                found = path.stat()
                yield found.st_mtime_ns, found.st_size, path

    def _write(self, key: Key, data: bytes) -> None:
        if not _NAME.fullmatch(key.case):
            raise FileNotFoundError(2, "this is no name of a case", key.case)
        folder = self.root / key.case
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        beside = folder / f".{secrets.token_hex(8)}.part"
        try:
            file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(file, "wb") as out:
                out.write(data)
            beside.replace(folder / key.file)
        finally:
            beside.unlink(missing_ok=True)

    def _read(self, key: Key) -> tuple[Head, bytes] | None:
        if not _NAME.fullmatch(key.case):
            return None
        try:
            data = (self.root / key.case / key.file).read_bytes()
        except OSError:
            return None
        line, _, value = data.partition(b"\n")
        try:
            told = json.loads(line)
            head = Head(
                stamp=str(told["stamp"]),
                made=datetime.fromisoformat(told["made"]),
                seconds=float(told["seconds"]),
                problem=None if told["problem"] is None else str(told["problem"]),
                size=int(told["size"]),
                digest=str(told["digest"]),
            )
            sound = told["version"] == _version() and head.made.tzinfo is not None
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        digest = hashlib.blake2b(value, digest_size=16).hexdigest()
        return (head, value) if sound and digest == head.digest else None


@functools.cache
def _version() -> str:
    """Return what tells the code that makes results from any other: a digest of its files."""
    state = hashlib.blake2b(digest_size=8)
    for path in sorted(_PACKAGE.rglob("*.py")):
        found = path.stat()
        name = path.relative_to(_PACKAGE).as_posix()
        state.update(f"{name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return state.hexdigest()


def to_json(value: Any) -> bytes:
    """Return plain data as JSON: times as ISO 8601, numbers that are none as null."""
    try:
        text = json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), default=_plain, ensure_ascii=False, allow_nan=False)
    # Half of a surrogate pair can stand in a Python text, not in UTF-8.
    return text.encode("utf-8", "backslashreplace")


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if hasattr(value, "tolist"):
        return _finite(value.tolist())
    raise TypeError(f"{type(value).__name__} cannot stand in a result")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value
