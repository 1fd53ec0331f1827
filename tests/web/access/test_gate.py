from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from fastapi import HTTPException, Request
from fastapi.routing import APIRoute

from remnant.web.access import sessions
from remnant.web.access.forms import SAFE, genuine
from remnant.web.access.gate import HEADER, admits, recorded_by, roles_of, still_admitted
from remnant.web.access.security import routes_of
from remnant.web.access.tokens import Scope
from remnant.web.access.viewer import ANALYSTS, ANYBODY, OPERATORS, OWNERS, Role
from web.access.test_sessions import Clock
from web.guarded import ANALYST, OPERATOR, OWNER, bare, guarding, send
from web.pages_of import filled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from web.guarded import Guarded

REACHED = 418
"""What an endpoint answers that let somebody in, here: none is run."""
FOR_ANYBODY = {"/", "/api", "/login", "/logout", "/openapi.json", "/static/{digest}/{name}"}
JSON = {"accept": "application/json"}


def endpoints(app: FastAPI) -> Iterator[tuple[str, str, str, frozenset[Role]]]:
    """Method, declared path, a path that fits it, and declared roles of every endpoint."""
    for route in routes_of(app):
        # Anything else answers without asking the gate.
        assert isinstance(route, APIRoute), route
        names: dict[str, tuple[str, ...]] = dict.fromkeys(route.param_convertors, ("x",))
        for method in sorted(route.methods or ()):
            yield method, route.path, next(filled(route.path, names)), roles_of(route.endpoint)


def stop_behind_the_gate(app: FastAPI) -> None:
    def reached() -> None:
        raise HTTPException(REACHED)

    app.dependency_overrides[genuine] = reached


def reached(app: FastAPI, browser: TestClient) -> set[tuple[str, str]]:
    found = set()
    for method, path, address, _ in endpoints(app):
        answer = browser.request(method, address, headers=JSON)
        assert answer.status_code in {401, 403, REACHED}, (method, path, answer.status_code)
        if answer.status_code == REACHED:
            found.add((method, path))
    return found


def declared(app: FastAPI, role: Role) -> set[tuple[str, str]]:
    return {(method, path) for method, path, _, roles in endpoints(app) if role in roles}


@pytest.mark.parametrize(
    ("name", "role"),
    [(OPERATOR, Role.OPERATOR), (ANALYST, Role.ANALYST), (OWNER, Role.OWNER)],
    ids=["operator", "analyst", "network owner"],
)
def test_who_is_signed_in_reaches_what_names_their_role_and_nothing_else(
    site: Guarded, name: str, role: Role
) -> None:
    browser = site.signed_in(name)
    stop_behind_the_gate(site.app)
    assert reached(site.app, browser) == declared(site.app, role)


@pytest.mark.parametrize("public", [True, False], ids=["public", "not public"])
def test_who_is_not_signed_in_reaches_what_the_public_may(
    tmp_path: Path, quick_passwords: None, public: bool
) -> None:
    with guarding(bare(tmp_path), public=public) as site:
        stop_behind_the_gate(site.app)
        role = Role.PUBLIC if public else Role.NOBODY
        assert reached(site.app, site.client) == declared(site.app, role)


def test_each_role_reaches_all_that_the_next_lower_one_does(site: Guarded) -> None:
    order = [Role.NOBODY, Role.PUBLIC, Role.OWNER, Role.ANALYST, Role.OPERATOR]
    allowed = [declared(site.app, role) for role in order]
    for lower, higher in pairwise(allowed):
        assert lower <= higher


def test_what_needs_no_sign_in_is_the_sign_in_and_the_look(site: Guarded) -> None:
    assert {path for _, path in declared(site.app, Role.NOBODY)} == FOR_ANYBODY


def test_accounts_and_the_audit_log_are_the_operators(site: Guarded) -> None:
    roles = {path: roles for _, path, _, roles in endpoints(site.app)}
    for path, found in roles.items():
        if path.startswith(("/accounts", "/audit")):
            assert found == OPERATORS, path


