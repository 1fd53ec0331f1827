"""The cases that come with the program."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from remnant.cases.casefile import loads
from remnant.cases.dump import dumps
from remnant.cases.library import BUILT_IN, built_in
from remnant.cases.preview import preview
from remnant.cases.rules import compile_rules
from remnant.errors import CaseError

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_case_is_in_order(name: str) -> None:
    case = built_in(name)
    assert case.name == name
    assert case.duplicates == 0
    found = preview(case, now=NOW)
    assert found.warnings == ()
    assert found.kinds["exact"] > 50
    assert all(watch.source for watch in case.watches)
    assert all(event.source for event in case.events)
    assert loads(dumps(case), name) == case


@pytest.mark.parametrize(
    ("name", "takedown"),
    [
        ("beebone", datetime(2015, 4, 8, tzinfo=UTC)),
        ("kelihos", datetime(2017, 4, 8, tzinfo=UTC)),
        ("zbot", datetime(2014, 6, 2, tzinfo=UTC)),
        ("conficker", datetime(2009, 2, 12, tzinfo=UTC)),
    ],
)
def test_takedowns(name: str, takedown: datetime) -> None:
    assert built_in(name).takedown == takedown


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_benign_site_is_watched(name: str) -> None:
    texts = {text for watch in built_in(name).watches for text in watch.names}
    assert not any(text.endswith(("pudn.com", ".onion", "tor2web.org")) for text in texts)
    assert all(watch.addresses == () for watch in built_in(name).watches)


def test_only_what_was_published_as_seized_is_called_so() -> None:
    seized = {
        text
        for name in BUILT_IN
        for watch in built_in(name).watches
        for text in watch.names
        if watch.state != "unknown"
    }
    assert seized == {"gorodkoff.com", "goloduha.info", "combach.com"}


def test_zbot_generates_names_of_newgoz_by_day_and_of_murofet_by_week() -> None:
    found = compile_rules(built_in("zbot"))
    assert sum(rule.valid_from is not None for rule in found) == 54 * 1000 + 16 * 1020


def test_no_other_case_is_built_in() -> None:
    with pytest.raises(CaseError, match="no such built-in case"):
        built_in("../beebone")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("beebone", {"aaeh", "beebone", "changeup", "vobfus"}),
        ("kelihos", {"kelihos", "hlux"}),
        ("zbot", {"zeus", "citadel", "gameover-zeus-dga"}),
        ("conficker", {"conficker", "downadup", "kido"}),
    ],
)
def test_victim_reports_are_recognised_by_the_names_they_use(name: str, words: set[str]) -> None:
    assert words <= {word for watch in built_in(name).watches for word in watch.families}


def test_no_word_is_of_two_built_in_families() -> None:
    words = [w for name in BUILT_IN for watch in built_in(name).watches for w in watch.families]

    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("conficker", {"conficker-a": 12_000, "conficker-b": 12_000}),
        ("zbot", {"newgoz": 54_000, "murofet-v1": 16_320}),
    ],
)
def test_generated_names_are_few_enough_for_every_command(
    name: str, counts: dict[str, int]
) -> None:
    found = preview(built_in(name), now=NOW)
    assert {each.family: each.names for each in found.generated} == counts
    assert len(compile_rules(built_in(name))) <= sum(found.kinds.values()) + sum(counts.values())
