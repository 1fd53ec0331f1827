"""The map in a browser: every task by pointer and by keys, as text, without scripts, hostile."""

from __future__ import annotations

import re
import struct
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import pytest

from remnant.web.results.results import Result
from report.mapsample import sample
from web import maps
from web.browsing import PATIENCE_S, elements_of, expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page

    from web.conftest import Served

PATH: Final = "/cases/taken/map"
SAID: Final = "#map [data-map=said]"
PANEL: Final = "#map [data-map=panel]"


@pytest.fixture(autouse=True)
def the_map(own: Served) -> None:
    maps.put(own.app, maps.ready(maps.chart(sample())))


def opened(new_page: Callable[..., Page], query: str = "", **options: Any) -> Page:
    page = new_page(**({"reduced_motion": "reduce"} | options))
    page.goto(PATH + query)
    drawn(page)
    return page


def drawn(page: Page) -> None:
    """Wait until the map stands there, and nothing of it is still to be fetched."""
    page.wait_for_selector("#map[data-complete]")


def state(page: Page) -> dict[str, list[str]]:
    """Return what the address keeps, once nothing moves any more."""
    page.wait_for_function(
        "() => !mapPage.view.running && mapPage.view.told === mapPage.view.camera"
    )
    return parse_qs(page.evaluate("() => location.search.slice(1)"))


def choose(page: Page, value: str) -> None:
    page.fill("#map-find", value)
    page.press("#map-find", "Enter")


def shades(page: Page) -> int:
    found: int = page.evaluate(
        """() => {
          const canvas = document.getElementById("map-canvas");
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          return new Set(new Uint32Array(data.buffer)).size;
        }"""
    )
    return found


def test_a_thing_is_found_told_and_kept_in_the_address(own_page: Callable[..., Page]) -> None:
    page = opened(own_page)
    assert shades(page) > 50
    page.keyboard.press("Tab")
    page.fill("#map-find", "d0.c1")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert page.inner_text(f"{PANEL} h3") == "d0.c1.example"
    assert "First seen" in page.inner_text(PANEL)
    assert "d0.c1.example" in page.inner_text(SAID)
    kept = state(page)
    assert kept["node"] == ["domain d0.c1.example"]
    assert "at" in kept
    again = own_page()
    again.goto(page.evaluate("() => location.href"))
    drawn(again)
    assert again.inner_text(f"{PANEL} h3") == "d0.c1.example"


def test_keys_walk_from_neighbour_to_neighbour(own_page: Callable[..., Page]) -> None:
    page = opened(own_page, "?node=domain%20d0.c1.example")
    page.focus("#map-canvas")
    page.keyboard.press("]")
    assert re.match(r"1 of \d+: ", page.inner_text(SAID))
    page.keyboard.press("]")
    page.keyboard.press("[")
    page.keyboard.press("Enter")
    there = page.inner_text(f"{PANEL} h3")
    assert there != "d0.c1.example"
    assert "d0.c1.example" in page.inner_text(PANEL)
    page.keyboard.press("Escape")
    assert page.inner_text(SAID) == "Nothing is chosen."
    page.keyboard.press("f")
    assert page.evaluate("() => document.activeElement.id") == "map-find"


