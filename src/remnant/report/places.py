"""Trends of countries and networks over the days of a window, from the daily roll-ups.

A client has one address, and an address lies in one network at a time, so the distinct clients of
the networks of a country add up to those of the country (days do not add up, and are never added).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from remnant import schema
from remnant.report.facts import Pulse
from remnant.report.suppress import suppress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from remnant.report.suppress import Count
    from remnant.store import View

    Floats = NDArray[np.float64]

__all__ = ["client_days", "daily_clients", "pulses"]

_STEPS: Final = 40
_WEEK: Final = 7
_SEPARATOR: Final = "\x1f"
_DAY_US: Final = 86_400_000_000


def daily_clients(
    view: View,
    vantage: str,
    days: Sequence[datetime],
    keys: Sequence[tuple[int | None, str | None]] | Sequence[str | None],
) -> Floats:
    """Return distinct clients of each day and key: keys x days, zero where none was seen.

    Args:
        view: the case.
        vantage: where it was seen.
        days: midnights (UTC), consecutive.
        keys: networks as (asn, country), or countries.
    """
    import ibis  # noqa: PLC0415 - heavy
    import pyarrow as pa  # noqa: PLC0415 - heavy
    import pyarrow.compute as pc  # noqa: PLC0415 - heavy

    matrix = np.zeros((len(keys), len(days)))
    if not keys or not days:
        return matrix
    first = days[0]
    table = view.table(schema.ACTIVITY)
    table = table.filter(
        table.grain == "network",
        table.vantage == vantage,
        table.start >= ibis.literal(first, type="timestamp('UTC', 6)"),
        table.start <= ibis.literal(days[-1], type="timestamp('UTC', 6)"),
    )
    networks = isinstance(keys[0], tuple)
    asns = [key[0] for key in keys if isinstance(key, tuple)]
    columns = ["start", "asn", "country"] if networks else ["start", "country"]
    if networks:
        table = table.filter(_one_of(table.asn, asns))
    else:
        table = table.filter(_one_of(table.country, list(keys)))
    found = table.group_by(columns).aggregate(clients=table.clients.sum()).to_pyarrow()
    named = [pc.fill_null(found[name].cast(pa.string()), "") for name in columns[1:]]
    wanted = [
        _SEPARATOR.join("" if part is None else str(part) for part in _parts(key)) for key in keys
    ]
    rows = pc.index_in(
        pc.binary_join_element_wise(*named, _SEPARATOR), value_set=pa.array(wanted, pa.string())
    )
    mask = pc.is_valid(rows).to_numpy(zero_copy_only=False)
    index = pc.fill_null(rows, 0).to_numpy(zero_copy_only=False)[mask]
    start = found["start"].cast(pa.int64()).to_numpy()[mask]
    day = (start - round(first.timestamp() * 1e6)) // _DAY_US
    np.add.at(matrix, (index, day), found["clients"].to_numpy()[mask])
    return matrix


def client_days(
    view: View, vantage: str, days: Sequence[datetime], *, networks: bool
) -> dict[tuple[int | None, str | None] | str | None, int]:
    """Return client-days of the given days by network (asn, country) or by country.

    Places are ranked by this. Distinct clients of a whole window are no measure of size: where
    addresses change often they grow with the window, and such a place would lead without cause.
    """
    import ibis  # noqa: PLC0415 - heavy

    if not days:
        return {}
    table = view.table(schema.ACTIVITY)
    table = table.filter(
        table.grain == "network",
        table.vantage == vantage,
        table.start.isin([ibis.literal(day, type="timestamp('UTC', 6)") for day in days]),
    )
    columns = ["asn", "country"] if networks else ["country"]
    rows = table.group_by(columns).aggregate(n=table.clients.sum()).to_pyarrow().to_pylist()
    if networks:
        return {(row["asn"], row["country"]): row["n"] for row in rows}
    return {row["country"]: row["n"] for row in rows}


def pulses(
    matrix: Floats, covered: NDArray[np.bool_], minimum: int, *, everything: bool
) -> list[Pulse]:
    """Return a small trend per row of a keys x days matrix, as published.

    Args:
        matrix: distinct clients, zero where none was seen.
        covered: days that are no gaps.
        minimum: the smallest count that is shown.
        everything: whether the rows together are all there is, so that their sum can be known.
    """
    if not matrix.size or not covered.any():
        return [Pulse() for _ in range(len(matrix))]
    steps = np.array_split(np.arange(matrix.shape[1]), min(_STEPS, matrix.shape[1]))
    chosen = [step[covered[step]] for step in steps]
    means = np.stack(
        [
            matrix[:, step].mean(axis=1) if len(step) else np.full(len(matrix), np.nan)
            for step in chosen
        ],
        axis=1,
    )
    if minimum > 1:
        means = np.maximum(means, minimum)
        # A curve that would only run along that floor says nothing, and looks like a finding.
        means[~(means > minimum).any(axis=1)] = np.nan
    kept = matrix[:, covered]
    first: list[Count] = [None] * len(matrix)
    last = list(first)
    if kept.shape[1] >= 2 * _WEEK:
        first = _mean(kept[:, :_WEEK], minimum, everything=everything)
        last = _mean(kept[:, -_WEEK:], minimum, everything=everything)
    usual = _mean(kept, minimum, everything=everything)
    return [
        Pulse(_curve(row), begin, end, mean)
        for row, begin, end, mean in zip(means, first, last, usual, strict=True)
    ]


def _mean(clients: Floats, minimum: int, *, everything: bool) -> list[Count]:
    """Return the mean clients a day of each row, as published."""
    means = [round(float(value)) for value in clients.mean(axis=1)]
    return suppress(means, minimum, total_known=everything)[0]


def _curve(row: Floats) -> tuple[float | None, ...]:
    """Return a row with null for NaN; nothing where all is NaN."""
    known = ~np.isnan(row)
    values = zip(row.tolist(), known.tolist(), strict=True)
    return tuple(value if good else None for value, good in values) if known.any() else ()


def _parts(key: tuple[int | None, str | None] | str | None) -> tuple[object, ...]:
    return key if isinstance(key, tuple) else (key,)


def _one_of(column: Any, values: Sequence[object]) -> Any:  # noqa: ANN401 - ibis is untyped
    known = [value for value in dict.fromkeys(values) if value is not None]
    missing = column.isnull()
    if not known:
        return missing
    return column.isin(known) | missing if None in values else column.isin(known)
