"""The supervisor with children that do nothing: starts, ends, reloads, deaths, and what it says."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from remnant.sinkhole.order import Order, Process, Role
from remnant.sinkhole.supervisor import pause_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 120.0
"""Seconds, less than a process may take to start: what waits for that fails here."""
ROLES = {"keeper", "udp-0", "streams"}


class Supervised:
    """A supervisor in a process of its own, and a service manager that listens to it."""

    def __init__(self, folder: Path, behave: dict[str, str], *command: str) -> None:
        self.home = folder
        self.behave(behave)
        (folder / "plan.txt").write_text("first")
        listener = socket.create_server(("127.0.0.1", 0))
        self.control = listener.getsockname()[1]
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(folder / "notify"))
        self.manager.setblocking(False)
        self.lines: list[bytes] = []
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("supervised.py")), str(folder),
             str(listener.fileno()), *command],
            pass_fds=[listener.fileno()],
            stderr=subprocess.PIPE,
            env=os.environ | {"NOTIFY_SOCKET": str(folder / "notify")},
            start_new_session=True,
            # A job in the background has SIGINT ignored, and its children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )  # fmt: skip
        listener.close()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            self.lines.extend(lines)

    @property
    def said(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in list(self.lines)]

    def events(self) -> list[str]:
        return [fact["event"] for fact in self.said]

    def notified(self) -> list[str]:
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.manager.recv(4096).decode())
        return found

    def hear(self, count: int) -> list[str]:
        """Return so many words to the service manager; they come after what is logged."""
        found: list[str] = []

        def heard() -> bool:
            found.extend(self.notified())
            return len(found) >= count

        until(heard)
        return found

    def behave(self, behave: dict[str, str]) -> None:
        (self.home / "behave.json").write_text(json.dumps(behave))

    def plan(self, text: str) -> None:
        """Write a plan and ask for it."""
        (self.home / "plan.txt").write_text(text)
        self.process.send_signal(signal.SIGHUP)

    def started(self) -> list[tuple[str, int, str]]:
        """Return what has started: name, process, plan."""
        path = self.home / "started.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        return [
            (name, int(pid), plan) for name, pid, plan in (f"{x} ".split(" ")[:3] for x in lines)
        ]

    def children(self) -> list[int]:
        pid = self.process.pid
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(word) for word in listed.split()]

    def get(self, path: str) -> str:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.control}{path}", timeout=PATIENCE
        ) as got:
            text: str = got.read().decode()
            return text

    def problems(self) -> list[str]:
        try:
            found: list[str] = json.loads(self.get("/health"))["problems"]
        except urllib.error.HTTPError as error:
            found = json.loads(error.read())["problems"]
        return found

    def wait_for(self, event: str) -> dict[str, Any]:
        until(lambda: event in self.events() or self.process.poll() is not None)
        return next(fact for fact in self.said if fact["event"] == event)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.ended()
        self.manager.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@contextlib.contextmanager
def supervised(folder: Path, *command: str, **behave: str) -> Iterator[Supervised]:
    it = Supervised(folder, {name.replace("_", "-"): how for name, how in behave.items()}, *command)
    try:
        yield it
    finally:
        it.close()


def test_a_whole_life_as_a_service_manager_sees_it(tmp_path: Path) -> None:
    with supervised(tmp_path) as it:
        it.wait_for("serving")
        assert it.problems() == []
        assert it.hear(1) == ["READY=1"]
        first = it.started()
        assert {name for name, _, _ in first} == ROLES

        it.plan("second")
        it.wait_for("reloaded")
        reloading, ready = it.hear(2)
        assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert 0 < int(reloading.rpartition("=")[2]) <= time.monotonic_ns() // 1000
        assert ready == "READY=1"
        fresh = it.started()[len(first) :]
        assert {(name, plan) for name, _, plan in fresh} == {
            ("udp-0", "second"),
            ("streams", "second"),
        }
        keeper = next(pid for name, pid, _ in first if name == "keeper")
        until(lambda: set(it.children()) == {keeper, *(pid for _, pid, _ in fresh)})
        until((tmp_path / "keeper.signals").exists)
        assert (tmp_path / "keeper.signals").read_text() == str(int(signal.SIGHUP))

        assert it.end() == 0
        assert it.notified() == ["STOPPING=1"]
        assert it.events() == ["serving", "reloaded", "stopping", "stopped"]
        assert not any(is_running(pid) for _, pid, _ in it.started())


@pytest.mark.parametrize("name", ["keeper", "udp_0", "streams"])
def test_a_process_that_cannot_start_ends_it_with_a_clear_word(name: str, tmp_path: Path) -> None:
    with supervised(tmp_path, **{name: "cannot start"}) as it:
        assert it.ended() == 1
        assert it.said[0] | {"process": name.replace("_", "-"), "code": 3} == it.said[0]
        assert "READY=1" not in it.notified()


def test_a_program_that_is_not_there_ends_it_with_a_clear_word(tmp_path: Path) -> None:
    with supervised(tmp_path, "/nonexistent/python") as it:
        assert it.ended() == 1
        assert it.said[0]["reason"] == "No such file or directory"


@pytest.mark.parametrize("times", [1, 2])
def test_sigterm_during_the_start(times: int, tmp_path: Path) -> None:
    with supervised(tmp_path, streams="never ready") as it:
        until(lambda: len(it.started()) == len(ROLES))
        for _ in range(times):
            it.process.send_signal(signal.SIGTERM)
            time.sleep(0.05)
        assert it.ended() == 0
        assert it.events() == ["stopping", "stopped"]
        assert it.notified() == ["STOPPING=1"]
        assert not any(is_running(pid) for _, pid, _ in it.started())


def test_ctrl_c_in_a_terminal_reaches_all_and_ends_it_in_order(tmp_path: Path) -> None:
    with supervised(tmp_path) as it:
        it.wait_for("serving")
        os.killpg(it.process.pid, signal.SIGINT)
        assert it.ended() == 0
        assert it.events()[-1] == "stopped"


def test_sigterm_during_a_reload(tmp_path: Path) -> None:
    with supervised(tmp_path) as it:
        it.wait_for("serving")
        it.behave({"streams": "never ready"})
        it.plan("second")
        until(lambda: len(it.started()) == len(ROLES) + 2)
        # Sooner than the process that is never ready would be given up.
        assert it.end() == 0
        assert "reloaded" not in it.events()
        assert it.notified()[-1] == "STOPPING=1"
        assert not any(is_running(pid) for _, pid, _ in it.started())


@pytest.mark.parametrize(
    ("plan", "behave", "said"),
    [
        ("!", {}, "this plan is refused"),
        ("?", {}, "PermissionError"),
        ("second", {"streams": "cannot start"}, "do not start"),
    ],
)
def test_a_reload_that_fails_changes_nothing(
    plan: str, behave: dict[str, str], said: str, tmp_path: Path
) -> None:
    with supervised(tmp_path) as it:
        it.wait_for("serving")
        before = set(it.children())
        it.behave(behave)
        it.plan(plan)
        assert said in it.wait_for("reload_refused")["error"]
        until(lambda: set(it.children()) == before)
        assert it.problems() == []
        assert it.notified()[-1] == "READY=1"

        it.behave({})
        it.plan("third")
        it.wait_for("reloaded")
        assert {plan for _, _, plan in it.started()[-2:]} == {"third"}


def test_health_is_well_all_through_a_reload(tmp_path: Path) -> None:
    with supervised(tmp_path) as it:
        it.wait_for("serving")
        it.behave({"streams": "waits"})
        it.plan("second")
        until(lambda: len(it.started()) == len(ROLES) + 2)
        seen = [it.problems() for _ in range(3)]
        assert "reloaded" not in it.events()
        (tmp_path / "go").touch()
        while "reloaded" not in it.events():
            seen.append(it.problems())
            assert it.process.poll() is None
        assert not any(seen)


def test_a_process_that_dies_is_started_again_after_growing_pauses(tmp_path: Path) -> None:
    def restarts() -> int:
        found = re.search(
            r"^remnant_sinkhole_restarts_total (\d+)$", it.get("/metrics"), re.MULTILINE
        )
        assert found is not None
        return int(found[1])

    with supervised(tmp_path) as it:
        it.wait_for("serving")
        it.behave({"udp-0": "dies"})
        os.kill(next(pid for name, pid, _ in it.started() if name == "udp-0"), signal.SIGKILL)
        until(lambda: it.events().count("died") >= 3)
        died = [fact for fact in it.said if fact["event"] == "died"]
        assert [fact["code"] for fact in died[:3]] == [-9, 4, 4]
        assert [fact["again_in_s"] for fact in died[:3]] == [0.2, 0.4, 0.8]
        # Between two starts, which a slow test may have missed once.
        until(lambda: "udp-0 is not running" in it.problems())
        until(lambda: restarts() == it.events().count("died"))

        # A new plan starts one process in its place, and no second one.
        it.behave({})
        it.plan("second")
        it.wait_for("reloaded")
        # Longer than the pause after which the dead one would have been started.
        last = [fact for fact in it.said if fact["event"] == "died"][-1]
        time.sleep(last["again_in_s"] + 0.4)
        assert len(it.children()) == len(ROLES)
        assert it.problems() == []


def test_pauses_have_an_end() -> None:
    assert pause_after(1) < pause_after(2) < pause_after(8)
    assert pause_after(5_000) == 30


def test_counters_only_grow_over_deaths_and_reloads(tmp_path: Path) -> None:
    def messages() -> int:
        lines = it.get("/metrics").splitlines()
        start = 'remnant_sinkhole_messages_total{process="udp-0"} '
        return int(next(line for line in lines if line.startswith(start)).removeprefix(start))

    with supervised(tmp_path) as it:
        it.wait_for("serving")
        seen = [messages()]
        it.plan("second")
        while "reloaded" not in it.events():
            seen.append(messages())
        os.kill(it.started()[-2][1], signal.SIGKILL)
        os.kill(it.started()[-1][1], signal.SIGKILL)
        while it.events().count("died") < 2 or len(it.children()) < len(ROLES):
            seen.append(messages())
        seen.append(messages())

    assert seen == sorted(seen)
    assert seen[-1] > seen[0]


def test_it_tells_its_home_that_it_runs_until_it_ends(tmp_path: Path) -> None:
    from remnant.sinkhole.published import running

    with supervised(tmp_path) as it:
        it.wait_for("serving")
        while not (found := running(it.home, "mine")):
            time.sleep(0.05)
        first = found[0]
        while running(it.home, "mine")[0].written == first.written:
            time.sleep(0.05)
        (now,) = running(it.home, "mine")
        assert it.end() == 0
    assert (now.cases, now.since, now.per_s is not None) == (("mine",), first.since, True)
    assert running(tmp_path, "mine") == []
    assert not list(tmp_path.rglob("running-*"))


def test_an_alarm_is_said_once(tmp_path: Path) -> None:
    with supervised(tmp_path, udp_0="cannot write") as it:
        it.wait_for("cannot_write")
        time.sleep(0.5)
        assert it.events().count("cannot_write") == 1
        assert it.problems() == ["udp-0 cannot write"]


def test_reloads_leave_no_descriptor_and_no_process_behind(tmp_path: Path) -> None:
    """Also where the service manager takes no more messages, as this test does not."""

    def open_files() -> int:
        return len(list(Path(f"/proc/{it.process.pid}/fd").iterdir()))

    with supervised(tmp_path) as it:
        it.wait_for("serving")
        # The least of some: it may just tell something to somebody.
        counts = []
        for _ in range(50):
            counts.append(open_files())
            time.sleep(0.002)
        before = min(counts)
        for number in range(1, 5):
            it.plan(str(number))
            until(lambda number=number: it.events().count("reloaded") >= number)  # type: ignore[misc]
        until(lambda: open_files() == before and len(it.children()) == len(ROLES))


def test_children_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path) as it:
        it.wait_for("serving")
        children = it.children()
        it.end(signal.SIGKILL)
        until(lambda: not any(is_running(child) for child in children))


def test_a_real_child_whose_supervisor_is_gone_already_does_nothing(tmp_path: Path) -> None:
    """Killed between the start of a child and its first line, as nearly as a test can do it."""
    code = f"""
import os
from remnant.sinkhole.order import Order, Process, Role
process = Process(
    Order(Role("keeper"), {str(tmp_path)!r}, None, ()),
    [{sys.executable!r}, "-m", "remnant.cli_sink_child"],
)
print(process.process.pid, flush=True)
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    until(lambda: not is_running(int(done.stdout)))
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    order = Order(Role("keeper"), str(tmp_path), None, ())
    with contextlib.suppress(OSError):
        Process(order, ["/nonexistent"])
    gc.collect()  # what others left open
    before, blocked = open_files(), signal.pthread_sigmask(signal.SIG_BLOCK, [])
    for _ in range(5):
        with pytest.raises(FileNotFoundError):
            Process(order, ["/nonexistent"])

    assert open_files() == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == blocked
