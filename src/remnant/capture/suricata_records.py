"""Kernels that take the resource records out of the answers of Suricata's DNS events.

References:
    Suricata user guide, EVE JSON format; rust/src/dns/log.rs (what is written of each type).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64

from remnant.capture.json_lines import (
    KIND,
    LIST,
    NUMBER,
    OBJECT,
    TEXT,
    TEXT_ESCAPED,
    Found,
    Paths,
    Values,
    compile_paths,
    copy_text,
    element,
    found_room,
    read_object,
    whole_number,
)
from remnant.capture.lines import MAX_LINE
from remnant.capture.text_fields import parse_address, parse_uint
from remnant.capture.text_records import (
    TTL,
    Records,
    add_data,
    add_owner,
    drop_owner,
    is_watched,
    same_owner,
)
from remnant.capture.text_types import parse_type
from remnant.watchtable import MAX_HITS
from remnant.wire import AAAA, A, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.watchtable import Tables
    from remnant.wire import Bytes, Int

__all__ = [
    "RECORD_NAME",
    "RECORD_TYPE",
    "Answered",
    "RecordWork",
    "answered_room",
    "json_ttl",
    "json_type",
    "new_record_work",
    "put_record",
    "take_grouped",
    "take_list",
]

_RECORD_PATHS: Final = (
    "rrname", "rrtype", "rdata",
    "soa/mname", "soa/rname", "soa/serial", "soa/refresh", "soa/retry", "soa/expire", "soa/minimum",
    "srv/priority", "srv/weight", "srv/port", "srv/name", "ttl",
)  # fmt: skip
RECORD_NAME: Final = 0
RECORD_TYPE: Final = 1
_DATA: Final = 2
_SOA_FIRST: Final = 3
_SRV_FIRST: Final = 10
_TTL: Final = 14

_GROUPS: Final = ("A", "AAAA", "CNAME", "NS", "PTR", "MX", "TXT")
_GROUP_TYPES: Final = np.array([1, 28, 5, 2, 12, 15, 16], np.int64)
_ALIASES: Final = 2

_SOA: Final = 6
_SRV: Final = 33
_MAX_TYPE: Final = 65535
_MAX_TTL: Final = 2**31 - 1
_MAX_ITEMS: Final = 1 << 14
_ALL: Final = 2


class RecordWork(NamedTuple):
    """Tables and scratch.

    Attributes:
        paths: what is read of a record or a question, and ``record`` where it stands.
        group_paths: the lists that are read of ``grouped``, and ``group``.
        text: uint8: a string without its escapes; ``more``: another; ``key``: a key.
        hits: int32[MAX_HITS]: entries that a name hits.
    """

    paths: Paths
    record: Found
    group_paths: Paths
    group: Found
    text: Bytes
    more: Bytes
    key: Bytes
    hits: npt.NDArray[np.int32]


def new_record_work() -> RecordWork:
    """Return what the kernels need."""
    return RecordWork(
        compile_paths(_RECORD_PATHS),
        found_room(len(_RECORD_PATHS)),
        compile_paths(_GROUPS),
        found_room(len(_GROUPS)),
        np.empty(2 * MAX_LINE, np.uint8),
        np.empty(2 * MAX_LINE, np.uint8),
        np.empty(MAX_LINE, np.uint8),
        np.zeros(MAX_HITS, np.int32),
    )


class Answered(NamedTuple):
    """Addresses that stand in the answers of a block.

    Attributes:
        filled: int64[1]: how many there are.
        row: int64[n]: the response's row.
        address: uint8[16 n].
    """

    filled: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    address: Bytes


def answered_room(size: int) -> Answered:
    """Return room for the addresses that so many bytes of JSON can hold."""
    # "::" is the shortest, with quotes and a comma.
    most = size // 5 + 1
    return Answered(np.zeros(1, np.int64), np.empty(most, np.int64), np.empty(16 * most, np.uint8))


@kernel
def json_type(view: Bytes, values: Values, slot: Int) -> Int:
    """Return the number of a type, by its name or as digits; -1 if it is absent or unknown."""
    start = values[slot, 0]
    stop = values[slot, 1]
    if values[slot, KIND] != TEXT:
        return int64(-1)
    kind = parse_type(view, start, stop)
    if kind < 0:
        # Suricata prints the number of a type that it has no name for.
        kind = parse_uint(view, start, stop)
    return int64(kind) if kind <= _MAX_TYPE else int64(-1)


@kernel
def json_ttl(view: Bytes, values: Values, slot: Int) -> Int:
    """Return a TTL in seconds, -1 if it is absent or none."""
    return max(whole_number(view, values, slot, _MAX_TTL), int64(-1))


@kernel
def _record_text(view: Bytes, values: Values, kind: Int, text: Bytes, more: Bytes) -> Int:
    """Write the data of a record as text; return its size, -1 if it has none that can be read."""
    if values[_DATA, KIND] in (TEXT, TEXT_ESCAPED):
        return copy_text(view, values, int64(_DATA), text)
    first = int64(_SRV_FIRST)
    last: Int = int64(-1)
    if kind == _SOA:
        first = int64(_SOA_FIRST)
        last = int64(_SRV_FIRST)
    elif kind == _SRV:
        last = int64(_TTL)
    size = int64(0)
    for slot in range(first, last):
        if size > 0:
            text[size] = 32
            size += 1
        if values[slot, KIND] == NUMBER:
            for i in range(values[slot, 0], values[slot, 1]):
                text[size] = view[i]
                size += 1
            continue
        part = copy_text(view, values, int64(slot), more)
        if part < 0:
            return int64(-1)
        for i in range(part):
            text[size + i] = more[i]
        size += part
    return size


@kernel
def put_record(
    record: tuple[Int, Int, Int, Int, Int],
    size: Int,
    row: Int,
    text: Bytes,
    records: Records,
    answered: Answered,
    wanted: npt.NDArray[np.int64],
) -> None:
    """Keep a record whose data is the first bytes of ``text``.

    Args:
        record: (owner and name asked for, as in ``Records``, type, time, TTL or -1).
        size: bytes of the data.
        row: the response's row, for which its address is noted; -1 for none.
        text: holds the data.
        records: takes the record, if ``wanted[0]`` is not 0: 1 wants watched records, 2 all.
        answered: takes the address, if ``wanted[1]`` is not 0.
        wanted: int64[2].
    """
    owner, question, kind, time, ttl = record
    if size <= 0 or kind < 0:
        return
    if wanted[0] != 0 and owner >= 0:
        if question >= 0 and same_owner(records, owner, question):
            question = int64(-1)
        index = add_data(records, owner, question, kind, text, int64(0), size, True, time)
        if index >= 0:
            records.columns[index, TTL] = ttl
    if wanted[1] != 0 and row >= 0 and kind in (A, AAAA):
        count = answered.filled[0]
        if count < answered.row.size and parse_address(
            text, int64(0), size, answered.address, 16 * count
        ):
            answered.row[count] = row
            answered.filled[0] = count + 1


@kernel
def take_list(
    view: Bytes,
    span: tuple[Int, Int],
    question: Int,
    row: Int,
    time: Int,
    work: RecordWork,
    tables: Tables,
    records: Records,
    answered: Answered,
    wanted: npt.NDArray[np.int64],
) -> None:
    """Take the records of a list: ``answers``, ``authorities`` or ``additionals``.

    Args:
        view: holds the event.
        span: where the list stands.
        question: the name that was asked for, as in ``Records``; -1 if it is not watched.
        row: the response's row, -1 where addresses answer nothing.
        time: of the response.
        work: tables and scratch.
        tables: what is watched.
        records: as in ``put_record``; ``answered`` and ``wanted`` too.
        answered: see above.
        wanted: see above.
    """
    values = work.record.values
    stop = span[1]
    i: Int = span[0] + 1
    for _ in range(_MAX_ITEMS):
        begin, end, kind_of, i = element(view, i, stop)
        if begin < 0:
            break
        if kind_of != OBJECT or not read_object(
            view, begin, end, work.paths, work.record, work.key
        ):
            continue
        owner: Int = int64(-1)
        if wanted[0] != 0:
            size = copy_text(view, values, int64(RECORD_NAME), work.text)
            if size == 0:
                work.text[0] = 46
                size = int64(1)
            if size > 0:
                owner = int64(add_owner(records, work.text, int64(0), size, True))
        kind = json_type(view, values, int64(RECORD_TYPE))
        if (
            wanted[0] < _ALL
            and question < 0
            and not (wanted[1] != 0 and kind in (A, AAAA))
            and not (owner >= 0 and is_watched(records, owner, tables, work.hits))
        ):
            # Nobody wants it: most records end here.
            drop_owner(records, owner)
            continue
        size = _record_text(view, values, kind, work.text, work.more)
        ttl = json_ttl(view, values, int64(_TTL))
        put_record(
            (owner, question, kind, time, ttl), size, row, work.text, records, answered, wanted
        )


@kernel
def take_grouped(
    view: Bytes,
    span: tuple[Int, Int],
    question: Int,
    row: Int,
    time: Int,
    work: RecordWork,
    records: Records,
    answered: Answered,
    wanted: npt.NDArray[np.int64],
) -> None:
    """Take the records of ``grouped``, which says no owners.

    They are taken for records of the name that was asked for. Behind an alias that is true of none
    of them; only addresses are then kept, as what the name leads to.
    """
    if not read_object(view, span[0], span[1], work.group_paths, work.group, work.key):
        return
    values = work.group.values
    found = work.record.values
    chain = values[_ALIASES, KIND] == LIST
    for group in range(_GROUP_TYPES.size):
        if values[group, KIND] != LIST:
            continue
        kind = _GROUP_TYPES[group]
        owner = question
        if chain and kind not in (A, AAAA):
            owner = int64(-1)
        stop = values[group, 1]
        i: Int = values[group, 0] + 1
        for _ in range(_MAX_ITEMS):
            begin, end, kind_of, i = element(view, i, stop)
            if begin < 0:
                break
            found[_DATA, 0] = begin
            found[_DATA, 1] = end
            found[_DATA, KIND] = kind_of
            size = copy_text(view, found, int64(_DATA), work.text)
            put_record(
                (owner, int64(-1), int64(kind), time, int64(-1)), size, row, work.text, records,
                answered, wanted,
            )  # fmt: skip
