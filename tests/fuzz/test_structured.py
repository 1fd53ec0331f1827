"""No kernel of PowerDNS protobuf or C-DNS reads outside its arrays, whatever the bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.running import rounds, run

if TYPE_CHECKING:
    from pathlib import Path


def test_no_kernel_reads_outside_its_arrays(tmp_path: Path) -> None:
    run("structured.py", rounds(300), tmp_path)
