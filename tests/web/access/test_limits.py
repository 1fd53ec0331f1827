from __future__ import annotations

import threading

from remnant.web.access.limits import MOST, LoginLimits, network_of


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def waits(limits: LoginLimits, clock: Clock, tries: int, name: str = "olga") -> list[float]:
    """Try as fast as is allowed; return the waits between the tries."""
    found = []
    for _ in range(tries):
        wait = limits.begin(name, "192.0.2.1")
        clock.time += wait
        found.append(wait)
        if wait:
            assert limits.begin(name, "192.0.2.1") == 0.0
    return found


def test_each_wrong_password_beyond_the_free_ones_waits_twice_as_long() -> None:
    clock = Clock()
    limits = LoginLimits(5, clock)
    assert waits(limits, clock, 5) == [0.0] * 5
    assert waits(limits, clock, 12) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


def test_a_wait_is_told_and_not_made_longer_by_asking() -> None:
    clock = Clock()
    limits = LoginLimits(1, clock)
    limits.begin("olga", "192.0.2.1")
    for _ in range(50):
        assert limits.begin("olga", "192.0.2.1") == 1.0


def test_neighbours_of_a_network_count_together_and_others_do_not() -> None:
    limits = LoginLimits(1, Clock())
    limits.begin("olga", "192.0.2.1")
    assert limits.begin("olga", "192.0.2.200") > 0
    assert limits.begin("olga", "192.0.3.1") == 0
    limits.begin("anna", "2001:db8::1")
    assert limits.begin("anna", "2001:db8:0:ff::1") > 0
    assert limits.begin("anna", "2001:db8:0:100::1") == 0


def test_one_network_cannot_try_many_names() -> None:
    limits = LoginLimits(5, Clock())
    free = sum(limits.begin(f"name{n}", "192.0.2.1") == 0 for n in range(200))
    assert free == 50


def test_many_networks_cannot_try_one_name() -> None:
    limits = LoginLimits(5, Clock())
    free = sum(limits.begin("olga", f"10.0.{n}.1") == 0 for n in range(200))
    assert free == 50
    assert limits.begin("anna", "10.0.0.1") == 0


def test_the_right_password_forgets_the_wrong_ones() -> None:
    clock = Clock()
    limits = LoginLimits(3, clock)
    for _ in range(100):
        assert limits.begin("olga", "192.0.2.1") == 0
        limits.begin("olga", "192.0.2.1")
        limits.succeeded("olga", "192.0.2.1")
        if limits.begin("other", "10.1.1.1") == 0:
            limits.succeeded("other", "10.1.1.1")
        clock.time += 3_700


def test_signing_in_oneself_does_not_clear_what_a_network_tried() -> None:
    limits = LoginLimits(2, Clock())
    free = 0
    for number in range(100):
        if limits.begin("mine", "192.0.2.1") == 0:
            limits.succeeded("mine", "192.0.2.1")
        free += limits.begin(f"victim{number}", "192.0.2.1") == 0
    assert free <= 21


def test_an_hour_without_a_try_forgets() -> None:
    clock = Clock()
    limits = LoginLimits(1, clock)
    limits.begin("olga", "192.0.2.1")
    clock.time = 3_601
    assert limits.begin("olga", "192.0.2.1") == 0


def test_memory_is_bounded() -> None:
    limits = LoginLimits(5, Clock())
    for number in range(MOST):
        limits.begin(f"name{number}", f"10.{number >> 8}.{number & 255}.1")
    assert len(limits) == MOST


def test_tries_side_by_side_all_count() -> None:
    limits = LoginLimits(5, Clock())
    free: list[bool] = []
    threads = [
        threading.Thread(target=lambda: free.append(limits.begin("olga", "192.0.2.1") == 0))
        for _ in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(free) == 5


def test_a_mapped_address_counts_as_the_one_it_carries() -> None:
    assert network_of("::ffff:192.0.2.9") == "192.0.2.0/24"
    assert len(network_of("x" * 10_000)) == 64
