"""Zeek's ``dns.log``, as TSV and as JSON.

One row is a query with its response: one observation, whose response code is the row's. The log
keeps answers, of which the addresses are matched against watched prefixes.

References:
    Zeek, scripts/base/protocols/dns/main.zeek and scripts/base/frameworks/logging/writers/
    ascii.zeek.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.capture import text_rows
from remnant.capture.lines import Block, blocks, first_lines
from remnant.capture.text_records import Records, answers_of, records_room
from remnant.capture.zeek_lines import (
    COLUMNS,
    LOCAL_NAMES,
    Layout,
    add_records,
    answer_addresses,
    read_lines,
    work_for,
)
from remnant.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["ZeekReader"]

_NEEDED: Final = (b"ts", b"id.orig_h", b"query")
_ESCAPE: Final = re.compile(rb"\\x([0-9a-fA-F]{2})")
_JSON_PATH: Final = re.compile(rb'"_path"\s*:\s*"dns')


class ZeekReader:
    """Reads Zeek's ``dns.log``; see ``capture.Reader``."""

    name = "zeek"
    title = "Zeek dns.log"
    vantage = "resolver"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether the first bytes are a ``dns.log``, by its #fields line or JSON keys."""
        lines = first_lines(head, limit=1000)
        for line in lines:
            if line.startswith(b"#fields"):
                return all(column in line for column in _NEEDED)
        data = [line for line in lines if not line.startswith(b"#")]
        if not data or not data[0].startswith(b"{"):
            return False
        return any(
            b'"id.orig_h"' in line and (b'"query"' in line or _JSON_PATH.search(line) is not None)
            for line in data
        )

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a log.

        Raises:
            FormatError: the first header lacks a column that is needed, or has a separator of
                more than one byte.
        """
        header = _Header(stream.name)
        tables = text_rows.Tables(watchlist, options.vantage or self.vantage, options.now)
        local_names = 0
        records: Records | None = None
        for block in blocks(stream):
            rows = text_rows.room_for(block)
            line = 0
            layout = header.layout()
            work = work_for(layout)
            while True:
                line = int(read_lines(block.data, block.ends, line, layout, work, rows))
                if line >= block.ends.size or block.tail:
                    break
                header.take(_line(block, line), read=bool(rows.counters.any()))
                layout = header.layout()
                work = work_for(layout)
                line += 1
            if block.tail:
                if not text_rows.is_complete(rows):
                    tables.note_incomplete(block)
                    continue
                stream.advance(block.data.size)
            local_names += int(rows.counters[LOCAL_NAMES])
            header.rows_read |= bool(rows.counters.any())
            addresses = None
            if watchlist.has_addresses:
                addresses = answer_addresses(block.data, rows)
            answers = None
            if options.answers != "none":
                records = records_room(block, records)
                add_records(block.data, rows, records)
                answers = answers_of(records, watchlist, options.answers, now=options.now)
            yield tables.batch(block, rows, addresses, answers=answers)
        tables.notes += header.notes
        if local_names:
            tables.notes.append(f"{local_names} rows of mDNS, LLMNR or NetBIOS were skipped")
        yield from tables.rest(stream)


def _line(block: Block, index: int) -> bytes:
    start = int(block.ends[index - 1]) + 1 if index else 0
    return block.data[start : int(block.ends[index])].tobytes().rstrip(b"\r")


class _Header:
    """The header lines of a TSV log, as far as they have been read.

    Attributes:
        rows_read: rows came before, so that a bad header no longer ends the reading.
        notes: what was wrong with later headers.
    """

    def __init__(self, where: str) -> None:
        self._where = where
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
                self._other = not value.startswith(b"dns")
            case b"#fields":
                self._columns = value.split(self._separator)
                self._check(strict=not (read or self.rows_read))
            case _:
                pass

    def _check(self, *, strict: bool) -> None:
        if self._other:
            return
        missing = [column.decode() for column in _NEEDED if column not in self._columns]
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
                expected="the columns ts, id.orig_h and query in the #fields line",
                hint="log the columns that Zeek's dns.log has by default",
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
                for name in COLUMNS
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
