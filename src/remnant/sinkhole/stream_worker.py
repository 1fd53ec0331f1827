"""The process for everything but the fast path: DNS over TCP, HTTP, TLS, other connections.

One event loop answers; a thread of its own keeps the events, so that no client waits for the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.schema import EVENTS, PROOFS, TRANSPORTS
from remnant.sinkhole.dns_tcp import DnsTcp
from remnant.sinkhole.dns_udp import DnsUdp
from remnant.sinkhole.events import Counts
from remnant.sinkhole.streams import Limits, Streams

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from remnant.sinkhole.certificates import Certificates
    from remnant.sinkhole.directory import Directory
    from remnant.sinkhole.events import Event
    from remnant.sinkhole.http_reply import Reply
    from remnant.sinkhole.policy import Policy
    from remnant.sinkhole.recorder import Recorder
    from remnant.sinkhole.shared import Numbers

__all__ = ["StreamWorker", "batch_of"]

_ROUND_S: Final = 0.25
_GRACE_S: Final = 0.5
"""Seconds in which DNS connections that are open may end what they began."""
_MAX_WAITING: Final = 200_000
"""Events that may wait for the disk; more are lost, and counted."""


def batch_of(events: Sequence[Event]) -> pa.RecordBatch:
    """Return events as rows of ``schema.EVENTS``."""
    udp, tcp = (TRANSPORTS.index(word) for word in ("udp", "tcp"))
    values: dict[str, list[Any]] = {
        "time": [event.time for event in events],
        "address": [event.address for event in events],
        "destination": [event.destination or None for event in events],
        "client_port": [event.client_port for event in events],
        "service_port": [event.service_port for event in events],
        "transport": [udp if event.proof == "dns_udp" else tcp for event in events],
        "proof": [PROOFS.index(event.proof) for event in events],
        "name": [event.name for event in events],
        "qtype": [event.qtype for event in events],
        "rcode": [event.rcode for event in events],
        "ttl": [event.ttl for event in events],
        "limited": [event.limited for event in events],
        "unlisted": [event.unlisted for event in events],
        "ecs": [event.ecs for event in events],
        "detail": [
            None if event.detail is None else json.dumps(event.detail, separators=(",", ":"))
            for event in events
        ],
    }
    schema = EVENTS.arrow
    return pa.RecordBatch.from_arrays(
        [pa.array(values[field.name], field.type) for field in schema], schema=schema
    )


class StreamWorker:
    """Serves the sockets of one process.

    Args:
        dns: TCP sockets for DNS, bound and listening.
        others: TCP sockets for everything else, listening.
        slow: UDP sockets that are served without the fast path.
        policy: of the DNS answers.
        directory: whose an event is.
        replies: what HTTP requests get, by case.
        certificates: what TLS is spoken with.
        recorder: keeps the events.
        numbers: what the supervisor reads.
        connections: that may be open, but for those of DNS.
        is_limited: the rate limit of the UDP sockets.
    """

    def __init__(
        self,
        *,
        dns: Sequence[socket.socket],
        others: Sequence[socket.socket],
        slow: Sequence[socket.socket],
        policy: Policy,
        directory: Directory,
        replies: Mapping[str, Reply],
        certificates: Certificates | None,
        recorder: Recorder,
        numbers: Numbers,
        connections: int = 10_000,
        is_limited: Callable[[bytes, int], bool] | None = None,
    ) -> None:
        self._dns_sockets, self._slow_sockets = dns, slow
        self._directory = directory
        self._recorder = recorder
        self._numbers = numbers
        self._events: list[Event] = []
        self._owners: list[int] = []
        self._unlisted: list[bool] = []
        self._dns_counts = Counts()
        self._udp_counts = Counts()
        self._counted = Counts()
        self._unkept = 0
        self._slow_limited = self._slow_unlisted = 0
        self._stop = asyncio.Event()
        self._streams = Streams(
            others,
            limits=Limits(connections=connections),
            emit=self._emit,
            reply_for=lambda name, destination: replies[directory.find(name, destination).case],
            certificates=certificates,
        )
        self._tcp = DnsTcp(policy, self._emit, self._dns_counts, stranger=self._streams.adopt)
        self._udp = DnsUdp(policy, self._emit, self._udp_counts, is_limited)

    def stop(self) -> None:
        """Let ``run`` come to its end."""
        self._stop.set()

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until ``stop``; every event has been given to the recorder when this returns."""
        await self._streams.start()
        for listener in self._dns_sockets:
            await self._tcp.listen(listener)
        for listener in self._slow_sockets:
            await self._udp.listen(listener)
        ready()
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _ROUND_S)
            await asyncio.to_thread(self._recorder.add, *self._round())
            self._tell()
        self._udp.stop()
        await self._tcp.stop(grace=_GRACE_S)
        await self._streams.stop(grace=1.0)
        await asyncio.to_thread(self._recorder.add, *self._round())
        self._tell()

    def _emit(self, event: Event) -> None:
        if len(self._events) >= _MAX_WAITING:
            self._unkept += 1
            return
        found = self._directory.find(event.name, event.destination)
        if event.proof == "dns_udp":
            self._slow_limited += event.limited
            self._slow_unlisted += found.unlisted
        self._events.append(event)
        self._owners.append(found.owner)
        self._unlisted.append(found.unlisted)

    def _round(self) -> tuple[pa.RecordBatch, npt.NDArray[np.int32], Counts]:
        """Return what has come since the last round."""
        events, self._events = self._events, []
        owners, self._owners = self._owners, []
        unlisted, self._unlisted = self._unlisted, []
        batch = batch_of(events)
        place = batch.schema.get_field_index("unlisted")
        batch = batch.set_column(place, batch.schema.field(place), pa.array(unlisted, pa.bool_()))
        return batch, np.array(owners, np.int32), self._counts()

    def _counts(self) -> Counts:
        """Return what was counted since the last round, the kinds of messages apart."""
        streams = self._streams.counters
        dns = (self._dns_counts, self._udp_counts)
        malformed = sum(counts.malformed for counts in dns)
        skipped = sum(counts.skipped for counts in dns)
        now = Counts(
            sum(counts.messages for counts in dns) + streams.connections - malformed - skipped,
            malformed,
            skipped,
            sum(counts.lost for counts in dns),
        )
        before, self._counted = self._counted, now
        unkept, self._unkept = self._unkept, 0
        self._numbers["unkept"] += unkept
        return Counts(
            now.messages - before.messages,
            now.malformed - before.malformed,
            now.skipped - before.skipped,
            now.lost - before.lost + unkept,
        )

    def _tell(self) -> None:
        """Write down what the supervisor reads."""
        numbers, streams = self._numbers, self._streams.counters
        numbers.kept(self._recorder.state)
        numbers["tcp_messages"] = self._dns_counts.messages
        slow = self._udp_counts
        numbers["messages"] = slow.messages
        numbers["answered"] = self._udp.answered
        numbers["silent"] = slow.messages - self._udp.answered
        numbers["observed"] = slow.messages - slow.malformed - slow.skipped
        numbers["malformed"] = slow.malformed
        numbers["unlisted"] = self._slow_unlisted
        numbers["limited"] = self._slow_limited
        numbers["bytes_in"] = self._udp.bytes_in
        numbers["bytes_out"] = self._udp.bytes_out
        numbers["connections"] = streams.connections
        numbers["refused"] = streams.refused
        numbers["timed_out"] = streams.timed_out
        numbers["http"] = streams.http
        numbers["tls"] = streams.tls
        numbers["raw"] = streams.raw
        numbers["tls_failed"] = streams.tls_failed
        numbers["stream_bytes"] = streams.bytes_read
        numbers["open_connections"] = streams.open + len(self._tcp)
