"""Names, sensors and reports in a browser: by mouse and by keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from web.browsing import elements_of
from web.hostile import CASE, UNSEEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from web.conftest import Served

NAMES = f"/cases/{CASE}/names"


@pytest.fixture(autouse=True)
def counted(served: Served) -> None:
    """Names are counted beside the server: wait until they are."""
    results = served.app.state.site.results
    assert results.wait(CASE, "names", internal=True, seconds=300).value is not None


def test_a_name_is_found_and_opened_with_the_keyboard(
    page: Page, axe: Callable[[Page], list[str]], sticking_out: Callable[[Page], list[str]]
) -> None:
    page.goto(NAMES)
    page.get_by_label("Name holds").fill("script")
    page.keyboard.press("Enter")
    page.wait_for_url("**/names?q=script*")
    link = page.locator("tbody th a").first
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{NAMES}/*")
    assert "<script>" in page.locator("h2 bdi").first.inner_text()
    assert elements_of(page, tuple(text for text in UNSEEN if "\n" not in text)) == []
    assert axe(page) == []
    assert sticking_out(page) == []


def test_a_heading_sorts_and_turns_the_order(page: Page) -> None:
    page.goto(NAMES)
    page.locator("thead").get_by_text("Clients").click()
    page.wait_for_url("**sort=clients*")
    head = page.locator("th[aria-sort]")
    assert head.get_attribute("aria-sort") == "descending"
    head.locator("a").click()
    page.wait_for_url("**reverse=true*")
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"


def test_a_report_is_made_and_told_without_loading_by_hand(page: Page) -> None:
    page.goto(f"/cases/{CASE}/reports")
    page.get_by_label("What").select_option("map-svg")
    page.get_by_role("button", name="Make it").click()
    row = page.locator("tr[data-report]").first
    made = row.get_attribute("data-report")
    row.get_by_text("Download").wait_for(timeout=300_000)
    row.get_by_role("button", name="Delete").click()
    page.locator(f"tr[data-report='{made}']").wait_for(state="detached")