def test_keys_and_wheel_move_and_zoom(own_page: Callable[..., Page]) -> None:
    page = opened(own_page)
    page.focus("#map-canvas")
    assert "at" not in state(page)
    page.keyboard.press("ArrowRight")
    x, _, k = map(float, state(page)["at"][0].split(","))
    page.keyboard.press("+")
    zoomed = float(state(page)["at"][0].split(",")[2])
    assert zoomed == pytest.approx(1.3 * k, rel=0.01)
    box = page.locator("#map-canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.wheel(0, -240)
    # Nobody waits for a wheel to be turned.
    page.wait_for_function("(k) => mapPage.view.camera.k > 1.01 * k", arg=zoomed)
    at = [float(part) for part in state(page)["at"][0].split(",")]
    assert at[2] > zoomed
    assert at[0] < x
    page.keyboard.press("0")
    assert "at" not in state(page)


def middle(page: Page) -> tuple[float, float]:
    """Return where what was searched for lies: the middle of the canvas."""
    box = page.locator("#map-canvas").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_click_chooses_a_double_click_zooms_a_drag_pins(own_page: Callable[..., Page]) -> None:
    page = opened(own_page)
    choose(page, "d0.c1.example")
    x, y = middle(page)
    page.focus("#map-canvas")
    page.keyboard.press("Escape")
    page.mouse.move(x, y)
    expect(page.locator("#map [data-map=tip]")).to_contain_text("d0.c1.example")
    page.mouse.click(x, y)
    expect(page.locator(f"{PANEL} h3")).to_have_text("d0.c1.example")
    k = float(state(page)["at"][0].split(",")[2])
    page.mouse.dblclick(x, y)
    page.wait_for_function("(k) => mapPage.view.camera.k > 1.01 * k", arg=k)
    assert float(state(page)["at"][0].split(",")[2]) > k
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 40, steps=4)
    page.mouse.up()
    expect(page.locator(SAID)).to_contain_text("Pinned")
    page.mouse.click(x + 60, y + 40)
    expect(page.locator(f"{PANEL} h3")).to_have_text("d0.c1.example")
    page.reload()
    drawn(page)
    assert page.inner_text("#map [data-map=unpin]") == "Unpin 1"
    page.click("#map [data-map=unpin]")
    assert page.is_hidden("#map [data-map=unpin]")


def test_fingers_move_and_zoom(own_page: Callable[..., Page]) -> None:
    page = opened(own_page, viewport={"width": 360, "height": 800}, has_touch=True)
    page.evaluate(
        """() => {
          const canvas = document.getElementById("map-canvas");
          const box = canvas.getBoundingClientRect();
          const send = (name, id, x, y) => canvas.dispatchEvent(new PointerEvent(name, {
            pointerId: id, pointerType: "touch", clientX: box.left + x, clientY: box.top + y,
            bubbles: true, cancelable: true}));
          send("pointerdown", 1, 100, 150); send("pointerdown", 2, 200, 150);
          for (let k = 1; k <= 10; k++) {
            send("pointermove", 1, 100 - 5 * k, 150); send("pointermove", 2, 200 + 5 * k, 150);
          }
          send("pointerup", 1, 50, 150); send("pointerup", 2, 250, 150);
        }"""
    )
    before = page.evaluate("() => innerWidth")
    assert before == 360
    k = float(state(page)["at"][0].split(",")[2])
    page.reload()
    drawn(page)
    page.goto(PATH)
    drawn(page)
    page.click("#map [data-map=in]")
    fitted = float(state(page)["at"][0].split(",")[2]) / 1.5
    assert k == pytest.approx(2 * fitted, rel=0.05)


def test_days_are_played_and_a_gap_is_told(own_page: Callable[..., Page]) -> None:
    page = opened(own_page)
    all_days = shades(page)
    page.click("[data-days=play]")
    page.wait_for_function("() => mapPage.state.day > mapPage.data.firstDay")
    page.click("[data-days=play]")
    first = state(page)["day"][0]
    assert first > "2015-04-01"
    page.focus("[data-days=range]")
    page.keyboard.press("ArrowRight")
    assert state(page)["day"][0] > first
    page.goto(f"{PATH}?day=2015-04-08")
    drawn(page)
    assert "a gap, not zero" in page.inner_text("[data-days=said]")
    page.click("[data-days=forth]")
    assert re.search(r"9 April 2015 · \d+ things seen · [\d,]+ requests",
                     page.inner_text("[data-days=said]"))  # fmt: skip
    page.click("[data-days=all]")
    assert "day" not in state(page)
    assert shades(page) == pytest.approx(all_days, rel=0.3)


