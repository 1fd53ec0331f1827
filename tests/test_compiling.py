"""One process compiles a kernel, the others wait for it and load what it has made."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from remnant import wire
from remnant.compiling import LOCK, compiled_once, held
from remnant.store.answer_keys import _owner_keys

PROGRAM = """
import sys
import numpy as np
from remnant.compiling import compiled_once

kernel = compiled_once(sys.argv[1], cache=True)

@kernel
def inner(values):
    total = 0
    for value in values:
        total += value
    return total

@kernel
def outer(values, depth):
    return inner(values) if depth == 0 else outer(values, depth - 1)

print("ready", flush=True)
sys.stdin.readline()
for kind in (np.int64, np.int32)[:: int(sys.argv[2])]:
    assert outer(np.arange(5, dtype=kind), 3) == 10
def misses(kernel):
    return sum(kernel.stats.cache_misses.values())

print(misses(outer), misses(outer.within), misses(inner.within))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM))
    return path


def started(program: Path, cache: Path, order: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, program, cache, str(order)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**environment(), "NUMBA_CACHE_DIR": str(cache)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}


def test_of_three_processes_one_compiles(program: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    # Not all with the same arguments first: Numba alone could give both kinds one file.
    processes = [started(program, cache, order) for order in (1, -1, 1)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    told = [process.communicate(timeout=300)[0].split() for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0]
    # Two kinds of arguments, once each, whoever was first.
    assert [sum(map(int, found)) for found in zip(*told, strict=True)] == [2, 2, 2]
    assert list(cache.rglob(f"*{LOCK}"))


def test_whatever_is_cached_is_compiled_by_one_process() -> None:
    assert "compile" in vars(_owner_keys), "the dispatcher is Numba's own"
    package = Path(wire.__file__).parent
    alone = [
        f"{path.relative_to(package)}: {line}"
        for path in sorted(package.rglob("*.py"))
        if path.name != "wire.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if "njit(" in line and "cache=True" in line and "inline=" not in line
    ]
    assert alone == []


def test_what_a_process_holds_another_waits_for_in_vain(tmp_path: Path) -> None:
    path = tmp_path / f"kernel{LOCK}"
    holder = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import fcntl, sys\n"
            "file = open(sys.argv[1], 'w')\n"
            "fcntl.flock(file, fcntl.LOCK_EX)\n"
            "print('held', flush=True)\n"
            "sys.stdin.readline()\n",
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        before = time.monotonic()
        with held(path, patience=0.2) as mine:
            assert not mine
        assert time.monotonic() - before >= 0.2

        holder.kill()
        holder.wait()
        # The right of a process that was killed is free.
        with held(path, patience=60) as mine:
            assert mine


def test_a_process_does_not_wait_for_itself(tmp_path: Path) -> None:
    path = tmp_path / f"kernel{LOCK}"
    with held(path) as first, held(path) as second:
        assert first
        assert second
    with held(path) as again:
        assert again


def test_where_no_lock_can_be_had_each_compiles_for_itself(tmp_path: Path) -> None:
    with held(tmp_path / "nowhere" / f"kernel{LOCK}") as mine:
        assert not mine


def test_an_error_gives_the_lock_back(tmp_path: Path) -> None:
    path = tmp_path / f"kernel{LOCK}"

    def fail() -> None:
        with held(path):
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        fail()
    with held(path, patience=0) as mine:
        assert mine


def test_folders_and_locks_are_no_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire._CONFIG, "CACHE_DIR", str(tmp_path))
    assert wire.kernels_are_new()
    (tmp_path / f"kernel{LOCK}").touch()
    assert wire.kernels_are_new()
    (tmp_path / "capture_1").mkdir()  # made when a room is imported
    assert wire.kernels_are_new()
    (tmp_path / "capture_1" / "kernel-1.py311.nbi").touch()
    assert not wire.kernels_are_new()


def test_constants_do_not_let_a_kernel_be_compiled_again(tmp_path: Path) -> None:
    shared = compiled_once(str(tmp_path), nogil=True)

    def scaled(value: int, factor: int, negative: bool) -> int:
        return -value * factor if negative else value * factor

    inner = shared(scaled)

    def summed(value: int) -> int:
        part: int = inner(value, 2, False) + inner(value, 30, True) + inner(value, value, False)
        return part

    assert shared(summed)(5) == 10 - 150 + 25
    assert len(inner.within.overloads) == 1
