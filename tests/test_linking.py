"""What kernels call is linked to them, and behaves as if each were compiled by itself."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from remnant.compiling import LINKED, compiled_once
from remnant.wire import fold_byte, kernel

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not LINKED, reason="this version of Numba compiles each by itself")

PROGRAM = """
import sys
import numpy as np
from remnant.compiling import compiled_once

kernel = compiled_once("", cache=True, nogil=True)
short = compiled_once("", cache=True, nogil=True, forceinline=True)

@short
def doubled(value):
    return value + value

@kernel
def total(values):
    result = 0
    for value in values:
        if value < 0:
            raise ValueError("below zero", value)
        result += doubled(value)
    return result

@kernel
def longest(values, depth):
    return total(values) if depth == 0 else longest(values[1:], depth - 1)

@kernel
def other(values):
    return total(values) + 1

calls = {"longest": lambda: longest(np.arange(5), 2), "other": lambda: other(np.arange(5))}
for name in sys.argv[1:]:
    print(calls[name](), end=" ")
try:
    other(np.array([1, -3]))
except ValueError as error:
    print(error.args, end=" ")
print(sum(total.within.stats.cache_misses.values()), len(total.overloads))
"""


def run(tmp_path: Path, *names: str) -> str:
    """Run the program in an interpreter of its own; return what it says."""
    program = tmp_path / "program.py"
    if not program.exists():
        program.write_text(PROGRAM, encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, program, *names],
        env=environment | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_linked_kernel_is_kept_for_callers_that_come_later(tmp_path: Path) -> None:
    # Of what is called no machine code is made; an error finds its way out with what it says.
    assert run(tmp_path, "longest") == "18 ('below zero', -3) 1 0"
    assert run(tmp_path, "other", "longest") == "21 18 ('below zero', -3) 0 0"
    # With all callers loaded from the cache, nobody asks for what they call.
    assert run(tmp_path, "longest", "other") == "18 21 ('below zero', -3) 0 0"
    for path in (tmp_path / "cache").rglob("*longest*.nb?"):
        path.unlink()
    assert run(tmp_path, "longest") == "18 ('below zero', -3) 0 0"


def test_python_calls_what_kernels_call() -> None:
    @kernel
    def folded(values: Any) -> int:
        total = 0
        for i in range(values.size):
            total += fold_byte(np.int64(values[i]))
        return total

    values = np.frombuffer(b"AbC", np.uint8)
    assert folded(values) == sum(b"abc")
    assert [int(fold_byte(byte)) for byte in b"AbC"] == list(b"abc")


def test_a_kernel_that_comes_from_another_process_has_no_other_form(tmp_path: Path) -> None:
    shared = compiled_once(str(tmp_path), nogil=True)

    def halved(value: int) -> int:
        return value // 2

    once = shared(halved)
    again = pickle.loads(pickle.dumps(once))
    assert again(10) == once(10) == 5
