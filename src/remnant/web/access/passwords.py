"""Passwords: Argon2id, at the parameters of RFC 9106 for machines with little memory."""

from __future__ import annotations

import contextlib
import threading
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Final

from remnant.errors import AccessError, StoreBusy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from argon2 import PasswordHasher

__all__ = ["LEAST", "MOST", "hash_password", "is_outdated", "is_right", "nobodys", "rehash"]

LEAST: Final = 12
"""Characters of a new password at least."""
MOST: Final = 256
_DISTINCT: Final = 5
_TURNS: Final = threading.BoundedSemaphore(2)
"""Passwords hashed at once: each takes 64 MiB."""
_QUEUE: Final = threading.BoundedSemaphore(8)
"""Threads that wait for their turn; the others of the server go on answering pages."""
_WAIT_S: Final = 10.0


@cache
def hasher() -> PasswordHasher:
    """Return what hashes and compares."""
    import argon2

    return argon2.PasswordHasher.from_parameters(argon2.profiles.RFC_9106_LOW_MEMORY)


@cache
def nobodys() -> str:
    """Return the hash that a password is compared with where there is no such account."""
    import secrets

    return hasher().hash(secrets.token_urlsafe(32))


def hash_password(password: str, name: str) -> str:
    """Return the hash of a new password.

    Raises:
        AccessError: it is too short, too long, or too easily guessed.
        StoreBusy: too many passwords are being hashed.
    """
    text = _folded(password)
    if not LEAST <= len(text) <= MOST:
        raise AccessError(
            "the password has a wrong length", expected=f"{LEAST} to {MOST} characters"
        )
    if len(set(text)) < _DISTINCT or name.lower() in text.lower():
        raise AccessError(
            "the password is too easily guessed",
            expected=f"{_DISTINCT} different characters or more, without the account's name",
        )
    with _turn():
        return hasher().hash(text)


def is_right(password: str, hashed: str) -> bool:
    """Return whether a password belongs to a hash; takes as long either way.

    Raises:
        StoreBusy: too many passwords are being hashed.
    """
    import argon2

    with _turn():
        try:
            # One that is too long is no shorter one: it keeps a character more than any may have.
            return hasher().verify(hashed, _folded(password[: 4 * MOST])[: MOST + 1])
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False


def rehash(password: str) -> str:
    """Return the hash of a password that was right, with the parameters used now.

    Raises:
        StoreBusy: too many passwords are being hashed.
    """
    with _turn():
        return hasher().hash(_folded(password))


def is_outdated(hashed: str) -> bool:
    """Return whether a hash was made with other parameters than are used now."""
    return hasher().check_needs_rehash(hashed)


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    if not _QUEUE.acquire(blocking=False):
        raise StoreBusy("too many people sign in at this moment", hint="try again in a few seconds")
    try:
        if not _TURNS.acquire(timeout=_WAIT_S):
            raise StoreBusy("signing in takes too long", hint="try again in a few seconds")
        try:
            yield
        finally:
            _TURNS.release()
    finally:
        _QUEUE.release()


def _folded(password: str) -> str:
    """Return a password in one form, whichever keyboard wrote it (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
