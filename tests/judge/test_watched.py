from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from estimate.fakeview import START, hourly_view, settings
from remnant.cases.library import Library
from remnant.cases.model import Case, Watch
from remnant.judge.verdict import judge
from remnant.judge.watched import current_digest, watched

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CASE = Case("test", "Test botnet", START, (Watch(names=("one.example",)),))
MORE = replace(CASE, watches=(Watch(names=("one.example", "\x1b.example")),))


def view(digest: str) -> Any:
    one = SimpleNamespace(
        id="s1",
        watchlist=digest,
        first=START,
        last=START + timedelta(days=30),
        read_at=START,
        messages=20,
        query_messages=10,
    )
    return hourly_view(lambda _, __: 100, 30, sources=[one])


def test_sources_of_the_present_watchlist_are_not_older() -> None:
    found = watched(view(current_digest(CASE)), CASE, settings())

    assert (found.sources, found.older, found.age, found.since) == (1, 0, None, None)


def test_a_name_that_was_added_makes_sources_older() -> None:
    assert watched(view(current_digest(CASE)), MORE, settings()).age == (
        "1 of 1 source was read with an older watchlist"
    )


def test_a_case_that_watches_nothing_has_a_digest_too() -> None:
    nothing = replace(CASE, watches=())

    assert watched(view(current_digest(nothing)), nothing, settings()).older == 0


def test_the_verdict_says_what_is_watched_since_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(tmp_path)
    times = {"one.example": START, "\x1b.example": START + timedelta(days=9)}
    monkeypatch.setattr(Library, "watched_since", lambda *_: times)
    chosen = settings()
    chosen.home = library.path("test").parents[2]

    found = judge(view(current_digest(CASE)), MORE, chosen)

    told = {str(item["id"]): str(item["sentence"]) for item in found.to_json()["evidence"]}  # type: ignore[attr-defined]
    assert found.rule == "guard_failed"
    assert "1 of 1 source was read with an older watchlist" in told["older_watchlist"]
    assert "example since 2015-04-17" in told["watched_since"]
    assert "\x1b" not in told["watched_since"]
