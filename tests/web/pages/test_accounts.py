from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from web.guarded import ANALYST, OPERATOR, OWNER, PASSWORD, field_of, send

if TYPE_CHECKING:
    from web.guarded import Guarded

NEW = "fresh from the operator"


def test_an_operator_makes_an_account_that_signs_in(site: Guarded) -> None:
    operator = site.signed_in(OPERATOR)
    answer = send(
        operator, "/accounts", "/accounts",
        name="New.Owner@example.org", role="network_owner",
        networks="as64501, 192.0.2.0/24\n2001:db8::/32", password=NEW, again=NEW,
    )  # fmt: skip
    assert answer.status_code == 303, answer.text
    browser = site.signed_in("new.owner@example.org", NEW)
    told = browser.get("/account.json").json()
    assert told["networks"] == ["AS64501", "192.0.2.0/24", "2001:db8::/32"]
    assert site.actions()[1] == (
        OPERATOR, "account added",
        "new.owner@example.org: network_owner of AS64501, 192.0.2.0/24, 2001:db8::/32",
    )  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "x", "role": "king", "password": NEW, "again": NEW},
        {"name": "x", "role": "public", "password": NEW, "again": NEW},
        {"name": "x", "role": "nobody", "password": NEW, "again": NEW},
        {"name": "x", "role": "network_owner", "password": NEW, "again": NEW},
        {"name": "x", "role": "network_owner", "networks": "<script>"},
        {"name": "<script>", "role": "analyst", "password": NEW, "again": NEW},
        {"name": OPERATOR, "role": "analyst", "password": NEW, "again": NEW},
        {"name": "x", "role": "analyst", "password": NEW, "again": "another"},
        {"name": "x", "role": "analyst", "password": "short", "again": "short"},
        {"name": "local", "role": "operator", "password": NEW, "again": NEW},
        {},
    ],
    ids=str,
)
def test_an_account_that_cannot_be_is_refused_with_a_reason(
    site: Guarded, fields: dict[str, str]
) -> None:
    operator = site.signed_in(OPERATOR)
    answer = send(operator, "/accounts", "/accounts", **fields)
    assert answer.status_code == 422
    assert "<script>" not in answer.text.partition("<main")[2]
    assert NEW not in answer.text
    assert len(site.access.accounts.all()) == 3


def test_a_password_that_an_operator_sets_ends_the_sessions(site: Guarded) -> None:
    anna, operator = site.signed_in(ANALYST), site.signed_in(OPERATOR)
    path = f"/accounts/{ANALYST}/password"
    assert send(operator, "/accounts", path, password=NEW, again=NEW).status_code == 303
    assert anna.get("/account.json").status_code == 401
    site.signed_in(ANALYST, NEW)


def test_an_account_is_closed_and_opened_again(site: Guarded) -> None:
    owner, operator = site.signed_in(OWNER), site.signed_in(OPERATOR)
    path = f"/accounts/{OWNER}/state"
    assert send(operator, "/accounts", path, disabled="true").status_code == 303
    assert owner.get("/account.json").status_code == 401
    assert send(operator, "/accounts", path, disabled="false").status_code == 303
    site.signed_in(OWNER)
    assert [a for _, a, _ in site.actions() if a.startswith("account")] == [
        "account closed", "account opened",
    ]  # fmt: skip


def test_the_last_operator_cannot_be_closed_here_either(site: Guarded) -> None:
    operator = site.signed_in(OPERATOR)
    answer = send(operator, "/accounts", f"/accounts/{OPERATOR}/state", disabled="true")
    assert answer.status_code == 422
    assert "last operator" in answer.text
    assert operator.get("/account.json").status_code == 200


def test_what_is_changed_must_be_there(site: Guarded) -> None:
    operator = site.signed_in(OPERATOR)
    for path, fields in (
        ("/accounts/nobody/state", {"disabled": "true"}),
        ("/accounts/nobody/role", {"role": "analyst"}),
        ("/accounts/nobody/password", {"password": NEW, "again": NEW}),
        ("/accounts/tokens/000000/revoke", {}),
    ):
        assert send(operator, "/accounts", path, **fields).status_code == 404, path


def test_an_operator_sees_and_revokes_the_tokens_of_all(site: Guarded) -> None:
    from remnant.web.access.tokens import Scope

    secret = site.access.tokens.make(ANALYST, "=nightly", {Scope.READ}, 5)
    operator = site.signed_in(OPERATOR)
    [token] = operator.get("/accounts.json").json()["tokens"]
    assert token["account"] == ANALYST
    path = f"/accounts/tokens/{token['id']}/revoke"
    assert send(operator, "/accounts", path).status_code == 303
    assert site.access.tokens.find(secret) is None


def test_no_page_tells_a_hash_or_a_digest(site: Guarded) -> None:
    from remnant.web.access.tokens import Scope

    site.access.tokens.make(OPERATOR, "nightly", {Scope.READ}, 5)
    operator = site.signed_in(OPERATOR)
    [session] = site.access.sessions.of(OPERATOR)
    for path in ("/accounts", "/account", "/audit"):
        for twin in ("", ".json", ".csv"):
            text = operator.get(path + twin, headers={"accept": "text/html"}).text
            for secret in ("argon2", session.digest, operator.cookies["remnant_session"], PASSWORD):
                assert secret not in text


def test_who_is_no_operator_cannot_send_the_forms(site: Guarded) -> None:
    anna = site.signed_in(ANALYST)
    value = field_of(anna, "/account")
    for path in ("/accounts", f"/accounts/{ANALYST}/role", f"/accounts/{OPERATOR}/state"):
        fields = {"csrf": value, "role": "operator", "disabled": "true", "name": "x"}
        assert anna.post(path, data=fields).status_code == 403
    assert [a for _, a, _ in site.actions()].count("denied") == 3
