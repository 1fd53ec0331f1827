"""One process that answers UDP: the fast path in one thread, the disk in another.

The answering thread fills one set of columns while the writing thread keeps the set before. It
never waits for the disk: where no set is free, it fills its own on, and when that is full as well,
the rows in it are lost, and counted.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.schema import EVENTS, PROOFS
from remnant.sinkhole import fastpath
from remnant.sinkhole.events import Counts

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    import numpy.typing as npt

    from remnant.sinkhole.answer_kernel import Identity
    from remnant.sinkhole.fastpath import Columns
    from remnant.sinkhole.limiter import Limiter
    from remnant.sinkhole.recorder import Recorder
    from remnant.sinkhole.shared import Numbers
    from remnant.sinkhole.tables import Served

__all__ = ["ROUND_S", "UdpWorker", "events_of"]

ROUND_S: Final = 0.25
"""Seconds after which rows go to the writing thread at the latest."""

_LAST_S: Final = 0.2
_SETS: Final = 4
_PROOF: Final = PROOFS.index("dns_udp")
_COUNTED: Final = (
    fastpath.OBSERVED,
    fastpath.FOREIGN,
    fastpath.MALFORMED,
    fastpath.NOT_QUERIES,
)


def events_of(columns: Columns) -> pa.RecordBatch:
    """Return the rows of columns as ``schema.EVENTS``; they share the columns' memory."""
    rows, name_end, subnet_end = (int(number) for number in columns.used)
    schema = EVENTS.arrow
    ttl = columns.ttl[:rows]
    offsets = columns.subnet_offsets[: rows + 1]

    def plain(
        name: str, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None = None
    ) -> pa.Array[Any]:
        kind = schema.field(name).type
        return pa.Array.from_buffers(
            kind,
            rows,
            [_bits(valid), _buffer(values)],
            -1 if valid is None else int(rows - valid.sum()),
        )

    def variable(
        name: str,
        offsets: npt.NDArray[np.int32],
        data: npt.NDArray[np.uint8],
        valid: npt.NDArray[np.bool_] | None = None,
    ) -> pa.Array[Any]:
        buffers = [_bits(valid), _buffer(offsets), _buffer(data)]
        return pa.Array.from_buffers(schema.field(name).type, rows, buffers)

    def flags(name: str, values: npt.NDArray[np.uint8]) -> pa.Array[Any]:
        return pa.Array.from_buffers(schema.field(name).type, rows, [None, _bits(values != 0)])

    columns_by_name = {
        "time": plain("time", columns.time[:rows]),
        "address": plain("address", columns.address[:rows]),
        "client_port": plain("client_port", columns.client_port[:rows]),
        "service_port": plain("service_port", columns.service_port[:rows]),
        "transport": plain("transport", np.zeros(rows, np.uint8)),
        "proof": plain("proof", np.full(rows, _PROOF, np.uint8)),
        "name": variable("name", columns.name_offsets[: rows + 1], columns.names[:name_end]),
        "qtype": plain("qtype", columns.qtype[:rows]),
        "rcode": plain("rcode", columns.rcode[:rows]),
        "ttl": plain("ttl", ttl, ttl >= 0),
        "limited": flags("limited", columns.limited[:rows]),
        "unlisted": flags("unlisted", columns.unlisted[:rows]),
        "ecs": variable("ecs", offsets, columns.subnets[:subnet_end], np.diff(offsets) > 0),
    }
    return pa.RecordBatch.from_arrays(
        [
            columns_by_name[field.name]
            if field.name in columns_by_name
            else pa.nulls(rows, field.type)
            for field in schema
        ],
        schema=schema,
    )


def _bits(values: npt.NDArray[np.bool_] | None) -> pa.Buffer | None:
    if values is None:
        return None
    return _buffer(np.packbits(values, bitorder="little"))


def _buffer(values: npt.NDArray[Any]) -> pa.Buffer:
    contiguous: Any = np.ascontiguousarray(values)
    return pa.py_buffer(contiguous)