def test_folds_open_where_they_lie(own_page: Callable[..., Page]) -> None:
    page = opened(own_page)
    count = "() => mapPage.scene.nodes.length"
    shows = "(number) => mapPage.scene.nodes.length === number"
    folded = page.evaluate(count)
    page.focus("[data-map=fold]")
    page.keyboard.press("End")
    # What is folded is fetched when somebody unfolds it.
    page.wait_for_function(shows, arg=len(sample()))
    assert state(page)["fold"] == ["never"]
    page.keyboard.press("Home")
    page.wait_for_function(shows, arg=folded)
    # One fold by itself.
    name = page.evaluate(
        "() => { const d = mapPage.data; const n = [...d.size].findIndex((s) => s > 1);"
        " return d.value[d.member(n, 0)]; }"
    )
    choose(page, name)
    page.click("text=Fold again")
    page.wait_for_function(shows, arg=folded)
    page.click(f"{PANEL} button:has-text('Unfold')")
    page.wait_for_function("(folded) => mapPage.scene.nodes.length > folded", arg=folded)
    assert len(state(page)["open"]) == 1


def test_colours_and_sizes_follow_attributes(own_page: Callable[..., Page]) -> None:
    page = opened(own_page)
    for colour in ("state", "cluster", "asn", "country", "score", "kind"):
        page.select_option("[data-map=colour]", colour)
        legend = page.locator("[data-map=colours] li").count()
        assert (legend > 0) == (colour != "kind"), colour
        assert state(page).get("colour", ["kind"]) == [colour]
        for size in ("degree", "clients", "members", "score"):
            before = page.evaluate("() => [...mapPage.looks.radius.slice(0, 50)]")
            page.select_option("[data-map=size]", size)
            assert page.evaluate("() => [...mapPage.looks.radius.slice(0, 50)]") != before, size
            assert page.inner_text("[data-map=sizes]").startswith("Area: ")
        assert state(page)["size"] == ["score"]


def test_kinds_are_hidden(own_page: Callable[..., Page]) -> None:
    page = opened(own_page)
    before = page.evaluate("() => mapPage.scene.nodes.length")
    page.uncheck("input[data-kind=address]")
    assert page.evaluate("() => mapPage.scene.nodes.length") < before
    assert state(page)["hide"] == ["address"]
    assert page.evaluate("() => document.activeElement.dataset.kind") == "address"


def test_what_is_seen_is_saved_at_twice_the_pixels(own_page: Callable[..., Page]) -> None:
    page = opened(own_page)
    with page.expect_download() as begun:
        page.click("[data-map=png]")
    path = begun.value.path()
    data = path.read_bytes()
    wide, high = struct.unpack(">II", data[16:24])
    box = page.locator("#map-canvas").bounding_box()
    assert box is not None
    assert wide == 2 * round(box["width"])
    assert high > 2 * box["height"]
    assert len(data) > 20_000
    assert begun.value.suggested_filename == "taken-map.png"


def test_hostile_names_stay_text_on_the_page_and_on_the_canvas(
    own_page: Callable[..., Page], own: Served
) -> None:
    maps.put(own.app, maps.ready(maps.hostile_chart()))
    page = own_page()
    page.add_init_script(
        """globalThis.written = [];
        const fill = CanvasRenderingContext2D.prototype.fillText;
        CanvasRenderingContext2D.prototype.fillText = function (text, ...more) {
          written.push(text); return fill.call(this, text, ...more); };"""
    )
    page.goto(PATH)
    drawn(page)
    page.focus("[data-map=fold]")
    page.keyboard.press("End")
    page.wait_for_function("() => mapPage.data.own && !mapPage.view.running")
    for name in ("evil", "bell", "line"):
        page.fill("#map-find", name)
        assert "\\" in page.inner_text("#map-found")
        page.press("#map-find", "Enter")
    written = "".join(page.evaluate("() => written"))
    assert "\\u202e" in written
    assert not re.search("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\ufffe]", written)
    assert elements_of(page, ("\u202e", "\x07")) == []


def test_axe_finds_nothing_with_a_thing_chosen(
    own_page: Callable[..., Page], axe: Callable[[Page], list[str]]
) -> None:
    page = opened(own_page, "?node=domain%20d0.c1.example&day=2015-04-10&colour=asn")
    assert axe(page) == []
    page.goto(f"{PATH}/table?find=c1")
    assert axe(page) == []


