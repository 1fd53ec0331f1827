"""What a campaign is: cells of one setting each, repeated, and scores with Monte Carlo intervals.

A campaign module (``online.py``, ``caches.py``, ...) has one function, ``campaign()``. Everything
is drawn from generators seeded by the cell, so a run can be repeated; no estimator sees the truth.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "METRICS",
    "Campaign",
    "Cell",
    "Goal",
    "Metric",
    "Outcomes",
    "Row",
    "Score",
    "binomial",
    "generator",
    "mean_interval",
    "ratio_interval",
    "rows_of",
    "score",
]

Metric = Literal[
    "bias",
    "mare",
    "rmse_root_n",
    "coverage",
    "below",
    "refused",
    "wrong",
    "error_cut",
    "right",
    "recall",
    "worst",
    "precision",
]

METRICS: dict[Metric, str] = {
    "bias": "mean of (value - truth) / truth",
    "mare": "mean of the absolute value of (value - truth) / truth",
    "rmse_root_n": "root mean square of (value - truth) / truth * sqrt(n), n the observations used",
    "coverage": "share of the intervals that hold the truth",
    "below": "share of the lower bounds (low, or value where there is none) that are not above it",
    "refused": "share of the repeats in which the estimator refused",
    "wrong": "share of the repeats with a wrong call",
    "right": "share of the repeats with a right call",
    "error_cut": "1 - (mean absolute error of the value / that of the baseline)",
    "recall": "mean share of the hidden things that are among the listed ones",
    "worst": "the least such share of all repeats",
    "precision": "mean share of the listed things that are right",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What came out of the repeats of a cell; float64[repeats] each.

    Attributes:
        truth: the hidden truth; not zero where relative errors are asked for.
        value: the estimates; NaN where the estimator refused.
        low, high: the limits; infinite where there is no finite one, NaN where refused.
        n: observations that each estimate used, for ``rmse_root_n``.
        baseline: what a user would publish instead (unique addresses, say).
        calls: 1 where a call was wrong (``wrong``) or right (``right``), else 0.
        listed: the share of what was listed that is right, where things are looked for: ``truth``
            is then how many are hidden, ``value`` how many of them were listed.
    """

    truth: Floats
    value: Floats
    low: Floats | None = None
    high: Floats | None = None
    n: Floats | None = None
    baseline: Floats | None = None
    calls: Floats | None = None
    listed: Floats | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """A metric of one cell and its 95 % Monte Carlo interval; NaN where nothing was scored."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Goal:
    """What a metric should reach: met if the bound lies inside the Monte Carlo interval or beyond.

    Attributes:
        metric: the metric.
        at_least: lower bound; null for none.
        at_most: upper bound; null for none (for ``bias`` it bounds the absolute value).
        source: where the goal comes from, in words.
        quantity: the one quantity that it holds for, where a cell gives several; empty: all.
    """

    metric: Metric
    at_least: float | None = None
    at_most: float | None = None
    source: str = ""
    quantity: str = ""

    def met(self, score: Score) -> bool:
        """Return whether a score reaches the goal."""
        if not np.isfinite(score.value):
            return False
        low, high = score.low, score.high
        if self.metric == "bias":
            low, high = (0.0, 0.0) if low <= 0 <= high else sorted((abs(low), abs(high)))
        above = self.at_least is None or high >= self.at_least
        return above and (self.at_most is None or low <= self.at_most)


@dataclass(frozen=True, slots=True)
class Cell:
    """One setting.

    Attributes:
        label: factor -> value, the row's head in the table.
        repeats: how often; in the small grid a fraction of it.
        simulate: makes the outcomes of so many repeats with a generator; a top-level function or
            ``functools.partial`` of one, so that another process can run it. Where one simulation
            serves several quantities, their outcomes by quantity.
        goals: which goals of the campaign apply here; null for all.
    """

    label: Mapping[str, str]
    repeats: int
    simulate: Callable[[np.random.Generator, int], Outcomes | dict[str, Outcomes]]
    goals: tuple[Goal, ...] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: what was set, what came out, what should be reached."""

    label: Mapping[str, str]
    outcomes: Outcomes
    goals: tuple[Goal, ...]


