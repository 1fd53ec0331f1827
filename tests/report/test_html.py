from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from remnant.errors import RemnantError
from remnant.report.facts import NameRow
from remnant.report.html import POLICY, render, write
from remnant.windows import Window
from report.sample import (
    HOSTILE,
    START,
    empty_content,
    hostile_content,
    make_content,
    make_days,
    make_trend,
    pulse,
)

if TYPE_CHECKING:
    from pathlib import Path

VOID = {"meta", "br", "hr", "img", "input", "link", "rect", "path", "line"}
OPTIONAL = {"td", "tr"}  # whose end tags HTML lets one leave out
LIMIT = 500_000


class Page(HTMLParser):
    """What stands in a page; raises on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in OPTIONAL and tag in self.open[-2:]:
            while self.open.pop() != tag:
                pass
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self.open[-1] in OPTIONAL and self.open[-1] != tag:
            self.open.pop()
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def full() -> str:
    return render(make_content(slowest_half_life_days=180.0))


@pytest.fixture(scope="module")
def hostile() -> str:
    return render(hostile_content())


@pytest.fixture(scope="module")
def empty() -> str:
    return render(empty_content())


@pytest.mark.parametrize("which", ["full", "hostile", "empty"])
def test_pages_are_whole_and_fetch_and_run_nothing(
    which: str, request: pytest.FixtureRequest
) -> None:
    text = request.getfixturevalue(which)
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert len(text.encode()) <= LIMIT
    policies = [a["content"] for a in page.all("meta") if "http-equiv" in a]
    assert policies == [POLICY]
    names = {name for name, _ in page.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    for _, attrs in page.tags:
        assert not any(name.startswith("on") for name in attrs)
        for name in ("src", "href", "xlink:href", "data", "action", "srcset", "poster"):
            assert (attrs.get(name) or "#").startswith("#")
        for name, value in attrs.items():
            assert name.startswith("xmlns") or "//" not in (value or "")
    assert "url(" not in text
    assert "@import" not in text
    assert not re.search(r"https?://(?!www\.w3\.org/(2000/svg|1999/xlink))", text)


@pytest.mark.parametrize("which", ["full", "hostile", "empty"])
def test_headings_descend_in_order_and_ids_are_single(
    which: str, request: pytest.FixtureRequest
) -> None:
    page = Page(request.getfixturevalue(which))
    levels = [int(name[1]) for name, _ in page.tags if re.fullmatch(r"h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attrs["id"] for _, attrs in page.tags if attrs.get("id")]
    assert len(ids) == len(set(ids))
    for _, attrs in page.tags:
        for name in ("aria-labelledby",):
            assert attrs.get(name) is None or attrs[name] in ids
        target = attrs.get("href")
        assert target is None or target.removeprefix("#") in ids


def test_figures_have_words_and_tables_have_heads(full: str) -> None:
    page = Page(full)
    drawings = [a for a in page.all("svg") if "pulse" not in (a.get("class") or "")]
    assert len(drawings) == 8
    assert all(a["role"] == "img" and a["aria-label"] for a in drawings)
    assert all(a.get("aria-hidden") for a in page.all("svg") if a.get("class") == "pulse")
    assert all(a.get("scope") in {"col", "row"} for a in page.all("th"))
    regions = [a for a in page.all("div") if a.get("class") == "scroll"]
    assert all(a.get("tabindex") == "0" and a.get("aria-label") for a in regions)


def test_strangers_words_are_escaped_everywhere(hostile: str) -> None:
    page = Page(hostile)
    assert "<script" not in hostile
    assert "alert(1)" in page.text  # it is shown, as text
    for char in ("\u202e", "\x1b"):
        assert char not in hostile
    assert "\\u202e" in page.text
    assert "[bold]" in page.text
    assert not page.all("b") or all(set(a) <= {"aria-hidden"} for a in page.all("b"))


def test_the_page_answers_the_questions(full: str) -> None:
    words = Page(full).text
    for told in (
        "SIMULATED: no figure on this page is a measurement of a real botnet.",
        "No effective clean-up",
        "halves the number in 180 days",
        "10,120",
        "95 % interval 9,800 to 10,450",
        "counted, not estimated",
        "3 of 196 sources were read with another watchlist",
        "ns9.chopbell.com",
        "resolver-b",
        "truncated 8",
        "What these numbers cannot say",
        "never added together",
        "reference data of 2015-04-01",
        "AS64512 Simulated IR network 0",
        "seized",
        "live",
        "<10",
    ):
        assert told in words, told
    assert words.index("failed") < words.index("passed") < words.index("unavailable")


def test_light_and_dark_are_both_there(full: str) -> None:
    assert "prefers-color-scheme:dark" in full
    assert full.count("--ink:") == 3  # light, dark, print
    assert "var(--accent)" in full


def test_an_empty_case_makes_a_page(empty: str) -> None:
    words = Page(empty).text
    assert "Cannot tell yet" in words
    assert "2015-05-20" in words
    assert "SIMULATED" not in words
    assert "No client was seen" in words
    assert "No watched name was asked for" in words


def test_three_years_and_three_hundred_countries_stay_small() -> None:
    content = make_content()
    days = make_days(1095, gaps=tuple(range(0, 1095, 9)))
    row = content.networks[0]
    name = ".".join(["x" * 63] * 3)
    text = render(
        replace(
            content,
            window=Window(START, START + timedelta(days=1095)),
            days=days,
            trend=make_trend(days),
            countries=content.countries * 2,
            countries_total=300,
            networks=(replace(row, as_name="N" * 500, pulse=pulse(1e9, 40)),) * 25,
            names=(NameRow(name, 10**15, 10**12, "seized", "c2"),) * 25,
        )
    )
    assert len(text.encode()) <= LIMIT
    Page(text)


def test_an_internal_report_says_so() -> None:
    words = Page(render(make_content(internal=True, minimum_count=0))).text
    assert "INTERNAL" in words


@given(st.text(max_size=80))
@hypothesis_settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_name_leaves_the_page_whole(name: str) -> None:
    content = make_content(title=name, networks=(), countries=())
    page = Page(render(replace(content, names=(NameRow(name, 99, 99, name, name),))))
    assert "script" not in {tag for tag, _ in page.tags}


def test_writing_replaces_the_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.html"
    write(empty_content(), path)
    write(make_content(title=HOSTILE), path)
    assert "No effective clean-up" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_a_folder_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RemnantError, match="cannot be written"):
        write(empty_content(), tmp_path / "file" / "report.html")


def test_the_title_of_a_simulated_case_says_it_once() -> None:
    text = render(make_content(title="BeeBone (SIMULATED: no real victims)"))
    assert "<h1><bdi>BeeBone</bdi></h1>" in text
    assert "<title>SIMULATED: BeeBone: what is left</title>" in text
    assert "SIMULATED: no real victims. No figure on this page is a measurement" in text
