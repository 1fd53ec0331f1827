"""dnstap in Frame Streams: what resolvers and authorities write about the messages they handle.

References:
    dnstap.proto (dnstap/dnstap.pb); Frame Streams (farsightsec/fstrm).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import numpy as np

from remnant.capture import dnstap_kernel as kernel
from remnant.capture.framing import CONTENT_TYPE, DNSTAP, is_bare, is_dnstap
from remnant.capture.parallel import Parallel
from remnant.capture.workers import HEAD_BYTES, Assembly, Worker, new_worker
from remnant.errors import UnknownFormat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    import numpy.typing as npt

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist
    from remnant.wire import Bytes

__all__ = ["DnstapReader"]

_BY_TYPE: Final = ("resolver", "authority")
"""CLIENT messages are seen at a resolver, AUTH messages at an authority."""


class DnstapReader:
    """Reads dnstap files and captured one-way streams, several streams end to end too.

    CLIENT and AUTH messages count; RESOLVER, FORWARDER, STUB, TOOL and UPDATE are skipped, and so
    are messages with an opcode other than QUERY. A response fills the response code of its query
    and is counted as a message.
    """

    name = "dnstap"
    title = "dnstap"
    vantage = "resolver"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether the first bytes open a Frame Streams stream, or are one bare message.

        Streams of another content type are recognised too, so that ``read`` can say what they are.
        """
        framed = head.startswith(b"\0\0\0\0") and is_dnstap(head) is not None
        return framed or is_bare(head)

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a stream.

        A file may also be one message without framing, as test data of servers are.
        The bytes of a frame that is cut off at the end are counted as one malformed record and
        left unread (``Batch.end`` stands before them), so that a file that grows can be read on.

        Raises:
            UnknownFormat: the stream does not begin with a dnstap START frame.
        """
        bare = is_bare(stream.head())
        if not bare:
            _check_start(stream)
        # An answer that hits looks for its query among the recent ones: those stand in one table.
        threads = 1 if watchlist.has_addresses else options.threads
        team = [new_worker(watchlist, options) for _ in range(threads)]
        assembly = Assembly(watchlist, options, team, _BY_TYPE)
        with _Scan(stream, watchlist, team) as scan:
            if bare:
                assembly.begin()
                yield scan.bare(assembly)
                return
            more = True
            while more:
                more = stream.more()
                again = True
                while again:
                    assembly.begin()
                    workers, used, again = scan.next(final=not more)
                    batch = assembly.batch(
                        workers,
                        view=stream.view,
                        end=stream.offset + used,
                        final=not more and not again,
                    )
                    stream.advance(used)
                    yield batch


class _Scan:
    """Runs the kernel over what the stream holds, in parallel where that can be divided."""

    def __init__(self, stream: ByteStream, watchlist: Watchlist, team: list[Worker]) -> None:
        self._stream = stream
        self._tables = watchlist.tables
        self._team = team
        self._parallel = Parallel(team, run=self._run, cut=_cut, lost=kernel.LOST)
        self._fields = [np.zeros(DNSTAP, np.int64) for _ in team]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._parallel.__exit__(kind, value, trace)

    def next(self, *, final: bool) -> tuple[list[Worker], int, bool]:
        """Read on; return the workers whose parts were read, the bytes used, whether to go on."""
        view, state = self._stream.view, self._team[0].context.state
        foreign = bool(state[kernel.FOREIGN])
        if len(self._team) > 1 and not foreign and not state[kernel.LOST]:
            first = int(kernel.after_controls(view))
            if first:
                # What they say holds for the frames after them, whoever reads those.
                used, _ = self._run(0, 0, first, final=False)
                return self._team[:1], used, True
        return self._parallel.next(view, final=final, whole=foreign)

    def bare(self, assembly: Assembly) -> Batch:
        """Return the batch of a source that is one message without any framing."""
        stream = self._stream
        while stream.more():
            pass
        size = stream.view.size
        framed = np.concatenate([np.frombuffer(size.to_bytes(4, "big"), np.uint8), stream.view])
        kernel.scan(self._tables, *self._team[0], self._fields[0], framed, 0, 0, framed.size, True)
        batch = assembly.batch(
            self._team[:1],
            view=framed,
            end=size,
            final=True,
            notes=["one message without Frame Streams around it"],
        )
        stream.advance(size)
        return batch

    def _run(self, index: int, first: int, limit: int, final: bool) -> tuple[int, bool]:
        stream = self._stream
        end, again = kernel.scan(
            self._tables, *self._team[index], self._fields[index], stream.view, stream.offset,
            first, limit, final,
        )  # fmt: skip
        return int(end), bool(again)


def _cut(view: Bytes, parts: npt.NDArray[np.int64]) -> int:
    return int(kernel.cut(view, 0, parts))


def _check_start(stream: ByteStream) -> None:
    head = stream.head()
    if not head or is_dnstap(head):
        return
    foreign = is_dnstap(head) is False
    raise UnknownFormat(
        "this Frame Streams data is not dnstap" if foreign else "this is not dnstap",
        where=stream.name,
        got=head[8:HEAD_BYTES] if foreign else head[:16],
        expected=f"a START frame with the content type {CONTENT_TYPE.decode()}",
    )
