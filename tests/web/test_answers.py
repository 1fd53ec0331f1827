"""What many ask at once is worked out once, and nobody sees what was made for another role."""

from __future__ import annotations

import gzip
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from pydantic import BaseModel

from remnant.web.access.viewer import ANALYSTS, EVERYONE
from remnant.web.answers import LIFE_S, Answers, Body, Shared
from remnant.web.app import create_app
from remnant.web.layers import Changes
from remnant.web.page import page
from remnant.web.results.results import Result, Results
from remnant.web.site import AskedBy  # noqa: TC001 - FastAPI reads it
from web.changing import CASE, commit, settled
from web.guarded import ANALYST, OWNER, PASSWORD, Guarded, guarding, make_people

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remnant.settings import Settings

HTML = {"accept": "text/html"}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_many_threads_make_a_value_once() -> None:
    shared: Shared[str] = Shared(1000, len)
    made: list[int] = []

    def make() -> str:
        made.append(1)
        time.sleep(0.05)
        return "value"

    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(shared.get("key", "state", make)))
        for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["value"] * 50
    assert len(made) == 1


def test_another_state_another_key_or_a_later_time_is_made_anew() -> None:
    clock = Clock()
    shared: Shared[int] = Shared(1000, lambda _: 1, clock)
    numbers = iter(range(100))

    def get(key: str, state: str) -> int:
        return shared.get(key, state, lambda: next(numbers))

    assert [get("a", "1"), get("a", "1"), get("a", "2"), get("b", "2"), get("a", "2")] == [
        0, 0, 1, 2, 1,
    ]  # fmt: skip
    clock.now = LIFE_S + 1
    assert get("a", "2") == 3


def test_what_fails_is_not_kept() -> None:
    shared: Shared[int] = Shared(1000, lambda _: 1)
    with pytest.raises(ZeroDivisionError):
        shared.get("a", "1", lambda: 1 // 0)
    assert shared.get("a", "1", lambda: 7) == 7


def test_what_is_kept_is_bounded() -> None:
    shared: Shared[str] = Shared(1000, len)
    for number in range(1000):
        shared.get(number, "state", lambda: "x" * 100)
        assert shared.held <= 1000
    assert shared.get("large", "state", lambda: "x" * 5000) == "x" * 5000
    assert shared.held <= 1000


def test_a_long_body_is_packed_once_unless_it_holds_a_secret() -> None:
    from remnant.web.access.forms import STANDS_FOR_CSRF

    long = Body.of(b"x" * 5000, "text/html")
    assert long.packed is not None
    assert gzip.decompress(long.packed) == long.data
    assert Body.of(b"x" * 10, "text/html").packed is None
    assert Body.of(b"x" * 5000 + STANDS_FOR_CSRF.encode(), "text/html").packed is None


class Told(BaseModel):
    """Who it was made for, and how often anything was made."""

    role: str
    networks: list[str]
    count: int


class Page:
    """A page that tells whom it was made for."""

    def __init__(self) -> None:
        self.count = 0
        self.router = APIRouter()

        @page(self.router, "/cases/{case}/told", title="Told", roles=EVERYONE, template="told")
        def told(asked: AskedBy, case: str) -> Told:
            self.count += 1
            return Told(
                role=asked.viewer.role, networks=list(asked.viewer.networks), count=self.count
            )

        @page(self.router, "/cases/{case}/fresh", title="Fresh", roles=ANALYSTS, kept=False)
        def fresh(asked: AskedBy, case: str) -> Told:
            self.count += 1
            return Told(role=asked.viewer.role, networks=[], count=self.count)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = settled(tmp_path)
    commit(found)
    return found


@pytest.fixture
def told(settings: Settings) -> Iterator[tuple[TestClient, Page]]:
    made = Page()
    app = create_app(settings, beside=False)
    app.include_router(made.router)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client, made


@pytest.fixture(autouse=True)
def _no_results(monkeypatch: pytest.MonkeyPatch) -> None:
    # What takes seconds would be worked out on the way, and change the state of the page.
    monkeypatch.setattr(Results, "get", lambda *_, **__: Result())


PATH = f"/cases/{CASE}/told.json"


def test_a_page_is_made_once_for_each_state(
    settings: Settings, told: tuple[TestClient, Page]
) -> None:
    client, made = told
    for _ in range(3):
        assert client.get(PATH).json()["count"] == 1
    commit(settings, 1)
    assert client.get(PATH).json()["count"] == 2
    case = settings.home / "cases" / CASE / "case.toml"
    case.write_text(case.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")
    assert client.get(PATH).json()["count"] == 3
    assert client.get(PATH + "?a=1&b=2").json()["count"] == 4
    assert client.get(PATH + "?b=2&a=1").json()["count"] == 4
    assert made.count == 4
    fresh = f"/cases/{CASE}/fresh.json"
    assert [client.get(fresh).json()["count"] for _ in range(3)] == [5, 6, 7]


@pytest.mark.parametrize(
    ("method", "path", "status", "is_kept"),
    [
        ("GET", "/cases", 200, True),
        ("POST", "/cases/taken/edit", 303, False),
        ("POST", "/cases/taken/edit", 422, True),
        ("POST", "/login", 303, True),
    ],
)
def test_what_the_server_was_told_to_do_makes_every_answer_old(
    method: str, path: str, status: int, is_kept: bool
) -> None:
    import asyncio

    answers = Answers()
    answers.models.get("key", "state", lambda: "old")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})

    async def ignore(message: Any) -> None: ...

    scope: Any = {"type": "http", "method": method, "path": path}
    asyncio.run(Changes(app, answers=answers)(scope, ignore, ignore))  # type: ignore[arg-type]
    found = answers.models.get("key", "state", lambda: "new")
    assert found == ("old" if is_kept else "new")


