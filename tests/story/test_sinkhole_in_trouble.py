"""The sinkhole where something is wrong around it: a full disk, other writers, other users."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ports import free_port
from story.sinking import CASE, PATIENCE, START_S, Sink, names_seen, question, sinking, until
from story.telling import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a file system")


def stored(folder: Path, names: str = '"*.many.example.com"') -> Place:
    place = Place(folder)
    file = folder / "case.toml"
    file.write_text(CASE.format(names=names))
    place.do("case", "import", file)
    return place


def settled(sink: Sink, metric: str) -> int:
    """Return the total once a marker has been counted, and with it all that was asked before."""
    sink.dig("marker.many.example.com", "+tcp")
    until(lambda: "marker.many.example.com" in names_seen(sink.place, case="mine"))
    return sink.total(metric)


class Asker(threading.Thread):
    """Asks one question after the other, and counts the answers."""

    def __init__(self, port: int, pause: float) -> None:
        super().__init__()
        self.port, self.pause = port, pause
        self.asked = self.answered = 0
        self.ended = threading.Event()

    def run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(("127.0.0.1", self.port))
            while not self.ended.is_set():
                self.asked += 1
                sock.send(question(f"q{self.asked}.many.example.com", self.asked & 0xFFFF))
                with contextlib.suppress(OSError):
                    sock.recv(512)
                    self.answered += 1
                time.sleep(self.pause)


@contextlib.contextmanager
def asking(sink: Sink, pause: float = 0.0) -> Iterator[Asker]:
    asker = Asker(sink.port, pause)
    asker.start()
    try:
        yield asker
    finally:
        asker.ended.set()
        asker.join()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@ROOT
def test_a_full_disk_stops_no_answer_and_what_is_lost_is_counted(small_disk: Path) -> None:
    place = stored(small_disk)
    ballast = small_disk / "ballast"
    with sinking(place, "mine", "--rate-limit", "off", "--workers", 1) as sink:
        with asking(sink, 0.0005) as asker:
            until(lambda: sink.total("committed_rows") > 500)
            with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(1 << 12))
            alarm = sink.wait_for("cannot_write")
            assert alarm["process"] in {"udp-0", "keeper", "streams"}
            until(lambda: "udp-0 cannot write" in sink.problems())
            until(lambda: sink.total("lost") > 500)
            before = asker.answered
            until(lambda: asker.answered > before + 500)
            ballast.unlink()
            until(lambda: not sink.problems())
            before = sink.total("committed_rows")
            until(lambda: sink.total("committed_rows") > before + 500)
        assert asker.answered == asker.asked, "no query went without an answer"
        lost = sink.total("lost")
        assert sink.stop() == 0
    assert len(sink.said) < 100, "a full disk does not fill the log"

    rows = sum(names_seen(place, "--vantage", "sinkhole_dns", case="mine").values())
    assert rows + lost == asker.asked
    from remnant.schema import COVERAGE
    from remnant.settings import load
    from remnant.store import Store

    with Store.open(load(place.home)) as store:
        coverage = store.view("mine").table(COVERAGE).execute()
        assert coverage["lost"].sum() == lost
    assert json.loads(place.do("sink", "verify", "--format", "json").out)["ok"]


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    """One for each of the ways to listen: without the fast path, on all addresses, IPv6."""
    place = stored(tmp_path_factory.mktemp("trouble"))
    six = free_port()
    with sinking(
        place, "--all", "--slow", "--rate-limit", "2", "--listen", f"0.0.0.0:{six}",
        "--listen", f"[::1]:{six}",
    ) as it:  # fmt: skip
        it.other = six  # type: ignore[attr-defined]
        yield it


def test_without_the_fast_path_all_is_kept_and_limited_as_with_it(sink: Sink) -> None:
    before = settled(sink, "limited")
    # So many that some are more than the limit, however slowly they are asked here.
    count = 200
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        # From a network of its own: what others sent here before is on their account.
        sock.bind(("127.0.9.1", 0))
        sock.connect(("127.0.0.1", sink.port))
        truncated = []
        begun = time.monotonic()
        for number in range(count):
            sock.send(question(f"slow{number}.many.example.com", number))
            truncated.append(bool(sock.recv(512)[2] & 2))

    seconds = time.monotonic() - begun
    assert not truncated[0]
    # A second's answers at once, one more, and what the network was given meanwhile.
    assert count - sum(truncated) <= 4 + 2 * seconds
    assert True in truncated
    until(lambda: sink.total("limited") - before == sum(truncated))
    until(lambda: f"slow{count - 1}.many.example.com" in names_seen(sink.place, case="mine"))
    seen = names_seen(sink.place, case="mine")
    assert sum(n for name, n in seen.items() if "slow" in name) == count


def test_every_place_to_listen_is_kept_with_its_destination(sink: Sink) -> None:
    other: int = sink.other  # type: ignore[attr-defined]
    for host in ("127.0.0.3", "::1"):
        text = sink.run("dig", f"@{host}", "-p", other, "+tcp", "wild.many.example.com")
        assert "192.0.2.77" in text
    # Answered from the address that was asked, or dig would not take it; a limited one over TCP.
    text = sink.run("dig", "@127.0.0.3", "-p", other, "wild-udp.many.example.com")
    assert "192.0.2.77" in text
    assert "127.0.0.3" in text
    until(lambda: {"wild.many.example.com", "wild-udp.many.example.com"} <= set(
        names_seen(sink.place, case="mine")
    ))  # fmt: skip
    rows = sink.place.ask("clients", "mine")
    assert {"127.0.0.1", "::/64"} <= {row["address"] for row in rows}


def test_a_case_that_is_served_cannot_be_deleted(sink: Sink) -> None:
    refused = sink.place.run("case", "delete", "mine", "--yes")

    assert refused.code == 1
    assert "a sinkhole that runs serves this case" in refused.said
    assert "192.0.2.77" in sink.dig("still.many.example.com", "+tcp")


def test_commands_that_write_have_their_turn_beside_a_sinkhole(sink: Sink) -> None:
    settled(sink, "observed")  # the keeper has compiled what it needs, with the lock
    with asking(sink, 0.01):
        for _ in range(3):
            outcome = sink.place.run("sensor", "retire", "sinkhole", "--undo")
            assert "writing to the store" not in outcome.said


def test_nothing_is_lost_while_another_process_writes(sink: Sink) -> None:
    from remnant.errors import StoreBusy
    from remnant.store.lock import WriterLock

    settled(sink, "observed")  # with what the test asks here, nothing else waits for the keeper
    place = sink.place.home / "store" / "writer.lock"
    held: list[WriterLock] = []

    def mine() -> bool:
        with contextlib.suppress(StoreBusy):  # the keeper may write just now
            held.append(WriterLock(place))
        return bool(held)

    until(mine)
    try:
        until(lambda: '_busy{process="keeper"} 1' in sink.get("/metrics"))
        before = sink.total("rows")
        sink.dig("meanwhile.many.example.com", "+tcp")
        until(lambda: sink.total("rows") > before)
        assert sink.problems() == []
        assert "meanwhile.many.example.com" not in names_seen(sink.place, case="mine")
    finally:
        held[0].release()
    until(lambda: "meanwhile.many.example.com" in names_seen(sink.place, case="mine"))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that can be opened to other users: pytest closes its own when another run begins."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def let_through(folder: Path) -> None:
    """Let other users get to a folder of this test."""
    for path in (folder, *folder.parents):
        if not path.stat().st_mode & stat.S_IXOTH:
            path.chmod(path.stat().st_mode | stat.S_IXOTH)


def as_nobody(python: str) -> bool:
    """Return whether another user may run this interpreter."""
    code = (
        "import os, sys; os.setgid(65534); os.setuid(65534);"
        "os.execv(sys.argv[1], ['x', '-c', 'import numba'])"
    )
    command = [sys.executable, "-c", code, python]
    return not subprocess.run(command, check=False, capture_output=True).returncode


@ROOT
@pytest.mark.skipif("not as_nobody(sys.executable)", reason="nobody may not run this interpreter")
def test_another_user_has_all_files_and_no_rights(open_folder: Path) -> None:
    place = stored(open_folder)
    (open_folder / "key").mkdir()
    for path in (open_folder, *open_folder.rglob("*")):
        os.chown(path, 65534, 65534)
    let_through(open_folder)
    with sinking(place, "mine", "--workers", 1, "--user", "nobody") as sink:
        assert "192.0.2.77" in sink.dig("a.many.example.com")
        until(lambda: sink.total("committed_rows") > 0)
        pid = sink.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert len(children) == 3
        for process in (str(pid), *children):
            status = Path(f"/proc/{process}/status").read_text()
            assert "Uid:\t65534\t65534\t65534" in status
            assert "CapEff:\t0000000000000000" in status
        assert sink.stop() == 0
    assert {path.stat().st_uid for path in open_folder.rglob("*")} == {65534}


@ROOT
@pytest.mark.parametrize("what", ["home", "key"])
def test_another_user_without_a_folder_is_told_which(what: str, open_folder: Path) -> None:
    place = stored(open_folder)
    let_through(open_folder)
    (open_folder / "key").mkdir(exist_ok=True)
    if what == "key":
        for path in (place.home, *place.home.rglob("*")):
            os.chown(path, 65534, 65534)
        (open_folder / "key").chmod(0o700)
    else:
        place.home.chmod(0o700)
    process = place.start(
        "sink", "mine", "--user", "nobody", "--listen", f"127.0.0.1:{free_port()}"
    )
    _, said = process.communicate(timeout=START_S)

    assert process.returncode == 1
    assert str(open_folder / what) in said.decode()
    assert "give it to that user" in said.decode()
