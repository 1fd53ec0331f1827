"""Who comes in: each request gets its viewer, and is refused where the viewer may not go.

Every endpoint declares its roles (``admits``); one that does not is closed to all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from fastapi import HTTPException, Request

from remnant.web.access.viewer import LOCAL, PUBLIC

if TYPE_CHECKING:
    from collections.abc import Callable

    from remnant.web.access.viewer import Role

__all__ = ["admit", "admits", "roles_of"]

_ROLES: Final = "__remnant_roles__"
Endpoint = TypeVar("Endpoint", bound="Callable[..., Any]")


def admits(roles: frozenset[Role]) -> Callable[[Endpoint], Endpoint]:
    """Declare who may use an endpoint; stands below the decorator that routes to it."""

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ROLES, roles)
        return endpoint

    return declare


def roles_of(endpoint: object) -> frozenset[Role]:
    """Return who may use an endpoint."""
    found: frozenset[Role] = getattr(endpoint, _ROLES, frozenset())
    return found


def admit(request: Request) -> None:
    """Find out who asks, and refuse who may not; a dependency of the whole application.

    Raises:
        HTTPException: 401 (a page: 303 to where one signs in), nobody is signed in; 403, the
            viewer's role is not among the endpoint's.
    """
    request.state.viewer = PUBLIC if request.app.state.site.guarded else LOCAL
    if request.state.viewer.role not in roles_of(request.scope.get("endpoint")):
        raise HTTPException(403, "this account may not do that")
