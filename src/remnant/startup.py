"""What is settled once at every start: imports that are spared, and where compiled kernels lie.

Measured: Numba loads SciPy for linear algebra in kernels (0.4 s), PyArrow loads pandas when it
first sees an array (0.35 s). Both go on without, where the import fails.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["kernel_folder", "spare_pandas", "without"]

_KERNEL_ROOMS: Final = (
    "", "capture", "collate", "enrich", "infrastructure", "simulate", "sinkhole", "store",
)  # fmt: skip
"""The folders of the package that hold kernels."""

_CODE_SETTINGS: Final = (
    "NUMBA_BOUNDSCHECK", "NUMBA_LOOP_VECTORIZE", "NUMBA_OPT", "NUMBA_SLP_VECTORIZE",
)  # fmt: skip
"""Settings that make other code of the same source; Numba's cache does not tell it apart."""

_FOLDERS: Final = 3
"""Folders of compiled kernels that are kept: those of other versions that are still in use."""


class _Refusal:
    """A finder that refuses some modules and what is inside them."""

    def __init__(self, modules: frozenset[str]) -> None:
        self._modules = modules

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - the interface of a finder
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if any(name == m or name.startswith(f"{m}.") for m in self._modules):
            raise ModuleNotFoundError(f"{name} is not needed here", name=name)
        return None


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """Let the import of these modules fail, unless they are loaded already."""
    refusal = _Refusal(frozenset(modules) - set(sys.modules))
    sys.meta_path.insert(0, refusal)
    try:
        yield
    finally:
        sys.meta_path.remove(refusal)


def spare_pandas() -> None:
    """Make PyArrow do without pandas for the rest of this process, unless it is loaded already.

    Only for a process that runs one command which asks nothing of pandas: tables can then not be
    turned into data frames.
    """
    if "pandas" not in sys.modules:
        with without("pandas"):
            import pyarrow as pa  # noqa: PLC0415 - this is what it is about

            pa.array([0])


def kernel_folder(cache: Path) -> str:
    """Return the folder for the compiled kernels of exactly this source, and drop old ones.

    Numba asks whether a kernel's own file has changed. A kernel that was inlined from another file,
    or a class of arguments that has moved, it does not notice. So each state of the source has a
    folder of its own.

    Args:
        cache: the folder for all of them.
    """
    package = Path(__file__).parent
    state = hashlib.blake2b(digest_size=8)
    for setting in _CODE_SETTINGS:
        state.update(f"{setting}={os.environ.get(setting, '')}\n".encode())
    for room in _KERNEL_ROOMS:
        with os.scandir(package / room) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.endswith(".py"):
                    found = entry.stat()
                    state.update(f"{entry.path} {found.st_size} {found.st_mtime_ns}\n".encode())
    folder = cache / state.hexdigest()
    try:
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            others = sorted(cache.iterdir(), key=lambda other: other.stat().st_mtime, reverse=True)
            for other in others[_FOLDERS:]:
                shutil.rmtree(other, ignore_errors=True)
        usable = os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    except OSError:
        usable = False
    # Without one, Numba looks for another place itself.
    return str(folder) if usable else ""
