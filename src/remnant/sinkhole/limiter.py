"""The rate limit of answers: how many a network may get, whatever address is written on a query.

Anybody can write a victim's address on a UDP query, and the answers go to the victim. So answers to
one network (an IPv4 /24, an IPv6 /56) are limited; beyond it they shrink to the question with "ask
again over TCP", which a victim of forgery does not do and a resolver does. Queries are counted
before the limiter: it never blinds the measurement.

The limit is the generic cell rate algorithm (ITU-T I.371): for each network one time, at which it
will have used up what it was given; up to a second of answers may come at once.

A clock that is set back by more than a second makes such a time lie further ahead than it can. It
is then forgotten: better a second of answers too many than none for as long as the clock went back.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numba import int64, uint64

from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = ["Limiter", "admits", "new_limiter"]

_SLOTS: Final = 1 << 17
_WAYS: Final = 4
_SECOND_US: Final = 1_000_000
_S8: Final[Any] = uint64(8)
_S29: Final[Any] = uint64(29)
_S40: Final[Any] = uint64(40)


class Limiter(NamedTuple):
    """The state of one limiter.

    Attributes:
        key: uint64[2]: random, so that nobody can choose networks that share a slot.
        interval: int64[1]: microseconds that one answer costs; 0: no limit.
        tags: uint64[slots]: which network has the slot.
        times: int64[slots]: when what it got is used up (UTC microseconds).
    """

    key: npt.NDArray[np.uint64]
    interval: npt.NDArray[np.int64]
    tags: npt.NDArray[np.uint64]
    times: npt.NDArray[np.int64]


def new_limiter(limit: int | None) -> Limiter:
    """Return a limiter of so many answers a second for each network; ``None``: no limit."""
    key = np.array([secrets.randbits(64) | 1 for _ in range(2)], np.uint64)
    # Rounded up: never more answers than the limit says.
    interval = 0 if limit is None else -(-_SECOND_US // limit)
    slots = _SLOTS if interval else _WAYS
    return Limiter(
        key, np.array([interval], np.int64), np.zeros(slots, np.uint64), np.zeros(slots, np.int64)
    )


@kernel
def admits(limiter: Limiter, address: Bytes, now: Int) -> bool:
    """Return whether a network may have another answer now, and charge it.

    Args:
        limiter: the state.
        address: uint8[16], an IPv4 address as ``::ffff:a.b.c.d``.
        now: UTC microseconds.
    """
    interval = limiter.interval[0]
    if interval == 0:
        return True
    mapped = address[10] == 0xFF and address[11] == 0xFF
    for i in range(10):
        mapped = mapped and address[i] == 0
    network = uint64(0)
    first, stop = (12, 15) if mapped else (0, 7)
    for i in range(first, stop):
        network = (network << _S8) | uint64(address[i])
    # A bit that tells the families apart; no network is 0, which is an empty slot.
    network = (network << _S8) | uint64(1 if mapped else 2)
    state = (network ^ limiter.key[0]) * limiter.key[1]
    state ^= state >> _S29
    state *= limiter.key[0] | uint64(1)
    sets = uint64(limiter.tags.size // _WAYS - 1)
    start = int64((state >> _S40) & sets) * _WAYS
    slot: Int = int64(-1)
    for way in range(start, start + _WAYS):
        if limiter.tags[way] == network:
            slot = way
            break
    if slot < 0:
        # The slot that has been idle for longest; where none is, two networks share one.
        slot = start
        for way in range(start + 1, start + _WAYS):
            if limiter.times[way] < limiter.times[slot]:
                slot = way
        limiter.tags[slot] = network
    used = max(limiter.times[slot], now)
    if used - now > 2 * _SECOND_US + interval:
        # More than anybody can have used: the clock was set back.
        used = now
    if used - now > _SECOND_US:
        return False
    limiter.times[slot] = used + interval
    return True
