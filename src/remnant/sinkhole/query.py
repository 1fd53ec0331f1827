"""What a DNS query holds, as far as the sinkhole must know.

References:
    RFC 1035 section 4.1, RFC 6891 section 6.1 (one OPT record), RFC 8945 section 5.2 (TSIG).
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["HEADER_BYTES", "Additional", "read_name", "read_records"]

HEADER_BYTES: Final = 12

_MAX_NAME: Final = 255
_MAX_LABEL: Final = 63
_POINTER: Final = 0xC0
_OPT: Final = 41
_TSIG: Final = 250
_FIXED_BYTES: Final = 10
"""Type, class, time to live and length of a record."""


class Additional(NamedTuple):
    """What the records after a question hold.

    Attributes:
        opt: where the OPT record's class begins; 0 if there is none.
        options: its data.
        signed: the last record is a TSIG.
    """

    opt: int
    options: bytes
    signed: bool

    def fixed(self, message: bytes) -> tuple[int, int, int]:
        """Return (UDP payload size, EDNS version, 0x80 if DO is set) of the OPT record."""
        at = self.opt
        return message[at] << 8 | message[at + 1], message[at + 3], message[at + 4] & 0x80


_NOTHING: Final = Additional(0, b"", False)


def read_name(message: bytes, position: int) -> list[int] | None:
    """Return where each label of an uncompressed name begins, the root last.

    Returns:
        ``None`` if the name is cut off, longer than 255 bytes, or has a label over 63 bytes, as
        which a pointer counts.
    """
    stop = min(len(message), position + _MAX_NAME)
    starts = []
    while position < stop:
        length = message[position]
        starts.append(position)
        if not length:
            return starts
        if length > _MAX_LABEL:
            return None
        position += length + 1
    return None


def read_records(message: bytes, position: int, before: int, additional: int) -> Additional | None:
    """Return what the records from ``position`` to the end of a message hold.

    Args:
        message: the query.
        position: where the question ends.
        before: how many records answer and authority section have.
        additional: how many the additional section has.

    Returns:
        ``None`` if a record is cut off or bytes follow the last, if an OPT record is a second one,
        is in another section or is not the root's, or if a TSIG is not the message's last record.
    """
    stop = len(message)
    if not (before or additional):
        return _NOTHING if position == stop else None
    opt = 0
    options = b""
    signed = False
    for index in range(before + additional):
        owner = position
        position = _after_name(message, position, stop)
        data = position + _FIXED_BYTES
        if signed or position < 0 or data > stop:
            return None
        kind = message[position] << 8 | message[position + 1]
        end = data + (message[data - 2] << 8 | message[data - 1])
        if end > stop:
            return None
        if kind == _OPT:
            if opt or index < before or message[owner]:
                return None
            opt = position + 2
            options = message[data:end]
        elif kind == _TSIG:
            if index < before:
                return None
            signed = True
        position = end
    return Additional(opt, options, signed) if position == stop else None


def _after_name(message: bytes, position: int, stop: int) -> int:
    """Return where the bytes after a name begin, or -1; what a pointer points to is not read."""
    while position < stop:
        length = message[position]
        if not length:
            return position + 1
        if length >= _POINTER:
            return position + 2 if position + 2 <= stop else -1
        if length > _MAX_LABEL:
            return -1
        position += length + 1
    return -1
