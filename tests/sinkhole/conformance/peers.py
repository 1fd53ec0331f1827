"""The servers under test, and how they are asked.

A server is an address and a port that answer UDP and TCP for ``made_zones.three_zones``. Whoever
adds a way to serve them adds it to ``STARTED``.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.rdatatype
import numpy as np
import pytest

from ports import free_port
from real.dns_servers import needed
from remnant.sinkhole import fastpath
from remnant.sinkhole.answer_kernel import Identity
from remnant.sinkhole.dns_tcp import DnsTcp, TcpLimits
from remnant.sinkhole.dns_udp import DnsUdp
from remnant.sinkhole.events import Counts, Event
from remnant.sinkhole.limiter import new_limiter
from remnant.sinkhole.policy import Policy
from remnant.sinkhole.recorder import RecorderState
from remnant.sinkhole.shared import Numbers
from remnant.sinkhole.tables import compile_zones
from remnant.sinkhole.udp_worker import UdpWorker
from sinkhole.made_zones import NSID, SECRET, three_zones

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from remnant.sinkhole.zones import Zone

LOOPBACK = "127.0.0.1"
PATIENCE = 60.0
"""Seconds after which something hangs, on a machine that does many other things."""


@dataclass(frozen=True)
class Server:
    """A server under test."""

    name: str
    address: str
    port: int

    def udp(self, query: bytes, wait: float = PATIENCE) -> bytes | None:
        """The answer over UDP; ``None`` for silence."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.connect((self.address, self.port))
            asker.settimeout(wait)
            asker.send(query)
            try:
                return asker.recv(65_535)
            except TimeoutError:
                return None

    def connect(self) -> socket.socket:
        return socket.create_connection((self.address, self.port), PATIENCE)

    def tcp(self, query: bytes) -> bytes:
        """The answer over a connection of its own."""
        with self.connect() as asker:
            asker.sendall(framed(query))
            return read_framed(asker)

    def ask(
        self, name: str, kind: str, *, tcp: bool = False, rd: bool = False, **how: Any
    ) -> dns.message.Message:
        """The answer to a question, read by dnspython and looked at as ``answer_to`` does."""
        query = dns.message.make_query(name, kind, **how)
        if not rd:
            query.flags &= ~dns.flags.RD
        wire = query.to_wire()
        got = self.tcp(wire) if tcp else self.udp(wire)
        assert got is not None
        return answer_to(wire, got)


def answer_to(query: bytes, got: bytes) -> dns.message.Message:
    """Read an answer; its ID, its question and its flags fit the query."""
    answer = dns.message.from_wire(got)
    assert got[:2] == query[:2]
    assert answer.flags & dns.flags.QR
    assert not answer.flags & dns.flags.RA
    assert (answer.flags & dns.flags.RD) == (query[2] & 1) << 8
    end = 12 + len(answer.question[0].name.to_wire() or b"") + 4 if answer.question else 12
    assert got[12:end] == query[12:end], "the question is repeated byte for byte"
    return answer


def framed(*queries: bytes) -> bytes:
    return b"".join(len(query).to_bytes(2, "big") + query for query in queries)


def read_framed(asker: socket.socket) -> bytes:
    """One message from a connection."""
    size = int.from_bytes(read_exactly(asker, 2), "big")
    return read_exactly(asker, size)


