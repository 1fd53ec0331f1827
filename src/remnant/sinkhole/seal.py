"""Seals a segment that is complete: compressed beside itself, with what its evidence is."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from remnant.capture.segment_frames import END
from remnant.sinkhole.frames_of import frames_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Sealed", "compress", "publish"]

_LEVEL: Final = 1
"""Measured: level 3 takes a quarter more time and makes segments no smaller."""
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Sealed:
    """A segment that was compressed and has not got its name yet.

    Attributes:
        path: the segment.
        draft: the compressed one.
        facts: what the manifest says of it.
    """

    path: Path
    draft: Path
    facts: dict[str, Any]


def compress(path: Path, length: int) -> Sealed:
    """Compress the first ``length`` bytes of a segment, and wait until they are on disk.

    Raises:
        OSError: it cannot be read or written; no draft is left.
    """
    import zstandard  # noqa: PLC0415 - only where needed

    draft = path.with_name(f".{path.name}.zst.new")
    digest = hashlib.sha256()
    try:
        with path.open("rb") as source, _private(draft) as target:
            packer = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
            left = length
            while left:
                data = source.read(min(_CHUNK, left))
                if not data:
                    break
                digest.update(data)
                target.write(packer.compress(data))
                left -= len(data)
            target.write(packer.flush())
            target.flush()
            os.fsync(target.fileno())
            facts = {"bytes": length - left, "sha256": digest.hexdigest()} | _facts(path, length)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return Sealed(path, draft, facts)


def publish(sealed: Sealed) -> None:
    """Put the compressed segment in the place of the other one.

    Raises:
        OSError: it cannot be done; the segment is there, perhaps twice.
    """
    sealed.draft.rename(sealed.path.with_name(f"{sealed.path.name}.zst"))
    folder = os.open(sealed.path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
        sealed.path.unlink()
        os.fsync(folder)
    finally:
        os.close(folder)


def _facts(path: Path, length: int) -> dict[str, Any]:
    rows = 0
    first: int | None = None
    last: int | None = None
    clock: dict[str, Any] = {}
    with path.open("rb") as file:
        for frame, span in frames_of(file):
            if frame.end > length:
                break
            if span is not None:
                rows += span.rows
                first = span.first if first is None else min(first, span.first)
                last = span.last if last is None else max(last, span.last)
            if frame.kind == END:
                clock = dict(frame.facts.get("clock") or {})
    cut = path.stat().st_size - length
    return {"rows": rows, "first_us": first, "last_us": last, "cut_off": cut, "clock": clock}


def _private(path: Path) -> Any:  # noqa: ANN401 - an open file
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    return os.fdopen(handle, "wb")
