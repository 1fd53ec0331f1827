"""Serials of zones: 32 bits that only ever grow, in a circle.

References:
    RFC 1982 (serial number arithmetic).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_SERIAL", "is_newer", "newest", "next_serial"]

MAX_SERIAL: Final = (1 << 32) - 1
_HALF: Final = 1 << 31


def is_newer(serial: int, than: int) -> bool:
    """Return whether a secondary server that has one serial would fetch the other.

    >>> is_newer(2, 1), is_newer(1, 4294967295), is_newer(1, 1)
    (True, True, False)
    """
    return 0 < (serial - than) & MAX_SERIAL < _HALF


def newest(serials: Iterable[int]) -> int | None:
    """Return the newest of some serials; ``None`` of none."""
    found: int | None = None
    for serial in serials:
        if found is None or is_newer(serial, found):
            found = serial
    return found


def next_serial(old: int | None, now: int) -> int:
    """Return the serial of content that has changed: the time, if that is newer; else one more.

    Args:
        old: what was served before; ``None`` if nothing was.
        now: UTC seconds.
    """
    now &= MAX_SERIAL
    if old is None or is_newer(now, old):
        return now
    # 0 stands for "no serial" in some servers.
    return (old + 1) & MAX_SERIAL or 1
