"""The rate limit, and clocks that are set."""

from __future__ import annotations

import numpy as np

from remnant.sinkhole.limiter import admits, new_limiter

SOURCE = np.frombuffer(bytes(10) + b"\xff\xff\xc0\0\2\1", np.uint8).copy()
SECOND = 1_000_000
NOW = 1_700_000_000 * SECOND


def admitted(limiter: object, now: int, times: int = 100) -> int:
    return sum(bool(admits(limiter, SOURCE, now)) for _ in range(times))


def test_a_second_of_answers_may_come_at_once_and_then_so_many_a_second() -> None:
    limiter = new_limiter(10)

    assert admitted(limiter, NOW) == 11
    assert admitted(limiter, NOW) == 0
    assert admitted(limiter, NOW + SECOND // 2) == 5
    assert admitted(limiter, NOW + 60 * SECOND) == 11


def test_a_clock_that_is_set_back_does_not_hold_answers_back_until_it_is_where_it_was() -> None:
    for step in (3 * SECOND, 3600 * SECOND):
        limiter = new_limiter(10)
        assert admitted(limiter, NOW) == 11
        assert admitted(limiter, NOW - step) == 11
        assert admitted(limiter, NOW - step) == 0


def test_a_limit_of_one_is_one_and_not_none() -> None:
    limiter = new_limiter(1)

    assert admitted(limiter, NOW) == 2
    assert admitted(limiter, NOW) == 0
    assert admitted(limiter, NOW + SECOND) == 1


def test_no_limit() -> None:
    assert admitted(new_limiter(None), NOW, 1000) == 1000