def test_every_endpoint_declares_roles(site: Guarded) -> None:
    assert [path for _, path, _, roles in endpoints(site.app) if not roles] == []


CHANGE_NOTHING = {"/api/cases/{case}/check", "/api/cases/{case}/import"}
"""What is sent with POST because it is long: it is looked at and not kept."""


def test_every_endpoint_that_changes_something_says_what_it_records(site: Guarded) -> None:
    silent = {
        route.path
        for route in routes_of(site.app)
        if isinstance(route, APIRoute)
        and not (route.methods or set()) <= SAFE
        and not recorded_by(route.endpoint)
    }
    assert silent == CHANGE_NOTHING


def test_an_endpoint_that_declares_no_roles_answers_nobody(site: Guarded) -> None:
    @site.app.get("/forgotten")
    def forgotten() -> str:
        return "never"

    for browser in (site.client, site.signed_in(OPERATOR)):
        assert browser.get("/forgotten", headers=JSON).status_code in {401, 403}


def test_a_page_asks_who_is_not_signed_in_to_sign_in_and_comes_back(site: Guarded) -> None:
    answer = site.client.get("/cases?x=1&y=%2F", headers={"accept": "text/html"})

    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Fcases%3Fx%3D1%26y%3D%252F"
    form = site.client.get(answer.headers["location"])
    assert 'value="/cases?x=1&amp;y=%2F"' in form.text


def test_the_api_answers_401_in_its_shape(site: Guarded) -> None:
    answer = site.client.get("/cases.json")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["status"] == 401


def test_a_role_that_changes_holds_from_the_next_request_on(site: Guarded) -> None:
    browser = site.signed_in(ANALYST)
    assert browser.get("/audit.json").status_code == 403

    site.access.accounts.set_role(ANALYST, Role.OPERATOR)

    assert browser.get("/audit.json").status_code == 200


def token(site: Guarded, name: str, *scopes: Scope) -> dict[str, str]:
    secret = site.access.tokens.make(name, "test", scopes, 1)
    return JSON | {"authorization": f"Bearer {secret}"}


def test_a_token_does_what_its_scopes_say(site: Guarded) -> None:
    @site.app.post("/edited")
    @admits(ANALYSTS)
    def edited() -> str:
        return "done"

    def status(method: str, path: str, *scopes: Scope, name: str = OPERATOR) -> int:
        found: int = site.client.request(
            method, path, headers=token(site, name, *scopes)
        ).status_code
        return found

    assert status("GET", "/account.json", Scope.READ) == 200
    assert status("GET", "/account.json", Scope.EDIT) == 403
    assert status("POST", "/edited", Scope.EDIT) == 200, "a token needs no form"
    assert status("POST", "/edited", Scope.READ) == 403
    assert status("GET", "/audit.json", Scope.READ, Scope.EDIT) == 403
    assert status("GET", "/audit.json", Scope.ADMIN) == 200
    assert status("GET", "/audit.json", Scope.ADMIN, name=ANALYST) == 403
    assert status("POST", "/edited", Scope.EDIT, name=OWNER) == 403


@pytest.mark.parametrize(
    "shown", ["Bearer", "Bearer ", "Bearer nonsense", "Basic b2xnYTpvbGdh", "Bearer " + "x" * 5_000]
)
def test_a_bad_token_is_refused_even_with_a_good_session(site: Guarded, shown: str) -> None:
    browser = site.signed_in(OPERATOR)
    answer = browser.get("/cases.json", headers=JSON | {"authorization": shown})
    assert answer.status_code == 401
    assert "invalid_token" in answer.headers["www-authenticate"]


def test_a_token_cannot_make_tokens_or_change_the_password(site: Guarded) -> None:
    headers = token(site, OPERATOR, *Scope)
    for path in ("/account/tokens", "/account/password", "/account/sessions/end"):
        fields = {"label": "x", "scope": "read", "current": "x", "new": "y", "again": "y"}
        answer = site.client.post(path, data=fields, headers=headers)
        assert answer.status_code == 403, path


