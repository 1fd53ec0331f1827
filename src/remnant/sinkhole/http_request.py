"""The first HTTP/1 request on a connection, read within bounds.

Reading is lenient where bots are sloppy (bare line feeds, lines without a colon) and strict where
it decides what a connection is: without a valid request line it is no HTTP. Only what was received
is described; nothing is decoded.

References:
    RFC 9110 (fields), RFC 9112 sections 2 to 6 (message format).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from remnant.sinkhole.host_names import host_of, wire_name

__all__ = ["MAX_FIELDS", "Request", "head_end", "may_be_request", "parse"]

MAX_FIELDS: Final = 64
"""Header fields of a request that are read; the rest is not looked at."""

_MAX_METHOD: Final = 32
_MAX_LENGTH_DIGITS: Final = 15
"""Digits of a Content-Length that is believed: below 2**53, so that JSON keeps it."""

_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}(?: |\Z)")
_LINE: Final = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) +([^\r\n]*[^\r\n ]) +HTTP/(1\.[0-9])[ \t]*\r?\n"
)
_FIELD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_AUTHORITY: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#@]*)")
_END: Final = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Request:
    """What was received of one request.

    Attributes:
        method: as sent, case kept.
        target: as sent: a path, a URL, an authority.
        version: ``1.0``, ``1.1``.
        names: names of the header fields in their order, as sent; at most ``MAX_FIELDS``.
        fields: values by folded name; where a field comes more than once, the first.
        head_bytes: bytes of the head; 0 if its end was not received.
        body: what was received of the body (with chunk sizes, where it is chunked).
    """

    method: bytes
    target: bytes
    version: bytes
    names: tuple[bytes, ...]
    fields: dict[bytes, bytes]
    head_bytes: int
    body: bytes

    @property
    def host(self) -> bytes:
        """The Host field without the port, else the authority of a target that is a URL."""
        value = self.fields.get(b"host")
        if value:
            return host_of(value)
        authority = _AUTHORITY.match(self.target)
        return host_of(authority[1]) if authority else b""

    @property
    def name(self) -> bytes:
        """The host as a wire name; empty if it is no domain name."""
        return wire_name(self.host)

    @property
    def content_length(self) -> int | None:
        """The length that the request states; ``None`` if it states none that can be read."""
        value = self.fields.get(b"content-length", b"")
        if value.isdigit() and len(value) <= _MAX_LENGTH_DIGITS:
            return int(value)
        return None

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks, so that its length is not stated."""
        return b"chunked" in self.fields.get(b"transfer-encoding", b"").lower()

    @property
    def complete(self) -> bool:
        """Whether the whole request was received."""
        if not self.head_bytes:
            return False
        if self.chunked:
            return self.body.endswith(b"0\r\n\r\n")
        return len(self.body) >= (self.content_length or 0)


def may_be_request(data: bytes) -> bool:
    """Return whether bytes from the start of a connection can begin a request.

    Args:
        data: what was received, at least one byte.
    """
    return _METHOD.match(data[: _MAX_METHOD + 1]) is not None


def head_end(data: bytes | bytearray, start: int = 0) -> int:
    """Return where the body begins, or -1 if the blank line was not received.

    Args:
        data: what was received.
        start: where to look from: a caller that looked before begins 3 bytes before the new ones.
    """
    match = _END.search(data, max(start, 0))
    return match.end() if match else -1


def parse(data: bytes) -> Request | None:
    """Return the request that bytes begin with, whole or not; ``None`` if they are no HTTP/1.

    Args:
        data: what was received, a few kibibytes at most.
    """
    line = _LINE.match(data)
    if line is None:
        return None
    # The line's own end may be half of the blank line: a request without fields.
    end = head_end(data, line.end() - 2)
    head = data[line.end() : end if end >= 0 else len(data)]
    lines = head.split(b"\n", MAX_FIELDS)
    if end < 0 or len(lines) > MAX_FIELDS:
        # The last line is not all there, or it is everything after the last field that is read.
        lines.pop()
    names: list[bytes] = []
    fields: dict[bytes, bytes] = {}
    for text in lines:
        name, colon, value = text.partition(b":")
        if colon and _FIELD.fullmatch(name):
            names.append(name)
            fields.setdefault(name.lower(), value.strip(b" \t\r"))
    body = data[end:] if end >= 0 else b""
    request = Request(
        method=line[1],
        target=line[2],
        version=line[3],
        names=tuple(names),
        fields=fields,
        head_bytes=max(end, 0),
        body=body,
    )
    length = request.content_length
    if length is not None and length < len(body) and not request.chunked:
        # What follows is another request on the same connection.
        return Request(
            request.method,
            request.target,
            request.version,
            request.names,
            request.fields,
            request.head_bytes,
            body[:length],
        )
    return request
