"""The manifest of the segments: what was written, sealed and removed, one signed line each.

``home/sinkhole/manifest.jsonl`` only grows. Each line holds the SHA-256 of the line before it and
is signed, so that no line can be changed, taken out or put in between without being noticed. The
lines at the end can be cut off: whoever wants to rule that out writes down the number and the hash
of the last line, which ``verify`` tells, and the public key.

The lines are of these kinds: ``key`` (the first one: the public key), ``begin`` (a segment was
begun), ``sealed`` (it is complete: length and SHA-256 of its stream, rows, times) and ``removed``
(a tombstone: it was deleted, and why).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from remnant.errors import KeyMismatch, StoreError
from remnant.sinkhole.evidence_key import key_path, load_or_create, public_hex
from remnant.sinkhole.verify import Problem, Report, verify
from remnant.store.files import explained
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from remnant.settings import Settings

__all__ = ["FILE", "Entry", "Manifest", "Problem", "Report", "public_key", "verify"]

FILE: Final = "manifest.jsonl"
FIRST: Final = "0" * 64
"""What the first line holds in place of the hash of the line before it."""

_MARK: Final = ',"signature":"'


@dataclass(slots=True)
class Entry:
    """What the manifest says of one segment.

    Attributes:
        case: name of the case.
        file: name of its file when it was begun.
        sealed: the facts of the line that sealed it.
        removed: why it was deleted.
    """

    case: str
    file: str
    sealed: dict[str, Any] | None = None
    removed: str | None = None


class Manifest:
    """Appends to the manifest, and knows what it says of each segment.

    Args:
        settings: of the home folder.

    Attributes:
        segments: by their names; ``refresh`` brings what others appended.

    Raises:
        StoreError: the manifest cannot be read or written.
        KeyMismatch: the key is not the one that signed the lines so far.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = settings.home / "sinkhole" / FILE
        self._key_path = key_path(settings)
        self._key: Ed25519PrivateKey | None = None
        self._size = 0
        self._count = 0
        self._previous = FIRST
        self._public: str | None = None
        self.segments: dict[str, Entry] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read what was appended since."""
        with (
            explained(self._path),
            contextlib.suppress(FileNotFoundError),
            self._path.open("rb") as file,
        ):
            fcntl.flock(file, fcntl.LOCK_SH)
            self._read_on(file.fileno())

    def begin(self, segment: str, case: str, file: str, facts: Mapping[str, Any]) -> None:
        """Note that a segment was begun, once."""
        self._append("begin", segment, {"case": case, "file": file, **facts})

    def seal(self, segment: str, facts: Mapping[str, Any]) -> None:
        """Note that a segment is complete, once."""
        self._append("sealed", segment, facts)

    def remove(self, segment: str, reason: str) -> None:
        """Note that a segment is deleted, once: call it before its file goes."""
        self._append("removed", segment, {"reason": reason})

    def _append(self, kind: str, segment: str, facts: Mapping[str, Any]) -> None:
        with explained(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                self._read_on(file)
                os.ftruncate(file, self._size)  # what a process that was killed left of a line
                if not self._is_new(kind, segment):
                    return
                key = self._signing_key()
                lines = []
                if not self._count:
                    lines.append({"kind": "key", "public_key": public_hex(key)})
                lines.append({"kind": kind, "segment": segment, **facts})
                for line in lines:
                    self._write(file, key, line)
            finally:
                os.close(file)

    def _is_new(self, kind: str, segment: str) -> bool:
        entry = self.segments.get(segment)
        if kind == "begin":
            return entry is None
        if entry is None:
            raise StoreError("the manifest does not know this segment", got=segment)
        return (entry.sealed if kind == "sealed" else entry.removed) is None

    def _signing_key(self) -> Ed25519PrivateKey:
        if self._key is None:
            self._key = load_or_create(self._key_path, create=not self._count)
        if self._public is not None and public_hex(self._key) != self._public:
            raise KeyMismatch(
                "the manifest of segments was signed with another key",
                where=str(self._key_path),
                got=f"the key {public_hex(self._key)[:16]}",
                expected=f"the key {self._public[:16]}",
                hint="restore the right key: another one does not continue the manifest",
            )
        return self._key

    def _write(self, file: int, key: Ed25519PrivateKey, facts: Mapping[str, Any]) -> None:
        body = json.dumps(
            {
                "number": self._count,
                "previous": self._previous,
                "time": iso(datetime.now(tz=UTC)),
                **facts,
            },
            separators=(",", ":"),
        )
        signature = key.sign(body.encode()).hex()
        line = f'{body[:-1]}{_MARK}{signature}"}}\n'.encode()
        try:
            _write_all(file, line, self._size)
            os.fsync(file)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(file, self._size)
            raise
        self._take(line[:-1])

    def _read_on(self, file: int) -> None:
        if os.fstat(file).st_size < self._size:
            raise StoreError("the manifest of segments became shorter", where=str(self._path))
        for line in _lines(file, self._size):
            self._take(line)

    def _take(self, line: bytes) -> None:
        """Take a complete line in."""
        self._size += len(line) + 1
        self._count += 1
        self._previous = hashlib.sha256(line).hexdigest()
        try:
            facts = json.loads(line)
            kind, segment = facts["kind"], facts.get("segment")
            if kind == "key":
                self._public = facts["public_key"]
            elif kind == "begin":
                self.segments[segment] = Entry(facts["case"], facts["file"])
            elif kind == "sealed":
                self.segments[segment].sealed = facts
            elif kind == "removed":
                self.segments[segment].removed = facts["reason"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise StoreError(
                "a line of the manifest of segments cannot be read",
                where=f"{self._path}: line {self._count}",
                hint="remnant sink verify tells what was changed",
            ) from None


def public_key(settings: Settings) -> str | None:
    """Return the public key (64 hex digits) that belongs to the signing key, if there is one."""
    path = key_path(settings)
    with explained(path):
        return public_hex(load_or_create(path, create=False)) if path.exists() else None


def _write_all(file: int, data: bytes, start: int) -> None:
    while data:
        done = os.pwrite(file, data, start)
        data, start = data[done:], start + done


def _lines(file: int, start: int) -> Iterator[bytes]:
    """Yield the complete lines from a position on."""
    rest = b""
    while data := os.pread(file, 1 << 20, start):
        start += len(data)
        *whole, rest = (rest + data).split(b"\n")
        yield from whole
