"""Sockets that listen, and where a connection wanted to go before the kernel redirected it.

References:
    ``getsockopt`` SO_ORIGINAL_DST (netfilter_ipv4.h) and IP6T_SO_ORIGINAL_DST (ip6_tables.h).
"""

from __future__ import annotations

import errno
import ipaddress
import os
import resource
import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remnant.errors import RemnantError
from remnant.sinkhole.addresses import MAPPED, mapped

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "HAS_FAST_PATH",
    "IP_PKTINFO",
    "ListenError",
    "destination_of",
    "is_wild",
    "open_listeners",
    "udp_socket",
]

HAS_FAST_PATH: Final = sys.platform == "linux" and struct.calcsize("P") == 8
"""Whether this platform has the system calls that the fast path for UDP makes."""

_SO_ORIGINAL_DST: Final = 80
_SOL_IPV6: Final = 41
_IP_TRANSPARENT: Final = 19
_IPV6_TRANSPARENT: Final = 75
_SO_RCVBUFFORCE: Final = 33
IP_PKTINFO: Final = 8
_IP_MTU_DISCOVER: Final = 10
_IPV6_MTU_DISCOVER: Final = 23
_PROBE: Final = 3

_SPARE_FILES: Final = 256
"""Descriptors beside listeners and connections: the store, logs, DNS, what libraries open."""

_HINTS: Final = {
    errno.EACCES: "ports below 1024 need root, or the capability CAP_NET_BIND_SERVICE",
    errno.EADDRINUSE: "another program listens there; `ss -ltnp` shows which",
    errno.EADDRNOTAVAIL: "the machine does not have this address; `ip address` lists those it has",
    errno.EAFNOSUPPORT: "this machine has no IPv6",
}


class ListenError(RemnantError):
    """The sinkhole cannot listen where it was told to."""


def open_listeners(
    addresses: Sequence[str],
    ports: Sequence[int],
    *,
    connections: int = 10_000,
    backlog: int = 1024,
    transparent: bool = False,
) -> list[socket.socket]:
    """Return listening TCP sockets, one for each address and port, ready to be served.

    To be called while the process may still do it: before it drops its rights, before it forks.

    Args:
        addresses: local IPv4 and IPv6 addresses; ``0.0.0.0`` and ``::`` mean all of them.
        ports: from 1 to 65535; 0 lets the kernel choose one.
        connections: how many connections will be open at once: descriptors for them are made sure
            of as well.
        backlog: connections that the kernel holds for each socket until they are accepted; it
            takes no more than ``net.core.somaxconn``.
        transparent: also take connections to foreign addresses (nftables ``tproxy``).

    Raises:
        ListenError: an address or a port cannot be had, or there are more than the process may
            have open files.
    """
    _make_room(len(addresses) * len(ports), connections)
    found: list[socket.socket] = []
    try:
        for address in addresses:
            for port in ports:
                found.append(_listen(address, port, backlog, transparent=transparent))
    except BaseException:
        for listener in found:
            listener.close()
        raise
    return found


def udp_socket(address: str, port: int, *, receive_bytes: int = 8 << 20) -> socket.socket:
    """Return a bound UDP socket that several processes can open for the same address.

    Raises:
        OSError: the address is not there, or the port is taken.
    """
    ipv6 = ":" in address
    sock = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # The larger one needs a right that a service may not have.
        for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
            try:
                sock.setsockopt(socket.SOL_SOCKET, option, receive_bytes)
                break
            except OSError:
                continue
        # An answer is never cut into fragments, whatever anybody says of the path (RFC 9715).
        if ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PROBE)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PROBE)
        sock.bind((address, port))
        if is_wild(sock):
            if ipv6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def is_wild(sock: socket.socket) -> bool:
    """Return whether a socket listens on any address of the machine."""
    return sock.getsockname()[0] in {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound


def _make_room(listeners: int, connections: int) -> None:
    """Raise the limit of open files as far as it is needed."""
    in_use = sum(1 for _ in Path("/proc/self/fd").iterdir())
    needed = listeners + connections + in_use + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise ListenError(
            "too many ports and connections for the files that this process may open",
            got=f"{listeners:,} sockets to listen on and {connections:,} connections: "
            f"{needed:,} files",
            expected=f"{hard:,} files at most",
            hint="let the kernel redirect all ports to one (nftables), or raise the limit: "
            "LimitNOFILE= in a systemd unit, `ulimit -n` in a shell",
        )
    raised = needed if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))


def _listen(address: str, port: int, backlog: int, *, transparent: bool) -> socket.socket:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise ListenError(
            "not an address to listen on",
            got=address,
            expected="an IPv4 or IPv6 address of this machine",
            hint="names and networks are not looked up; 0.0.0.0 and :: mean every address",
        ) from None
    six = parsed.version == 6
    listener = None
    try:
        listener = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if six:
            # So that :: and 0.0.0.0 can be listened on beside each other.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if transparent:
            level, option = (
                (_SOL_IPV6, _IPV6_TRANSPARENT) if six else (socket.SOL_IP, _IP_TRANSPARENT)
            )
            listener.setsockopt(level, option, 1)
        listener.bind((address, port))
        listener.listen(backlog)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise ListenError(
            "cannot listen on this address and port",
            where=f"[{address}]:{port}" if six else f"{address}:{port}",
            got=os.strerror(error.errno) if error.errno else str(error),
            hint=_HINTS.get(error.errno or 0),
        ) from error
    return listener


def destination_of(connection: socket.socket) -> tuple[bytes, int]:
    """Return the address and port that a connection was made to, before any redirection.

    Returns:
        (16 bytes, an IPv4 address as ::ffff:a.b.c.d; the port).

    Raises:
        OSError: the connection is gone.
    """
    try:
        if connection.family == socket.AF_INET:
            raw = connection.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, 16)
            _, port, address = struct.unpack_from("!HH4s", raw)
            return MAPPED + address, port
        raw = connection.getsockopt(_SOL_IPV6, _SO_ORIGINAL_DST, 28)
        _, port, _, address = struct.unpack_from("!HHI16s", raw)
    except (OSError, struct.error):
        # Without connection tracking, or for a connection that the kernel does not track.
        host, port = connection.getsockname()[:2]
        return mapped(host), port
    return address, port
