"""Mutated DNS messages: no kernel leaves its arrays, and dnspython reads the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz import running

if TYPE_CHECKING:
    from pathlib import Path

_PER_ROUND = 50
"""In the long campaign 200,000 rounds make ten million messages."""


def test_mutated_messages_are_read_as_dnspython_reads_them(tmp_path: Path) -> None:
    count = running.rounds(30) * _PER_ROUND
    print(running.run("messages.py", count, tmp_path))  # noqa: T201 - shown with -s
