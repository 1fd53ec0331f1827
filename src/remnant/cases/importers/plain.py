"""Plain lists: one name or address in a line, ``#`` begins a comment."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remnant.cases.importers import Collector

__all__ = ["collect", "without_comment"]


def collect(text: str, collector: Collector) -> None:
    """Give every line of a list to the collector; blank lines and comments are skipped."""
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        collector.add(without_comment(line), f"line {number}")


def without_comment(line: str) -> str:
    """Return a line up to its comment: ``#`` at the beginning or after white space.

    >>> without_comment("evil.example  # seen in March")
    'evil.example'
    """
    position = line.find("#")
    while position > 0 and not line[position - 1].isspace():
        position = line.find("#", position + 1)
    return (line if position < 0 else line[:position]).strip()
