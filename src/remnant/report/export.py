"""Reports and figures become files, each written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from remnant.errors import RemnantError
from remnant.report.drawing import PRINT, png, svg
from remnant.report.figures import figures
from remnant.report.text import to_csv

if TYPE_CHECKING:
    from remnant.report.facts import Content

__all__ = ["write_figures", "write_whole"]


def write_figures(content: Content, folder: Path) -> list[Path]:
    """Write every figure as SVG, PNG (2 device pixels per CSS pixel) and CSV; return the paths.

    Raises:
        RemnantError: a file cannot be written.
    """
    paths = []
    for figure in figures(content):
        spec = figure.specification(PRINT)
        for ending, data in (
            ("svg", svg(spec).encode()),
            ("png", png(spec)),
            ("csv", to_csv(figure.columns, figure.rows).encode()),
        ):
            path = folder / f"{content.case}-{figure.key}.{ending}"
            write_whole(path, data)
            paths.append(path)
    return paths


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that readers see the old one or the new one, never a part.

    Raises:
        RemnantError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            mask = os.umask(0)
            os.umask(mask)
            Path(name).chmod(0o666 & ~mask)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise RemnantError(
            "the file cannot be written",
            where=str(path),
            got=error.strerror or str(error),
            hint="choose a folder that you may write to, on a disk with room",
        ) from error
