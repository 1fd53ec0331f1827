"""What the API's documentation says about signing in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

from remnant.web.access.cookies import SESSION
from remnant.web.access.gate import roles_of
from remnant.web.access.tokens import Scope
from remnant.web.access.viewer import OPERATORS, Role

__all__ = ["routes_of", "with_security"]

_SCHEMES: Final = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION,
        "description": "The cookie of who has signed in at /login; over TLS its name begins with "
        "__Host-. Unsafe methods also need the header X-CSRF-Token or the field csrf.",
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token, made at /account or with: remnant account token make.",
    },
}


def routes_of(app: FastAPI) -> Iterator[Any]:
    """Yield every route, also those of included routers, whatever they are."""
    waiting: list[Any] = list(app.routes)
    while waiting:
        route = waiting.pop(0)
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            waiting[:0] = included.routes


def with_security(app: FastAPI, schema: dict[str, Any]) -> dict[str, Any]:
    """Add to an OpenAPI document what each operation needs, as its endpoint declares it.

    A server on this machine without accounts asks for nothing; the document tells of one that has
    them. ``x-roles`` lists who may ask.
    """
    schema.setdefault("components", {})["securitySchemes"] = _SCHEMES
    for route in routes_of(app):
        roles = roles_of(route.endpoint)
        for method in route.methods or ():
            operation = schema.get("paths", {}).get(route.path_format, {}).get(method.lower())
            if operation is None:
                continue
            safe = method in {"GET", "HEAD"}
            scope = Scope.ADMIN if roles <= OPERATORS else Scope.READ if safe else Scope.EDIT
            needs: list[dict[str, list[str]]] = [{"session": []}, {"token": [scope.value]}]
            if Role.PUBLIC in roles:
                needs.insert(0, {})
            operation["security"] = needs
            operation["x-roles"] = sorted(roles)
    return schema
