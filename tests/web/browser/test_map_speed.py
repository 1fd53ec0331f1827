"""The map's viewer at 5,000 and 20,000 things: weight, readiness, frames, repaints, days, search.

The machine does other things too: times are the best of a few rounds and held against how
much other work holds the page up, frame rates against a bare shifted picture at the same moment.
"""

from __future__ import annotations

import statistics
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from web import maps

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page

    from web.conftest import Served

pytestmark = pytest.mark.speed

PATH: Final = "/cases/taken/map"
ROUNDS: Final = 4

GOALS: Final = {
    5_000: {"wire": 200_000, "tti": 1000, "fps": 45, "repaint": 50, "day": 50, "find": 100},
    20_000: {"wire": 600_000, "tti": 2000, "fps": 30, "repaint": 150, "day": 120, "find": 100},
}
FRAME_MS: Final = 50

# What is measured must be on the canvas, not only asked for: reading a pixel waits for it.
_FLUSH: Final = """
const measure = performance.measure.bind(performance);
performance.measure = (name, options) => {
  const canvas = document.getElementById("map-canvas");
  canvas.getContext("2d").getImageData(0, 0, 1, 1);
  return measure(name, options);
};
globalThis.lastBusy = 0;
new PerformanceObserver((list) => {
  for (const task of list.getEntries())
    globalThis.lastBusy = Math.max(globalThis.lastBusy, task.startTime + task.duration);
}).observe({type: "longtask", buffered: true});
"""
# How much longer many equal pieces of work take together than if each took as long as the fastest
# one: 1 where the page has a core to itself.
_SLOWNESS: Final = """
() => {
  const times = [];
  const start = performance.now();
  for (let k = 0; k < 300; k++) {
    const begun = performance.now();
    let sum = 0;
    for (let i = 0; i < 400000; i++) sum = (sum * 31 + i) % 1000003;
    if (sum < 0) throw new Error("never");
    times.push(performance.now() - begun);
  }
  times.sort((one, two) => one - two);
  return (performance.now() - start) / (times.length * times[15]);
}
"""
_INTERACTIVE: Final = """
async () => {
  const ready = performance.getEntriesByName("map:ready")[0].startTime;
  for (;;) {
    const busy = Math.max(ready, globalThis.lastBusy);
    const left = busy + 200 - performance.now();
    if (left <= 0) return busy;
    await new Promise((done) => setTimeout(done, left + 1));
  }
}
"""
_FRAMES: Final = """
async (what) => {
  const canvas = document.getElementById("map-canvas");
  const box = canvas.getBoundingClientRect();
  const small = document.createElement("canvas");
  [small.width, small.height] = [160, 120];
  const read = small.getContext("2d", {willReadFrequently: true});
  // The share of the view that is not its most frequent colour.
  const painted = () => {
    read.drawImage(canvas, 0, 0, 160, 120);
    const pixels = new Uint32Array(read.getImageData(0, 0, 160, 120).data.buffer);
    const counts = new Map();
    for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) || 0) + 1);
    return 1 - Math.max(...counts.values()) / pixels.length;
  };
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const send = (kind, name, x, y, more) => canvas.dispatchEvent(new kind(name, {
    clientX: box.left + x, clientY: box.top + y, pointerId: 7, pointerType: "touch",
    isPrimary: true, bubbles: true, cancelable: true, ...more}));
  const [mx, my] = [box.width / 2, box.height / 2];
  const gaps = [], shares = [];
  // What the machine can do at this moment: a picture shifted over a canvas as large, no more.
  const bare = document.createElement("canvas"), sheet = document.createElement("canvas");
  [bare.width, bare.height] = [canvas.width, canvas.height];
  [sheet.width, sheet.height] = [1.5 * canvas.width, 1.5 * canvas.height];
  const over = bare.getContext("2d", {alpha: false}), under = sheet.getContext("2d");
  if (what === "bare") {
    for (let k = 0; k < 400; k++) {
      under.fillStyle = `hsl(${k} 50% 50%)`;
      under.fillRect(37 * k % sheet.width, 91 * k % sheet.height, 30, 30);
    }
    Object.assign(bare.style, {position: "fixed", left: 0, top: 0, zIndex: 99});
    document.body.append(bare);
  }
  if (what === "pan") send(PointerEvent, "pointerdown", mx, my, {button: 0});
  await frame();
  let last = performance.now();
  for (let k = 1; k <= 100; k++) {
    const turn = k / 100 * 4 * Math.PI;
    if (what === "pan")
      send(PointerEvent, "pointermove", mx + 260 * Math.sin(turn), my + 140 * Math.sin(turn / 2));
    if (what === "zoom")
      send(WheelEvent, "wheel", mx + 60, my + 30, {deltaY: 45 * (k % 50 < 25 ? -1 : 1)});
    if (what === "bare") over.drawImage(sheet, -k % 200, -k % 100);
    await frame();
    const now = performance.now();
    gaps.push(now - last);
    last = now;
    if (what !== "bare" && k % 20 === 0) shares.push(painted());
  }
  if (what === "pan") send(PointerEvent, "pointerup", mx, my, {});
  bare.remove();
  return [gaps, shares];
}
"""


def say(text: str) -> None:
    """Tell what was measured, where somebody listens (``pytest -s``)."""
    sys.stdout.write(text + "\n")


