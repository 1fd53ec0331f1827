"""Who comes in: each request gets its viewer, and is refused where the viewer may not go.

Every endpoint declares its roles (``admits``); one that does not is closed to all. Where the site
demands accounts, a request shows a session's cookie or ``Authorization: Bearer`` with an API token;
one that shows a token is judged by the token alone. What a token may do is bounded by its scopes
too: ``read`` for safe methods, ``edit`` for the others, ``admin`` for what operators alone may.

A session ends when nobody uses it. What an open page asks for by itself (the stream of news, itself
anew) is no use of it: such requests carry the header ``X-Remnant-By-Itself``, or go to an endpoint
that says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from fastapi import HTTPException, Request

from remnant.web.access.audit import Action, audit
from remnant.web.access.cookies import SESSION, cookie_name
from remnant.web.access.forms import SAFE
from remnant.web.access.tokens import Scope
from remnant.web.access.viewer import LOCAL, NOBODY, OPERATORS, PUBLIC, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from remnant.web.access.access import Access
    from remnant.web.access.viewer import Viewer

__all__ = ["HEADER", "admit", "admits", "recorded_by", "roles_of", "still_admitted"]

HEADER: Final = "x-remnant-by-itself"
"""What a script of ours sends along when no person asked."""

_ROLES: Final = "__remnant_roles__"
_BY_ITSELF: Final = "__remnant_by_itself__"
_FOR_FACTOR: Final = "__remnant_for_second_factor__"
_RECORDS: Final = "__remnant_records__"
_BEARER: Final = "bearer"
Endpoint = TypeVar("Endpoint", bound="Callable[..., Any]")


def admits(
    roles: frozenset[Role],
    *,
    by_itself: bool = False,
    for_second_factor: bool = False,
    records: Action | tuple[Action, ...] = (),
) -> Callable[[Endpoint], Endpoint]:
    """Declare who may use an endpoint; stands below the decorator that routes to it.

    With ``by_itself`` pages ask it without a person: that keeps no session alive. What is
    ``for_second_factor`` is open to who has to make one before all else. What changes something
    says which actions of the audit log it ``records``, the first for an attempt that failed.
    """

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ROLES, roles)
        setattr(endpoint, _BY_ITSELF, by_itself)
        setattr(endpoint, _FOR_FACTOR, for_second_factor)
        setattr(endpoint, _RECORDS, (records,) if isinstance(records, Action) else records)
        return endpoint

    return declare


def roles_of(endpoint: object) -> frozenset[Role]:
    """Return who may use an endpoint."""
    found: frozenset[Role] = getattr(endpoint, _ROLES, frozenset())
    return found


def recorded_by(endpoint: object) -> tuple[Action, ...]:
    """Return which actions of the audit log an endpoint records."""
    found: tuple[Action, ...] = getattr(endpoint, _RECORDS, ())
    return found


def admit(request: Request) -> None:
    """Find out who asks, and refuse who may not; a dependency of the whole application.

    Raises:
        HTTPException: 401, nobody is signed in or the token is not valid (who asks for a page goes
            to where one signs in: 303); 403, the viewer's role is not among the endpoint's, or the
            token's scopes do not reach so far, or the account must make a second factor first
            (who asks for a page goes to where that is done: 303).
    """
    endpoint = request.scope.get("endpoint")
    by_itself = getattr(endpoint, _BY_ITSELF, False) or HEADER in request.headers
    viewer, scopes = _recognised(request, use=not by_itself)
    request.state.viewer = viewer
    roles = roles_of(endpoint)
    if viewer.role not in roles:
        if not viewer.is_known:
            raise _unknown(request)
        audit(request, Action.DENIED, f"{request.method} {request.url.path}")
        raise HTTPException(403, "this account may not do that")
    if scopes is not None and _needed(request, roles) not in scopes:
        audit(request, Action.DENIED, f"{request.method} {request.url.path} (scope)")
        raise HTTPException(403, f"this token may not do that: scope {_needed(request, roles)}")
    is_open = Role.NOBODY in roles or getattr(endpoint, _FOR_FACTOR, False)
    if not is_open and scopes is None and _lacks_factor(request, viewer):
        raise _factor_first(request)


def still_admitted(request: Request) -> bool:
    """Return whether who asked may still: for answers that last, such as streams.

    To ask keeps no session alive.
    """
    if request.state.viewer is LOCAL:
        return True
    try:
        viewer, _ = _recognised(request, use=False)
    except HTTPException:
        return False
    return bool(viewer == request.state.viewer)


def _lacks_factor(request: Request, viewer: Viewer) -> bool:
    access: Access = request.app.state.access
    if not access.demands_factor or not access.guarded or not viewer.is_known:
        return False
    return not access.factors.has(viewer.name)


def _factor_first(request: Request) -> HTTPException:
    from remnant.web.problem import wants_html

    what = "make a second factor first"
    if request.method not in SAFE or not wants_html(request):
        return HTTPException(403, what)
    return HTTPException(303, what, {"location": "/account/second-factor"})


def _recognised(request: Request, *, use: bool) -> tuple[Viewer, frozenset[Scope] | None]:
    """Return who asks; with a token, what it may do."""
    access: Access = request.app.state.access
    if not access.guarded:
        return LOCAL, None
    shown = request.headers.get("authorization")
    if shown is not None:
        kind, _, secret = shown.partition(" ")
        found = access.tokens.find(secret.strip(), use=use) if kind.lower() == _BEARER else None
        if found is None:
            raise HTTPException(
                401, "the token is not valid", {"www-authenticate": 'Bearer error="invalid_token"'}
            )
        request.state.by_token = True
        return found[0].viewer, found[1]
    secret = request.cookies.get(cookie_name(SESSION, request.scope), "")
    account = access.sessions.find(secret, use=use) if secret else None
    if account is None:
        return (PUBLIC if access.is_public else NOBODY), None
    request.state.session_secret = secret
    return account.viewer, None


def _needed(request: Request, roles: frozenset[Role]) -> Scope:
    if roles <= OPERATORS:
        return Scope.ADMIN
    return Scope.READ if request.method in SAFE else Scope.EDIT


def _unknown(request: Request) -> HTTPException:
    from remnant.web.problem import wants_html

    if request.method not in SAFE or not wants_html(request):
        return HTTPException(401, "sign in, or show a token", {"www-authenticate": "Bearer"})
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return HTTPException(303, "sign in first", {"location": f"/login?next={quote(path, safe='')}"})
