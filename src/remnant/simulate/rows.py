"""Rows of a day's queries, and the marks they may carry.

The columns, in the order in which all functions give them: time (UTC microseconds), household, host
(bot number, or -1), name (row of the name table), qtype, and mark: 0, ``MARK_LOST``, or from
``FIRST_BROKEN`` on a kind of broken message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["FIRST_BROKEN", "MALFORMED", "MARK_LOST", "Rows"]

MARK_LOST: Final = 1
"""The query got no response; the machine asked again."""

MALFORMED: Final = ("short", "cut", "loop", "label")
"""Kinds of broken messages: 5 bytes; a name that runs over the end; a compression pointer to
itself; a reserved label type."""

FIRST_BROKEN: Final = 2
"""The mark of the first kind of broken message; the others follow."""


class Rows(NamedTuple):
    """Queries, one row each: see the module's description."""

    time: npt.NDArray[np.int64]
    household: npt.NDArray[np.int32]
    host: npt.NDArray[np.int32]
    name: npt.NDArray[np.int32]
    qtype: npt.NDArray[np.uint16]
    mark: npt.NDArray[np.uint8]

    @classmethod
    def empty(cls, count: int) -> Rows:
        """Return rows without values."""
        return cls(
            np.empty(count, np.int64),
            np.empty(count, np.int32),
            np.empty(count, np.int32),
            np.empty(count, np.int32),
            np.empty(count, np.uint16),
            np.zeros(count, np.uint8),
        )

    def take(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64] | slice) -> Rows:
        """Return some of the rows."""
        if not isinstance(which, slice) and which.dtype == np.bool_:
            # Found once, not once for each column.
            which = np.flatnonzero(which)
        time, household, host, name, qtype, mark = self
        return Rows(
            time[which], household[which], host[which], name[which], qtype[which], mark[which]
        )

    @staticmethod
    def joined(parts: list[Rows]) -> Rows:
        """Return the rows of all parts, one part after the other."""
        return Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
