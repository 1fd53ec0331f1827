"""Second factors: one-time passwords of accounts, and recovery codes for who lost the device.

A secret has to be kept as it is, for the server computes with it too; recovery codes are kept as
digests. A one-time password is good once, and so is a recovery code.
"""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from remnant.errors import AccessError
from remnant.store.database import take_turn
from remnant.web.access import totp
from remnant.web.access.sessions import digest_of
from remnant.web.access.tables import RECOVERY_CODE, SECOND_FACTOR

if TYPE_CHECKING:
    from remnant.web.access.tables import Database

__all__ = ["Factors", "Shown"]

_CODES: Final = 10
_CODE_BYTES: Final = 10
_LONGEST: Final = 64


class Shown(StrEnum):
    """What somebody showed beside the password."""

    NOTHING = ""
    """The account has no second factor."""
    CODE = "code"
    RECOVERY = "recovery code"


class Factors:
    """The second factors of all accounts of a site.

    Args:
        database: of the accounts.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def holders(self) -> frozenset[str]:
        """Return the accounts that have one."""
        with self._database.reading(SECOND_FACTOR) as connection:
            if connection is None:
                return frozenset()
            columns = SECOND_FACTOR.c
            query = sa.select(columns.account).where(columns.confirmed.is_(True))
            return frozenset(connection.scalars(query))

    def has(self, account: str) -> bool:
        """Return whether an account has one."""
        row = self._row(account)
        return row is not None and bool(row.confirmed)

    def codes_left(self, account: str) -> int:
        """Return how many recovery codes of an account were not used."""
        with self._database.reading(RECOVERY_CODE) as connection:
            if connection is None:
                return 0
            mine = RECOVERY_CODE.c.account == account
            query = sa.select(sa.func.count()).select_from(RECOVERY_CODE).where(mine)
            return int(connection.scalar(query) or 0)

    def begin(self, account: str) -> str:
        """Return a new secret; it is of no use until a password of it was typed once.

        Raises:
            AccessError: the account has a second factor.
        """
        secret = totp.new_secret()
        with self._database.writing() as connection:
            take_turn(connection, SECOND_FACTOR.name)
            mine = SECOND_FACTOR.c.account == account
            if connection.scalar(sa.select(SECOND_FACTOR.c.confirmed).where(mine)):
                raise AccessError("the account has a second factor", where=account)
            connection.execute(sa.delete(SECOND_FACTOR).where(mine))
            connection.execute(
                sa.insert(SECOND_FACTOR).values(
                    account=account, secret=secret, confirmed=False, last_step=0
                )
            )
        return secret

    def begun(self, account: str) -> str | None:
        """Return the secret that waits for its first password."""
        row = self._row(account)
        return None if row is None or row.confirmed else str(row.secret)

    def confirm(self, account: str, typed: str) -> list[str] | None:
        """Make what was begun count; return new recovery codes, ``None`` for a wrong password.

        Raises:
            AccessError: nothing was begun.
        """
        codes = [_new_code() for _ in range(_CODES)]
        with self._database.writing() as connection:
            take_turn(connection, SECOND_FACTOR.name)
            mine = SECOND_FACTOR.c.account == account
            row = connection.execute(sa.select(SECOND_FACTOR).where(mine)).one_or_none()
            if row is None or row.confirmed:
                raise AccessError("no second factor was begun", where=account)
            step = totp.matching(row.secret, typed, datetime.now(tz=UTC), after=0)
            if step is None:
                return None
            connection.execute(
                sa.update(SECOND_FACTOR).where(mine).values(confirmed=True, last_step=step)
            )
            connection.execute(sa.delete(RECOVERY_CODE).where(RECOVERY_CODE.c.account == account))
            rows = [{"digest": digest_of(_folded(one)), "account": account} for one in codes]
            connection.execute(sa.insert(RECOVERY_CODE), rows)
        return codes

    def check(self, account: str, typed: str) -> Shown | None:
        """Return what was typed beside the password; ``None`` if it is not right, or not again."""
        row = self._row(account)
        if row is None or not row.confirmed:
            return Shown.NOTHING
        typed = typed[:_LONGEST]
        with self._database.writing() as connection:
            take_turn(connection, SECOND_FACTOR.name)
            mine = SECOND_FACTOR.c.account == account
            row = connection.execute(sa.select(SECOND_FACTOR).where(mine)).one_or_none()
            if row is None or not row.confirmed:
                return Shown.NOTHING
            step = totp.matching(row.secret, typed, datetime.now(tz=UTC), after=row.last_step)
            if step is not None:
                connection.execute(sa.update(SECOND_FACTOR).where(mine).values(last_step=step))
                return Shown.CODE
            used = connection.execute(
                sa.delete(RECOVERY_CODE).where(
                    RECOVERY_CODE.c.account == account,
                    RECOVERY_CODE.c.digest == digest_of(_folded(typed)),
                )
            )
        return Shown.RECOVERY if used.rowcount else None

    def remove(self, account: str) -> bool:
        """Take the second factor from an account; return whether it had one."""
        had = self.has(account)
        with self._database.writing() as connection:
            take_turn(connection, SECOND_FACTOR.name)
            for table in (SECOND_FACTOR, RECOVERY_CODE):
                connection.execute(sa.delete(table).where(table.c.account == account))
        return had

    def _row(self, account: str) -> sa.Row[tuple[object, ...]] | None:
        with self._database.reading(SECOND_FACTOR) as connection:
            if connection is None:
                return None
            mine = SECOND_FACTOR.c.account == account
            return connection.execute(sa.select(SECOND_FACTOR).where(mine)).one_or_none()


def _new_code() -> str:
    text = base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def _folded(typed: str) -> str:
    return "".join(char for char in typed.lower() if char.isalnum())
