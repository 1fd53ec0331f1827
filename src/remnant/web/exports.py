"""Figures as files: SVG, PNG and Vega made from one specification, once for each state of it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Exports", "exports"]

_MOST_BYTES: Final = 24 << 20


class Exports:
    """Drawn figures. Safe to use from many threads; one figure is drawn at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, ending: str, what: object, spec: Callable[[], dict[str, Any]]) -> bytes:
        """Return a figure as a file.

        Args:
            ending: ``svg``, ``png`` or ``vega``.
            what: everything that the drawing depends on, as JSON can hold it.
            spec: makes the Vega-Lite specification; called where the file is not kept.
        """
        return self._made(ending, what, lambda: _draw(ending, spec()))

    def _made(self, ending: str, what: object, make: Callable[[], bytes]) -> bytes:
        text = json.dumps([ending, what], sort_keys=True, default=str)
        key = hashlib.sha256(text.encode()).hexdigest()
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with self._turn:
            data = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = data
                self._bytes += len(data)
            while self._bytes > _MOST_BYTES and len(self._kept) > 1:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return data

    def get_png(self, svg: str) -> bytes:
        """Return an SVG document of ours as PNG."""
        return self._made("svg-png", svg, lambda: _to_png(svg))


def _to_png(svg: str) -> bytes:
    from remnant.report.mapexport import png

    return png(svg)


def _draw(ending: str, spec: dict[str, Any]) -> bytes:
    from remnant.report.drawing import png, svg

    if ending == "png":
        return png(spec)
    if ending == "svg":
        return svg(spec).encode()
    from remnant.report.interactive import explorable
    from remnant.report.palette import to_variables

    # The page puts its own colours in: a canvas knows no custom properties.
    return to_variables(json.dumps(explorable(spec), ensure_ascii=True)).encode()


exports: Final = Exports()
"""Those of this process: files depend on nothing but what they are made of."""
