"""The folders of the segments: which are being written, and are not sealed yet."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from remnant.sinkhole.follow import Followed, is_unlocked
from remnant.sinkhole.segment import NAME, SEALED, SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Folders"]

_DRAFT: Final = ".new"
_FRESH_S: Final = 60.0
_TICK_NS: Final = 2_000_000_000
"""The coarsest clock of a file system in use (FAT's two seconds)."""


class Folders:
    """Knows the segments below ``home/sinkhole`` that are not sealed.

    Args:
        root: the folder; it need not be there.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._changed: dict[Path, int] = {}
        self._followed: dict[Path, Followed] = {}
        self._looked: set[Path] = set()

    def followed(self) -> list[Followed]:
        """Return the segments, those that had their turn last at the end."""
        return list(self._followed.values())

    def look(self) -> None:
        """Look for new segments, in folders that have changed.

        Raises:
            OSError: a folder cannot be read.
        """
        try:
            cases = [entry for entry in os.scandir(self._root) if entry.is_dir()]
        except FileNotFoundError:
            return
        for entry in sorted(cases, key=lambda entry: entry.name):
            folder = self._root / entry.name
            changed = entry.stat().st_mtime_ns
            if self._changed.get(folder) != changed:
                # What is made in the same tick of the file system's clock leaves the same time: a
                # folder that has just changed is looked into once more.
                just_now = time.time_ns() - changed < _TICK_NS
                self._changed[folder] = 0 if just_now else changed
                self._look_into(folder)

    def rotate(self, served: Iterable[Followed]) -> None:
        """Put those that had their turn behind the others."""
        for followed in served:
            if followed.path in self._followed:
                self._followed[followed.path] = self._followed.pop(followed.path)

    def drop(self, followed: Followed) -> None:
        """Forget a segment."""
        self._followed.pop(followed.path, None)

    def is_gone(self, followed: Followed) -> bool:
        """Return whether a segment was dropped."""
        return followed.path not in self._followed

    def _look_into(self, folder: Path) -> None:
        names = sorted(entry.name for entry in os.scandir(folder))
        if folder not in self._looked:
            self._looked.add(folder)
            _clear(folder, names)
        there = set(names)
        for name in names:
            path = folder / name
            if not name.endswith(SUFFIX) or not NAME.fullmatch(name) or path in self._followed:
                continue
            if f"{name.removesuffix(SUFFIX)}{SEALED}" in there:
                # Sealed by a keeper that ended before it could take the segment away.
                path.unlink()
                continue
            found = Followed.of(path, folder.name)
            if found is not None:
                self._followed[path] = found


def _clear(folder: Path, names: Iterable[str]) -> None:
    """Remove drafts of processes that were killed: those that nobody holds a lock of."""
    for name in names:
        path = folder / name
        if not name.startswith(".") or not name.endswith(_DRAFT) or not is_unlocked(path):
            continue
        # A recorder may have made it just now, and be about to lock it.
        if name.endswith(f"{SEALED}{_DRAFT}") or time.time() - path.stat().st_mtime > _FRESH_S:
            path.unlink(missing_ok=True)
