"""Hostile datagrams: the fast path never leaves its arrays, and answers as the policy does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz import running

if TYPE_CHECKING:
    from pathlib import Path

_PER_ROUND = 50
"""In the long campaign 200,000 rounds make ten million datagrams."""


def test_hostile_datagrams_are_answered_as_the_policy_says(tmp_path: Path) -> None:
    count = running.rounds(20) * _PER_ROUND
    print(running.run("sinkhole.py", count, tmp_path))  # noqa: T201 - shown with -s
