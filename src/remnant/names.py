r"""Domain names as DNS compares them.

One form inside Remnant, *folded text*: ASCII letters in lower case, no trailing dot, the root as
``.``, a dot or backslash inside a label escaped by a backslash, any other byte outside printable
ASCII as ``\DDD`` (RFC 1035 section 5.1, RFC 4343). Internationalised names are in their A-label
form (RFC 5890). Two names are equal in DNS exactly if their folded texts are equal.
"""

from __future__ import annotations

from typing import Final

from remnant.errors import RemnantError

__all__ = ["NameSyntaxError", "fold", "is_below", "labels_of", "text_to_wire", "wire_to_text"]

MAX_WIRE: Final = 255
MAX_LABEL: Final = 63


class NameSyntaxError(RemnantError):
    """A text that is not a domain name."""


def fold(text: str) -> str:
    r"""Return the folded text of a domain name as a person or a log writes it.

    Accepts upper case, a trailing dot, ``\DDD`` and ``\X`` escapes, and Unicode labels (converted
    by IDNA 2008 with the UTS 46 mapping).

    Raises:
        NameSyntaxError: empty or over-long labels or names, or not a valid internationalised name.

    >>> fold("NS1.TimeDate1.COM.")
    'ns1.timedate1.com'
    >>> fold("bücher.example")
    'xn--bcher-kva.example'
    """
    return wire_to_text(text_to_wire(text))


def labels_of(text: str) -> list[bytes]:
    r"""Return the labels of a name, leftmost first, escapes resolved, ASCII letters folded."""
    if not text.isascii():
        text = _to_ascii(text)
    if text in {"", "."}:
        if text == "":
            raise NameSyntaxError("the name is empty", got=text)
        return []
    raw = text.encode("ascii")
    if b"\\" not in raw:
        labels = raw.lower().split(b".")
        if labels[-1] == b"":
            labels.pop()
    else:
        labels = _split_escaped(raw, text)
    for label in labels:
        if not label:
            raise NameSyntaxError("a label is empty", got=text)
        if len(label) > MAX_LABEL:
            raise NameSyntaxError("a label is longer than 63 bytes", got=text)
    if sum(len(label) + 1 for label in labels) + 1 > MAX_WIRE:
        raise NameSyntaxError("the name is longer than 255 bytes", got=text)
    return labels


def text_to_wire(text: str) -> bytes:
    r"""Return the uncompressed wire form, folded to lower case, with the root label.

    >>> text_to_wire("Evil.COM")
    b'\x04evil\x03com\x00'
    """
    return b"".join(bytes((len(label),)) + label for label in labels_of(text)) + b"\0"


def wire_to_text(wire: bytes) -> str:
    """Return the folded text of an uncompressed wire name.

    Raises:
        NameSyntaxError: the bytes are not one complete uncompressed name.
    """
    labels = []
    position = 0
    while True:
        if position >= len(wire):
            raise NameSyntaxError("the wire name ends early", got=wire.hex())
        length = wire[position]
        if length == 0:
            break
        if length > MAX_LABEL:
            raise NameSyntaxError("a label is longer than 63 bytes", got=wire.hex())
        label = wire[position + 1 : position + 1 + length]
        if len(label) != length:
            raise NameSyntaxError("the wire name ends early", got=wire.hex())
        labels.append(_label_text(label))
        position += 1 + length
    if position + 1 != len(wire):
        raise NameSyntaxError("bytes follow the wire name", got=wire.hex())
    return ".".join(labels) or "."


def is_below(name: str, parent: str) -> bool:
    r"""Return whether a folded name equals a folded parent or lies below it.

    >>> is_below("notevil.com", "evil.com"), is_below(r"not\.evil.com", "evil.com")
    (False, False)
    """
    if not name.endswith("." + parent):
        return parent in {".", name}
    if "\\" not in name:
        return True
    # A dot after an odd number of backslashes is part of a label.
    head = name[: -len(parent) - 1]
    return (len(head) - len(head.rstrip("\\"))) % 2 == 0


def _label_text(label: bytes) -> str:
    out = []
    for byte in label.lower():
        if byte in b".\\":
            out.append("\\" + chr(byte))
        elif 0x21 <= byte <= 0x7E:
            out.append(chr(byte))
        else:
            out.append(f"\\{byte:03d}")
    return "".join(out)


def _split_escaped(raw: bytes, text: str) -> list[bytes]:
    labels = [bytearray()]
    position = 0
    while position < len(raw):
        byte = raw[position]
        if byte == 0x5C:
            digits = raw[position + 1 : position + 4]
            if len(digits) == 3 and digits.isdigit():
                value = int(digits)
                if value > 255:
                    raise NameSyntaxError("an escape is above 255", got=text)
                labels[-1].append(value)
                position += 4
            elif position + 1 < len(raw) and not raw[position + 1 : position + 2].isdigit():
                labels[-1].append(raw[position + 1])
                position += 2
            else:
                raise NameSyntaxError("a backslash escape is incomplete", got=text)
        elif byte == 0x2E:
            labels.append(bytearray())
            position += 1
        else:
            labels[-1].append(byte)
            position += 1
    if not labels[-1]:
        labels.pop()
    return [bytes(label).lower() for label in labels]


def _to_ascii(text: str) -> str:
    import idna  # noqa: PLC0415 - tables of 300 kB, needed for few names

    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise NameSyntaxError(
            "not a valid internationalised name", got=text, expected=str(error)
        ) from None
