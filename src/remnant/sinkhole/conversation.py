"""What is said on one connection, apart from sockets and clocks: bytes in, bytes out, facts.

The first bytes decide: a TLS ClientHello, an HTTP request, or anything else. Inside TLS they decide
once more. HTTP gets its constant reply; nothing else gets anything but the handshake.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from remnant.sinkhole import client_hello, http_request
from remnant.sinkhole.certificates import key_kind
from remnant.sinkhole.client_hello import ClientHello, State
from remnant.sinkhole.detail import bounded, of_hello, of_payload, of_request
from remnant.sinkhole.host_names import wire_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from remnant.sinkhole.certificates import Certificates
    from remnant.sinkhole.http_reply import Reply
    from remnant.sinkhole.http_request import Request

__all__ = ["MAX_PAYLOAD", "MAX_TLS", "TLS_STATE", "Conversation", "Speaker"]

MAX_PAYLOAD: Final = 4096
"""Bytes of a first payload that are read; inside TLS, of what it carries."""

MAX_TLS: Final = 24 * 1024
"""Bytes of TLS records that are read on one connection: a long ClientHello and a full payload."""

TLS_STATE: Final = 32 * 1024
"""Bytes that the TLS library is taken to need for one connection; measured: about 20 KiB."""

_MAX_REASON: Final = 64


@dataclass(frozen=True, slots=True)
class Speaker:
    """What all conversations of a sinkhole share.

    Attributes:
        certificates: what TLS is spoken with; ``None``: the handshake is not answered.
        reply_for: the reply for a wire name (empty if there is none) and a destination address.
    """

    certificates: Certificates | None
    reply_for: Callable[[bytes, bytes], Reply]


class _Payload:
    """The first bytes that a client sends, in the clear or inside TLS.

    The head of a request is read once, when all of it is there, and the whole once more at the
    end: a client that sends single bytes does not make us read them over and over.
    """

    __slots__ = ("chunked", "data", "line_read", "may_be_http", "request", "wanted")

    def __init__(self) -> None:
        self.data = bytearray()
        self.may_be_http = True
        self.line_read = False
        self.request: Request | None = None
        self.chunked = False
        self.wanted = MAX_PAYLOAD

    @property
    def room(self) -> int:
        return MAX_PAYLOAD - len(self.data)

    def add(self, data: bytes) -> bool:
        """Take bytes as far as there is room; return whether nothing more is waited for."""
        before = len(self.data)
        self.data += data[: self.room]
        if self.may_be_http and self.request is None:
            self._look(before)
        return len(self.data) >= self.wanted or (self.chunked and self._ends())

    def _ends(self) -> bool:
        assert self.request is not None
        return len(self.data) > self.request.head_bytes and self.data.endswith(b"0\r\n\r\n")

    def _look(self, before: int) -> None:
        if not self.line_read:
            if b"\n" not in self.data:
                self.may_be_http = http_request.may_be_request(bytes(self.data[:64]))
                return
            self.line_read = True
            self.may_be_http = http_request.parse(bytes(self.data)) is not None
            before = 0
        if self.may_be_http and http_request.head_end(self.data, before - 3) >= 0:
            self.request = request = http_request.parse(bytes(self.data))
            assert request is not None
            self.chunked = request.chunked
            length = 0 if request.content_length is None else request.content_length
            if not self.chunked:
                self.wanted = min(request.head_bytes + length, MAX_PAYLOAD)

    def close(self) -> None:
        """Nothing more comes: what is there is the whole."""
        if self.may_be_http:
            self.request = http_request.parse(bytes(self.data))


class _Tls:
    """The server's side of one TLS connection, in memory."""

    __slots__ = ("failure", "incoming", "outgoing", "received", "secure", "shaken")

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.secure = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.received = 0
        self.shaken = False
        self.failure: str | None = None

    def receive(self, data: bytes, room: int) -> tuple[bytes, bool]:
        """Take records; return (what they carried, at most ``room`` bytes; whether it is over)."""
        data = data[: MAX_TLS - self.received]
        self.received += len(data)
        self.incoming.write(data)
        found = bytearray()
        try:
            if not self.shaken:
                self.secure.do_handshake()
                self.shaken = True
            while len(found) < room:
                chunk = self.secure.read(room - len(found))
                if not chunk:
                    return bytes(found), True
                found += chunk
        except ssl.SSLWantReadError:
            return bytes(found), self.received >= MAX_TLS
        except ssl.SSLError as error:
            if not isinstance(error, ssl.SSLZeroReturnError):
                self.failure = (error.reason or type(error).__name__)[:_MAX_REASON]
            return bytes(found), True
        return bytes(found), True

    def close(self, data: bytes) -> bytes:
        """Return the records that carry ``data`` and say that nothing follows."""
        try:
            if data:
                self.secure.write(data)
            self.secure.unwrap()
        except ssl.SSLError:
            # The client need not answer, or the connection is in no state to be closed.
            pass
        return self.outgoing.read()


