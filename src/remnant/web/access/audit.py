"""The audit log: who did what, when, from where.

Pages write to it with ``audit(request, Action.REPORT_MADE, case)``. Text in it is bounded; entries
older than ``web.audit_days`` go.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from fastapi import Request

from remnant.errors import StoreError, printable
from remnant.web.access.tables import AUDIT

if TYPE_CHECKING:
    from remnant.settings import WebSettings
    from remnant.web.access.tables import Database

__all__ = ["Action", "AuditLog", "Entry", "address_of", "audit"]

_LOG: Final = logging.getLogger(__name__)
_PRUNE_S: Final = 3_600.0
_QUIET_S: Final = 60.0
_REMEMBERED: Final = 1_000
_SUBJECT: Final = 200
_ADDRESS: Final = 64


class Action(StrEnum):
    """What is recorded."""

    LOGIN = "login"
    LOGIN_FAILED = "login failed"
    LOGIN_DELAYED = "login delayed"
    LOGOUT = "logout"
    ACCOUNT_ADDED = "account added"
    ROLE_CHANGED = "role changed"
    ACCOUNT_CLOSED = "account closed"
    ACCOUNT_OPENED = "account opened"
    PASSWORD_CHANGED = "password changed"  # noqa: S105 - an action
    FACTOR_ADDED = "second factor added"
    FACTOR_REMOVED = "second factor removed"
    FACTOR_RESET = "second factor reset"
    SESSIONS_ENDED = "sessions ended"
    TOKEN_MADE = "token made"  # noqa: S105 - an action
    TOKEN_REVOKED = "token revoked"  # noqa: S105 - an action
    CASE_EDITED = "case edited"
    REPORT_MADE = "report made"
    REPORT_DOWNLOADED = "report downloaded"
    REPORT_DELETED = "report deleted"
    SENSOR_RETIRED = "sensor retired"
    SENSOR_EXPECTED = "sensor expected again"
    CLIENTS_SEEN = "clients looked at"
    CLIENTS_EXPORTED = "clients exported"
    DENIED = "denied"


REPEATED: Final = frozenset({Action.DENIED, Action.CLIENTS_SEEN, Action.LOGIN_DELAYED})
"""Actions that a page which is open repeats: recorded once a minute for one subject."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. ``account`` is empty where nobody was signed in; ``at`` is UTC."""

    id: int
    at: datetime
    account: str
    address: str
    action: str
    subject: str


class AuditLog:
    """The log of a site. Safe to use from many threads.

    Args:
        database: of the accounts.
        settings: the section ``[web]``.
    """

    def __init__(self, database: Database, settings: WebSettings) -> None:
        self._database = database
        self._kept = timedelta(days=settings.audit_days)
        self._pruned = float("-inf")
        self._said: OrderedDict[tuple[str, ...], float] = OrderedDict()
        self._lock = threading.Lock()

    def record(self, account: str, address: str, action: Action, subject: str) -> None:
        """Write one line, and forget what is too old.

        Raises:
            StoreError: the database cannot be written.
        """
        if action in REPEATED and not self._is_new((account, address, action, subject)):
            return
        now = datetime.now(tz=UTC)
        with self._database.writing() as connection:
            connection.execute(
                sa.insert(AUDIT).values(
                    at=now,
                    account=printable(account, 60),
                    address=printable(address, _ADDRESS - 1),
                    action=action.value,
                    subject=printable(subject, _SUBJECT - 1),
                )
            )
            if time.monotonic() - self._pruned > _PRUNE_S:
                self._pruned = time.monotonic()
                connection.execute(sa.delete(AUDIT).where(AUDIT.c.at < now - self._kept))

    def entries(
        self,
        *,
        after: int | None = None,
        account: str | None = None,
        action: str | None = None,
        limit: int = 100,
    ) -> list[Entry]:
        """Return lines, newest first; those that come after the line of a number."""
        query = sa.select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
        query = query.where(AUDIT.c.at >= datetime.now(tz=UTC) - self._kept)
        if after is not None:
            query = query.where(AUDIT.c.id < after)
        if account is not None:
            query = query.where(AUDIT.c.account == printable(account, 60))
        if action is not None:
            query = query.where(AUDIT.c.action == printable(action, 39))
        with self._database.reading() as connection:
            if connection is None:
                return []
            return [
                Entry(r.id, r.at, r.account, r.address, r.action, r.subject)
                for r in connection.execute(query)
            ]

    def _is_new(self, key: tuple[str, ...]) -> bool:
        now = time.monotonic()
        with self._lock:
            last = self._said.get(key)
            if last is not None and now - last < _QUIET_S:
                return False
            self._said[key] = now
            self._said.move_to_end(key)
            while len(self._said) > _REMEMBERED:
                self._said.popitem(last=False)
        return True


def address_of(request: Request) -> str:
    """Return the address that a request came from, as proxies that are believed say."""
    return request.client.host[:_ADDRESS] if request.client else ""


def audit(
    request: Request, action: Action, subject: str = "", *, account: str | None = None
) -> None:
    """Record what was done with a request.

    Args:
        request: as it came; says who asks, and from where.
        action: what was done.
        subject: to what: a case, an account, a path. May be a stranger's text.
        account: who did it, where the request does not know yet.

    Raises:
        StoreError: it cannot be recorded, and the site has accounts: then who asks gets no answer.
    """
    viewer: Any = getattr(request.state, "viewer", None)
    who = account if account is not None else (viewer.name if viewer else "")
    try:
        request.app.state.access.log.record(who, address_of(request), action, subject)
    except StoreError as error:
        if request.app.state.access.guarded:
            raise
        # This machine's own user may look at a store that is read-only.
        _LOG.warning("not recorded: %s %s: %s", action, printable(subject), error.what)
