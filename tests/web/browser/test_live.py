"""An open page takes up new data by itself, and nothing under the reader's hand moves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from remnant.web.results.results import Result, Results
from web.browsing import Log, inaccessible, sticking_out
from web.changing import CASE, commit, settled
from web.conftest import Served, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from remnant.settings import Settings

HEARD = "() => document.getElementById('fresh-state').textContent === 'Live.'"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = settled(tmp_path)
    commit(found)
    return found


@pytest.fixture(autouse=True)
def _no_results(monkeypatch: pytest.MonkeyPatch) -> None:
    # What takes seconds comes by itself, later: these tests are about what comes at once.
    monkeypatch.setattr(Results, "get", lambda *_, **__: Result())


@pytest.fixture
def live(settings: Settings) -> Iterator[Served]:
    with serving(settings, beside=False) as running:
        yield running


@pytest.fixture
def opened(browser: Browser, live: Served) -> Iterator[Callable[..., Page]]:
    """Open a page of the case in one context, so that its tabs share a stream."""
    log = Log(live.url)
    log.forgiven = ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING"]
    context = browser.new_context(base_url=live.url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(20_000)
    log.watch(context)

    def open_page(path: str = f"/cases/{CASE}") -> Page:
        page = context.new_page()
        page.goto(path)
        page.wait_for_function(HEARD)
        return page

    yield open_page
    context.close()
    assert log.left() == []


def newest(page: Page) -> str:
    return str(page.locator("#fresh-data time").first.get_attribute("datetime"))


def until(true: Callable[[], Any], seconds: float) -> float:
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds, "it did not come true"
        time.sleep(0.02)
    return time.monotonic() - begun


def test_new_telemetry_is_seen_within_two_seconds(
    settings: Settings, opened: Callable[..., Page]
) -> None:
    page = opened()
    assert newest(page).startswith("2015-04-08T00")
    took = []
    for hour in (1, 2, 3):
        commit(settings, hour)
        start = f"2015-04-08T0{hour}"
        took.append(until(lambda start=start: newest(page).startswith(start), 15.0))  # type: ignore[misc]
        page.wait_for_timeout(1500)
    # Other tests share the processors: the quickest says what the page can do.
    assert min(took) < 2.0
    assert page.locator("#fresh-said").text_content() == "New data are shown."
    assert "ago" in str(page.locator("[data-ago]").first.text_content())


def test_focus_scroll_selection_details_and_what_scripts_made_stay(
    settings: Settings, opened: Callable[..., Page]
) -> None:
    page = opened()
    page.evaluate(
        """() => {
          const main = document.getElementById("main");
          const own = document.createElement("div");
          own.dataset.own = "";
          own.innerHTML = "<details open><summary>More</summary>text</details><input id=mine>";
          own.style.height = "3000px";
          main.append(own);
          document.getElementById("mine").focus();
          scrollTo(0, 700);
          window.kept = document.getElementById("main");
        }"""
    )
    commit(settings, 1)
    until(lambda: newest(page).startswith("2015-04-08T01"), 15.0)
    assert page.evaluate(
        """() => [document.activeElement.id, scrollY, document.querySelector("details").open,
                  window.kept === document.getElementById("main")]"""
    ) == ["mine", 700, True, True]


def test_marked_text_is_left_until_it_is_not_marked_any_more(
    settings: Settings, opened: Callable[..., Page]
) -> None:
    page = opened()
    page.evaluate(
        "() => getSelection().selectAllChildren(document.querySelector('#fresh-data time'))"
    )
    before = newest(page)
    commit(settings, 1)
    page.wait_for_timeout(1500)
    assert newest(page) == before
    assert page.evaluate("() => String(getSelection())")
    page.evaluate("() => getSelection().removeAllRanges()")
    until(lambda: newest(page) != before, 15.0)


def test_tabs_share_one_stream_and_all_are_told(
    settings: Settings, live: Served, opened: Callable[..., Page]
) -> None:
    pages = [opened() for _ in range(8)]
    assert live.app.state.site.live.streams <= 2
    commit(settings, 1)
    for page in pages:
        until(lambda page=page: newest(page).startswith("2015-04-08T01"), 15.0)  # type: ignore[misc]


def test_a_lost_connection_is_told_and_taken_up_again(settings: Settings, browser: Browser) -> None:
    from remnant.web.serving import bound

    place = bound("127.0.0.1", 0)
    port = place.getsockname()[1]
    place.close()
    context = browser.new_context()
    try:
        with serving(settings, beside=False, port=port) as first:
            page = context.new_page()
            page.goto(f"{first.url}/cases/{CASE}")
            page.wait_for_function(HEARD)
        page.wait_for_function(
            "() => /lost/.test(document.getElementById('fresh-state').textContent)"
        )
        commit(settings, 1)
        with serving(settings, beside=False, port=port):
            page.wait_for_function(HEARD)
            until(lambda: newest(page).startswith("2015-04-08T01"), 15.0)
    finally:
        context.close()


def test_without_scripts_the_age_and_a_link_stand_there(browser: Browser, live: Served) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(f"{live.url}/cases/{CASE}")
        assert "8 Apr 2015 00:00 UTC" in page.locator("#fresh").inner_text()
        page.get_by_role("link", name="Reload").click()
        assert page.url.endswith(f"/cases/{CASE}")
        assert not page.locator("meta[http-equiv]").count()
    finally:
        context.close()


def test_the_line_is_legible_to_all(opened: Callable[..., Page]) -> None:
    page = opened()
    assert inaccessible(page) == []
    assert sticking_out(page) == []
