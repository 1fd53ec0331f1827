"""Killed at any moment: the store is as before or as after, and the next run completes it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collate.made_up import facts, ingest, line, settings_in, total
from remnant.store import Store

OLD = b"".join(line(i * 3600, f"192.0.2.{i % 9}") for i in range(60))
NEW = OLD + b"".join(line((60 + i) * 3600, f"192.0.2.{i % 9}") for i in range(60))

Kill = Callable[[Path, Path, str], int]


@pytest.fixture(scope="module")
def kill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kill]:
    script = Path(__file__).with_name("crash.py")
    with subprocess.Popen(
        [sys.executable, "-m", "collate.crash", str(tmp_path_factory.mktemp("warm"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=script.parent.parent,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = process.stdout
        asked = process.stdin
        assert said.readline().strip() == "ready"

        def attempt(folder: Path, source: Path, when: str) -> int:
            asked.write(f"{folder} {source} {when}\n")
            asked.flush()
            return int(said.readline())

        yield attempt
        asked.close()


def look(folder: Path) -> tuple[list[tuple[object, ...]], int]:
    store = Store.open(settings_in(folder))
    found = facts(store), total(store, "messages")
    store.close()
    return found


@pytest.fixture
def states(tmp_path: Path) -> tuple[Path, Path, list[object]]:
    """A folder with the old state, the grown source, and what the old and new states look like."""
    folder, source = tmp_path / "store", tmp_path / "source"
    source.write_bytes(NEW)
    looks: list[object] = []
    store = Store.open(settings_in(folder), write=True)
    for data in (OLD, NEW):
        ingest(store, data)
        looks.append(look(folder))
        if data is OLD:
            store.settle()
            shutil.copytree(folder, tmp_path / "old")
    store.close()
    shutil.rmtree(folder)
    shutil.move(tmp_path / "old", folder)
    return folder, source, looks


def test_killed_at_every_step(states: tuple[Path, Path, list[object]], kill: Kill) -> None:
    folder, source, (old, new) = states
    start = folder.with_name("start")
    shutil.copytree(folder, start)
    seen = []
    for step in range(1, 200, 4):
        code = kill(folder, source, str(step))
        found = look(folder)
        assert found in (old, new), step
        seen.append(found == new)
        if code == 0:
            break
        if step % 2:  # from a clean start, or on top of what earlier kills left
            shutil.rmtree(folder)
            shutil.copytree(start, folder)
    assert code == 0
    assert look(folder) == new
    assert len(seen) > 5
    assert not seen[0]


def test_killed_at_any_time(states: tuple[Path, Path, list[object]], kill: Kill) -> None:
    folder, source, (old, new) = states
    for delay in range(1000, 120_000, 9000):
        kill(folder, source, f"t{delay}")
        assert look(folder) in (old, new), delay
    store = Store.open(settings_in(folder), write=True)
    ingest(store, NEW)
    store.settle()
    listed = store.ledger.all_paths()
    present = set(store.folder.present())
    store.close()

    assert look(folder) == new
    assert present == listed
