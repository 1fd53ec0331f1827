"""A page never waits for a result: it is worked out beside, kept, and made again when old."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from remnant.web.results import kinds as kinds_module
from remnant.web.results.kept import Kept, Key
from remnant.web.results.process import Worker, WorkFailed
from remnant.web.results.results import Results
from remnant.web.snapshots import Snapshots
from web.browsing import until
from web.changing import CASE, TEXT, commit, settled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remnant.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = settled(tmp_path)
    commit(found)
    return found


@pytest.fixture
def results(settings: Settings) -> Iterator[Results]:
    snapshots = Snapshots(settings)
    made = Results(settings, snapshots)
    made.start()
    yield made
    made.close()
    snapshots.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_result_is_worked_out_beside_kept_and_made_again(
    settings: Settings, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remnant.web.results.results._SHORTEST_S", 0.1)
    monkeypatch.setattr("remnant.web.results.results._PAUSE", 0.1)
    heard: list[int] = []
    results.on_made = lambda: heard.append(results.epoch(CASE))
    first = results.get(CASE, "verdict", internal=True)
    assert (first.value, first.is_current, first.is_working) == (None, False, True)
    made = results.wait(CASE, "verdict", internal=True)
    assert made.is_current
    assert not made.is_working
    assert made.problem is None
    assert made.value["state"] == "cannot_tell"
    # Whoever waits may see the result before those who are told of it.
    until(lambda: heard)
    assert heard == [1]
    # A server that starts again shows it at once.
    other = Results(settings, results._snapshots)
    assert other.get(CASE, "verdict", internal=True).value == made.value
    # Something new: the older value stands until the next one is there.
    commit(settings, 1)
    old = results.get(CASE, "verdict", internal=True)
    assert (old.value, old.is_current, old.is_working) == (made.value, False, True)
    assert old.made == made.made
    fresh = results.wait(CASE, "verdict", internal=True)
    assert fresh.is_current
    assert fresh.made is not None
    assert made.made is not None
    assert fresh.made > made.made


def test_a_process_that_has_died_is_started_again(settings: Settings, results: Results) -> None:
    assert results.wait(CASE, "verdict", internal=True).is_current
    worker = results._worker
    pid = worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    process = worker._process
    assert process is not None
    until(lambda: process.poll() is not None)
    results._due.clear()
    commit(settings, 1)
    assert results.wait(CASE, "verdict", internal=True).is_current
    assert worker.pid not in {None, pid}


def test_the_process_ends_with_the_server(settings: Settings) -> None:
    snapshots = Snapshots(settings)
    results = Results(settings, snapshots)
    results.start()
    results.get(CASE, "verdict", internal=True)
    until(lambda: results._worker.pid is not None)
    pid = results._worker.pid
    assert pid is not None
    results.close()
    snapshots.close()
    assert not alive(pid)


def test_the_process_ends_when_the_server_is_killed(settings: Settings) -> None:
    import subprocess
    import sys

    script = (
        "import pickle, sys\n"
        "from remnant.web.results.process import Worker\n"
        "from remnant.web.results.kept import Kept, Key\n"
        f"settings = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
        "worker = Worker(settings, Kept(settings.home))\n"
        f"worker.do(Key({CASE!r}, 'verdict', True))\n"
        "print(worker.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    import pickle
    from dataclasses import replace

    told = pickle.dumps(replace(settings, origins={})).hex()
    with subprocess.Popen(
        [sys.executable, "-c", script, told],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        assert alive(pid)
        server.kill()
    until(lambda: not alive(pid))


def test_what_takes_too_long_or_too_much_is_given_up(settings: Settings) -> None:
    key = Key(CASE, "verdict", internal=True)
    for limits, words in (({"seconds": 0.0}, "was given up"), ({"memory": 1}, "MiB of memory")):
        worker = Worker(settings, Kept(settings.home), **limits)
        with pytest.raises(WorkFailed, match=words):
            worker.do(key)
        assert worker.pid is None


def test_a_result_that_cannot_be_worked_out_says_why(tmp_path: Path) -> None:
    settings = settled(tmp_path)
    snapshots = Snapshots(settings)
    results = Results(settings, snapshots)
    found = results.get(CASE, "verdict", internal=True)
    assert found.is_current
    assert found.value is None
    assert found.problem
    snapshots.close()


def test_a_failing_program_is_a_sentence_and_not_the_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(settings: Settings, case: str, *, internal: bool) -> Any:
        raise ZeroDivisionError("\x1b[2J")

    monkeypatch.setitem(kinds_module.KINDS, "broken", broken)
    snapshots = Snapshots(settings)
    results = Results(settings, snapshots)
    found = results.get(CASE, "broken", internal=True)
    assert found.problem is not None
    assert "ZeroDivisionError" in found.problem
    assert "\x1b" not in found.problem
    with pytest.raises(KeyError):
        results.get(CASE, "no such kind", internal=True)
    snapshots.close()


def test_what_follows_from_data_case_settings_and_program_makes_a_result_old(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    snapshots = Snapshots(settings)
    results = Results(settings, snapshots)
    states = [results.state(CASE)]
    commit(settings, 1)
    states.append(results.state(CASE))
    path = results._settings.home / "cases" / CASE / "case.toml"
    path.write_text(TEXT.format(name=CASE) + "# edited\n", encoding="utf-8")
    states.append(results.state(CASE))
    judge = replace(settings.judge, minimum_days=9)
    states.append(Results(replace(settings, judge=judge), snapshots).state(CASE))
    assert results.state(CASE) == states[2]
    monkeypatch.setattr("remnant.web.results.state._program", lambda: "next version")
    states.append(results.state(CASE))
    assert len(set(states)) == len(states)
    snapshots.close()


def test_one_view_serves_all_kinds_of_a_case(settings: Settings) -> None:
    from remnant.web.results.work import Bench

    seen: list[object] = []

    def looking(settings: Settings, case: str, *, internal: bool) -> Any:
        with kinds_module.opened(settings, case) as (_, view):
            seen.append(view)
        return None

    kinds_module.KINDS["looking"] = looking
    try:
        bench = Bench(settings, Kept(settings.home))
        for internal in (True, False):
            bench.do(Key(CASE, "looking", internal=internal))
        assert len(set(map(id, seen))) == 1
        commit(settings, 1)
        bench.do(Key(CASE, "looking", internal=True))
        assert len(set(map(id, seen))) == 2
        bench.rest()
    finally:
        del kinds_module.KINDS["looking"]


def test_what_needs_too_much_memory_has_a_view_for_itself_and_then_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remnant.web.results.work import Bench

    class OutOfMemoryException(Exception):
        pass

    seen: list[tuple[int, int]] = []
    enough = 2

    def large(settings: Settings, case: str, *, internal: bool) -> Any:
        with kinds_module.opened(settings, case) as (_, view):
            seen.append((id(view), settings.store.threads))
        if len(seen) < enough:
            raise OutOfMemoryException("could not allocate")
        return len(seen)

    monkeypatch.setitem(kinds_module.KINDS, "large", large)
    kept = Kept(settings.home)
    key = Key(CASE, "large", internal=True)
    bench = Bench(settings, kept)
    assert bench.do(key).problem is None
    assert [threads for _, threads in seen] == [settings.store.threads, 1]
    assert kept.value(key)[1] == 2  # type: ignore[index]
    enough = 99
    head = bench.do(key)
    assert head.problem is not None
    assert "OutOfMemory" in head.problem
    bench.rest()


def test_a_stream_of_changes_does_not_keep_the_process_busy(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remnant.web.results.results._SHORTEST_S", 0.5)
    snapshots = Snapshots(settings)
    results = Results(settings, snapshots)
    done: list[float] = []

    class Quick:
        pid = None

        def do(self, _key: Key) -> dict[str, Any]:
            done.append(time.monotonic())
            time.sleep(0.05)
            return {}

        def stop(self) -> None: ...
        def close(self) -> None: ...

    results._worker = Quick()  # type: ignore[assignment]
    results.start()

    def looked_at() -> bool:
        results.get(CASE, "verdict", internal=True)
        return len(done) == 3

    until(looked_at)
    results.close()
    snapshots.close()
    # At once, and then after the pause: ten times what it took, which is as long as the shortest.
    assert all(later - sooner >= 0.5 for sooner, later in pairwise(done))


def test_what_nobody_has_a_value_of_comes_first_then_what_was_looked_at_last(
    settings: Settings,
) -> None:
    snapshots = Snapshots(settings)
    results = Results(settings, snapshots)
    keys = [Key(CASE, kind, internal=True) for kind in ("a", "b", "c")]
    for key in keys:
        results._want(key)
        time.sleep(0.002)
    assert results._next() == keys[2]
    results._want(keys[0])
    assert results._next() == keys[0]
    results._due[keys[0]] = time.monotonic() - 1
    assert results._next() == keys[2]
    for number in range(200):
        results._want(Key(CASE, f"kind-{number}", internal=True))
    assert len(results._wanted) == 64
    snapshots.close()


def test_an_edit_by_a_person_is_not_kept_waiting(settings: Settings) -> None:
    snapshots = Snapshots(settings)
    results = Results(settings, snapshots)
    key = Key(CASE, "verdict", internal=True)
    results._want(key)
    results._finished(key, 60.0)
    results._want(key)
    assert results._next() is None
    path = settings.home / "cases" / CASE / "case.toml"
    path.write_text(TEXT.format(name=CASE) + "# edited\n", encoding="utf-8")
    results._want(key)
    assert results._next() == key
    snapshots.close()
