"""Writes what arrived at the sinkhole as segments, one for each process and day.

References:
    docs/reference/formats/segment.md.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.capture.segment_frames import ALIVE, END, HEAD, ROWS, encode
from remnant.capture.segment_head import SegmentHead
from remnant.schema import EVENTS, TIME
from remnant.simulate.addresses import IPV6_BIT
from remnant.simulate.arrivals import DNS_UDP, NONE
from remnant.simulate.draws import bits, mixed
from remnant.simulate.networks import V6_TOP
from remnant.simulate.noise import code_of, facts_of
from remnant.simulate.packing import compressor
from remnant.simulate.population import DAY_US, HOUR_US
from remnant.simulate.questions import SINKHOLE_V4, SINKHOLE_V6
from remnant.wire import kernel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from remnant.simulate.arrivals import Arrivals
    from remnant.simulate.questions import Questions

__all__ = ["SENSOR", "SegmentFiles"]

SENSOR: Final = "sinkhole"
"""The sensor's name, and its folder's."""

_FRAME_ROWS: Final = 1 << 16


class SegmentFiles:
    """The segments of one case.

    Args:
        out: the folder of the run.
        case: whose traffic it is.
        asked: the names.
        ttls: what the sinkhole answers with.
        seed: of the run: segments are named after it.

    Attributes:
        events: written so far.
        files: written so far.
        bytes: of them, compressed.
    """

    def __init__(
        self, out: Path, case: str, asked: Questions, ttls: tuple[int, ...], seed: int
    ) -> None:
        self._out = out
        self._case = case
        self._names = asked.names
        self._ttls = ttls
        self._seed = seed
        wire, offsets = asked.table.wire, asked.table.offsets
        spans: list[Any] = [offsets.astype(np.int32), wire]
        buffers = [None, *map(pa.py_buffer, spans)]
        wires = pa.Array.from_buffers(pa.binary(), offsets.size - 1, buffers)
        # Without a name, what stands last: nothing.
        self._wires: Any = pa.concat_arrays([wires, pa.array([b""], pa.binary())])
        self.events = self.files = self.bytes = 0
        (out / "traffic" / SENSOR).mkdir(parents=True, exist_ok=True)

    def write(
        self,
        worker: str,
        vantages: tuple[str, ...],
        arrivals: Arrivals,
        start: int,
        silent: Sequence[tuple[int, int]] = (),
    ) -> str:
        """Write a day of one process and return the path.

        Args:
            worker: which process: ``udp-0``, ``tcp-0``.
            vantages: where it listens.
            arrivals: in time order, none in a silent time.
            start: midnight (UTC microseconds), or when it began to listen.
            silent: times (from, until) in which it did not run.
        """
        made = f"{self._case} {self._seed} {worker} {start}".encode()
        head = SegmentHead(
            segment=hashlib.blake2b(made, digest_size=8).hexdigest(),
            case=self._case,
            sensor=SENSOR,
            worker=worker,
            vantages=vantages,
            watchlist="0" * 32,
            ttls=self._ttls,
            zones=(),
            created=start,
            clock={},
            simulated=True,
        )
        began = datetime.fromtimestamp(start // 1_000_000, UTC)
        path = f"traffic/{SENSOR}/{began:%Y%m%dT%H%M%SZ}-{worker}-{head.segment}.rseg.zst"
        with (
            (self._out / path).open("wb") as raw,
            compressor().stream_writer(raw, closefd=False) as file,
        ):
            sequence = 0

            def put(kind: int, facts: dict[str, Any], body: pa.Buffer | None = None) -> None:
                nonlocal sequence
                for part in encode(kind, sequence, facts, body):
                    file.write(part)
                sequence += 1

            put(HEAD, head.to_json())
            # Made at once, written in slices: most hours have few rows.
            batch = self._batch(arrivals)
            since = start
            end = start // DAY_US * DAY_US + DAY_US
            for begin in range(start // HOUR_US * HOUR_US, end, HOUR_US):
                gap = [span for span in silent if span[0] < begin + HOUR_US and span[1] > begin]
                low, high = np.searchsorted(arrivals.time, [begin, begin + HOUR_US])
                if gap:
                    since = max(until for _, until in gap)
                facts = {"at": begin + HOUR_US, "since": since, "counts": [0, 0, 0, 0]}
                for at in range(int(low), int(high), _FRAME_ROWS):
                    part = batch.slice(at, min(_FRAME_ROWS, int(high) - at))
                    put(ROWS, {**facts, "rows": len(part)}, part.serialize())
                if since <= begin + HOUR_US:
                    put(ALIVE, facts)
            put(END, {"at": end, "since": min(since, end), "clock": {}})
        self.events += arrivals.time.size
        self.files += 1
        self.bytes += (self._out / path).stat().st_size
        return path

    def _batch(self, rows: Arrivals) -> pa.RecordBatch:
        """Return rows of ``schema.EVENTS``."""
        count = rows.time.size
        dns = rows.proof == DNS_UDP
        six = (rows.unit & IPV6_BIT) != 0
        sinks = np.array([_packed(SINKHOLE_V4), _packed(SINKHOLE_V6)])
        port = mixed(rows.time.astype(np.uint64) ^ rows.unit.astype(np.uint64))
        codes = np.where(rows.name < 0, len(self._names), rows.name)
        columns: dict[str, Any] = {
            "time": pa.array(rows.time).cast(TIME),
            "address": _fixed(_addresses(rows.unit, rows.device)),
            "destination": _fixed(sinks[six.astype(np.int64)], dns),
            "client_port": pa.array((1024 + (port & np.uint64(0x7FFF))).astype(np.uint16)),
            "service_port": pa.array(np.where(dns, 53, 80).astype(np.uint16)),
            "transport": pa.array((~dns).astype(np.uint8)),
            "proof": pa.array(rows.proof),
            "name": self._wires.take(pa.array(codes)),
            "qtype": pa.array(rows.qtype.astype(np.uint16), mask=~dns),
            "rcode": pa.array(rows.rcode, mask=rows.rcode == NONE),
            "ttl": pa.array(rows.ttl, mask=rows.ttl == NONE),
            "limited": pa.array(np.zeros(count, np.bool_)),
            "unlisted": pa.array(np.zeros(count, np.bool_)),
            "ecs": _subnets(rows.ecs),
            "detail": _details(rows, self._names),
        }
        return pa.RecordBatch.from_arrays(
            [columns[name] for name in EVENTS.names], schema=EVENTS.arrow
        )


def _details(rows: Arrivals, names: Sequence[str]) -> Any:  # noqa: ANN401 - Arrow
    """Return the facts of each request as JSON."""
    codes = code_of(rows)
    low = int(codes.min(initial=0))
    few = np.flatnonzero(np.bincount(codes - low))
    number = np.zeros(few[-1] + 1 if few.size else 0, np.int32)
    number[few] = np.arange(few.size)
    index = number[codes - low]
    few += low
    texts = [
        None if code == NONE else json.dumps(facts_of(code, names), separators=(",", ":"))
        for code in few.tolist()
    ]
    words: Any = pa.array(texts, pa.string())
    return words.take(pa.array(index))


def _packed(text: str) -> npt.NDArray[np.uint8]:
    data = ip_address(text).packed
    return np.frombuffer(data if len(data) == 16 else b"\0" * 10 + b"\xff\xff" + data, np.uint8)


def _addresses(
    units: npt.NDArray[np.int64], device: npt.NDArray[np.int32]
) -> npt.NDArray[np.uint8]:
    """Return unit numbers as addresses of 16 bytes; an IPv6 one gets the device's identifier."""
    out = np.zeros((units.size, 16), np.uint8)
    _fill_addresses(units, device, out)
    return out


