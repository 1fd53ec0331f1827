"""The cache of flattened sources: kept, found again, never trusted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from remnant.enrich.cache import load, name_of, prune, save
from remnant.enrich.content import SEGMENTS

if TYPE_CHECKING:
    from pathlib import Path

TABLE = SEGMENTS.empty_table()


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    save(tmp_path / "new", "a.arrow", TABLE, {"bad": 3})
    found = load(tmp_path / "new", "a.arrow")

    assert found is not None
    assert found[0].equals(TABLE)
    assert found[1] == {"bad": 3}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.arrow"]


def test_the_name_follows_the_content() -> None:
    assert name_of(b"a") == name_of(b"a") != name_of(b"b")


@pytest.mark.parametrize("content", [b"", b"ARROW1", b"\x00" * 500])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.arrow").write_bytes(content)

    assert load(tmp_path, "a.arrow") is None
    assert load(tmp_path, "absent.arrow") is None


def test_a_file_of_another_shape_is_as_good_as_none(tmp_path: Path) -> None:
    save(tmp_path, "a.arrow", pa.table({"high": [1]}), {})
    assert load(tmp_path, "a.arrow") is None

    kept = pa.OSFile(str(tmp_path / "b.arrow"), "wb")
    with kept, pa.ipc.new_file(kept, SEGMENTS) as writer:
        writer.write_table(TABLE)
    assert load(tmp_path, "b.arrow") is None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    save(tmp_path / "file", "a.arrow", TABLE, {})

    assert load(tmp_path / "file", "a.arrow") is None


def test_only_what_was_not_needed_for_a_month_is_removed(tmp_path: Path) -> None:
    day = 86_400
    for name, age in {"old": 40, "needed": 40, "recent": 20}.items():
        save(tmp_path, f"{name}.arrow", TABLE, {})
        os.utime(tmp_path / f"{name}.arrow", (0, (100 - age) * day))
    prune(tmp_path, {"needed.arrow"}, 100 * day)

    assert {path.stem for path in tmp_path.iterdir()} == {"needed", "recent"}
    assert (tmp_path / "needed.arrow").stat().st_mtime == 100 * day
