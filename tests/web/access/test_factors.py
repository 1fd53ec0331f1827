"""Second factors: made, demanded, used once, lost and reset."""

from __future__ import annotations

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from remnant.cli import app as command
from remnant.errors import AccessError
from remnant.web.access import factors
from remnant.web.access.access import Access
from remnant.web.access.factors import Shown
from remnant.web.access.totp import STEP, code, step_of
from remnant.web.access.viewer import Role
from web.access.test_sessions import Clock
from web.guarded import ANALYST, OPERATOR, OWNER, PASSWORD, guarding, send

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi.testclient import TestClient

    from remnant.settings import Settings
    from web.guarded import Guarded

PAGE = "/account/second-factor"
HTML = {"accept": "text/html"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(factors, "datetime", clock)
    return clock


@pytest.fixture
def access(peopled: Settings) -> Iterator[Access]:
    found = Access(peopled, guarded=True)
    yield found
    found.close()


def now_of(secret: str, clock: Clock) -> str:
    return code(base64.b32decode(secret), step_of(clock.time))


def made(access: Access, clock: Clock, name: str = ANALYST) -> tuple[str, list[str]]:
    """Make a second factor; a new step has begun at the end."""
    secret = access.factors.begin(name)
    codes = access.factors.confirm(name, now_of(secret, clock))
    assert codes is not None
    clock.time += STEP
    return secret, codes


def enrolled(browser: TestClient, clock: Clock) -> tuple[str, list[str]]:
    """Make a second factor by the pages; a new step has begun at the end."""
    page = send(browser, PAGE, f"{PAGE}/begin").text
    secret = re.search(r'value="([A-Z2-7]{32})"', page)
    assert secret
    assert f"secret={secret[1]}&amp;issuer=Remnant" in page
    answer = send(browser, PAGE, f"{PAGE}/confirm", code=now_of(secret[1], clock))
    assert answer.status_code == 200
    clock.time += STEP
    return secret[1], re.findall(r"<code>([a-z2-7-]{19})</code>", answer.text)


def tried(site: Guarded, typed: str, name: str = ANALYST, password: str = PASSWORD) -> int:
    fields = {"name": name, "password": password, "code": typed}
    status: int = send(site.browser(), "/login", "/login", **fields).status_code
    return status


def test_it_counts_once_a_password_of_it_was_typed(access: Access, clock: Clock) -> None:
    assert access.factors.check(ANALYST, "anything") is Shown.NOTHING
    secret = access.factors.begin(ANALYST)
    assert access.factors.check(ANALYST, "anything") is Shown.NOTHING
    assert access.factors.confirm(ANALYST, "000000x") is None
    assert access.factors.begun(ANALYST) == secret
    codes = access.factors.confirm(ANALYST, now_of(secret, clock))
    assert codes is not None
    assert len(set(codes)) == 10
    assert access.factors.holders() == {ANALYST}
    assert access.factors.begun(ANALYST) is None
    assert access.factors.check(ANALYST, "") is None
    with pytest.raises(AccessError, match="has a second factor"):
        access.factors.begin(ANALYST)
    with pytest.raises(AccessError, match="was begun"):
        access.factors.confirm(ANALYST, now_of(secret, clock))


def test_a_code_is_good_once_also_side_by_side(access: Access, clock: Clock) -> None:
    secret, codes = made(access, clock)
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda _: access.factors.check(ANALYST, now_of(secret, clock)), "abcd")
        )
    assert sorted(map(str, found)) == ["None", "None", "None", "code"]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: access.factors.check(ANALYST, codes[0].upper()), "abcd"))
    assert sorted(map(str, found)) == ["None", "None", "None", "recovery code"]
    assert access.factors.codes_left(ANALYST) == 9
    assert access.factors.check(OPERATOR, codes[1]) is Shown.NOTHING


def test_recovery_codes_are_not_in_the_database(
    access: Access, clock: Clock, tmp_path: Path
) -> None:
    _, codes = made(access, clock)
    stored = (tmp_path / "home" / "state.sqlite").read_bytes()
    for one in codes:
        assert len(one.replace("-", "")) == 16, "80 bits"
        assert one.encode() not in stored
        assert one.replace("-", "").encode() not in stored


