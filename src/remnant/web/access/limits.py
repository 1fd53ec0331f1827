"""How fast passwords may be tried: after some wrong ones each costs twice the wait of the last.

Three counts are kept: of an account from one network, of an account from anywhere, and of a network
for any account; an IPv4 network is a /24, an IPv6 network a /56. The last two allow ten times as
many, so that neither a stranger locks an account for long nor a network for its neighbours. They
live in memory, at most ``MOST``, and a restart of the server forgets them.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MOST", "LoginLimits", "network_of"]

MOST: Final = 10_000
"""Counts kept; the one not touched for longest goes first."""
_LONGEST_S: Final = 900.0
_FORGOTTEN_S: Final = 3_600.0
_BROAD: Final = 10
_STEPS: Final = 30


@dataclass(slots=True)
class _Count:
    tries: int
    last: float
    until: float


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


class LoginLimits:
    """The counts of one server. Safe to use from many threads.

    Args:
        attempts: wrong passwords for one account from one network before it waits.
        clock: seconds that only grow.
    """

    def __init__(self, attempts: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._attempts = attempts
        self._clock = clock
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, name: str, address: str) -> float:
        """Return for how many seconds a try must wait; 0 where it may be made, and is counted.

        It counts before the password is compared, so that tries side by side count as well.
        """
        now = self._clock()
        keys = self._keys(name, address)
        with self._lock:
            wait = max(
                (self._counts[key].until - now for key, _ in keys if key in self._counts),
                default=0.0,
            )
            if wait > 0:
                return wait
            for key, free in keys:
                self._count(key, free, now)
        return 0.0

    def succeeded(self, name: str, address: str) -> None:
        """Take back the count of a try whose password was right."""
        with self._lock:
            for key, _ in self._keys(name, address):
                if key not in self._counts:
                    continue
                if key[0] and key[1]:
                    del self._counts[key]
                else:
                    count = self._counts[key]
                    count.tries = max(0, count.tries - 1)
                    count.until = 0.0

    def __len__(self) -> int:
        return len(self._counts)

    def _keys(self, name: str, address: str) -> list[tuple[tuple[str, str], int]]:
        network = network_of(address)
        return [
            ((name, network), self._attempts),
            ((name, ""), self._attempts * _BROAD),
            (("", network), self._attempts * _BROAD),
        ]

    def _count(self, key: tuple[str, str], free: int, now: float) -> None:
        count = self._counts.get(key)
        if count is None or now - count.last > _FORGOTTEN_S:
            count = _Count(0, now, 0.0)
        count.tries += 1
        count.last = now
        over = count.tries - free
        if over >= 0:
            count.until = now + min(_LONGEST_S, 2.0 ** min(over, _STEPS))
        self._counts[key] = count
        self._counts.move_to_end(key)
        while len(self._counts) > MOST:
            self._counts.popitem(last=False)
