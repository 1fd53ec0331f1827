"""One process of the sinkhole as its supervisor sees it: what it is told, and how it goes."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from remnant.sinkhole.shared import COUNTERS, Numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remnant.sinkhole.tables import Served
    from remnant.sinkhole.zones import Zone

__all__ = ["HELD_BACK", "Order", "Plan", "Process", "Role", "read_order"]

HELD_BACK: Final = frozenset({signal.SIGINT, signal.SIGHUP})
"""Signals that a child starts with blocked."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sinkhole does, made of its cases; replaced as a whole when they change.

    Attributes:
        zones: what is served.
        served: the same as tables for the fast path.
        memberships: the sets of cases that rows of telemetry belong to.
        facts: for each case what the head of its segments says.
        replies: what HTTP requests get, by case.
        rate_limit: answers a second of one process for one network; ``None``: no limit.
        connections: connections over TCP that may be open.
        nsid: how this server names itself; empty: not at all.
        secret: 16 bytes, of the cookies.
        sensor: name of the sensor.
    """

    zones: Sequence[Zone]
    served: Served
    memberships: Sequence[tuple[str, ...]]
    facts: Mapping[str, Any]
    replies: Mapping[str, Any]
    rate_limit: int | None
    connections: int
    nsid: bytes
    secret: bytes
    sensor: str


@dataclass(frozen=True, slots=True)
class Role:
    """What one process does: ``udp``, ``streams`` or ``keeper``, and which of several it is."""

    kind: str
    number: int = 0

    @property
    def name(self) -> str:
        """What the process is called in logs, metrics and segments."""
        return f"{self.kind}-{self.number}" if self.kind == "udp" else self.kind


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is told when it starts.

    Attributes:
        role: what it does.
        home: the home folder.
        plan: what is served; the keeper needs none.
        cases: names of the cases.
        udp: descriptors of UDP sockets.
        dns: descriptors of TCP sockets for DNS.
        others: descriptors of TCP sockets for everything else.
        numbers: descriptor of the shared numbers.
        ready: descriptor to write a byte to when it serves.
        parent: the process that gave the order; without it there is nothing to do.
    """

    role: Role
    home: str
    plan: Plan | None
    cases: tuple[str, ...]
    udp: tuple[int, ...] = ()
    dns: tuple[int, ...] = ()
    others: tuple[int, ...] = ()
    numbers: int = -1
    ready: int = -1
    parent: int = 0


def read_order(handle: int) -> Order:
    """Return the order that a supervisor left at a descriptor of this process."""
    with open(handle, "rb") as file:
        order = pickle.load(file)  # noqa: S301 - written by the parent process
    if not isinstance(order, Order):
        raise TypeError("this is not an order of a supervisor")
    return order


class Process:
    """One child, from its start to its end.

    Args:
        order: what it is told; the descriptors of the shared numbers and the like are added here.
        command: starts a process that takes an order.

    Attributes:
        role: what it does.
        numbers: what it counts.
        process: the child.
        started: when (seconds of the monotonic clock).
        stopping: it was asked to end.
        ready: it said that it serves.

    Raises:
        OSError: the system has no room for another process; nothing is left behind.
    """

    def __init__(self, order: Order, command: Sequence[str]) -> None:
        self.role = order.role
        self.started = time.monotonic()
        self.stopping = False
        self.ready = False
        with contextlib.ExitStack() as kept, contextlib.ExitStack() as handed_over:
            self.numbers = Numbers()
            kept.callback(self.numbers.close)
            self._read, write = os.pipe()
            kept.callback(os.close, self._read)
            handed_over.callback(os.close, write)
            os.set_blocking(self._read, False)
            handle = os.memfd_create("remnant-order")
            handed_over.callback(os.close, handle)
            order = replace(order, numbers=self.numbers.handle, ready=write, parent=os.getpid())
            with open(handle, "wb", closefd=False) as file:
                pickle.dump(order, file, protocol=5)
            os.lseek(handle, 0, os.SEEK_SET)
            handles = (handle, write, self.numbers.handle, *order.udp, *order.dns, *order.others)
            # A terminal sends Ctrl-C and its end to the children too: they wait until the child
            # can say that it does not listen to them.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
            try:
                self.process = subprocess.Popen(  # noqa: S603 - this program itself
                    [*command, str(handle)], pass_fds=handles, stdin=subprocess.DEVNULL
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            kept.pop_all()

    def poll(self) -> int | None:
        """Return how it ended, ``None`` if it runs; notes whether it is ready."""
        if not self.ready:
            with contextlib.suppress(BlockingIOError):
                self.ready = os.read(self._read, 1) == b"!"
        return self.process.poll()

    def stop(self) -> None:
        """Ask it to end."""
        self.stopping = True
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()

    def close(self) -> dict[str, int]:
        """Return what it counted; it has ended."""
        os.close(self._read)
        counted = {name: self.numbers[name] for name in COUNTERS}
        self.numbers.close()
        return counted
