"""Events of the sinkhole become rows of ``schema.QUERIES``, without a loop over rows in Python.

An event of the case whose segment it is always counts: under the rule that its name or destination
hits; else, in a seized zone, under ``unlisted:`` and the zone; else under the word ``sinkhole``.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.capture.event_rows import destination_text
from remnant.capture.segment_alike import alike
from remnant.schema import PROOFS, QUERIES, TRANSPORTS
from remnant.watchlist import FALLBACKS, SINKHOLE
from remnant.wire import MAX_LABELS, case_bits, kernel, labels, names_to_text

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.watchlist import Watchlist
    from remnant.wire import Bytes

__all__ = ["VANTAGES", "is_known", "queries_of", "vantages_of"]

VANTAGES: Final = ("sinkhole_dns", "sinkhole_tcp", "sinkhole_http")
"""Where an event was seen; ``vantages_of`` gives indexes into these."""

_DNS: Final = 0
_TCP: Final = 1
_HTTP: Final = 2
_OF_PROOF: Final = np.array(
    [{"dns_udp": _DNS, "dns_tcp": _DNS, "http": _HTTP}.get(proof, _TCP) for proof in PROOFS],
    np.int8,
)
_ECS_BYTES: Final = 17
_CODED: Final = frozenset({"name", "detail"})
_NO_NAME: Final = "-"
_MAX_DETAIL: Final = 8192
_DAMAGED: Final = '{"damaged":true}'


class _Entries(NamedTuple):
    """What the entries of a watchlist are to one case.

    Attributes:
        sure: bool[entries]: a hit counts for the case, whatever the time.
        weak: bool[entries]: there are only rules that stand in where nothing else hits.
        zone: bool[entries]: what a name in a seized zone of the case hits.
        sinkhole: the entry for everything else, -1 if the watchlist has none.
        one: the watchlist is of one case.
    """

    sure: npt.NDArray[np.bool_]
    weak: npt.NDArray[np.bool_]
    zone: npt.NDArray[np.bool_]
    sinkhole: int
    one: bool


@lru_cache(maxsize=4)
def _entries_of(watchlist: Watchlist, case: str) -> _Entries:
    rules = watchlist.rules
    stands_in = np.array([rule.kind in FALLBACKS for rule in rules], np.bool_)
    mine = np.array([rule.case == case for rule in rules], np.bool_)
    dated = np.array(
        [not (rule.valid_from is None and rule.valid_until is None) for rule in rules], np.bool_
    )
    entry = np.empty(len(rules), np.int64)
    entry[watchlist.entry_rules] = np.repeat(
        np.arange(watchlist.specificity.size), np.diff(watchlist.entry_offsets)
    )
    count = watchlist.specificity.size

    def have(which: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        found = np.zeros(count, np.bool_)
        found[entry[which]] = True
        return found

    nothing = [i for i, rule in enumerate(rules) if rule.kind == SINKHOLE and rule.case == case]
    return _Entries(
        sure=have(mine & ~stands_in & ~dated),
        weak=~have(~stands_in),
        zone=have(mine & stands_in),
        sinkhole=int(entry[nothing[0]]) if nothing else -1,
        one=len(watchlist.cases) == 1,
    )


def is_known(events: pa.RecordBatch) -> bool:
    """Return whether the numbers that stand for words are those of this version."""
    if not len(events):
        return True
    proof = events["proof"].to_numpy()
    transport = events["transport"].to_numpy()
    return int(proof.max()) < len(PROOFS) and int(transport.max()) < len(TRANSPORTS)


def vantages_of(events: pa.RecordBatch) -> npt.NDArray[np.int8]:
    """Return where each event was seen, as an index into VANTAGES."""
    where: npt.NDArray[np.int8] = _OF_PROOF[events["proof"].to_numpy()]
    return where


@kernel
def _examine(
    names: Bytes,
    offsets: npt.NDArray[np.int64],
    valid: npt.NDArray[np.bool_],
    bits: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
) -> None:
    """Note which names are whole wire names, and which of their letters are capitals."""
    for row in range(valid.size):
        stop = offsets[row + 1]
        count = labels(names, offsets[row], stop, starts)
        valid[row] = count >= 0 and starts[count] + 1 == stop
        bits[row] = case_bits(names, starts, count) if valid[row] else 0


def queries_of(
    events: pa.RecordBatch,
    offsets: npt.NDArray[np.int64],
    watchlist: Watchlist,
    case: str,
    sensor: str,
    usable: tuple[int, int],
    *,
    coded: bool = False,
) -> pa.RecordBatch:
    """Return rows of ``schema.QUERIES``: each event, with what it hits.

    Args:
        events: n rows of ``schema.EVENTS`` for which ``is_known``.
        offsets: int64[n]: a place in the stream for each of them, rising.
        watchlist: what is watched, with the rules that the segment's head brings.
        case: the case whose segment it is.
        sensor: the sensor's name.
        usable: times (UTC microseconds) from which and before which an event counts.
        coded: names and details may be dictionaries, as they come about; else they are plain text
            as the schema says.
    """
    names, spans = _buffers(events["name"])
    kinds = alike(events, names, spans)
    if kinds is None:
        codes, one_of_each = None, events
    else:
        codes, first = kinds
        one_of_each = events.take(first)
        names, spans = _buffers(one_of_each["name"])
    count = len(one_of_each)
    valid = np.zeros(count, np.bool_)
    bits = np.zeros(count, np.int64)
    _examine(names, spans, valid, bits, np.zeros(MAX_LABELS + 2, np.int64))
    hit, entries = _hits(one_of_each, names, spans, valid, watchlist, case)
    texts = _names(one_of_each, names, spans, valid)
    rows, hit = _spread(codes, hit, count)
    entries = entries[hit]
    time = events["time"].cast(pa.int64()).to_numpy()
    counted = (time >= usable[0]) & (time < usable[1])
    if not counted.all():
        kept = counted if rows is None else counted[rows]
        rows = np.flatnonzero(kept) if rows is None else rows[kept]
        entries = entries[kept]
    own = events["detail"]
    plain = own.null_count == len(own)
    detail = _answered(one_of_each) if plain else _details(events, _answered(events))
    taken: Any = events
    if rows is not None:
        index: Any = pa.array(rows)
        taken = events.take(index)
        offsets = offsets[rows]
        codes = rows.astype(np.int32) if codes is None else codes[rows]
        detail = detail if plain else detail.take(index)
    size = entries.size
    if codes is not None:
        bits = bits[codes] if bits.any() else np.zeros(size, np.int64)
        texts = _coded(texts, codes)
        detail = _coded(detail, codes) if plain else detail
    vantage = vantages_of(taken)
    columns: dict[str, Any] = {
        "offset": pa.array(offsets),
        "response": pa.array(np.zeros(size, np.bool_)),
        "sensor": _words((sensor,), np.zeros(size, np.int8)),
        "vantage": _words(VANTAGES, vantage),
        "ecs": _subnets(taken["ecs"]),
        "transport": _words(TRANSPORTS, taken["transport"].to_numpy()),
        "name": texts,
        "case_bits": pa.array(bits, pa.int64(), mask=bits == 0),
        "entry": pa.array(entries, pa.int32()),
        "proof": _words(PROOFS, taken["proof"].to_numpy()),
        "weight": pa.array(np.ones(size, np.int64)),
        "detail": detail,
    }
    found = [columns[name] if name in columns else taken[name] for name in QUERIES.names]
    if not coded:
        found = [
            column.cast(field.type) if field.name in _CODED else column
            for column, field in zip(found, QUERIES.arrow, strict=True)
        ]
        return pa.RecordBatch.from_arrays(found, schema=QUERIES.arrow)
    return pa.RecordBatch.from_arrays(found, names=list(QUERIES.names))


def _spread(
    codes: npt.NDArray[np.int32] | None, hit: npt.NDArray[np.int64], kinds: int
) -> tuple[npt.NDArray[np.int64] | None, npt.NDArray[np.int64]]:
    """Return which event each hit is of, and which hit of its kind it is.

    Args:
        codes: the kind of each event; ``None``: each is a kind of its own.
        hit: the kind of each hit, rising.
        kinds: how many kinds there are.

    Returns:
        (rows, hits); rows is ``None`` where each event has one hit.
    """
    counts = np.bincount(hit, minlength=kinds)
    if (counts == 1).all():
        return None, np.arange(kinds) if codes is None else codes.astype(np.int64)
    if codes is None:
        return hit, np.arange(hit.size)
    starts = np.cumsum(counts) - counts
    many = counts[codes]
    rows = np.repeat(np.arange(codes.size), many)
    within = np.arange(rows.size) - np.repeat(np.cumsum(many) - many, many)
    return rows, starts[codes[rows]] + within


def _hits(
    events: pa.RecordBatch,
    names: Bytes,
    spans: npt.NDArray[np.int64],
    valid: npt.NDArray[np.bool_],
    watchlist: Watchlist,
    case: str,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return each event and entry that it counts under, in order of the events."""
    known = _entries_of(watchlist, case)
    rows, entries = watchlist.match_wire(names, spans)
    if not valid.all():
        kept = valid[rows]
        rows, entries = rows[kept], entries[kept]
    destination = events["destination"]
    if watchlist.has_addresses and destination.null_count < len(events):
        there = np.flatnonzero(destination.is_valid().to_numpy(zero_copy_only=False))
        where, prefixes = watchlist.match_addresses(_fixed(destination, 16)[there])
        rows = np.concatenate([rows, there[where]])
        entries = np.concatenate([entries, prefixes])
    surely = np.zeros(len(events), np.bool_)
    surely[rows[known.sure[entries]]] = True
    needless = known.weak[entries] & surely[rows]
    if known.one:
        # Of those that hit for sure one is enough, and the most specific one comes first.
        sure = np.flatnonzero(known.sure[entries])
        first = np.zeros(entries.size, np.bool_)
        first[sure[np.unique(rows[sure], return_index=True)[1]]] = True
        needless |= surely[rows] & ~first
    rows, entries = rows[~needless], entries[~needless]
    if known.sinkhole >= 0:
        placed = surely
        placed[rows[known.zone[entries]]] = True
        nowhere = np.flatnonzero(~placed)
        rows = np.concatenate([rows, nowhere])
        entries = np.concatenate([entries, np.full(nowhere.size, known.sinkhole, np.int32)])
    if (np.diff(rows) < 0).any():
        order = np.argsort(rows, kind="stable")
        rows, entries = rows[order], entries[order]
    return rows, entries


