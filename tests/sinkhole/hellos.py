"""ClientHellos put together from numbers, and those of the TLS library."""

from __future__ import annotations

import contextlib
import ssl
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def vector(content: bytes, size: int = 2) -> bytes:
    return len(content).to_bytes(size, "big") + content


def numbers(values: Sequence[int], size: int = 2) -> bytes:
    return b"".join(value.to_bytes(size, "big") for value in values)


def server_name(host: bytes) -> bytes:
    return vector(b"\0" + vector(host))


def alpn(*protocols: bytes) -> bytes:
    return vector(b"".join(vector(name, 1) for name in protocols))


def message(
    version: int,
    ciphers: Sequence[int],
    extensions: Sequence[tuple[int, bytes]] | None = None,
    *,
    session: bytes = b"",
) -> bytes:
    """Return the handshake message, without a record around it."""
    body = struct.pack("!H", version) + bytes(range(32)) + vector(session, 1)
    body += vector(numbers(ciphers)) + vector(b"\0", 1)
    if extensions is not None:
        body += vector(b"".join(struct.pack("!H", k) + vector(v) for k, v in extensions))
    return b"\x01" + vector(body, 3)


def records(handshake: bytes, size: int = 16_384, version: int = 0x0301) -> bytes:
    """Return a handshake message cut into records of at most ``size`` bytes."""
    return b"".join(
        b"\x16" + struct.pack("!H", version) + vector(handshake[i : i + size])
        for i in range(0, len(handshake), size)
    )


def of_library(
    host: str | None = "ns1.evil.example",
    protocols: Sequence[str] = (),
    ciphers: str | None = None,
    highest: ssl.TLSVersion | None = None,
) -> bytes:
    """Return the records that Python's TLS library begins a connection with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if ciphers is not None:
        context.set_ciphers(ciphers)
    if highest is not None:
        context.maximum_version = highest
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=host)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()
