"""What DNS kernels write when a message matters, and how it becomes rows of ``queries``.

A kernel that reads messages (dnstap, packets) appends *events*: queries and responses that hit the
watchlist. ``capture.pairing`` joins each query with its response; here the columns are declared,
grown, cut and turned into Arrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from remnant.capture.policy import policy_details
from remnant.schema import QUERIES, TIME
from remnant.watchtable import MAX_HITS
from remnant.wire import MAX_WIRE, inlined, kernel, names_to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = [
    "EVENT_ENTRIES",
    "MAX_RULE",
    "TRANSPORTS",
    "Events",
    "allocate",
    "concatenate",
    "has_room",
    "is_proven",
    "queries",
    "take",
    "used",
]

TRANSPORTS: Final = ("udp", "tcp", "dot", "doh", "dnscrypt_udp", "dnscrypt_tcp", "doq")
"""``Events.transport`` is an index into these, in the order of dnstap's SocketProtocol."""

_PROOFS: Final = ("dns_udp", "dns_tcp")
_DATAGRAMS: Final = (0, 4)

MAX_RULE: Final = 255
"""Bytes of a policy's rule that are kept."""

EVENT_ENTRIES: Final = 256
"""Watchlist entries that one message can hit."""


class Events(NamedTuple):
    """Columns of n messages; a number that the source does not have is -1.

    Attributes:
        filled: int64[1]: how many are filled in.
        response: uint8: 1 for a response.
        time: int64, UTC microseconds: of the row.
        heard: int64, UTC microseconds: when this message passed the sensor; pairs are judged by it.
        offset: int64: where the message's record starts in the stream.
        address: uint8[n, 16]: of the client.
        client_port: int32.
        service_port: int32.
        transport: int32: index into TRANSPORTS.
        ident: int32: the message's id.
        qtype: int32.
        rcode: int32; of a query, that of its response where the source says it of the query.
        ecs: uint8[n, 17]: client subnet, as in ``schema.QUERIES``.
        has_ecs: uint8.
        case_bits: int64, 0 if no letter is a capital.
        sensor: int32: index into the reader's sensors.
        vantage: int32: index into the reader's vantages.
        key: uint64: keyed hash of all that a query and its response have in common.
        policy: int32: the response policy that was applied (``capture.policy``), 0 for none.
        name_offsets: int64[n + 1] into ``names``.
        names: uint8: folded wire names end to end.
        rule_offsets: int64[n + 1] into ``rules``.
        rules: uint8: the texts of the policies' rules end to end.
        entry_offsets: int64[n + 1] into ``entries``.
        entries: int32: watchlist entries, most specific first.
    """

    filled: npt.NDArray[np.int64]
    response: Bytes
    time: npt.NDArray[np.int64]
    heard: npt.NDArray[np.int64]
    offset: npt.NDArray[np.int64]
    address: Bytes
    client_port: npt.NDArray[np.int32]
    service_port: npt.NDArray[np.int32]
    transport: npt.NDArray[np.int32]
    ident: npt.NDArray[np.int32]
    qtype: npt.NDArray[np.int32]
    rcode: npt.NDArray[np.int32]
    ecs: Bytes
    has_ecs: Bytes
    case_bits: npt.NDArray[np.int64]
    sensor: npt.NDArray[np.int32]
    vantage: npt.NDArray[np.int32]
    key: npt.NDArray[np.uint64]
    policy: npt.NDArray[np.int32]
    name_offsets: npt.NDArray[np.int64]
    names: Bytes
    rule_offsets: npt.NDArray[np.int64]
    rules: Bytes
    entry_offsets: npt.NDArray[np.int64]
    entries: npt.NDArray[np.int32]


_FIXED: Final = slice(1, -6)
"""The columns with one value (or one line of bytes) for each event."""


