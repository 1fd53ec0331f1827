"""The DNS message as kernels see it: bytes in, numbers and name text out, never an exception.

Every read is bounded by the positions it is given, whatever the bytes say.

References:
    RFC 1035 (messages and names), RFC 6891 (EDNS), RFC 7871 (client subnet).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numba import njit

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["MAX_LABELS", "Bytes", "Int", "Word", "fold_byte", "labels"]

Int: TypeAlias = Any
"""A whole number inside a kernel (int64): a Python int or a NumPy scalar outside."""

Word: TypeAlias = Any
"""64 bits inside a kernel (uint64)."""

Bytes: TypeAlias = "npt.NDArray[np.uint8]"

MAX_LABELS: Final = 128
"""Labels that a name of 255 bytes can hold, and the root."""


@njit(cache=True, nogil=True, inline="always")
def fold_byte(byte: Int) -> Int:
    """Return an ASCII capital in lower case, any other byte unchanged."""
    return byte + 32 if 65 <= byte <= 90 else byte


@njit(cache=True, nogil=True)
def labels(buffer: Bytes, start: Int, stop: Int, starts: npt.NDArray[np.int64]) -> Int:
    """Find the labels of an uncompressed wire name.

    Args:
        buffer: holds the name.
        start: where it begins.
        stop: where the bytes that may be read end.
        starts: filled with the position of each label's length byte, and of the root (int64, at
            least 129 long).

    Returns:
        How many labels it has (0 for the root), or -1: cut off, a label over 63 bytes, or a name
        over 255 bytes.
    """
    position = start
    count = 0
    limit = min(stop, start + 255)
    while position < limit:
        length = np.int64(buffer[position])
        starts[count] = position
        if length == 0:
            return count
        if length > 63:
            return -1
        position += length + 1
        count += 1
    return -1