def _names(
    events: pa.RecordBatch,
    names: Bytes,
    spans: npt.NDArray[np.int64],
    valid: npt.NDArray[np.bool_],
) -> Any:  # noqa: ANN401 - Arrow
    """Return the folded name of each event, or its destination as text."""
    starts, text = names_to_text(names, spans)
    buffers: Any = [starts, text]
    first, second = map(pa.py_buffer, buffers)
    found: Any = pa.LargeStringArray.from_buffers(len(events), first, second).cast(pa.string())
    if valid.all():
        return found
    destination = events["destination"]
    known = destination.is_valid().to_numpy(zero_copy_only=False)
    few, index = np.unique(_fixed(destination, 16), axis=0, return_inverse=True)
    words: Any = pa.array([destination_text(few[i].tobytes()) for i in range(len(few))])
    other: Any = pc.if_else(pa.array(known), words.take(pa.array(index.reshape(-1))), _NO_NAME)
    return pc.if_else(pa.array(valid), found, other)


def _answered(events: pa.RecordBatch) -> Any:  # noqa: ANN401 - Arrow
    """Return as JSON what each event was given."""
    ttl = events["ttl"]
    given = ttl.is_valid().to_numpy(zero_copy_only=False)
    unlisted = events["unlisted"].to_numpy(zero_copy_only=False)
    seconds = np.where(given, ttl.fill_null(0).to_numpy(), -1).astype(np.int64)
    few, index = np.unique(2 * seconds + unlisted, return_inverse=True)
    words: Any = pa.array([_given(int(code)) for code in few.tolist()], pa.string())
    return pa.DictionaryArray.from_arrays(index.reshape(-1).astype(np.int32), words)


