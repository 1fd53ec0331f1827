"""What the first page would have to wait for is done before anybody asks."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Final

__all__ = ["start"]

_POINT: Final[dict[str, Any]] = {"data": {"values": [{"x": 1}]}, "mark": "point", "encoding": {}}


def start() -> threading.Thread:
    """Load the query engine, the fit of curves, figures and look-ups of addresses, in a thread."""
    thread = threading.Thread(target=_load, name="ahead", daemon=True)
    thread.start()
    return thread


def _load() -> None:
    # What fails here fails again where it is needed, and is told there.
    with contextlib.suppress(Exception):
        import ibis.backends.duckdb  # noqa: F401
        import scipy.special  # noqa: F401

        import remnant.store.view
        from remnant.report.drawing import svg

        svg(_POINT)  # the first figure starts an engine of JavaScript
        import remnant.enrich.content  # noqa: F401
