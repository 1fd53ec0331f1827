"""A server of its own for maps that are put in place of those of the store."""

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
