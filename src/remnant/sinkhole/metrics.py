"""Metrics for Prometheus and a health answer, over a very small HTTP server.

References:
    Prometheus text exposition format 0.0.4.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remnant.sinkhole.shared import COUNTERS

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from remnant.sinkhole.shared import Numbers

__all__ = ["Health", "exposition", "serve_metrics"]

_MEANING: Final = {
    "messages": "DNS messages that came over UDP",
    "answered": "answers sent over UDP",
    "observed": "queries in seized zones over UDP",
    "unlisted": "of these, for names that no case lists",
    "limited": "answers held back by the rate limit",
    "malformed": "messages over UDP that could not be read",
    "not_queries": "answers and other operations over UDP",
    "foreign": "queries for names of others over UDP",
    "silent": "messages over UDP that got no answer",
    "unsent": "answers that the system did not take",
    "bytes_in": "bytes of messages over UDP",
    "bytes_out": "bytes of answers over UDP",
    "batches": "system calls that brought messages",
    "cookies": "messages with a valid cookie",
    "dropped": "messages that the system dropped before they were read",
    "unkept": "rows that were lost because the disk was too slow",
    "lost": "rows that could not be written",
    "rows": "rows written to segments",
    "stored_bytes": "bytes written to segments",
    "tcp_messages": "DNS messages that came over TCP",
    "connections": "connections to other ports",
    "refused": "connections that were closed because of a limit",
    "timed_out": "connections that said nothing whole in time",
    "http": "HTTP requests",
    "tls": "TLS handshakes completed",
    "raw": "connections that spoke neither HTTP nor TLS",
    "tls_failed": "TLS handshakes that were not completed",
    "stream_bytes": "bytes that came over connections",
    "commits": "commits to the store",
    "committed_rows": "rows committed to the store",
}
_GAUGES: Final = {
    "alive": "when the process last gave a sign of life, seconds since 1970",
    "synced": "rows that are on disk",
    "alarm": "1 while the process cannot write",
    "open_connections": "connections that are open",
    "busy": "1 while another process writes to the store",
}
_ADDED: Final = {"synced", "open_connections"}
"""Of two processes of one name, these count together; of the others the higher one."""
_LONGEST_LINE: Final = 8192
_MOST_LINES: Final = 100
_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Health:
    """What is wrong, in words; nothing if all is well."""

    problems: tuple[str, ...]


def exposition(
    counted: Mapping[str, Mapping[str, int]],
    gauges: Mapping[str, Sequence[Numbers]],
    *,
    restarts: int,
) -> str:
    """Return the metrics as text.

    Args:
        counted: what each process counted since the sinkhole started.
        gauges: the numbers of the processes that run now; two of one name while one takes over.
        restarts: processes that died and were started again.
    """
    lines = []
    for name in COUNTERS:
        metric = f"remnant_sinkhole_{name}_total"
        lines += [f"# HELP {metric} {_MEANING[name]}", f"# TYPE {metric} counter"]
        for process, values in sorted(counted.items()):
            lines.append(f'{metric}{{process="{process}"}} {values[name]}')
    for name, meaning in _GAUGES.items():
        metric = f"remnant_sinkhole_{name}"
        lines += [f"# HELP {metric} {meaning}", f"# TYPE {metric} gauge"]
        for process, numbers in sorted(gauges.items()):
            each = [mine[name] for mine in numbers]
            value = sum(each) if name in _ADDED else max(each)
            text = f"{value / 1_000_000:.6f}" if name == "alive" else str(value)
            lines.append(f'{metric}{{process="{process}"}} {text}')
    metric = "remnant_sinkhole_restarts_total"
    lines += [f"# HELP {metric} processes that died and were started again"]
    lines += [f"# TYPE {metric} counter", f"{metric} {restarts}"]
    return "\n".join(lines) + "\n"


async def serve_metrics(
    listener: socket.socket, metrics: Callable[[], str], health: Callable[[], Health]
) -> asyncio.Server:
    """Answer ``GET /metrics`` and ``GET /health`` on a listening socket."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError):
            async with asyncio.timeout(_SECONDS):
                head = await reader.readline()
                # The rest too: left unread, it would reset the connection before the reply is in.
                for _ in range(_MOST_LINES):
                    if not (await reader.readline()).strip():
                        break
                status, kind, body = _answer(head, metrics, health)
                writer.write(
                    f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                    + (b"" if head.startswith(b"HEAD") else body)
                )
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    return await asyncio.start_server(answer, sock=listener, limit=_LONGEST_LINE)


def _answer(
    head: bytes, metrics: Callable[[], str], health: Callable[[], Health]
) -> tuple[str, str, bytes]:
    words = head.split()
    if len(words) < 2 or words[0] not in {b"GET", b"HEAD"}:
        return "405 Method Not Allowed", "text/plain", b"GET /metrics or /health\n"
    path = words[1].partition(b"?")[0]
    if path == b"/metrics":
        return "200 OK", "text/plain; version=0.0.4; charset=utf-8", metrics().encode()
    if path == b"/health":
        problems = health().problems
        body = json.dumps({"status": "failing" if problems else "ok", "problems": problems})
        status = "503 Service Unavailable" if problems else "200 OK"
        return status, "application/json", body.encode() + b"\n"
    return "404 Not Found", "text/plain", b"GET /metrics or /health\n"