def _into(sizes: list[float]) -> Callable[[dict[str, Any]], None]:
    return lambda event: sizes.append(event["encodedDataLength"])


def _slowness(page: Page) -> float:
    """Return how many times slower than alone the machine works at this moment, at least 1."""
    return max(1.0, float(page.evaluate(_SLOWNESS)))


def _open(new_page: Callable[..., Page], query: str = "") -> Page:
    page = new_page()
    page.add_init_script(_FLUSH)
    page.goto(PATH + query)
    page.wait_for_selector("#map[data-ready]")
    return page


@pytest.fixture(params=GOALS, ids=["5k", "20k"])
def number(request: pytest.FixtureRequest, own: Served) -> int:
    maps.put(own.app, maps.ready(maps.sized(request.param)))
    return int(request.param)


def test_it_is_light_and_soon_ready(number: int, browser: Browser, own: Served) -> None:
    goals = GOALS[number]
    ready = []
    for _ in range(ROUNDS):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        try:
            page = context.new_page()
            page.add_init_script(_FLUSH)
            session = context.new_cdp_session(page)
            session.send("Network.enable")
            sizes: list[float] = []
            session.on("Network.loadingFinished", _into(sizes))
            page.goto(own.url + PATH)
            page.wait_for_selector("#map[data-ready]")
            ready.append(page.evaluate(_INTERACTIVE) / _slowness(page))
            page.wait_for_selector("#map[data-complete]")
            assert sum(sizes) <= goals["wire"], sizes
        finally:
            context.close()
        if min(ready) <= goals["tti"]:
            break
    say(f"{number}: wire {sum(sizes):,.0f} B, interactive {[round(t) for t in ready]} ms")
    assert min(ready) <= goals["tti"], ready


@pytest.mark.parametrize("what", ["pan", "zoom"])
def test_it_moves_smoothly_and_is_painted_while_it_does(
    number: int, what: str, own_page: Callable[..., Page]
) -> None:
    page = _open(own_page)
    page.wait_for_timeout(600)
    told = []
    for _ in range(ROUNDS):
        bare, _ = page.evaluate(_FRAMES, "bare")
        gaps, shares = page.evaluate(_FRAMES, what)
        assert min(shares) > 0.02, f"blank while it moves: {shares}"
        rate, slow = _rate(gaps)
        able, able_slow = _rate(bare)
        told.append([round(x, 1) for x in (rate, slow, able, able_slow)])
        # 60 frames/s and 17 ms where nothing else runs on the machine.
        enough = GOALS[number]["fps"] * min(1.0, able / 58)
        if rate >= enough and slow <= FRAME_MS * max(1.0, able_slow / 20):
            say(f"{number} {what}: frames/s, p95 ms, of a bare picture: {told}")
            return
    pytest.fail(f"frames/s, p95 ms, of a bare picture: {told}")


def _rate(gaps: list[float]) -> tuple[float, float]:
    """Return frames per second, and the time between two that one in 20 takes longer than."""
    return 1000 / statistics.fmean(gaps), statistics.quantiles(gaps, n=20)[-1]


def test_it_is_repainted_at_once(number: int, own_page: Callable[..., Page]) -> None:
    page = _open(own_page)
    page.focus("#map-canvas")
    page.wait_for_timeout(400)
    # All of it in sight is the dearest picture.
    for _ in range(ROUNDS):
        page.keyboard.press("+")
        page.wait_for_timeout(250)
        page.keyboard.press("0")
        page.wait_for_timeout(300)
    slowness = _slowness(page)
    found = _measured(page, "map:repaint")[1:]
    say(f"{number}: repaint {found} ms, machine {slowness:.1f} times slower than alone")
    assert min(found[-ROUNDS:]) <= GOALS[number]["repaint"] * slowness, found


def test_a_step_of_the_days_is_quick(number: int, own_page: Callable[..., Page]) -> None:
    page = _open(own_page)
    page.wait_for_selector("#map[data-complete]")
    for _ in range(2 * ROUNDS):
        page.click("[data-days=forth]")
        page.wait_for_timeout(60)
    slowness = _slowness(page)
    found = _measured(page, "map:day")
    say(f"{number}: day {found} ms, machine {slowness:.1f} times slower than alone")
    assert len(found) >= 2 * ROUNDS
    assert min(found) <= GOALS[number]["day"] * slowness, found


def test_a_search_ends_at_the_thing(number: int, own_page: Callable[..., Page]) -> None:
    page = _open(own_page)
    value = "d1.c7.example"
    for _ in range(ROUNDS):
        page.fill("#map-find", value)
        page.press("#map-find", "Enter")
    slowness = _slowness(page)
    found = _measured(page, "map:find")
    say(f"{number}: find {found} ms, machine {slowness:.1f} times slower than alone")
    assert page.inner_text("#map [data-map=panel] h3") == value
    assert page.evaluate("() => document.activeElement.id") == "map-canvas"
    assert min(found) <= GOALS[number]["find"] * slowness, found


def _measured(page: Page, name: str) -> list[int]:
    found: list[int] = page.evaluate(
        "(name) => performance.getEntriesByName(name).map((one) => Math.round(one.duration))", name
    )
    return found
