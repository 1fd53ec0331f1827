r"""The DNS message as kernels see it: bytes in, numbers and name text out, never an exception.

Every read is bounded by the positions it is given, whatever the bytes say, and every loop by the
length of the message. A kernel answers a negative number where the bytes are not what they should
be. Names are *in place* (uncompressed, in the message) or resolved into a scratch array.

References:
    RFC 1035 (messages and names), RFC 4343 (case), RFC 6891 (EDNS), RFC 7871 (client subnet).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import numba
import numpy as np
import platformdirs
from numba import int64, njit

from remnant.compiling import LINKED, compiled_once
from remnant.startup import kernel_folder, without

_CONFIG: Final[Any] = numba.config
if not _CONFIG.CACHE_DIR:
    _CONFIG.CACHE_DIR = kernel_folder(platformdirs.user_cache_path("remnant") / "kernels")

with without("scipy.linalg"):
    # What loads SciPy for kernels that multiply matrices; no kernel here does.
    import numba.np.arraymath

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

__all__ = [
    "AAAA",
    "ANCOUNT",
    "END",
    "FIELDS",
    "FLAGS",
    "IDENT",
    "IN_PLACE",
    "LABELS",
    "MAX_LABELS",
    "MAX_MESSAGE",
    "MAX_WIRE",
    "OPT",
    "QCLASS",
    "QDCOUNT",
    "QTYPE",
    "A",
    "Bytes",
    "Int",
    "Word",
    "case_bits",
    "client_subnet",
    "compiled",
    "copy_folded",
    "edns",
    "fold_byte",
    "has_other_owner",
    "inlined",
    "kernel",
    "kernels_are_new",
    "labels",
    "name_text",
    "names_to_text",
    "question",
    "read_name",
    "record",
    "skip_name",
    "ttl",
    "u16",
]

_Function = TypeVar("_Function", bound="Callable[..., Any]")

if TYPE_CHECKING:

    def kernel(function: _Function) -> _Function:
        """Decorate a kernel: compiled, cached, no interpreter lock, no memory of its own."""

    def inlined(function: _Function) -> _Function:
        """Decorate a kernel that becomes part of its callers."""

    def compiled(function: _Function) -> _Function:
        """Decorate what is compiled and cached as a kernel is, and may make arrays."""

else:
    # A kernel works on arrays that its caller made and cannot allocate. So Numba need not count
    # references to arrays, which would cost more than reading a message does.
    kernel = compiled_once(_CONFIG.CACHE_DIR, cache=True, nogil=True, _nrt=False)
    compiled = compiled_once(_CONFIG.CACHE_DIR, cache=True, nogil=True)
    # Where kernels are linked, LLVM can do it, which takes a fraction of Numba's time: that reads
    # and types the same lines again in each caller.
    inlined = (
        compiled_once(_CONFIG.CACHE_DIR, cache=True, nogil=True, _nrt=False, forceinline=True)
        if LINKED
        else njit(cache=True, nogil=True, _nrt=False, inline="always")
    )


def kernels_are_new() -> bool:
    """Return whether no kernel of this source was compiled on this machine yet."""
    if not _CONFIG.CACHE_DIR:
        return False
    try:
        # Folders are made at import already; a compiled kernel has an index.
        return not any(Path(_CONFIG.CACHE_DIR).glob("*/*.nbi"))
    except OSError:
        return False


Int: TypeAlias = Any
"""A whole number inside a kernel (int64): a Python int or a NumPy scalar outside."""

Word: TypeAlias = Any
"""64 bits inside a kernel (uint64)."""

Bytes: TypeAlias = "npt.NDArray[np.uint8]"

MAX_WIRE: Final = 255
"""Bytes of the longest name, the root label included."""

MAX_LABELS: Final = 128
"""Labels that a name of 255 bytes can hold, and the root."""

MAX_MESSAGE: Final = 65_535
"""Bytes of the longest message: TCP states its length in 16 bits."""

A: Final = 1
OPT: Final = 41
AAAA: Final = 28

# What ``question`` writes: positions in an int64 array of FIELDS numbers.
IDENT: Final = 0
FLAGS: Final = 1
QDCOUNT: Final = 2
ANCOUNT: Final = 3
NSCOUNT: Final = 4
ARCOUNT: Final = 5
QTYPE: Final = 6
QCLASS: Final = 7
END: Final = 8
LABELS: Final = 9
IN_PLACE: Final = 10
FIELDS: Final = 12

_HEADER_BYTES: Final = 12
_POINTER: Final = 0xC0
_QUESTION_NAME: Final = 0xC00C
"""A pointer to the first question's name."""
_CLIENT_SUBNET: Final = 8
_CASE_LETTERS: Final = 63


