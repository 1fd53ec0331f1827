from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from remnant.cases.library import Library
from remnant.errors import CaseError, StoreError
from remnant.web.making.made import Shelf, Wish
from remnant.web.results.kept import Kept, Key
from remnant.web.results.names import folder_of
from remnant.web.traces import Traces, forget, traces
from stored import CASE
from story.telling import Place
from web.guarded import bare
from web.results.test_kept import HEAD

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.settings import Settings

MINE, OTHER = "taken", "taken-too"


def fill(settings: Settings, case: str) -> None:
    """Leave all that a dashboard keeps of a case."""
    for kind in ("verdict", "map"):
        Kept(settings.home).put(Key(case, kind, internal=True), HEAD, b"1")
    tables = folder_of(settings, case) / "20260101T000000000000Z"
    tables.mkdir(parents=True)
    (tables / "names.arrow").write_bytes(b"x")
    shelf = Shelf(settings.home)
    made = shelf.begin(case, Wish("map-csv"), "anna")
    shelf.to_write(made).write_bytes(b"x")
    (settings.home / "reports" / f"{case}.html").write_bytes(b"x")


def of(home: Path, case: str) -> list[str]:
    """Return the paths below a home that belong to a case."""
    found = (path.relative_to(home).parts for path in home.rglob("*"))
    return sorted("/".join(parts) for parts in found if {case, f"{case}.html"} & set(parts))


def test_what_a_dashboard_keeps_of_a_case_is_counted_and_removed(tmp_path: Path) -> None:
    settings = bare(tmp_path)
    for case in (MINE, OTHER):
        fill(settings, case)
    before = of(settings.home, OTHER)
    assert traces(settings, MINE) == Traces(reports=2, results=3)
    assert forget(settings, MINE) == Traces(reports=2, results=3)
    assert of(settings.home, MINE) == []
    assert of(settings.home, OTHER) == before
    assert not forget(settings, MINE)


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    settings = bare(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").touch()
    (settings.home / "reports").mkdir(parents=True)
    (settings.home / "reports" / MINE).symlink_to(tmp_path / "elsewhere")
    forget(settings, MINE)
    assert (tmp_path / "elsewhere" / "precious").exists()
    assert of(settings.home, MINE) == []


@pytest.mark.parametrize("name", ["..", "a/b", "", "A"])
def test_a_name_that_no_case_has_removes_nothing(tmp_path: Path, name: str) -> None:
    settings = bare(tmp_path)
    fill(settings, MINE)
    with pytest.raises(CaseError):
        forget(settings, name)
    assert traces(settings, MINE)


def test_what_cannot_be_removed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    settings = bare(tmp_path)
    fill(settings, MINE)
    monkeypatch.setattr(shutil, "rmtree", stuck)
    with pytest.raises(StoreError, match="cannot be removed"):
        forget(settings, MINE)


def test_the_command_says_what_there_is_asks_and_removes_all_of_it(tmp_path: Path) -> None:
    place = Place(tmp_path)
    settings = bare(tmp_path)
    (tmp_path / "case.toml").write_text(CASE, encoding="utf-8")
    place.do("case", "import", tmp_path / "case.toml")
    fill(settings, MINE)
    fill(settings, OTHER)
    asked = place.run("case", "delete", MINE, stdin=b"n\n")
    assert asked.code == 1
    words = "1 version of its file, 2 reports, 3 results of the dashboard"
    assert f"Delete case taken: {words}?" in asked.said
    assert Library(settings.home).origin(MINE) == "stored"
    assert f"Case taken is deleted ({words})." in place.do("case", "delete", MINE, "--yes").err
    assert of(settings.home, MINE) == []
    assert traces(settings, OTHER)


def test_what_is_left_of_a_case_that_is_no_more_can_be_deleted(tmp_path: Path) -> None:
    place = Place(tmp_path)
    fill(bare(tmp_path), "beebone")
    assert "2 reports" in place.do("case", "delete", "beebone", "--yes").err
    assert place.run("case", "delete", "beebone", "--yes").code == 1
    assert of(place.home, "beebone") == []
