"""What starts with a command, and what does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dnstap_writer as writer
from remnant.cli import _home_first, _verb
from remnant.startup import kernel_folder, without


def run(code: str, *arguments: object) -> str:
    """Run Python in a process of its own; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


COMMAND = """
import sys
from remnant.cli import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = {"pandas", "scipy", "scipy.linalg", "numba", "pyarrow", "ibis"}
print("loaded:", *sorted(heavy & set(sys.modules)))
"""


def loaded(*arguments: object) -> set[str]:
    """Run a command as the program does; return which of the heavy modules it loaded."""
    return set(run(COMMAND, *arguments).rpartition("loaded:")[2].split())


def test_reading_traffic_loads_neither_pandas_nor_scipy(tmp_path: Path) -> None:
    source = tmp_path / "a.dnstap"
    asked = writer.query("c2.evil.test")
    source.write_bytes(
        writer.stream(
            writer.message(writer.CLIENT_QUERY, asked),
            writer.message(writer.CLIENT_RESPONSE, writer.response(asked, 3)),
        )
    )
    at_home = ("--home", tmp_path / "home")
    loaded(*at_home, "case", "new", "evil", "--takedown", "2015-04-08", "--watch", "*.evil.test")

    found = loaded(*at_home, "ingest", "evil", source)
    assert {"numba", "pyarrow"} <= found
    assert not {"pandas", "scipy.linalg"} & found
    assert not {"pandas", "scipy.linalg"} & loaded(*at_home, "pdns", "import", source)
    # A look-up reads a few row groups; other questions need the query engine, with all it brings.
    assert "ibis" not in loaded(*at_home, "pdns", "lookup", "evil.test")
    assert "ibis" in loaded(*at_home, "traffic", "evil")


def test_pandas_and_scipy_work_after_the_kernels_were_loaded() -> None:
    said = run(
        "import sys, remnant.wire\n"
        "assert 'scipy.linalg' not in sys.modules\n"
        "import pandas, pyarrow as pa, scipy.linalg\n"
        "print(scipy.linalg.det([[2.0, 0.0], [0.0, 3.0]]),"
        " pa.table({'a': [1, 2]}).to_pandas()['a'].sum())"
    )
    assert said.split() == ["6.0", "3"]


def test_a_process_that_spared_pandas_can_still_import_it() -> None:
    said = run(
        "import sys\n"
        "from remnant.startup import spare_pandas\n"
        "spare_pandas()\n"
        "import pyarrow as pa\n"
        "assert 'pandas' not in sys.modules\n"
        "pa.array([1, 2])\n"
        "assert 'pandas' not in sys.modules\n"
        "import pandas\n"
        "print(pandas.Series([1, 2]).sum())"
    )
    assert said.strip() == "3"


def test_pandas_that_is_there_already_stays_in_use() -> None:
    said = run(
        "import pandas, pyarrow as pa\n"
        "from remnant.startup import spare_pandas\n"
        "spare_pandas()\n"
        "print(pa.table({'a': [1, 2]}).to_pandas()['a'].sum())"
    )
    assert said.strip() == "3"


def refused() -> None:
    with without("nonexistent_module_of_tests"):
        __import__("nonexistent_module_of_tests.inner")


def test_a_refusal_ends_with_its_block_even_after_an_error() -> None:
    before = list(sys.meta_path)
    with pytest.raises(ModuleNotFoundError, match="not needed here"):
        refused()
    assert sys.meta_path == before
    with pytest.raises(ModuleNotFoundError, match="No module named"):
        __import__("nonexistent_module_of_tests.inner")


def test_what_is_loaded_is_not_refused() -> None:
    with without("json"):
        import json
    assert json.loads("1") == 1


@pytest.mark.parametrize(
    ("line", "verb"),
    [
        (["ingest", "demo", "x"], "ingest"),
        (["--home", "ingest", "traffic", "pdns"], "traffic"),
        (["traffic", "ingest"], "traffic"),
        (["measure", "--home", "x", "pdns"], "measure"),
        (["--home=x", "pdns", "lookup", "y"], "pdns"),
        (["--help"], None),
        (["--home"], None),
        ([], None),
    ],
)
def test_the_verb_is_told_from_a_case_of_that_name(line: list[str], verb: str | None) -> None:
    assert _verb(_home_first(line)) == verb


def test_compiled_kernels_have_a_folder_for_each_state_of_the_source(tmp_path: Path) -> None:
    first = kernel_folder(tmp_path)
    assert Path(first).parent == tmp_path
    assert kernel_folder(tmp_path) == first

    for number in range(5):
        (tmp_path / f"old-{number}").mkdir()
        os.utime(tmp_path / f"old-{number}", (number, number))
    Path(first).rmdir()
    assert kernel_folder(tmp_path) == first
    # Those of two other versions stay, the newest.
    assert {path.name for path in tmp_path.iterdir()} == {Path(first).name, "old-4", "old-3"}


def test_where_kernels_cannot_be_kept_numba_finds_a_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert kernel_folder(tmp_path / "file") == ""
