"""The key that signs the manifest: Ed25519, beside the site key, readable by its owner only.

References:
    RFC 8032 (Ed25519).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from remnant.errors import KeyMismatch

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from remnant.settings import Settings

__all__ = ["is_signed", "key_path", "load_or_create", "public_hex"]

_HEX: Final = re.compile(rb"[0-9a-f]{64}\s*")


def key_path(settings: Settings) -> Path:
    """Return where the key lies: in the folder of the site key."""
    return settings.site_key.with_name("evidence.key")


def load_or_create(path: Path, *, create: bool) -> Ed25519PrivateKey:
    """Return the key; with ``create`` a new one where there is none.

    Raises:
        KeyMismatch: there is none, or the file is not such a key.
        OSError: it cannot be read or written.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - heavy
        Ed25519PrivateKey,
    )

    if create and not path.exists():
        _create(path, Ed25519PrivateKey.generate().private_bytes_raw())
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise KeyMismatch(
            "the key that signs the manifest of segments is not there",
            where=str(path),
            hint="restore it from a copy: another key would not continue the manifest",
        ) from None
    if not _HEX.fullmatch(text):
        raise KeyMismatch(
            "the file is not a key that signs", where=str(path), expected="64 hexadecimal digits"
        )
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text.decode("ascii").strip()))


def public_hex(key: Ed25519PrivateKey) -> str:
    """Return the public key, 64 hex digits."""
    return key.public_key().public_bytes_raw().hex()


def is_signed(public: str, data: bytes, signature: str) -> bool:
    """Return whether a signature (hex) of some bytes is right."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - heavy
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - heavy
        Ed25519PublicKey,
    )

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _create(path: Path, secret: bytes) -> None:
    """Write a key that is complete before it has its name; the first of two makers wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, secret.hex().encode() + b"\n")
        os.fsync(file)
    finally:
        os.close(file)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
