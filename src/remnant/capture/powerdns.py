"""PowerDNS protobuf: what PowerDNS Recursor and dnsdist say about the messages they handle.

A file is a stream as the server sends it over TCP (``protobufServer``, ``RemoteLogAction``), saved.

References:
    dnsmessage.proto, remote_logger.cc (PowerDNS/pdns); docs.powerdns.com, "Protobuf export".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remnant.capture import powerdns_kernel as kernel
from remnant.capture.parallel import Parallel
from remnant.capture.powerdns_frames import SHORT, WIDE, is_unfinished, width_of, width_within
from remnant.capture.workers import Assembly, Worker, new_worker
from remnant.errors import UnknownFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist
    from remnant.wire import Bytes

__all__ = ["PowerDnsReader"]


class PowerDnsReader:
    """Reads captured protobuf streams, several end to end too.

    Client queries and responses count. Queries to authorities are skipped; so are their responses,
    but the records of these are kept.
    """

    name = "powerdns-protobuf"
    title = "PowerDNS protobuf"
    vantage = "resolver"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether the first bytes are at least two whole messages and nothing else.

        One is enough if it is all there is.
        """
        # PowerDNS writes the type first: what does not begin so need not be looked at.
        return b"\x08" in (head[2:3], head[4:5]) and width_of(head) is not None

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a stream.

        The bytes of a message that is cut off at the end are counted as one malformed record and
        left unread (``Batch.end`` stands before them), so that a file that grows can be read on.

        Raises:
            UnknownFormat: there is no message in the first bytes of the stream.
        """
        head = stream.head()
        width = width_of(head)
        # An answer that hits looks for its query among the recent ones: those stand in one table.
        threads = 1 if watchlist.has_addresses else options.threads
        team = [new_worker(watchlist, options) for _ in range(threads)]
        if width is None:
            width = _damaged_width(stream.name, head)
        assembly = Assembly(watchlist, options, team, (self.vantage,))
        scan = _Scan(stream, watchlist, team, width)
        with Parallel(team, run=scan.run, cut=scan.cut, lost=kernel.LOST) as parallel:
            more = True
            while more:
                more = stream.more()
                again = True
                while again:
                    assembly.begin()
                    workers, used, again = parallel.next(stream.view, final=not more)
                    batch = assembly.batch(
                        workers,
                        view=stream.view,
                        end=stream.offset + used,
                        final=not more and not again,
                    )
                    stream.advance(used)
                    yield batch


class _Scan:
    """The kernel with what it needs for one stream."""

    def __init__(
        self, stream: ByteStream, watchlist: Watchlist, team: list[Worker], width: int
    ) -> None:
        self._stream = stream
        self._tables = watchlist.tables
        self._team = team
        self._width = width
        self._scratch = [kernel.new_scratch() for _ in team]

    def run(self, index: int, first: int, limit: int, final: bool) -> tuple[int, bool]:
        """Read the messages that begin in a range of the view."""
        stream = self._stream
        end, again = kernel.scan(
            self._tables, *self._team[index], self._scratch[index], stream.view, stream.offset,
            self._width, first, limit, final,
        )  # fmt: skip
        return int(end), bool(again)

    def cut(self, view: Bytes, parts: npt.NDArray[np.int64]) -> int:
        """Divide the view."""
        return int(kernel.cut(view, 0, self._width, parts))


def _damaged_width(name: str, head: bytes) -> int:
    """Return how many bytes the lengths have where the stream begins with something else.

    Raises:
        UnknownFormat: there is no message in the first bytes.
    """
    width = width_within(head)
    if width is not None:
        return width
    if not head or is_unfinished(head):
        return WIDE if head.startswith(b"\0\0") else SHORT
    raise UnknownFormat(
        "this is not a stream of PowerDNS protobuf",
        where=name,
        got=head[:16],
        expected="messages (PBDNSMessage), each after its length in two or four bytes",
    )
