from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from remnant.web.access import limits as module
from remnant.web.access.limits import LoginLimits, network_of
from remnant.web.access.tables import LOGIN_TRY, Database
from web.guarded import bare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BEGIN = datetime(2026, 4, 8, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> datetime:
        return BEGIN + timedelta(seconds=self.time)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(bare(tmp_path))
    yield found
    found.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiting(database: Database, clock: Clock) -> Callable[[int], LoginLimits]:
    return lambda attempts: LoginLimits(database, attempts, clock)


def kept(database: Database) -> int:
    with database.reading() as connection:
        assert connection is not None
        return connection.scalar(sa.select(sa.func.count()).select_from(LOGIN_TRY)) or 0


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


def test_each_wrong_password_beyond_the_free_ones_waits_twice_as_long(
    limiting: Callable[[int], LoginLimits], clock: Clock
) -> None:
    limits = limiting(5)
    assert waits(limits, clock, 5) == [0.0] * 5
    assert waits(limits, clock, 12) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


def test_a_wait_is_told_and_not_made_longer_by_asking(
    limiting: Callable[[int], LoginLimits], clock: Clock
) -> None:
    limits = limiting(1)
    limits.begin("olga", "192.0.2.1")
    for _ in range(50):
        assert limits.begin("olga", "192.0.2.1") == 1.0


def test_neighbours_of_a_network_count_together_and_others_do_not(
    limiting: Callable[[int], LoginLimits],
) -> None:
    limits = limiting(1)
    limits.begin("olga", "192.0.2.1")
    assert limits.begin("olga", "192.0.2.200") > 0
    assert limits.begin("olga", "192.0.3.1") == 0
    limits.begin("anna", "2001:db8::1")
    assert limits.begin("anna", "2001:db8:0:ff::1") > 0
    assert limits.begin("anna", "2001:db8:0:100::1") == 0


def test_one_network_cannot_try_many_names(limiting: Callable[[int], LoginLimits]) -> None:
    limits = limiting(5)
    free = sum(limits.begin(f"name{n}", "192.0.2.1") == 0 for n in range(200))
    assert free == 50


def test_many_networks_cannot_try_one_name(limiting: Callable[[int], LoginLimits]) -> None:
    limits = limiting(5)
    free = sum(limits.begin("olga", f"10.0.{n}.1") == 0 for n in range(200))
    assert free == 50
    assert limits.begin("anna", "10.0.0.1") == 0


def test_the_right_password_forgets_the_wrong_ones(
    limiting: Callable[[int], LoginLimits], clock: Clock
) -> None:
    limits = limiting(3)
    for _ in range(40):
        assert limits.begin("olga", "192.0.2.1") == 0
        limits.begin("olga", "192.0.2.1")
        limits.succeeded("olga", "192.0.2.1")
        if limits.begin("other", "10.1.1.1") == 0:
            limits.succeeded("other", "10.1.1.1")
        clock.time += 3_700


def test_signing_in_oneself_does_not_clear_what_a_network_tried(
    limiting: Callable[[int], LoginLimits],
) -> None:
    limits = limiting(2)
    free = 0
    for number in range(100):
        if limits.begin("mine", "192.0.2.1") == 0:
            limits.succeeded("mine", "192.0.2.1")
        free += limits.begin(f"victim{number}", "192.0.2.1") == 0
    assert free <= 21


def test_an_hour_without_a_try_forgets(
    limiting: Callable[[int], LoginLimits], clock: Clock, database: Database
) -> None:
    limits = limiting(1)
    limits.begin("olga", "192.0.2.1")
    clock.time = 3_601
    assert limits.begin("olga", "192.0.2.1") == 0
    limits.begin("anna", "10.0.0.1")
    clock.time += 3_601
    limits.begin("carl", "10.9.0.1")
    assert kept(database) == 3


def test_what_is_kept_is_bounded_and_the_oldest_goes(
    limiting: Callable[[int], LoginLimits],
    database: Database,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST", 30)
    limits = limiting(1)
    for number in range(20):
        clock.time = number / 10
        assert limits.begin(f"name{number}", f"10.{number}.0.1") == 0
        assert kept(database) == min(30, 3 * (number + 1))
    assert limits.begin("name19", "10.19.0.1") > 0
    assert limits.begin("name0", "10.0.0.1") == 0


def test_a_restart_and_a_second_server_change_nothing(database: Database, clock: Clock) -> None:
    for number in range(5):
        # Each time another server.
        assert LoginLimits(database, 5, clock).begin("olga", f"192.0.2.{number}") == 0
    assert LoginLimits(database, 5, clock).begin("olga", "192.0.2.9") == 1.0


def test_what_was_typed_as_a_name_is_not_kept(
    limiting: Callable[[int], LoginLimits], tmp_path: Path
) -> None:
    limiting(5).begin("correct horse battery", "192.0.2.1")
    data = (tmp_path / "home" / "state.sqlite").read_bytes()
    assert b"login_try" in data
    assert b"horse" not in data


def test_a_clock_that_was_set_back_locks_nobody_out(
    limiting: Callable[[int], LoginLimits], clock: Clock
) -> None:
    limits = limiting(1)
    clock.time = 1e8
    limits.begin("olga", "192.0.2.1")
    clock.time = 0.0
    assert limits.begin("olga", "192.0.2.1") <= 900.0


def test_tries_side_by_side_all_count(limiting: Callable[[int], LoginLimits]) -> None:
    limits = limiting(5)
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
