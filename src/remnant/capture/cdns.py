"""C-DNS: DNS traffic as dns-stats and others store it, pairs of messages in blocks.

References:
    RFC 8618 (C-DNS); RFC 8949 (CBOR).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.capture import cdns_block as blocks
from remnant.capture import cdns_cursor, cdns_lookup, messages
from remnant.capture import cdns_kernel as kernel
from remnant.capture.cdns_header import (
    FILE_TYPE,
    MAX_HEADER,
    Header,
    Incomplete,
    NotCdns,
    read_header,
)
from remnant.capture.workers import HEAD_BYTES, Assembly, Worker, new_worker
from remnant.errors import FormatError, UnknownFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.cdns_header import Parameters
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist
    from remnant.wire import Bytes

__all__ = ["CdnsReader"]

_BY_TYPE: Final = ("authority", "resolver")
"""Items of a resolver's clients are seen at a resolver; others, and those of no type, at an
authority."""
_VERSION: Final = 1
_BREAK: Final = 0xFF
_SHORT_HEADER: Final = 1 << 12
_ANONYMISED: Final = 1
_SAMPLED: Final = 2
_ONE_CASE: Final = 4


class CdnsReader:
    """Reads C-DNS files, several end to end too.

    Items of clients and of authorities count, and items that do not say their type. Each query is
    an observation; its response, in the same item, is a message and gives the response code.
    """

    name = "cdns"
    title = "C-DNS"
    vantage = "authority"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether the first bytes are an array of three that begins with ``C-DNS``."""
        return head[:1] in {b"\x83", b"\x9f"} and head[1:7] == b"\x65" + FILE_TYPE.encode()

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a source.

        A block that is cut off at the end is counted as one malformed record and left unread
        (``Batch.end`` stands before it), so that a file that grows can be read on.

        Raises:
            UnknownFormat: it is not C-DNS.
            FormatError: its version is not 1.
        """
        _check_start(stream)
        worker = new_worker(watchlist, options)
        assembly = Assembly(watchlist, options, [worker], _BY_TYPE)
        source = _Source(stream, watchlist, worker)
        more = True
        while more:
            more = stream.more()
            again = True
            while again:
                assembly.begin()
                used, reached, again = source.next(final=not more)
                batch = assembly.batch(
                    [worker],
                    view=stream.view,
                    end=stream.offset + reached,
                    final=not more and not again,
                    notes=source.notes(),
                )
                stream.advance(used)
                yield batch


class _Source:
    """Reads files, their blocks, and what lies between them."""

    def __init__(self, stream: ByteStream, watchlist: Watchlist, worker: Worker) -> None:
        self._stream = stream
        self._tables = watchlist.tables
        self._worker = worker
        self._block = blocks.new_block()
        self._walk = np.zeros(blocks.WALK, np.int64)
        self._scratch = cdns_lookup.new_scratch()
        self._numbers = np.zeros(2, np.int64)
        self._header: Header | None = None
        self._parameters = np.zeros((0, cdns_lookup.PARAMETERS), np.int64)
        self._left: int | None = 0
        """Blocks to come, None if a break ends them."""
        self._size = 0
        """Bytes of the block whose items are being read, 0 if none is."""
        self._which = 0
        self._lost = False
        self._ended = False
        self._new_notes: list[str] = []

    def notes(self) -> list[str]:
        """Return what there is to tell since the last time."""
        told, self._new_notes = self._new_notes, []
        return told

    def next(self, *, final: bool) -> tuple[int, int, bool]:
        """Read on.

        Returns:
            (bytes of the view that were used up, bytes that were read, whether room ran out).
        """
        view = self._stream.view
        position = 0
        while position < view.size or self._size:
            if self._size:
                if not self._items(position):
                    read = position + int(self._scratch.cursor[cdns_cursor.POSITION])
                    return position, read, True
                position += self._size
                self._size = 0
                continue
            step = self._step(position, final=final)
            if step is None:
                break
            position = step
        return position, position, False

    def _step(self, position: int, *, final: bool) -> int | None:
        """Read what stands at ``position``; return where to go on, None if bytes are missing."""
        if self._lost:
            return self._search(position, final=final)
        if self._header is None:
            return self._begin_file(position, final=final)
        if self._left == 0:
            return self._end_file(position, final=final)
        view = self._stream.view
        found, at = blocks.measure(view, position, view.size, self._walk, self._block.marks)
        if found == blocks.MORE:
            if final:
                self._count_lost(position, messages.TRUNCATED, view.size)
            return None
        self._walk[:] = 0
        if found == blocks.END:
            if self._left is not None:
                return self._damaged(position, final=final)
            self._left = 0
            return int(at)
        if found == blocks.BAD:
            return self._damaged(position, final=final)
        if self._left is not None:
            self._left -= 1
        if not self._begin_block(position, int(at)):
            self._count_lost(position, messages.CBOR, int(at))
            return int(at)
        self._size = int(at) - position
        return position

    def _begin_block(self, start: int, stop: int) -> bool:
        block = blocks.fitted(self._block)
        if block is None:
            return False
        self._block = block
        view = self._stream.view
        if not blocks.index(view, start, stop, block, self._numbers):
            return False
        self._which = int(
            cdns_cursor.start_items(view, start, stop, block, len(self._parameters), self._scratch)
        )
        return self._which >= 0

    def _items(self, start: int) -> bool:
        """Read on in the items of a block; return whether they are done."""
        return bool(
            kernel.take_items(
                self._tables, *self._worker, self._scratch, self._block,
                self._parameters[self._which], self._stream.view, self._stream.offset, start,
                start + self._size,
            )
        )  # fmt: skip

    def _begin_file(self, position: int, *, final: bool) -> int | None:
        view = self._stream.view
        try:
            header = _header(view[position : position + MAX_HEADER])
        except Incomplete:
            if final:
                self._count_lost(position, messages.TRUNCATED, view.size)
            return None
        except NotCdns:
            return self._damaged(position, final=final)
        if header.major != _VERSION:
            return self._damaged(position, final=final)
        self._header = header
        self._left = None if header.blocks < 0 else header.blocks
        self._parameters = np.array(
            [self._numbers_of(each) for each in header.parameters], np.int64
        )
        self._tell(header)
        return position + header.size

    def _end_file(self, position: int, *, final: bool) -> int | None:
        """Step over the break that ends a file, if there is one, and expect another file."""
        assert self._header is not None
        if self._header.closed and self._stream.view[position] != _BREAK:
            return self._damaged(position, final=final)
        further = position + int(self._header.closed)
        self._header = None
        return further

    def _numbers_of(self, given: Parameters) -> list[int]:
        text = np.frombuffer(given.host.encode(), np.uint8).copy()
        numbers = [0] * cdns_lookup.PARAMETERS
        numbers[cdns_lookup.TICKS] = given.ticks
        numbers[cdns_lookup.PREFIX_4] = given.prefix_4
        numbers[cdns_lookup.PREFIX_6] = given.prefix_6
        numbers[cdns_lookup.HAS_CLIENTS] = given.has_clients
        numbers[cdns_lookup.SENSOR] = int(kernel.sensor_of(self._worker.sensors, text))
        return numbers

    def _tell(self, header: Header) -> None:
        """Note what a person must know to judge what was counted."""
        for given in header.parameters:
            if given.flags & _ANONYMISED:
                how = f" ({given.anonymisation})" if given.anonymisation else ""
                self._new_notes.append(f"the addresses in this source are anonymised{how}")
            if given.flags & _SAMPLED:
                how = f" ({given.sampling})" if given.sampling else ""
                self._new_notes.append(f"this source holds a sample of the traffic{how}")
            if given.flags & _ONE_CASE:
                self._new_notes.append("names in this source are in one case")
            if given.prefix_4 or given.prefix_6:
                four, six = given.prefix_4 or 32, given.prefix_6 or 128
                self._new_notes.append(
                    f"clients in this source are prefixes (IPv4 /{four}, IPv6 /{six})"
                )
            if not given.has_clients:
                self._new_notes.append("this source has no client addresses: nothing is observed")

    def _damaged(self, position: int, *, final: bool) -> int | None:
        """Count damage as one record; what follows it is looked for from the next byte on."""
        if not final and self._stream.view.size - position < HEAD_BYTES:
            # Quarantine keeps as many bytes whatever the stream gives at a time.
            return None
        self._count_lost(position, messages.CBOR, self._stream.view.size)
        self._lost = True
        return position + 1

    def _count_lost(self, position: int, reason: int, stop: int) -> None:
        worker = self._worker
        kernel.lost_block(
            worker.context, worker.counts, worker.quarantine, self._stream.offset + position,
            reason, position, stop,
        )  # fmt: skip

    def _search(self, position: int, *, final: bool) -> int | None:
        view = self._stream.view
        at, found = blocks.find(view, position, view.size, final)
        if found == blocks.MORE:
            return int(at) if at > position else None
        if found == blocks.BLOCK:
            if self._header is None:
                return int(at) + 1
            self._left = None
        else:
            self._header = None
        self._lost = False
        return int(at)


def _header(view: Bytes) -> Header:
    """Read the beginning of a file, which seldom is long."""
    try:
        return read_header(view[:_SHORT_HEADER].tobytes())
    except Incomplete:
        if view.size <= _SHORT_HEADER:
            raise
        return read_header(view.tobytes())


def _check_start(stream: ByteStream) -> None:
    head = stream.head()
    if not head:
        return
    try:
        header = read_header(head)
    except Incomplete:
        return
    except NotCdns as error:
        raise UnknownFormat(
            "this is not C-DNS",
            where=stream.name,
            got=f"{error}: {head[: HEAD_BYTES // 4].hex(' ')}",
            expected='a CBOR array with the text "C-DNS", a preamble and blocks (RFC 8618)',
        ) from None
    if header.major != _VERSION:
        raise FormatError(
            "this version of C-DNS cannot be read",
            where=stream.name,
            got=f"{header.major}.{header.minor}",
            expected="1.0",
            hint="convert it with the tools of the program that wrote it",
        )
