"""The second factor of one's own account: made, shown once, taken away."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from remnant.web.access import totp
from remnant.web.access.audit import Action, audit, audit_failure
from remnant.web.access.gate import admits
from remnant.web.access.qr import svg
from remnant.web.access.viewer import OWNERS
from remnant.web.frame import render
from remnant.web.pages.own import prove, signed_in
from remnant.web.site import Asked, AskedBy

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
_PATH: Final = "/account/second-factor"
_SITE: Final = "Remnant"


class SecondFactor(BaseModel):
    """What the page shows: whether there is one, or the secret of one that was begun."""

    guarded: bool
    demanded: bool
    has: bool
    codes_left: int
    secret: str | None = None
    address: str | None = None
    qr: Any = Field(default=None, exclude=True)
    problem: str | None = None


class RecoveryCodes(BaseModel):
    """Recovery codes, at the one moment when they can be read."""

    codes: list[str]


@router.get(_PATH)
@admits(OWNERS, for_second_factor=True)
def second_factor(asked: AskedBy) -> Response:
    """Show whether the account has one, and how to make it."""
    return _shown(asked)


@router.post(f"{_PATH}/begin")
@admits(OWNERS, for_second_factor=True, records=Action.FACTOR_BEGUN)
def begin(asked: AskedBy) -> Response:
    """Make a secret and show it."""
    access, name, _ = signed_in(asked)
    secret = access.factors.begin(name)
    audit(asked.request, Action.FACTOR_BEGUN, name)
    return _shown(asked, secret=secret)


@router.post(f"{_PATH}/confirm")
@admits(OWNERS, for_second_factor=True, records=Action.FACTOR_ADDED)
def confirm(asked: AskedBy, code: Annotated[str, Form(max_length=64)] = "") -> Response:
    """Make it count, once a password of it was typed; show the recovery codes, once."""
    access, name, _ = signed_in(asked)
    codes = access.factors.confirm(name, code)
    if codes is None:
        answer = _shown(asked, secret=access.factors.begun(name), problem="That is not the code.")
        answer.status_code = 422
        audit_failure(asked.request, 422, "not the code")
        return answer
    audit(asked.request, Action.FACTOR_ADDED, name)
    return render(asked, "recovery_codes", "Recovery codes", RecoveryCodes(codes=codes))


@router.post(f"{_PATH}/remove")
@admits(OWNERS, records=Action.FACTOR_REMOVED)
def remove(asked: AskedBy, current: Annotated[str, Form()] = "") -> Response:
    """Sign in with the password alone from now on."""
    access, name = prove(asked, current)
    if access.factors.remove(name):
        audit(asked.request, Action.FACTOR_REMOVED, name)
    return RedirectResponse(_PATH, 303)


def _shown(asked: Asked, *, secret: str | None = None, problem: str | None = None) -> Response:
    access, name = asked.access, asked.viewer.name
    address = None if secret is None else totp.address(secret, name, _SITE)
    answer = render(
        asked,
        "second_factor",
        "Second factor",
        SecondFactor(
            guarded=access.guarded,
            demanded=access.demands_factor,
            has=access.factors.has(name),
            codes_left=access.factors.codes_left(name),
            secret=secret,
            address=address,
            qr=None if address is None else svg(address),
            problem=problem,
        ),
    )
    answer.headers["cache-control"] = "no-store"
    return answer
