"""The file of the site key, and the fingerprint by which the store knows it."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Final

from remnant.errors import KeyMismatch

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["create_key", "fingerprint", "load_key"]

_BYTES: Final = 16
_HEX: Final = re.compile(rb"[0-9a-f]{32}\s*", re.IGNORECASE)


def fingerprint(secret: bytes) -> str:
    """Return what the store keeps of a key: enough to know it again, nothing to compute with."""
    return hashlib.sha256(b"remnant site key\0" + secret).hexdigest()[:16]


def load_key(path: Path) -> bytes | None:
    """Return the 16 bytes of the key, ``None`` if there is no such file.

    Raises:
        KeyMismatch: the file is not a site key.
    """
    try:
        with path.open("rb") as file:
            text = file.read(100)
    except FileNotFoundError:
        return None
    if not _HEX.fullmatch(text):
        raise KeyMismatch(
            "the file is not a site key",
            where=str(path),
            expected="32 hexadecimal digits",
            hint="restore it from a copy, or name the right file in settings.toml (site_key)",
        )
    return bytes.fromhex(text.decode("ascii").strip())


def create_key(path: Path) -> bytes:
    """Make a new key that only its owner may read (mode 0600), and return it."""
    secret = os.urandom(_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Complete before it has its name: a process that is killed here leaves no half a key.
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, secret.hex().encode() + b"\n")
        os.fsync(file)
    finally:
        os.close(file)
    os.link(draft, path)
    draft.unlink()
    return secret
