"""The header lines of Zeek's TSV logs, and the columns that they name.

References:
    Zeek, scripts/base/frameworks/logging/writers/ascii.zeek (separators, unset and empty fields,
    escapes).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64

from remnant.capture.text_bytes import note_bytes
from remnant.capture.text_fields import same_word
from remnant.errors import FormatError
from remnant.wire import kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from remnant.capture.json_lines import Values
    from remnant.capture.lines import Block
    from remnant.wire import Bytes, Int

__all__ = ["Header", "Layout", "line_of", "tsv_fields"]

_ESCAPE: Final = re.compile(rb"\\x([0-9a-fA-F]{2})")


class Layout(NamedTuple):
    """What the header of a TSV log says.

    Attributes:
        columns: int64[roles]: which column of the log holds each wanted column, -1 if none.
        width: how many columns the log has; 0 while no usable header was seen.
        marks: uint8[2]: the separators of columns and of set members.
        unset: uint8: how an unset field is written.
        empty: uint8: how an empty field is written.
        other: the rows are of another log than the one that is read.
    """

    columns: npt.NDArray[np.int64]
    width: int
    marks: npt.NDArray[np.uint8]
    unset: npt.NDArray[np.uint8]
    empty: npt.NDArray[np.uint8]
    other: bool


@kernel
def tsv_fields(
    view: Bytes,
    start: Int,
    stop: Int,
    layout: Layout,
    breaks: npt.NDArray[np.int64],
    spans: Values,
) -> bool:
    """Note where the wanted columns stand; return whether the line has all columns."""
    last = breaks.size - 1
    count, end = note_bytes(view, start, stop, int64(layout.marks[0]), breaks)
    if count != last or end != stop:
        return False
    breaks[last] = stop
    unset = layout.unset
    empty = layout.empty
    for role in range(layout.columns.size):
        column = layout.columns[role]
        spans[role, 0] = -1
        if column < 0:
            continue
        begin = breaks[column - 1] + 1 if column > 0 else start
        end = breaks[column]
        if not same_word(view, begin, end, unset):
            spans[role, 0] = begin
            spans[role, 1] = begin if same_word(view, begin, end, empty) else end
    return True


def line_of(block: Block, index: int) -> bytes:
    """Return one line of a block without its end."""
    start = int(block.ends[index - 1]) + 1 if index else 0
    return block.data[start : int(block.ends[index])].tobytes().rstrip(b"\r")


class Header:
    """The header lines of a TSV log, as far as they have been read.

    Args:
        where: name of the source.
        path: the log that is read: what its ``#path`` begins with.
        wanted: the columns that are read, by role.
        needed: those of them without which nothing can be.

    Attributes:
        rows_read: rows came before, so that a bad header no longer ends the reading.
        notes: what was wrong with later headers.
    """

    def __init__(
        self, where: str, path: bytes, wanted: Sequence[str], needed: Sequence[bytes]
    ) -> None:
        self._where = where
        self._path = path
        self._wanted = wanted
        self._needed = needed
        self._separator = b"\t"
        self._set_separator = b","
        self._empty = b"(empty)"
        self._unset = b"-"
        self._other = False
        self._columns: list[bytes] = []
        self._layout: Layout | None = None
        self.rows_read = False
        self.notes: list[str] = []

    def take(self, line: bytes, *, read: bool) -> None:
        """Take one line that begins with ``#``; ``read`` says whether rows came before it."""
        self._layout = None
        if line.startswith(b"#separator"):
            self._separator = _unescaped(line[len(b"#separator") :].strip(b" ")) or b"\t"
            return
        key, _, value = line.partition(self._separator)
        match key:
            case b"#set_separator":
                self._set_separator = _unescaped(value)
            case b"#empty_field":
                self._empty = _unescaped(value)
            case b"#unset_field":
                self._unset = _unescaped(value)
            case b"#path":
                self._other = not value.startswith(self._path)
            case b"#fields":
                self._columns = value.split(self._separator)
                self._check(strict=not (read or self.rows_read))
            case _:
                pass

    def _check(self, *, strict: bool) -> None:
        if self._other:
            return
        missing = [column.decode() for column in self._needed if column not in self._columns]
        if len(self._separator) != 1:
            error = FormatError(
                "the log separates its columns by more than one byte",
                where=self._where,
                got=self._separator,
                expected="a separator of one byte, as Zeek writes by default",
            )
        elif missing:
            error = FormatError(
                f"the log has no column {', '.join(missing)}",
                where=self._where,
                got=b" ".join(self._columns).decode("utf-8", "replace"),
                expected=f"the columns {b', '.join(self._needed).decode()} in the #fields line",
                hint=f"log the columns that Zeek's {self._path.decode()}.log has by default",
            )
        else:
            return
        if strict:
            raise error
        self._columns = []
        if not self.notes:
            self.notes.append(f"{error.what}: the rows after that header were not read")

    def layout(self) -> Layout:
        """Return what the kernel takes."""
        if self._layout is None:
            columns = [
                self._columns.index(name.encode()) if name.encode() in self._columns else -1
                for name in self._wanted
            ]
            marks = self._separator[:1] + (self._set_separator[:1] or b",")
            self._layout = Layout(
                np.array(columns, np.int64),
                len(self._columns),
                np.frombuffer(marks, np.uint8).copy(),
                np.frombuffer(self._unset, np.uint8).copy(),
                np.frombuffer(self._empty, np.uint8).copy(),
                self._other,
            )
        return self._layout


def _unescaped(value: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), value)