@dataclass(frozen=True, slots=True)
class Campaign:
    """One estimator, tried out.

    Attributes:
        name: one word, the key of the seeds.
        title: heading of its section.
        text: what was simulated and what the estimator saw, in a few sentences (Markdown).
        metrics: columns of the table.
        cells: rows of the table, those of the small grid (see ``small``) among them.
        goals: what should be reached, where a cell does not say otherwise.
        anchor: the best published figure, with its source, or that there is none.
        notes: what falls short and why (Markdown), shown below the table.
        small: labels' indexes of the cells that ``make test`` runs, with few repeats.
    """

    name: str
    title: str
    text: str
    metrics: tuple[Metric, ...]
    cells: tuple[Cell, ...]
    goals: tuple[Goal, ...] = ()
    anchor: str = ""
    notes: str = ""
    small: tuple[int, ...] = field(default=(0,))


def rows_of(campaign: Campaign, cell: Cell, found: Outcomes | dict[str, Outcomes]) -> list[Row]:
    """Return the rows of one cell: one, or one for each of its quantities."""
    goals = campaign.goals if cell.goals is None else cell.goals
    if isinstance(found, Outcomes):
        return [Row(cell.label, found, goals)]
    return [
        Row(
            {**cell.label, "quantity": quantity},
            outcomes,
            tuple(goal for goal in goals if goal.quantity in {"", quantity}),
        )
        for quantity, outcomes in found.items()
    ]


def generator(campaign: str, label: Mapping[str, str], part: int = 0) -> np.random.Generator:
    """Return the generator of a cell (and part of it): fixed by its words alone."""
    words = campaign + "".join(f"|{key}={value}" for key, value in label.items())
    return np.random.default_rng([zlib.crc32(words.encode()), part])


def score(metric: Metric, found: Outcomes) -> Score:
    """Return a metric of outcomes with its 95 % Monte Carlo interval."""
    kept = np.isfinite(found.value)
    if metric == "refused":
        return binomial(int((~kept).sum()), kept.size)
    if metric in {"wrong", "right"}:
        assert found.calls is not None
        return binomial(int(found.calls.sum()), found.calls.size)
    truth, value = found.truth[kept], found.value[kept]
    if metric == "recall":
        return mean_interval(value / truth)
    if metric == "worst":
        least = float((value / truth).min()) if value.size else np.nan
        return Score(least, least, least, value.size)
    if metric == "precision":
        assert found.listed is not None
        return mean_interval(found.listed[kept])
    if metric == "coverage":
        assert found.low is not None
        assert found.high is not None
        held = (found.low[kept] <= truth) & (truth <= found.high[kept])
        return binomial(int(held.sum()), held.size)
    if metric == "below":
        bound = value if found.low is None else found.low[kept]
        return binomial(int((bound <= truth).sum()), truth.size)
    error = (value - truth) / truth
    if metric == "bias":
        return mean_interval(error)
    if metric == "mare":
        return mean_interval(np.abs(error))
    if metric == "rmse_root_n":
        assert found.n is not None
        squares = mean_interval(error**2 * found.n[kept])
        low, middle, high = (
            float(np.sqrt(max(part, 0.0))) for part in (squares.low, squares.value, squares.high)
        )
        return Score(middle, low, high, squares.n)
    assert found.baseline is not None
    cut = ratio_interval(np.abs(value - truth), np.abs(found.baseline[kept] - truth))
    return Score(1 - cut.value, 1 - cut.high, 1 - cut.low, cut.n)


def binomial(hits: int, n: int) -> Score:
    """Return a share with its 95 % Wilson interval (Wilson 1927)."""
    if not n:
        return Score(np.nan, np.nan, np.nan, 0)
    z = 1.959964
    share = hits / n
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Score(share, max(0.0, float(center - half)), min(1.0, float(center + half)), n)


def mean_interval(values: Floats) -> Score:
    """Return a mean with its 95 % interval from the standard error."""
    if values.size < 2:
        return Score(float(values.mean()) if values.size else np.nan, np.nan, np.nan, values.size)
    mean = float(values.mean())
    half = 1.959964 * float(values.std(ddof=1)) / np.sqrt(values.size)
    return Score(mean, mean - half, mean + half, values.size)


def ratio_interval(above: Floats, below: Floats) -> Score:
    """Return the ratio of two means of paired values with its 95 % interval (delta method)."""
    if above.size < 2 or not below.any():
        return Score(np.nan, np.nan, np.nan, above.size)
    ratio = float(above.mean() / below.mean())
    spread = mean_interval(above - ratio * below)
    half = (spread.high - spread.low) / 2 / float(below.mean())
    return Score(ratio, ratio - half, ratio + half, above.size)
