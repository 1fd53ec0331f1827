"""Views are shared until the store changes, and nothing stays open that nobody needs."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remnant.estimate.traffic import by_time
from remnant.store import Store
from remnant.web.snapshots import MOST_CASES, READERS, Snapshots
from web.changing import CASE, commit, settled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = settled(tmp_path)
    commit(found)
    return found


@pytest.fixture
def snapshots(settings: Settings) -> Iterator[Snapshots]:
    made = Snapshots(settings)
    yield made
    made.close()


def asked(snapshots: Snapshots, case: str = CASE) -> int:
    with snapshots.view(case) as view:
        return sum(int(str(row["queries"] or 0)) for row in by_time(view, "hour"))


def test_a_view_serves_until_the_store_changes(settings: Settings, snapshots: Snapshots) -> None:
    with snapshots.view(CASE) as first:
        pass
    with snapshots.view(CASE) as second:
        pass
    assert first is second
    assert asked(snapshots) == 3
    before, stamp = snapshots.revision(), snapshots.stamp(CASE)
    commit(settings, 1, clients=5)
    assert snapshots.revision() != before
    assert snapshots.stamp(CASE) != stamp
    assert asked(snapshots) == 8
    with snapshots.view(CASE) as third:
        pass
    assert third is not first
    assert snapshots.open_views == 1


def test_what_changes_in_another_case_leaves_the_view(
    settings: Settings, snapshots: Snapshots
) -> None:
    with snapshots.view(CASE) as first:
        pass
    commit(settings, case="other")
    with snapshots.view(CASE) as second:
        pass
    assert first is second


def test_two_readers_have_a_view_each_and_the_third_waits(snapshots: Snapshots) -> None:
    held = threading.Barrier(READERS + 1)
    release = threading.Event()
    seen: list[object] = []

    def hold() -> None:
        with snapshots.view(CASE) as view:
            seen.append(view)
            held.wait(60)
            release.wait(60)

    holders = [threading.Thread(target=hold) for _ in range(READERS)]
    for thread in holders:
        thread.start()
    held.wait(60)
    assert len(set(map(id, seen))) == READERS
    third = threading.Thread(target=lambda: seen.append(asked(snapshots)))
    third.start()
    third.join(0.2)
    assert third.is_alive(), "a view answered two questions at once"
    release.set()
    third.join(60)
    assert seen[-1] == 3
    for thread in holders:
        thread.join(60)
    assert snapshots.open_views == READERS


def test_a_reader_may_finish_on_the_view_it_holds(settings: Settings, snapshots: Snapshots) -> None:
    with snapshots.view(CASE) as view:
        commit(settings, 1)
        assert asked(snapshots) == 6
        assert sum(int(str(row["queries"] or 0)) for row in by_time(view, "hour")) == 3
    assert snapshots.open_views == 1


def test_nothing_piles_up_over_many_changes(settings: Settings, snapshots: Snapshots) -> None:
    asked(snapshots)
    files = len(list(Path("/proc/self/fd").iterdir()))
    for hour in range(1, 13):
        commit(settings, hour)
        assert asked(snapshots) == 3 * (hour + 1)
        assert snapshots.open_views == 1
    assert len(list(Path("/proc/self/fd").iterdir())) <= files + 2


def test_a_view_that_failed_is_not_used_again(snapshots: Snapshots) -> None:
    with pytest.raises(ZeroDivisionError), snapshots.view(CASE) as first:
        _ = 1 / 0
    assert snapshots.open_views == 0
    with snapshots.view(CASE) as second:
        assert second is not first


def test_views_of_many_cases_are_bounded(settings: Settings, snapshots: Snapshots) -> None:
    for number in range(MOST_CASES + 3):
        asked_nothing = f"case-{number}"
        with snapshots.view(asked_nothing) as view:
            assert not view.sources
    assert snapshots.open_views == MOST_CASES


def test_a_deleted_case_is_empty_and_an_absent_store_too(
    settings: Settings, snapshots: Snapshots
) -> None:
    assert asked(snapshots) == 3
    with Store.open(settings, write=True) as store:
        store.delete_case(CASE)
    with snapshots.view(CASE) as view:
        assert not view.sources
    assert snapshots.extent(CASE).last is None


def test_a_store_that_comes_later_is_seen(tmp_path: Path) -> None:
    settings = settled(tmp_path)
    snapshots = Snapshots(settings)
    try:
        assert snapshots.revision() == ""
        with snapshots.view(CASE) as view:
            assert not view.sources
        commit(settings)
        assert snapshots.revision() != ""
        assert asked(snapshots) == 3
    finally:
        snapshots.close()


def test_a_store_that_was_restored_from_a_copy_is_seen(
    settings: Settings, snapshots: Snapshots, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.sqlite"
    shutil.copy(settings.home / "state.sqlite", copy)
    commit(settings, 1)
    assert asked(snapshots) == 6
    copy.replace(settings.home / "state.sqlite")
    assert asked(snapshots) == 3


def test_an_idle_view_is_closed(snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(snapshots)
    snapshots.tidy()
    assert snapshots.open_views == 1
    monkeypatch.setattr("remnant.web.snapshots._IDLE_S", -1.0)
    snapshots.tidy()
    assert snapshots.open_views == 0
    assert asked(snapshots) == 3


def test_the_stamp_changes_with_dated_facts(settings: Settings, snapshots: Snapshots) -> None:
    from datetime import UTC, datetime

    from remnant.store.observations import Observation, Observations

    before = snapshots.stamp(CASE)
    with Store.open(settings, write=True) as store:
        fact = Observation("", "domain", "evil.example", datetime(2015, 4, 1, tzinfo=UTC), "{}")
        Observations(store.ledger).put([fact])
    after = snapshots.stamp(CASE)
    assert after != before
