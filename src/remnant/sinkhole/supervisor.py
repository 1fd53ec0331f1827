"""The parent of the sinkhole's processes: it starts them, watches them, and tells how they are.

It binds the sockets, gives up its rights, and starts one process for each core that answers UDP,
one for streams, and one that keeps what they see in the store. The sockets stay open here, so that
a process that dies is started again, and a new configuration takes over, without a query lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remnant.errors import RemnantError
from remnant.sinkhole.metrics import Health, exposition, serve_metrics
from remnant.sinkhole.order import Order, Plan, Process, Role
from remnant.sinkhole.published import Publisher
from remnant.sinkhole.shared import COUNTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remnant.sinkhole.shared import Numbers

__all__ = ["Sockets", "Supervisor", "pause_after"]

_START_S: Final = 180.0
"""Seconds that a process may take to be ready: the kernels may have to be compiled."""
_STOP_S: Final = 20.0
_TURN_S: Final = 0.2
_NOTIFY_S: Final = 0.2
_QUIET_S: Final = {"udp": 15.0, "streams": 15.0, "keeper": 300.0}
"""Seconds without a sign of life after which a process is not healthy. One round of the keeper may
make the roll-ups of a day."""
_LONGEST_PAUSE_S: Final = 30.0
_MAX_DOUBLINGS: Final = 9


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


def pause_after(deaths: int) -> float:
    """Return how long to wait before a process is started again (seconds).

    Args:
        deaths: how often it died in a row.

    >>> pause_after(1), pause_after(4), pause_after(100_000)
    (0.2, 1.6, 30.0)
    """
    return float(min(_LONGEST_PAUSE_S, 0.1 * 2 ** min(deaths, _MAX_DOUBLINGS)))


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
        asked_again: says whether SIGHUP came before this object listens to it.
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
        asked_again: Callable[[], bool] = bool,
    ) -> None:
        self._build = build
        self._sockets = sockets
        self._home = home
        self._command = command
        self._log = log
        self._metrics = metrics
        self._plan = plan
        self._processes: list[Process] = []
        self._ended: dict[str, dict[str, int]] = {}
        self._failures: dict[str, int] = {}
        self._again: dict[Role, float] = {}
        self._stop = asyncio.Event()
        self._reload = False
        self._asked_again = asked_again
        self._restarts = 0
        self._alarms: set[str] = set()
        self._publisher = Publisher(Path(home))

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._ask_reload)
        self._reload = self._asked_again()
        server = None
        if self._metrics is not None:
            server = await serve_metrics(self._metrics, self._exposition, self._health)
        code = 0
        if await self._start_all():
            self._log("serving", zones=len(self._plan.zones), cases=list(self._plan.facts))
            _notify("READY=1")
            await self._watch()
        elif not self._stop.is_set():
            code = 1
        self._log("stopping")
        _notify("STOPPING=1")
        await self._end()
        self._publisher.close()
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

    async def _start_all(self) -> bool:
        """Start every process; return whether they all serve."""
        try:
            for role in self._roles():
                self._start(role)
        except OSError as error:
            self._log("failed", reason=error.strerror or str(error))
            return False
        return await self._until_ready(self._processes)

    def _start(self, role: Role) -> Process:
        """Start a process.

        Raises:
            OSError: the system has no room for it.
        """
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
        process = Process(order, self._command)
        self._processes.append(process)
        return process

    async def _until_ready(self, processes: Sequence[Process]) -> bool:
        """Wait for processes to serve; return whether all do, before this one is to stop."""
        deadline = time.monotonic() + _START_S
        while not self._stop.is_set():
            ended = [p for p in processes if p.poll() is not None]
            if ended:
                self._log("failed", process=ended[0].role.name, code=ended[0].process.returncode)
                return False
            if all(process.ready for process in processes):
                return True
            if time.monotonic() > deadline:
                late = [process.role.name for process in processes if not process.ready]
                self._log("failed", reason="a process is not ready in time", process=late[0])
                return False
            await self._sleep(0.02)
        return False

    async def _watch(self) -> None:
        while not self._stop.is_set():
            await self._sleep(_TURN_S)
            if self._reload:
                self._reload = False
                await self._take_over()
            self._reap()
            self._start_again()
            self._tell_alarms()
            self._publisher.turn(self._totals(), self._plan.sensor, self._plan.facts)

    def _start_again(self) -> None:
        """Start the processes whose pause is over."""
        now = time.monotonic()
        for role, when in list(self._again.items()):
            if now >= when and not self._stop.is_set():
                del self._again[role]
                try:
                    self._start(role)
                except OSError as error:
                    self._log("cannot_start", process=role.name, error=error.strerror)
                    self._again[role] = now + _LONGEST_PAUSE_S

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
            pause = pause_after(count)
            self._restarts += 1
            self._log("died", process=name, code=code, again_in_s=round(pause, 1))
            self._again[process.role] = time.monotonic() + pause

    def _forget(self, process: Process) -> None:
        self._processes.remove(process)
        ended = self._ended.setdefault(process.role.name, dict.fromkeys(COUNTERS, 0))
        for name, value in process.close().items():
            ended[name] += value

    def _tell_alarms(self) -> None:
        """Say once when a process cannot write any more, and once when it can again."""
        for process in self._processes:
            name = process.role.name
            if process.stopping:
                continue
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
        refused = await self._replace()
        if self._stop.is_set():
            return
        if refused is None:
            self._log("reloaded", zones=len(self._plan.zones), cases=list(self._plan.facts))
        else:
            self._log("reload_refused", error=refused)
        _notify("READY=1")

    async def _replace(self) -> str | None:
        """Make a plan and start its processes in place of the old ones; return why not."""
        old_plan, before = self._plan, list(self._processes)
        try:
            plan = await asyncio.to_thread(self._build)
        except RemnantError as error:
            return error.text()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, this goes on
            return f"{type(error).__name__}: {error}"
        self._plan = plan
        # The keeper asks for the cases anew by itself, before there are segments of the new ones;
        # there is only ever one.
        for process in before:
            if process.role.kind == "keeper":
                with contextlib.suppress(ProcessLookupError):
                    process.process.send_signal(signal.SIGHUP)
        roles = [role for role in self._roles() if role.kind != "keeper"]
        fresh: list[Process] = []
        try:
            for role in roles:
                fresh.append(self._start(role))
            serving = await self._until_ready(fresh)
        except OSError as error:
            self._log("cannot_start", error=error.strerror)
            serving = False
        if not serving:
            self._plan = old_plan
            for process in fresh:
                process.stop()
            return "the new processes do not start"
        # What is in the place of a process that had died starts it again.
        for role in roles:
            self._again.pop(role, None)
        old = [process for process in before if process.role.kind != "keeper"]
        for process in old:
            process.stop()
        # Until they have ended, some answers are still those of before.
        deadline = time.monotonic() + _STOP_S
        while any(process.poll() is None for process in old) and not self._stop.is_set():
            if time.monotonic() > deadline:
                for process in old:
                    process.process.kill()
                deadline += _STOP_S
            await self._sleep(0.02)
        return None

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
        gauges: dict[str, list[Numbers]] = {}
        for process in self._processes:
            gauges.setdefault(process.role.name, []).append(process.numbers)
        return exposition(self._by_process(), gauges, restarts=self._restarts)

    def _health(self) -> Health:
        """Say what is wrong. While a new process takes over, the one before it still serves."""
        now = time.time_ns() // 1000
        problems = []
        for role in self._roles():
            mine = [process for process in self._processes if process.role == role]
            quiet_us = _QUIET_S[role.kind] * 1_000_000
            serving = [process for process in mine if process.ready]
            if not mine:
                problems.append(f"{role.name} is not running")
            elif not serving:
                problems.append(f"{role.name} is not ready")
            elif all(now - process.numbers["alive"] > quiet_us for process in serving):
                problems.append(f"{role.name} gives no sign of life")
            if any(process.numbers["alarm"] for process in mine if not process.stopping):
                problems.append(f"{role.name} cannot write")
        return Health(tuple(problems))


def _notify(text: str) -> None:
    """Tell a service manager (sd_notify(3)), if there is one."""
    place = os.environ.get("NOTIFY_SOCKET")
    if not place:
        return
    if place.startswith("@"):
        place = "\0" + place[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        # One that is stuck does not hold up the sinkhole.
        sock.settimeout(_NOTIFY_S)
        sock.sendto(text.encode(), place)
