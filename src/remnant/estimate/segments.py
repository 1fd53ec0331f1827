"""Where a log-linear trend breaks: exact segmentation under AR(1) noise, with position intervals.

A series is cut into pieces of at least 14 days, each with its own level and slope. For each number
of breaks and each memory phi of the noise, dynamic programming finds the best cuts (Bellman); the
number is chosen by BIC. Because phi is judged together with the breaks, a slow wander of the noise
is not taken for a break as long as a strong memory explains it as well.

References:
    Bai, Perron, Journal of Applied Econometrics 18 (2003), 1-22 (dynamic programming for breaks).
    Zhang, Siegmund, Biometrics 63 (2007), 22-32 (why a break costs more than its parameters).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.estimate.loglinear import PHIS, fresh_noise, whitened

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remnant.estimate.loglinear import LogSeries

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

__all__ = [
    "MINIMUM_SEGMENT_DAYS",
    "MOST_BREAKS",
    "Break",
    "Costs",
    "Segmentation",
    "costs_of",
    "price",
    "segment",
]

MINIMUM_SEGMENT_DAYS: Final = 14
"""Shorter pieces are weeks and holidays, not trends."""

MOST_BREAKS: Final = 4
"""More breaks than that are a curve, not events."""

_MINIMUM_ROWS: Final = 10
_MOST_PLACES: Final = 200
_LEVEL: Final = 0.95
_FLOOR: Final = 1e-12
_LIGHT: Final = 0.01


@dataclass(frozen=True, slots=True)
class Break:
    """One break of a trend.

    Attributes:
        day: first day of the new piece (days since 1970-01-01 UTC), the most likely one.
        low: first day of its 95 % interval.
        high: last day of it.
        jump: change of the level there, on the log scale (a fall is negative).
        slope_before: fall per day before it, on the log scale.
        slope_after: fall per day after it.
        places: possible first rows of the new piece, with their weights (sum 1).
    """

    day: int
    low: int
    high: int
    jump: float
    slope_before: float
    slope_after: float
    places: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Segmentation:
    """A series in pieces.

    Attributes:
        breaks: the breaks, in order; empty if one line serves as well.
        phi: lag-1 correlation of the noise that goes with them.
        gain: by how much the BIC is lower than that of one line.
        log_likelihood: with these breaks.
    """

    breaks: tuple[Break, ...]
    phi: float
    gain: float
    log_likelihood: float


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """What every piece of a series costs, for every phi; those of its head are among them.

    Attributes:
        places: rows at which a piece may begin, int64[m], and n.
        squares: whitened residual sum of squares of the piece [i, j + 1) of places, float64[m, m]
            for each phi.
        fresh: log of the variance of each row's noise given the one before it, for each phi.
    """

    places: Places
    squares: tuple[Floats, ...]
    fresh: tuple[Floats, ...]


def costs_of(series: LogSeries) -> Costs:
    """Return the costs of all pieces of a series."""
    places = _places(len(series.days))
    phis = PHIS.tolist()
    return Costs(
        places,
        tuple(_costs(series, places, phi) for phi in phis),
        tuple(np.log(fresh_noise(series.days, phi)) for phi in phis),
    )


def segment(
    series: LogSeries,
    *,
    most: int = MOST_BREAKS,
    costs: Costs | None = None,
    stop: int | None = None,
) -> Segmentation:
    """Return the pieces of a series; none but the whole where it is too short for two.

    Args:
        series: the series.
        most: most breaks that are looked for.
        costs: ``costs_of(series)``, where they are known.
        stop: only so many of its first rows are known (the last place before it counts).
    """
    costs = costs or costs_of(series)
    size = len(costs.places) - 1
    if stop is not None:
        size = int(np.searchsorted(costs.places, stop, side="right")) - 1
    n = int(costs.places[size])
    best: list[tuple[float, int, list[int]]] = []
    for index, (squares, fresh) in enumerate(zip(costs.squares, costs.fresh, strict=True)):
        noise = float(fresh[:n].sum())
        for count, (total, cuts) in enumerate(_cut(squares[:size, :size], most)):
            # A piece starts its noise anew: the first row of each has the stationary variance.
            starts = float(fresh[costs.places[cuts]].sum()) if cuts else 0.0
            likelihood = -0.5 * (noise - starts) - 0.5 * n * math.log(max(total, _FLOOR) / n)
            if count == len(best):
                best.append((likelihood, index, cuts))
            elif likelihood > best[count][0]:
                best[count] = (likelihood, index, cuts)
    if not best:
        return Segmentation((), 0.0, 0.0, -math.inf)
    criteria = [
        -2.0 * likelihood + price(count, n) for count, (likelihood, _, _) in enumerate(best)
    ]
    chosen = int(np.argmin(criteria))
    likelihood, index, cuts = best[chosen]
    breaks = _breaks(series, costs, index, [*cuts, size]) if cuts else ()
    gain = criteria[0] - criteria[chosen]
    return Segmentation(breaks, float(PHIS[index]), gain, likelihood)


def price(breaks: int, n: int) -> float:
    """Return what breaks cost in the criterion: place, level and slope of each, by BIC."""
    return 3.0 * breaks * math.log(n)


def _places(n: int) -> Places:
    """Return the rows at which a piece may begin, and n: at most 200, evenly spaced."""
    step = -(-n // _MOST_PLACES)
    return np.append(np.arange(0, n, step), n).astype(np.int64)


def _costs(series: LogSeries, places: Places, phi: float) -> Floats:
    """Return the whitened residual sum of squares of each piece [i, j) of places; inf if short."""
    root = np.sqrt(series.weight)
    rows = np.stack([root, root * series.time, root * series.response])
    white = whitened(rows, series.days, phi)
    upper = [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)]
    sums = np.zeros((6, rows.shape[1] + 1))
    sums[:, 1:] = np.cumsum([white[a] * white[b] for a, b in upper], axis=1)
    own = np.array([rows[a] * rows[b] for a, b in upper])
    first, last = places[:-1], places[1:]
    # The first row of a piece stands for itself: what came before belongs to another line.
    moments = (
        sums[:, None, last] - sums[:, np.minimum(first + 1, rows.shape[1])][:, :, None]
    ) + own[:, first][:, :, None]
    s11, s1t, stt, s1z, stz, szz = moments
    with np.errstate(all="ignore"):
        slope_information = stt - s1t**2 / s11
        slope = (stz - s1t * s1z / s11) / slope_information
        cost = szz - s1z**2 / s11 - slope**2 * slope_information
    days = series.days
    length = days[last - 1][None, :] - days[first][:, None] + 1
    rows_in = last[None, :] - first[:, None]
    allowed = (length >= MINIMUM_SEGMENT_DAYS) & (rows_in >= _MINIMUM_ROWS)
    return np.where(allowed & np.isfinite(cost), np.maximum(cost, 0.0), np.inf)


def _cut(costs: Floats, most: int) -> list[tuple[float, list[int]]]:
    """Return, for 0, 1, ... breaks, the least total cost and the places of the breaks."""
    size = len(costs)
    reach = costs[0].copy()
    found: list[tuple[float, list[int]]] = []
    back: list[Places] = []
    for count in range(most + 1):
        if not np.isfinite(reach[-1]):
            break
        cuts: list[int] = []
        at = size - 1
        for step in reversed(back[:count]):
            # ``at`` is the last column of the pieces so far; a new piece begins after it.
            at = int(step[at])
            cuts.append(at + 1)
        found.append((float(reach[-1]), cuts[::-1]))
        # The piece before ends with column k, the new one is row k + 1.
        totals = np.full((size, size), np.inf)
        totals[:-1] = reach[:-1, None] + costs[1:]
        step = totals.argmin(axis=0)
        back.append(step)
        reach = totals[step, np.arange(size)]
    return found


def _breaks(series: LogSeries, costs: Costs, index: int, ends: list[int]) -> tuple[Break, ...]:
    """Return the breaks at all but the last of these places, for the memory of this index."""
    places, squares = costs.places, costs.squares[index]
    phi = float(PHIS[index])
    n = int(places[ends[-1]])
    edges = [0, *ends]
    pieces = [float(squares[low, high - 1]) for low, high in pairwise(edges)]
    total = sum(pieces)
    breaks = []
    for k, cut in enumerate(ends[:-1]):
        low, high = edges[k], edges[k + 2]
        middle = np.arange(low + 1, high)
        around = squares[low, middle - 1] + squares[middle, high - 1]
        rest = total - pieces[k] - pieces[k + 1]
        weights = 0.5 * costs.fresh[index][places[middle]]
        weights = weights - 0.5 * n * np.log(np.maximum(rest + around, _FLOOR))
        weights = np.exp(weights - weights.max())
        weights /= weights.sum()
        first, last = _hull(weights)
        before = _line(series, int(places[low]), int(places[cut]), phi)
        after = _line(series, int(places[cut]), int(places[high]), phi)
        at = float(series.time[places[cut]])
        breaks.append(
            Break(
                day=int(series.days[places[cut]]),
                # A cut may lie anywhere between two places, or in the gap before a day.
                low=int(series.days[places[middle[first] - 1]]) + 1,
                high=int(series.days[places[middle[last]]]),
                jump=(after[0] - after[1] * at) - (before[0] - before[1] * at),
                slope_before=before[1],
                slope_after=after[1],
                places=tuple(
                    (int(places[place]), float(weight))
                    for place, weight in zip(middle.tolist(), weights.tolist(), strict=True)
                    if weight >= _LIGHT
                ),
            )
        )
    return tuple(breaks)


def _hull(weights: Floats) -> tuple[int, int]:
    """Return the first and last index of the smallest set with 95 % of the weight."""
    order = np.argsort(weights)[::-1]
    kept = order[: int(np.searchsorted(np.cumsum(weights[order]), _LEVEL)) + 1]
    return int(kept.min()), int(kept.max())


def _line(series: LogSeries, start: int, stop: int, phi: float) -> tuple[float, float]:
    """Return level at time 0 and fall per day of rows [start, stop)."""
    root = np.sqrt(series.weight[start:stop])
    rows = np.stack([root, -root * series.time[start:stop], root * series.response[start:stop]])
    white = whitened(rows, series.days[start:stop], phi)
    solution = np.linalg.lstsq(white[:2].T, white[2], rcond=None)[0]
    return float(solution[0]), float(solution[1])
