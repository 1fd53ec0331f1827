"""Host names as bots send them: in HTTP's Host and in TLS server names.

References:
    RFC 952 and RFC 1123 section 2.1 (host names), RFC 9110 section 7.2 (Host), RFC 6066 section 3
    (server name).
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["host_of", "wire_name"]

_MAX_NAME: Final = 253
"""Longest name as text, without a trailing dot: 255 bytes on the wire."""

_LABEL: Final = re.compile(rb"[0-9A-Za-z_](?:[0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?")
"""A label as hosts have them, and underscores, which bots and browsers let pass."""


def host_of(value: bytes) -> bytes:
    """Return a Host value without its port; brackets of an IPv6 address stay.

    >>> host_of(b"Evil.Example:8080")
    b'Evil.Example'
    """
    value = value.strip(b" \t")
    if value.startswith(b"["):
        return value[: value.find(b"]") + 1]
    return value.partition(b":")[0]


def wire_name(host: bytes) -> bytes:
    r"""Return a host name in uncompressed wire form, its case kept; empty if it is none.

    An address is no name, and a name whose last label is a number would be read as one.

    >>> wire_name(b"Evil.Example.")
    b'\x04Evil\x07Example\x00'
    >>> wire_name(b"192.0.2.1")
    b''
    """
    name = host[:-1] if host.endswith(b".") else host
    if not name or len(name) > _MAX_NAME:
        return b""
    labels = name.split(b".")
    if labels[-1].isdigit() or not all(_LABEL.fullmatch(label) for label in labels):
        return b""
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