@inlined
def fold_byte(byte: Int) -> Int:
    """Return an ASCII capital in lower case, any other byte unchanged."""
    return byte + 32 if 65 <= byte <= 90 else byte


@inlined
def u16(buffer: Bytes, position: Int) -> Int:
    """Return the big-endian number in two bytes."""
    return (int64(buffer[position]) << 8) | int64(buffer[position + 1])


@kernel
def labels(buffer: Bytes, start: Int, stop: Int, starts: npt.NDArray[np.int64]) -> Int:
    """Find the labels of an uncompressed wire name.

    Args:
        buffer: holds the name.
        start: where it begins.
        stop: where the bytes that may be read end.
        starts: filled with the position of each label's length byte, and of the root (int64, at
            least 129 long).

    Returns:
        How many labels it has (0 for the root), or -1: cut off, a label over 63 bytes (a
        compression pointer is one), or a name over 255 bytes.
    """
    position = start
    count = 0
    limit = min(stop, start + MAX_WIRE)
    while position < limit:
        length = int64(buffer[position])
        starts[count] = position
        if length == 0:
            return count
        if length > 63:
            return -1
        position += length + 1
        count += 1
    return -1


@kernel
def read_name(
    buffer: Bytes,
    message: Int,
    start: Int,
    stop: Int,
    scratch: Bytes,
    starts: npt.NDArray[np.int64],
) -> tuple[Int, Int]:
    """Resolve a name that may be compressed into ``scratch``.

    What a pointer points to must stand as a whole before the labels that led to it, so that loops
    cannot be written. Nor can long detours: a name follows at most as many pointers as it can have
    labels.

    Args:
        buffer: holds the message.
        message: where the message begins: pointers count from here.
        start: where the name begins.
        stop: where the message ends.
        scratch: uint8[256], filled with the uncompressed name, case kept.
        starts: as in ``labels``, positions in ``scratch``.

    Returns:
        (labels, where the bytes after the name begin); labels is -1 if this is not a name.
    """
    position: Int = start
    lowest: Int = start
    limit: Int = stop
    after: Int = int64(-1)
    size: Int = 0
    count = 0
    pointers = 0
    while position < limit:
        length = int64(buffer[position])
        if length >= _POINTER:
            pointers += 1
            if position + 1 >= limit or pointers > MAX_LABELS:
                break
            target: Int = message + (u16(buffer, position) & 0x3FFF)
            if target >= lowest:
                break
            if after < 0:
                after = position + 2
            limit = lowest
            lowest = position = target
            continue
        if length > 63 or size + length + 1 > MAX_WIRE or position + length >= limit:
            break
        starts[count] = size
        for i in range(length + 1):
            scratch[size + i] = buffer[position + i]
        position += length + 1
        size += length + 1
        if length == 0:
            return count, position if after < 0 else after
        count += 1
    return -1, start


@kernel
def skip_name(buffer: Bytes, start: Int, stop: Int) -> Int:
    """Return where the bytes after a name begin, or -1; pointers are stepped over."""
    position = start
    while position < stop:
        length = int64(buffer[position])
        if length == 0:
            return position + 1
        if length >= _POINTER:
            return position + 2 if position + 2 <= stop else -1
        if length > 63:
            return -1
        position += length + 1
    return -1


@kernel
def question(
    buffer: Bytes,
    message: Int,
    stop: Int,
    scratch: Bytes,
    starts: npt.NDArray[np.int64],
    out: npt.NDArray[np.int64],
) -> Int:
    """Read the header and the first question of a message.

    Args:
        buffer: holds the message.
        message: where it begins.
        stop: where it ends.
        scratch: uint8[256] for a name that is compressed.
        starts: as in ``labels``: positions in ``buffer`` if ``out[IN_PLACE]``, else in ``scratch``.
        out: int64[FIELDS]; ``out[LABELS]`` is -1 where the message has no question, and
            ``out[END]`` is where the bytes after the question begin.

    Returns:
        0, or what is wrong: 1 the header is cut off, 2 the name is not a name, 3 the question is
        cut off.
    """
    if stop - message < _HEADER_BYTES:
        return 1
    for i in range(6):
        out[i] = u16(buffer, message + 2 * i)
    start = message + _HEADER_BYTES
    out[LABELS] = -1
    out[END] = start
    if out[QDCOUNT] == 0:
        return 0
    count = labels(buffer, start, stop, starts)
    out[IN_PLACE] = 1
    if count >= 0:
        end = starts[count] + 1
    else:
        out[IN_PLACE] = 0
        count, end = read_name(buffer, message, start, stop, scratch, starts)
        if count < 0:
            return 2
    if end + 4 > stop:
        return 3
    out[QTYPE] = u16(buffer, end)
    out[QCLASS] = u16(buffer, end + 2)
    out[LABELS] = count
    out[END] = end + 4
    return 0


