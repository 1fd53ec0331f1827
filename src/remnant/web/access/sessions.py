"""Sessions: who signed in with a browser. The cookie's value is kept as a digest alone."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from remnant.web.access.accounts import Account, account_of
from remnant.web.access.tables import ACCOUNT, SESSION

if TYPE_CHECKING:
    from remnant.settings import WebSettings
    from remnant.web.access.tables import Database

__all__ = ["Session", "Sessions", "digest_of"]

_TOUCH: Final = timedelta(minutes=1)
"""How often a session in use is written to the database."""
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that is signed in. ``digest`` names it; times are UTC."""

    digest: str
    address: str
    created: datetime
    seen: datetime
    expires: datetime


def digest_of(secret: str) -> str:
    """Return what is kept of a secret of 256 random bits; to guess it no salt is in the way."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


class Sessions:
    """All sessions of a site.

    Args:
        database: of the accounts.
        settings: the section ``[web]``.
    """

    def __init__(self, database: Database, settings: WebSettings) -> None:
        self._database = database
        self._whole = timedelta(hours=settings.session_hours)
        self._idle = timedelta(hours=settings.idle_hours)

    def start(self, account: str, address: str) -> str:
        """Return the secret of a new session; those that are over are forgotten."""
        secret = secrets.token_urlsafe(32)
        now = datetime.now(tz=UTC)
        with self._database.writing() as connection:
            connection.execute(
                sa.delete(SESSION).where(
                    sa.or_(SESSION.c.expires <= now, SESSION.c.seen <= now - self._idle)
                )
            )
            connection.execute(
                sa.insert(SESSION).values(
                    digest=digest_of(secret),
                    account=account,
                    address=address,
                    created=now,
                    seen=now,
                    expires=now + self._whole,
                )
            )
        return secret

    def find(self, secret: str, *, use: bool = True) -> Account | None:
        """Return whose session it is, or ``None`` where it is over or was never one.

        With ``use`` it is used, and lasts on; else it is only looked at.
        """
        if len(secret) > _LONGEST:
            return None
        now = datetime.now(tz=UTC)
        digest = digest_of(secret)
        with self._database.reading() as connection:
            if connection is None:
                return None
            row = connection.execute(
                sa.select(ACCOUNT, SESSION.c.seen)
                .join(SESSION, SESSION.c.account == ACCOUNT.c.name)
                .where(SESSION.c.digest == digest, SESSION.c.expires > now)
                .where(SESSION.c.seen > now - self._idle, ACCOUNT.c.disabled.is_(False))
            ).one_or_none()
        if row is None:
            return None
        if use and now - row.seen > _TOUCH:
            with self._database.writing() as connection:
                connection.execute(
                    sa.update(SESSION).where(SESSION.c.digest == digest).values(seen=now)
                )
        return account_of(row)

    def of(self, account: str) -> list[Session]:
        """Return the sessions of an account that last, newest first."""
        now = datetime.now(tz=UTC)
        with self._database.reading() as connection:
            if connection is None:
                return []
            rows = connection.execute(
                sa.select(SESSION)
                .where(SESSION.c.account == account, SESSION.c.expires > now)
                .where(SESSION.c.seen > now - self._idle)
                .order_by(SESSION.c.created.desc())
            )
            return [Session(r.digest, r.address, r.created, r.seen, r.expires) for r in rows]

    def end(self, secret: str) -> None:
        """End one session."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(SESSION).where(SESSION.c.digest == digest_of(secret)))

    def end_all(self, account: str, *, but: str | None = None) -> None:
        """End the sessions of an account, perhaps all but the one with a secret."""
        where = [SESSION.c.account == account]
        if but is not None:
            where.append(SESSION.c.digest != digest_of(but))
        with self._database.writing() as connection:
            connection.execute(sa.delete(SESSION).where(*where))
