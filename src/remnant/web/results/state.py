"""What a result depends on, as one short text: it is current for as long as that stays the same."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import remnant
from remnant.cases.library import Library

if TYPE_CHECKING:
    from remnant.settings import Settings

__all__ = ["edited", "state_of"]


def state_of(settings: Settings, case: str, stored: str) -> str:
    """Return a text that changes with the data, the case file, the settings and the program.

    Args:
        settings: of the home folder.
        case: name of the case.
        stored: the store's stamp of the case.
    """
    told = (stored, edited(settings.home, case), _chosen(settings), _program())
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def edited(home: Path, case: str) -> str:
    """Return a text that changes when the case's file, or its table of prefixes, does."""
    path = Library(home).path(case)
    return repr([_mark(path), _mark(path.with_name("prefixes.tsv"))])


def _mark(path: Path) -> tuple[int, int, int] | None:
    # A case file is renamed into its place, so each version is another file.
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _chosen(settings: Settings) -> str:
    """Return the settings that change a number or a word."""
    names = ("reference", "estimate", "infrastructure", "judge", "report", "resolve")
    return repr([getattr(settings, name) for name in names])


@cache
def _program() -> str:
    """Return the version, and what tells one state of the source from another."""
    state = hashlib.blake2b(digest_size=8)
    for folder, _, files in sorted(os.walk(Path(__file__).parents[2])):
        for name in sorted(files):
            if name.endswith(".py"):
                found = Path(folder, name).stat()
                state.update(f"{name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return f"{remnant.__version__} {state.hexdigest()}"
