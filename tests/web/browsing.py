"""What the tests ask of a page in a browser: who it talks to, who can use it, how heavy it is."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Locator,
        Page,
        Request,
    )

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
WIDTHS: Final = (360, 768, 1440)
HEIGHT: Final = 900
PATIENCE_S: Final = 60
"""How long anything may take before it counts as never: no goal, a guard against hanging."""

SWITCHES: Final = (
    "--no-sandbox",
    "--disable-background-networking",
    # A page that asks another host is caught by the log, and gets no answer either.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

RULES: Final = (
    "wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice",
)  # fmt: skip
_OWN: Final = ("data:", "blob:", "about:")

_WATCH: Final = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""
_LONG_TASKS: Final = """
globalThis.lastBusy = 0;
new PerformanceObserver((list) => {
  for (const task of list.getEntries())
    globalThis.lastBusy = Math.max(globalThis.lastBusy, task.startTime + task.duration);
}).observe({type: "longtask", buffered: true});
"""
# When the first text or picture stood on the screen. The browser says so when the frame is shown,
# which on a busy machine is long after the page has loaded: the entry is waited for.
_PAINTED: Final = """
(patience) => new Promise((done) => {
  new PerformanceObserver((list) => {
    const [paint] = list.getEntriesByName("first-contentful-paint");
    if (paint) done(paint.startTime);
  }).observe({type: "paint", buffered: true});
  setTimeout(() => done(null), patience);
})
"""
# Interactive: loaded, modules run, and then nothing keeps the page busy for 200 ms.
_INTERACTIVE: Final = """
async () => {
  const [navigation] = performance.getEntriesByType("navigation");
  const loaded = Math.max(navigation.loadEventEnd, navigation.domContentLoadedEventEnd);
  for (;;) {
    const busy = Math.max(loaded, globalThis.lastBusy);
    const left = busy + 200 - performance.now();
    if (left <= 0) return busy;
    await new Promise((done) => setTimeout(done, left + 1));
  }
}
"""
_AXE: Final = """
async (tags) => {
  const found = await axe.run(document, {
    runOnly: {type: "tag", values: tags}, resultTypes: ["violations"],
  });
  return found.violations.flatMap((violation) => violation.nodes.map((node) =>
    `${violation.id}: ${node.target.join(" ")}: ${node.html.slice(0, 160)}: ` +
    (node.any[0] || node.all[0] || node.none[0] || {message: ""}).message));
}
"""
# What sticks out on the right, but for what lies inside a region that scrolls by itself.
_OUT: Final = """
() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const scrolls = (element) => {
    for (let at = element; at && at !== document.body; at = at.parentElement)
      if (/auto|scroll|hidden|clip/.test(getComputedStyle(at).overflowX)) return true;
    return false;
  };
  const out = [...document.body.querySelectorAll("*")].filter((element) =>
    element.getBoundingClientRect().right > width + 1 && !scrolls(element));
  return out.slice(0, 5).map((element) => element.outerHTML.slice(0, 160));
}
"""


@dataclass
class Log:
    """What the pages of one test asked for and complained about.

    Attributes:
        origin: the server of the tests.
        requests: every address asked for.
        problems: requests to other hosts, errors of scripts and of the console, dialogs.
        forgiven: parts of the text of problems that a test brings about on purpose.
    """

    origin: str
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    forgiven: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Write down what the pages of a context do."""
        context.add_init_script(_WATCH)
        context.on("request", self._asked)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.problems.append(f"script: {error.error}"))
        context.on("dialog", self._opened)

    def left(self) -> list[str]:
        """Return the problems that no test expected."""
        return [
            problem
            for problem in self.problems
            if not any(words in problem for words in self.forgiven)
        ]

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)
        if not request.url.startswith((f"{self.origin}/", *_OWN)):
            self.problems.append(f"outside: {request.url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(f"console: {message.text} ({message.location.get('url')})")

    def _opened(self, dialog: Any) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@dataclass(frozen=True)
class Weight:
    """What a page costs: bytes as sent, and times in milliseconds from the first byte asked for."""

    wire: int
    requests: int
    fcp_ms: float
    tti_ms: float


@contextmanager
def launched() -> Iterator[Browser]:
    """Run Debian's Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        try:
            yield browser
        finally:
            browser.close()


def inaccessible(page: Page) -> list[str]:
    """Return what axe finds wrong with a page as it is, in light and in dark.

    The script comes in through the debugger, so the page's own policy stays as it is.
    """
    script = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        if not page.evaluate("() => 'axe' in globalThis"):
            page.evaluate(f"() => {{ {script} }}")
        found += [f"{scheme}: {text}" for text in page.evaluate(_AXE, list(RULES))]
    page.emulate_media(color_scheme="light")
    return found


def sticking_out(page: Page) -> list[str]:
    """Return what makes a page scroll sideways at one of the widths."""
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        found += [f"{width} px: {html}" for html in page.evaluate(_OUT)]
    return found


def weighed(browser: Browser, address: str, *, times: int) -> Weight:
    """Load a page with an empty cache and return what it costs: the median of some loads."""
    loads = [_load(browser, address) for _ in range(times)]
    return Weight(
        wire=max(load.wire for load in loads),
        requests=max(load.requests for load in loads),
        fcp_ms=statistics.median(load.fcp_ms for load in loads),
        tti_ms=statistics.median(load.tti_ms for load in loads),
    )


def _load(browser: Browser, address: str) -> Weight:
    context = browser.new_context(viewport={"width": 1440, "height": HEIGHT})
    try:
        page = context.new_page()
        # A page behind another one is painted when it comes to the front, and not before.
        page.bring_to_front()
        page.add_init_script(_LONG_TASKS)
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        sizes: list[float] = []
        session.on(
            "Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"])
        )
        page.goto(address, wait_until="load")
        tti = page.evaluate(_INTERACTIVE)
        fcp = page.evaluate(_PAINTED, 1000 * PATIENCE_S)
        assert fcp is not None, f"{address} painted nothing"
        return Weight(round(sum(sizes)), len(sizes), fcp, tti)
    finally:
        context.close()


def until(
    true: Callable[[], Any],
    *,
    seconds: float = PATIENCE_S,
    turn: Callable[[], Any] = lambda: time.sleep(0.02),
) -> float:
    """Wait until something is true, and return the seconds that took.

    Args:
        true: asked again and again.
        seconds: after these it counts as never.
        turn: what is done between two questions. Events of a page are heard only while its
            connection is served, as ``page.wait_for_timeout`` does.
    """
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds, "it did not come true"
        turn()
    return time.monotonic() - begun


def expect(what: Locator) -> Any:  # the library does not export what it returns
    """Return what is expected of a part of a page, sooner or later."""
    from playwright.sync_api import expect

    expect.set_options(timeout=1000 * PATIENCE_S)
    return expect(what)


def elements_of(page: Page, texts: tuple[str, ...]) -> list[str]:
    """Return the elements and attributes of a page that hostile text has made."""
    script = """
    (texts) => {
      const found = [];
      for (const element of document.querySelectorAll("*")) {
        if (element.matches("img[src='x'],script:not([src]),svg[onload]"))
          if (!/^application\\/(ld\\+)?json$/.test(element.type || ""))
            found.push(element.outerHTML.slice(0, 160));
        for (const name of element.getAttributeNames()) {
          if (name.startsWith("on")) found.push(element.outerHTML.slice(0, 160));
          if (["href", "src", "action", "formaction"].includes(name.replace(/^xlink:/, "")))
            if (/^\\s*(javascript|vbscript|data:text)/i.test(element.getAttribute(name)))
              found.push(element.outerHTML.slice(0, 160));
        }
      }
      const shown = document.body.innerText + document.title;
      for (const text of texts) if (shown.includes(text)) found.push(JSON.stringify(text));
      return found;
    }
    """
    found: list[str] = json.loads(json.dumps(page.evaluate(script, list(texts))))
    return found
