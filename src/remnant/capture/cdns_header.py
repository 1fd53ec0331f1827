"""What stands before the blocks of a C-DNS file: its version, and how its blocks were made.

References:
    RFC 8618 (C-DNS), section 7.3.1; RFC 8949 (CBOR).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

__all__ = [
    "FILE_TYPE",
    "MAX_HEADER",
    "Header",
    "Incomplete",
    "NotCdns",
    "Parameters",
    "read_header",
]

FILE_TYPE: Final = "C-DNS"

MAX_HEADER: Final = 1 << 20
"""Bytes of the longest preamble that is read."""
_MAX_DEPTH: Final = 12
_MAX_PARAMETERS: Final = 4096
_MAX_TICKS: Final = 10**12
_CLIENT_HINT: Final = 1 << 1
_BREAK: Final = object()


class Incomplete(Exception):
    """The header is cut off."""


class NotCdns(ValueError):
    """The bytes are not the beginning of a C-DNS file; the message says in which way."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """How some blocks were made.

    Attributes:
        ticks: in a second.
        flags: 1 the data is anonymised, 2 sampled, 4 names have one case.
        prefix_4: bits of IPv4 client addresses that are stored, 0 for all.
        prefix_6: the same of IPv6.
        has_clients: client addresses are stored.
        host: name of the collecting host, empty if none is stated.
        sampling: what is said of how it was sampled.
        anonymisation: what is said of how it was anonymised.
    """

    ticks: int
    flags: int
    prefix_4: int
    prefix_6: int
    has_clients: bool
    host: str
    sampling: str
    anonymisation: str


@dataclass(frozen=True, slots=True)
class Header:
    """The beginning of a file.

    Attributes:
        major: version of the format.
        minor: the same.
        parameters: of the blocks, by index.
        blocks: how many blocks follow, -1 if a break ends them.
        closed: a break ends the file as well.
        size: bytes before the first block.
    """

    major: int
    minor: int
    parameters: tuple[Parameters, ...]
    blocks: int
    closed: bool
    size: int


def read_header(data: bytes) -> Header:
    """Read the beginning of a file.

    Args:
        data: its first bytes.

    Raises:
        Incomplete: there are too few of them.
        NotCdns: they are something else.
    """
    items = _Items(data[:MAX_HEADER])
    try:
        return _header(items)
    except Incomplete:
        if len(data) >= MAX_HEADER:
            raise NotCdns("its preamble is longer than 1 MiB") from None
        raise


def _header(items: _Items) -> Header:
    outer = items.container(4)
    if outer not in {None, 3} or items.item() != FILE_TYPE:
        raise NotCdns("it does not begin as C-DNS does")
    preamble = items.item()
    if not isinstance(preamble, dict) or not all(_is_count(preamble.get(k)) for k in (0, 1)):
        raise NotCdns("it states no version")
    major, minor = preamble[0], preamble[1]
    parameters: tuple[Parameters, ...] = ()
    if major == 1:
        sets = preamble.get(3)
        if not isinstance(sets, list) or not 0 < len(sets) <= _MAX_PARAMETERS:
            raise NotCdns("it has no block parameters")
        parameters = tuple(map(_parameters, sets))
    blocks = items.container(4)
    return Header(
        major, minor, parameters, -1 if blocks is None else blocks, outer is None, items.position
    )


def _parameters(given: Any) -> Parameters:  # noqa: ANN401 - whatever the file holds
    storage = _map(_map(given).get(0))
    collection = _map(_map(given).get(1))
    ticks = _count(storage.get(0))
    if not 0 < ticks <= _MAX_TICKS:
        raise NotCdns("its block parameters state no ticks per second")
    hints: Any = _map(storage.get(2)).get(0)
    return Parameters(
        ticks=ticks,
        flags=_count(storage.get(5)),
        prefix_4=_bits(storage.get(6), 32),
        prefix_6=_bits(storage.get(7), 128),
        has_clients=not _is_count(hints) or bool(hints & _CLIENT_HINT),
        host=_text(collection.get(9)),
        sampling=_text(storage.get(10)),
        anonymisation=_text(storage.get(11)),
    )


def _is_count(value: Any) -> bool:  # noqa: ANN401 - whatever the file holds
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _count(value: Any) -> int:  # noqa: ANN401
    return value if _is_count(value) else 0


def _bits(value: Any, whole: int) -> int:  # noqa: ANN401
    return value if _is_count(value) and value < whole else 0


def _text(value: Any) -> str:  # noqa: ANN401
    text = value if isinstance(value, str) else ""
    return "".join(c if c.isprintable() else "?" for c in text[:200])


def _map(value: Any) -> dict[Any, Any]:  # noqa: ANN401
    return value if isinstance(value, dict) else {}


class _Items:
    """CBOR items one after the other, as Python values; for small data."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def container(self, major: int) -> int | None:
        """Read the head of an array or map; return its length, None if a break ends it."""
        found, value = self._head()
        if found != major:
            raise NotCdns("it does not begin as C-DNS does")
        return value

    def item(self, depth: int = 0) -> Any:  # noqa: ANN401
        """Read an item."""
        major, value = self._head()
        if major in {0, 1}:
            return value if major == 0 else -1 - _length(value)
        if major in {2, 3}:
            return self._string(major, value)
        if depth == _MAX_DEPTH:
            raise NotCdns("its preamble is nested too deeply")
        if major == 4:
            return list(self._entries(value, depth))
        if major == 5:
            flat = list(self._entries(None if value is None else 2 * value, depth))
            if len(flat) % 2:
                raise NotCdns("its preamble is not CBOR")
            pairs = zip(flat[::2], flat[1::2], strict=True)
            return {k: v for k, v in pairs if isinstance(k, int | str)}
        if major == 6:
            return self.item(depth + 1)
        return _BREAK if value is None else {20: False, 21: True}.get(value)

    def _entries(self, count: int | None, depth: int) -> Any:  # noqa: ANN401
        done = 0
        while count is None or done < count:
            value = self.item(depth + 1)
            if value is _BREAK:
                if count is not None:
                    raise NotCdns("its preamble is not CBOR")
                return
            yield value
            done += 1

    def _string(self, major: int, size: int | None) -> bytes | str:
        if size is None:
            parts = []
            while self._byte(peek=True) != 0xFF:
                inner, length = self._head()
                if inner != major:
                    raise NotCdns("its preamble is not CBOR")
                parts.append(self._take(_length(length)))
            self._byte()
            raw = b"".join(parts)
        else:
            raw = self._take(size)
        return raw if major == 2 else raw.decode("utf-8", "replace")

    def _head(self) -> tuple[int, int | None]:
        """Return (major type, value); the value is None for an indefinite length, or a break."""
        byte = self._byte()
        major, kind = byte >> 5, byte & 31
        if kind < 24:
            return major, kind
        if kind == 31 and major not in {0, 1, 6}:
            return major, None
        if kind > 27:
            raise NotCdns("its preamble is not CBOR")
        size = 1 << (kind - 24)
        (value,) = struct.unpack(f">{'BHIQ'[kind - 24]}", self._take(size))
        # A simple value or a float, which says nothing here.
        return major, 0 if major == 7 else value

    def _byte(self, *, peek: bool = False) -> int:
        if self.position == len(self._data):
            raise Incomplete
        byte = self._data[self.position]
        self.position += 0 if peek else 1
        return byte

    def _take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self._data):
            raise Incomplete
        taken = self._data[self.position : end]
        self.position = end
        return taken


def _length(value: int | None) -> int:
    if value is None:
        raise NotCdns("its preamble is not CBOR")
    return value
