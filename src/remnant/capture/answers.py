"""Resource records of responses become rows of passive DNS.

Every format gives its records in one form, arrays of names and data; which of them are kept, and
that each is kept once, is decided here.

References:
    draft-dulaunoy-dnsop-passive-dns-cof (what a row of passive DNS is).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import int64

from remnant.capture.text_fields import parse_address
from remnant.schema import ANSWER_ROWS, TIME
from remnant.wire import AAAA, A, compiled, names_to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from remnant.capture import AnswersMode
    from remnant.watchlist import Watchlist
    from remnant.wire import Bytes

__all__ = ["answer_rows"]

_KEYS: Final = ["rrname", "rrtype", "rdata", "sensor", "case"]
_MOST_TTL: Final = 2**31 - 1
_TEXT_LIMIT: Final = 16 << 10
"""Bytes of data that one row keeps; longer data is cut, which only huge TXT records reach."""


def answer_rows(
    watchlist: Watchlist,
    mode: AnswersMode,
    *,
    names: Bytes,
    name_offsets: npt.NDArray[np.int64],
    rrtype: npt.NDArray[np.int32],
    rdata: Bytes,
    rdata_offsets: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    count: npt.NDArray[np.int64],
    asked: npt.NDArray[np.int32] | None = None,
    sensor: npt.NDArray[np.int32] | None = None,
    sensors: Sequence[str | None] = (None,),
    ttl: npt.NDArray[np.int64] | None = None,
    ttl_high: npt.NDArray[np.int64] | None = None,
    distinct: bool = False,
) -> pa.RecordBatch | None:
    """Return the records that are kept, each once for every case that keeps it.

    Where all are kept, each stands once for all cases together. A record is watched if its owner
    name is, if it is an address record with a watched address, or if it answers a watched question.

    Args:
        watchlist: what is watched.
        mode: which records are kept.
        names: uncompressed wire names of the owners, end to end, in any case.
        name_offsets: int64[n + 1] into ``names``.
        rrtype: record types.
        rdata: presentation texts (ASCII) end to end, names in them folded, without trailing dot.
        rdata_offsets: int64[n + 1] into ``rdata``.
        first: first time seen, UTC microseconds.
        last: last time seen, UTC microseconds.
        count: times seen.
        asked: the entry that the question hit, -1 for none; ``None``: no question is known.
        sensor: index into ``sensors``; ``None``: all are of the first.
        sensors: what the source says of its sensors.
        ttl: seconds; negative, or more than 31 bits hold, where the source has none; ``None``: it
            has none at all.
        ttl_high: the greatest of several, as ``ttl``; ``None``: they are ``ttl``.
        distinct: the source says few records twice: to add them up now is not worth its time.

    Returns:
        Rows of ``schema.ANSWER_ROWS``, or ``None`` if there are none.
    """
    total = rrtype.size
    if mode == "none" or not total:
        return None
    if mode == "all":
        # Every case keeps all of them, so that none depends on what others watch.
        row, case = np.arange(total), np.full(total, -1, np.int32)
    else:
        row, case = _watched(watchlist, names, name_offsets, rrtype, rdata, rdata_offsets, asked)
    if not row.size:
        return None
    if mode == "all":
        # As they stand, unless data must be cut.
        text_at, text = names_to_text(names, name_offsets)
        words = _texts(text, text_at)
        data_at, data = rdata_offsets, rdata
        if int(np.diff(rdata_offsets).max()) > _TEXT_LIMIT:
            data_at, data = _gathered(rdata, rdata_offsets, row, _TEXT_LIMIT)
        datas = _texts(data, data_at)
    else:
        wanted, back = np.unique(row, return_inverse=True)
        name_at, name_bytes = _gathered(names, name_offsets, wanted)
        text_at, text = names_to_text(name_bytes, name_at)
        data_at, data = _gathered(rdata, rdata_offsets, wanted, _TEXT_LIMIT)
        index: Any = pa.array(back)
        words = _texts(text, text_at).take(index)
        datas = _texts(data, data_at).take(index)
    codes = np.zeros(row.size, np.int32) if sensor is None else sensor[row]
    table = pa.table(
        {
            "rrname": words,
            "rrtype": pa.array(rrtype[row].astype(np.uint16)),
            "rdata": datas,
            "sensor": pa.array(codes.astype(np.int32)),
            "case": pa.array(case),
            "first": pa.array(first[row]),
            "last": pa.array(last[row]),
            "count": pa.array(count[row]),
            "ttl": _ttls(ttl, row),
            "ttl_high": _ttls(ttl if ttl_high is None else ttl_high, row),
        }
    )
    ways: list[tuple[str, Any]] = [
        ("first", "min"),
        ("last", "max"),
        ("count", "sum"),
        ("ttl", "min"),
        ("ttl_high", "max"),
    ]
    if distinct:
        table = table.rename_columns([*_KEYS, *(f"{column}_{way}" for column, way in ways)])
    else:
        table = table.group_by(_KEYS).aggregate(ways)
    return _batch(table, sensors)


def _watched(
    watchlist: Watchlist,
    names: Bytes,
    name_offsets: npt.NDArray[np.int64],
    rrtype: npt.NDArray[np.int32],
    rdata: Bytes,
    rdata_offsets: npt.NDArray[np.int64],
    asked: npt.NDArray[np.int32] | None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return (row, case) of the records that a case watches, each pair once."""
    row, entry = watchlist.match_wire(names, name_offsets)
    rows, entries = [row], [entry]
    if watchlist.has_addresses:
        where, addresses = _addresses(rrtype, rdata, rdata_offsets)
        found, prefix = watchlist.match_addresses(addresses)
        rows.append(where[found])
        entries.append(prefix)
    if asked is not None:
        known = np.flatnonzero(asked >= 0)
        index, also = watchlist.implied(asked[known])
        rows.append(known[index])
        entries.append(also)
    row = np.concatenate(rows)
    index, case = watchlist.cases_of(np.concatenate(entries).astype(np.int32))
    pairs = np.unique(row[index].astype(np.int64) * len(watchlist.cases) + case)
    return pairs // max(len(watchlist.cases), 1), (pairs % max(len(watchlist.cases), 1)).astype(
        np.int32
    )