def allocate(count: int) -> Events:
    """Return empty columns with room for ``count`` events of usual size."""
    return Events(
        filled=np.zeros(1, np.int64),
        response=np.zeros(count, np.uint8),
        time=np.zeros(count, np.int64),
        heard=np.zeros(count, np.int64),
        offset=np.zeros(count, np.int64),
        address=np.zeros((count, 16), np.uint8),
        client_port=np.zeros(count, np.int32),
        service_port=np.zeros(count, np.int32),
        transport=np.zeros(count, np.int32),
        ident=np.zeros(count, np.int32),
        qtype=np.zeros(count, np.int32),
        rcode=np.zeros(count, np.int32),
        ecs=np.zeros((count, 17), np.uint8),
        has_ecs=np.zeros(count, np.uint8),
        case_bits=np.zeros(count, np.int64),
        sensor=np.zeros(count, np.int32),
        vantage=np.zeros(count, np.int32),
        key=np.zeros(count, np.uint64),
        policy=np.zeros(count, np.int32),
        name_offsets=np.zeros(count + 1, np.int64),
        names=np.zeros(count * 40 + 2 * MAX_WIRE, np.uint8),
        rule_offsets=np.zeros(count + 1, np.int64),
        rules=np.zeros(count * 8 + 2 * MAX_RULE, np.uint8),
        entry_offsets=np.zeros(count + 1, np.int64),
        entries=np.zeros(count * 2 + 2 * EVENT_ENTRIES, np.int32),
    )


@inlined
def has_room(events: Events) -> Int:
    """Return whether two more events of any size fit."""
    count = events.filled[0]
    return (
        count + 2 <= events.time.size
        and events.name_offsets[count] + 2 * MAX_WIRE <= events.names.size
        and events.rule_offsets[count] + 2 * MAX_RULE <= events.rules.size
        and events.entry_offsets[count] + 2 * EVENT_ENTRIES <= events.entries.size
    )


def used(events: Events) -> Events:
    """Return views of the filled part."""
    count = int(events.filled[0])
    columns: list[Any] = [np.array([count]), *(column[:count] for column in events[_FIXED])]
    columns += [events.name_offsets[: count + 1], events.names[: events.name_offsets[count]]]
    columns += [events.rule_offsets[: count + 1], events.rules[: events.rule_offsets[count]]]
    columns += [events.entry_offsets[: count + 1], events.entries[: events.entry_offsets[count]]]
    return Events(*columns)


def concatenate(first: Events, second: Events) -> Events:
    """Return the events of both (used parts), in order."""
    pairs = zip(first[_FIXED], second[_FIXED], strict=True)
    columns: list[Any] = [first.filled + second.filled, *(np.concatenate(pair) for pair in pairs)]
    columns += [_join(first.name_offsets, second.name_offsets)]
    columns += [np.concatenate([first.names, second.names])]
    columns += [_join(first.rule_offsets, second.rule_offsets)]
    columns += [np.concatenate([first.rules, second.rules])]
    columns += [_join(first.entry_offsets, second.entry_offsets)]
    columns += [np.concatenate([first.entries, second.entries])]
    return Events(*columns)


def take(events: Events, index: npt.NDArray[np.int64]) -> Events:
    """Return copies of some events, in the order of ``index``."""
    name_offsets, names = _gather(events.names, events.name_offsets, index)
    rule_offsets, rules = _gather(events.rules, events.rule_offsets, index)
    entry_offsets, entries = _gather(events.entries, events.entry_offsets, index)
    columns: list[Any] = [np.array([index.size]), *(column[index] for column in events[_FIXED])]
    columns += [name_offsets, names, rule_offsets, rules, entry_offsets, entries]
    return Events(*columns)


