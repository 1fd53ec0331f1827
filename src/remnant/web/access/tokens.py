"""API tokens: what a program shows instead of signing in. Kept as a digest, shown once."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from remnant.errors import AccessError
from remnant.web.access.accounts import Account, account_of
from remnant.web.access.sessions import digest_of
from remnant.web.access.tables import ACCOUNT, TOKEN

if TYPE_CHECKING:
    from remnant.web.access.tables import Database

__all__ = ["MOST_DAYS", "Scope", "Token", "Tokens"]

PREFIX: Final = "remnant_"
"""Lets scanners of published code find one that leaked."""
MOST_DAYS: Final = 366
_MOST: Final = 50
_LONGEST: Final = 200
_LABEL: Final = 80
_TOUCH: Final = timedelta(minutes=1)


class Scope(StrEnum):
    """What a token may do, of what its account may."""

    READ = "read"
    """Ask for pages and figures."""
    EDIT = "edit"
    """Change cases and make reports."""
    ADMIN = "admin"
    """Accounts, tokens and the audit log."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token, without its secret. Times are UTC."""

    id: str
    account: str
    label: str
    scopes: tuple[Scope, ...]
    created: datetime
    expires: datetime
    last_used: datetime | None

    @property
    def is_over(self) -> bool:
        """Whether it has expired."""
        return self.expires <= datetime.now(tz=UTC)


class Tokens:
    """All tokens of a site."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, account: str, label: str, scopes: Collection[Scope], days: int) -> str:
        """Return a new token; it cannot be shown again.

        Raises:
            AccessError: the account is none or closed, the label is empty, there is no scope, the
                time is too long, or the account has too many.
        """
        label = " ".join(label.split())
        if not label or len(label) > _LABEL or not label.isprintable():
            raise AccessError("a token needs a label", expected="1 to 80 characters that are seen")
        if not scopes:
            raise AccessError("a token needs a scope", expected=", ".join(Scope))
        if not 1 <= days <= MOST_DAYS:
            raise AccessError(
                "a token lasts too long, or not at all", got=days, expected=f"1 to {MOST_DAYS} days"
            )
        secret = PREFIX + secrets.token_urlsafe(32)
        now = datetime.now(tz=UTC)
        with self._database.writing() as connection:
            found = connection.execute(
                sa.select(ACCOUNT.c.disabled).where(ACCOUNT.c.name == account)
            ).one_or_none()
            if found is None or found.disabled:
                raise AccessError("there is no open account of that name", where=account)
            connection.execute(
                sa.delete(TOKEN).where(TOKEN.c.account == account, TOKEN.c.expires <= now)
            )
            count = connection.scalar(
                sa.select(sa.func.count()).select_from(TOKEN).where(TOKEN.c.account == account)
            )
            if (count or 0) >= _MOST:
                raise AccessError(
                    "the account has too many tokens",
                    where=account,
                    expected=f"{_MOST} at most",
                    hint="revoke those that are not used",
                )
            connection.execute(
                sa.insert(TOKEN).values(
                    id=secrets.token_hex(6),
                    digest=digest_of(secret),
                    account=account,
                    label=label,
                    scopes=" ".join(scope for scope in Scope if scope in scopes),
                    created=now,
                    expires=now + timedelta(days=days),
                )
            )
        return secret

    def find(self, secret: str, *, use: bool = True) -> tuple[Account, frozenset[Scope]] | None:
        """Return whose token it is and what it may, or ``None`` where it is none or over.

        With ``use`` it is told when it was used last; else it is only looked at.
        """
        if len(secret) > _LONGEST:
            return None
        now = datetime.now(tz=UTC)
        digest = digest_of(secret)
        with self._database.reading() as connection:
            if connection is None:
                return None
            row = connection.execute(
                sa.select(ACCOUNT, TOKEN.c.scopes, TOKEN.c.last_used)
                .join(TOKEN, TOKEN.c.account == ACCOUNT.c.name)
                .where(TOKEN.c.digest == digest, TOKEN.c.expires > now)
                .where(ACCOUNT.c.disabled.is_(False))
            ).one_or_none()
        if row is None:
            return None
        if use and (row.last_used is None or now - row.last_used > _TOUCH):
            with self._database.writing() as connection:
                connection.execute(
                    sa.update(TOKEN).where(TOKEN.c.digest == digest).values(last_used=now)
                )
        return account_of(row), frozenset(Scope(word) for word in row.scopes.split())

    def of(self, account: str | None = None) -> list[Token]:
        """Return the tokens of an account, or all, newest first."""
        query = sa.select(TOKEN).order_by(TOKEN.c.created.desc(), TOKEN.c.id)
        if account is not None:
            query = query.where(TOKEN.c.account == account)
        with self._database.reading() as connection:
            if connection is None:
                return []
            return [
                Token(
                    row.id,
                    row.account,
                    row.label,
                    tuple(Scope(word) for word in row.scopes.split()),
                    row.created,
                    row.expires,
                    row.last_used,
                )
                for row in connection.execute(query)
            ]

    def revoke(self, identifier: str, *, account: str | None = None) -> Token:
        """End a token, of one account or of any; return what it was.

        Raises:
            AccessError: there is no such token.
        """
        for token in self.of(account):
            if token.id == identifier:
                with self._database.writing() as connection:
                    connection.execute(sa.delete(TOKEN).where(TOKEN.c.id == identifier))
                return token
        raise AccessError("there is no such token", where=identifier)