class Conversation:
    """One connection from its first byte on.

    Args:
        speaker: what all conversations share.
        destination: 16 bytes, the address that the client connected to.

    Attributes:
        done: nothing more is waited for: send what was returned, and close.
        replied: HTTP got its reply.
    """

    __slots__ = (
        "_buffer",
        "_destination",
        "_hello",
        "_payload",
        "_speaker",
        "_tls",
        "done",
        "limited",
        "replied",
    )

    def __init__(self, speaker: Speaker, destination: bytes) -> None:
        self._speaker = speaker
        self._destination = destination
        self._buffer: bytes | None = b""  # until the first bytes decide
        self._hello: ClientHello | None = None
        self._tls: _Tls | None = None
        self._payload = _Payload()
        self.done = False
        self.replied = False
        self.limited = False

    def receive(self, data: bytes, *, tls_room: bool = True) -> bytes:
        """Take what the client sent; return what is to be sent to it.

        Args:
            data: at least one byte.
            tls_room: there is memory for the state of a TLS connection.
        """
        if self.done:
            return b""
        if self._tls is not None:
            return self._secured(data)
        if self._buffer is None:
            return self._finish() if self._payload.add(data) else b""
        self._buffer += data
        if not client_hello.may_be_tls(self._buffer):
            return self._in_the_clear()
        hello = client_hello.parse(self._buffer)
        if isinstance(hello, ClientHello):
            return self._greeted(hello, tls_room=tls_room)
        if hello is State.BAD or len(self._buffer) >= MAX_TLS:
            return self._in_the_clear()
        return b""

    def end(self) -> bytes:
        """The client sends nothing more, or its time is up; return what is to be sent to it."""
        if self.done:
            return b""
        if self._buffer:
            payload, self._buffer = self._buffer, None
            self._payload.add(payload)
        return self._finish()

    @property
    def held(self) -> int:
        """Bytes of memory that the conversation holds, about."""
        return (
            len(self._buffer or b"")
            + len(self._payload.data)
            + (TLS_STATE if self._tls is not None else 0)
        )

    @property
    def undecided(self) -> bool:
        """Whether a protocol is under way whose end is known; else quiet means the end."""
        if self._buffer is not None or (self._tls is not None and not self._tls.shaken):
            return True
        return self._payload.may_be_http

    @property
    def proof(self) -> Literal["tcp", "tls", "http"]:
        """How sure the source is: what was spoken."""
        if self._payload.request is not None:
            return "http"
        return "tls" if self._tls is not None and self._tls.shaken else "tcp"

    @property
    def greeted(self) -> bool:
        """Whether a ClientHello was read."""
        return self._hello is not None

    @property
    def shaken(self) -> bool:
        """Whether a TLS handshake was completed."""
        return self._tls is not None and self._tls.shaken

    @property
    def name(self) -> bytes:
        """The wire name of the HTTP host, else of the TLS server name; empty if neither is one."""
        request = self._payload.request
        found = request.name if request is not None else b""
        if not found and self._hello is not None:
            found = wire_name(self._hello.server_name)
        return found

    def detail(self) -> dict[str, object]:
        """Return the facts, bounded."""
        request = self._payload.request
        facts = of_request(request) if request else of_payload(bytes(self._payload.data))
        if self._hello is not None:
            facts |= of_hello(self._hello)
            facts["tls_handshake"] = self.shaken
        if self._tls is not None:
            cipher = self._tls.secure.cipher()
            if self._tls.shaken and cipher is not None:
                facts["tls_version"] = self._tls.secure.version()
                facts["tls_cipher"] = cipher[0]
            facts["tls_failure"] = self._tls.failure
        return bounded(facts)

    def _in_the_clear(self) -> bytes:
        data, self._buffer = self._buffer or b"", None
        return self._finish() if self._payload.add(data) else b""

    def _greeted(self, hello: ClientHello, *, tls_room: bool) -> bytes:
        self._hello = hello
        data, self._buffer = self._buffer or b"", None
        certificates = self._speaker.certificates
        if certificates is None or not tls_room:
            self.limited = not tls_room
            self.done = True
            return b""
        self._tls = _Tls(certificates.context(hello.server_name, key_kind(hello)))
        return self._secured(data)

    def _secured(self, data: bytes) -> bytes:
        assert self._tls is not None
        carried, over = self._tls.receive(data, self._payload.room)
        finished = self._payload.add(carried) if carried else False
        if finished or over:
            return self._finish()
        return self._tls.outgoing.read()

    def _finish(self) -> bytes:
        self.done = True
        self._payload.close()
        reply = b""
        request = self._payload.request
        if request is not None and (request.head_bytes or not self._payload.room):
            reply = self._speaker.reply_for(self.name, self._destination).to(request.method)
            self.replied = True
        return reply if self._tls is None else self._tls.close(reply)
