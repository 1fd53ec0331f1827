"""How many texts of a column differ, closely enough to choose a way by, and fast.

Each text sets one bit of many, by its hash; how many bits stay unset tells how many texts there
were. To count them exactly takes ten times as long.

References:
    K.-Y. Whang, B. T. Vander-Zanden, H. M. Taylor: A Linear-Time Probabilistic Counting Algorithm
    for Database Applications. ACM TODS 15, 1990.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import uint64

from remnant.wire import compiled

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from remnant.wire import Bytes

__all__ = ["distinct_about"]

_LEAST_BITS: Final = 1 << 16


def distinct_about(column: pa.ChunkedArray[Any]) -> float:
    """Return about how many different texts (of type string, none of them null) a column has.

    Of a million texts the error is under 1 % (three standard errors: 0.2 %).
    """
    bits = _LEAST_BITS
    while bits < 4 * len(column):
        bits *= 2
    seen = np.zeros(bits, np.bool_)
    for chunk in column.chunks:
        buffers: list[Any] = chunk.buffers()
        offsets, data = buffers[1:]
        if not len(chunk) or offsets is None or data is None:
            continue
        at = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        _note(np.frombuffer(data, np.uint8), at, seen)
    unset = bits - int(np.count_nonzero(seen))
    # Four places for each text: some stay unset whatever the texts are.
    return bits * math.log(bits / max(unset, 1))


@compiled
def _note(data: Bytes, offsets: npt.NDArray[np.int32], seen: npt.NDArray[np.bool_]) -> None:
    """Note each text of a chunk by its hash (FNV-1a, and the finish of MurmurHash3)."""
    mask = uint64(seen.size - 1)
    for row in range(offsets.size - 1):
        value = uint64(14695981039346656037)
        for i in range(offsets[row], offsets[row + 1]):
            value = (value ^ uint64(data[i])) * uint64(1099511628211)
        value ^= value >> uint64(33)
        value *= uint64(0xFF51AFD7ED558CCD)
        value ^= value >> uint64(33)
        seen[value & mask] = True
