"""Accounts: who may sign in, and what each may see."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from remnant.errors import AccessError
from remnant.store.database import take_turn
from remnant.web.access import passwords
from remnant.web.access.networks import parse_networks
from remnant.web.access.tables import ACCOUNT, SESSION, TOKEN
from remnant.web.access.viewer import LOCAL, Role, Viewer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from remnant.web.access.tables import Database

__all__ = ["ROLES", "Account", "Accounts", "account_of"]

ROLES: Final = (Role.OPERATOR, Role.ANALYST, Role.OWNER)
"""Those that an account may have."""
_RESERVED: Final = frozenset({LOCAL.name, "command line", "anonymous", "nobody", "public"})
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,62}")


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may sign in. Times are UTC."""

    name: str
    role: Role
    networks: tuple[str, ...]
    disabled: bool
    created: datetime
    last_login: datetime | None

    @property
    def told(self) -> str:
        """The account in words, for a person and for the audit log."""
        networks = f" of {', '.join(self.networks)}" if self.networks else ""
        return f"{self.name}: {self.role.value}{networks}"

    def told_since(self, before: Account) -> str:
        """Return the account in words, with the role that it had before."""
        return f"{self.told}, was {before.told.removeprefix(f'{before.name}: ')}"

    @property
    def viewer(self) -> Viewer:
        """The account as who asks."""
        return Viewer(self.name, self.role, self.networks)


def account_of(row: Any) -> Account:
    """Return the account that a row of the table, or of a join with it, tells of."""
    return Account(
        row.name,
        Role(row.role),
        tuple(row.networks.split()),
        bool(row.disabled),
        row.created,
        row.last_login,
    )


class Accounts:
    """All accounts of a site."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Account]:
        """Return every account, in order of their names."""
        with self._database.reading() as connection:
            if connection is None:
                return []
            rows = connection.execute(sa.select(ACCOUNT))
            return sorted((account_of(row) for row in rows), key=lambda one: one.name)

    def get(self, name: str) -> Account:
        """Return one account.

        Raises:
            AccessError: there is none of that name.
        """
        for account in self.all():
            if account.name == name:
                return account
        raise _missing(name)

    def has_operator(self) -> bool:
        """Return whether somebody can sign in who can make accounts."""
        return any(one.role is Role.OPERATOR and not one.disabled for one in self.all())

    def add(self, name: str, password: str, role: Role, networks: Iterable[str] = ()) -> Account:
        """Make an account.

        Raises:
            AccessError: the name is taken or none, the password is weak, a network is none, or a
                network owner has no networks.
        """
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise AccessError(
                "this cannot be the name of an account",
                got=name,
                expected="at most 63 lower-case letters, digits and . _ @ + -",
            )
        known = _networks(role, networks)
        hashed = passwords.hash_password(password, name)
        with self._database.writing() as connection:
            take_turn(connection, ACCOUNT.name)
            if connection.scalar(sa.select(ACCOUNT.c.name).where(ACCOUNT.c.name == name)):
                raise AccessError("there is already an account of that name", where=name)
            connection.execute(
                sa.insert(ACCOUNT).values(
                    name=name,
                    password=hashed,
                    role=role.value,
                    networks=" ".join(known),
                    disabled=False,
                    created=datetime.now(tz=UTC),
                )
            )
        return self.get(name)

    def set_password(self, name: str, password: str) -> None:
        """Give an account another password; all its sessions end.

        Raises:
            AccessError: there is no such account, or the password is weak.
        """
        hashed = passwords.hash_password(password, name)
        with self._database.writing() as connection:
            _update(connection, name, password=hashed)
            connection.execute(sa.delete(SESSION).where(SESSION.c.account == name))

    def set_role(self, name: str, role: Role, networks: Iterable[str] = ()) -> None:
        """Say what an account may do, from its next request on.

        Raises:
            AccessError: there is no such account, it is the last operator, or a network is none.
        """
        known = _networks(role, networks)
        with self._database.writing() as connection:
            _update(connection, name, role=role.value, networks=" ".join(known))

    def disable(self, name: str, *, disabled: bool) -> None:
        """Close an account, with its sessions and tokens, or open it again.

        Raises:
            AccessError: there is no such account, or it is the last operator.
        """
        with self._database.writing() as connection:
            _update(connection, name, disabled=disabled)
            if disabled:
                for table in (SESSION, TOKEN):
                    connection.execute(sa.delete(table).where(table.c.account == name))

    def check(
        self, name: str, password: str, *, also: Callable[[], bool] = lambda: True
    ) -> Account | None:
        """Return the account if name and password belong together and it is open.

        An unknown name takes as long as a known one: a hash is compared either way.

        Args:
            name: of the account, as it was typed.
            password: as it was typed.
            also: what must hold besides; asked only where the password is right.

        Raises:
            StoreBusy: too many passwords are being compared.
        """
        row = None
        with self._database.reading() as connection:
            if connection is not None and _NAME.fullmatch(name):
                row = connection.execute(
                    sa.select(ACCOUNT).where(ACCOUNT.c.name == name)
                ).one_or_none()
        hashed = passwords.nobodys() if row is None else row.password
        right = passwords.is_right(password, hashed)
        if row is None or not right or row.disabled or not also():
            return None
        values = {"password": passwords.rehash(password)} if passwords.is_outdated(hashed) else {}
        with self._database.writing() as connection:
            done = connection.execute(
                sa.update(ACCOUNT)
                # Not if it was closed, or got another password, while this one was compared.
                .where(ACCOUNT.c.name == name, ACCOUNT.c.password == hashed)
                .where(ACCOUNT.c.disabled.is_(False))
                .values(last_login=datetime.now(tz=UTC), **values)
            )
        return account_of(row) if done.rowcount else None


def _networks(role: Role, networks: Iterable[str]) -> tuple[str, ...]:
    if role not in ROLES:
        raise AccessError(
            "an account cannot have this role", got=role, expected=", ".join(one for one in ROLES)
        )
    known = parse_networks(networks)
    if role is Role.OWNER and not known:
        raise AccessError(
            "a network owner needs networks", expected="AS64500, or a prefix such as 192.0.2.0/24"
        )
    return known if role is Role.OWNER else ()


def _update(connection: sa.Connection, name: str, **values: object) -> None:
    """Change an account; refuse, within the transaction, what leaves nobody to make accounts."""
    mine = ACCOUNT.c.name == name
    take_turn(connection, ACCOUNT.name)
    # What cannot be a name is not asked for: not every database takes every character.
    known = _NAME.fullmatch(name) is not None
    before = connection.execute(sa.select(ACCOUNT).where(mine)).one_or_none() if known else None
    if before is None:
        raise _missing(name)
    connection.execute(sa.update(ACCOUNT).where(mine).values(**values))
    operators = connection.execute(
        sa.select(ACCOUNT.c.name).where(
            ACCOUNT.c.role == Role.OPERATOR.value, ACCOUNT.c.disabled.is_(False)
        )
    ).all()
    if not operators and before.role == Role.OPERATOR.value and not before.disabled:
        raise AccessError("this is the last operator", where=name, hint="make another one first")


def _missing(name: str) -> AccessError:
    return AccessError("there is no account of that name", where=name, hint="remnant account list")
