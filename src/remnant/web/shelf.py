"""The stored cases as a server reads them: a file is read again only when it has changed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from remnant.cases.library import Library
from remnant.web.results.state import edited

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.cases.model import Case

__all__ = ["Shelf"]

_MOST: Final = 200


class Shelf(Library):
    """A library that remembers the cases it has read. Safe to use from many threads."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._home = home
        self._lock = threading.Lock()
        self._read: dict[str, tuple[str, Case]] = {}

    def get(self, name: str) -> Case:
        """Return a case by name; see ``Library.get``."""
        mark = edited(self._home, name)
        with self._lock:
            known = self._read.get(name)
        if known is not None and known[0] == mark:
            return known[1]
        case = super().get(name)
        with self._lock:
            if len(self._read) >= _MOST:
                self._read.clear()
            self._read[name] = mark, case
        return case
