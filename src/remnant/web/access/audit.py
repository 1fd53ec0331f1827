"""The audit log: who did what, to what, when, from where, and what came of it.

One log for all doors. Pages write to it with ``audit(request, Action.REPORT_MADE, case)``, commands
through ``cli_audit``. Text in it is bounded; entries older than ``web.audit_days`` go.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from remnant.errors import StoreError, printable
from remnant.web.access.actions import REPEATED, Action
from remnant.web.access.tables import AUDIT, AUDIT_OUTCOME

if TYPE_CHECKING:
    from fastapi import Request

    from remnant.settings import WebSettings
    from remnant.web.access.tables import Database

__all__ = ["DONE", "Action", "AuditLog", "Entry", "address_of", "audit", "audit_failure"]

_LOG: Final = logging.getLogger(__name__)
_NOT_TRIED: Final = frozenset({303, 401, 403})
"""Answers of who was not let in."""
_PRUNE_S: Final = 3_600.0
_QUIET_S: Final = 60.0
_REMEMBERED: Final = 1_000
_SUBJECT: Final = 200
_ADDRESS: Final = 64
DONE: Final = "done"
"""The outcome of what was done; another one says why it was not."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log; ``at`` is UTC.

    ``account`` is empty where nobody was signed in. ``address`` of what the command line did is the
    user of this machine. ``outcome`` is ``done``, or why it was not done, or not wholly.
    """

    id: int
    at: datetime
    account: str
    address: str
    action: str
    subject: str
    outcome: str = DONE


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

    def record(
        self, account: str, address: str, action: Action, subject: str, outcome: str = DONE
    ) -> None:
        """Write one line, and forget what is too old.

        A failure that repeats is recorded once a minute, as what pages repeat is.

        Raises:
            StoreError: the database cannot be written.
        """
        repeats = action in REPEATED or outcome != DONE
        if repeats and not self._is_new((account, address, action, subject, outcome)):
            return
        now = datetime.now(tz=UTC)
        with self._database.writing() as connection:
            made = connection.execute(
                sa.insert(AUDIT).values(
                    at=now,
                    account=printable(account, 60),
                    address=printable(address, _ADDRESS - 1),
                    action=action.value,
                    subject=printable(subject, _SUBJECT - 1),
                )
            )
            if outcome != DONE:
                connection.execute(
                    sa.insert(AUDIT_OUTCOME).values(
                        entry=made.inserted_primary_key.id,  # type: ignore[union-attr]  # one row was written
                        outcome=printable(outcome, _SUBJECT - 1),
                    )
                )
            if time.monotonic() - self._pruned > _PRUNE_S:
                self._pruned = time.monotonic()
                old = AUDIT.c.at < now - self._kept
                of_old = AUDIT_OUTCOME.c.entry.in_(sa.select(AUDIT.c.id).where(old))
                connection.execute(sa.delete(AUDIT_OUTCOME).where(of_old))
                connection.execute(sa.delete(AUDIT).where(old))

    def entries(
        self,
        *,
        after: int | None = None,
        account: str | None = None,
        action: str | None = None,
        limit: int = 100,
    ) -> list[Entry]:
        """Return lines, newest first; those that come after the line of a number."""
        columns: list[Any] = [*AUDIT.c]
        source: Any = AUDIT
        if self._database.has(AUDIT_OUTCOME):  # a log of an earlier version has none
            columns.append(AUDIT_OUTCOME.c.outcome)
            source = AUDIT.outerjoin(AUDIT_OUTCOME, AUDIT.c.id == AUDIT_OUTCOME.c.entry)
        else:
            columns.append(sa.null().label("outcome"))
        query = sa.select(*columns).select_from(source).order_by(AUDIT.c.id.desc()).limit(limit)
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
                Entry(r.id, r.at, r.account, r.address, r.action, r.subject, r.outcome or DONE)
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


def audit_failure(request: Request, status: int, what: str) -> None:
    """Record that what somebody wanted to change was not changed, and why.

    Only for who is known: what strangers try is counted where passwords are. What an account may
    not do at all has its own line already.

    Args:
        request: one whose endpoint says what it records (``admits``).
        status: of the answer.
        what: the reason, as the answer gives it.
    """
    from remnant.web.access.gate import recorded_by

    actions = recorded_by(request.scope.get("endpoint"))
    viewer: Any = getattr(request.state, "viewer", None)
    if not actions or viewer is None or not viewer.is_known or status in _NOT_TRIED:
        return
    subject = f"{request.method} {request.url.path}"
    try:
        request.app.state.access.log.record(
            viewer.name, address_of(request), actions[0], subject, f"refused ({status}): {what}"
        )
    except StoreError as error:
        _LOG.warning("not recorded: %s %s: %s", actions[0], printable(subject), error.what)
