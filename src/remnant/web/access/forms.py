"""Forms that only our own pages can send.

A form carries ``{{ csrf(request) }}``; a script sends the same value as ``X-CSRF-Token`` (it
stands in ``<meta name="csrf">`` of every page). The value is bound to the session's cookie, or to
the cookie of a visit where nobody is signed in. Checked for every unsafe method, before the
endpoint runs; what comes with an API token carries no cookie and needs none. A form model with
``extra="forbid"`` must name the field ``csrf``.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import AsyncIterator
from typing import Final

from fastapi import HTTPException, Request
from markupsafe import Markup
from starlette.datastructures import FormData

from remnant.web.access.cookies import VISIT, cookie_name

__all__ = ["FIELD", "HEADER", "SAFE", "STANDS_FOR_CSRF", "csrf", "csrf_value", "genuine"]

FIELD: Final = "csrf"
HEADER: Final = "x-csrf-token"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
STANDS_FOR_CSRF: Final = secrets.token_hex(32)
"""Stands in a page that many share, until it is sent (``web.answers``)."""
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
_MOST: Final = 100


def csrf(request: Request) -> Markup:
    """Return the hidden field of a form."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, csrf_value(request))


def csrf_value(request: Request) -> str:
    """Return what shows that a request came from a page of ours."""
    if getattr(request.state, "is_shared", False):
        return STANDS_FOR_CSRF
    session: str | None = getattr(request.state, "session_secret", None)
    if session is not None:
        return _value(session.encode(), b"session")
    visit = request.cookies.get(cookie_name(VISIT, request.scope))
    if not visit or len(visit) > _MOST:
        # The answer sets the cookie (``web.access.frontier``); the forms of one page share it.
        visit = getattr(request.state, "new_visit", None) or secrets.token_urlsafe(32)
        request.state.new_visit = visit
    return _value(request.app.state.secret, b"visit " + visit.encode())


async def genuine(request: Request) -> AsyncIterator[None]:
    """Refuse an unsafe request that no page of ours sent; a dependency of the whole application.

    Raises:
        HTTPException: 403, the value is missing or another one.
    """
    if request.method in SAFE or getattr(request.state, "by_token", False):
        yield
        return
    given: object = request.headers.get(HEADER)
    form: FormData | None = None
    try:
        if given is None and request.headers.get("content-type", "").lower().startswith(_FORMS):
            # The endpoint gets the same form: a request reads its body once.
            form = await request.form()
            given = form.get(FIELD)
        # Without the cookie a fresh value is made, which nobody can have sent.
        if not isinstance(given, str) or not hmac.compare_digest(
            given.encode(), csrf_value(request).encode()
        ):
            raise HTTPException(
                403, "this form is out of date: open the page again, and send it anew"
            )
        yield
    finally:
        if form is not None:
            await form.close()


def _value(key: bytes, about: bytes) -> str:
    return hmac.new(key, b"remnant form: " + about, "sha256").hexdigest()
