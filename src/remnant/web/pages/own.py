"""Who is signed in: their own password, sessions and API tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from remnant.web.access.access import Access
from remnant.web.access.audit import Action, address_of, audit
from remnant.web.access.cookies import SESSION, set_cookie
from remnant.web.access.gate import admits
from remnant.web.access.tokens import MOST_DAYS, Scope
from remnant.web.access.viewer import OPERATORS, OWNERS, Role
from remnant.web.frame import render
from remnant.web.page import page
from remnant.web.site import Asked, AskedBy

__all__ = ["TokenRow", "prove", "router", "signed_in", "token_rows"]

router = APIRouter(tags=["accounts"])


class SessionRow(BaseModel):
    """A browser that is signed in; times are UTC."""

    address: str
    created: datetime
    seen: datetime
    expires: datetime
    is_this: bool


class TokenRow(BaseModel):
    """An API token without its secret; times are UTC."""

    id: str
    account: str
    label: str
    scopes: list[str]
    created: datetime
    expires: datetime
    last_used: datetime | None
    is_over: bool


class Own(BaseModel):
    """The account that asks."""

    name: str
    role: Role
    networks: list[str]
    guarded: bool
    second_factor: bool
    scopes: list[str]
    most_days: int
    sessions: list[SessionRow]
    tokens: list[TokenRow]


class NewToken(BaseModel):
    """A token, at the one moment when it can be read."""

    secret: str
    label: str


@page(router, "/account", title="Your account", roles=OWNERS, table="tokens", template="own")
def account(asked: AskedBy) -> Own:
    """The account that asks: its networks, sessions and API tokens."""
    access = asked.access
    this = getattr(asked.request.state, "session_secret", None)
    from remnant.web.access.sessions import digest_of

    mine = digest_of(this) if this else None
    name = asked.viewer.name
    is_operator = asked.viewer.role in OPERATORS
    return Own(
        name=name,
        role=asked.viewer.role,
        networks=list(asked.viewer.networks),
        guarded=access.guarded,
        second_factor=access.factors.has(name),
        scopes=[scope for scope in Scope if is_operator or scope is not Scope.ADMIN],
        most_days=MOST_DAYS,
        sessions=[
            SessionRow(
                address=one.address,
                created=one.created,
                seen=one.seen,
                expires=one.expires,
                is_this=one.digest == mine,
            )
            for one in access.sessions.of(name)
        ],
        tokens=token_rows(access, name),
    )


def token_rows(access: Access, name: str | None) -> list[TokenRow]:
    """Return the tokens of an account, or all, as rows."""
    return [
        TokenRow(
            id=one.id,
            account=one.account,
            label=one.label,
            scopes=list(one.scopes),
            created=one.created,
            expires=one.expires,
            last_used=one.last_used,
            is_over=one.is_over,
        )
        for one in access.tokens.of(name)
    ]


@router.post("/account/password", include_in_schema=False)
@admits(OWNERS, records=Action.PASSWORD_CHANGED)
def change_password(
    asked: AskedBy,
    current: Annotated[str, Form()] = "",
    new: Annotated[str, Form()] = "",
    again: Annotated[str, Form()] = "",
) -> Response:
    """Change one's own password; other sessions end, this one is renewed."""
    if new != again:
        raise HTTPException(422, "the new password was not typed the same twice")
    access, name = prove(asked, current)
    access.accounts.set_password(name, new)
    audit(asked.request, Action.PASSWORD_CHANGED, name)
    response = RedirectResponse("/account", 303)
    secret = access.sessions.start(name, address_of(asked.request))
    response.headers.append("set-cookie", set_cookie(SESSION, secret, asked.request.scope))
    return response


@router.post("/account/sessions/end", include_in_schema=False)
@admits(OWNERS, records=Action.SESSIONS_ENDED)
def end_sessions(asked: AskedBy) -> Response:
    """End all sessions of one's own but this one."""
    access, name, _ = signed_in(asked)
    access.sessions.end_all(name, but=getattr(asked.request.state, "session_secret", None))
    audit(asked.request, Action.SESSIONS_ENDED, name)
    return RedirectResponse("/account", 303)


@router.post("/account/tokens", include_in_schema=False)
@admits(OWNERS, records=Action.TOKEN_MADE)
def make_token(
    asked: AskedBy,
    label: Annotated[str, Form()] = "",
    days: Annotated[int, Form(ge=1, le=MOST_DAYS)] = 90,
    scope: Annotated[list[Scope], Form(max_length=8)] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Make a token and show it, once."""
    access, name, _ = signed_in(asked)
    if Scope.ADMIN in scope and asked.viewer.role not in OPERATORS:
        raise HTTPException(403, "only an operator's token may have the scope admin")
    secret = access.tokens.make(name, label, frozenset(scope), days)
    audit(asked.request, Action.TOKEN_MADE, f"{name}: {label} ({', '.join(scope)}, {days} days)")
    return render(asked, "new_token", "New API token", NewToken(secret=secret, label=label))


@router.post("/account/tokens/{token}/revoke", include_in_schema=False)
@admits(OWNERS, records=Action.TOKEN_REVOKED)
def revoke_token(asked: AskedBy, token: str) -> Response:
    """Revoke a token of one's own."""
    access, name, _ = signed_in(asked)
    gone = access.tokens.revoke(token, account=name)
    audit(asked.request, Action.TOKEN_REVOKED, f"{name}: {gone.label}")
    return RedirectResponse("/account", 303)


def prove(asked: Asked, current: str) -> tuple[Access, str]:
    """Return what a form needs that asks for the password again, once that is right.

    Raises:
        HTTPException: 403, it is not, or nobody is signed in with a browser; 429, too many tries.
    """
    access, name, address = signed_in(asked)
    wait = access.limits.begin(name, address)
    if wait > 0:
        raise HTTPException(429, "too many attempts", {"retry-after": str(int(wait) + 1)})
    if access.accounts.check(name, current) is None:
        audit(asked.request, Action.LOGIN_FAILED, "current password")
        raise HTTPException(403, "the current password is not right")
    access.limits.succeeded(name, address)
    return access, name


def signed_in(asked: Asked) -> tuple[Access, str, str]:
    """Return what these forms need; a token cannot make tokens or change passwords.

    Raises:
        HTTPException: 403, nobody is signed in with a browser.
    """
    if getattr(asked.request.state, "session_secret", None) is None:
        raise HTTPException(403, "only who has signed in with a browser may do that")
    return asked.access, asked.viewer.name, address_of(asked.request)
