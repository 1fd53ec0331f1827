"""How much a log-linear series speaks for a break at given days, and how seldom chance does so.

One line is compared with two, each with its own level and slope; the new level may take some days
to be reached (``WIDTHS``), as bots are not all updated within an hour. The noise is AR(1), and its
scale and memory are those of the model in question: under two lines they are what is left beside
two lines. A real step therefore does not pass for a long memory of the noise, as it does where the
noise is taken from the fit of one line.

For one memory phi, place and width, with ``R`` the share of one line's squared residuals that two
lines leave, ``g = n`` (a prior worth one day) and ``v`` the degrees of freedom beside one line::

    log B = ((v - 2) log(1 + g) - v log(1 + g R)) / 2

Over phi it is averaged with the restricted likelihood of phi beside one line. That is the marginal
likelihood of two lines over that of one, phi integrated out in both: no estimate of phi is plugged
in, so its downward bias in short pieces does not arise, and degrees of freedom are counted. B of a
place is the mean over the widths; the evidence of several places is the log of the mean of theirs.

The chance of a value as high without a break is taken from made-up series, for several memories
and for a part of the variance that remembers nothing (counting: it makes the memory look short);
the highest chance of all counts.

References:
    Andrews, Econometrica 61 (1993), 821-856 (tests for a break at an unknown place).
    Andrews, Ploberger, Econometrica 62 (1994), 1383-1414 (averaging over places is optimal).
    Liang, Paulo, Molina, Clyde, Berger, JASA 103 (2008), 410-423 (g priors, the formula of B).
    Harville, Biometrika 61 (1974), 383-385 (restricted likelihood).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.estimate.decay import FLOOR
from remnant.estimate.loglinear import fresh_noise, whitened
from remnant.estimate.mixtures import Mixture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remnant.estimate.loglinear import LogSeries

    Floats = NDArray[np.float64]
    Days = NDArray[np.int64]
    Places = NDArray[np.int64]

__all__ = ["MEMORIES", "Evidence", "Lines", "chance_of", "evidence_of", "lines_at", "pooled"]

MEMORIES: Final = np.array([0.0, 0.15, 0.3, 0.45, 0.6, 0.72, 0.84])
"""Lag-1 correlations over which the noise is averaged. With longer ones any step is a wander of the
noise, and little would be found; the chance of a find is held up to the last ``NULL_MEMORIES``.
"""

WIDTHS: Final = (1, 3, 5)
"""Days that a change may take: on the last of them the new level is reached."""

NULL_MEMORIES: Final = (0.0, 0.5, 0.8)
"""Lag-1 correlations at which the chance is taken."""

WORST_SHARE: Final = 0.5
"""The share of counting noise that hides a long memory best."""

REPEATS: Final = 499
"""Made-up series without a break, for each of these."""

_SEED: Final = 20150408
_LEAST: Final = 1e-12
_SETTLED: Final = 7


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a series says about breaks at some places.

    Attributes:
        places: first rows of the new piece, int64[places].
        log_odds: log of B for each of them, float64[places]; above 0 speaks for a break.
        widths: days that the change most likely takes if it begins there, int64[places].
    """

    places: Places
    log_odds: Floats
    widths: Places

    def at(self, places: Places) -> Evidence:
        """Return what it says about some of its places."""
        rows = np.searchsorted(self.places, places)
        return Evidence(places, self.log_odds[rows], self.widths[rows])

    @property
    def total(self) -> float:
        """The log of the mean of B over all places."""
        return float(pooled(self.log_odds))

    @property
    def weights(self) -> Floats:
        """How likely each place is, if one of them is the break; sums to 1."""
        weights: Floats = np.exp(self.log_odds - self.log_odds.max())
        weights /= weights.sum()
        return weights


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The two lines around a break.

    Attributes:
        jump: change of the level at the first day after it, on the log scale; a fall is negative.
        before: fall per day before it.
        after: fall per day after it.
        sigma: standard deviation of a day's noise beside them, on the log scale.
        phi: its mean lag-1 correlation.
    """

    jump: Mixture
    before: Mixture
    after: Mixture
    sigma: float
    phi: float


def pooled(log_odds: Floats) -> Floats:
    """Return the log of the mean of B over the last axis."""
    top = log_odds.max(axis=-1, keepdims=True)
    found: Floats = top[..., 0] + np.log(np.exp(log_odds - top).mean(axis=-1))
    return found


def evidence_of(series: LogSeries, places: Places) -> Evidence:
    """Return what a series says about a break at each place.

    Args:
        series: at least six days.
        places: first rows of the new piece; seven rows or more on both sides of each.
    """
    root = np.sqrt(series.weight)
    rows = (root * (series.response - series.response.mean()))[None, :]
    odds = _odds(_design_of(series.days, root, places), rows, _lost(series))[0]
    widths = np.array(WIDTHS, dtype=np.int64)[odds.argmax(axis=0)]
    return Evidence(places, pooled(odds.T), widths)


def chance_of(series: LogSeries, places: Places, total: float) -> float:
    """Return the share of series without a break whose ``Evidence.total`` is as high.

    The share is the highest of all ``NULL_MEMORIES``, with the counting noise of the series and
    without. The made-up series have the same days and places; scale, level and slope do not matter.
    The seed is fixed.
    """
    days = series.days - series.days[0]
    key = days.tobytes(), np.asarray(places, np.int64).tobytes(), _lost(series)
    hits = max(
        int((null >= total).sum()) for null in _null(*key, math.ceil(10 * _counting(series)))
    )
    return (1 + hits) / (1 + REPEATS)


def lines_at(series: LogSeries, place: int, width: int = 1) -> Lines:
    """Return both lines around a break at this row, with scale and memory of the noise.

    Args:
        series: the days around it.
        place: first row of the new piece.
        width: days that the change takes.
    """
    root = np.sqrt(series.weight)
    center = series.response.mean()
    response = root * (series.response - center)
    since = (series.days - series.days[place]).astype(np.float64)
    rows = np.arange(len(since)) - place
    late = rows >= 0
    reached = np.clip((rows + 1) / width, 0.0, 1.0)
    design = root * np.stack([np.ones(len(since)), since, reached, late * since])
    freedom = max(len(since) - 4 - _lost(series), 1)
    solutions, errors, scales, likely = [], [], [], []
    # The first column of a slope counts up; a fall is what is reported.
    asked = np.array([[0, 0, 1, 0], [0, -1, 0, 0], [0, -1, 0, -1]], dtype=np.float64)
    for phi in MEMORIES.tolist():
        white = whitened(np.vstack([design, response]), series.days, phi)
        information = white[:4] @ white[:4].T
        inverse = np.linalg.inv(information)
        solution = inverse @ white[:4] @ white[4]
        rest = white[4] - solution @ white[:4]
        squares = float(rest @ rest) + FLOOR**2 * len(since)
        scales.append(squares / freedom)
        solutions.append(asked @ solution)
        errors.append(np.sqrt(np.diagonal(asked @ inverse @ asked.T) * scales[-1]))
        likely.append(
            -0.5 * float(np.log(fresh_noise(series.days, phi)).sum())
            - 0.5 * float(np.linalg.slogdet(information)[1])
            - 0.5 * freedom * float(np.log(squares))
        )
    weights = np.exp(np.array(likely) - max(likely))
    weights /= weights.sum()
    jump, before, after = (
        Mixture(
            np.array([solution[k] for solution in solutions]),
            np.array([error[k] for error in errors]),
            weights,
            freedom,
        )
        for k in range(3)
    )
    sigma = float(np.sqrt(weights @ np.array(scales)))
    return Lines(jump, before, after, sigma, float(weights @ MEMORIES))


@dataclass(frozen=True, slots=True, eq=False)
class _Design:
    """What is needed of the lines, for each phi (first axis), width and place (last axis).

    ``spread`` and ``shared`` whiten; ``level`` and ``slope`` are the whitened columns of one line,
    ``line`` the same made orthonormal. The second line adds a step, whose first row (``own``) is
    one of which the day before says nothing, and a bend that starts ``at`` a time. ``moments`` are
    of what it adds less what one line explains, ``on_line`` their products with one line.
    """

    places: Places
    spread: Floats
    shared: Floats
    level: Floats
    slope: Floats
    line: Floats
    own: Floats
    at: Floats
    on_line: Floats
    moments: Floats
    base: Floats
    allowed: NDArray[np.bool_]


def _lost(series: LogSeries) -> int:
    """Return the degrees of freedom that the weekdays took; a short piece bears its part."""
    return min(series.lost, len(series.days) // 7)


def _counting(series: LogSeries) -> float:
    """Return the share of the days' variance that counting alone explains, 0 to 1."""
    precision = series.weight * series.scale
    return float(np.clip(1.0 - series.dispersion * precision, 0.0, 1.0).mean())


