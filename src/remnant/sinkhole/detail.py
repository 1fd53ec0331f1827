r"""Facts about a connection, as the bounded mapping that becomes the JSON of column ``detail``.

Every text is printable ASCII: a byte that is not, and the backslash, stand as ``\xNN``. Facts that
do not fit are left out, the less telling ones first.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from remnant.sinkhole.client_hello import version_name
from remnant.sinkhole.fingerprints import ja3, ja4

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remnant.sinkhole.client_hello import ClientHello
    from remnant.sinkhole.http_request import Request

__all__ = [
    "KEYS",
    "MAX_DETAIL",
    "MAX_TEXT",
    "bounded",
    "of_hello",
    "of_payload",
    "of_request",
    "shown",
]

MAX_TEXT: Final = 256
"""Characters of one fact."""

MAX_DETAIL: Final = 2048
"""Bytes of all facts about one connection, as JSON."""

KEYS: Final = (
    "method",
    "target",
    "host",
    "user_agent",
    "sni",
    "ja3",
    "ja4",
    "tls_handshake",
    "tls_version",
    "tls_cipher",
    "tls_failure",
    "tls_offered",
    "alpn",
    "http_version",
    "content_length",
    "body_bytes",
    "body_sha256",
    "incomplete",
    "payload_bytes",
    "payload_sha256",
    "payload_head",
    "referer",
    "x_forwarded_for",
    "via",
    "header_order",
)
"""Every fact, the most telling first; what does not fit is left out from the end."""

_MAX_PROTOCOLS: Final = 8
_MAX_PROTOCOL: Final = 32
_HEAD_BYTES: Final = 128
_FIELDS: Final = (
    ("user_agent", b"user-agent"),
    ("referer", b"referer"),
    ("x_forwarded_for", b"x-forwarded-for"),
    ("via", b"via"),
)


def shown(data: bytes, limit: int = MAX_TEXT) -> str:
    r"""Return bytes of strangers as printable ASCII, at most ``limit`` characters.

    >>> shown(b"caf\xe9\r\n")
    'caf\\xe9\\x0d\\x0a'
    """
    text = data[:limit].decode("latin-1")
    if not (text.isascii() and text.isprintable()) or "\\" in text:
        text = "".join(
            char if " " <= char <= "~" and char != "\\" else f"\\x{ord(char):02x}" for char in text
        )
    return text[:limit]


def bounded(facts: Mapping[str, object]) -> dict[str, object]:
    """Return the facts that are not empty and fit into ``MAX_DETAIL`` bytes of JSON.

    ``cut`` is true among them where one did not fit.
    """
    kept: dict[str, object] = {}
    size = len('{"cut": true}')
    for key in KEYS:
        value = facts.get(key)
        if value is None or value in ("", []):
            continue
        # Comma and space, colon and space, as json.dumps writes them by default.
        needed = len(json.dumps(key)) + len(json.dumps(value)) + 4
        if size + needed <= MAX_DETAIL:
            kept[key] = value
            size += needed
        else:
            kept["cut"] = True
    return kept


def of_request(request: Request) -> dict[str, object]:
    """Return what is kept of an HTTP request: the telling facts first."""
    facts: dict[str, object] = {
        "method": shown(request.method),
        "target": shown(request.target),
        "host": shown(request.fields.get(b"host", b"")),
    }
    facts |= {key: shown(request.fields.get(field, b"")) for key, field in _FIELDS}
    facts["http_version"] = request.version.decode("ascii")
    facts["content_length"] = request.content_length
    if request.body:
        facts["body_bytes"] = len(request.body)
        facts["body_sha256"] = hashlib.sha256(request.body).hexdigest()
    if not request.complete:
        facts["incomplete"] = True
    facts["header_order"] = shown(b",".join(request.names))
    return facts


def of_payload(payload: bytes) -> dict[str, object]:
    """Return what is kept of a first payload that is no HTTP."""
    if not payload:
        return {}
    return {
        "payload_bytes": len(payload),
        "payload_sha256": hashlib.sha256(payload).hexdigest(),
        "payload_head": shown(payload[:_HEAD_BYTES]),
    }


def of_hello(hello: ClientHello) -> dict[str, object]:
    """Return what is kept of a ClientHello."""
    return {
        "sni": shown(hello.server_name),
        "tls_offered": [version_name(version) for version in hello.offered[:_MAX_PROTOCOLS]],
        "ja3": ja3(hello),
        "ja4": ja4(hello),
        "alpn": [shown(name, _MAX_PROTOCOL) for name in hello.alpn[:_MAX_PROTOCOLS]],
    }