def test_nothing_sticks_out(
    own_page: Callable[..., Page], sticking_out: Callable[[Page], list[str]]
) -> None:
    page = opened(own_page, "?node=domain%20d0.c1.example")
    assert sticking_out(page) == []
    page.goto(f"{PATH}/table?of=links")
    assert sticking_out(page) == []


def test_without_scripts_there_are_a_picture_and_tables(own_page: Callable[..., Page]) -> None:
    page = own_page(java_script_enabled=False)
    page.goto(PATH)
    picture = page.locator("img.figure")
    assert picture.is_visible()
    assert page.locator("img.figure").evaluate("(image) => image.naturalWidth") > 500
    assert page.locator("#map").is_hidden()
    assert page.locator("table caption").count() >= 2
    page.click("text=things as a table")
    page.wait_for_url("**/map/table*")
    page.click("text=More rows")
    page.wait_for_url("**after=*")
    assert page.locator("tbody tr").count() == 100
    page.click("th >> text=Neighbours")
    page.wait_for_url("**sort=*")
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Neighbours")


def test_a_map_in_the_making_comes_by_itself(own_page: Callable[..., Page], own: Served) -> None:
    maps.put(own.app, Result(is_working=True))
    page = own_page()
    page.goto(PATH)
    assert "being worked out" in page.inner_text("main")
    maps.put(own.app, maps.ready(maps.chart(sample())))
    drawn(page)


@pytest.mark.parametrize("body", ["{", "[]", '{"nodes": 3}', "null"])
def test_what_is_no_map_is_told_as_such(browser: Browser, own: Served, body: str) -> None:
    page = browser.new_page(base_url=own.url)
    page.set_default_timeout(1000 * PATIENCE_S)
    page.route("**/map/viewer.json*", lambda route: route.fulfill(body=body))
    page.goto(PATH)
    page.wait_for_selector("#map [data-map=loading] >> text=The map cannot be drawn here")
    assert "The tables below hold all of it" in page.inner_text("#map [data-map=loading]")
    page.close()


@pytest.mark.parametrize("body", ["{", "[]", '{"starts": 3}', "null"])
def test_a_map_without_its_days_is_still_a_map(browser: Browser, own: Served, body: str) -> None:
    page = browser.new_page(base_url=own.url)
    page.set_default_timeout(1000 * PATIENCE_S)
    page.route("**/map/days.json*", lambda route: route.fulfill(body=body))
    page.goto(PATH)
    drawn(page)
    assert page.inner_text(SAID) == "Requests of each day could not be loaded."
    assert page.is_hidden("#map [data-map=loading]")
    assert shades(page) > 50
    page.click("[data-days=forth]")
    assert "day" in state(page)
    page.close()


def test_a_newer_map_is_offered_and_comes_when_it_is_asked_for(
    own_page: Callable[..., Page], own: Served
) -> None:
    page = opened(own_page)
    page.wait_for_function("() => document.getElementById('fresh-state').textContent === 'Live.'")
    choose(page, "d0.c1.example")
    page.press("#map-canvas", "+")
    chosen = state(page)
    assert chosen["node"]
    before = page.evaluate("() => mapPage.view.camera.k")
    value = maps.chart(sample())
    maps.put(own.app, Result(value, maps.MADE, is_current=False, is_working=True))
    maps.tell(own.app, "taken")
    page.wait_for_selector("#map-state >> text=A newer map is being worked out.")
    assert page.inner_text("#map-newer") == ""
    maps.put(own.app, maps.ready(value, maps.MADE + timedelta(hours=3)))
    maps.tell(own.app, "taken")
    page.wait_for_selector("#map-newer a")
    assert page.inner_text("#map-newer") == "A newer map of 2 Jun 2015 15:30 UTC is there: show it."
    assert page.inner_text("#map-state") == ""
    # Nothing moved, and nothing that was chosen is lost.
    assert page.evaluate("() => mapPage.view.camera.k") == before
    assert state(page) == chosen
    page.click("#map-newer a")
    page.wait_for_selector("#map[data-ready][data-made*='T15:30']")
    assert state(page)["node"] == chosen["node"]
    assert page.inner_text("#map-newer") == ""
