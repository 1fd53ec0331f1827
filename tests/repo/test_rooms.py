"""The laws of the house that can be read off the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "remnant"
ROOMS = (
    "capture",
    "cases",
    "collate",
    "enrich",
    "estimate",
    "infrastructure",
    "judge",
    "notify",
    "report",
    "simulate",
    "sinkhole",
)
LEAVES = {
    "compiling",
    "errors",
    "linking",
    "names",
    "schema",
    "settings",
    "startup",
    "watchlist",
    "watchtable",
    "windows",
    "wire",
}
MODULES = sorted(SOURCE.rglob("*.py"))


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(path: Path) -> set[str]:
    """Every ``remnant.…`` module that a file imports, also inside functions and for types."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("remnant")}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("remnant"):
            assert node.level == 0, "relative imports hide the room"
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names}
                if node.module == "remnant"
                else {node.module}
            )
    return found


def allowed(importer: Path) -> set[str] | None:
    """The rooms and leaf files that a file may import; ``None`` means all."""
    relative = importer.relative_to(SOURCE)
    place = relative.parts[0].removesuffix(".py")
    if place.startswith(("cli", "web", "__")):
        return None
    if place in ROOMS:
        return LEAVES | {"", "store"} | set(ROOMS[: ROOMS.index(place) + 1])
    if place == "store":
        return LEAVES | {"store"}
    return LEAVES


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_room_imports_only_leaves_the_store_and_earlier_rooms(path: Path) -> None:
    may = allowed(path)
    if may is None:
        return
    taken = {room_of(module) for module in imports(path)}

    assert taken <= may


def test_no_folder_or_module_without_a_subject() -> None:
    vague = {"utils", "util", "helpers", "common", "core", "base", "misc", "tools"}

    named = {path: path.relative_to(SOURCE).parts for path in MODULES}
    assert not [
        path for path, parts in named.items() if {p.removesuffix(".py") for p in parts} & vague
    ]


def test_modules_stay_small() -> None:
    long = {
        str(path.relative_to(SOURCE)): count
        for path in MODULES
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 800
    }

    assert long == {}


def test_the_sorted_folders_are_the_path_of_the_data() -> None:
    folders = sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))

    assert [room for room in folders if room in ROOMS] == [r for r in ROOMS if r in folders]
    assert set(folders) <= {*ROOMS, "store", "web"}


@pytest.mark.parametrize("command", [["--help"], ["case", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(command: list[str]) -> None:
    code = (
        "import sys\n"
        "from remnant.cli import main\n"
        "try:\n"
        f"    main({command!r})\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code, stop.code\n"
        "heavy = {'numba', 'pyarrow', 'duckdb', 'ibis', 'pandas', 'numpy', 'scipy', 'altair',"
        " 'statsmodels', 'sqlalchemy', 'pydantic_settings', 'rich'}\n"
        "loaded = heavy & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
