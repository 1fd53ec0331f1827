"""Hours that are covered because somebody says so, also where nothing came.

A person states the period for which sources that hold hits only are complete
(``remnant ingest --period``): such a source has no line for an hour in which nothing hit, nor for
one in which nobody looked, and only somebody who knows the sensor can tell the two apart. The
sinkhole states of itself each hour in which it listened from the start to the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.schema import TIME
from remnant.windows import Window, ceil, floor, iso, parse_time, to_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

__all__ = [
    "HITS",
    "STATED",
    "TRAFFIC",
    "lines_of",
    "period_of",
    "reading_text",
    "with_basis",
    "with_listened",
]

TRAFFIC: Final = "traffic"
HITS: Final = "hits"
STATED: Final = "stated"

_MARK: Final = "period "
_HOUR_US: Final = 3_600_000_000
_KEYS: Final = ("sensor", "vantage", "hour")


def reading_text(lines: str, period: Window | None) -> str:
    """Return what the ledger keeps of how a source was read.

    Args:
        lines: year and time zone of the lines.
        period: what was stated.
    """
    if period is None:
        return lines
    return f"{lines} {_MARK}{iso(period.since)}/{iso(period.until)}".strip()


def lines_of(reading: str) -> str:
    """Return the year and time zone of the lines from the ledger's text."""
    return reading.partition(_MARK)[0].strip()


def period_of(reading: str) -> Window | None:
    """Return the stated period from the ledger's text.

    >>> str(period_of("2015 UTC period 2015-04-08T00:00:00Z/2015-04-09T00:00:00Z"))
    '2015-04-08T00:00:00Z to 2015-04-09T00:00:00Z'
    """
    _, _, text = reading.partition(_MARK)
    if not text:
        return None
    since, _, until = text.partition("/")
    return Window(parse_time(since), parse_time(until))


def with_basis(
    counts: pa.Table,
    *,
    hits_only: bool,
    period: Window | None,
    sensors: Iterable[tuple[str, str]],
) -> pa.Table:
    """Return coverage rows with what each rests on, and rows for the stated hours without a hit.

    Only whole hours of the period count: of a part of one nothing is known.

    Args:
        counts: columns of ``schema.COVERAGE_COUNTS``, words as plain text.
        hits_only: the source holds hits only.
        period: what was stated about it.
        sensors: the sensors and vantages that the statement is about.
    """
    if not hits_only:
        return _with(counts, [TRAFFIC] * len(counts))
    if period is None:
        return _with(counts, [HITS] * len(counts))
    first, stop = (to_us(t) // _HOUR_US for t in (ceil(period.since, "hour"), _end(period)))
    filled: Any = pc.fill_null(counts["hour"].cast(pa.int64()), pa.scalar(-1))
    hour = filled.to_numpy() // _HOUR_US
    inside = (hour >= first) & (hour < stop)
    parts = [_with(counts, np.where(inside, STATED, HITS).tolist())]
    heard: dict[Any, list[int]] = {}
    keys = zip(counts["sensor"].to_pylist(), counts["vantage"].to_pylist(), strict=True)
    for key, at in zip(keys, hour.tolist(), strict=True):
        heard.setdefault(key, []).append(at)
    for key in dict.fromkeys(sensors):
        silent = np.setdiff1d(np.arange(first, stop), np.array(heard.get(key, []), np.int64))
        parts.append(_silent(counts.schema, *key, silent))
    return pa.concat_tables(parts)


def with_listened(counts: pa.Table, listened: Iterable[tuple[str, str, int]]) -> pa.Table:
    """Return coverage rows and rows without a message for hours in which the sensor listened.

    Args:
        counts: what ``with_basis`` gave.
        listened: sensor, vantage, start of the hour (UTC microseconds).
    """
    by_key: dict[tuple[str, str], list[int]] = {}
    for sensor, vantage, hour in listened:
        by_key.setdefault((sensor, vantage), []).append(hour // _HOUR_US)
    silent = [
        _silent(counts.schema.remove(counts.schema.get_field_index("basis")), *key, np.array(hours))
        for key, hours in by_key.items()
    ]
    return pa.concat_tables([counts, *silent]) if silent else counts


def _end(period: Window) -> Any:  # noqa: ANN401 - a datetime, imported for types only
    return floor(period.until, "hour")


def _with(counts: pa.Table, words: Sequence[str]) -> pa.Table:
    return counts.append_column("basis", pa.array(words, pa.string()))


def _silent(schema: pa.Schema, sensor: str, vantage: str, hours: npt.NDArray[np.int64]) -> pa.Table:
    """Return rows without any message for stated hours."""
    columns: list[Any] = []
    for field in schema:
        if field.name == "hour":
            columns.append(pa.array(hours * _HOUR_US, pa.int64()).cast(TIME))
        elif field.name in _KEYS:
            word = sensor if field.name == "sensor" else vantage
            columns.append(pa.array([word] * hours.size, pa.string()))
        elif field.type == TIME:
            columns.append(pa.nulls(hours.size, TIME))
        else:
            columns.append(pa.array(np.zeros(hours.size, np.int64)))
    return _with(pa.table(columns, schema=schema), [STATED] * hours.size)