@kernel
def _fill_addresses(
    units: npt.NDArray[np.int64], device: npt.NDArray[np.int32], out: npt.NDArray[np.uint8]
) -> None:
    for row in range(units.size):
        unit = units[row]
        if unit & IPV6_BIT:
            salt = np.uint64(unit) << np.uint64(20)
            identifier = bits(np.uint64(np.int64(device[row])) ^ salt)
            for i in range(4):
                out[row, i] = (V6_TOP >> (24 - 8 * i)) & 0xFF
                out[row, 4 + i] = (unit >> (24 - 8 * i)) & 0xFF
            for i in range(8):
                out[row, 8 + i] = np.int64(identifier >> np.uint64(56 - 8 * i)) & 0xFF
        else:
            out[row, 10] = 0xFF
            out[row, 11] = 0xFF
            for i in range(4):
                out[row, 12 + i] = (unit >> (24 - 8 * i)) & 0xFF


def _subnets(ecs: npt.NDArray[np.int64]) -> Any:  # noqa: ANN401 - Arrow
    """Return client subnets as the 17 bytes of a segment; null where none was sent."""
    none = ecs == NONE
    if none.all():
        return pa.nulls(ecs.size, pa.binary())
    six = (ecs & IPV6_BIT) != 0
    whole = np.zeros((ecs.size, 17), np.uint8)
    whole[:, :16] = _addresses(ecs, np.zeros(ecs.size, np.int32))
    whole[six, 8:16] = 0
    whole[:, 16] = np.where(six, 56, 96 + 24)
    return _fixed(whole, none).cast(pa.binary())


def _fixed(values: npt.NDArray[np.uint8], null: npt.NDArray[np.bool_] | None = None) -> Any:  # noqa: ANN401 - Arrow
    """Return uint8[n, width] as a column of fixed width."""
    width = values.shape[1]
    data: Any = np.ascontiguousarray(values)
    valid: Any = None
    if null is not None and null.any():
        valid = np.packbits(~null, bitorder="little")
    buffers = [None if valid is None else pa.py_buffer(valid), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(width), values.shape[0], buffers)
