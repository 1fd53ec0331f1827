"""The ClientHello of a TLS connection, as data.

It is read before the TLS library sees it, so that a client whose handshake fails is described as
well as one whose handshake succeeds. Lengths that lead outside are never followed: the message as
a whole is then no ClientHello; an extension whose inside is damaged counts as present and empty.

References:
    RFC 8446 sections 4.1.2, 4.2 and 5.1; RFC 5246 section 7.4.1.2; RFC 6066 section 3 (server
    name); RFC 7301 section 3.1 (ALPN); RFC 8422 section 5.1 (groups, point formats); RFC 8701
    (GREASE).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

__all__ = ["MAX_HELLO", "ClientHello", "State", "is_grease", "may_be_tls", "parse", "version_name"]

MAX_HELLO: Final = 12 * 1024
"""Longest ClientHello that is read, in bytes; with post-quantum keys they have about 2 KiB."""

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_MAX_RECORD: Final = 2**14 + 2048

_MAX_RECORDS: Final = 16
"""Records of one ClientHello: more are made to cost us time."""

_SERVER_NAME: Final = 0
_GROUPS: Final = 10
_POINT_FORMATS: Final = 11
_SIGNATURES: Final = 13
_ALPN: Final = 16
_VERSIONS: Final = 43

_VERSION_NAMES: Final = {
    0x0300: "SSL 3.0",
    0x0301: "TLS 1.0",
    0x0302: "TLS 1.1",
    0x0303: "TLS 1.2",
    0x0304: "TLS 1.3",
}


class State(enum.Enum):
    """Why there is no ClientHello."""

    MORE = "more bytes are needed"
    BAD = "the bytes are no ClientHello"


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client offers, in the order in which it does. Numbers are IANA's.

    Attributes:
        version: the version field of the message (``legacy_version`` in TLS 1.3).
        ciphers: cipher suites.
        extensions: types of extensions.
        server_name: the first host name, as sent; empty if there is none.
        groups: supported groups (elliptic curves).
        point_formats: of elliptic curves.
        signatures: signature algorithms.
        alpn: application protocols.
        versions: from the extension ``supported_versions``; empty without it.
    """

    version: int
    ciphers: tuple[int, ...]
    extensions: tuple[int, ...] = ()
    server_name: bytes = b""
    groups: tuple[int, ...] = ()
    point_formats: tuple[int, ...] = ()
    signatures: tuple[int, ...] = ()
    alpn: tuple[bytes, ...] = ()
    versions: tuple[int, ...] = ()

    @property
    def offered(self) -> tuple[int, ...]:
        """The versions that the client speaks, without GREASE, highest first."""
        listed = {version for version in self.versions if not is_grease(version)}
        return tuple(sorted(listed or {self.version}, reverse=True))


def is_grease(value: int) -> bool:
    """Return whether a number is one that clients send so that servers ignore unknown ones.

    >>> is_grease(0x5A5A), is_grease(0x5A6A)
    (True, False)
    """
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF


def version_name(version: int) -> str:
    """Return the name of a version; its hexadecimal number if it has none."""
    return _VERSION_NAMES.get(version) or f"0x{version:04x}"


def may_be_tls(data: bytes) -> bool:
    """Return whether bytes from the start of a connection can begin a TLS handshake record."""
    return data[0] == _HANDSHAKE and data[1:2] in {b"", b"\x03"}


def parse(data: bytes) -> ClientHello | State:
    """Return the ClientHello that bytes begin with, put together from as many records as it takes.

    Args:
        data: what was received from the start of the connection.
    """
    message = bytearray()
    position = 0
    for _ in range(_MAX_RECORDS):
        header = data[position : position + 5]
        if header and not may_be_tls(header):
            return State.BAD
        if len(header) < 5:
            return State.MORE
        length = int.from_bytes(header[3:5], "big")
        if not 0 < length <= _MAX_RECORD:
            return State.BAD
        message += data[position + 5 : position + 5 + length]
        if message and message[0] != _CLIENT_HELLO:
            return State.BAD
        if len(message) >= 4:
            size = int.from_bytes(message[1:4], "big")
            if size > MAX_HELLO:
                return State.BAD
            if len(message) >= 4 + size:
                return _hello(bytes(message[4 : 4 + size]))
        position += 5 + length
        if position > len(data):
            return State.MORE
    return State.BAD


class _Outside(Exception):
    """A length leads outside."""


class _Region:
    """Bytes that are read from front to back, and never past their end."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            raise _Outside
        self._at += size
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> _Region:
        """Return the bytes after a length of ``size`` bytes."""
        return _Region(self.take(self.number(size)))

    def numbers(self, size: int) -> tuple[int, ...]:
        found = []
        while self:
            found.append(self.number(size))
        return tuple(found)


def _hello(body: bytes) -> ClientHello | State:
    region = _Region(body)
    try:
        version = region.number(2)
        region.take(32)  # random
        region.vector(1)  # session
        ciphers = region.vector(2).numbers(2)
        region.vector(1)  # compression methods
        types: list[int] = []
        inside: dict[int, bytes] = {}
        if region:
            extensions = region.vector(2)
            while extensions:
                kind = extensions.number(2)
                content = extensions.take(extensions.number(2))
                types.append(kind)
                inside.setdefault(kind, content)
    except _Outside:
        return State.BAD
    return ClientHello(
        version=version,
        ciphers=ciphers,
        extensions=tuple(types),
        server_name=_server_name(inside.get(_SERVER_NAME, b"")),
        groups=_list(inside.get(_GROUPS, b""), 2, 2),
        point_formats=_list(inside.get(_POINT_FORMATS, b""), 1, 1),
        signatures=_list(inside.get(_SIGNATURES, b""), 2, 2),
        alpn=_protocols(inside.get(_ALPN, b"")),
        versions=_list(inside.get(_VERSIONS, b""), 1, 2),
    )


def _list(content: bytes, length_size: int, size: int) -> tuple[int, ...]:
    try:
        return _Region(content).vector(length_size).numbers(size)
    except _Outside:
        return ()


def _server_name(content: bytes) -> bytes:
    try:
        names = _Region(content).vector(2)
        while names:
            kind = names.number(1)
            name = names.take(names.number(2))
            if kind == 0:
                return name
    except _Outside:
        pass
    return b""


def _protocols(content: bytes) -> tuple[bytes, ...]:
    found = []
    try:
        protocols = _Region(content).vector(2)
        while protocols:
            found.append(protocols.take(protocols.number(1)))
    except _Outside:
        return ()
    return tuple(found)