def _details(events: pa.RecordBatch, answered: Any) -> Any:  # noqa: ANN401 - Arrow
    """Return the facts of each event as JSON: those that it brings, and what it was given."""
    found = answered.cast(pa.string())
    encoded = events["detail"].dictionary_encode()
    texts: Any = encoded.dictionary.to_pylist()
    checked: Any = pa.array([_checked(text) for text in texts], pa.string())
    brought = checked.take(encoded.indices)
    head: Any = pc.utf8_slice_codeunits(found, 0, -1)
    tail: Any = pc.utf8_slice_codeunits(brought, 1)
    joined = pc.binary_join_element_wise(head, tail, ",")
    return pc.coalesce(joined, brought, found)


def _given(code: int) -> str | None:
    seconds, unlisted = code // 2, code % 2
    facts: dict[str, object] = {} if seconds < 0 else {"ttl": seconds}
    if unlisted:
        facts["unlisted"] = True
    return json.dumps(facts, separators=(",", ":")) if facts else None


def _checked(text: str) -> str:
    """Return facts as JSON that is sure to be an object with something in it."""
    try:
        facts = json.loads(text[: _MAX_DETAIL + 1])
    except (ValueError, RecursionError):
        return _DAMAGED
    if not isinstance(facts, dict) or not facts:
        return _DAMAGED
    return json.dumps(facts, separators=(",", ":"))