def queries(
    events: Events,
    index: npt.NDArray[np.int64],
    partner: npt.NDArray[np.int64],
    sensors: Sequence[str | None],
    vantages: Sequence[str],
) -> pa.RecordBatch:
    """Return the rows of ``schema.QUERIES`` that some events make: one for each entry they hit.

    Args:
        events: used columns.
        index: the events that become rows.
        partner: int64[index.size]: the response of each, -1 if none. A response's entries count
            for its query: they hold those of the name and those of the answers. So do its ports and
            its transport, where the query does not show them.
        sensors: by sensor index.
        vantages: by vantage index.
    """
    source = np.where(partner >= 0, partner, index)
    counts = np.diff(events.entry_offsets)[source]
    _, entries = _gather(events.entries, events.entry_offsets, source)
    rows = np.repeat(index, counts)
    answers = np.repeat(partner, counts)
    size = rows.size
    response = events.response[rows].astype(bool)
    rcode = np.where(answers >= 0, events.rcode[answers], events.rcode[rows])
    transport = _filled(events.transport, rows, answers)
    bits = events.case_bits[rows]
    name_offsets, names = _gather(events.names, events.name_offsets, rows)
    text_offsets, text = names_to_text(names, name_offsets)
    # A query says nothing of policies where its response does.
    judged = np.where((answers >= 0) & (events.policy[answers] != 0), answers, rows)
    columns = [
        pa.array(events.time[rows]).cast(TIME),
        pa.array(events.offset[rows]),
        pa.array(response),
        _words(events.sensor[rows], sensors),
        _words(events.vantage[rows], vantages),
        _fixed(events.address[rows], np.ones(size, bool)),
        _fixed(events.ecs[rows], events.has_ecs[rows].astype(bool)),
        _number(_filled(events.client_port, rows, answers), pa.uint16()),
        _number(_filled(events.service_port, rows, answers), pa.uint16()),
        _words(transport, TRANSPORTS),
        pa.StringArray.from_buffers(size, _buffer(text_offsets.astype(np.int32)), _buffer(text)),
        pa.array(bits, mask=bits == 0),
        _number(events.qtype[rows], pa.uint16()),
        _number(rcode, pa.int16()),
        pa.array(entries),
        _words(is_proven(transport).astype(np.int32), _PROOFS),
        pa.array(np.ones(size, np.int64)),
        policy_details(events.policy[judged], judged, events.rule_offsets, events.rules),
        pa.array(np.zeros(size, bool)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=QUERIES.arrow)


def is_proven(transport: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Return where a handshake shows that the client's address is genuine."""
    return (transport >= 0) & ~np.isin(transport, _DATAGRAMS)


def _join(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate([first, second[1:] + first[-1]])


def _gather(
    values: npt.NDArray[Any], offsets: npt.NDArray[np.int64], index: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Return the lists of some rows end to end."""
    out_offsets = np.zeros(index.size + 1, np.int64)
    np.cumsum((offsets[1:] - offsets[:-1])[index], out=out_offsets[1:])
    out = np.empty(int(out_offsets[-1]), values.dtype)
    _copy_lists(values, offsets, index, out_offsets, out)
    return out_offsets, out


@kernel
def _copy_lists(
    values: npt.NDArray[Any],
    offsets: npt.NDArray[np.int64],
    index: npt.NDArray[np.int64],
    out_offsets: npt.NDArray[np.int64],
    out: npt.NDArray[Any],
) -> None:
    for row in range(index.size):
        start = offsets[index[row]]
        at = out_offsets[row]
        for i in range(out_offsets[row + 1] - at):
            out[at + i] = values[start + i]


def _filled(
    values: npt.NDArray[np.int32], rows: npt.NDArray[np.int64], answers: npt.NDArray[np.int64]
) -> npt.NDArray[np.int32]:
    """Return a column of some rows, with what only their responses show."""
    own = values[rows]
    return np.where((own < 0) & (answers >= 0), values[answers], own)


def _buffer(values: Any) -> pa.Buffer:  # noqa: ANN401 - any array; the stubs know only bytes
    return pa.py_buffer(values)


def _number(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array[Any]:
    column: pa.Array[Any] = pa.array(values, mask=values < 0)
    return column.cast(kind)


def _words(index: npt.NDArray[np.int32], words: Sequence[str | None]) -> pa.Array[Any]:
    """Return a dictionary column; an index below 0 and a word that is None are null."""
    missing = np.array([word is None for word in words], bool)
    null = (index < 0) | missing[np.maximum(index, 0)]
    codes: Any = pa.array(index.astype(np.int32), mask=null)
    return pa.DictionaryArray.from_arrays(codes, pa.array([word or "" for word in words]))


def _fixed(values: Bytes, valid: npt.NDArray[np.bool_]) -> pa.Array[Any]:
    """Return lines of bytes as a fixed-size binary column."""
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(values.shape[1]),
        values.shape[0],
        [
            _buffer(np.packbits(valid, bitorder="little")),
            _buffer(np.ascontiguousarray(values)),
        ],
    )


assert EVENT_ENTRIES >= MAX_HITS
