from __future__ import annotations

from typing import TYPE_CHECKING, Any

from remnant.cases.rules import compile_rules
from remnant.report.intake import intake, watchlist_age
from remnant.watchlist import Watchlist
from report.madeup import START, make_case, make_settings, make_view

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_sources_are_grouped_and_counted() -> None:
    view: Any = make_view(2)
    view.sources = view.sources * 3
    (group,) = intake(view, ()).sources
    assert (group.sources, group.bytes, group.records) == (3, 3000, 27)
    assert group.first == START
    assert intake(view, ()).source_count == 3


def test_a_source_read_with_todays_watchlist_is_not_old(tmp_path: Path) -> None:
    view: Any = make_view(1)
    case = make_case()
    rules = compile_rules(case)
    view.sources[0].watchlist = Watchlist.compile(rules).digest(case.name)
    age, _ = watchlist_age(view, case, rules, make_settings(tmp_path))
    assert (age.entries, age.older_sources, age.added_total) == (1, 0, 0)


def test_names_added_after_the_first_version_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = START.replace(year=2016)
    monkeypatch.setattr(
        "remnant.cases.library.Library.watched_since",
        lambda *_: {"old.example": START, "new.example": later, "older.example": START},
    )
    case = make_case()
    age, _ = watchlist_age(make_view(1), case, compile_rules(case), make_settings(tmp_path))  # type: ignore[arg-type]
    assert age.added == (("new.example", later),)
    assert age.older_sources == 1


def test_a_source_read_for_a_case_without_rules_is_not_old(tmp_path: Path) -> None:
    view: Any = make_view(1)
    view.sources[0].watchlist = Watchlist.compile(()).digest("test")
    age, _ = watchlist_age(view, make_case(watches=()), (), make_settings(tmp_path))
    assert (age.entries, age.older_sources) == (0, 0)
