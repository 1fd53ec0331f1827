"""The two cookies: of a session, and of a visit by somebody who is not signed in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["SESSION", "VISIT", "cookie_name", "drop_cookie", "is_encrypted", "set_cookie"]

SESSION: Final = "remnant_session"
VISIT: Final = "remnant_visit"


def is_encrypted(scope: Mapping[str, Any]) -> bool:
    """Return whether the browser reached us over TLS."""
    return bool(scope.get("scheme") == "https")


def cookie_name(name: str, scope: Mapping[str, Any]) -> str:
    """Return the name of a cookie: over TLS one that no neighbouring host can set."""
    return f"__Host-{name}" if is_encrypted(scope) else name


def set_cookie(name: str, value: str, scope: Mapping[str, Any]) -> str:
    """Return a ``Set-Cookie`` header; the cookie lives as long as the browser."""
    secure = "; Secure" if is_encrypted(scope) else ""
    return f"{cookie_name(name, scope)}={value}; Path=/; HttpOnly; SameSite=Lax{secure}"


def drop_cookie(name: str, scope: Mapping[str, Any]) -> str:
    """Return the ``Set-Cookie`` header that removes a cookie."""
    return f"{set_cookie(name, '', scope)}; Max-Age=0"