def _design_of(days: Days, root: Floats, places: Places) -> _Design:
    """Return the design. Sums from a row on are running sums; a slow step is the mean of steps."""
    time = (days - days.mean()) / max(float(days[-1] - days[0]), 1.0)
    gaps = np.diff(days).astype(np.float64)
    phis = MEMORIES[:, None]
    spread = np.ones((len(phis), len(days)))
    spread[:, 1:] = np.sqrt(1.0 - phis ** (2.0 * gaps))
    shared = phis**gaps / spread[:, 1:]
    own = root / spread
    level, slope = (_white(column, spread, shared) for column in (root, root * time))
    aa, ab, bb = (level * level).sum(1), (level * slope).sum(1), (slope * slope).sum(1)
    rest = bb - ab**2 / aa
    second = (slope - (ab / aa)[:, None] * level) / np.sqrt(rest)[:, None]
    line = np.stack([level / np.sqrt(aa)[:, None], second], axis=1)
    late_aa, late_ab, late_bb = (
        _after(x * y) for x, y in ((level, level), (level, slope), (slope, slope))
    )
    # A step's products with level and slope, those of an earlier step among them.
    on_level, on_slope = own * level + late_aa, own * slope + late_ab
    itself = own**2 + late_aa
    at = time[places]
    bend = late_bb[:, places] - 2 * at * late_ab[:, places] + at**2 * late_aa[:, places]
    moments = np.empty((len(phis), 3, len(WIDTHS), len(places)))
    moments[:, 2] = bend[:, None]
    for k, width in enumerate(WIDTHS):
        both = itself[:, places].copy()
        mixed = late_ab[:, places] - at * late_aa[:, places]
        for j in range(1, width):
            row = np.minimum(places + j, len(days) - 1)
            both += itself[:, row] + 2 * j * on_level[:, row]
            mixed += on_slope[:, row] - at * on_level[:, row]
        moments[:, 0, k] = both / width**2
        moments[:, 1, k] = mixed / width
    design = _Design(
        places=places,
        spread=spread,
        shared=shared,
        level=level,
        slope=slope,
        line=line,
        own=own,
        at=at,
        on_line=np.zeros(0),
        moments=moments,
        base=-np.log(spread).sum(1) - 0.5 * np.log(aa * rest),
        # A slow step needs days on which it is over.
        allowed=places + np.array(WIDTHS)[:, None] + _SETTLED <= len(days) + 1,
    )
    # [phis, one line, step or bend, widths, places]
    on_line = np.stack([_added(design, line[:, k]) for k in (0, 1)], axis=1)
    step, turn = on_line[:, :, 0], on_line[:, :, 1]
    moments[:, 0] -= (step * step).sum(1)
    moments[:, 1] -= (step * turn).sum(1)
    moments[:, 2] -= (turn * turn).sum(1)
    return replace(design, on_line=on_line)


