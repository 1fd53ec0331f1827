"""Records of a made-up world, and what sensors of passive DNS see of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.enrich.content import row_numbers
from remnant.schema import ANSWERS, TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["AAAA", "CNAME", "DAY_US", "MX", "NS", "A", "Records"]

A: Final = 1
NS: Final = 2
CNAME: Final = 5
MX: Final = 15
AAAA: Final = 28
DAY_US: Final = 86_400_000_000
_MOST_COUNT: Final = 2_000_000


class Records:
    """Collects records with the time in which they held; days count from the start of a world."""

    def __init__(self) -> None:
        self._parts: list[pa.Table] = []

    def add(
        self,
        owner: Any,  # noqa: ANN401 - Arrow, or one text
        rrtype: int,
        data: Any,  # noqa: ANN401 - Arrow, or one text
        since: npt.ArrayLike,
        until: npt.ArrayLike,
        *,
        a_day: npt.ArrayLike = 5.0,
        ttl: npt.ArrayLike = 3600,
    ) -> None:
        """Add records: columns, or one value for all rows.

        Args:
            owner: folded texts.
            rrtype: of all of them.
            data: folded texts.
            since: day from which on they held.
            until: day on which they ended.
            a_day: mean responses a day that a sensor sees.
            ttl: seconds.
        """
        texts = [part for part in (owner, data) if not isinstance(part, str)]
        count = len(texts[0]) if texts else 1
        numbers = {"since": since, "until": until, "a_day": a_day, "ttl": ttl}
        columns: dict[str, Any] = {
            word: pa.array([part] * count if isinstance(part, str) else part, pa.string())
            for word, part in (("rrname", owner), ("rdata", data))
        }
        columns["rrtype"] = pa.array(np.full(count, rrtype, np.uint16))
        for word, part in numbers.items():
            spread = np.broadcast_to(np.asarray(part, np.float64), count)
            columns[word] = pa.array(np.ascontiguousarray(spread))
        self._parts.append(pa.table(columns))

    def seen(
        self,
        start_us: int,
        days: float,
        sensors: Sequence[tuple[str, float]],
        source: str,
        random: np.random.Generator,
    ) -> pa.Table:
        """Return what sensors saw between day 0 and the last: columns of ``schema.ANSWERS``.

        A sensor sees a Poisson number of responses spread evenly over the time in which a record
        held; a record that it never saw has no row. Lookups come in bursts, so that rare names
        are seen late and leave early.

        Args:
            start_us: day 0 (UTC microseconds).
            days: the end.
            sensors: name and share of all responses that each of them sees.
            source: ledger id.
            random: draws the numbers.
        """
        held = pa.concat_tables(self._parts).combine_chunks()
        since = np.clip(held["since"].to_numpy(), 0.0, days)
        until = np.clip(held["until"].to_numpy(), 0.0, days)
        span = until - since
        a_day = held["a_day"].to_numpy()
        found = []
        for sensor, share in sensors:
            mean = np.minimum(a_day * share * span, _MOST_COUNT)
            count = random.poisson(mean)
            rows = np.flatnonzero((count > 0) & (span > 0))
            number = count[rows]
            # First and last of so many evenly spread times (order statistics).
            first = 1.0 - random.random(rows.size) ** (1.0 / number)
            last = first + (1.0 - first) * random.random(rows.size) ** (
                1.0 / np.maximum(number - 1, 1)
            )
            last = np.where(number == 1, first, last)
            times = [
                start_us + ((since[rows] + at * span[rows]) * DAY_US).astype(np.int64)
                for at in (first, last)
            ]
            taken = held.take(row_numbers(rows))
            ttl = pa.array(taken["ttl"].to_numpy().astype(np.int64))
            columns = {
                "rrname": taken["rrname"],
                "rrtype": taken["rrtype"],
                "rdata": taken["rdata"],
                "time_first": pa.array(times[0]).cast(TIME),
                "time_last": pa.array(times[1]).cast(TIME),
                "count": pa.array(number.astype(np.int64)),
                "ttl_low": ttl,
                "ttl_high": ttl,
                "sensor": _word(sensor, rows.size),
                "source": _word(source, rows.size),
            }
            found.append(pa.table({name: columns[name] for name in ANSWERS.names}))
        return pa.concat_tables(found).unify_dictionaries().combine_chunks().cast(ANSWERS.arrow)


def _word(text: str, count: int) -> Any:  # noqa: ANN401 - Arrow
    codes: Any = pa.array(np.zeros(count, np.int32))
    return pa.DictionaryArray.from_arrays(codes, pa.array([text]))
