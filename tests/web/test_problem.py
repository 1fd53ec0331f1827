from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from remnant.web.frame import POLICY
from web.guarded import bare, guarding

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_an_error_that_nobody_foresaw_carries_the_headers_of_every_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    with guarding(bare(tmp_path)) as site:
        browser = TestClient(site.app, base_url="http://localhost", raise_server_exceptions=False)

        def fails(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(site.app.state.access.sessions, "find", fails)
        browser.cookies.set("remnant_session", "x")
        answer = browser.get("/cases", headers={"accept": accept})
        assert answer.status_code == 500
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "ZeroDivision" not in answer.text


def test_what_was_too_long_does_not_come_back(tmp_path: Path) -> None:
    with guarding(bare(tmp_path), public=True) as site:
        answer = site.client.get("/search.json", params={"q": "x" * 50_000})
        assert answer.status_code == 422
        assert answer.json()["error"]["got"] == "x" * 200
