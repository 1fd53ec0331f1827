"""The process for streams, in a thread: two servers on one port, and what is kept of both."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from remnant.cases.model import SinkholeConfig
from remnant.schema import EVENTS, PROOFS
from remnant.sinkhole.directory import Directory
from remnant.sinkhole.events import Event
from remnant.sinkhole.http_reply import make
from remnant.sinkhole.limiter import admits, new_limiter
from remnant.sinkhole.listeners import open_listeners, udp_socket
from remnant.sinkhole.policy import Policy
from remnant.sinkhole.shared import Numbers
from remnant.sinkhole.stream_worker import StreamWorker, batch_of
from remnant.sinkhole.tables import compile_zones
from served import query, zones
from sinkhole.serving import PATIENCE, until
from sinkhole.test_udp_worker import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator


NOON = 1_785_585_600_000_000


class Running:
    """A worker in a thread."""

    def __init__(self, host: str = "127.0.0.1", limit: int | None = None) -> None:
        served = zones()
        _, owners = compile_zones(served)
        directory = Directory(served, owners)
        cases = {case for mine in directory.memberships for case in mine}
        self.names = [zone.name for zone in served]
        self.kept, self.numbers = Kept(), Numbers()
        self.slow = udp_socket(host, 0)
        self.port = self.slow.getsockname()[1]
        limiter = new_limiter(limit)

        def is_limited(address: bytes, _: int) -> bool:
            # All in one second, however long it takes.
            return not admits(limiter, np.frombuffer(address, np.uint8).copy(), NOON)

        self.ready = threading.Event()

        async def serve() -> None:
            self.worker = StreamWorker(
                dns=open_listeners([host], [self.port], connections=100),
                others=[],
                slow=[self.slow],
                policy=Policy(served, nsid=b"", secret=bytes(16)),
                directory=directory,
                replies={case: make(SinkholeConfig(), case) for case in cases},
                certificates=None,
                recorder=self.kept,  # type: ignore[arg-type]
                numbers=self.numbers,
                is_limited=is_limited,
            )
            self.loop = asyncio.get_running_loop()
            await self.worker.run(self.ready.set)

        self.thread = threading.Thread(target=asyncio.run, args=(serve(),))
        self.thread.start()
        assert self.ready.wait(PATIENCE)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def stop(self) -> None:
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.worker.stop)
            self.thread.join(PATIENCE)
            assert not self.thread.is_alive()

    def proofs(self) -> list[str]:
        return [PROOFS[int(number or 0)] for number in self.kept.table()["proof"].to_pylist()]


@contextlib.contextmanager
def running(host: str = "127.0.0.1", limit: int | None = None) -> Iterator[Running]:
    it = Running(host, limit)
    try:
        yield it
    finally:
        it.stop()


def framed(message: bytes) -> bytes:
    return struct.pack("!H", len(message)) + message


def read(sock: socket.socket) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := sock.recv(4096):
            data += part
    return data


def watched() -> bytes:
    return query(zones()[0].name)


@pytest.mark.parametrize("first", [1, 2, 3, 4, 5])
def test_http_on_the_port_of_dns_whatever_comes_in_the_first_packet(first: int) -> None:
    request = b"GET /gate.php HTTP/1.1\r\nHost: bot.example\r\n\r\n"
    with running() as it:
        with it.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(request[:first])
            time.sleep(0.1)
            sock.sendall(request[first:])
            assert read(sock).startswith(b"HTTP/1.1 204 ")
        it.stop()

        assert it.proofs() == ["http"]
        row = it.kept.table().to_pylist()[0]
        assert row["client_port"] > 0
        assert row["service_port"] == it.port
        assert row["destination"] == bytes(10) + b"\xff\xff\x7f\0\0\x01"
        # One connection is one message: neither server counts it for itself.
        assert (it.kept.counts.messages, it.kept.counts.lost) == (1, 0)
        assert it.numbers["open_connections"] == 0


def test_dns_that_comes_byte_by_byte() -> None:
    message = framed(watched())
    with running() as it:
        with it.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in message:
                sock.sendall(bytes([byte]))
                time.sleep(0.002)
            assert sock.recv(4096)[2:4] == message[2:4]
        it.stop()

        assert it.proofs() == ["dns_tcp"]
        assert it.kept.counts.messages == 1


def test_connections_that_change_hands_leave_no_descriptor_behind() -> None:
    def open_files() -> int:
        return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))

    with running() as it:
        before = open_files()
        for _ in range(60):
            with it.connect() as sock:
                sock.sendall(b"POST / HTTP/1.0\r\n\r\n")
                read(sock)
        until(lambda: open_files() <= before)
        it.stop()

        assert it.proofs() == ["http"] * 60


def test_a_query_that_is_on_its_way_is_answered_while_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("remnant.sinkhole.stream_worker._GRACE_S", PATIENCE)
    with running() as it, it.connect() as sock:
        message = framed(watched())
        sock.sendall(message[:10])
        until(lambda: it.numbers["open_connections"] == 1)
        it.loop.call_soon_threadsafe(it.worker.stop)
        time.sleep(0.1)
        sock.sendall(message[10:])

        assert sock.recv(4096)[2:4] == message[2:4]
        sock.close()
        it.thread.join(PATIENCE)
        assert it.proofs() == ["dns_tcp"]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_udp_without_the_fast_path_is_counted_as_with_it(host: str) -> None:
    with running(host, limit=2) as it:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(("127.0.0.1", it.port))
            answers = []
            for message in (b"\0" * 12, query("somebody.else.test"), *[watched()] * 4):
                sock.send(message)
                answers.append(sock.recv(4096))
            sock.send(b"\0")
        until(lambda: it.numbers["messages"] == 7)
        it.stop()
        rows = it.kept.table().to_pylist()

        assert {row["proof"] for row in rows} == {PROOFS.index("dns_udp")}
        assert {row["destination"] for row in rows} == {bytes(10) + b"\xff\xff\x7f\0\0\x01"}
        assert len(rows) == it.numbers["observed"] == 4
        assert it.numbers["answered"] == 6
        assert it.numbers["silent"] == 1
        assert it.numbers["malformed"] >= 1
        assert (
            it.numbers["bytes_in"]
            == sum(map(len, [watched()] * 4)) + len(query("somebody.else.test")) + 13
        )
        assert it.numbers["bytes_out"] == sum(map(len, answers))
        limited = sum(row["limited"] for row in rows)
        assert it.numbers["limited"] == limited == 3
        # What is limited says: ask over TCP.
        assert sum(bool(answer[2] & 2) for answer in answers[2:]) == limited


def test_events_become_rows_of_the_schema() -> None:
    source = bytes(15) + b"\1"
    first = Event(5, source, 9, b"", 53, "dns_udp", b"\1a\0", 1, 0, 60, True, False, bytes(17))
    second = Event(6, source, 9, source, 443, "tls", detail={"ja4": "\ud800\n"})
    batch = batch_of([first, second])

    assert batch.schema == EVENTS.arrow
    rows = batch.to_pylist()
    assert [row["transport"] for row in rows] == [0, 1]
    assert [row["destination"] for row in rows] == [None, source]
    assert rows[1]["detail"] == '{"ja4":"\\ud800\\n"}'
    assert rows[1]["ttl"] is None
    assert batch_of([]).num_rows == 0


def test_what_waits_for_the_disk_is_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remnant.sinkhole.stream_worker._MAX_WAITING", 5)
    with running() as it:
        it.kept.gate.clear()
        assert it.kept.waits.wait(PATIENCE)  # a round waits in the recorder now
        with it.connect() as sock:
            sock.sendall(framed(watched()) * 20)
            data = b""
            while data.count(watched()[12:20]) < 20:
                data += sock.recv(65536)
        it.kept.gate.set()
        it.stop()
        facts: Any = it.kept.counts

        assert len(it.kept.table()) == 5
        assert it.numbers["unkept"] == 15
        assert facts.lost == 15