def test_one_makes_it_signs_in_with_it_and_takes_it_away(site: Guarded, clock: Clock) -> None:
    browser = site.signed_in(ANALYST)
    assert "Make a secret" in browser.get(PAGE, headers=HTML).text
    send(browser, PAGE, f"{PAGE}/begin")
    wrong = send(browser, PAGE, f"{PAGE}/confirm", code="123")
    assert wrong.status_code == 422
    assert "not the code" in wrong.text
    secret, codes = enrolled(browser, clock)
    assert len(codes) == 10
    assert secret not in browser.get(PAGE, headers=HTML).text
    assert browser.get("/account.json").json()["second_factor"] is True

    assert tried(site, "") == 401
    assert tried(site, "000000x") == 401
    assert tried(site, now_of(secret, clock), password="wrong password") == 401
    # What is used up with a wrong password would lock its owner out.
    assert tried(site, now_of(secret, clock)) == 303
    assert tried(site, now_of(secret, clock)) == 401
    assert tried(site, codes[3]) == 303
    assert "9 recovery codes" in browser.get(PAGE, headers=HTML).text

    assert send(browser, PAGE, f"{PAGE}/remove", current="wrong").status_code == 403
    assert send(browser, PAGE, f"{PAGE}/remove", current=PASSWORD).status_code == 303
    assert tried(site, "") == 303
    told = [(who, what, about) for who, what, about in site.actions() if who != OPERATOR]
    failed = ("", "login failed", f"{ANALYST} (second factor)")
    assert told == [
        (ANALYST, "login", ""),
        (ANALYST, "second factor begun", ANALYST),
        (ANALYST, "second factor added", "POST /account/second-factor/confirm"),
        (ANALYST, "second factor begun", ANALYST),
        (ANALYST, "second factor added", ANALYST),
        failed,
        failed,
        ("", "login failed", ANALYST),
        (ANALYST, "login", "code"),
        failed,
        (ANALYST, "login", "recovery code"),
        (ANALYST, "login failed", "current password"),
        (ANALYST, "second factor removed", ANALYST),
        (ANALYST, "login", ""),
    ]


def test_codes_are_guessed_as_slowly_as_passwords(site: Guarded, clock: Clock) -> None:
    made(site.access, clock)
    found = [tried(site, f"{number:06}x") for number in range(7)]
    assert found == [401] * 5 + [429] * 2


def test_a_last_sign_in_is_one_that_succeeded(site: Guarded, clock: Clock) -> None:
    made(site.access, clock)
    tried(site, "")
    assert site.access.accounts.get(ANALYST).last_login is None


def test_a_site_may_demand_it_before_all_else(peopled: Settings, clock: Clock) -> None:
    with guarding(peopled, second_factor=True) as site:
        browser = site.signed_in(ANALYST)
        answer = browser.get("/cases", headers=HTML)
        assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
        assert browser.get("/cases.json").status_code == 403
        assert browser.get("/live").status_code == 403
        assert browser.get("/account.json").status_code == 403
        assert "This site demands it" in browser.get(PAGE, headers=HTML).text
        enrolled(browser, clock)
        assert browser.get("/cases", headers=HTML).status_code == 200
        # Programs show tokens, which only who has signed in can make.
        token = site.access.tokens.make(OWNER, "nightly", {"read"}, 1)  # type: ignore[arg-type]
        bearer = {"authorization": f"Bearer {token}"}
        assert site.client.get("/cases.json", headers=bearer).status_code == 200
        other = site.signed_in(OPERATOR)
        assert send(other, PAGE, "/logout").status_code == 303


def test_an_operator_resets_it_for_who_lost_it(site: Guarded, clock: Clock) -> None:
    made(site.access, clock)
    lost, operator = site.access.sessions.start(ANALYST, ""), site.signed_in(OPERATOR)
    listed = operator.get("/accounts.json").json()["accounts"]
    assert {one["name"]: one["second_factor"] for one in listed} == {
        ANALYST: True, OPERATOR: False, OWNER: False,
    }  # fmt: skip
    path = f"/accounts/{ANALYST}/second-factor/reset"
    assert path in operator.get("/accounts", headers=HTML).text
    assert send(operator, "/accounts", path).status_code == 303
    assert site.access.sessions.find(lost) is None
    assert tried(site, "") == 303
    assert (OPERATOR, "second factor reset", ANALYST) in site.actions()
    gone = send(operator, "/accounts", "/accounts/nobody-here/second-factor/reset")
    assert gone.status_code == 404


def test_the_command_resets_it_too(
    access: Access, peopled: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMNANT_HOME", str(peopled.home))
    made(access, clock)
    run = CliRunner().invoke
    assert "second_factor" in run(command, ["account", "list", "--format", "csv"]).output
    assert "password alone" in run(command, ["account", "reset-factor", ANALYST]).output
    assert not access.factors.has(ANALYST)
    assert "has no second factor" in run(command, ["account", "reset-factor", ANALYST]).output
    assert run(command, ["account", "reset-factor", "nobody-here"]).exit_code == 1
    told = [(e.account, e.action, e.subject, e.outcome == "done") for e in access.log.entries()]
    assert told == [
        ("command line", "second factor reset", "nobody-here", False),
        ("command line", "second factor reset", ANALYST, True),
    ]


def test_an_account_of_any_role_may_have_one(access: Access, clock: Clock) -> None:
    for name, role in ((OPERATOR, Role.OPERATOR), (OWNER, Role.OWNER)):
        secret, _ = made(access, clock, name)
        assert access.accounts.get(name).role is role
        assert access.factors.check(name, now_of(secret, clock)) is Shown.CODE
