"""DNS over UDP without the fast path: for other platforms, and to compare with.

A source that is written down here may be forged, so its proof is the weakest.

References:
    RFC 1035 section 4.2.1, RFC 6891 section 6.2.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, cast

from remnant.sinkhole.observing import Peer, mapped, observe

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from remnant.sinkhole.events import Counts, Emit
    from remnant.sinkhole.policy import Policy

__all__ = ["DnsUdp"]


class DnsUdp:
    """A DNS server for UDP.

    Args:
        policy: says what is answered; may be replaced while the server runs.
        emit: takes each observation.
        counts: counts every message.
        is_limited: says of a source (16 bytes) and a time (UTC seconds) whether it asked too much.

    Attributes:
        answered: answers that were given to the system.
        bytes_in: of messages.
        bytes_out: of answers.
    """

    def __init__(
        self,
        policy: Policy,
        emit: Emit,
        counts: Counts,
        is_limited: Callable[[bytes, int], bool] | None = None,
    ) -> None:
        self.policy = policy
        self.emit = emit
        self.counts = counts
        self.is_limited = is_limited
        self.answered = self.bytes_in = self.bytes_out = 0
        self._transports: list[asyncio.DatagramTransport] = []

    async def listen(self, listener: socket.socket) -> None:
        """Answer what comes to a socket that is bound; may be called for several.

        A socket should be bound to one address: with several, the system chooses which of them an
        answer comes from.
        """
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Endpoint(self), sock=listener)
        self._transports.append(transport)

    def stop(self) -> None:
        """Close the sockets."""
        for transport in self._transports:
            transport.abort()
        self._transports.clear()


class _Endpoint(asyncio.DatagramProtocol):
    """One socket."""

    def __init__(self, server: DnsUdp) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None
        self._own = b""
        self._port = 0
        self._full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket, and its address if it has one of its own."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        own = transport.get_extra_info("sockname")
        self._port = own[1]
        if own[0] not in {"0.0.0.0", "::"}:  # noqa: S104 - asked for, not bound here
            self._own = mapped(own[0])

    def pause_writing(self) -> None:
        """Send no more: answers that wait are of no use to anybody."""
        self._full = True

    def resume_writing(self) -> None:
        """Send again."""
        self._full = False

    def error_received(self, exc: Exception) -> None:
        """Pass over what the network says of an earlier answer: somebody forged the source."""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one message, and report it."""
        server = self._server
        server.bytes_in += len(data)
        stamp = time.time_ns() // 1000
        now = stamp // 1_000_000
        peer = Peer(mapped(addr[0]), addr[1], self._own, self._port)
        answer = server.policy.answer(
            data,
            peer.address,
            now=now,
            tcp=False,
            # Which time to live an answer gets is an experiment's draw, and no secret.
            arm=random.getrandbits(1),
            limited=server.is_limited is not None and server.is_limited(peer.address, now),
        )
        observe(answer, peer, "dns_udp", stamp, server.emit, server.counts)
        # Nobody sends from port 0, and no answer arrives there.
        if answer.response is not None and addr[1] and not self._full and self._transport:
            server.answered += 1
            server.bytes_out += len(answer.response)
            self._transport.sendto(answer.response, addr)
