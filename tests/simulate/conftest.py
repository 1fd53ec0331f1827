"""One short simulation, and its slow reading, for the tests of this folder."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from remnant import simulate
from remnant.simulate.beebone import BEEBONE
from simulate.slow_decoder import Frame, frames_of

if TYPE_CHECKING:
    from pathlib import Path

SHORT = replace(
    BEEBONE,
    name="short",
    since=datetime(2015, 4, 6, tzinfo=UTC),
    until=datetime(2015, 4, 10, tzinfo=UTC),
    malformed=0.05,
)
"""Two days before the takedown and two after it, with many broken messages."""

SCALE = 0.004
SEED = 8


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> simulate.SimulationResult:
    return simulate.run(SHORT, tmp_path_factory.mktemp("short") / "out", scale=SCALE, seed=SEED)


@pytest.fixture(scope="session")
def read(short: simulate.SimulationResult) -> dict[Path, list[Frame]]:
    """Every frame of every file, read by the slow decoder."""
    files = sorted(short.traffic.rglob("*.dnstap.zst"))
    return {path.relative_to(short.out): frames_of(path) for path in files}
