"""Accounts and the audit log, for operators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Form, HTTPException, Query, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from remnant.web.access.accounts import ROLES
from remnant.web.access.audit import Action, audit
from remnant.web.access.gate import admits
from remnant.web.access.passwords import LEAST
from remnant.web.access.viewer import OPERATORS, Role
from remnant.web.page import page
from remnant.web.pages.own import TokenRow, token_rows
from remnant.web.paging import MOST_CURSOR, read_cursor, write_cursor
from remnant.web.site import AskedBy

__all__ = ["router"]

router = APIRouter(tags=["accounts"])
_PAGE: Final = 100


class AccountRow(BaseModel):
    """One account; times are UTC."""

    name: str
    role: Role
    networks: list[str]
    disabled: bool
    second_factor: bool
    created: datetime
    last_login: datetime | None
    sessions: int


class AccountList(BaseModel):
    """All accounts, and the API tokens of all."""

    guarded: bool
    roles: list[str]
    least: int
    accounts: list[AccountRow]
    tokens: list[TokenRow]


class EntryRow(BaseModel):
    """One line of the audit log; ``at`` is UTC.

    ``account`` is ``command line`` for what was done there; ``address`` is then the user of the
    machine. ``outcome`` is ``done``, or the reason why it was not done.
    """

    id: int
    at: datetime
    account: str
    address: str
    action: str
    subject: str
    outcome: str


class AuditQuery(BaseModel):
    """Which lines: those of an account, of an action, after another line."""

    model_config = ConfigDict(extra="forbid")

    account: str = Field("", max_length=64)
    action: str = Field("", max_length=40)
    limit: int = Field(_PAGE, ge=1, le=1_000, description="Lines of a page.")
    after: str | None = Field(None, max_length=MOST_CURSOR, description="Cursor of a page.")


class AuditPage(BaseModel):
    """Lines of the audit log, newest first; ``after`` is the cursor of the next page."""

    entries: list[EntryRow]
    after: str | None
    account: str
    action: str
    actions: list[str]
    kept_days: int


@page(router, "/accounts", title="Accounts", roles=OPERATORS, table="accounts")
def accounts(asked: AskedBy) -> AccountList:
    """Every account: role, networks, sessions, last sign-in; and all API tokens."""
    access = asked.access
    holders = access.factors.holders()
    return AccountList(
        guarded=access.guarded,
        roles=[role.value for role in ROLES],
        least=LEAST,
        accounts=[
            AccountRow(
                name=one.name,
                role=one.role,
                networks=list(one.networks),
                disabled=one.disabled,
                second_factor=one.name in holders,
                created=one.created,
                last_login=one.last_login,
                sessions=len(access.sessions.of(one.name)),
            )
            for one in access.accounts.all()
        ],
        tokens=token_rows(access, None),
    )


@page(router, "/audit", title="Audit log", roles=OPERATORS, table="entries", template="audit")
def audit_log(asked: AskedBy, query: Annotated[AuditQuery, Query()]) -> AuditPage:
    """Who did what, when, from where; newest first."""
    found = asked.access.log.entries(
        after=None if query.after is None else read_cursor(query.after, [int])[0],
        account=query.account.strip() or None,
        action=query.action or None,
        limit=query.limit + 1,
    )
    more = len(found) > query.limit
    rows = found[: query.limit]
    return AuditPage(
        entries=[
            EntryRow(
                id=one.id,
                at=one.at,
                account=one.account,
                address=one.address,
                action=one.action,
                subject=one.subject,
                outcome=one.outcome,
            )
            for one in rows
        ],
        after=write_cursor([rows[-1].id]) if more else None,
        account=query.account,
        action=query.action,
        actions=[action.value for action in Action],
        kept_days=asked.site.settings.web.audit_days,
    )


@router.post("/accounts", include_in_schema=False)
@admits(OPERATORS, records=Action.ACCOUNT_ADDED)
def add_account(
    asked: AskedBy,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    again: Annotated[str, Form()] = "",
    role: Annotated[Role, Form()] = Role.ANALYST,
    networks: Annotated[str, Form()] = "",
) -> Response:
    """Make an account."""
    _same(password, again)
    made = asked.access.accounts.add(name.strip().lower(), password, role, _split(networks))
    audit(asked.request, Action.ACCOUNT_ADDED, made.told)
    return RedirectResponse("/accounts", 303)


@router.post("/accounts/{name}/role", include_in_schema=False)
@admits(OPERATORS, records=Action.ROLE_CHANGED)
def change_role(
    asked: AskedBy,
    name: str,
    role: Annotated[Role, Form()],
    networks: Annotated[str, Form()] = "",
) -> Response:
    """Say what an account may do, and which networks are its own."""
    accounts = asked.access.accounts
    before = accounts.get(name)
    accounts.set_role(name, role, _split(networks))
    audit(asked.request, Action.ROLE_CHANGED, accounts.get(name).told_since(before))
    return RedirectResponse("/accounts", 303)


@router.post("/accounts/{name}/password", include_in_schema=False)
@admits(OPERATORS, records=Action.PASSWORD_CHANGED)
def reset_password(
    asked: AskedBy,
    name: str,
    password: Annotated[str, Form()] = "",
    again: Annotated[str, Form()] = "",
) -> Response:
    """Give an account another password; its sessions end."""
    _same(password, again)
    asked.access.accounts.set_password(name, password)
    audit(asked.request, Action.PASSWORD_CHANGED, name)
    return RedirectResponse("/accounts", 303)


@router.post("/accounts/{name}/state", include_in_schema=False)
@admits(OPERATORS, records=(Action.ACCOUNT_CLOSED, Action.ACCOUNT_OPENED))
def open_or_close(asked: AskedBy, name: str, disabled: Annotated[bool, Form()]) -> Response:
    """Close an account, with its sessions and tokens, or open it again."""
    asked.access.accounts.disable(name, disabled=disabled)
    audit(asked.request, Action.ACCOUNT_CLOSED if disabled else Action.ACCOUNT_OPENED, name)
    return RedirectResponse("/accounts", 303)


@router.post("/accounts/{name}/second-factor/reset", include_in_schema=False)
@admits(OPERATORS, records=Action.FACTOR_RESET)
def reset_factor(asked: AskedBy, name: str) -> Response:
    """Take the second factor from an account whose owner lost it; its sessions end."""
    access = asked.access
    access.accounts.get(name)
    if access.factors.remove(name):
        access.sessions.end_all(name)
        audit(asked.request, Action.FACTOR_RESET, name)
    return RedirectResponse("/accounts", 303)


@router.post("/accounts/tokens/{token}/revoke", include_in_schema=False)
@admits(OPERATORS, records=Action.TOKEN_REVOKED)
def revoke_any(asked: AskedBy, token: str) -> Response:
    """Revoke a token of any account."""
    gone = asked.access.tokens.revoke(token)
    audit(asked.request, Action.TOKEN_REVOKED, f"{gone.account}: {gone.label}")
    return RedirectResponse("/accounts", 303)


def _same(password: str, again: str) -> None:
    if password != again:
        raise HTTPException(422, "the password was not typed the same twice")


def _split(networks: str) -> list[str]:
    return networks[:20_000].replace(",", " ").split()
