"""The dashboard in Firefox: what people do with pages, curves and the map, by pointer and keys."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import pytest

from remnant.web.results.results import Result, Results
from report.mapsample import sample
from web import firefox, maps
from web.browsing import until
from web.changing import commit, settled
from web.conftest import Served, serving
from web.hostile import CASE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from web.firefox import Firefox

MAP: Final = "/cases/taken/map"
PANEL: Final = "document.querySelector('#map [data-map=panel]').innerText"
SAID: Final = "document.querySelector('#map [data-map=said]').innerText"
AT: Final = "(new URLSearchParams(location.search).get('at') || '').split(',').map(Number)"
STILL: Final = "!mapPage.view.running && mapPage.view.told === mapPage.view.camera"
PAGES: Final = (
    "", "/networks", "/networks/64500", "/countries/DE", "/names", "/servers", "/clients",
    "/sensors", "/map", "/map/table", "/compare", "/reports", "/edit",
)  # fmt: skip
# What makes the page wider than it may be.
_TOO_WIDE: Final = """
const width = document.documentElement.clientWidth;
return document.documentElement.scrollWidth <= width ? null : location.pathname;
"""


@pytest.fixture(scope="module")
def fox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    if firefox.FIREFOX is None:
        pytest.skip("Firefox is not installed")
    with firefox.launched(tmp_path_factory.mktemp("firefox")) as running:
        yield running


@pytest.fixture
def page(fox: Firefox, own: Served) -> Iterator[Firefox]:
    """The browser before the hostile home; no page may leave anything to complain about."""
    fox.resize(1440)
    fox.complaints(own.url)
    yield fox
    assert fox.complaints(own.url) == []


@pytest.fixture
def on_map(page: Firefox, own: Served) -> Firefox:
    """The map of a case, drawn to its end."""
    maps.put(own.app, maps.ready(maps.chart(sample())))
    page.go(own.url + MAP)
    page.until("document.querySelector('#map[data-complete]')")
    return page


def _corner(page: Firefox, selector: str) -> list[float]:
    """Bring something into sight; return where it lies and how large it is."""
    found: list[float] = page.run(
        "const found = document.querySelector(arguments[0]);"
        "found.scrollIntoView({block: 'center', behavior: 'instant'});"
        "const box = found.getBoundingClientRect();"
        "return [box.left, box.top, box.width, box.height];",
        selector,
    )
    return found


def _to(x: float, y: float) -> dict[str, object]:
    return {"type": "pointerMove", "x": round(x), "y": round(y), "duration": 0}


DOWN: Final[dict[str, object]] = {"type": "pointerDown", "button": 0}
UP: Final[dict[str, object]] = {"type": "pointerUp", "button": 0}


def _choose(page: Firefox, value: str) -> None:
    page.type("#map-find", value)
    page.until("document.querySelector('#map-found [role=option] bdi')")
    page.press("Enter")
    page.until(f"{PANEL}.includes(arguments[0])", value)


def test_every_page_fits_in_light_and_dark_and_says_nothing_in_the_console(
    page: Firefox, own: Served
) -> None:
    maps.put(own.app, maps.ready(maps.chart(sample())))
    wide = []
    for path in PAGES:
        page.go(f"{own.url}/cases/{CASE}{path}")
        assert page.run("return document.querySelector('main h1, main h2, main p') !== null"), path
        for width in (360, 1440):
            page.resize(width)
            wide.append(page.run(_TOO_WIDE))
    assert [path for path in wide if path] == []
    page.go(f"{own.url}/cases/{CASE}/map")
    page.until("document.querySelector('#map[data-complete]')")
    light = page.run("return mapPage.theme.paper")
    page.dark(True)
    page.until("mapPage.theme.paper !== arguments[0]", light)
    page.dark(False)
    page.until("mapPage.theme.paper === arguments[0]", light)


def test_a_thing_of_the_map_is_found_pointed_at_and_pinned(on_map: Firefox) -> None:
    page = on_map
    page.run("localStorage.clear()")
    _choose(page, "d0.c1.example")
    left, top, wide, high = _corner(page, "#map-canvas")
    x, y = left + wide / 2, top + high / 2
    page.press("Escape")
    page.until(f"{SAID} === 'Nothing is chosen.'")
    page.point(_to(x, y))
    page.until("document.querySelector('.tip').innerText.includes('d0.c1.example')")
    page.point(_to(x, y), DOWN, UP)
    page.until(f"{PANEL}.includes('d0.c1.example')")
    page.point(_to(x, y), DOWN, _to(x + 30, y + 20), _to(x + 60, y + 40), UP)
    page.until(f"{SAID}.includes('Pinned')")
    assert page.run("return document.querySelector('[data-map=unpin]').innerText") == "Unpin 1"
    page.click("[data-map=unpin]")
    page.until("document.querySelector('[data-map=unpin]').hidden")


def test_the_map_moves_by_pointer_wheel_and_keys(on_map: Firefox) -> None:
    page = on_map
    left, top, _, _ = _corner(page, "#map-canvas")
    x, y = left + 60, top + 60
    page.point(_to(x, y), DOWN, _to(x + 40, y + 10), _to(x + 80, y + 20), UP)
    page.until(f"{STILL} && {AT}.length === 3")
    k = page.run(f"return {AT}[2]")
    page.wheel(x, y, -240)
    page.until(f"{STILL} && {AT}[2] > arguments[0]", 1.2 * k)
    page.run("document.getElementById('map-canvas').focus()")
    page.press("0")
    page.until(f"{STILL} && !location.search.includes('at=')")
    page.press("]")
    page.press("]")
    page.until(f"/^1 of [0-9]+: /.test({SAID})")
    page.press("+", "ArrowRight")
    page.until(f"{STILL} && {AT}.length === 3")
    assert page.run(
        "const c = document.getElementById('map-canvas');"
        "const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return new Set(new Uint32Array(data.buffer)).size > 50"
    ), "nothing is painted"


def test_fingers_zoom_the_map(on_map: Firefox) -> None:
    page = on_map
    k = page.run("return mapPage.view.camera.k")
    left, top, wide, high = _corner(page, "#map-canvas")
    x, y = left + wide / 2, top + high / 2

    def moves(side: int) -> list[dict[str, object]]:
        return [_to(x + far * side, y) for far in (75, 100)]

    fingers = [
        {
            "type": "pointer",
            "id": f"finger {side}",
            "parameters": {"pointerType": "touch"},
            "actions": [_to(x + 50 * side, y), DOWN, *moves(side), UP],
        }
        for side in (-1, 1)
    ]
    page.tell("WebDriver:PerformActions", actions=fingers)
    page.until(f"{STILL} && mapPage.view.camera.k > arguments[0]", 1.8 * k)


def test_days_are_played_stepped_and_slid(on_map: Firefox) -> None:
    page = on_map
    page.click("[data-days=play]")
    page.until("mapPage.state.day > mapPage.data.firstDay")
    page.click("[data-days=play]")
    page.until("location.search.includes('day=')")
    day = page.run("return mapPage.state.day")
    page.click("[data-days=forth]")
    assert page.run("return mapPage.state.day") == day + 1
    page.run("document.querySelector('[data-days=range]').focus()")
    page.press("ArrowLeft")
    page.until("mapPage.state.day === arguments[0]", day)
    left, top, wide, high = _corner(page, "[data-days=range]")
    page.point(_to(left + 0.5 * wide, top + high / 2), DOWN, UP)
    page.until("Math.abs(mapPage.state.day - mapPage.data.lastDay / 2) < 3")


def test_the_map_is_saved_as_a_picture(on_map: Firefox) -> None:
    page = on_map
    wide = page.run("return mapPage.view.w")
    page.click("[data-map=png]")
    saved: Path = page.downloads / "taken-map.png"
    until(
        lambda: saved.exists() and saved.stat().st_size and not list(page.downloads.glob("*.part"))
    )
    data = saved.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">I", data[16:20])[0] == 2 * wide


def test_a_curve_is_read_and_zoomed_by_pointer_and_by_keys(page: Firefox, own: Served) -> None:
    page.go(f"{own.url}/cases/{CASE}?step=hour")
    readout = "document.querySelector('#requests .readout')"
    page.until(f"{readout}")
    left, top, wide, high = _corner(page, "#requests .plot")
    x, y = left + wide / 2, top + high / 2
    page.point(_to(x, y))
    page.until(f"{readout}.innerText.includes('requests')")
    page.point(_to(x, y), DOWN, _to(x + 60, y), _to(x + 120, y))
    page.until("document.querySelector('#requests .brush')")
    page.point(UP)
    page.until("location.search.includes('since=') && document.readyState === 'complete'")
    page.until(f"{readout}")
    page.run("document.querySelector('#requests .plot').focus()")
    page.press("ArrowLeft")
    page.until(f"!{readout}.hidden")
    before = page.run("return location.search")
    page.press("ArrowLeft", "ArrowLeft", holding="Shift")
    page.until(f"{readout}.innerText.includes('marked')")
    page.press("Enter")
    page.until("location.search !== arguments[0]", before)


def test_a_case_is_checked_while_it_is_typed(page: Firefox, own: Served) -> None:
    page.go(f"{own.url}/cases/{CASE}/edit")
    page.type("[name=title]", "Another title")
    page.type("[name=takedown]", "no day")
    page.until("document.querySelector('[aria-invalid=true]')")
    page.run("document.querySelector('form.edit').reset()")
    page.go(f"{own.url}/cases")
    page.press("/")
    page.until("document.activeElement.id === 'q'")
    page.press(*"taken", "Enter")
    page.until("location.pathname === '/search' && document.readyState === 'complete'")


def test_new_telemetry_is_seen_by_itself(
    fox: Firefox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Results, "get", lambda *_, **__: Result())
    settings = settled(tmp_path, "taken")
    commit(settings, case="taken")
    live = "document.getElementById('fresh-state').innerText"
    with serving(settings, beside=False) as served:
        fox.go(f"{served.url}/cases/taken")
        fox.until(f"{live} === 'Live.'")
        commit(settings, 1, case="taken")
        newest = "document.querySelector('#fresh-data time').dateTime"
        fox.until(f"{newest}.startsWith('2015-04-08T01')")
    fox.until(f"{live}.startsWith('Connection lost')")
    fox.go("about:blank")
