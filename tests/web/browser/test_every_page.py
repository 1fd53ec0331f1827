"""Every page of the application, whoever wrote it: found from the routes, on a hostile home."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pytest

from remnant.web.results.kinds import KINDS
from web.browsing import (
    PATIENCE_S,
    Log,
    elements_of,
    inaccessible,
    sticking_out,
    until,
    weighed,
)
from web.changing import commit, settled
from web.conftest import serving
from web.hostile import CASE, QUIET, UNSEEN
from web.pages_of import MORE, links
from web.pages_of import pages as pages_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fastapi.testclient import TestClient
    from playwright.sync_api import Browser, Page

    from story.telling import Place
    from web.browsing import Weight
    from web.conftest import Served

Found = dict[str, list[Any]]

HIDDEN: Final = tuple(text for text in UNSEEN if "\n" not in text)

# A stop of the keyboard that cannot be seen: no ring, or out of sight.
_UNSEEN_FOCUS: Final = """
() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const style = getComputedStyle(at), box = at.getBoundingClientRect();
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const out = box.bottom < 0 || box.top > innerHeight || box.right < 0 || box.left > innerWidth;
  const key = at.tagName + (at.id ? "#" + at.id : "") + " " + (at.textContent || "").slice(0, 40);
  return [key, ring || style.boxShadow !== "none", !out && box.width > 0];
}
"""
# WCAG 2.5.8: at least 24 by 24 pixels, or alone in a circle of that size; text links are exempt.
_SMALL: Final = """
() => {
  const wanted = "button,input:not([type=hidden]),select,textarea,summary,[role=button],[role=tab]";
  return [...document.querySelectorAll(wanted)].filter((element) => {
    const box = element.getBoundingClientRect();
    if (!box.width || element.closest(".skip")) return false;
    const label = element.closest("label") || document.querySelector(`label[for="${element.id}"]`);
    const area = label && /^(checkbox|radio)$/.test(element.type) ? label.getBoundingClientRect()
      : box;
    return area.height < 24 || area.width < 24;
  }).map((element) => element.outerHTML.slice(0, 120));
}
"""
_STRUCTURE: Final = """
() => {
  const wrong = [], count = (what) => document.querySelectorAll(what).length;
  if (count("h1") !== 1) wrong.push(`${count("h1")} h1`);
  if (count("main") !== 1) wrong.push(`${count("main")} main`);
  if (!document.title.trim() || !document.documentElement.lang) wrong.push("no title or language");
  let last = 0;
  for (const heading of document.querySelectorAll("h1,h2,h3,h4,h5,h6")) {
    const level = Number(heading.tagName[1]);
    if (level > last + 1) wrong.push(`h${last} then h${level}: ${heading.textContent}`);
    last = level;
  }
  for (const table of document.querySelectorAll("table")) {
    if (!table.querySelector("caption")) wrong.push("a table without caption");
    if (table.querySelector("th:not([scope])")) wrong.push("a heading of a table without scope");
  }
  for (const element of document.querySelectorAll("[style],style,script:not([src])"))
    if (!/json$/.test(element.type || "")) wrong.push(element.outerHTML.slice(0, 120));
  return wrong;
}
"""
_DRAWN: Final = """
() => [...document.querySelectorAll("#map")].every((map) => "complete" in map.dataset)
"""
_UNUSABLE: Final = """
() => {
  const wrong = [], main = document.querySelector("main");
  if (!main || main.innerText.trim().length < 40) wrong.push("the page says nothing");
  for (const table of document.querySelectorAll("table"))
    if (!table.querySelector("tbody tr,tr + tr")) wrong.push(`empty: ${table.innerText}`);
  for (const form of document.querySelectorAll("form")) {
    const send = "button:not([type=button]):not([type=reset]),input[type=submit],input[type=image]";
    const typed = form.querySelectorAll("input:not([type=hidden]),select,textarea").length;
    const enter = form.querySelector("input[type=search],input[type=text],input:not([type])");
    if (typed && !form.querySelector(send) && !enter) wrong.push(`cannot be sent: ${form.action}`);
  }
  for (const image of document.images)
    if (!image.complete || !image.naturalWidth) wrong.push(`no image: ${image.src}`);
  return wrong;
}
"""


@pytest.fixture(scope="module")
def paths(client: TestClient) -> list[str]:
    site = client.app.state.site  # type: ignore[attr-defined]
    for case in (CASE, QUIET):
        for kind in KINDS:
            # What is still being worked out makes another page, with other links.
            assert site.results.wait(case, kind, internal=True, seconds=300).is_current, kind
    found = pages_of(client)
    assert {"/cases", f"/cases/{CASE}"} <= set(found)
    return found


def test_links_lead_somewhere(paths: list[str], client: TestClient) -> None:
    asked: dict[str, str] = {}
    for path in paths:
        for link in links(client.get(path, headers={"accept": "text/html"}).text):
            asked.setdefault(link, path)
    dead = {}
    for link, path in list(asked.items())[:400]:
        if (status := client.get(link, headers={"accept": "text/html"}).status_code) >= 400:
            dead[link] = f"{status}, linked from {path}"
    assert [f"{link}: {why}" for link, why in dead.items()] == []


@dataclass
class Visit:
    """What was found on one page: each page is opened once with scripts, and once without."""

    title: str = ""
    problems: list[str] = field(default_factory=list)
    inaccessible: list[str] = field(default_factory=list)
    sticking_out: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    structure: list[str] = field(default_factory=list)
    focus: list[Any] = field(default_factory=list)
    small: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def visits(paths: list[str], browser: Browser, served: Served) -> dict[str, Visit]:
    found = {path: Visit() for path in (*paths, *MORE)}
    for scripts in (True, False):
        log = Log(served.url)
        context = browser.new_context(
            base_url=served.url,
            viewport={"width": 1440, "height": 900},
            reduced_motion="reduce",
            java_script_enabled=scripts,
        )
        log.watch(context)
        context.set_default_timeout(1000 * PATIENCE_S)
        # The console may tell of a page when the next one is open already.
        log.forgiven += [f"404 (Not Found) ({served.url}{path})" for path in MORE]
        page = context.new_page()
        for path, visit in found.items():
            log.problems.clear()
            page.goto(path, wait_until="load")
            if scripts:
                # The map draws itself after the page has loaded.
                page.wait_for_function(_DRAWN)
                _look(page, visit)
            else:
                visit.unusable = page.evaluate(_UNUSABLE)
            visit.problems += log.left()
        context.close()
    return found


def _look(page: Page, visit: Visit) -> None:
    visit.title = page.title()
    visit.structure = page.evaluate(_STRUCTURE)
    visit.made = elements_of(page, HIDDEN)
    visit.focus = _keyboard(page)
    visit.inaccessible = inaccessible(page)
    visit.sticking_out = sticking_out(page)
    page.set_viewport_size({"width": 360, "height": 900})
    visit.small = page.evaluate(_SMALL)
    page.set_viewport_size({"width": 1440, "height": 900})


def _keyboard(page: Page) -> list[Any]:
    """Go from stop to stop; return those that do not show, or that there is nowhere to go."""
    found, seen = [], set()
    for _ in range(40):
        page.keyboard.press("Tab")
        stop = page.evaluate(_UNSEEN_FOCUS)
        if stop is None:
            break
        key, ringed, shown = stop
        seen.add(key)
        if not (ringed and shown):
            found.append(stop)
    return found if len(seen) >= 3 else [*found, f"only {sorted(seen)}"]


def _wrong(visits: dict[str, Visit], what: str) -> Found:
    return {path: said for path, visit in visits.items() if (said := getattr(visit, what))}


def test_axe_finds_nothing_in_light_and_in_dark(visits: dict[str, Visit]) -> None:
    assert _wrong(visits, "inaccessible") == {}


def test_nothing_scrolls_sideways_at_any_width(visits: dict[str, Visit]) -> None:
    assert _wrong(visits, "sticking_out") == {}


def test_hostile_text_stays_text(visits: dict[str, Visit]) -> None:
    assert _wrong(visits, "made") == {}


def test_pages_ask_nobody_else_and_no_script_fails(visits: dict[str, Visit]) -> None:
    assert _wrong(visits, "problems") == {}


def test_pages_have_one_heading_in_order_and_tables_say_what_they_are(
    visits: dict[str, Visit],
) -> None:
    assert _wrong(visits, "structure") == {}


def test_titles_tell_pages_apart(visits: dict[str, Visit]) -> None:
    titles: dict[str, str] = {}
    for path, visit in visits.items():
        # The two cases of this home have one title between them.
        titles.setdefault(f"{visit.title} {path.split('/')[2:3]}", path)
    assert sorted(titles.values()) == sorted(visits)


def test_with_scripts_off_pages_are_read_and_forms_are_sent(visits: dict[str, Visit]) -> None:
    assert _wrong(visits, "unusable") == {}


def test_the_keyboard_reaches_everything_and_shows_where_it_is(visits: dict[str, Visit]) -> None:
    assert _wrong(visits, "focus") == {}


def test_targets_are_large_enough(visits: dict[str, Visit]) -> None:
    assert _wrong(visits, "small") == {}


@pytest.mark.parametrize(
    ("path", "wire"), [("", 60_000), ("/networks", 150_000)], ids=["overview", "networks"]
)
def test_pages_are_light(weights: Callable[..., Weight], path: str, wire: int) -> None:
    assert weights(f"/cases/{CASE}{path}", times=1).wire <= wire


@pytest.mark.speed
@pytest.mark.parametrize(
    ("path", "fcp_ms", "tti_ms"),
    [("", 400, 500), ("/networks", 600, 800)],
    ids=["overview", "networks"],
)
def test_pages_open_soon(
    weights: Callable[..., Weight], path: str, fcp_ms: float, tti_ms: float
) -> None:
    # One undisturbed round is enough.
    rounds = [weights(f"/cases/{CASE}{path}", times=3) for _ in range(4)]
    sys.stdout.write(
        f"{path or 'overview'}: {[(round(w.fcp_ms), round(w.tti_ms)) for w in rounds]}\n"
    )
    assert any(w.fcp_ms <= fcp_ms and w.tti_ms <= tti_ms for w in rounds)


@pytest.mark.speed
def test_a_table_of_400_networks_opens_soon(browser: Browser, tmp_path: Path) -> None:
    settings = settled(tmp_path)
    for day in range(14):
        commit(settings, 24 * day, clients=1_200 - 40 * day, networks=400)
    with serving(settings, beside=False) as running:
        address = f"{running.url}/cases/taken/networks?limit=400"
        # Numbers of a place are worked out once, whoever looks first.
        until(lambda: httpx2.get(address, timeout=PATIENCE_S).is_success)
        rounds = [weighed(browser, address, times=3) for _ in range(4)]
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        rows = page.locator("tbody tr").count()
        context.close()
    sys.stdout.write(
        f"{rows} rows: {[(w.wire, round(w.fcp_ms), round(w.tti_ms)) for w in rounds]}\n"
    )
    assert rows >= 400
    assert all(w.wire <= 150_000 for w in rounds)
    assert any(w.fcp_ms <= 600 and w.tti_ms <= 800 for w in rounds)


def test_the_watch_over_pages_sees_what_it_is_there_for(page: Page, log: Log) -> None:
    page.goto("/cases")
    page.evaluate("() => fetch('http://other.example/').catch(() => {})")
    page.evaluate(
        "() => { const e = document.createElement('i'); e.setAttribute('style', 'x:y'); }"
    )
    page.evaluate(
        "() => { const s = document.createElement('script'); s.text = 'alert(1)';"
        " document.body.append(s); }"
    )
    page.evaluate("() => setTimeout(() => { throw new Error('thrown') })")
    page.evaluate("() => alert('open')")
    for words in ("http://other.example/", "policy: script-src", "thrown", "dialog: open"):
        until(
            lambda words=words: any(words in problem for problem in log.problems),  # type: ignore[misc]
            turn=lambda: page.wait_for_timeout(20),
        )
    log.forgiven.append("")


def test_the_report_is_one_file_that_axe_passes(
    home: Place, tmp_path: Path, page: Page, log: Log, axe: Callable[[Page], list[str]]
) -> None:
    file = tmp_path / "report.html"
    home.do("report", CASE, "-o", file)
    assert file.stat().st_size <= 500_000
    page.goto(file.as_uri())
    assert axe(page) == []
    assert elements_of(page, HIDDEN) == []
    page.set_viewport_size({"width": 360, "height": 900})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    outside = [url for url in log.requests if not url.startswith(("file:", "data:"))]
    assert outside == []
    log.forgiven.append(f"outside: {file.as_uri()}")
