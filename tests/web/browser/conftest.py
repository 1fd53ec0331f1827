"""A browser, and a server of its own for maps that are put in place of those of the store."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from web import browsing
from web.conftest import serving, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

    from story.telling import Place
    from web.conftest import Served


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; for this folder, as its event loop would be in the way of others."""
    if browsing.CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    pytest.importorskip("playwright", reason="Playwright is not installed")
    with browsing.launched() as browser:
        yield browser


@pytest.fixture
def log(served: Served) -> Iterator[browsing.Log]:
    """What the pages of a test do; nothing may be left to complain about at its end."""
    log = browsing.Log(served.url)
    yield log
    assert log.left() == []


@pytest.fixture
def new_page(browser: Browser, served: Served, log: browsing.Log) -> Iterator[Callable[..., Page]]:
    """Open a page in a context of its own, with options of ``Browser.new_context``."""
    with ExitStack() as opened:

        def open_page(**options: Any) -> Page:
            options = {
                "base_url": served.url,
                "viewport": {"width": 1440, "height": browsing.HEIGHT},
                "reduced_motion": "reduce",
            } | options
            context = browser.new_context(**options)
            opened.callback(context.close)
            context.set_default_timeout(1000 * browsing.PATIENCE_S)
            log.watch(context)
            return context.new_page()

        yield open_page


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """A page with an empty cache, watched by ``log``."""
    return new_page()


@pytest.fixture
def axe() -> Callable[[Page], list[str]]:
    """Say what axe finds wrong with a page, in light and in dark."""
    return browsing.inaccessible


@pytest.fixture
def sticking_out() -> Callable[[Page], list[str]]:
    """Say what makes a page scroll sideways at 360, 768 or 1440 pixels."""
    return browsing.sticking_out


@pytest.fixture
def weights(browser: Browser, served: Served) -> Callable[..., browsing.Weight]:
    """Say what a page costs with an empty cache, by its path."""

    def weigh(path: str, *, times: int) -> browsing.Weight:
        return browsing.weighed(browser, served.url + path, times=times)

    return weigh


@pytest.fixture(scope="module")
def own(home: Place) -> Iterator[Served]:
    """The hostile home on another port: what is changed of this server no other test sees."""
    with serving(settings_of(home)) as running:
        yield running


@pytest.fixture
def own_page(browser: Browser, own: Served) -> Iterator[Callable[..., Page]]:
    """Open a page of that server, in a context of its own and watched to its end."""
    log = browsing.Log(own.url)
    log.forgiven.append("willReadFrequently")
    with ExitStack() as opened:

        def open_page(**options: Any) -> Page:
            options = {
                "base_url": own.url,
                "viewport": {"width": 1440, "height": browsing.HEIGHT},
            } | options
            context = browser.new_context(**options)
            opened.callback(context.close)
            context.set_default_timeout(1000 * browsing.PATIENCE_S)
            log.watch(context)
            return context.new_page()

        yield open_page
    assert log.left() == []
