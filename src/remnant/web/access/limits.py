"""How fast passwords may be tried: after some wrong ones each costs twice the wait of the last.

Three counts are kept: of an account from one network, of an account from anywhere, and of a network
for any account; an IPv4 network is a /24, an IPv6 network a /56. The last two allow ten times as
many, so that neither a stranger locks an account for long nor a network for its neighbours. They
stand beside the accounts, at most ``MOST``: a restart forgets none, and all servers of one database
count together. Names are kept as digests: people type passwords where names belong.
"""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from remnant.store.database import take_turn
from remnant.web.access.tables import LOGIN_TRY

if TYPE_CHECKING:
    from collections.abc import Callable

    from remnant.web.access.tables import Database

__all__ = ["MOST", "LoginLimits", "network_of"]

MOST: Final = 10_000
"""Counts kept; the one not touched for longest goes first."""
_LONGEST: Final = timedelta(seconds=900)
_FORGOTTEN: Final = timedelta(hours=1)
_BROAD: Final = 10
_STEPS: Final = 30


def network_of(address: str) -> str:
    """Return the network that an address is counted with.

    >>> network_of("192.0.2.77"), network_of("2001:db8:0:1ff::1"), network_of("testclient")
    ('192.0.2.0/24', '2001:db8:0:100::/56', 'testclient')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    length = 24 if found.version == 4 else 56
    return str(ipaddress.ip_network((found, length), strict=False))


def _now() -> datetime:
    return datetime.now(tz=UTC)


class LoginLimits:
    """The counts of a site. Safe to use from many threads and many processes.

    Args:
        database: of the accounts.
        attempts: wrong passwords for one account from one network before it waits.
        clock: the time, UTC.
    """

    def __init__(
        self, database: Database, attempts: int, clock: Callable[[], datetime] = _now
    ) -> None:
        self._database = database
        self._attempts = attempts
        self._clock = clock

    def begin(self, name: str, address: str) -> float:
        """Return for how many seconds a try must wait; 0 where it may be made, and is counted.

        It counts before the password is compared, so that tries side by side count as well.

        Raises:
            StoreError: the database cannot be read or written.
        """
        keys = self._keys(name, address)
        now = self._clock()
        # Who tries without pause costs no write, which would keep others from theirs.
        with self._database.reading(LOGIN_TRY) as connection:
            if connection is not None:
                wait = _wait(_known(connection, keys), now)
                if wait > 0:
                    return wait
        with self._database.writing() as connection:
            take_turn(connection, LOGIN_TRY.name)
            connection.execute(sa.delete(LOGIN_TRY).where(LOGIN_TRY.c.last < now - _FORGOTTEN))
            known = _known(connection, keys)
            wait = _wait(known, now)
            if wait > 0:
                return wait
            connection.execute(sa.delete(LOGIN_TRY).where(LOGIN_TRY.c.key.in_(list(keys))))
            rows = []
            for key, free in keys.items():
                tries = (known[key].tries if key in known else 0) + 1
                until = now
                if tries >= free:
                    seconds = 2.0 ** min(tries - free, _STEPS)
                    until += min(_LONGEST, timedelta(seconds=seconds))
                rows.append({"key": key, "tries": tries, "last": now, "until": until})
            connection.execute(sa.insert(LOGIN_TRY), rows)
            _bound(connection)
        return 0.0

    def succeeded(self, name: str, address: str) -> None:
        """Take back the count of a try whose password was right.

        Raises:
            StoreError: the database cannot be written.
        """
        of_both, *broad = self._keys(name, address)
        tries = LOGIN_TRY.c.tries
        with self._database.writing() as connection:
            take_turn(connection, LOGIN_TRY.name)
            connection.execute(sa.delete(LOGIN_TRY).where(LOGIN_TRY.c.key == of_both))
            connection.execute(
                sa.update(LOGIN_TRY)
                .where(LOGIN_TRY.c.key.in_(broad))
                .values(tries=sa.case((tries > 0, tries - 1), else_=0), until=self._clock())
            )

    def _keys(self, name: str, address: str) -> dict[str, int]:
        """Return the keys of the counts of a try, and how many tries of each are free."""
        network = network_of(address)
        return {
            _key(name, network): self._attempts,
            _key(name, ""): self._attempts * _BROAD,
            _key("", network): self._attempts * _BROAD,
        }


def _key(name: str, network: str) -> str:
    text = f"{len(name)} {name} {network}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _known(connection: sa.Connection, keys: dict[str, int]) -> dict[str, sa.Row[tuple[object]]]:
    query = sa.select(LOGIN_TRY).where(LOGIN_TRY.c.key.in_(list(keys)))
    return {row.key: row for row in connection.execute(query)}


def _wait(known: dict[str, sa.Row[tuple[object]]], now: datetime) -> float:
    """Return the longest wait in seconds; a clock that was set back makes none longer."""
    waits = (min(row.until - now, _LONGEST).total_seconds() for row in known.values())
    return max(0.0, max(waits, default=0.0))


def _bound(connection: sa.Connection) -> None:
    """Forget the counts that were not touched for longest, where there are too many."""
    count = connection.scalar(sa.select(sa.func.count()).select_from(LOGIN_TRY)) or 0
    if count > MOST:
        oldest = sa.select(LOGIN_TRY.c.key).order_by(LOGIN_TRY.c.last).limit(count - MOST)
        connection.execute(
            sa.delete(LOGIN_TRY).where(LOGIN_TRY.c.key.in_(oldest.scalar_subquery()))
        )