def _subnets(ecs: Any) -> Any:  # noqa: ANN401 - Arrow
    """Return client subnets in their fixed width; what has another width is none."""
    if ecs.null_count == len(ecs):
        return pa.nulls(len(ecs), pa.binary(_ECS_BYTES))
    right: Any = pc.equal(pc.binary_length(ecs), pa.scalar(_ECS_BYTES, pa.int32()))
    none: Any = pa.scalar(None, pa.binary())
    return pc.if_else(right, ecs, none).cast(pa.binary(_ECS_BYTES))


def _buffers(column: Any) -> tuple[Bytes, npt.NDArray[np.int64]]:  # noqa: ANN401 - Arrow
    """Return the bytes of a binary column and the offsets of its values (int64[n + 1])."""
    _, offsets, data = column.buffers()
    if not len(column) or offsets is None:
        return np.empty(0, np.uint8), np.zeros(len(column) + 1, np.int64)
    spans = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    whole = np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return whole, spans.astype(np.int64)


def _fixed(column: Any, width: int) -> npt.NDArray[np.uint8]:  # noqa: ANN401 - Arrow
    """Return the values of a column of fixed width as uint8[n, width] (nulls: any bytes)."""
    start = column.offset * width
    data: npt.NDArray[np.uint8] = np.frombuffer(column.buffers()[1], np.uint8)
    return data[start : start + len(column) * width].reshape(-1, width)


def _coded(texts: Any, codes: npt.NDArray[Any]) -> Any:  # noqa: ANN401 - Arrow
    """Return the text of each code, as a dictionary in which each text stands once."""
    if not pa.types.is_dictionary(texts.type):
        texts = texts.dictionary_encode()
    index: Any = texts.indices.take(pa.array(codes))
    return pa.DictionaryArray.from_arrays(index, texts.dictionary)


def _words(words: tuple[str, ...], index: npt.NDArray[Any]) -> pa.Array[Any]:
    return pa.DictionaryArray.from_arrays(
        pa.array(index.astype(np.int32), pa.int32()), pa.array(words, pa.string())
    )
