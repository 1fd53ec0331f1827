"""The curves of a case in a browser: read and zoomed by pointer and by keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from web.browsing import expect, until
from web.hostile import CASE

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

PATH = f"/cases/{CASE}"


def _opened(page: Page, path: str = f"{PATH}?step=hour") -> None:
    page.goto(path)
    page.locator("#requests .hint").wait_for()


def test_the_pointer_reads_a_value_and_a_drag_zooms(page: Page) -> None:
    _opened(page)
    plot = page.locator("#requests .plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    # The numbers are fetched now: what is pointed at stands there as soon as they have come.
    page.mouse.move(*middle)
    expect(page.locator("#requests .readout")).to_contain_text("requests")
    page.mouse.down()
    page.mouse.move(middle[0] + 120, middle[1], steps=4)
    expect(page.locator("#requests .brush")).to_have_count(1)
    page.mouse.up()
    page.wait_for_url("**since=**")
    query = parse_qs(urlsplit(page.url).query)
    assert query["since"][0] < query["until"][0]
    assert query["step"] == ["hour"]


def test_a_drag_that_ends_before_the_numbers_have_come_zooms_too(page: Page) -> None:
    _opened(page)
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/requests.json*", hold)
    plot = page.locator("#requests .plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 120, middle[1], steps=4)
    page.mouse.up()
    until(lambda: held, turn=lambda: page.wait_for_timeout(20))
    held[0].continue_()
    page.wait_for_url("**since=**")


def test_keys_read_values_mark_a_span_and_zoom(page: Page) -> None:
    _opened(page)
    plot = page.locator("#requests .plot")
    plot.focus()
    plot.press("Home")
    expect(plot).to_have_attribute("aria-valuetext", re.compile("requests"))
    first = plot.get_attribute("aria-valuetext")
    plot.press("ArrowRight")
    expect(plot).not_to_have_attribute("aria-valuetext", str(first))
    for _ in range(3):
        plot.press("Shift+ArrowRight")
    expect(plot).to_have_attribute("aria-valuetext", re.compile("4 marked"))
    plot.press("Enter")
    page.wait_for_url("**since=**")
    page.locator("#requests .hint").wait_for()
    page.go_back()
    page.wait_for_url("**step=hour")


def test_without_scripts_the_form_chooses_the_window(new_page: Callable[..., Page]) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(PATH)
    assert page.locator("#online svg.wide").is_visible()
    form = page.locator("form.choose")
    form.locator("[name=since]").fill("2015-04-09")
    form.locator("[name=step]").select_option("hour")
    form.locator("[name=log]").check()
    form.locator("button").click()
    page.wait_for_url("**since=**")
    query = parse_qs(urlsplit(page.url).query)
    assert query["since"] == ["2015-04-09"]
    assert query["log"] == ["true"]
    assert "per hour" in page.locator("#requests h3").inner_text()


def test_a_figure_is_explored_on_demand_under_the_same_policy(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(PATH)
    page.get_by_role("button", name="Explore: Requests").wait_for()
    assert not [url for url in asked if "/vega/" in url]
    page.get_by_role("button", name="Explore: Requests").click()
    page.locator("#requests .vega canvas").wait_for()
    assert [url for url in asked if "/vega/" in url]


@pytest.mark.parametrize("width", [360, 1440])
def test_the_drawing_that_fits_is_shown(new_page: Callable[..., Page], width: int) -> None:
    page = new_page(viewport={"width": width, "height": 900})
    page.goto(PATH)
    name = "narrow" if width == 360 else "wide"
    other = "wide" if width == 360 else "narrow"
    assert page.locator(f"#online svg.{name}").is_visible()
    assert not page.locator(f"#online svg.{other}").is_visible()
