"""Signing in, accounts, tokens and the audit log with a browser: by keyboard, scripts off."""

from __future__ import annotations

from base64 import b32decode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from remnant.web.access.totp import code, step_of
from web import browsing
from web.conftest import serving
from web.guarded import ANALYST, OPERATOR, OWNER, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from remnant.settings import Settings
    from web.conftest import Served


@pytest.fixture
def served(peopled: Settings) -> Iterator[Served]:
    """A site that demands accounts, on a port of this machine, instead of the open one."""
    with serving(peopled, guarded=True, beside=False) as running:
        yield running


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Sign in with the keyboard alone, from wherever the site sends one; wait for the answer."""
    page.wait_for_selector("#name:focus")
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    with page.expect_navigation():
        page.keyboard.press("Enter")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_one_signs_in_by_keyboard_and_arrives_where_one_wanted(
    new_page: Callable[..., Page], log: browsing.Log, scripts: bool
) -> None:
    page = new_page(java_script_enabled=scripts)
    page.goto("/audit?account=olga")
    assert page.url.endswith("/login?next=%2Faudit%3Faccount%3Dolga")
    log.forgiven.append("401 (Unauthorized)")
    if scripts:
        sign_in(page, OPERATOR, "wrong password")
        assert "do not belong together" in page.get_by_role("alert").inner_text()
        # The name is still there, and the password is next.
        page.wait_for_selector("#password:focus")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
    else:
        page.get_by_label("Name").fill(OPERATOR)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").press("Enter")
    page.wait_for_url("**/audit?account=olga")
    assert page.get_by_role("cell", name="login", exact=True).count() == 1
    cookie = page.context.cookies()[0] | {"value": "", "expires": 0}
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"

    page.get_by_role("button", name="Sign out").press("Enter")
    page.wait_for_url("**/login")
    page.goto("/audit")
    assert "/login?next=" in page.url


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_an_operator_makes_an_account_a_token_and_closes_the_account(
    new_page: Callable[..., Page], scripts: bool
) -> None:
    page = new_page(java_script_enabled=scripts)
    page.goto("/accounts")
    page.get_by_label("Name").fill(OPERATOR)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/accounts")

    form = page.get_by_role("form", name="New account")
    form.get_by_label("Name").fill("new.owner")
    form.get_by_label("Role").select_option("network_owner")
    form.get_by_label("Networks").fill("AS64501 192.0.2.0/24")
    form.get_by_label("Password", exact=True).fill("a long enough one")
    form.get_by_label("Password again").fill("a long enough one")
    with page.expect_navigation():
        form.get_by_role("button").press("Enter")
    row = page.get_by_role("row", name="new.owner")
    assert "AS64501, 192.0.2.0/24" in row.inner_text()

    page.get_by_text("new.owner, network owner").click()
    with page.expect_navigation():
        page.get_by_role("form", name="State of new.owner").get_by_role("button").click()
    assert "closed" in page.get_by_role("row", name="new.owner").inner_text()

    page.goto("/account")
    page.get_by_label("Label: what uses it").fill("nightly <script>alert(1)</script>")
    with page.expect_navigation():
        page.get_by_role("button", name="Make a token").press("Enter")
    secret = page.get_by_label("Token").input_value()
    assert secret.startswith("remnant_")
    answer = page.request.get("/account.json", headers={"authorization": f"Bearer {secret}"})
    assert answer.ok
    page.goto("/account")
    with page.expect_navigation():
        page.get_by_role("button", name="Revoke nightly").press("Enter")
    assert page.get_by_role("button", name="Revoke nightly").count() == 0


def test_axe_finds_nothing_and_nothing_sticks_out(
    page: Page, served: Served, log: browsing.Log
) -> None:
    access: Any = served.app.state.access
    from remnant.web.access.audit import Action
    from remnant.web.access.tokens import Scope

    hostile = '"><img src=x onerror=alert(1)>' + "w" * 40
    access.tokens.make(OPERATOR, hostile, {Scope.READ, Scope.EDIT}, 5)
    access.log.record(OWNER, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Action.DENIED, hostile * 4)
    found: dict[str, list[str]] = {}

    def look(path: str) -> None:
        said = browsing.inaccessible(page) + browsing.sticking_out(page)
        if said:
            found[path] = said

    page.goto("/login")
    look("/login")
    log.forgiven.append("401 (Unauthorized)")
    sign_in(page, OPERATOR, "wrong")
    look("/login again")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/cases")
    paths = ("/accounts", "/account", "/account/second-factor", "/audit", "/audit?account=nobody")
    for path in paths:
        page.goto(path)
        if path == "/accounts":
            for summary in page.locator("summary").all():
                summary.click()
        look(path)
        assert browsing.elements_of(page, ()) == [], path
    page.goto("/account/second-factor")
    page.get_by_role("button", name="Make a secret").click()
    page.wait_for_selector("#code")
    look("the secret")
    log.forgiven.append("422 (Unprocessable")
    page.get_by_label("The code that it shows now").fill("nothing")
    page.keyboard.press("Enter")
    page.wait_for_selector("#problem")
    look("a wrong code")
    assert found == {}


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_one_adds_a_second_factor_and_signs_in_with_it(
    new_page: Callable[..., Page], scripts: bool
) -> None:
    page = new_page(java_script_enabled=scripts)
    page.goto("/account/second-factor")
    page.get_by_label("Name").fill(ANALYST)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").press("Enter")
    page.wait_for_url("**/account/second-factor")
    page.get_by_role("button", name="Make a secret").press("Enter")
    secret = page.get_by_role("textbox", name="Secret").input_value()
    link = page.get_by_role("link", name="open it there").get_attribute("href")
    assert link == f"otpauth://totp/Remnant:{ANALYST}?secret={secret}&issuer=Remnant"
    now = step_of(datetime.now(tz=UTC))
    page.get_by_label("The code that it shows now").fill(code(b32decode(secret), now))
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Recovery codes").wait_for()
    codes = page.locator("li code").all_inner_texts()
    assert len(set(codes)) == 10

    page.get_by_role("button", name="Sign out").press("Enter")
    page.wait_for_url("**/login")
    page.get_by_label("Name").fill(ANALYST)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Code, if your account has a second factor").fill(codes[0])
    page.keyboard.press("Enter")
    page.wait_for_url("**/cases")


def test_a_page_of_another_site_cannot_act_for_who_is_signed_in(
    new_page: Callable[..., Page], served: Served, log: browsing.Log
) -> None:
    """A browser sends its cookies where a form of another site points; the site refuses."""
    access: Any = served.app.state.access
    page = new_page()
    page.goto("/accounts")
    sign_in(page, OPERATOR)
    page.wait_for_url("**/accounts")
    log.forgiven.append("403 (Forbidden)")
    # Another port is another origin of the same site: cookies are sent all the same.
    page.route(
        "http://127.0.0.1:1/**",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f'<form method="post" action="{served.url}/accounts/{ANALYST}/state">'
            '<input name="disabled" value="true"><button>x</button></form>',
        ),
    )
    log.forgiven.append("outside: http://127.0.0.1:1/")
    page.goto("http://127.0.0.1:1/")
    page.get_by_role("button").click()
    page.wait_for_url("**/state")
    assert page.inner_text("h1") == "Another site sent this request"
    assert not access.accounts.get(ANALYST).disabled
