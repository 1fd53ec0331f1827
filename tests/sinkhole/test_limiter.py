"""The rate limit holds for each network, and for none but those that ask too much."""

from __future__ import annotations

import ipaddress
import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from remnant.sinkhole.limiter import Limiter, admits, new_limiter
from sinkhole.made_zones import QUICK

SECOND = 1_000_000
NOW = 1_795_737_034 * SECOND


def address(text: str) -> np.ndarray:
    found = ipaddress.ip_address(text)
    packed = found.packed if found.version == 6 else bytes(10) + b"\xff\xff" + found.packed
    return np.frombuffer(packed, np.uint8).copy()


def admitted(limiter: Limiter, text: str, times: list[int]) -> int:
    source = address(text)
    return sum(bool(admits(limiter, source, time)) for time in times)


STEPS = st.lists(st.integers(0, 3 * SECOND) | st.integers(0, 2000), min_size=1, max_size=300)


@QUICK
@given(st.integers(1, 1_000_000), STEPS)
def test_never_more_than_the_limit_and_one_second_at_once(limit: int, steps: list[int]) -> None:
    times = (NOW + np.cumsum(steps)).tolist()
    seconds = (times[-1] - times[0]) / SECOND

    assert admitted(new_limiter(limit), "192.0.2.1", times) <= limit * seconds + limit + 1


def test_a_network_that_asks_all_the_time_gets_the_limit() -> None:
    for limit in (1, 3, 200, 7000):
        times = list(range(NOW, NOW + 20 * SECOND, 137))
        got = admitted(new_limiter(limit), "192.0.2.1", times)

        assert 20 * limit * 0.99 <= got <= 21 * limit + 1


@QUICK
@given(st.integers(1, 1000), st.lists(st.integers(-1500, 2500), min_size=1, max_size=500))
def test_times_out_of_order_never_give_more(limit: int, jitter_ms: list[int]) -> None:
    # Back and forth within a second: the clock's steps, not somebody who sets it.
    times = [NOW + min(abs(step), 900) * 1000 for step in jitter_ms]

    assert admitted(new_limiter(limit), "192.0.2.1", times) <= limit * 0.9 + limit + 1


@QUICK
@given(st.integers(1, 1000), st.integers(0, 10 * 365 * 86_400))
def test_a_clock_that_is_set_back_silences_nobody_for_long(limit: int, back_s: int) -> None:
    """Who asks again after a second and the time that one answer costs is answered."""
    limiter = new_limiter(limit)
    cost = -(-SECOND // limit)
    admitted(limiter, "192.0.2.1", [NOW] * (limit + 5))
    first = NOW - back_s * SECOND
    admitted(limiter, "192.0.2.1", [first])
    later = [first + SECOND + cost + i * cost for i in range(20)]

    assert admitted(limiter, "192.0.2.1", later) == 20


@QUICK
@given(st.integers(1, 1000), st.lists(st.integers(2, 86_400), min_size=1, max_size=5))
def test_each_time_the_clock_is_set_back_costs_one_second_of_answers_at_most(
    limit: int, jumps_s: list[int]
) -> None:
    limiter = new_limiter(limit)
    now, got = NOW, 0
    for jump in [0, *jumps_s]:
        now -= jump * SECOND
        got += admitted(limiter, "192.0.2.1", [now] * (2 * limit + 10))

    assert got <= (1 + len(jumps_s)) * (limit + 1)


def test_no_limit_is_no_limit() -> None:
    assert admitted(new_limiter(None), "192.0.2.1", [NOW] * 5000) == 5000


def test_a_slash_24_and_a_slash_56_are_one_network() -> None:
    for one, same, other in (
        ("192.0.2.1", "192.0.2.255", "192.0.3.1"),
        ("2001:db8:0:ff00::1", "2001:db8:0:ffff:ffff::", "2001:db8:0:fe00::1"),
        # An IPv4 network is not the IPv6 network with the same bits.
        ("0.32.1.1", "0.32.1.2", "20:100::1"),
    ):
        limiter = new_limiter(5)

        assert admitted(limiter, one, [NOW] * 20) == 6
        assert admitted(limiter, same, [NOW] * 20) == 0
        assert admitted(limiter, other, [NOW] * 20) == 6


@QUICK
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_two_ipv4_addresses_share_a_limit_if_their_first_24_bits_are_the_same(
    first: int, second: int
) -> None:
    limiter = new_limiter(1)
    one, two = (str(ipaddress.IPv4Address(number)) for number in (first, second))
    admitted(limiter, one, [NOW] * 3)

    assert (admitted(limiter, two, [NOW] * 3) == 0) == (first >> 8 == second >> 8)


def test_networks_that_are_idle_are_let_in_while_another_one_floods() -> None:
    limiter = new_limiter(10)
    admitted(limiter, "192.0.2.1", [NOW] * 10_000)

    # One in 32,768 shares a set of slots with it, and finds an idle one there.
    assert all(admitted(limiter, f"10.{i >> 8}.{i & 255}.1", [NOW]) for i in range(20_000))


def test_random_networks_neither_starve_a_steady_one_nor_wash_its_limit_away() -> None:
    limiter = new_limiter(200)
    rng = random.Random(4)
    steady, flooder, source = address("198.51.100.7"), address("203.0.113.1"), address("10.0.0.1")
    calm = busy = 0
    # 100,000 random networks a second for four seconds, more than there are slots for.
    for i in range(400_000):
        now = NOW + 10 * i
        source[12:15] = np.frombuffer(rng.randbytes(3), np.uint8)
        admits(limiter, source, now)
        if i % 1000 == 0:
            calm += bool(admits(limiter, steady, now))
        busy += bool(admits(limiter, flooder, now))

    assert calm == 400
    assert busy <= 4 * 200 + 201
