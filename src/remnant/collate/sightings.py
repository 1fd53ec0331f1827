"""Queries and a watchlist become sightings of each case, without a loop over rows.

While a source is read, a sighting is a *row*: it says the number of its client and of its rule.
When the source is done, the rows of a day become rows of ``schema.SIGHTINGS`` and
``schema.CLIENTS``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.collate.adding import added, taken
from remnant.collate.clients import ANNOTATIONS
from remnant.schema import CLIENTS, QUERIES, SIGHTINGS
from remnant.watchlist import FALLBACKS, OUTSIDE

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.collate.adding import Groups
    from remnant.collate.clients import Clients
    from remnant.collate.pseudonym import SiteKey
    from remnant.watchlist import Watchlist

__all__ = [
    "DAY_US",
    "HOUR_US",
    "UNNAMED",
    "Day",
    "Matcher",
    "client_rows",
    "finish_day",
    "named",
    "rule_texts",
    "split_unlisted",
]

UNNAMED: Final = "default"
"""The sensor of a source that neither a person nor the source itself names."""

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
_ALWAYS: Final = (np.iinfo(np.int64).min, np.iinfo(np.int64).max)
_ECS_BYTES: Final = 17
_LOOKED_AT: Final = 4096
_OUTSIDE: Final = 1
_STANDS_IN: Final = 2
"""What of the hits of one query comes after those that count: hits outside the dates of their
rule, and then rules that stand in where no other rule hits."""

_KEPT: Final = tuple(
    name
    for name in SIGHTINGS.names
    if name in QUERIES.names and name not in {"time", "sensor", "ecs", "name"}
)


def named(sensors: pa.Array[Any], sensor: str | None) -> pa.Array[Any]:
    """Return the sensor of each row: the one that a person named, else the source's, else UNNAMED.

    Args:
        sensors: what the source states, perhaps null.
        sensor: what a person stated.
    """
    words = pa.dictionary(pa.int32(), pa.string())
    if sensor is not None or sensors.null_count == len(sensors):
        return _repeated(sensor or UNNAMED, len(sensors))
    if sensors.null_count == 0:
        return sensors
    filled: Any = pc.fill_null(sensors.cast(pa.string()), pa.scalar(UNNAMED))
    encoded: pa.Array[Any] = filled.dictionary_encode().cast(words)
    return encoded


class _Rules(NamedTuple):
    """The rules of a watchlist as columns."""

    case: npt.NDArray[np.int64]
    since: npt.NDArray[np.int64]
    until: npt.NDArray[np.int64]
    last: npt.NDArray[np.bool_]
    unlisted: npt.NDArray[np.int32]
    texts: pa.StringArray


@lru_cache(maxsize=16)
def _rules_of(watchlist: Watchlist) -> _Rules:
    """Return the rules as columns, made once for all sources of a run."""
    number = {case: i for i, case in enumerate(watchlist.cases)}
    first, last = _ALWAYS
    rules = watchlist.rules
    return _Rules(
        np.array([number[rule.case] for rule in rules], np.int64),
        np.array([first if r.valid_from is None else r.valid_from for r in rules], np.int64),
        np.array([last if r.valid_until is None else r.valid_until for r in rules], np.int64),
        np.array([rule.kind in FALLBACKS for rule in rules], np.bool_),
        np.flatnonzero([rule.kind == "zone" for rule in rules]).astype(np.int32),
        pa.array([rule.text for rule in rules], pa.string()),
    )


def rule_texts(watchlist: Watchlist) -> pa.StringArray:
    """Return the text of each rule of a watchlist."""
    return _rules_of(watchlist).texts


def split_unlisted(rows: pa.Table, watchlist: Watchlist) -> tuple[pa.Table, pa.Table]:
    """Return the rows that count, and those that are kept beside them.

    Beside them stand names that are in a seized zone but not listed, and generated names outside
    of their dates.

    Args:
        rows: what ``Matcher.rows`` gave.
        watchlist: what was watched.
    """
    kinds = _rules_of(watchlist).unlisted
    rule = rows["rule"].to_numpy()
    theirs = rule < 0
    if kinds.size:
        theirs |= np.isin(rule, kinds)
    if theirs.all():
        return rows.slice(0, 0), rows
    if not theirs.any():
        return rows, rows.slice(0, 0)
    return rows.filter(pa.array(~theirs)), rows.filter(pa.array(theirs))


class Matcher:
    """Turns rows of ``schema.QUERIES`` into rows of each case.

    Args:
        watchlist: what is watched.
        clients: numbers the clients of this source.
        key: the site's key.
        sensor: the sensor that a person named.
    """

    def __init__(
        self, watchlist: Watchlist, clients: Clients, key: SiteKey, sensor: str | None
    ) -> None:
        self._clients = clients
        self._key = key
        self._sensor = sensor
        self._offsets = np.asarray(watchlist.entry_offsets, np.int64)
        self._rules = np.asarray(watchlist.entry_rules, np.int64)
        self._specificity = np.asarray(watchlist.specificity, np.int64)
        self._cases = watchlist.cases
        rules = _rules_of(watchlist)
        self._case, self._since, self._until = rules.case, rules.since, rules.until
        self._last = rules.last.astype(np.int8) * _STANDS_IN
        self._one = np.diff(self._offsets) == 1
        self._dated = bool(((self._since != _ALWAYS[0]) | (self._until != _ALWAYS[1])).any())

    def rows(self, queries: pa.RecordBatch) -> dict[str, pa.Table]:
        """Return the rows of each case that has any.

        A hit counts inside the dates of its rule only; of the hits of one query in one case, that
        of the most specific rule stays. A query that hits no rule of a case inside its dates, but
        one outside of them, is a row as well, told by its rule: ``~rule``, a negative number.
        """
        if not len(queries):
            return {}
        time = queries["time"].cast(pa.int64()).to_numpy(zero_copy_only=False)
        hits, rules = self._hits(queries, time)
        found: dict[str, pa.Table] = {}
        if not hits.size:
            return found
        columns = self._columns(queries, time)
        if len(self._cases) == 1 and hits.size == len(queries):
            # No query is there twice, so all are there, in order.
            rule = pa.array(rules.astype(np.int32))
            return {self._cases[0]: columns.append_column("rule", rule)}
        case = self._case[np.where(rules < 0, ~rules, rules)]
        for number in np.unique(case):
            mine = case == number
            picked = hits[mine]
            rows = columns
            if picked.size != len(queries) or (np.diff(picked) != 1).any():
                rows = columns.take(picked)
            rule = pa.array(rules[mine].astype(np.int32))
            found[self._cases[number]] = rows.append_column("rule", rule)
        return found

    def _hits(
        self, queries: pa.RecordBatch, time: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return which row has which rule, each query once per case; see ``rows`` for ``~rule``."""
        entry = queries["entry"].to_numpy(zero_copy_only=False).astype(np.int64)
        offset = queries["offset"].to_numpy(zero_copy_only=False)
        rising = len(self._cases) == 1 and bool((np.diff(offset) > 0).all())
        if rising and not self._dated and self._one[entry].all():
            return np.arange(entry.size), self._rules[self._offsets[entry]]
        starts = self._offsets[entry]
        counts = self._offsets[entry + 1] - starts
        hits = np.repeat(np.arange(entry.size), counts)
        within = np.arange(hits.size) - np.repeat(np.cumsum(counts) - counts, counts)
        rules = self._rules[np.repeat(starts, counts) + within]
        when = time[hits]
        outside = (when < self._since[rules]) | (when >= self._until[rules])
        offset = offset[hits]
        case = self._case[rules]
        rank = self._last[rules] + outside * _OUTSIDE
        # Rules without dates stand in; those with dates never do.
        told = np.where(outside, ~rules, rules)
        if len(self._cases) == 1 and (np.diff(offset) > 0).all():
            return hits, told
        order = np.lexsort((rules, -self._specificity[entry[hits]], rank, case, offset))
        again = np.zeros(order.size, np.bool_)
        again[1:] = (np.diff(offset[order]) == 0) & (np.diff(case[order]) == 0)
        best = np.sort(order[~again])
        return hits[best], told[best]

    def _columns(self, queries: pa.RecordBatch, time: npt.NDArray[np.int64]) -> pa.Table:
        columns = {
            "time": queries["time"],
            "day": pa.array((time // DAY_US).astype(np.int32)),
            "offset": queries["offset"],
            "response": queries["response"],
            "sensor": named(queries["sensor"], self._sensor),
            "address": queries["address"],
            "code": pa.array(self._clients.codes(_bytes(queries["address"], 16))),
            "ecs": self._subnets(queries["ecs"]),
            "name": queries["name"],
        }
        return pa.table(columns | {name: queries[name] for name in _KEPT})

    def _subnets(self, ecs: pa.Array[Any]) -> pa.Array[Any]:
        if ecs.null_count == len(ecs):
            return pa.nulls(len(ecs), pa.int64())
        hashed = self._key.subnets(_bytes(ecs, _ECS_BYTES))
        return pa.array(hashed, mask=ecs.is_null().to_numpy(zero_copy_only=False))


def _bytes(array: pa.Array[Any], width: int) -> npt.NDArray[np.uint8]:
    """Return the values of a fixed-size binary array as uint8[n, width] (nulls: any bytes)."""
    data: Any = array.buffers()[1]
    start = array.offset * width
    whole: npt.NDArray[np.uint8] = np.frombuffer(data, np.uint8)
    return whole[start : start + len(array) * width].reshape(-1, width)


class Day(NamedTuple):
    """What a source brings to one case and day.

    Attributes:
        sightings: rows of ``schema.SIGHTINGS``.
        clients: columns of ``schema.CLIENTS`` that can be added up with those of other parts of
            the same day: number of the client (``code``), sensor, vantage, first_time, last_time,
            queries.
        matched: sensor, vantage, hour, matched (queries).
    """

    sightings: pa.Table
    clients: pa.Table
    matched: pa.Table


def finish_day(rows: pa.Table, clients: Clients, texts: pa.Array[Any], source: str) -> Day:
    """Return the stored form of rows of one day.

    Args:
        rows: what ``Matcher.rows`` gave.
        clients: of the source.
        texts: the text of each rule of the watchlist.
        source: ledger id.
    """
    rows = rows.drop_columns(["day", "offset", "response", "address"])
    rows = _sorted(rows.unify_dictionaries())
    code = rows["code"]
    own: dict[str, Any] = clients.columns(code, ("client", "unit", "asn", "country"))
    own["indicator"] = _indicators(rows["rule"].to_numpy(), texts)
    own["source"] = _repeated(source, len(rows))
    whole = {name: rows[name] for name in rows.column_names} | own
    sightings = pa.table({name: whole[name] for name in SIGHTINGS.names})
    return Day(sightings, *_by_client_and_hour(rows))


def _indicators(rules: npt.NDArray[np.int32], texts: pa.Array[Any]) -> Any:  # noqa: ANN401 - Arrow
    """Return the text of the rule of each row, as what ``Matcher.rows`` says of it."""
    outside = rules < 0
    some = bool(outside.any())
    # A rule and the same rule outside of its dates are two words.
    place = np.where(outside, ~rules + len(texts), rules) if some else rules
    index = np.zeros(len(texts) * (1 + some), np.int32)
    index[place] = 1
    found = np.flatnonzero(index)
    index[found] = np.arange(found.size)
    words: Any = texts.take(found % len(texts))
    if some:
        beside: Any = pc.binary_join_element_wise(OUTSIDE, words, "")
        words = pc.if_else(pa.array(found >= len(texts)), beside, words)
    return pa.DictionaryArray.from_arrays(index[place], words)


def _by_client_and_hour(rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return ``Day.clients`` and ``Day.matched`` of some rows."""
    stamp = SIGHTINGS.arrow.field("time").type
    time = rows["time"].cast(pa.int64()).to_numpy()
    weight = rows["weight"].to_numpy()
    places: list[Any] = [rows[name].combine_chunks() for name in ("sensor", "vantage")]
    place = np.zeros(len(rows), np.int64)
    for words in places:
        if len(words.dictionary) > 1:
            place = place * len(words.dictionary) + words.indices.to_numpy()
    many = len(places[0].dictionary) * len(places[1].dictionary)

    def of(groups: Groups) -> dict[str, Any]:
        sensor, vantage = np.divmod(groups.key % many, len(places[1].dictionary))
        return {
            name: pa.DictionaryArray.from_arrays(index.astype(np.int32), words.dictionary)
            for name, words, index in zip(
                ("sensor", "vantage"), places, (sensor, vantage), strict=True
            )
        }

    asked = added(rows["code"].to_numpy().astype(np.int64) * many + place, time, weight)
    hours = added(time // HOUR_US * many + place, time, weight)
    clients = {
        "code": pa.array((asked.key // many).astype(np.int32)),
        **of(asked),
        "first_time": pa.array(asked.first).cast(stamp),
        "last_time": pa.array(asked.last).cast(stamp),
        "queries": pa.array(asked.weight),
    }
    matched = {
        **of(hours),
        "hour": pa.array(hours.key // many * HOUR_US).cast(stamp),
        "matched": pa.array(hours.rows),
    }
    return pa.table(clients), pa.table(matched)


def client_rows(parts: list[pa.Table], clients: Clients, source: str) -> pa.Table:
    """Return rows of ``schema.CLIENTS``: one for each client, sensor and vantage of a day.

    Args:
        parts: ``Day.clients`` of each part of the day.
        clients: of the source.
        source: ledger id.
    """
    whole = pa.concat_tables(parts).unify_dictionaries()
    if len(parts) > 1:
        whole = (
            whole.group_by(["code", "sensor", "vantage"])
            .aggregate([("first_time", "min"), ("last_time", "max"), ("queries", "sum")])
            .rename_columns(whole.column_names)
        )
    code = whole["code"]
    own: dict[str, Any] = clients.columns(code, ("client", "unit", "address", *ANNOTATIONS))
    own["source"] = _repeated(source, len(whole))
    own |= {name: whole[name] for name in whole.column_names}
    table = pa.table({name: own[name] for name in CLIENTS.names})
    return taken(table, np.argsort(table["client"].to_numpy(), kind="stable"))


def _repeated(word: str, count: int) -> pa.DictionaryArray[Any, Any]:
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([word]))


def _sorted(rows: pa.Table) -> pa.Table:
    """Sort by name and time: names lie together, and pages read only theirs."""
    names: Any = rows["name"].combine_chunks()
    time = rows["time"].cast(pa.int64()).to_numpy()
    rising = bool((np.diff(time) >= 0).all())
    if rising and _differ(names):
        return taken(rows, pc.array_sort_indices(names).to_numpy())
    if not pa.types.is_dictionary(names.type):
        names = names.dictionary_encode()
    if isinstance(names, pa.ChunkedArray):
        names = names.combine_chunks()
    rank = np.empty(len(names.dictionary), np.int64)
    rank[pc.array_sort_indices(names.dictionary).to_numpy()] = np.arange(rank.size)
    by_name = rank[names.indices.to_numpy()]
    if rank.size > 1 << 16:
        return taken(rows, np.lexsort((time, by_name)))
    # NumPy sorts 16-bit numbers in linear time, and times that are nearly in order.
    by_name = by_name.astype(np.uint16)
    if rising:
        return taken(rows, np.argsort(by_name, kind="stable"))
    order = np.argsort(time, kind="stable")
    return taken(rows, order[np.argsort(by_name[order], kind="stable")])


def _differ(names: Any) -> bool:  # noqa: ANN401 - Arrow
    """Return whether most names differ: to number them would be in vain."""
    if isinstance(names, pa.ChunkedArray) or pa.types.is_dictionary(names.type):
        return False
    few: Any = names.slice(0, _LOOKED_AT)
    return len(few) == _LOOKED_AT and 2 * len(few.unique()) > _LOOKED_AT
