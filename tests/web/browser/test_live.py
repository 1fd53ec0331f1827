"""An open page takes up new data by itself, and nothing under the reader's hand moves."""

from __future__ import annotations

import socket
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pytest

from remnant.web.results.results import Result, Results
from web.browsing import PATIENCE_S, Log, inaccessible, sticking_out, until
from web.changing import commit, settled
from web.conftest import Served, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

    from remnant.settings import Settings

HEARD: Final = "() => document.getElementById('fresh-state').textContent === 'Live.'"
NUMBERS: Final = count(1)
# The states that a page was told of, once it has dealt with them.
_HEARD_STATES: Final = """
globalThis.heard = new Set();
const told = Object.getOwnPropertyDescriptor(MessagePort.prototype, "onmessage");
Object.defineProperty(MessagePort.prototype, "onmessage", {...told, set(deal) {
  told.set.call(this, (event) => {
    deal(event);
    if (event.data?.state) heard.add(event.data.state);
  });
}});
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home in which each test has a case of its own."""
    return settled(tmp_path_factory.mktemp("live"), "nobodys")


@pytest.fixture
def case(settings: Settings) -> str:
    """A case with an hour of traffic."""
    name = f"taken-{next(NUMBERS)}"
    settled(settings.home.parent, name)
    commit(settings, case=name)
    return name


@pytest.fixture(autouse=True)
def _no_results(monkeypatch: pytest.MonkeyPatch) -> None:
    # What takes seconds comes by itself, later: these tests are about what comes at once.
    monkeypatch.setattr(Results, "get", lambda *_, **__: Result())


@pytest.fixture(scope="module")
def live(settings: Settings) -> Iterator[Served]:
    with serving(settings, beside=False) as running:
        yield running


