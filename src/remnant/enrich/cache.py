"""Flattened sources, kept beside the home folder so that a large file is read once.

A cached file is named after the content of its source and the version of the reader; it is mapped
into memory, not read. What cannot be written or does not fit is simply made again.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import xxhash

from remnant.enrich.content import SEGMENTS

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["VERSION", "load", "name_of", "prune", "save"]

VERSION: Final = 1
"""Raised whenever a reader changes what it makes of the same bytes."""

_KEPT_S: Final = 30 * 86_400
_NOTES_KEY: Final = b"remnant.reference"


def name_of(data: bytes) -> str:
    """Return the name of the cached file for a source of these bytes."""
    return f"{xxhash.xxh3_128_hexdigest(data)}-{VERSION}.arrow"


def load(folder: Path, name: str) -> tuple[pa.Table, dict[str, Any]] | None:
    """Return a cached table of ``SEGMENTS`` and its notes, null where there is none to be used."""
    try:
        with pa.memory_map(str(folder / name)) as file, pa.ipc.open_file(file) as reader:
            table = reader.read_all()
        notes = json.loads((table.schema.metadata or {}).get(_NOTES_KEY, b""))
    except (OSError, pa.ArrowException, ValueError):
        return None
    if not table.schema.equals(SEGMENTS) or not isinstance(notes, dict):
        return None
    return table, notes


def save(folder: Path, name: str, table: pa.Table, notes: dict[str, Any]) -> None:
    """Keep a table of ``SEGMENTS``; where the folder cannot be written nothing is kept."""
    kept = table.replace_schema_metadata({_NOTES_KEY: json.dumps(notes).encode()})
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file, pa.ipc.new_file(file, kept.schema) as writer:
                writer.write_table(kept)
            Path(temporary).replace(folder / name)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise


def prune(folder: Path, names: Collection[str], now: float) -> None:
    """Remove cached tables that were not needed for a month; ``names`` are needed now."""
    with contextlib.suppress(OSError):
        for path in folder.glob("*.arrow"):
            if path.name in names:
                os.utime(path, (now, now))
            elif path.stat().st_mtime < now - _KEPT_S:
                path.unlink(missing_ok=True)
