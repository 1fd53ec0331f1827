"""Memory of the sinkhole's listener for streams with many open connections, and what it still does.

    python bench/sink_connections.py [CONNECTIONS]

A child process opens the connections over loopback from many addresses (127.0.0.x, 100 of each) and
holds them: silent, with half a request sent, with a TLS handshake completed. Prints MiB, KiB for
each connection, how long one more client waits for its reply then, and what the kernel holds for
the sockets. At the end: requests per second of one process, one client at a time.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from remnant.sinkhole.certificates import Certificates
from remnant.sinkhole.http_reply import EMPTY, Reply
from remnant.sinkhole.listeners import open_listeners
from remnant.sinkhole.streams import Limits, Streams

if TYPE_CHECKING:
    from collections.abc import Callable

PER_SOURCE = 100
REQUESTS = 2000
HALF = b"POST /gate.php HTTP/1.1\r\nHost: c2.example\r\nX-Filler: " + b"f" * 1000


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def kernel_bytes() -> int:
    """Return the memory of the buffers of all TCP sockets of this machine."""
    for line in Path("/proc/net/sockstat").read_text(encoding="ascii").splitlines():
        if line.startswith("TCP:"):
            return int(line.split()[-1]) * resource.getpagesize()
    return 0


def trusting() -> ssl.SSLContext:
    """Return a TLS client that trusts everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def hold(port: int, count: int, state: str) -> None:
    """Open connections, say so, and hold them until the input ends. The child's part."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = trusting()
    held = []
    for i in range(count):
        source = f"127.0.{i // PER_SOURCE // 250}.{i // PER_SOURCE % 250 + 2}"
        peer = socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
        if state == "half a request":
            peer.sendall(HALF)
        elif state == "TLS":
            peer = context.wrap_socket(peer, server_hostname=f"h{i % 50}.example")
        held.append(peer)
    print("open", flush=True)
    sys.stdin.read()


def ask_often(port: int, state: str) -> None:
    """Make one request after another and print how many a second. The child's part."""
    context = trusting()
    started = time.perf_counter()
    for i in range(REQUESTS):
        source = (f"127.0.0.{i % 200 + 2}", 0)
        peer = socket.create_connection(("127.0.0.1", port), source_address=source)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if state == "https":
            peer = context.wrap_socket(peer, server_hostname=f"h{i % 50}.example")
        with peer:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: c2.example\r\n\r\n")
            while peer.recv(4096):
                pass
    print(f"{REQUESTS / (time.perf_counter() - started):,.0f}", flush=True)


async def child(*arguments: str) -> asyncio.subprocess.Process:
    """Start this script as the child."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def line_of(process: asyncio.subprocess.Process) -> str:
    """Return the next line that a child prints."""
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def one_more(port: int) -> float:
    """Return the seconds that a client waits for its reply."""
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.9.9", 0))
    writer.write(b"GET / HTTP/1.1\r\nHost: c2.example\r\n\r\n")
    await reader.read()
    writer.close()
    return time.perf_counter() - started


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    while not condition():  # noqa: ASYNC110 - counters are plain numbers
        await asyncio.sleep(0.1)


async def measure(count: int) -> None:
    """Serve, let the child connect in each state, and print."""
    events = 0

    def emit(_: object) -> None:
        nonlocal events
        events += 1

    def reply_for(_name: bytes, _destination: bytes) -> Reply:
        return EMPTY

    sockets = open_listeners(["127.0.0.1"], [0], connections=count + 100)
    port = sockets[0].getsockname()[1]
    limits = Limits(connections=count + 100, memory_bytes=2 << 30, read_s=900, quiet_s=900)
    streams = Streams(
        sockets, emit=emit, reply_for=reply_for, limits=limits, certificates=Certificates()
    )
    await streams.start()
    heads = ("MiB", "KiB each", "one more", "kernel MiB")
    print(f"{'connections':>11}  {'state':<15}" + "".join(f" {head:>10}" for head in heads))
    print(f"{0:>11}  {'none':<15} {resident_bytes() / 2**20:>10.1f}")
    for state in ("silent", "half a request", "TLS"):
        before, kernel_before = resident_bytes(), kernel_bytes()
        process = await child("hold", str(port), str(count), state)
        if await line_of(process) != "open":
            sys.exit("the child could not open the connections")
        await until(lambda: streams.counters.open >= count)
        await asyncio.sleep(0.5)
        now, kernel = resident_bytes(), kernel_bytes() - kernel_before
        waited = await one_more(port)
        print(
            f"{streams.counters.open:>11}  {state:<15} {now / 2**20:>10.1f} "
            f"{(now - before) / count / 1024:>10.2f} {waited * 1000:>7.1f} ms "
            f"{kernel / 2**20:>10.1f}"
        )
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await until(lambda: not streams.counters.open)
    for state in ("http", "https"):
        process = await child("ask", str(port), state)
        print(f"{state}: {await line_of(process)} requests per second")
        await process.wait()
    await streams.stop()
    print(f"events: {events}, refused: {streams.counters.refused}")


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["hold"]:
        hold(int(arguments[1]), int(arguments[2]), arguments[3])
    elif arguments[:1] == ["ask"]:
        ask_often(int(arguments[1]), arguments[2])
    else:
        asyncio.run(measure(int(arguments[0]) if arguments else 10_000))


if __name__ == "__main__":
    main()
