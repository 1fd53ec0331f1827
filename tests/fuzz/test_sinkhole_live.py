"""Hostile datagrams at a sinkhole that runs: it answers all the while, and counts every one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz import running
from remnant.sinkhole import fastpath

pytestmark = pytest.mark.skipif(not fastpath.SUPPORTED, reason="needs recvmmsg of 64-bit Linux")

_PER_ROUND = 50
"""In the long campaign 200,000 rounds make ten million datagrams."""


@pytest.mark.parametrize("limit", ["200", "off"])
def test_hostile_datagrams_leave_it_answering(limit: str) -> None:
    # The sinkhole as it is served: compiled, without the checks of the other campaigns.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"NUMBA_BOUNDSCHECK", "NUMBA_DISABLE_JIT"}
    }
    seed = str(int.from_bytes(os.urandom(4), "big")) if running.COMPILED else "20150408"
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("sinkhole_live.py")),
         str(running.rounds(4000) * _PER_ROUND), seed, limit],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(done.stdout)  # noqa: T201 - shown with -s

    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