def read_exactly(asker: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        more = asker.recv(size - len(got))
        if not more:
            raise ConnectionError("the server closed the connection")
        got += more
    return got


@contextlib.contextmanager
def running(
    policy: Policy,
    emit: Callable[[Event], None] | None = None,
    limits: TcpLimits | None = None,
    *,
    port: int | None = None,
    servers: list[DnsTcp] | None = None,
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> Iterator[tuple[int, Counts]]:
    """Run the sinkhole's asyncio servers in a thread; give their port and counts.

    With a port, whose UDP another server has, only the one for TCP. That one is added to a list.
    What makes a loop may make one with a clock of its own.
    """
    counts = Counts()
    nobody: list[Event] = []
    take = emit or nobody.append
    alone = port is None
    port = free_port() if port is None else port
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        tcp, udp = DnsTcp(policy, take, counts, limits), DnsUdp(policy, take, counts)
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for listener in (stream, *([datagrams] if alone else [])):
            listener.setblocking(False)
            listener.bind((LOOPBACK, port))
        await tcp.listen(stream)
        if servers is not None:
            servers.append(tcp)
        if alone:
            await udp.listen(datagrams)
        else:
            datagrams.close()
        ready.set()
        await asyncio.to_thread(done.wait)
        await tcp.stop()
        udp.stop()

    def run() -> None:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield port, counts
    finally:
        done.set()
        thread.join(PATIENCE)


@contextlib.contextmanager
def asyncio_server(folder: Path) -> Iterator[Server]:
    with running(Policy(three_zones(), nsid=NSID, secret=SECRET)) as (port, _):
        yield Server("asyncio", LOOPBACK, port)


@contextlib.contextmanager
def fast_path(folder: Path) -> Iterator[Server]:
    """The compiled kernel for UDP, and the asyncio server for TCP beside it."""
    if not fastpath.SUPPORTED:
        pytest.skip("the fast path needs 64-bit Linux")
    zones, port = three_zones(), free_port()
    sock = fastpath.udp_socket(LOOPBACK, port)
    worker = UdpWorker(
        [sock],
        served=compile_zones(zones)[0],
        identity=Identity(
            np.frombuffer(SECRET, "<u8").copy(), np.frombuffer(NSID, np.uint8).copy()
        ),
        limiter=new_limiter(None),
        recorder=Nowhere(),  # type: ignore[arg-type]
        numbers=Numbers(),
    )
    worker.warm()
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        with running(Policy(zones, nsid=NSID, secret=SECRET), port=port):
            yield Server("fast path", LOOPBACK, port)
    finally:
        worker.stop()
        thread.join()
        sock.close()


class Nowhere:
    """A recorder that keeps nothing."""

    def add(self, events: object, owners: object, counts: object) -> None:
        """Forget it all."""

    state = RecorderState(None, None, 0, 0, 0, 0)


def zone_file(zone: Zone, inside: Sequence[Zone]) -> str:
    """What a zone says, as a file that other servers read; zones inside it are delegated."""
    what, config = zone.answering, zone.answering.config
    ttl = what.ttls[0]
    local, _, domain = zone.contact.rpartition("@")
    contact = local.replace(".", "\\.") + "." + domain
    lines = [
        f"{zone.name}. {ttl} SOA {zone.nameservers[0]}. {contact}. {what.serial} 14400 3600 "
        f"1209600 {max(300, ttl)}"
    ]
    lines += [f"{zone.name}. 3600 NS {server}." for server in zone.nameservers]
    watched = {*zone.exact, *zone.below, *(f"*.{name}" for name in zone.below)}
    for name in sorted({*watched, *zone.servers_inside}):
        time_to_live = ttl if name in watched else 3600
        lines += [f"{name}. {time_to_live} A {address}" for address in what.ipv4]
        lines += [f"{name}. {time_to_live} AAAA {address}" for address in what.ipv6]
    for name in sorted({zone.name, *watched}):
        lines += [f"{name}. {ttl} MX 0 ."] * config.null_mx
        lines += [f'{name}. {ttl} TXT "v=spf1 -all"'] * config.spf
        lines += [f'{name}. {ttl} CAA 0 issue ";"'] * config.caa
    for other in inside:
        lines += [f"{other.name}. 3600 NS {server}." for server in other.nameservers]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def knot(folder: Path) -> Iterator[Server]:
    """Knot, with the zones that the sinkhole makes up as it answers."""
    program, port = needed("knotd", "knot"), free_port()
    zones = three_zones()
    configuration = [
        "server:",
        f"  rundir: {folder}",
        f"  listen: {LOOPBACK}@{port}",
        f"  nsid: {NSID.decode()}",
        "  edns-client-subnet: on",
        "  udp-max-payload: 1232",
        '  version: ""',
        '  identity: ""',
        "mod-cookies:",
        "  - id: default",
        "    badcookie-slip: 1",
        "template:",
        "  - id: default",
        "    global-module: mod-cookies/default",
        f"    storage: {folder}",
        "    journal-content: none",
        "    semantic-checks: off",
        "zone:",
    ]
    for zone in zones:
        inside = [z for z in zones if z.name.endswith("." + zone.name)]
        (folder / f"{zone.name}.zone").write_text(zone_file(zone, inside), encoding="ascii")
        configuration += [f"  - domain: {zone.name}", f"    file: {folder}/{zone.name}.zone"]
    file = folder / "knot.conf"
    file.write_text("\n".join(configuration) + "\n", encoding="ascii")
    server = Server("knot", LOOPBACK, port)
    log = folder / "knot.log"
    with log.open("wb") as output:
        process = subprocess.Popen([program, "-c", str(file)], stdout=output, stderr=output)
    try:
        ready = dns.message.make_query("far.near.evil.example", "SOA").to_wire()
        deadline = time.monotonic() + PATIENCE
        while (got := _once(server, ready)) is None or not dns.message.from_wire(got).answer:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"knotd does not run here: {log.read_text()[-300:]}")
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _once(server: Server, query: bytes) -> bytes | None:
    """The answer of a server that may not run yet."""
    try:
        return server.udp(query, 0.3)
    except OSError:
        return None


STARTED: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {
    "asyncio": asyncio_server,
    "fast path": fast_path,
    "knot": knot,
}
"""How each server under test is started."""
