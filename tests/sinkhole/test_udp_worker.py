"""The worker of the fast path with real sockets: what is answered, and what is kept of it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import dns.message
import dns.rcode
import numpy as np
import pyarrow as pa
import pytest

from remnant.schema import EVENTS
from remnant.sinkhole import fastpath
from remnant.sinkhole.answer_kernel import Identity
from remnant.sinkhole.events import Counts
from remnant.sinkhole.limiter import new_limiter
from remnant.sinkhole.shared import Numbers
from remnant.sinkhole.tables import compile_zones
from remnant.sinkhole.udp_worker import UdpWorker, events_of
from served import opt, option, query, zones

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 60.0
pytestmark = pytest.mark.skipif(not fastpath.SUPPORTED, reason="needs recvmmsg of 64-bit Linux")


class Kept:
    """A recorder that keeps everything in memory, and may be slow."""

    def __init__(self) -> None:
        self.batches: list[pa.RecordBatch] = []
        self.owners: list[int] = []
        self.counts = Counts()
        self.gate = threading.Event()
        self.gate.set()
        self.waits = threading.Event()
        self.rows = self.lost = self.bytes = self.synced = 0
        self.alarm = None

    @property
    def state(self) -> Any:
        return self

    def add(self, events: pa.RecordBatch, owners: Any, counts: Counts) -> None:
        if not self.gate.is_set():
            self.waits.set()
        self.gate.wait()
        # A copy: the columns are used again.
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, events.schema) as writer:
            writer.write_batch(events)
        with pa.ipc.open_stream(sink.getvalue()) as reader:
            self.batches += list(reader)
        self.owners += owners.tolist()
        self.rows += len(events)
        for name in ("messages", "malformed", "skipped", "lost"):
            setattr(self.counts, name, getattr(self.counts, name) + getattr(counts, name))

    def table(self) -> pa.Table:
        return pa.Table.from_batches(self.batches, EVENTS.arrow)


class Running:
    """A worker in a thread, and a socket to ask it."""

    def __init__(self, addresses: list[str], limit: int | None, nsid: bytes = b"") -> None:
        served, self.memberships = compile_zones(zones())
        self.kept = Kept()
        self.numbers = Numbers()
        first = fastpath.udp_socket(addresses[0], 0)
        self.port = first.getsockname()[1]
        self.sockets = [first, *(fastpath.udp_socket(a, self.port) for a in addresses[1:])]
        self.worker = UdpWorker(
            self.sockets,
            served=served,
            identity=Identity(np.arange(2, dtype=np.uint64), np.frombuffer(nsid, np.uint8).copy()),
            limiter=new_limiter(limit),
            recorder=self.kept,  # type: ignore[arg-type]
            numbers=self.numbers,
        )
        self.worker.warm()
        self.thread = threading.Thread(target=self.worker.run)
        self.thread.start()

    def stop(self) -> None:
        self.kept.gate.set()
        self.worker.stop()
        self.thread.join()

    def ask(self, messages: list[bytes], to: str = "127.0.0.1", source: str = "") -> list[bytes]:
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            if source:
                sock.bind((source, 0))
            sock.connect((to, self.port))
            answers = []
            for message in messages:
                sock.send(message)
                answers.append(sock.recv(4096))
            return answers


@contextlib.contextmanager
def running(
    addresses: tuple[str, ...] = ("127.0.0.1",), limit: int | None = None, nsid: bytes = b""
) -> Iterator[Running]:
    it = Running(list(addresses), limit, nsid)
    try:
        yield it
    finally:
        it.stop()
        it.numbers.values = np.zeros(1, np.int64)
        for sock in it.sockets:
            sock.close()


def test_what_is_asked_is_answered_and_kept() -> None:
    subnet = option(8, b"\x00\x01\x18\x00\xc0\x00\x02")
    asked = [
        query("NS1.timedate1.com"),
        query("ns1.timedate1.com", 15, extra=opt(subnet)),
        query("sibling.timedate1.com", 28),
        query("example.com"),
    ]
    rubbish = b"\x00" * 5 + b"\x01" * 20
    before = time.time_ns() // 1000
    with running() as it, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answers = it.ask(asked)
        # What cannot be told from rubbish has no answer to wait for, but is counted.
        sock.sendto(rubbish, ("127.0.0.1", it.port))
    kept = it.kept.table()

    assert [dns.message.from_wire(answer).rcode() for answer in answers] == [0, 0, 3, 5]
    assert kept["name"].to_pylist() == [
        b"\x03NS1\x09timedate1\x03com\x00",
        b"\x03ns1\x09timedate1\x03com\x00",
        b"\x07sibling\x09timedate1\x03com\x00",
    ]
    assert kept["qtype"].to_pylist() == [1, 15, 28]
    assert kept["rcode"].to_pylist() == [0, 0, 3]
    assert [ttl in {60, 300} if ttl else ttl for ttl in kept["ttl"].to_pylist()] == [
        True,
        None,
        None,
    ]
    assert kept["unlisted"].to_pylist() == [False, False, True]
    assert kept["limited"].to_pylist() == [False] * 3
    assert kept["address"].to_pylist() == [bytes(10) + b"\xff\xff\x7f\x00\x00\x01"] * 3
    assert kept["service_port"].to_pylist() == [it.port] * 3
    assert kept["ecs"].to_pylist()[1] == bytes(10) + b"\xff\xff\xc0\x00\x02\x00" + bytes([120])
    assert kept["ecs"].null_count == 2
    times = kept["time"].cast(pa.int64()).to_pylist()
    assert all(at is not None and before <= at <= time.time_ns() // 1000 for at in times)
    assert [it.memberships[owner] for owner in it.kept.owners] == [("many", "other")] * 3
    counts = it.kept.counts
    assert (counts.messages, counts.malformed + counts.skipped, counts.lost) == (3, 2, 0)


def test_ipv6_and_several_sockets() -> None:
    with running(("127.0.0.1", "::1")) as it:
        assert len(it.ask([query("timedate1.com")] * 3, to="::1")) == 3
        assert len(it.ask([query("timedate1.com")] * 2)) == 2
    addresses = set(it.kept.table()["address"].to_pylist())

    assert addresses == {bytes(15) + b"\x01", bytes(10) + b"\xff\xff\x7f\x00\x00\x01"}


def test_a_socket_for_any_address_answers_from_the_one_that_was_asked() -> None:
    with running(("0.0.0.0",)) as it:
        # A connected socket takes answers from nowhere else.
        assert len(it.ask([query("timedate1.com")] * 2, to="127.0.0.7")) == 2
    with running(("::",)) as it:
        assert len(it.ask([query("timedate1.com")] * 2, to="::1")) == 2


def test_the_limit_asks_for_tcp_and_never_blinds_the_measurement() -> None:
    # So many that some are more than the limit, however slowly they are asked here.
    count = 400
    with running(limit=5) as it:
        begun = time.monotonic()
        answers = it.ask([query("timedate1.com", 6, ident=i) for i in range(count)])
        seconds = time.monotonic() - begun
        other = it.ask([query("timedate1.com")], source="127.0.1.9")
    truncated = [bool(answer[2] & 2) for answer in answers]
    kept = it.kept.table()

    # A second's answers may come at once, and one more.
    assert 6 <= truncated.count(False) <= 7 + 5 * seconds
    assert True in truncated
    assert truncated[:3] == [False] * 3
    assert all(len(answers[i]) == len(query("timedate1.com")) for i in range(count) if truncated[i])
    assert not other[0][2] & 2
    assert kept.num_rows == count + 1
    assert kept["limited"].to_pylist()[:count] == truncated


def test_many_at_once_are_all_kept() -> None:
    count = 30_000
    with running() as it, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        sock.connect(("127.0.0.1", it.port))
        for i in range(count):
            sock.send(query("ns1.timedate1.com", ident=i & 0xFFFF))
    numbers = it.kept.counts

    # What the system dropped is counted exactly.
    assert it.kept.rows + numbers.lost == count
    assert numbers.messages == it.kept.rows > 0


def test_a_disk_that_pauses_costs_nothing() -> None:
    with running() as it:
        it.kept.gate.clear()
        assert it.ask([query("timedate1.com")])
        assert it.kept.waits.wait(PATIENCE)
        for _ in range(4):
            assert it.ask([query("timedate1.com")])
            time.sleep(0.3)  # a round is over, and nobody takes its columns
        it.kept.gate.set()
        assert it.ask([query("timedate1.com")])

    assert (it.kept.rows, it.kept.counts.lost) == (6, 0)


def test_a_slow_disk_costs_rows_and_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    small = fastpath.new_columns
    monkeypatch.setattr(fastpath, "new_columns", lambda: small(2 * fastpath.BATCH))
    count = 2000
    with running() as it:
        it.kept.gate.clear()
        assert len(it.ask([query("timedate1.com")] * count)) == count
        it.kept.gate.set()
        assert it.ask([query("timedate1.com")])

    assert it.kept.rows + it.kept.counts.lost == count + 1
    assert it.kept.counts.lost > count // 2
    assert it.kept.rows > 2 * fastpath.BATCH


def test_columns_without_rows_are_a_batch_without_rows() -> None:
    assert events_of(fastpath.new_columns(64)).num_rows == 0


def test_junk_of_every_length_leaves_it_answering() -> None:
    rng = np.random.default_rng(3)
    with running() as it, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", it.port))
        for size in [*range(80), 511, 512, 1500, 4095, 4096, 4097, 9000, 65_507]:
            sock.send(rng.bytes(size))
        assert it.ask([query("timedate1.com")])


def test_the_server_names_itself_only_when_asked() -> None:
    with running(nsid=b"node-7") as it:
        told, silent = it.ask(
            [query("timedate1.com", extra=opt(option(3, b""))), query("timedate1.com", extra=opt())]
        )

    assert b"node-7" in told
    assert b"node-7" not in silent
