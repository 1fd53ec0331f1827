"""A site that demands accounts, and people who sign in to it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from remnant.settings import Settings, WebSettings
from remnant.web.access.access import Access
from remnant.web.access.viewer import Role

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import FastAPI
    from fastapi.testclient import TestClient

PASSWORD: Final = "correct horse battery"
OPERATOR: Final = "olga"
ANALYST: Final = "anna"
OWNER: Final = "isp@example.net"
NETWORKS: Final = ("AS64500", "2001:db8:7::/48")
PEOPLE: Final = {OPERATOR: Role.OPERATOR, ANALYST: Role.ANALYST, OWNER: Role.OWNER}
_FIELD: Final = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


@dataclass(frozen=True)
class Guarded:
    """A running application with accounts. ``client`` is somebody who is not signed in."""

    app: FastAPI
    client: TestClient

    @property
    def access(self) -> Access:
        found: Access = self.app.state.access
        return found

    def browser(self, **options: Any) -> TestClient:
        """Return a browser without cookies."""
        from fastapi.testclient import TestClient

        return TestClient(self.app, base_url="http://localhost", follow_redirects=False, **options)

    def signed_in(self, name: str, password: str = PASSWORD, **options: Any) -> TestClient:
        """Return a browser that is signed in."""
        browser = self.browser(**options)
        answer = send(browser, "/login", "/login", name=name, password=password)
        assert answer.status_code == 303, answer.text
        return browser

    def actions(self) -> list[tuple[str, str, str]]:
        """Return account, action and subject of the audit log, oldest first."""
        return [(e.account, e.action, e.subject) for e in reversed(self.access.log.entries())]


def field_of(browser: TestClient, page: str) -> str:
    """Return the value that the forms of a page carry."""
    answer = browser.get(page, headers={"accept": "text/html"})
    found = _FIELD.search(answer.text)
    assert found, answer.text
    return found[1]


def send(browser: TestClient, page: str, path: str, **fields: Any) -> Any:
    """Send a form as a browser does that shows a page."""
    fields["csrf"] = field_of(browser, page)
    return browser.post(path, data=fields, headers={"accept": "text/html"})


def make_people(settings: Settings) -> None:
    """Make an account of every role."""
    access = Access(settings)
    try:
        for name, role in PEOPLE.items():
            access.accounts.add(name, PASSWORD, role, NETWORKS if role is Role.OWNER else ())
    finally:
        access.close()


@contextmanager
def guarding(settings: Settings, *, beside: bool = False, **web: Any) -> Iterator[Guarded]:
    """Run a site that demands accounts, with settings of its section ``web``."""
    from fastapi.testclient import TestClient

    from remnant.web.app import create_app

    app = create_app(replace(settings, web=WebSettings(**web)), guarded=True, beside=beside)
    with TestClient(app, base_url="http://localhost", follow_redirects=False) as client:
        yield Guarded(app, client)


def bare(folder: Path) -> Settings:
    """Return settings of a home without any data."""
    return Settings(home=folder / "home", site_key=folder / "key" / "site.key")