def _white(column: Floats, spread: Floats, shared: Floats) -> Floats:
    """Return a column (float64[..., 1 or phis, days]) less what the day before it says."""
    white = column / spread
    white[..., 1:] -= shared * column[..., :-1]
    return white


def _after(rows: Floats) -> Floats:
    """Return the sums of the rows after each one."""
    sums = np.cumsum(rows, axis=-1)
    found: Floats = sums[..., -1:] - sums
    return found


def _added(design: _Design, rows: Floats) -> Floats:
    """Return the products of whitened rows (float64[..., phis, days]) with what is added.

    The last axes are: step or bend, widths, places.
    """
    late = _after(rows * design.level)
    places = design.places
    bend = _after(rows * design.slope)[..., places] - design.at * late[..., places]
    step = rows * design.own + late
    found = np.empty((*bend.shape[:-1], 2, len(WIDTHS), len(places)))
    found[..., 1, :, :] = bend[..., None, :]
    total = np.zeros_like(bend)
    done = 0
    for k, width in enumerate(WIDTHS):
        for j in range(done, width):
            total = total + step[..., np.minimum(places + j, rows.shape[-1] - 1)]
        done = width
        found[..., 0, k, :] = total / width
    return found


def _odds(design: _Design, rows: Floats, lost: int) -> Floats:
    """Return log B, float64[series, widths, places]; minus infinity where a width has no room.

    Args:
        design: of the days and places.
        rows: weighted responses, float64[series, days].
        lost: degrees of freedom that are gone already.
    """
    n = rows.shape[1]
    freedom = n - 2 - lost
    prior = float(n)
    white = _white(rows[:, None, :], design.spread, design.shared)
    on_line = np.einsum("rpn,pkn->rpk", white, design.line)
    squares = np.einsum("rpn,rpn->rp", white, white) - (on_line**2).sum(axis=2)
    squares = np.maximum(squares, 0.0) + FLOOR**2 * n
    added = _added(design, white)
    for k in (0, 1):
        added -= on_line[:, :, k, None, None, None] * design.on_line[:, k]
    m11, m12, m22 = (design.moments[:, k] for k in range(3))
    step, bend = added[:, :, 0], added[:, :, 1]
    explained = (step**2 * m22 - 2 * step * bend * m12 + bend**2 * m11) / (m11 * m22 - m12**2)
    left = np.clip(1.0 - explained / squares[..., None, None], _LEAST, 1.0)
    alone = design.base - 0.5 * freedom * np.log(squares)
    gain = (freedom - 2) * np.log1p(prior) - freedom * np.log1p(prior * left)
    double = alone[..., None, None] + 0.5 * gain
    top = double.max(axis=1)
    odds = top + np.log(np.exp(double - top[:, None]).sum(axis=1))
    odds -= np.logaddexp.reduce(alone, axis=1)[:, None, None]
    return np.where(design.allowed, odds, -np.inf)