def test_what_was_refused_is_recorded_once_a_minute(site: Guarded) -> None:
    browser = site.signed_in(OWNER)
    for _ in range(3):
        browser.get("/audit.json")
    assert site.actions()[1:] == [(OWNER, "denied", "GET /audit.json")]


def test_a_stream_ends_with_the_session_of_who_reads_it(site: Guarded) -> None:
    said: list[bool] = []

    @site.app.get("/stream")
    @admits(OWNERS)
    def stream(request: Request) -> str:
        said.append(still_admitted(request))
        site.access.sessions.end_all(OWNER)
        said.append(still_admitted(request))
        return "over"

    browser = site.signed_in(OWNER)
    assert browser.get("/stream").status_code == 200
    assert said == [True, False]
    assert browser.get("/stream", headers=JSON).status_code == 401


def test_an_open_page_keeps_no_session_alive(
    site: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(sessions, "datetime", clock)
    still: list[bool] = []

    @site.app.get("/stream")
    @admits(OWNERS, by_itself=True)
    def stream(request: Request) -> str:
        still.append(still_admitted(request))
        return ""

    browser, other = site.signed_in(OWNER), site.signed_in(ANALYST)
    for _ in range(3):
        clock.pass_hours(0.6)
        browser.get("/stream")
        assert browser.get("/cases.json", headers={HEADER: "1"}).status_code == 200
        assert other.get("/cases.json").status_code == 200
    assert still == [True] * 3
    clock.pass_hours(0.6)
    assert other.get("/cases.json").status_code == 200
    assert browser.get("/cases.json", headers=JSON).status_code == 401
    assert browser.get("/live").status_code == 401


def test_a_token_that_is_only_looked_at_was_not_used(site: Guarded) -> None:
    secret = site.access.tokens.make(ANALYST, "nightly", {Scope.READ}, 1)
    assert site.access.tokens.find(secret, use=False) is not None
    assert site.access.tokens.of(ANALYST)[0].last_used is None
    assert site.access.tokens.find(secret) is not None
    assert site.access.tokens.of(ANALYST)[0].last_used is not None


def test_without_accounts_this_machines_user_is_the_operator(tmp_path: Path) -> None:
    from fastapi.testclient import TestClient

    from remnant.web.app import create_app

    app = create_app(bare(tmp_path), beside=False)
    with TestClient(app, base_url="http://127.0.0.1:8060") as local:
        assert local.get("/audit.json").status_code == 200
        assert local.get("/account.json").json()["role"] == "operator"
        # The first account is made here, and nobody is asked for it until the next start.
        answer = send(
            local, "/accounts", "/accounts", name="first", role="operator",
            password="correct horse", again="correct horse",
        )  # fmt: skip
        assert answer.status_code == 200
        assert [one["name"] for one in local.get("/accounts.json").json()["accounts"]] == ["first"]
        entries = local.get("/audit.json").json()["entries"]
        assert [(e["account"], e["action"]) for e in entries] == [("local", "account added")]


def test_the_document_of_the_api_says_what_each_operation_needs(site: Guarded) -> None:
    document = site.client.get("/openapi.json").json()

    assert set(document["components"]["securitySchemes"]) == {"session", "token"}
    operation = document["paths"]["/audit.json"]["get"]
    assert operation["security"] == [{"session": []}, {"token": ["admin"]}]
    assert operation["x-roles"] == ["operator"]
    assert document["paths"]["/cases.json"]["get"]["security"][0] == {}
    for path, operations in document["paths"].items():
        for method, found in operations.items():
            assert found["security"], f"{method} {path}"


def test_any_role_is_none_of_the_public_by_mistake() -> None:
    assert Role.NOBODY in ANYBODY
    assert Role.NOBODY not in OWNERS | ANALYSTS | OPERATORS
    assert Role.PUBLIC not in OWNERS