@pytest.fixture
def opened(browser: Browser, live: Served, case: str) -> Iterator[Callable[..., Page]]:
    """Open a page of the case in one context, so that its tabs share a stream."""
    log = Log(live.url)
    context = browser.new_context(base_url=live.url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(1000 * PATIENCE_S)
    log.watch(context)

    def open_page(prepared: Callable[[Page], None] = lambda _: None) -> Page:
        page = context.new_page()
        prepared(page)
        page.goto(f"/cases/{case}")
        page.wait_for_function(HEARD)
        return page

    yield open_page
    context.close()
    assert log.left() == []


def newest(page: Page) -> str:
    return str(page.locator("#fresh-data time").first.get_attribute("datetime"))


def reaches(page: Page, hour: int) -> Callable[[], bool]:
    """Say whether the page shows data as far as an hour of the first day."""
    return lambda: newest(page).startswith(f"2015-04-08T0{hour}")


def test_new_telemetry_is_seen_without_loading_by_hand(
    settings: Settings, case: str, opened: Callable[..., Page]
) -> None:
    page = opened()
    assert reaches(page, 0)()
    for hour in (1, 2):
        commit(settings, hour, case=case)
        until(reaches(page, hour))
    assert page.locator("#fresh-said").text_content() == "New data are shown."
    assert "ago" in str(page.locator("[data-ago]").first.text_content())


@pytest.mark.speed
def test_new_telemetry_is_seen_within_two_seconds(
    settings: Settings, case: str, opened: Callable[..., Page]
) -> None:
    page = opened()
    took = []
    for hour in (1, 2, 3):
        commit(settings, hour, case=case)
        took.append(until(reaches(page, hour)))
        # The page lets some time pass between two updates.
        page.wait_for_timeout(1500)
    assert max(took) < 2.0, took


def test_news_that_come_while_the_page_fetches_itself_are_not_put_off(
    settings: Settings, case: str, opened: Callable[..., Page]
) -> None:
    held: list[tuple[Any, Any]] = []

    def hold(route: Any) -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    def prepared(page: Page) -> None:
        page.add_init_script(_HEARD_STATES)
        page.clock.install()

    page = opened(prepared)
    page.route(f"**/cases/{case}", hold)
    # From here on, time passes in the page as this test says.
    page.clock.pause_at(page.evaluate("() => Date.now() + 60_000"))
    commit(settings, 1, case=case)
    until(lambda: held, turn=lambda: page.clock.run_for(1))
    known = page.evaluate("() => heard.size")
    commit(settings, 2, case=case)
    until(lambda: page.evaluate("() => heard.size") > known)
    assert reaches(page, 0)()
    route, answer = held[0]
    route.fulfill(response=answer)
    until(reaches(page, 1))
    # A page that could not be fetched waits for five seconds; this one does not.
    page.clock.run_for(1_500)
    until(reaches(page, 2))


def test_focus_scroll_selection_details_and_what_scripts_made_stay(
    settings: Settings, case: str, opened: Callable[..., Page]
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
    commit(settings, 1, case=case)
    until(reaches(page, 1))
    assert page.evaluate(
        """() => [document.activeElement.id, scrollY, document.querySelector("details").open,
                  window.kept === document.getElementById("main")]"""
    ) == ["mine", 700, True, True]


def test_marked_text_is_left_until_it_is_not_marked_any_more(
    settings: Settings, case: str, opened: Callable[..., Page]
) -> None:
    page = opened()
    page.evaluate(
        """() => {
          getSelection().selectAllChildren(document.querySelector("#fresh-data time"));
          document.addEventListener("remnant:updated", () => { globalThis.updated = true; });
        }"""
    )
    commit(settings, 1, case=case)
    # The rest of the page has been changed, what is marked has not.
    page.wait_for_function("() => globalThis.updated")
    assert reaches(page, 0)()
    assert page.evaluate("() => String(getSelection())")
    page.evaluate("() => getSelection().removeAllRanges()")
    until(reaches(page, 1))


def test_tabs_share_one_stream_and_all_are_told(
    settings: Settings, live: Served, case: str, opened: Callable[..., Page]
) -> None:
    # Those of other tests may still be on their way out.
    until(lambda: live.app.state.site.live.streams == 0)
    # A browser opens six connections to one server.
    pages = [opened() for _ in range(7)]
    until(lambda: live.app.state.site.live.streams == 1)
    commit(settings, 1, case=case)
    for page in pages:
        until(reaches(page, 1))


def test_a_lost_connection_is_told_and_taken_up_again(
    settings: Settings, case: str, browser: Browser
) -> None:
    with socket.socket() as place:
        # Bound and not listening: nobody else is given this port while no server is there.
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
        context = browser.new_context()
        context.set_default_timeout(1000 * PATIENCE_S)
        try:
            with serving(settings, beside=False, port=port) as first:
                page = context.new_page()
                page.goto(f"{first.url}/cases/{case}")
                page.wait_for_function(HEARD)
            page.wait_for_function(
                "() => /lost/.test(document.getElementById('fresh-state').textContent)"
            )
            commit(settings, 1, case=case)
            with serving(settings, beside=False, port=port):
                page.wait_for_function(HEARD)
                until(reaches(page, 1))
        finally:
            context.close()


def test_after_a_sleep_of_hours_the_stream_is_opened_anew(opened: Callable[..., Page]) -> None:
    asked: list[str] = []

    def prepared(page: Page) -> None:
        # With a stream of the page's own, whose time this test can set.
        page.add_init_script("delete globalThis.SharedWorker")
        page.clock.install()
        page.on("request", lambda request: asked.append(request.url))

    def streams() -> int:
        return sum("/live?" in url for url in asked)

    page = opened(prepared)
    assert streams() == 1
    # Awake, nothing is opened anew.
    page.clock.run_for(120_000)
    assert streams() == 1
    page.clock.fast_forward("03:00:00")
    until(lambda: streams() == 2, turn=lambda: page.clock.run_for(1_000))
    page.wait_for_function(HEARD)


def test_without_scripts_the_age_and_a_link_stand_there(
    browser: Browser, live: Served, case: str
) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(f"{live.url}/cases/{case}")
        assert "8 Apr 2015 00:00 UTC" in page.locator("#fresh").inner_text()
        with page.expect_navigation():
            page.get_by_role("link", name="Reload").click()
        assert page.url.endswith(f"/cases/{case}")
        assert not page.locator("meta[http-equiv]").count()
    finally:
        context.close()


def test_the_line_is_legible_to_all(opened: Callable[..., Page]) -> None:
    page = opened()
    assert inaccessible(page) == []
    assert sticking_out(page) == []
