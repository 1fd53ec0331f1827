"""The exposition, read strictly, and the small server, asked badly."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from typing import TYPE_CHECKING

import pytest

from remnant.sinkhole.metrics import Health, exposition, serve_metrics
from remnant.sinkhole.shared import COUNTERS, GAUGES, Numbers

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'({NAME})(?:{{process="([a-z0-9-]+)"}})? (-?[0-9]+(?:\.[0-9]+)?)')
HELP = re.compile(rf"# HELP ({NAME}) ([^\\\n]+)")
TYPE = re.compile(rf"# TYPE ({NAME}) (counter|gauge)")


def parsed(text: str) -> tuple[dict[tuple[str, str | None], float], dict[str, str]]:
    """Return samples and types of an exposition that keeps every rule of format 0.0.4."""
    assert text.endswith("\n")
    samples: dict[tuple[str, str | None], float] = {}
    types: dict[str, str] = {}
    helps: set[str] = set()
    closed: set[str] = set()
    current = ""
    for line in text.removesuffix("\n").split("\n"):
        if found := HELP.fullmatch(line):
            closed.add(current)
            current = found[1]
            assert current not in helps | closed, "the lines of one metric stand together"
            helps.add(current)
        elif found := TYPE.fullmatch(line):
            assert found[1] == current
            assert current not in types
            types[current] = found[2]
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            assert found[1] == current
            assert current in types
            assert (found[1], found[2]) not in samples
            samples[found[1], found[2]] = float(found[3])
    assert helps == set(types)
    return samples, types


def test_the_exposition_is_what_prometheus_reads() -> None:
    old, new = Numbers(), Numbers()
    for numbers, alive, connections in (
        (old, 1_700_000_000_000_000, 2),
        (new, 1_700_000_001_250_000, 3),
    ):
        numbers["alive"] = alive
        numbers["open_connections"] = connections
    new["alarm"] = 1
    counted = {name: dict.fromkeys(COUNTERS, 7) for name in ("udp-0", "streams")}
    samples, types = parsed(exposition(counted, {"streams": [old, new]}, restarts=4))
    old.close()
    new.close()

    assert len(types) == len(COUNTERS) + len(GAUGES) + 1
    for metric, kind in types.items():
        assert metric.endswith("_total") is (kind == "counter")
    assert samples["remnant_sinkhole_answered_total", "udp-0"] == 7
    assert samples["remnant_sinkhole_restarts_total", None] == 4
    # While one process takes over from another, both are told of.
    assert samples["remnant_sinkhole_open_connections", "streams"] == 5
    assert samples["remnant_sinkhole_alarm", "streams"] == 1
    assert samples["remnant_sinkhole_alive", "streams"] == 1_700_000_001.25


def asked(
    *parts: bytes,
    metrics: Callable[[], str] = lambda: "m 1\n",
    problems: tuple[str, ...] = (),
    end: bool = False,
) -> bytes:
    """Send bytes one after the other and return all that comes back."""

    async def run() -> bytes:
        failures: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, facts: failures.append(facts))
        listener = socket.create_server(("127.0.0.1", 0))
        server = await serve_metrics(listener, metrics, lambda: Health(problems))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.02)
        if end:
            writer.write_eof()
        try:
            reply = await reader.read()
        except ConnectionResetError:
            reply = b""
        writer.close()
        server.close()
        await asyncio.sleep(0)
        assert not failures, "nothing that is sent may get into the log"
        return reply

    return asyncio.run(run())


def test_health_says_what_is_wrong() -> None:
    well, ill = (
        asked(b"GET /health HTTP/1.0\r\n\r\n"),
        asked(b"GET /health HTTP/1.0\r\n\r\n", problems=("keeper is not running",)),
    )

    assert well.startswith(b"HTTP/1.1 200 OK\r\n")
    assert ill.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert json.loads(ill.partition(b"\r\n\r\n")[2]) == {
        "status": "failing",
        "problems": ["keeper is not running"],
    }


def test_a_request_that_comes_in_pieces_is_answered_whole() -> None:
    reply = asked(b"GE", b"T /metrics?x=1 HTTP/1.1\r\nHost: a\r\n", b"Accept: */*\r\n", b"\r\n")

    assert reply.endswith(b"\r\n\r\nm 1\n")
    assert b"Content-Type: text/plain; version=0.0.4" in reply


def test_head_has_no_body() -> None:
    reply = asked(b"HEAD /metrics HTTP/1.1\r\n\r\n")

    assert b"Content-Length: 4\r\n" in reply
    assert reply.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [(b"POST /metrics HTTP/1.1", b"405"), (b"GET", b"405"), (b"GET /../etc/passwd x", b"404")],
)
def test_what_is_not_there(request_line: bytes, status: bytes) -> None:
    assert asked(request_line + b"\r\n\r\n").split()[1] == status


def test_nobody_fills_the_memory_or_the_log() -> None:
    assert asked(b"G" * 100_000) == b""
    assert asked(b"GET /health HTTP/1.1\r\n" + b"x: y\r\n" * 1_000).count(b"HTTP/1.1 200") <= 1
    assert asked(b"", end=True).count(b"HTTP/1.1 200") == 0
