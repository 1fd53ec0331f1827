"""Imports that libraries try at every start although nothing here uses them.

Measured: Numba loads SciPy for linear algebra in kernels (0.4 s), PyArrow loads pandas when it
first sees an array (0.35 s). Both go on without, where the import fails.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["spare_pandas", "without"]


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
