"""No kernel reads outside its arrays, whatever the bytes: one campaign over all formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz import running

if TYPE_CHECKING:
    from pathlib import Path


def test_no_kernel_reads_outside_its_arrays(tmp_path: Path) -> None:
    running.run("campaign.py", running.rounds(600), tmp_path)
