from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from remnant.web.pages.login import local_path
from web.guarded import ANALYST, NETWORKS, OPERATOR, OWNER, PASSWORD, guarding, send

if TYPE_CHECKING:
    from remnant.settings import Settings
    from web.guarded import Guarded

HTML = {"accept": "text/html"}
NOW = datetime(2015, 4, 8, 12, tzinfo=UTC)


def test_signing_in_starts_a_session_and_goes_where_one_wanted(site: Guarded) -> None:
    browser = site.browser()
    answer = send(
        browser, "/login", "/login", name=" Olga ", password=PASSWORD, next="/accounts?x=1"
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == "/accounts?x=1"
    assert browser.get("/account.json").json()["name"] == OPERATOR
    assert browser.get("/login", headers=HTML).status_code == 303
    assert site.access.accounts.get(OPERATOR).last_login is not None


@pytest.mark.parametrize(
    "where",
    [
        "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "///evil",
        "/\t/evil.example", "/a\r\nset-cookie: x=1", "javascript:alert(1)", "evil", "", "/login",
        "/logout", "/" + "x" * 3_000, "/\u2028evil", "http:evil", "/ /evil.example",
    ],
)  # fmt: skip
def test_after_signing_in_one_stays_on_this_site(site: Guarded, where: str) -> None:
    assert local_path(where) == "/cases"
    answer = send(site.browser(), "/login", "/login", name=OPERATOR, password=PASSWORD, next=where)
    assert answer.headers["location"] == "/cases"
    if len(where) < 2_000:
        page = site.client.get("/login", params={"next": where}, headers=HTML)
        assert 'name="next" value="/cases"' in page.text


@pytest.mark.parametrize("name", [OPERATOR, "nobody", "<script>", "", "x" * 5_000, "a\x00b"])
def test_a_wrong_password_and_an_unknown_name_look_the_same(site: Guarded, name: str) -> None:
    answer = send(site.browser(), "/login", "/login", name=name, password="wrong")
    assert answer.status_code == 401
    assert "do not belong together" in answer.text
    assert "set-cookie" not in answer.headers or "session" not in answer.headers["set-cookie"]
    assert "<script>" not in answer.text.partition("<main")[2]
    assert "wrong" not in answer.text.partition("<form class")[2].replace('class="wrong"', "")
    account, action, subject = site.actions()[-1]
    assert (account, action) == ("", "login failed")
    assert len(subject) <= 200


def test_a_closed_account_is_told_no_more_than_a_wrong_password(site: Guarded) -> None:
    site.access.accounts.disable(ANALYST, disabled=True)
    right = send(site.browser(), "/login", "/login", name=ANALYST, password=PASSWORD)
    wrong = send(site.browser(), "/login", "/login", name=ANALYST, password="wrong")
    assert right.status_code == wrong.status_code == 401


@pytest.fixture
def standing(site: Guarded, monkeypatch: pytest.MonkeyPatch) -> Guarded:
    """The site while no time passes between two tries, on however slow a machine."""
    monkeypatch.setattr(site.app.state.access.limits, "_clock", lambda: NOW)
    return site


def test_tries_are_slowed_down_and_the_right_password_waits_too(standing: Guarded) -> None:
    site = standing
    browser = site.browser()
    for _ in range(5):
        assert send(browser, "/login", "/login", name=ANALYST, password="wrong").status_code == 401
    answer = send(browser, "/login", "/login", name=ANALYST, password=PASSWORD)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert "Too many attempts" in answer.text
    assert site.actions()[-1] == ("", "login delayed", ANALYST)
    # A colleague in the same office is not kept out.
    assert send(browser, "/login", "/login", name=OPERATOR, password=PASSWORD).status_code == 303


def test_a_session_that_was_there_before_signing_in_is_not_taken_over(site: Guarded) -> None:
    browser = site.browser()
    browser.cookies.set("remnant_session", "chosen-by-a-stranger")
    answer = send(browser, "/login", "/login", name=OPERATOR, password=PASSWORD)
    first = answer.headers["set-cookie"]
    assert "chosen-by-a-stranger" not in first
    stranger = site.browser()
    stranger.cookies.set("remnant_session", "chosen-by-a-stranger")
    assert stranger.get("/account.json").status_code == 401


def test_signing_in_again_ends_the_session_of_before(site: Guarded) -> None:
    browser = site.signed_in(ANALYST)
    old = browser.cookies["remnant_session"]
    # The form of who is signed in is any of their pages'.
    answer = send(browser, "/account", "/login", name=OPERATOR, password=PASSWORD)
    assert answer.status_code == 303
    assert site.access.sessions.find(old) is None


def test_signing_out_ends_the_session_on_the_server(site: Guarded) -> None:
    browser = site.signed_in(ANALYST)
    secret = browser.cookies["remnant_session"]
    answer = send(browser, "/account", "/logout")
    assert answer.status_code == 303
    assert answer.headers["clear-site-data"] == '"cookies", "storage"'
    assert "Max-Age=0" in answer.headers["set-cookie"]
    browser.cookies.set("remnant_session", secret)
    assert browser.get("/account.json").status_code == 401
    assert [action for _, action, _ in site.actions()] == ["login", "logout"]


def test_another_site_cannot_sign_somebody_out(site: Guarded) -> None:
    browser = site.signed_in(ANALYST)
    assert browser.post("/logout").status_code == 403
    assert browser.get("/logout").status_code in {404, 405}
    assert browser.get("/account.json").status_code == 200


def test_pages_of_who_is_signed_in_are_kept_by_no_cache(site: Guarded) -> None:
    browser = site.signed_in(ANALYST)
    for path in ("/account", "/account.json", "/account.csv", "/login"):
        assert browser.get(path, headers=HTML).headers["cache-control"] == "no-store"


def test_who_is_not_signed_in_sees_where_to_and_nothing_of_the_site(site: Guarded) -> None:
    page = site.client.get("/login", headers=HTML)
    assert page.status_code == 200
    assert 'role="search"' not in page.text
    assert PASSWORD not in page.text


def test_on_a_site_with_public_pages_one_may_look_and_sign_in(peopled: Settings) -> None:
    with guarding(peopled, public=True) as site:
        page = site.client.get("/cases", headers=HTML)
        assert page.status_code == 200
        assert '<a href="/login">Sign in</a>' in page.text
        assert "set-cookie" not in page.headers
        assert site.client.get("/account", headers=HTML).headers["location"].startswith("/login")
        assert site.client.get("/audit.json").status_code == 401


def test_an_account_changes_its_own_password(site: Guarded) -> None:
    browser, other = site.signed_in(ANALYST), site.signed_in(ANALYST)
    new = "a different long one"

    def change(**fields: str) -> int:
        found: int = send(browser, "/account", "/account/password", **fields).status_code
        return found

    assert change(current="wrong", new=new, again=new) == 403
    assert change(current=PASSWORD, new=new, again="typo") == 422
    assert change(current=PASSWORD, new="short", again="short") == 422
    old = browser.cookies["remnant_session"]
    assert change(current=PASSWORD, new=new, again=new) == 303
    assert browser.cookies["remnant_session"] != old, "a new session"
    assert browser.get("/account.json").status_code == 200
    assert other.get("/account.json").status_code == 401
    site.signed_in(ANALYST, new)


def test_guessing_the_current_password_is_slowed_down(standing: Guarded) -> None:
    browser = standing.signed_in(ANALYST)
    fields = {"current": "wrong", "new": "x" * 12, "again": "x" * 12}
    said = [send(browser, "/account", "/account/password", **fields).status_code for _ in range(7)]
    assert said == [403] * 5 + [429] * 2


def test_a_token_is_shown_once_and_works_until_it_is_revoked(site: Guarded) -> None:
    import re

    browser = site.signed_in(OWNER)
    page = send(browser, "/account", "/account/tokens", label="nightly <b>", days=7, scope="read")
    secret = re.search(r'value="(remnant_[\w-]{43})"', page.text)
    assert secret
    assert "<b>" not in page.text
    shown = {"authorization": f"Bearer {secret[1]}"}
    assert site.client.get("/account.json", headers=shown).json()["networks"] == list(NETWORKS)
    assert secret[1] not in browser.get("/account", headers=HTML).text

    [token] = browser.get("/account.json").json()["tokens"]
    assert token["scopes"] == ["read"]
    other = site.signed_in(ANALYST)
    assert send(other, "/account", f"/account/tokens/{token['id']}/revoke").status_code == 404
    assert send(browser, "/account", f"/account/tokens/{token['id']}/revoke").status_code == 303
    assert site.client.get("/account.json", headers=shown).status_code == 401


def test_only_an_operators_token_has_the_scope_of_operators(site: Guarded) -> None:
    fields = {"label": "x", "days": 7, "scope": "admin"}
    for name, status in ((ANALYST, 403), (OPERATOR, 200)):
        answer = send(site.signed_in(name), "/account", "/account/tokens", **fields)
        assert answer.status_code == status
