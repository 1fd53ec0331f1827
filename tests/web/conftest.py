"""A small hostile home, the application over it, a server, and a browser."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from web import browsing
from web.hostile import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI
    from fastapi.testclient import TestClient
    from playwright.sync_api import Browser, Page

    from remnant.settings import Settings
    from story.telling import Place


@dataclass(frozen=True)
class Served:
    """A running server."""

    url: str
    app: FastAPI
    settings: Settings


def settings_of(place: Place) -> Settings:
    """Return the settings of a home."""
    from remnant.settings import load

    key = place.folder / "key" / "site.key"
    return load(place.home, overrides={"site_key": key, "store.threads": 1})


@contextmanager
def serving(settings: Settings, **options: Any) -> Iterator[Served]:
    """Serve a home on a free port of this machine, in a thread."""
    import uvicorn

    from remnant.web.app import create_app

    app = create_app(settings, **options)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="served")
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Served(f"http://127.0.0.1:{port}", app, settings)
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home with the hostile case ``taken`` and the empty case ``quiet``; for reading only."""
    return fill(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="session")
def client(home: Place) -> Iterator[TestClient]:
    """The application over the hostile home, in this process, as its operator."""
    from fastapi.testclient import TestClient

    from remnant.web.app import create_app

    with TestClient(
        create_app(settings_of(home)), base_url="http://127.0.0.1", follow_redirects=False
    ) as client:
        yield client


@pytest.fixture(scope="session")
def served(home: Place) -> Iterator[Served]:
    """The hostile home on a port of this machine."""
    with serving(settings_of(home)) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; for one module, as its event loop would be in the way of others."""
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
            context.set_default_timeout(20_000)
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

    def weigh(path: str, *, times: int = 3) -> browsing.Weight:
        return browsing.weighed(browser, served.url + path, times=times)

    return weigh
