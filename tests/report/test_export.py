from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from remnant.errors import RemnantError
from remnant.report.export import write_figures, write_whole
from remnant.report.figures import figures
from report.sample import hostile_content

if TYPE_CHECKING:
    from pathlib import Path


def test_every_figure_is_written_three_times(tmp_path: Path) -> None:
    content = hostile_content()
    paths = write_figures(content, tmp_path)
    keys = [figure.key for figure in figures(content)]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        f"{content.case}-{key}.{ending}" for key in keys for ending in ("svg", "png", "csv")
    )
    for path in paths:
        if path.suffix == ".svg":
            text = path.read_text(encoding="utf-8")
            ET.fromstring(text)
            assert "\u202e" not in text
            assert "<script" not in text
        elif path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.reader(file))
            assert len({len(row) for row in rows}) == 1
        else:
            assert path.read_bytes().startswith(b"\x89PNG")


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.html"
    write_whole(path, b"old")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(RemnantError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        write_whole(tmp_path / "a", b"")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
