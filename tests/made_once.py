"""What takes long to make and is only read: made by one of the processes that run the tests."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def made_once(temporary: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that one process has filled; the others wait for it.

    Where that fails, the next process tries it, and its tests tell why.

    Args:
        temporary: where the files of these tests are.
        name: of the folder.
        make: fills the folder, which is empty.
    """
    base = temporary.getbasetemp()
    if "PYTEST_XDIST_WORKER" not in os.environ:
        folder = base / name
        folder.mkdir()
        make(folder)
        return folder
    import fcntl

    # The folder of a process lies in that of the run.
    folder, whole = base.parent / name, base.parent / f"{name}.whole"
    with (base.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            whole.touch()
    return folder
