"""What a person names to be read: files, folders, pipes, and how they are written down."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.capture.stream import ByteStream

__all__ = ["open_source", "opens_again", "place_of", "sources_of", "written"]


def sources_of(paths: Sequence[str]) -> list[tuple[str, bool, int]]:
    """Return path, whether the person named it, and bytes (-1: unknown) of every source."""
    found: list[tuple[str, bool, int]] = []
    for text in paths:
        path = Path(text)
        if text == "-":
            found.append((text, True, -1))
        elif path.is_dir():
            for inner in sorted(path.rglob("*")):
                if inner.name.startswith("."):
                    continue
                try:
                    if inner.is_file():
                        found.append((str(inner), False, inner.stat().st_size))
                except FileNotFoundError:
                    # A log moves on while its folder is looked into.
                    continue
                except OSError:
                    # To open it will say what is wrong.
                    found.append((str(inner), False, -1))
        else:
            size = path.stat().st_size if path.is_file() else -1
            found.append((text, True, size))
    return found


def open_source(path: str) -> ByteStream:
    """Open one source.

    Raises:
        OSError: it cannot be opened.
        DamagedInput: its compression cannot be read.
    """
    from remnant.capture.stream import ByteStream

    if path == "-":
        return ByteStream(sys.stdin.buffer, "standard input")
    return ByteStream(Path(path).open("rb"), written(path))


def opens_again(path: str) -> bool:
    """Return whether a source can be opened a second time from its start: a pipe cannot."""
    if path == "-" or Path(path).absolute().is_relative_to("/dev"):
        return False
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except OSError:
        return False


def place_of(path: str) -> str | None:
    """Return where a source is found again from any folder, ``None`` for what cannot be."""
    return written(str(Path(path).absolute())) if opens_again(path) else None


def written(path: str) -> str:
    r"""Return a path as text that can be stored: bytes that are not UTF-8 stand as \xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
