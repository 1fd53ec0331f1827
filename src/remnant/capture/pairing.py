"""Each query and its response become one observation.

A query waits up to 10 s, measured by the time of the stream's own hits, for a response with the
same client address, port, transport, message id, name, type and vantage; a port or a transport that
one of the two does not show is no difference. The response may stand before the query in the
stream, as far as its own time allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64, uint64

from remnant.capture.events import Events, allocate, concatenate, queries, take, used
from remnant.wire import inlined, kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from remnant.wire import Int

__all__ = ["BACK_US", "WAIT_US", "Pairing", "advance_clock"]

WAIT_US: Final = 10_000_000
"""How long a query waits for its response (microseconds)."""

BACK_US: Final = 60_000_000
"""A message this much older than the stream's time sets that time back: the clock was changed, or
another stream follows (microseconds)."""

_EARLY_US: Final = 1_000_000
"""A response may be timed this much before its query: some producers write whole seconds."""

_WAITING: Final = 1_000_000
"""Events that wait at most; beyond that the oldest go without their partner."""

_STEPS: Final = 64
"""Events with the same key that are looked at for one partner."""


@inlined
def advance_clock(clock: Int, time: Int) -> Int:
    """Return how far the stream's time has come after a message of this time."""
    return time if time > clock or time < clock - BACK_US else clock


class Pairing:
    """Joins the queries and responses of one source, batch by batch, with bounded memory.

    Attributes:
        waiting: how many events wait for their partner.
    """

    def __init__(self, *, limit: int = _WAITING) -> None:
        self._carried = used(allocate(0))
        self._clocks = np.zeros(0, np.int64)
        self._clock = 0
        self._limit = limit

    @property
    def waiting(self) -> int:
        """How many events wait for their partner."""
        return int(self._carried.filled[0])

    @property
    def first_offset(self) -> int:
        """The smallest offset of an event that waits, or the largest number if none does."""
        return int(self._carried.offset.min(initial=np.iinfo(np.int64).max))

    def add(
        self,
        events: Events,
        *,
        responses: bool,
        final: bool,
        sensors: Sequence[str | None],
        vantages: Sequence[str],
    ) -> pa.RecordBatch:
        """Take the next events of the source; return the rows that are complete.

        Args:
            events: what a kernel wrote.
            responses: whether responses without a query become rows (``response`` is true in
                them): only as long as the source has shown no query message at all.
            final: whether the source has ended, so that nothing waits any longer.
            sensors: names by sensor index.
            vantages: words by vantage index.
        """
        both = concatenate(self._carried, used(events))
        count = int(both.filled[0])
        partner = np.full(count, -1, np.int64)
        clocks = np.concatenate([self._clocks, np.zeros(count - self._clocks.size, np.int64)])
        clock = self._clock = int(_advance(both.heard, clocks, self._clocks.size, self._clock))
        # The clock goes back only when it is set back (``advance_clock``): nothing from before then
        # belongs to what follows.
        era = np.zeros(count, np.int64)
        np.cumsum(np.diff(clocks) < 0, out=era[1:])
        slots = 1 << max(4, (2 * count).bit_length())
        _pair(
            both,
            clocks,
            era,
            partner,
            np.full((2, slots), -1, np.int64),
            np.full((2, slots), -1, np.int64),
            np.full(count, -1, np.int64),
        )
        waits = (partner < 0) & (both.heard >= clock - WAIT_US) & (era == era[-1:]) & (not final)
        stay = np.flatnonzero(waits)
        if stay.size > self._limit:
            waits[stay[: stay.size - self._limit]] = False
            stay = stay[stay.size - self._limit :]
        leave = ~waits & ((both.response == 0) | ((partner < 0) & responses))
        rows = np.flatnonzero(leave)
        batch = queries(both, rows, partner[rows], sensors, vantages)
        self._carried = take(both, stay)
        self._clocks = clocks[stay]
        return batch


@kernel
def _advance(
    heard: npt.NDArray[np.int64], clocks: npt.NDArray[np.int64], first: Int, clock: Int
) -> Int:
    """Note how far the stream's time had come at each event from ``first`` on; return the last."""
    for event in range(first, heard.size):
        clock = advance_clock(clock, heard[event])
        clocks[event] = clock
    return clock


@kernel
def _pair(
    events: Events,
    clocks: npt.NDArray[np.int64],
    era: npt.NDArray[np.int64],
    partner: npt.NDArray[np.int64],
    heads: npt.NDArray[np.int64],
    tails: npt.NDArray[np.int64],
    following: npt.NDArray[np.int64],
) -> None:
    """Find the partner of each event, first come, first served.

    Waiting events stand in lists by the hash of their key, queries and responses apart. Each event
    looks through the list of the other kind, oldest first, and drops from its front what is too
    old, or of another era, to be a partner of anything that follows.
    """
    mask = uint64(heads.shape[1] - 1)
    for event in range(partner.size):
        slot = int64(events.key[event] & mask)
        kind = int64(events.response[event])
        other = 1 - kind
        horizon = clocks[event] - WAIT_US
        before = int64(-1)
        candidate = heads[other, slot]
        found = int64(-1)
        for _ in range(_STEPS):
            if candidate < 0:
                break
            after = following[candidate]
            expired = events.heard[candidate] < horizon or era[candidate] != era[event]
            if not expired and _fits(events, candidate, event, kind):
                found = candidate
            if found >= 0 or (expired and before < 0):
                if before < 0:
                    heads[other, slot] = after
                else:
                    following[before] = after
                if after < 0:
                    tails[other, slot] = before
                if found >= 0:
                    break
            else:
                before = candidate
            candidate = after
        if found >= 0:
            partner[event] = found
            partner[found] = event
            continue
        last = tails[kind, slot]
        if last < 0:
            heads[kind, slot] = event
        else:
            following[last] = event
        tails[kind, slot] = event


@inlined
def _differ(one: Int, two: Int) -> bool:
    return bool(one >= 0 and two >= 0 and one != two)


@kernel
def _fits(events: Events, first: Int, second: Int, kind: Int) -> bool:
    """Return whether two events are a query and its response; ``kind`` is that of the second."""
    if events.key[first] != events.key[second]:
        return False
    delay = events.heard[second] - events.heard[first]
    if kind == 0:
        delay = -delay
    if delay < -_EARLY_US or delay > WAIT_US:
        return False
    if (
        events.ident[first] != events.ident[second]
        or events.qtype[first] != events.qtype[second]
        or _differ(events.client_port[first], events.client_port[second])
        or _differ(events.transport[first], events.transport[second])
        or events.vantage[first] != events.vantage[second]
    ):
        return False
    for i in range(16):
        if events.address[first, i] != events.address[second, i]:
            return False
    one = events.name_offsets[first]
    two = events.name_offsets[second]
    size = events.name_offsets[first + 1] - one
    if events.name_offsets[second + 1] - two != size:
        return False
    for i in range(size):  # noqa: SIM110 - a kernel has no generators
        if events.names[one + i] != events.names[two + i]:
            return False
    return True
