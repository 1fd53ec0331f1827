"""The parent of the sinkhole's processes: it starts them, watches them, and tells how they are.

It binds the sockets, gives up its rights, and starts one process for each core that answers UDP,
one for streams, and one that keeps what they see in the store. The sockets stay open here, so that
a process that dies is started again, and a new configuration takes over, without a query lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import json
import os
import pickle
import pwd
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from remnant.errors import RemnantError
from remnant.sinkhole.metrics import Health, exposition, serve_metrics
from remnant.sinkhole.shared import COUNTERS, Numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from remnant.sinkhole.tables import Served
    from remnant.sinkhole.zones import Zone

__all__ = ["Order", "Plan", "Role", "Sockets", "Supervisor", "drop_rights", "read_order"]

_START_S: Final = 180.0
"""Seconds that a process may take to be ready: the kernels may have to be compiled."""
_STOP_S: Final = 20.0
_TURN_S: Final = 0.2
_QUIET_S: Final = 15.0
"""Seconds without a sign of life after which a process is not healthy."""
_LONGEST_PAUSE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sinkhole does, made of its cases; replaced as a whole when they change.

    Attributes:
        zones: what is served.
        served: the same as tables for the fast path.
        memberships: the sets of cases that rows of telemetry belong to.
        facts: for each case what the head of its segments says.
        replies: what HTTP requests get, by case.
        rate_limit: answers a second for one network; ``None``: no limit.
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
    nsid: bytes
    secret: bytes
    sensor: str


@dataclass(slots=True)
class Sockets:
    """What the sinkhole listens on.

    Attributes:
        udp: for each process of the fast path its UDP sockets.
        slow: UDP sockets without the fast path.
        dns: TCP sockets for DNS.
        others: TCP sockets for everything else.
    """

    udp: list[list[socket.socket]] = field(default_factory=list)
    slow: list[socket.socket] = field(default_factory=list)
    dns: list[socket.socket] = field(default_factory=list)
    others: list[socket.socket] = field(default_factory=list)

    def all(self) -> list[socket.socket]:
        """Return every socket."""
        return [*(s for group in self.udp for s in group), *self.slow, *self.dns, *self.others]


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


def read_order(handle: int) -> Order:
    """Return the order that a supervisor left at a descriptor of this process."""
    with open(handle, "rb") as file:
        order = pickle.load(file)  # noqa: S301 - written by the parent process
    if not isinstance(order, Order):
        raise TypeError("this is not an order of a supervisor")
    return order


def drop_rights(user: str) -> None:
    """Become another user for good.

    Raises:
        RemnantError: there is no such user, or this process may not become another one.
    """
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise RemnantError("there is no such user", got=user, hint="see --user") from None
    if entry.pw_uid == os.getuid():
        return
    try:
        os.setgroups([group.gr_gid for group in grp.getgrall() if user in group.gr_mem])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    except OSError as error:
        raise RemnantError(
            "this process may not become another user",
            got=error.strerror or error,
            hint="start as root, or as that user, and leave --user out",
        ) from None


class _Process:
    """One child, from its start to its end."""

    def __init__(self, order: Order, command: Sequence[str]) -> None:
        self.role = order.role
        self.numbers = Numbers()
        self.started = time.monotonic()
        self.stopping = False
        self.ready = False
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        order = replace(order, numbers=self.numbers.handle, ready=write)
        handle = os.memfd_create("remnant-order")
        with open(handle, "wb", closefd=False) as file:
            pickle.dump(order, file, protocol=5)
        os.lseek(handle, 0, os.SEEK_SET)
        handed = (handle, write, self.numbers.handle, *order.udp, *order.dns, *order.others)
        try:
            self.process = subprocess.Popen(  # noqa: S603 - this program itself
                [*command, str(handle)], pass_fds=handed, stdin=subprocess.DEVNULL
            )
        finally:
            os.close(handle)
            os.close(write)

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


class Supervisor:
    """Runs the processes of a sinkhole.

    Args:
        build: makes the plan anew, on SIGHUP.
        sockets: bound; this object owns them.
        plan: to begin with.
        home: the home folder.
        command: starts a process of this program that takes an order.
        log: takes a word and facts about what happened.
        metrics: where metrics and health are served; ``None``: nowhere.
    """

    def __init__(
        self,
        build: Callable[[], Plan],
        sockets: Sockets,
        *,
        plan: Plan,
        home: str,
        command: Sequence[str],
        log: Callable[..., None],
        metrics: socket.socket | None = None,
    ) -> None:
        self._build = build
        self._sockets = sockets
        self._home = home
        self._command = command
        self._log = log
        self._metrics = metrics
        self._plan = plan
        self._processes: list[_Process] = []
        self._ended: dict[str, dict[str, int]] = {}
        self._failures: dict[str, int] = {}
        self._again: dict[Role, float] = {}
        self._stop = asyncio.Event()
        self._reload = False
        self._restarts = 0
        self._alarms: set[str] = set()

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._ask_reload)
        server = None
        if self._metrics is not None:
            server = await serve_metrics(self._metrics, self._exposition, self._health)
        for role in self._roles():
            self._start(role)
        code = await self._until_ready(self._processes)
        if code == 0:
            self._log("serving", zones=len(self._plan.zones), cases=list(self._plan.facts))
            _notify("READY=1")
            await self._watch()
        self._log("stopping")
        _notify("STOPPING=1")
        await self._end()
        if server is not None:
            server.close()
        self._log("stopped", **self._totals())
        return code

    # Processes.

    def _roles(self) -> list[Role]:
        roles = [Role("keeper"), *(Role("udp", n) for n in range(len(self._sockets.udp)))]
        if self._sockets.dns or self._sockets.others or self._sockets.slow:
            roles.append(Role("streams"))
        return roles

    def _start(self, role: Role) -> _Process:
        mine = self._sockets
        udp = mine.udp[role.number] if role.kind == "udp" else mine.slow
        plans = {
            "keeper": None,
            # The fast path has all it needs in its tables.
            "udp": replace(self._plan, zones=()),
            "streams": self._plan,
        }
        order = Order(
            role=role,
            home=self._home,
            plan=plans[role.kind],
            cases=tuple(self._plan.facts),
            udp=() if role.kind == "keeper" else tuple(s.fileno() for s in udp),
            dns=tuple(s.fileno() for s in mine.dns) if role.kind == "streams" else (),
            others=tuple(s.fileno() for s in mine.others) if role.kind == "streams" else (),
        )
        process = _Process(order, self._command)
        self._processes.append(process)
        return process

    async def _until_ready(self, processes: Sequence[_Process]) -> int:
        """Wait for processes to serve; return 1 if one of them does not."""
        deadline = time.monotonic() + _START_S
        while not self._stop.is_set():
            ended = [p for p in processes if p.poll() is not None]
            if ended:
                self._log("failed", process=ended[0].role.name, code=ended[0].process.returncode)
                return 1
            if all(process.ready for process in processes):
                return 0
            if time.monotonic() > deadline:
                self._log("failed", reason="a process is not ready in time")
                return 1
            await self._sleep(0.02)
        return 0

    async def _watch(self) -> None:
        while not self._stop.is_set():
            await self._sleep(_TURN_S)
            if self._reload:
                self._reload = False
                await self._take_over()
            self._reap()
            now = time.monotonic()
            for role, when in list(self._again.items()):
                if now >= when:
                    del self._again[role]
                    self._start(role)
            self._tell_alarms()

    def _reap(self) -> None:
        """Let go of processes that ended; start again those that should not have."""
        for process in list(self._processes):
            code = process.poll()
            if code is None:
                continue
            self._forget(process)
            if process.stopping:
                continue
            name = process.role.name
            if time.monotonic() - process.started > _LONGEST_PAUSE_S:
                self._failures[name] = 0
            count = self._failures[name] = self._failures.get(name, 0) + 1
            pause = min(_LONGEST_PAUSE_S, 0.1 * 2**count)
            self._restarts += 1
            self._log("died", process=name, code=code, again_in_s=round(pause, 1))
            self._again[process.role] = time.monotonic() + pause

    def _forget(self, process: _Process) -> None:
        self._processes.remove(process)
        ended = self._ended.setdefault(process.role.name, dict.fromkeys(COUNTERS, 0))
        for name, value in process.close().items():
            ended[name] += value

    def _tell_alarms(self) -> None:
        """Say once when a process cannot write any more, and once when it can again."""
        for process in self._processes:
            name = process.role.name
            if process.numbers["alarm"] and name not in self._alarms:
                self._alarms.add(name)
                self._log("cannot_write", process=name, lost=process.numbers["lost"])
            elif not process.numbers["alarm"] and name in self._alarms:
                self._alarms.discard(name)
                self._log("writes_again", process=name, lost=process.numbers["lost"])

    def _ask_reload(self) -> None:
        self._reload = True

    async def _take_over(self) -> None:
        """Let new processes with a new plan take over; a plan that fails changes nothing."""
        _notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        old_plan, before = self._plan, list(self._processes)
        try:
            self._plan = await asyncio.to_thread(self._build)
        except RemnantError as error:
            self._log("reload_refused", error=error.text())
            _notify("READY=1")
            return
        # The keeper asks for the cases anew by itself; there is only ever one.
        roles = [role for role in self._roles() if role.kind != "keeper"]
        fresh = [self._start(role) for role in roles]
        if await self._until_ready(fresh):
            self._log("reload_refused", error="the new processes do not start")
            self._plan = old_plan
            for process in fresh:
                process.stop()
        else:
            old = [process for process in before if process.role.kind != "keeper"]
            for process in before:
                if process in old:
                    process.stop()
                else:
                    process.process.send_signal(signal.SIGHUP)
            # Until they have ended, some answers are still those of before.
            deadline = time.monotonic() + _STOP_S
            while any(p.poll() is None for p in old) and time.monotonic() < deadline:
                await self._sleep(0.02)
            self._log("reloaded", zones=len(self._plan.zones), cases=list(self._plan.facts))
        _notify("READY=1")

    async def _end(self) -> None:
        """Stop the listeners, then the keeper, which takes what they left."""
        for kinds in (("udp", "streams"), ("keeper",)):
            mine = [p for p in self._processes if p.role.kind in kinds]
            for process in mine:
                process.stop()
            deadline = time.monotonic() + _STOP_S * (1 if "udp" in kinds else 3)
            while any(process.poll() is None for process in mine):
                if time.monotonic() > deadline:
                    for process in mine:
                        process.process.kill()
                    deadline += _STOP_S
                await asyncio.sleep(0.02)
            for process in mine:
                self._forget(process)
        for sock in self._sockets.all():
            sock.close()

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    # What others may know.

    def _by_process(self) -> dict[str, dict[str, int]]:
        """Return what each process counted, those before it of the same name as well."""
        found = {name: dict(counted) for name, counted in self._ended.items()}
        for process in self._processes:
            mine = found.setdefault(process.role.name, dict.fromkeys(COUNTERS, 0))
            for name in COUNTERS:
                mine[name] += process.numbers[name]
        return found

    def _totals(self) -> dict[str, int]:
        totals: dict[str, int] = {}
        for counted in self._by_process().values():
            for name, value in counted.items():
                totals[name] = totals.get(name, 0) + value
        return {name: value for name, value in totals.items() if value}

    def _exposition(self) -> str:
        gauges = {p.role.name: p.numbers for p in self._processes}
        return exposition(self._by_process(), gauges, restarts=self._restarts)

    def _health(self) -> Health:
        now = time.time_ns() // 1000
        problems = [
            f"{role.name} is not running"
            for role in self._roles()
            if role.name not in self._names()
        ]
        for process in self._processes:
            if not process.ready:
                problems.append(f"{process.role.name} is not ready")
            elif now - process.numbers["alive"] > _QUIET_S * 1_000_000:
                problems.append(f"{process.role.name} gives no sign of life")
            if process.numbers["alarm"]:
                problems.append(f"{process.role.name} cannot write")
        return Health(tuple(problems))

    def _names(self) -> set[str]:
        return {process.role.name for process in self._processes}


def _notify(text: str) -> None:
    """Tell a service manager (sd_notify(3)), if there is one."""
    place = os.environ.get("NOTIFY_SOCKET")
    if not place:
        return
    if place.startswith("@"):
        place = "\0" + place[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(text.encode(), place)


def json_log(word: str, **facts: object) -> None:
    """Write one line of JSON to standard error: what happened, when, and facts."""
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "event": word, **facts}
    sys.stderr.write(json.dumps(line, default=str) + "\n")
    sys.stderr.flush()