@kernel
def record(buffer: Bytes, start: Int, stop: Int) -> tuple[Int, Int, Int]:
    """Return (type, where the data begins, where it ends) of a resource record.

    The type is -1 where the record is cut off.
    """
    fixed = skip_name(buffer, start, stop)
    if fixed < 0 or fixed + 10 > stop:
        return -1, stop, stop
    data = fixed + 10
    end = data + u16(buffer, fixed + 8)
    if end > stop:
        return -1, stop, stop
    return u16(buffer, fixed), data, end


@inlined
def ttl(buffer: Bytes, data: Int) -> Int:
    """Return the TTL of a record whose data begins at ``data``, in seconds.

    References:
        RFC 2181 section 8 (with the highest bit set it counts as 0).
    """
    value = (u16(buffer, data - 6) << 16) | u16(buffer, data - 4)
    return value if value < 1 << 31 else int64(0)


@kernel
def has_other_owner(buffer: Bytes, stop: Int, fields: npt.NDArray[np.int64]) -> bool:
    """Return whether a response may have a record whose owner is not its question's name.

    Args:
        buffer: holds the message.
        stop: where it ends.
        fields: what ``question`` wrote.

    An owner is taken for the question's only if it is written as a pointer to it, as servers do.
    """
    position = fields[END]
    for _ in range(fields[ANCOUNT] + fields[NSCOUNT] + fields[ARCOUNT]):
        if stop - position < 12:
            return False
        first = u16(buffer, position)
        if first == _QUESTION_NAME:
            position += 12 + u16(buffer, position + 10)
        elif first >> 8 == 0 and u16(buffer, position + 1) == OPT:
            position += 11 + u16(buffer, position + 9)
        else:
            return True
    return False


@kernel
def edns(
    buffer: Bytes, stop: Int, fields: npt.NDArray[np.int64], subnet: Bytes
) -> tuple[Int, bool]:
    """Find what the OPT record of a message says.

    Args:
        buffer: holds the message.
        stop: where the message ends.
        fields: what ``question`` wrote.
        subnet: uint8[17]; if the message carries a client subnet of at least one bit, filled with
            the network's 16 address bytes (IPv4 as ``::ffff:a.b.c.d``) and its length in bits of
            those 16.

    Returns:
        (response code with its upper bits, whether ``subnet`` was filled).
    """
    code = fields[FLAGS] & 15
    position = fields[END]
    if fields[QDCOUNT] > 1:
        # More than one question has no meaning (RFC 9619); what follows is not looked at.
        return code, False
    before = fields[ANCOUNT] + fields[NSCOUNT]
    for i in range(before + fields[ARCOUNT]):
        kind, data, end = record(buffer, position, stop)
        if kind < 0:
            break
        if i >= before and kind == OPT:
            code |= int64(buffer[data - 6]) << 4
            return code, client_subnet(buffer, data, end, subnet)
        position = end
    return code, False


@kernel
def client_subnet(buffer: Bytes, start: Int, stop: Int, subnet: Bytes) -> bool:
    """Find the client subnet among the options of an OPT record; return whether there is one.

    Args:
        buffer: holds the options.
        start: where they begin.
        stop: where they end.
        subnet: uint8[17], filled as in ``edns``.
    """
    position = start
    while position + 4 <= stop:
        code = u16(buffer, position)
        data = position + 4
        end = data + u16(buffer, position + 2)
        if end > stop:
            return False
        if code == _CLIENT_SUBNET and end - data >= 4:
            family = u16(buffer, data)
            bits = int64(buffer[data + 2])
            first = 12 if family == 1 else 0
            size = (bits + 7) // 8
            known = (family == 1 and bits <= 32) or (family == 2 and bits <= 128)
            if not known or bits == 0 or end - data - 4 < size:
                return False
            for i in range(subnet.size):
                subnet[i] = 0
            if family == 1:
                subnet[10] = subnet[11] = 0xFF
            for i in range(size):
                subnet[first + i] = buffer[data + 4 + i]
            if bits % 8:
                last = first + size - 1
                subnet[last] = subnet[last] & ((0xFF << (8 - bits % 8)) & 0xFF)
            subnet[16] = 8 * first + bits
            return True
        position = end
    return False


