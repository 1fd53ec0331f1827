"""One-time passwords of a shared secret and the time: TOTP (RFC 6238) over HOTP (RFC 4226).

As authenticator programs compute them unless told otherwise: HMAC-SHA-1, 6 digits, steps of 30 s
since 1970.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode

__all__ = ["DIGITS", "STEP", "address", "code", "matching", "new_secret", "step_of"]

DIGITS: Final = 6
STEP: Final = timedelta(seconds=30)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DRIFT: Final = 1
"""Steps by which a clock may be wrong (RFC 6238, section 5.2)."""


def new_secret() -> str:
    """Return a secret of 160 bits (RFC 4226, section 4, R6) in base32, as people type it."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def step_of(time: datetime) -> int:
    """Return the step in which a time lies."""
    return (time - _EPOCH) // STEP


def code(key: bytes, step: int, *, digits: int = DIGITS, digest: str = "sha1") -> str:
    """Return the one-time password of a step (RFC 4226, section 5.3)."""
    mac = hmac.digest(key, step.to_bytes(8, "big"), digest)
    at = mac[-1] & 0x0F
    number = int.from_bytes(mac[at : at + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def matching(secret: str, typed: str, now: datetime, *, after: int) -> int | None:
    """Return the step whose password was typed; ``None`` if it is none that is good now.

    Args:
        secret: as ``new_secret`` made it.
        typed: what a person typed.
        now: the time, UTC.
        after: the step whose password was used last; none is good twice.
    """
    typed = "".join(typed[:20].split())
    key = base64.b32decode(secret)
    found = None
    for step in range(step_of(now) - _DRIFT, step_of(now) + _DRIFT + 1):
        # All are compared, whatever the first one says.
        is_it = hmac.compare_digest(code(key, step).encode(), typed.encode("utf-8", "replace"))
        if is_it and step > after:
            found = step
    return found


def address(secret: str, account: str, site: str) -> str:
    """Return the address that an authenticator program opens to take a secret up.

    >>> address("JBSWY3DPEHPK3PXP", "isp@example.net", "Remnant")
    'otpauth://totp/Remnant:isp%40example.net?secret=JBSWY3DPEHPK3PXP&issuer=Remnant'
    """
    label = f"{quote(site, safe='')}:{quote(account, safe='')}"
    return f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': site})}"