class UdpWorker:
    """Answers what comes to some UDP sockets, and keeps what it sees.

    Args:
        sockets: bound, not blocking.
        served: the zones.
        identity: of this sinkhole.
        limiter: the rate limit.
        recorder: keeps the rows.
        numbers: what the supervisor reads.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        *,
        served: Served,
        identity: Identity,
        limiter: Limiter,
        recorder: Recorder,
        numbers: Numbers,
    ) -> None:
        from remnant.sinkhole.answer_kernel import new_scratch  # noqa: PLC0415 - kernels

        self._sockets = sockets
        self._served = served
        self._identity = identity
        self._limiter = limiter
        self._recorder = recorder
        self._numbers = numbers
        self._room = fastpath.new_room(sockets)
        self._scratch = new_scratch()
        self._free: queue.SimpleQueue[Columns] = queue.SimpleQueue()
        for _ in range(_SETS):
            self._free.put(fastpath.new_columns())
        self._full: queue.SimpleQueue[tuple[Columns, Counts] | None] = queue.SimpleQueue()
        self._drops = [fastpath.receive_drops(sock) for sock in sockets]
        self._before = np.zeros(len(_COUNTED), np.int64)
        self._unkept = 0

    def stop(self) -> None:
        """Let ``run`` come to its end; safe in a signal handler."""
        self._room.stop[0] = 1

    def warm(self) -> None:
        """Compile or load the kernels, without answering anything."""
        columns = self._free.get()
        self._serve(columns, 0, np.zeros(fastpath.COUNTERS, np.int64))
        self._free.put(columns)

    def run(self) -> None:
        """Answer until ``stop``; every row has been given to the recorder when this returns."""
        writer = threading.Thread(target=self._write, name="writer")
        writer.start()
        columns = self._free.get()
        try:
            while not self._room.stop[0]:
                self._serve(columns, ROUND_S)
                columns = self._hand_over(columns)
                if not writer.is_alive():
                    raise RuntimeError("the thread that keeps the events has ended")
            # What had arrived by then is answered as well.
            self._room.stop[0] = 0
            self._serve(columns, _LAST_S)
        finally:
            self._full.put((columns, self._counts()))
            self._full.put(None)
            writer.join()

    def _serve(
        self, columns: Columns, seconds: float, counters: npt.NDArray[np.int64] | None = None
    ) -> None:
        fastpath.serve(
            self._room,
            self._served,
            self._identity,
            self._limiter,
            self._scratch,
            columns,
            self._numbers.values if counters is None else counters,
            time.time_ns() // 1000 + int(seconds * 1_000_000),
        )

    def _hand_over(self, columns: Columns) -> Columns:
        """Give filled columns to the writing thread, and return empty ones."""
        try:
            free = self._free.get_nowait()
        except queue.Empty:
            if fastpath.has_room(columns):
                return columns
            self._unkept += int(columns.used[0])
            columns.used[:] = 0
            return columns
        self._full.put((columns, self._counts()))
        return free

    def _counts(self) -> Counts:
        """Return what was counted since the last call."""
        now = self._numbers.values[list(_COUNTED)]
        observed, foreign, malformed, others = (int(n) for n in now - self._before)
        self._before = now
        dropped = 0
        for place, sock in enumerate(self._sockets):
            drops = fastpath.receive_drops(sock)
            dropped += (drops - self._drops[place]) & 0xFFFFFFFF
            self._drops[place] = drops
        self._numbers["dropped"] += dropped
        unkept, self._unkept = self._unkept, 0
        self._numbers["unkept"] += unkept
        dropped += unkept
        return Counts(observed, malformed, foreign + others, dropped)

    def _write(self) -> None:
        """Keep columns as they come, until there are no more."""
        while (item := self._full.get()) is not None:
            columns, counts = item
            self._recorder.add(events_of(columns), columns.owner[: columns.used[0]], counts)
            state = self._recorder.state
            self._numbers.kept(state)
            columns.used[:] = 0
            self._free.put(columns)
