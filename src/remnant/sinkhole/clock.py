"""The time, and what the system knows of how wrong its clock may be.

References:
    adjtimex(2): asking changes nothing and needs no privilege.
"""

from __future__ import annotations

import ctypes
import time
from typing import Any, Final

__all__ = ["clock_facts", "now_us"]

_NOT_SYNCHRONISED: Final = 0x40
_NANOSECONDS: Final = 0x2000


class _Timex(ctypes.Structure):
    """``struct timex``, as far as it is asked."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def now_us() -> int:
    """Return UTC microseconds since 1970."""
    return time.time_ns() // 1000


def clock_facts() -> dict[str, Any]:
    """Return whether the clock is synchronised, and its offset and error in microseconds.

    Empty where the system does not say.
    """
    try:
        ask = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return {}
    found = _Timex()
    if ask(ctypes.byref(found)) < 0:
        return {}
    unit = 1000 if found.status & _NANOSECONDS else 1
    return {
        "synchronised": not found.status & _NOT_SYNCHRONISED,
        "offset_us": found.offset // unit,
        "error_us": found.maxerror,
    }
