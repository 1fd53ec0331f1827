"""Signing in and out."""

from __future__ import annotations

import math
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from remnant.web.access.access import Access
from remnant.web.access.audit import Action, address_of, audit
from remnant.web.access.cookies import SESSION, cookie_name, drop_cookie, set_cookie
from remnant.web.access.factors import Shown
from remnant.web.access.gate import admits
from remnant.web.access.viewer import ANYBODY
from remnant.web.frame import render
from remnant.web.site import AskedBy

__all__ = ["local_path", "router"]

router = APIRouter(include_in_schema=False)
_START: Final = "/cases"
_WRONG: Final = (
    "Name, password and code (where the account has a second factor) do not belong together, "
    "or the account is closed."
)
_LONGEST: Final = 2_000
_LEFT: Final = '"cookies", "storage"'
"""What a browser forgets at the end; no answer of ours but the files of the look is cached."""


class SignIn(BaseModel):
    """The form: what was wrong with the last try, and where to go after it."""

    problem: str | None
    name: str
    next: str


def local_path(text: str) -> str:
    r"""Return a path of this site; where a text is none, the start.

    >>> local_path("/cases/a?x=1"), local_path("//evil.example"), local_path("/\\evil.example")
    ('/cases/a?x=1', '/cases', '/cases')
    """
    good = (
        text.startswith("/")
        and not text.startswith("//")
        and "\\" not in text
        and text.isascii()
        and text.isprintable()
        and " " not in text
        and len(text) <= _LONGEST
    )
    if not good:
        return _START
    try:
        parts = urlsplit(text)
    except ValueError:
        return _START
    if parts.scheme or parts.netloc or parts.path in {"/login", "/logout"}:
        return _START
    return text


@router.get("/login")
@admits(ANYBODY)
def login(
    asked: AskedBy, next_page: Annotated[str, Query(alias="next", max_length=_LONGEST)] = _START
) -> Response:
    """Show the form, or go on where nobody needs it."""
    if asked.viewer.is_known:
        return RedirectResponse(local_path(next_page), 303)
    return render(
        asked, "login", "Sign in", SignIn(problem=None, name="", next=local_path(next_page))
    )


@router.post("/login")
@admits(ANYBODY, records=(Action.LOGIN, Action.LOGIN_FAILED, Action.LOGIN_DELAYED))
def sign_in(
    asked: AskedBy,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    code: Annotated[str, Form()] = "",
    next_page: Annotated[str, Form(alias="next")] = _START,
) -> Response:
    """Start a session; what is wrong is not told apart."""
    request = asked.request
    access: Access = request.app.state.access
    if not access.guarded:
        return RedirectResponse(_START, 303)
    name = name.strip().lower()[:64]
    onward = local_path(next_page)
    address = address_of(request)

    def refused(words: str, status: int) -> Response:
        form = SignIn(problem=words, name=name, next=onward)
        answer = render(asked, "login", "Sign in", form)
        answer.status_code = status
        return answer

    wait = access.limits.begin(name, address)
    if wait > 0:
        audit(request, Action.LOGIN_DELAYED, name, account="")
        seconds = math.ceil(wait)
        answer = refused(f"Too many attempts. Try again in {seconds} s.", 429)
        answer.headers["retry-after"] = str(seconds)
        return answer
    shown: list[Shown | None] = []

    def second() -> bool:
        shown.append(access.factors.check(name, code))
        return shown[0] is not None

    account = access.accounts.check(name, password, also=second)
    if account is None:
        told = f"{name} (second factor)" if shown == [None] else name
        audit(request, Action.LOGIN_FAILED, told, account="")
        return refused(_WRONG, 401)
    access.limits.succeeded(name, address)
    # A new session each time: one that somebody else put into the browser is of no use to them.
    _end_session(request)
    secret = access.sessions.start(account.name, address)
    audit(request, Action.LOGIN, (shown[0] or "") if shown else "", account=account.name)
    response = RedirectResponse(onward, 303)
    response.headers.append("set-cookie", set_cookie(SESSION, secret, request.scope))
    return response


@router.post("/logout")
@admits(ANYBODY, records=Action.LOGOUT)
def sign_out(request: Request) -> Response:
    """End the session, and let the browser forget what it keeps of this site."""
    if request.state.viewer.is_known:
        audit(request, Action.LOGOUT)
    _end_session(request)
    response = RedirectResponse("/login", 303)
    response.headers.append("set-cookie", drop_cookie(SESSION, request.scope))
    response.headers["clear-site-data"] = _LEFT
    return response


def _end_session(request: Request) -> None:
    secret = request.cookies.get(cookie_name(SESSION, request.scope))
    if secret and request.app.state.access.guarded:
        request.app.state.access.sessions.end(secret)