@kernel
def copy_folded(buffer: Bytes, start: Int, stop: Int, target: Bytes, position: Int) -> None:
    """Copy a name folded; label lengths are below the letters, so they stay as they are."""
    for i in range(stop - start):
        target[position + i] = fold_byte(buffer[start + i])


@kernel
def case_bits(buffer: Bytes, starts: npt.NDArray[np.int64], count: Int) -> Int:
    """Return which letters of a name are capitals.

    Bit i stands for the i-th ASCII letter, leftmost first; letters after the 63rd have none.
    """
    bits = int64(0)
    letter = int64(0)
    for label in range(count):
        for i in range(starts[label] + 1, starts[label + 1]):
            byte = int64(buffer[i])
            if 97 <= byte <= 122:
                letter += 1
            elif 65 <= byte <= 90:
                bits |= int64(1) << letter
                letter += 1
            if letter >= _CASE_LETTERS:
                return bits
    return bits


@kernel
def name_text(buffer: Bytes, starts: npt.NDArray[np.int64], count: Int, out: Bytes, at: Int) -> Int:
    """Write the folded text of an uncompressed name from ``out[at]`` on; return where it ends.

    Args:
        buffer: holds the name.
        starts: as ``labels`` writes them.
        count: how many labels it has.
        out: takes the text, at most 4 times the bytes of the name.
        at: where the text begins.
    """
    if count == 0:
        out[at] = 46
        return at + 1
    for label in range(count):
        if label > 0:
            out[at] = 46
            at += 1
        for i in range(starts[label] + 1, starts[label + 1]):
            at = _write_byte(out, at, fold_byte(int64(buffer[i])))
    return at


@kernel
def _write_byte(out: Bytes, at: Int, byte: Int) -> Int:
    """Write one byte of a label, escaped where it must be; return the position after it."""
    size = _text_size(byte)
    if size == 1:
        out[at] = byte
        return at + 1
    out[at] = 92
    if size == 2:
        out[at + 1] = byte
    else:
        out[at + 1] = 48 + byte // 100
        out[at + 2] = 48 + byte // 10 % 10
        out[at + 3] = 48 + byte % 10
    return at + size


@kernel
def _text_size(byte: Int) -> Int:
    if byte == 46 or byte == 92:  # noqa: PLR1714 - a set would be built for every byte
        return 2
    return 1 if 0x21 <= byte <= 0x7E else 4


@kernel
def _write_texts(
    buffer: Bytes,
    offsets: npt.NDArray[np.int64],
    out_offsets: npt.NDArray[np.int64],
    out: Bytes,
) -> None:
    """Write texts end to end."""
    at = 0
    for row in range(offsets.size - 1):
        out_offsets[row] = at
        position = offsets[row]
        stop = min(offsets[row + 1], buffer.size)
        begin = at
        while position < stop:
            length = int64(buffer[position])
            if length == 0:
                break
            if at > begin:
                out[at] = 46
                at += 1
            for i in range(position + 1, min(position + 1 + length, stop)):
                at = _write_byte(out, at, fold_byte(int64(buffer[i])))
            position += length + 1
        if at == begin:
            out[at] = 46
            at += 1
    out_offsets[offsets.size - 1] = at


def names_to_text(
    buffer: Bytes, offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], Bytes]:
    """Return the folded text of wire names, exactly as ``names.wire_to_text`` writes it.

    Args:
        buffer: uncompressed wire names, as ``labels`` accepts them, end to end.
        offsets: int64[n + 1]: name i is ``buffer[offsets[i]:offsets[i + 1]]``.

    Returns:
        (int64[n + 1] offsets, the ASCII text they point into).
    """
    out_offsets = np.zeros(offsets.size, np.int64)
    # As long as it could be, were each byte one of those that are written with an escape: what is
    # not written to takes no memory.
    bound = offsets.size + 4 * int(np.maximum(np.diff(offsets), 0).sum())
    out = np.empty(bound, np.uint8)
    _write_texts(buffer, offsets, out_offsets, out)
    return out_offsets, out[: int(out_offsets[-1])]
