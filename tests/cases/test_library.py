"""Stored cases and their versions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from cases.made_cases import BEEBONE
from remnant.cases.casefile import loads
from remnant.cases.library import BUILT_IN, Library, built_in, indicators_of
from remnant.cases.model import Case, Watch
from remnant.errors import CaseError

if TYPE_CHECKING:
    from pathlib import Path

DAY = timedelta(days=1)
NOW = datetime(2015, 4, 10, 12, tzinfo=UTC)


def made(*names: str, name: str = "mine") -> Case:
    return Case(name, "Mine", datetime(2015, 4, 8, tzinfo=UTC), (Watch(names),))


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


def test_a_case_is_kept(library: Library, tmp_path: Path) -> None:
    case = loads(BEEBONE.replace("beebone", "mine", 1), "x.toml")
    version = library.save(case, now=NOW)
    assert library.get("mine") == case
    assert library.path("mine") == tmp_path / "cases" / "mine" / "case.toml"
    assert version.path.name == f"20150410T120000.000000Z-{version.digest}.toml"
    assert version.path.read_bytes() == library.path("mine").read_bytes()
    assert library.origin("mine") == "stored"
    assert [entry.name for entry in library.list()] == sorted([*BUILT_IN, "mine"])
    assert not list((tmp_path / "cases" / "mine").glob(".*"))


def test_a_persons_text_is_kept(library: Library) -> None:
    text = "# why\n" + BEEBONE
    library.save(loads(text, "x.toml"), text=text)
    assert library.text("beebone") == text
    with pytest.raises(CaseError, match="does not say"):
        library.save(made("a.example"), text=text)


def test_a_case_is_replaced_only_on_request(library: Library) -> None:
    library.save(made("a.example"), now=NOW)
    library.save(made("a.example"), now=NOW + DAY)
    assert len(library.versions("mine")) == 1
    with pytest.raises(CaseError, match="stored already"):
        library.save(made("b.example"), now=NOW + DAY)
    assert library.get("mine") == made("a.example")
    library.save(made("b.example"), now=NOW + DAY, replace=True)
    assert library.get("mine") == made("b.example")
    assert [version.saved for version in library.versions("mine")] == [NOW, NOW + DAY]


def test_since_when_each_name_is_watched(library: Library) -> None:
    library.save(made("a.example", "b.example"), now=NOW)
    library.save(made("a.example", "c.example"), now=NOW + DAY, replace=True)
    library.save(made("a.example", "b.example"), now=NOW + 2 * DAY, replace=True)
    assert library.watched_since("mine") == {"a.example": NOW, "b.example": NOW + 2 * DAY}
    assert library.watched_since("beebone") == {}


def test_a_version_that_was_never_finished_does_not_count(library: Library) -> None:
    library.save(made("a.example"), now=NOW)
    before = library.path("mine").read_bytes()
    library.save(made("b.example"), now=NOW + DAY, replace=True)
    library.path("mine").write_bytes(before)  # as if stopped before the last rename
    assert [version.saved for version in library.versions("mine")] == [NOW]
    assert library.watched_since("mine") == {"a.example": NOW}


def test_a_file_edited_in_place_is_a_version(library: Library) -> None:
    library.save(made("a.example"), now=NOW)
    path = library.path("mine")
    path.write_text(path.read_text().replace("a.example", "b.example"))
    edited = library.versions("mine")
    assert len(edited) == 2
    assert library.watched_since("mine") == {"b.example": edited[1].saved}
    library.save(made("c.example"), replace=True)
    kept = library.versions("mine")
    assert len(kept) == 3
    assert [version.digest for version in kept[:2]] == [version.digest for version in edited]
    assert kept[1].path.parent.name == "versions"


def test_a_clock_that_was_set_back_does_not_reorder_versions(library: Library) -> None:
    library.save(made("a.example"), now=NOW)
    library.save(made("b.example"), now=NOW - DAY, replace=True)
    library.save(made("a.example"), now=NOW - DAY, replace=True)
    found = library.versions("mine")
    assert found[0].digest == found[2].digest
    assert sorted(version.saved for version in found) == [version.saved for version in found]
    assert len({version.saved for version in found}) == 3


def test_a_stored_case_hides_the_built_in_one(library: Library) -> None:
    assert library.origin("beebone") == "built-in"
    assert library.get("beebone") == built_in("beebone")
    assert library.text("beebone").startswith("# BeeBone")
    library.save(made("a.example", name="beebone"))
    assert library.origin("beebone") == "stored"
    assert library.get("beebone").title == "Mine"
    library.delete("beebone")
    assert library.get("beebone") == built_in("beebone")
    with pytest.raises(CaseError, match="no stored case"):
        library.delete("beebone")


def test_deleting_leaves_nothing(library: Library, tmp_path: Path) -> None:
    library.save(made("a.example"))
    library.delete("mine")
    assert list((tmp_path / "cases").iterdir()) == []
    with pytest.raises(CaseError, match="no stored case"):
        library.delete("mine")
    with pytest.raises(CaseError) as raised:
        library.get("mine")
    assert "beebone" in (raised.value.expected or "")


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "A", "x\0", "." * 5])
def test_a_name_never_leaves_the_folder(library: Library, name: str) -> None:
    for ask in (library.get, library.path, library.delete, library.origin, library.versions):
        with pytest.raises(CaseError, match="cannot be the name"):
            ask(name)
    with pytest.raises(CaseError):
        library.save(made("a.example", name=name))


def test_broken_and_foreign_folders_are_listed_or_passed_over(
    library: Library, tmp_path: Path
) -> None:
    for folder, text in (("broken", "nonsense"), ("other", BEEBONE), ("UPPER", BEEBONE)):
        (tmp_path / "cases" / folder).mkdir(parents=True)
        (tmp_path / "cases" / folder / "case.toml").write_text(text)
    found = {entry.name: entry for entry in library.list()}
    assert set(found) == {*BUILT_IN, "broken", "other"}
    assert "not TOML" in (found["broken"].problem or "")
    assert "does not belong" in (found["other"].problem or "")
    assert found["beebone"].title == "BeeBone (AAEH, VObfus, Changeup)"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cases").write_text("a file")
    with pytest.raises(CaseError, match="cannot be stored"):
        Library(tmp_path).save(made("a.example"))


def test_a_file_system_without_hard_links(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    library.save(made("a.example"))
    assert library.get("mine") == made("a.example")


def test_another_program_that_stored_the_case_first(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remnant.cases import library as module

    keep = module.Library._keep

    def late(self: Library, path: Path, data: bytes, saved: datetime) -> object:
        path.write_text("theirs")
        return keep(self, path, data, saved)

    monkeypatch.setattr(module.Library, "_keep", late)
    with pytest.raises(CaseError, match="stored already"):
        library.save(made("a.example"))
    assert library.path("mine").read_text() == "theirs"
    assert not list(library.path("mine").parent.glob(".*"))


def test_a_link_is_not_followed(library: Library, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "mine").symlink_to(outside)
    with pytest.raises(CaseError, match="is a link"):
        library.save(made("a.example"))
    (outside / "case.toml").write_text("x")
    library.delete("mine")
    assert (outside / "case.toml").exists()


def test_texts_of_a_case() -> None:
    case = loads(BEEBONE, "x.toml")
    assert list(indicators_of(case)) == [
        "ns1.timedate1.com",
        "*.thepicturehut.net",
        "203.0.113.7/32",
        "dga:newgoz",
    ]
