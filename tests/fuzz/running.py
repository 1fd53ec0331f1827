"""Runs a campaign in an interpreter of its own, whose kernels check bounds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMPILED = os.environ.get("NUMBA_BOUNDSCHECK") == "1"
"""The long campaign: compiled kernels, a new seed each time."""


def rounds(short: int) -> int:
    return int(os.environ.get("REMNANT_FUZZ_ROUNDS", str(short)))


def run(script: str, count: int, cache: Path) -> str:
    """Run a script with a count and a seed; return what it says.

    Interpreted kernels check the same bounds as those compiled with NUMBA_BOUNDSCHECK, and need no
    minute to compile. Numba's cache does not tell code with checks from code without, so it has a
    place of its own.
    """
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    environment |= {} if COMPILED else {"NUMBA_DISABLE_JIT": "1"}
    seed = str(int.from_bytes(os.urandom(4), "big")) if COMPILED else "20150408"
    done = subprocess.run(
        # Hashes overflow as they should, which NumPy tells and machine code does not.
        [
            *(sys.executable, "-W", "ignore::RuntimeWarning"),
            *(str(Path(__file__).with_name(script)), str(count), seed),
        ],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.fail((done.stdout + done.stderr)[-5000:])
    return done.stdout
