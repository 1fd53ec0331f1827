"""DNS over UDP without the fast path: for other platforms, and to compare with.

A source that is written down here may be forged, so its proof is the weakest.

References:
    RFC 1035 section 4.2.1, RFC 6891 section 6.2; ip(7) and ipv6(7) (packet information).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

from remnant.sinkhole.addresses import MAPPED, mapped
from remnant.sinkhole.listeners import IP_PKTINFO, is_wild
from remnant.sinkhole.observing import Peer, observe

if TYPE_CHECKING:
    from collections.abc import Callable

    from remnant.sinkhole.events import Counts, Emit
    from remnant.sinkhole.policy import Policy

__all__ = ["DnsUdp"]

_TURN: Final = 64
"""Messages that one socket is answered before the others have their turn."""
_LONGEST: Final = 65_535
_CONTROL_BYTES: Final = 128
_IPV6_PKTINFO: Final[int] = getattr(socket, "IPV6_PKTINFO", -1)
_PKTINFO4: Final = struct.Struct("=i4s4s")
_PKTINFO6: Final = struct.Struct("=16si")


class DnsUdp:
    """A DNS server for UDP.

    Args:
        policy: says what is answered; may be replaced while the server runs.
        emit: takes each observation.
        counts: counts every message.
        is_limited: says of a source (16 bytes) and a time (UTC microseconds) whether it asked too
            much.

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
        self._sockets: list[socket.socket] = []

    async def listen(self, listener: socket.socket) -> None:
        """Answer what comes to a socket that is bound; may be called for several.

        One that is bound to all addresses should tell which of them a datagram came to, as those of
        ``listeners.udp_socket`` do: it is answered from there.
        """
        listener.setblocking(False)
        endpoint = _Endpoint(self, listener)
        asyncio.get_running_loop().add_reader(listener, endpoint.readable)
        self._sockets.append(listener)

    def stop(self) -> None:
        """Close the sockets."""
        for listener in self._sockets:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        self._sockets.clear()


class _Endpoint:
    """One socket."""

    def __init__(self, server: DnsUdp, listener: socket.socket) -> None:
        self._server = server
        self._socket = listener
        self._ipv6 = listener.family == socket.AF_INET6
        host, self._port = listener.getsockname()[:2]
        self._own = b"" if is_wild(listener) else mapped(host)

    def readable(self) -> None:
        """Answer what came, up to one turn."""
        for _ in range(_TURN):
            try:
                data, control, _, peer = self._socket.recvmsg(_LONGEST, _CONTROL_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # what the network says of an earlier answer: somebody forged the source
            self._answer(data, control, peer)

    def _answer(
        self, data: bytes, control: list[tuple[int, int, bytes]], peer: tuple[str, int]
    ) -> None:
        """Answer one message, and report it."""
        server = self._server
        server.bytes_in += len(data)
        stamp = time.time_ns() // 1000
        now = stamp // 1_000_000
        own = self._own
        back: list[tuple[int, int, bytes]] = []
        if not own:
            own, back = self._destination(control)
        ends = Peer(mapped(peer[0]), peer[1], own, self._port)
        answer = server.policy.answer(
            data,
            ends.address,
            now=now,
            tcp=False,
            # Which time to live an answer gets is an experiment's draw, and no secret.
            arm=random.getrandbits(1),
            limited=server.is_limited is not None and server.is_limited(ends.address, stamp),
        )
        observe(answer, ends, "dns_udp", stamp, server.emit, server.counts)
        # Nobody sends from port 0, and no answer arrives there.
        if answer.response is not None and peer[1]:
            # An answer that the system does not take is of no use to anybody later.
            with contextlib.suppress(OSError):
                self._socket.sendmsg([answer.response], back, 0, peer)
                server.answered += 1
                server.bytes_out += len(answer.response)

    def _destination(
        self, control: list[tuple[int, int, bytes]]
    ) -> tuple[bytes, list[tuple[int, int, bytes]]]:
        """Return the address that a datagram came to, and what lets an answer come from there."""
        for level, kind, facts in control:
            if self._ipv6 and level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
                address, _ = _PKTINFO6.unpack_from(facts)
                return address, [(level, kind, _PKTINFO6.pack(address, 0))]
            if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
                _, _, address = _PKTINFO4.unpack_from(facts)
                return MAPPED + address, [(level, kind, _PKTINFO4.pack(0, address, bytes(4)))]
        return b"", []
