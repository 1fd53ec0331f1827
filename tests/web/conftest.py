"""A small hostile home, the application over it, and a server."""

from __future__ import annotations

import shutil
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from made_once import made_once
from story.telling import Place
from web import browsing
from web.guarded import bare, guarding, make_people
from web.hostile import CASE, QUIET, fill
from web.own_home import copied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import FastAPI
    from fastapi.testclient import TestClient
    from httpx2 import Response

    from remnant.settings import Settings
    from web.guarded import Guarded


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
def serving(settings: Settings, *, port: int = 0, **options: Any) -> Iterator[Served]:
    """Serve a home on a port of this machine (0: a free one), in a thread."""
    from remnant.web.app import create_app
    from remnant.web.serving import Server, bound

    app = create_app(settings, **options)
    place = bound("127.0.0.1", port)
    port = place.getsockname()[1]
    started = threading.Event()
    server = Server(app, on_start=started.set)
    thread = threading.Thread(target=server.answer_on, args=([place],), name="served")
    thread.start()
    try:
        assert started.wait(browsing.PATIENCE_S), "the server did not start"
        yield Served(f"http://127.0.0.1:{port}", app, settings)
    finally:
        server.should_exit = True
        thread.join(browsing.PATIENCE_S)
        assert not thread.is_alive(), "the server did not end"


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home with the hostile case ``taken`` and the empty case ``quiet``, to make copies of.

    All results are worked out, once for all tests: no page is shown while they still are. The
    processes that run the tests share it.
    """
    return Place(made_once(tmp_path_factory, "hostile", _work_out))


def _work_out(folder: Path) -> None:
    from remnant.web.results.kinds import KINDS
    from remnant.web.results.results import Results
    from remnant.web.snapshots import Snapshots

    place = fill(folder)
    settings = settings_of(place)
    snapshots = Snapshots(settings)
    results = Results(settings, snapshots)
    for case in (CASE, QUIET):
        for kind in KINDS:
            for internal in (True, False):
                results.get(case, kind, internal=internal)
    results.close()
    snapshots.close()


@pytest.fixture(scope="session")
def home(filled: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A copy of it for reading only, which the applications below are open over."""
    return copied(filled, tmp_path_factory.mktemp("shown") / "copy")


@pytest.fixture(scope="session")
def client(home: Place) -> Iterator[TestClient]:
    """The application over the hostile home, in this process, as its operator."""
    from fastapi.testclient import TestClient

    from remnant.web.app import create_app

    with TestClient(
        create_app(settings_of(home)), base_url="http://127.0.0.1", follow_redirects=False
    ) as client:
        yield client


class Desk:
    """A client that sends forms and JSON as pages of ours do."""

    def __init__(self, client: TestClient, place: Place) -> None:
        self.client = client
        self.place = place
        page = client.get("/new", headers={"accept": "text/html"}).text
        self.token = page.partition('name="csrf" value="')[2].partition('"')[0]

    def form(self, path: str, data: dict[str, str], **more: Any) -> Response:
        """Send a form as a browser does."""
        return self.client.post(
            path, data={"csrf": self.token} | data, headers={"accept": "text/html"}, **more
        )

    def json(self, method: str, path: str, body: object) -> Response:
        """Send JSON as a script of ours does."""
        return self.client.request(method, path, json=body, headers={"x-csrf-token": self.token})


@pytest.fixture
def desk(filled: Place, tmp_path: Path) -> Iterator[Desk]:
    """The application over an own copy of the hostile home, to change it."""
    with desk_over(copied(filled, tmp_path / "own")) as made:
        yield made


@contextmanager
def desk_over(place: Place, *, beside: bool = False) -> Iterator[Desk]:
    """Open the application over a home; ``beside``: results are worked out beside its pages."""
    from fastapi.testclient import TestClient

    from remnant.web.app import create_app

    with TestClient(
        create_app(settings_of(place), beside=beside),
        base_url="http://127.0.0.1",
        follow_redirects=False,
    ) as client:
        yield Desk(client, place)


@pytest.fixture(scope="session")
def served(home: Place) -> Iterator[Served]:
    """The hostile home on a port of this machine."""
    with serving(settings_of(home)) as running:
        yield running


@contextmanager
def _quick() -> Iterator[None]:
    import argon2

    from remnant.web.access import passwords

    quick = argon2.PasswordHasher.from_parameters(argon2.profiles.CHEAPEST)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "hasher", lambda: quick)
        passwords.nobodys.cache_clear()
        yield
    passwords.nobodys.cache_clear()


@pytest.fixture
def quick_passwords() -> Iterator[None]:
    """Hash passwords with little work: tests of what happens around them need no more."""
    with _quick():
        yield


@pytest.fixture(scope="session")
def _people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    with _quick():
        make_people(bare(folder))
    return folder


@pytest.fixture
def peopled(tmp_path: Path, _people: Path, quick_passwords: None) -> Settings:
    """Settings of a home without data, with an account of every role."""
    shutil.copytree(_people / "home", tmp_path / "home")
    return bare(tmp_path)


@pytest.fixture
def site(peopled: Settings) -> Iterator[Guarded]:
    """A site without data that demands accounts, with one of every role."""
    with guarding(peopled) as running:
        yield running
