"""A home with clients in several networks over three weeks, and requests of any viewer."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import HTTPException, Request

from dnstap_writer import CLIENT_QUERY, START_TIME, message, query, stream
from remnant.web.access.gate import admit, roles_of
from remnant.web.access.viewer import PUBLIC, Role, Viewer
from story.telling import Place
from web.conftest import settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI
    from fastapi.testclient import TestClient

DAYS = 21
BIG, SMALL, OTHER, SIX = 64500, 64501, 64502, 64503
HOSTILE = "<script>alert(5)</script> =1+1 \u202eTEN"
OWNER = Viewer("owner", Role.OWNER, (f"AS{SMALL}", "192.0.2.0/28"))

_TABLE = "\n".join(
    (
        f"198.51.100.0\t198.51.100.255\t{BIG}\tDE\tExample Telecom",
        f"203.0.113.0\t203.0.113.255\t{SMALL}\tDE\t{HOSTILE}",
        f"192.0.2.0\t192.0.2.255\t{OTHER}\tFR\tAutre",
        f"2001:db8::\t2001:db8:ffff:ffff:ffff:ffff:ffff:ffff\t{SIX}\tJP\tNihon",
    )
)
_CASE = """
[case]
name = "spread"
title = "Spread"
takedown = 2015-04-10
[[watch]]
names = ["c2.evil.example", "*.wide.example"]
state = "seized"
"""


def addresses(day: int) -> Iterator[str]:
    """Yield who asks on a day: one network falls, one is small, one changes its addresses."""
    yield from (f"198.51.100.{n}" for n in range(1, 41 - day))
    yield from (f"203.0.113.{n}" for n in range(1, 4))
    yield from (f"192.0.2.{(n + 7 * day) % 200}" for n in range(1, 15))
    yield from (f"2001:db8:{n:x}::1" for n in range(1, 13))


@pytest.fixture(scope="session")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The home; for reading only."""
    folder = tmp_path_factory.mktemp("spread")
    place = Place(folder)
    (folder / "case.toml").write_text(_CASE, encoding="utf-8")
    (folder / "networks.tsv").write_text(_TABLE, encoding="utf-8")
    place.home.mkdir(parents=True, exist_ok=True)
    (place.home / "settings.toml").write_text(
        f"[reference]\ntables = [{json.dumps(str(folder / 'networks.tsv'))}]\n", encoding="utf-8"
    )
    place.do("case", "import", folder / "case.toml")
    first, second = query("c2.evil.example"), query("www.wide.example")
    asked = (
        message(
            CLIENT_QUERY,
            (first, second)[(hour // 6 + number) % 2],
            time=START_TIME + 86_400.0 * day + 3600 * hour + number,
            client=address,
            port=1024 + number,
        )
        for day in range(DAYS)
        for hour in range(24)
        for number, address in enumerate(addresses(day))
        if number % 6 == hour % 6 or not number
    )
    (folder / "in.dnstap").write_bytes(stream(*asked))
    place.do("ingest", "spread", folder / "in.dnstap")
    record: dict[str, Any] = {"time_first": START_TIME, "time_last": START_TIME + 99, "count": 3}
    record |= {"rrname": "c2.evil.example", "rrtype": "A", "rdata": "5.6.7.8"}
    place.do("pdns", "import", "-", stdin=json.dumps(record).encode())
    return place


@pytest.fixture(scope="session")
def application(spread: Place) -> FastAPI:
    """The application over it; what a page needs is worked out on the way to it."""
    from remnant.web.app import create_app

    return create_app(settings_of(spread), beside=False)


@contextlib.contextmanager
def seen_in(application: FastAPI) -> Iterator[Callable[[Viewer], TestClient]]:
    """Give an application as somebody sees it, without signing in."""
    from fastapi.testclient import TestClient

    with TestClient(application, base_url="http://127.0.0.1", follow_redirects=False) as client:

        def ask(viewer: Viewer) -> TestClient:
            def let_in(request: Request) -> None:
                request.state.viewer = viewer
                if viewer.role not in roles_of(request.scope.get("endpoint")):
                    raise HTTPException(403, "this account may not do that")

            application.dependency_overrides[admit] = let_in
            return client

        yield ask
        application.dependency_overrides.clear()


@pytest.fixture(scope="session")
def as_viewer(application: FastAPI) -> Iterator[Callable[[Viewer], TestClient]]:
    """Return the application as somebody sees it."""
    with seen_in(application) as ask:
        yield ask


@pytest.fixture
def analyst(as_viewer: Callable[[Viewer], TestClient]) -> TestClient:
    return as_viewer(Viewer("ann", Role.ANALYST))


@pytest.fixture
def owner(as_viewer: Callable[[Viewer], TestClient]) -> TestClient:
    return as_viewer(OWNER)


@pytest.fixture
def public(as_viewer: Callable[[Viewer], TestClient]) -> TestClient:
    return as_viewer(PUBLIC)


def said(spread: Place, *arguments: object) -> list[dict[str, Any]]:
    """Return the rows of a command."""
    outcome = spread.run(*arguments, "--format", "json")
    assert outcome.code == 0, outcome.said
    rows: list[dict[str, Any]] = json.loads(outcome.out)
    return rows
