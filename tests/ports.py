"""Ports for servers that are told where to listen."""

from __future__ import annotations

import contextlib
import random
import socket
import sys
from pathlib import Path
from typing import Final

_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST: Final = 10_000
_HIGHEST: Final = 60_000
_TRIES: Final = 1_000


def free_port() -> int:
    """Return a port that is free for UDP and TCP, and that no other test is given.

    A port that the system chose could have another owner before the server has bound it. This one
    is none that the system chooses, and belongs to this process until it ends.
    """
    chance = random.SystemRandom()
    for _ in range(_TRIES):
        port = chance.randrange(_LOWEST, _first_of_the_system())
        if _is_free(port) and _is_mine(port):
            return port
    raise AssertionError("no port is free")


def _first_of_the_system() -> int:
    """Return the first port that the system gives to those who name none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        first = int(_RANGE.read_text(encoding="ascii").split()[0])
        if first > _LOWEST + _TRIES:
            return first
    return _HIGHEST


def _is_free(port: int) -> bool:
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                with socket.socket(family, kind) as sock:
                    sock.bind((host, port))
            except OSError:
                if family == socket.AF_INET or _has_ipv6():
                    return False
    return True


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def _is_mine(port: int) -> bool:
    """Take a port for this process: one name of an abstract socket has one owner (unix(7))."""
    if sys.platform != "linux":
        return True
    with contextlib.ExitStack() as stack:
        mark = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        try:
            mark.bind(f"\0remnant-tests-port-{port}")
        except OSError:
            return False
        stack.pop_all()
    mark.detach()  # the system closes it when the process ends
    return True
