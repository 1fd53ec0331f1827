"""Many kills of recorders and keepers, each at another moment."""

from __future__ import annotations

from fuzz.running import rounds
from sinkhole.test_kill import asking, check_kills


def test_many_kills_lose_nothing_and_double_nothing() -> None:
    # A kill takes seconds where a message takes microseconds.
    with asking() as ask:
        check_kills(ask, max(3, rounds(3) // 2000), seed=11)
