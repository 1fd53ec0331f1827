"""Results on disk: private, whole or not there, bounded."""

from __future__ import annotations

import json
import math
import os
import re
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING

import pytest

from remnant.web.results import kept as module
from remnant.web.results.kept import Head, Kept, Key, to_json

if TYPE_CHECKING:
    from pathlib import Path

KEY = Key("taken", "verdict", internal=True)
HEAD = Head("state", datetime(2015, 4, 8, tzinfo=UTC), 1.5, None, 0, "")


def test_a_result_comes_back_as_it_was_kept_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    head = kept.put(KEY, HEAD, to_json({"a": [1, None, "é"]}))
    assert kept.value(KEY) == (head, {"a": [1, None, "é"]})
    assert head.stamp == "state"
    assert head.size == len(to_json({"a": [1, None, "é"]}))
    (file,) = (tmp_path / "dashboard" / "taken").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert Kept(tmp_path).value(KEY) == (head, {"a": [1, None, "é"]})


def test_results_that_differ_in_anything_have_files_of_their_own() -> None:
    keys = [
        KEY,
        Key("taken", "verdict", internal=False),
        Key("taken", "map", internal=True),
        Key("taken", "verdict", internal=True, since="2015-04-08"),
        Key("taken", "verdict", internal=True, until="2015-04-08"),
        Key("taken", "verdict", internal=True, vantage="resolver"),
    ]
    assert len({key.file for key in keys}) == len(keys)


@pytest.mark.parametrize("harm", ["cut", "changed", "empty", "other", "binary", "version"])
def test_a_damaged_file_counts_as_none(tmp_path: Path, harm: str) -> None:
    kept = Kept(tmp_path)
    kept.put(KEY, HEAD, to_json({"state": "cannot_tell"}))
    (file,) = (tmp_path / "dashboard" / "taken").iterdir()
    data = file.read_bytes()
    file.write_bytes(
        {
            "cut": data[:-3],
            "changed": data.replace(b"cannot", b"can_it"),
            "empty": b"",
            "other": b"[]\nnull",
            "binary": os.urandom(300),
            "version": re.sub(rb'"version": "\w+"', b'"version": "other code"', data),
        }[harm]
    )
    assert data != file.read_bytes()
    assert kept.value(KEY) is None
    kept.put(KEY, HEAD, to_json(1))
    assert kept.value(KEY) is not None


@pytest.mark.parametrize("case", ["../outside", "", "A", "a/b", ".", "x" * 80])
def test_a_name_that_no_case_has_reaches_no_file(tmp_path: Path, case: str) -> None:
    kept = Kept(tmp_path / "home")
    key = Key(case, "verdict", internal=True)
    with pytest.raises(OSError, match="no name of a case"):
        kept.put(key, HEAD, b"1")
    assert kept.value(key) is None
    assert not list(tmp_path.rglob("*.json"))


def test_the_oldest_results_go_when_there_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_FILES", 3)
    monkeypatch.setattr(module, "MOST_BYTES", 2000)
    kept = Kept(tmp_path)
    keys = [Key(f"case-{number}", "verdict", internal=True) for number in range(5)]
    for number, key in enumerate(keys):
        kept.put(key, HEAD, b"1")
        os.utime(kept.root / key.case / key.file, (number, number))
    stray = kept.root / "case-0" / ".1234.part"
    stray.touch()
    kept.sweep()
    assert stray.exists(), "somebody may be writing it"
    os.utime(stray, (1, 1))
    kept.sweep()
    assert [kept.value(key) is not None for key in keys] == [False, False, True, True, True]
    assert not stray.exists()
    kept.put(keys[0], HEAD, b"1" * 1500)
    kept.sweep()
    assert kept.value(keys[0]) is not None
    assert kept.value(keys[2]) is None


def test_a_home_that_cannot_be_written_has_a_folder_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "dashboard").write_text("in the way", encoding="ascii")
    kept = Kept(tmp_path)
    place = kept.settle()
    assert place is not None
    kept.put(KEY, HEAD, b"1")
    assert Kept(tmp_path, place).value(KEY) is not None
    kept.close()
    assert not place.exists()


def test_json_holds_times_words_and_no_number_that_is_none() -> None:
    import numpy as np

    class Word(Enum):
        SMALL = "small"

    told = {
        "time": datetime(2015, 4, 8, tzinfo=UTC),
        "word": Word.SMALL,
        "set": {2, 1},
        "nan": [math.nan, math.inf, 1.5],
        "array": np.array([1.0, math.nan]),
        "half": "\ud800 pair",
    }
    assert json.loads(to_json(told)) == {
        "time": "2015-04-08T00:00:00+00:00",
        "word": "small",
        "set": [1, 2],
        "nan": [None, None, 1.5],
        "array": [1.0, None],
        "half": "\ud800 pair",
    }
    with pytest.raises(TypeError):
        to_json(object())