@lru_cache(maxsize=512)
def _null(days: bytes, places: bytes, lost: int, tenths: int) -> Floats:
    """Return the evidence of series without a break, float64[kinds of noise, repeats].

    Args:
        days: int64, from 0.
        places: int64.
        lost: degrees of freedom that are gone.
        tenths: of the variance that are counting noise, rounded up.
    """
    known = np.frombuffer(days, dtype=np.int64)
    design = _design_of(known, np.ones(len(known)), np.frombuffer(places, dtype=np.int64))
    rng = np.random.default_rng(_SEED)
    fresh, counted = rng.normal(size=(2, REPEATS, len(known)))
    shares = {0.0, min(tenths / 10, WORST_SHARE)}
    made = []
    for phi in NULL_MEMORIES:
        noise = fresh.copy()
        spread = np.sqrt(fresh_noise(known, phi))
        for day, shared in enumerate((phi ** np.diff(known).astype(np.float64)).tolist(), 1):
            noise[:, day] = shared * noise[:, day - 1] + spread[day] * fresh[:, day]
        for share in sorted(shares) if phi else [0.0]:
            mixed = math.sqrt(1.0 - share) * noise + math.sqrt(share) * counted
            odds = _odds(design, mixed, lost)
            made.append(pooled(pooled(odds.swapaxes(1, 2))))
    return np.array(made)
