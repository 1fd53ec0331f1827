"""Deadlines of many connections with one timer: a wheel whose slots are short spans of time.

References:
    Varghese and Lauck, "Hashed and hierarchical timing wheels", SOSP 1987, scheme 6.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

__all__ = ["TimerWheel"]


class _Timed(Protocol):
    deadline: float
    slot: int


T = TypeVar("T", bound=_Timed)


class TimerWheel(Generic[T]):
    """Items by deadline. An item has two fields: ``deadline`` (seconds) and ``slot`` (the wheel's).

    Adding and removing cost the same however many there are. An item is returned at most one tick
    after its deadline, and never before it.

    Args:
        now: the time (seconds, any origin, never running backwards).
        tick_s: length of one slot in seconds.
        slots: how many there are; deadlines further ahead than one turn are looked at once a turn.
    """

    def __init__(self, now: float, tick_s: float = 0.25, slots: int = 256) -> None:
        self.tick_s = tick_s
        self._slots: list[set[T]] = [set() for _ in range(slots)]
        self._done = self._tick(now)

    def _tick(self, time: float) -> int:
        return int(time / self.tick_s)

    def add(self, item: T) -> None:
        """Put in an item with its deadline; one that is in already must be removed first."""
        # A deadline that has passed goes into the slot that is looked at next.
        item.slot = max(self._tick(item.deadline), self._done + 1) % len(self._slots)
        self._slots[item.slot].add(item)

    def remove(self, item: T) -> None:
        """Take out an item; nothing happens if it is not in."""
        self._slots[item.slot].discard(item)

    def due(self, now: float) -> list[T]:
        """Take out and return the items whose deadline has passed."""
        upto = self._tick(now)
        first = max(self._done + 1, upto - len(self._slots) + 1)
        found: list[T] = []
        for tick in range(first, upto + 1):
            slot = self._slots[tick % len(self._slots)]
            # The current slot's span is not over: it is looked at again at the next tick.
            ripe = [item for item in slot if item.deadline <= now]
            slot.difference_update(ripe)
            found += ripe
        self._done = max(self._done, upto - 1)
        return found