def test_an_unchanged_page_costs_nothing_to_send(told: tuple[TestClient, Page]) -> None:
    client, _ = told
    for path in ("/cases", f"/cases/{CASE}", f"/cases/{CASE}.json", "/cases.csv"):
        first = client.get(path, headers=HTML)
        assert first.status_code == 200
        tag = first.headers["etag"]
        again = client.get(path, headers=HTML | {"if-none-match": f'"other", {tag}'})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == tag
        other = client.get(path, headers=HTML | {"if-none-match": 'W/"other"'})
        assert other.status_code == 200
        assert first.headers["cache-control"] == "private, no-cache"


@pytest.fixture
def site(settings: Settings) -> Iterator[tuple[Guarded, Page]]:
    make_people(settings)
    made = Page()
    with guarding(settings, public=True) as running:
        running.app.include_router(made.router)
        yield running, made


def test_no_role_is_given_what_another_was(site: tuple[Guarded, Page]) -> None:
    running, made = site
    analyst, owner = running.signed_in(ANALYST), running.signed_in(OWNER)
    for _ in range(3):
        seen: list[Any] = [who.get(PATH).json() for who in (analyst, owner, running.client)]
        assert [one["role"] for one in seen] == ["analyst", "network_owner", "public"]
        assert [bool(one["networks"]) for one in seen] == [False, True, False]
    assert made.count == 3
    assert analyst.get(PATH).headers["cache-control"] == "no-store"
    assert running.client.get(PATH).headers["cache-control"] == "private, no-cache"
    # Two with the same rights share the answer.
    assert running.signed_in(ANALYST).get(PATH).json()["count"] == 1
    assert made.count == 3


def test_a_page_for_one_account_carries_its_name_and_its_own_secret(
    site: tuple[Guarded, Page],
) -> None:
    import re

    running, _ = site
    accounts = running.access.accounts
    accounts.add("mallory", PASSWORD, accounts.get(ANALYST).role)
    secrets = set()
    for name in (ANALYST, "mallory", ANALYST):
        text = running.signed_in(name).get(f"/cases/{CASE}", headers=HTML).text
        assert name in text
        assert ("mallory" if name == ANALYST else ANALYST) not in text
        secrets |= set(re.findall(r'name="csrf" (?:content|value)="([0-9a-f]+)"', text))
    assert len(secrets) == 3, "each session has a secret of its own"


def test_a_different_network_sees_its_own(settings: Settings) -> None:
    from remnant.web.access.viewer import Role, Viewer
    from remnant.web.site import Asked

    one = Viewer("a", Role.OWNER, ("AS64500",))
    asked: Any = [Asked(None, viewer, None) for viewer in (one, replace(one, networks=("AS1",)))]  # type: ignore[arg-type]
    assert asked[0].scope_of_view != asked[1].scope_of_view
