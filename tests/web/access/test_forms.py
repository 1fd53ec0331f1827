from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi import Request  # noqa: TC002 - FastAPI reads it

from remnant.web.access.frontier import MOST_BYTES
from remnant.web.access.gate import admits
from remnant.web.access.viewer import ANALYSTS, ANYBODY
from web.guarded import ANALYST, OPERATOR, bare, field_of, send

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi.testclient import TestClient

    from web.guarded import Guarded


@pytest.fixture
def local(tmp_path: Path) -> Iterator[TestClient]:
    """A server on this machine without accounts, with something to change."""
    from fastapi.testclient import TestClient

    from remnant.web.app import create_app

    app = create_app(bare(tmp_path), beside=False)

    @app.post("/changed")
    @admits(ANALYSTS)
    async def changed(request: Request) -> dict[str, str]:
        return {key: str(value) for key, value in (await request.form()).items() if key != "csrf"}

    with TestClient(app, base_url="http://localhost:8060") as client:
        yield client


def test_a_form_of_ours_is_taken_and_one_without_the_value_is_not(local: TestClient) -> None:
    value = field_of(local, "/accounts")

    assert local.post("/changed", data={"csrf": value, "x": "1"}).json() == {"x": "1"}
    assert local.post("/changed", data={"x": "1"}).status_code == 403
    assert local.post("/changed", data={"csrf": "0" * 64}).status_code == 403
    assert local.post("/changed", data={"csrf": "\u00e9"}).status_code == 403
    assert local.post("/changed", json={"csrf": value}).status_code == 403


def test_files_and_scripts_carry_it_too(local: TestClient) -> None:
    value = field_of(local, "/accounts")

    sent = local.post("/changed", data={"csrf": value}, files={"f": ("a.toml", b"x")})
    assert sent.status_code == 200
    assert local.post("/changed", json={}, headers={"x-csrf-token": value}).status_code == 200
    assert local.post("/changed", json={}, headers={"x-csrf-token": "no"}).status_code == 403


def test_the_value_alone_is_worth_nothing_without_the_cookie(local: TestClient) -> None:
    value = field_of(local, "/accounts")
    local.cookies.clear()

    assert local.post("/changed", data={"csrf": value}).status_code == 403


def test_a_cookie_that_a_stranger_chose_gives_no_value_they_know(local: TestClient) -> None:
    local.cookies.set("remnant_visit", "chosen")
    theirs = field_of(local, "/accounts")
    other = type(local)(local.app, base_url="http://localhost:8060")
    assert len(theirs) == 64
    assert theirs not in "chosen"
    other.cookies.set("remnant_visit", "x" * 10_000)
    assert other.post("/changed", data={"csrf": theirs}).status_code == 403


def test_the_value_of_one_session_is_not_that_of_another(site: Guarded) -> None:
    anna, olga = site.signed_in(ANALYST), site.signed_in(OPERATOR)
    value = field_of(anna, "/account")

    answer = olga.post("/account/sessions/end", data={"csrf": value})
    assert answer.status_code == 403
    assert anna.post("/account/sessions/end", data={"csrf": value}).status_code == 303


def test_forms_of_one_page_share_a_value_and_a_cookie(local: TestClient) -> None:
    page = local.get("/accounts", headers={"accept": "text/html"})

    assert len(page.headers.get_list("set-cookie")) == 1
    cookie = page.headers["set-cookie"]
    assert cookie.startswith("remnant_visit=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://localhost:8060"},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:9999"},
        {"origin": "null"},
        {"origin": ""},
    ],
    ids=str,
)
def test_another_site_cannot_send_even_a_form_with_the_right_value(
    local: TestClient, headers: dict[str, str]
) -> None:
    value = field_of(local, "/accounts")
    answer = local.post("/changed", data={"csrf": value}, headers=headers)
    assert answer.status_code == 403
    assert "another site" in answer.json()["error"]["what"]


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin", "origin": "http://localhost:8060"},
        {"sec-fetch-site": "none"},
        {"origin": "http://localhost:8060"},
        {},
    ],
    ids=str,
)
def test_our_own_site_and_programs_can(local: TestClient, headers: dict[str, str]) -> None:
    value = field_of(local, "/accounts")
    assert local.post("/changed", data={"csrf": value}, headers=headers).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
def test_every_method_that_changes_something_is_checked(local: TestClient, method: str) -> None:
    @local.app.api_route("/any", methods=[method])  # type: ignore[attr-defined, untyped-decorator]
    @admits(ANYBODY)
    def anything() -> str:
        return "done"

    assert local.request(method, "/any").status_code == 403


def test_a_body_that_is_too_large_is_not_read(local: TestClient) -> None:
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        for _ in range(MOST_BYTES // 1_000_000 + 3):
            sent.append(1)
            yield b"x" * 1_000_000

    told = {"content-length": str(MOST_BYTES + 1), "content-type": "text/plain"}
    assert local.post("/changed", content=b"x", headers=told).status_code == 413
    answer = local.post("/changed", content=endless(), headers={"content-type": "text/plain"})
    assert answer.status_code in {403, 413}


def test_a_form_can_be_sent_after_the_server_started_again(site: Guarded, tmp_path: Path) -> None:
    from web.guarded import guarding

    anna = site.signed_in(ANALYST)
    value = field_of(anna, "/account")
    with guarding(bare(tmp_path)) as again:
        browser = again.browser()
        browser.cookies.set("remnant_session", anna.cookies["remnant_session"])
        answer = browser.post("/account/sessions/end", data={"csrf": value})
        assert answer.status_code == 303


def test_signing_in_needs_a_form_too(site: Guarded) -> None:
    fields = {"name": OPERATOR, "password": "correct horse battery"}
    assert site.client.post("/login", data=fields).status_code == 403
    assert send(site.browser(), "/login", "/login", **fields).status_code == 303
