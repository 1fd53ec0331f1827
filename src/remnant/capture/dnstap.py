"""dnstap in Frame Streams: what resolvers and authorities write about the messages they handle.

References:
    dnstap.proto (dnstap/dnstap.pb); Frame Streams (farsightsec/fstrm).
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from remnant.capture import QUARANTINE_LIMIT, Batch
from remnant.capture import dnstap_kernel as kernel
from remnant.capture.counts import counts_table, new_counts, new_sensors, reset, sensor_names
from remnant.capture.events import allocate
from remnant.capture.framing import CONTENT_TYPE, is_dnstap
from remnant.capture.pairing import Pairing
from remnant.capture.recent import new_recent
from remnant.errors import UnknownFormat
from remnant.schema import QUARANTINE, VANTAGES
from remnant.windows import to_us

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.capture import ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist
    from remnant.wire import Bytes

__all__ = ["DnstapReader"]

_EVENTS: Final = 1 << 16
"""Events of one batch."""
_RECENT: Final = 1 << 20
_HEAD: Final = 64
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
        """Return whether the first bytes open a Frame Streams stream.

        Streams of another content type are recognised too, so that ``read`` can say what they are.
        """
        return head.startswith(b"\0\0\0\0") and is_dnstap(head) is not None

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a stream.

        The bytes of a frame that is cut off at the end are counted as one malformed record and
        left unread (``Batch.end`` stands before them), so that a file that grows can be read on.

        Raises:
            UnknownFormat: the stream does not begin with a dnstap START frame.
        """
        _check_start(stream)
        vantages = _BY_TYPE if options.vantage is None else VANTAGES
        forced = -1 if options.vantage is None else VANTAGES.index(options.vantage)
        context = kernel.new_context(
            to_us(options.now + timedelta(days=1)),
            forced,
            watchlist.has_addresses,
            (secrets.randbits(64), secrets.randbits(64)),
        )
        state = context.state
        sensors = new_sensors(secrets.randbits(64))
        counts = new_counts(secrets.randbits(64))
        memory = new_recent(_RECENT if watchlist.has_addresses else 4)
        events = allocate(_EVENTS)
        quarantine = kernel.new_quarantine(QUARANTINE_LIMIT)
        pairing = Pairing()
        noted = False
        more = True
        while more:
            more = stream.more()
            again = True
            while again:
                events.filled[0] = 0
                quarantine.filled[0] = 0
                reset(counts)
                state[kernel.RECORDS] = 0
                queries_before = int(state[kernel.QUERIES])
                used, again = kernel.scan(
                    context, watchlist.tables, sensors, counts, memory, events, quarantine,
                    stream.view, stream.offset, not more,
                )  # fmt: skip
                names = sensor_names(sensors)
                rows = pairing.add(
                    events,
                    clock=int(state[kernel.CLOCK]),
                    responses=state[kernel.QUERIES] == 0,
                    final=not more and not again,
                    sensors=names,
                    vantages=vantages,
                )
                damaged = _quarantined(quarantine, stream.view)
                quarantine.filled[1] -= quarantine.filled[0]
                stream.advance(int(used))
                simulated = bool(state[kernel.SIMULATED]) and not noted
                noted = noted or simulated
                yield Batch(
                    end=stream.offset,
                    queries=rows,
                    counts=counts_table(counts, names, vantages),
                    quarantine=damaged,
                    records=int(state[kernel.RECORDS]),
                    query_messages=int(state[kernel.QUERIES]) - queries_before,
                    notes=("simulated",) if simulated else (),
                )


def _check_start(stream: ByteStream) -> None:

    head = stream.head()
    if not head or is_dnstap(head):
        return
    foreign = is_dnstap(head) is False
    raise UnknownFormat(
        "this Frame Streams data is not dnstap" if foreign else "this is not dnstap",
        where=stream.name,
        got=head[8:_HEAD] if foreign else head[:16],
        expected=f"a START frame with the content type {CONTENT_TYPE.decode()}",
    )


def _quarantined(quarantine: kernel.Quarantine, view: Bytes) -> pa.RecordBatch:

    count = int(quarantine.filled[0])
    heads = [
        view[start : min(stop, start + _HEAD)].tobytes()
        for start, stop in zip(
            quarantine.start[:count].tolist(), quarantine.stop[:count].tolist(), strict=True
        )
    ]
    reasons: Any = pa.array(quarantine.reason[:count])
    columns: list[Any] = [
        pa.nulls(count, pa.string()).dictionary_encode(),
        pa.array(quarantine.offset[:count]),
        pa.DictionaryArray.from_arrays(reasons, pa.array(kernel.REASONS)),
        pa.array(heads, pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=QUARANTINE.arrow)
