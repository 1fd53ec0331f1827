"""No kernel reads outside its arrays, whatever the bytes: one campaign over all formats."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROUNDS = 1200


def test_no_kernel_reads_outside_its_arrays(tmp_path: Path) -> None:
    # Interpreted kernels check the same bounds as those compiled with NUMBA_BOUNDSCHECK, and need
    # no minute to compile. The long campaign compiles them; Numba's cache does not tell code with
    # checks from code without, so it has a place of its own.
    compiled = os.environ.get("NUMBA_BOUNDSCHECK") == "1"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    environment |= {} if compiled else {"NUMBA_DISABLE_JIT": "1"}
    rounds = os.environ.get("REMNANT_FUZZ_ROUNDS", str(_ROUNDS))
    seed = str(int.from_bytes(os.urandom(4), "big")) if compiled else "20150408"
    done = subprocess.run(
        # Hashes overflow as they should, which NumPy tells and machine code does not.
        [
            *(sys.executable, "-W", "ignore::RuntimeWarning"),
            *(str(Path(__file__).with_name("campaign.py")), rounds, seed),
        ],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.fail(done.stderr[-5000:])