def _batch(table: pa.Table, sensors: Sequence[str | None]) -> pa.RecordBatch:
    table = table.combine_chunks()
    case = table["case"].to_numpy()
    names: Any = pa.array(list(sensors), pa.string())
    sensor = names.take(table["sensor"]).combine_chunks().dictionary_encode()
    columns = {
        "rrname": table["rrname"],
        "rrtype": table["rrtype"],
        "rdata": table["rdata"],
        "time_first": table["first_min"].cast(TIME),
        "time_last": table["last_max"].cast(TIME),
        "count": table["count_sum"],
        "sensor": sensor,
        "case": pa.array(case, mask=case < 0),
        "ttl_low": table["ttl_min"],
        "ttl_high": table["ttl_high_max"],
    }
    arrays: list[Any] = [
        c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c
        for c in (columns[name] for name in ANSWER_ROWS.names)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=ANSWER_ROWS.arrow)


def _ttls(ttl: npt.NDArray[np.int64] | None, row: npt.NDArray[np.int64]) -> pa.Array[Any]:
    if ttl is None:
        return pa.nulls(row.size, pa.int64())
    values = ttl[row]
    return pa.array(values, mask=(values < 0) | (values > _MOST_TTL))


def _texts(text: Bytes, offsets: npt.NDArray[np.int64]) -> pa.Array[Any]:
    buffers: Any = [offsets, text]
    whole = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), offsets.size - 1, [None, *map(pa.py_buffer, buffers)]
    )
    return pc.cast(whole, pa.large_string()).cast(pa.string())


def _gathered(
    source: Bytes,
    offsets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    limit: int = 1 << 30,
) -> tuple[npt.NDArray[np.int64], Bytes]:
    """Return the texts of some rows end to end, each cut to a limit."""
    sizes = np.minimum(offsets[rows + 1] - offsets[rows], limit)
    out_offsets = np.zeros(rows.size + 1, np.int64)
    np.cumsum(sizes, out=out_offsets[1:])
    out = np.empty(int(out_offsets[-1]), np.uint8)
    _copy(source, offsets[rows], out, out_offsets)
    return out_offsets, out


@compiled
def _copy(
    source: Bytes, starts: npt.NDArray[np.int64], out: Bytes, offsets: npt.NDArray[np.int64]
) -> None:
    for row in range(starts.size):
        start = starts[row]
        base = offsets[row]
        for i in range(offsets[row + 1] - base):
            out[base + i] = source[start + i]


@compiled
def _read_addresses(
    rrtype: npt.NDArray[np.int32],
    rdata: Bytes,
    offsets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    out: Bytes,
) -> int:
    """Read the data of address records; return how many are readable."""
    count = 0
    for row in range(rrtype.size):
        if rrtype[row] not in (A, AAAA):
            continue
        if parse_address(rdata, offsets[row], offsets[row + 1], out, int64(16 * count)):
            rows[count] = row
            count += 1
    return count


def _addresses(
    rrtype: npt.NDArray[np.int32], rdata: Bytes, offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return (row int64[m], address uint8[m, 16]) of the A and AAAA records."""
    rows = np.empty(rrtype.size, np.int64)
    out = np.empty(16 * rrtype.size + 16, np.uint8)
    count = int(_read_addresses(rrtype, rdata, offsets, rows, out))
    return rows[:count], out[: 16 * count].reshape(-1, 16)
