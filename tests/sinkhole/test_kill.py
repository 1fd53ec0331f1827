"""Killed at any moment, recorder or keeper: nothing twice, nothing old missing, nothing broken."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remnant.schema import CLIENTS, COVERAGE, UNLISTED
from remnant.sinkhole.verify import verify
from sinkhole.recording import home, stored, total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remnant.settings import Settings

BATCH = 500
ROUNDS = 10


@contextlib.contextmanager
def asking() -> Iterator[Callable[[str], list[int]]]:
    """Yield what gives an order to the process that is killed again and again."""
    script = Path(__file__).with_name("killed.py")
    with subprocess.Popen(
        [sys.executable, "-m", "sinkhole.killed"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=script.parent.parent,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        answers, orders = process.stdout, process.stdin
        assert answers.readline().strip() == "ready"

        def order(text: str) -> list[int]:
            orders.write(text + "\n")
            orders.flush()
            return [int(word) for word in answers.readline().split()]

        yield order
        orders.close()


def open_segments(settings: Settings, turn: int) -> list[Path]:
    found = (settings.home / "sinkhole" / "demo").glob(f"*-udp-{turn}-*.rseg")
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)


def cut_as_a_power_loss(
    settings: Settings, turn: int, synced_bytes: int, chance: random.Random
) -> None:
    """Cut the last segment somewhere behind what was synced, and leave zeros there or nothing.

    Only for a round without keepers: what a keeper has committed was read from the same memory.
    """
    paths = open_segments(settings, turn)
    size = paths[-1].stat().st_size
    loose = sum(path.stat().st_size for path in paths) - synced_bytes
    # A segment that was just begun is its header alone.
    most = min(loose, size - 1000)
    if most > 0:
        cut = chance.randint(1, most)
        with paths[-1].open("r+b") as file:
            file.truncate(size - cut)
            if chance.random() < 0.5:
                file.truncate(size)


def test_kills_lose_nothing_and_double_nothing() -> None:
    with asking() as ask:
        check_kills(ask, ROUNDS, seed=5)


def check_kills(ask: Callable[[str], list[int]], rounds: int, seed: int) -> None:
    settings = home()
    chance = random.Random(seed)
    least: dict[int, int] = {}
    most: dict[int, int] = {}
    for turn in range(rounds):
        loss = turn % 3 == 2
        keepers = 0 if loss else chance.randint(1, 3)
        lasting = chance.randint(1100, 1500) if loss else chance.randint(150, 900)
        rows, synced, synced_bytes = ask(f"run {turn} {lasting} {keepers} {turn}")
        least[turn], most[turn] = rows, rows + BATCH
        if loss:
            cut_as_a_power_loss(settings, turn, synced_bytes, chance)
            least[turn] = synced
    assert ask("finish") == [0]

    found = stored(settings)
    names: Any = found["name"].to_pylist()
    doubled = [name for name, count in Counter(names).items() if count > 1]
    assert doubled == []
    per_turn: dict[int, list[tuple[int, int]]] = {}
    ports: Any = found["client_port"].to_pylist()
    for name, port in zip(names, ports, strict=True):
        word = name.partition(".")[0]
        if word.isdecimal():
            per_turn.setdefault(int(word[:6]), []).append((int(word[6:]), port))
    assert per_turn.pop(999_999)
    assert set(per_turn) == {turn for turn, rows in least.items() if rows} | set(per_turn)
    for turn, numbered in per_turn.items():
        numbers = sorted(number for number, _ in numbered)
        # Whole frames from the first one on, without a hole.
        assert numbers == list(range(len(numbers)))
        assert least[turn] <= len(numbers) <= most[turn]
        assert all(port == number % 60_000 for number, port in numbered)
    assert sum(least.values()) > 20 * BATCH

    # What is counted from them agrees with them.
    rows = len(names)
    assert total(settings, COVERAGE, "matched") == rows
    assert total(settings, COVERAGE, "messages") == rows
    assert total(settings, CLIENTS, "queries") == rows
    assert len(stored(settings, UNLISTED)) == 0

    report = verify(settings.home)
    assert report.ok, report.problems
    assert (report.open, report.rows) == (0, rows)
    left = [
        path.name
        for path in (settings.home / "sinkhole" / "demo").iterdir()
        if not path.name.endswith((".rseg.zst", ".rseg.new"))
    ]
    assert left == []
