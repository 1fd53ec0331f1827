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

**Two steps that cancel** (down on one day, up again on a later one) leave one line much as it was.
For them the line gets one more column, 1 from the first day to the last, and with it::

    log B = ((v - 1) log(1 + g) - v log(1 + g R)) / 2

The search weighs one break and two such steps alike: its evidence is the log of the mean of both.

The chance of a value as high without a break is taken from made-up series, for several memories
and for a part of the variance that remembers nothing (counting: it makes the memory look short);
the highest chance of all counts.

References:
    Andrews, Econometrica 61 (1993), 821-856 (tests for a break at an unknown place).
    Andrews, Ploberger, Econometrica 62 (1994), 1383-1414 (averaging over places is optimal).
    Liang, Paulo, Molina, Clyde, Berger, JASA 103 (2008), 410-423 (g priors, the formula of B).
    Harville, Biometrika 61 (1974), 383-385 (restricted likelihood).
    Olshen, Venkatraman, Lucito, Wigler, Biostatistics 5 (2004), 557-572 (a piece cut out at once).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.estimate.decay import FLOOR
from remnant.estimate.loglinear import fresh_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remnant.estimate.loglinear import LogSeries

    Floats = NDArray[np.float64]
    Days = NDArray[np.int64]
    Places = NDArray[np.int64]

__all__ = [
    "MEMORIES",
    "Evidence",
    "Pairs",
    "chance_of",
    "degrees_lost",
    "evidence_of",
    "pairs_of",
    "pooled",
    "with_pairs",
]

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
"""Made-up series without a break, for each of these, at least."""

MOST_REPEATS: Final = 9_999
"""As many where days are few: a level is held no better than its threshold is known."""

APART: Final = 7
"""Rows between two steps that cancel, at least."""

_SEED: Final = 20150408
_LEAST: Final = 1e-12
_SETTLED: Final = 7
_REPEATED: Final = 500_000
_AT_ONCE: Final = 250
_MOST_GAIN: Final = 700.0
_NOTHING: Final = 1e-300


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
class Pairs:
    """What a series says about two steps that cancel, at some pairs of places.

    Attributes:
        first: first rows of what is between them, int64[pairs].
        after: first rows after it, int64[pairs].
        log_odds: log of B for each pair, float64[pairs].
    """

    first: Places
    after: Places
    log_odds: Floats

    @property
    def total(self) -> float:
        """The log of the mean of B over all pairs."""
        return float(pooled(self.log_odds))


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
    odds = _odds(_design_of(series.days, root, places), rows, degrees_lost(series))[0]
    widths = np.array(WIDTHS, dtype=np.int64)[odds.argmax(axis=0)]
    return Evidence(places, pooled(odds.T), widths)


def pairs_of(series: LogSeries, ends: Places) -> Pairs | None:
    """Return what a series says about steps that cancel, at all pairs of ends; null for none.

    Args:
        series: at least six days.
        ends: rows at which a step may be; seven rows or more on both sides of each.
    """
    first, after = _paired(ends)
    if not len(first):
        return None
    root = np.sqrt(series.weight)
    rows = (root * (series.response - series.response.mean()))[None, :]
    odds = _pair_odds(_design_of(series.days, root, ends), rows, degrees_lost(series))[0]
    return Pairs(ends[first], ends[after], odds)


def with_pairs(total: float, pairs: float) -> float:
    """Return the evidence for one break or two steps that cancel, each as likely before."""
    found: float = np.logaddexp(total, pairs).item() - math.log(2)
    return found


def chance_of(series: LogSeries, places: Places, total: float, ends: Places | None = None) -> float:
    """Return the share of series without a break whose evidence is as high.

    That is ``Evidence.total``, or ``with_pairs`` where there are ends.

    The share is the highest of all ``NULL_MEMORIES``, with the counting noise of the series and
    without. The made-up series have the same days and places; scale, level and slope do not matter.
    The seed is fixed.
    """
    days = series.days - series.days[0]
    key = days.tobytes(), np.asarray(places, np.int64).tobytes(), degrees_lost(series)
    told = b"" if ends is None else np.asarray(ends, np.int64).tobytes()
    null = _null(*key, math.ceil(10 * _counting(series)), told)
    hits, repeats = int((null >= total).sum(axis=1).max()), int(null.shape[1])
    return (1 + hits) / (1 + repeats)


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


def degrees_lost(series: LogSeries) -> int:
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


def _paired(ends: Places) -> tuple[Places, Places]:
    """Return the pairs of ends that are far enough apart, as indices of first and later ones."""
    first, after = np.triu_indices(len(ends), 1)
    kept = ends[after] - ends[first] >= APART
    return first[kept].astype(np.int64), after[kept].astype(np.int64)


def _pair_odds(design: _Design, rows: Floats, lost: int) -> Floats:
    """Return log B of two steps that cancel, mean over the widths, float64[series, pairs].

    What is between two steps is the earlier one less the later one, so are its products.
    """
    first, after = _paired(design.places)
    n = rows.shape[1]
    freedom = n - 2 - lost
    white = _white(rows[:, None, :], design.spread, design.shared)
    on_line = np.einsum("rpn,pkn->rpk", white, design.line)
    squares = np.einsum("rpn,rpn->rp", white, white) - (on_line**2).sum(axis=2)
    squares = np.maximum(squares, 0.0) + FLOOR**2 * n
    lines = design.on_line[:, :, 0]
    step = _added(design, white)[:, :, 0] - np.einsum("rpk,pkwm->rpwm", on_line, lines)
    own = design.moments[:, 0]
    # Where a later step begins an earlier one is over: to the later one it is a level.
    shared = _added(design, design.level)[:, 0][..., after]
    shared = shared - (lines[..., first] * lines[..., after]).sum(axis=1)
    moment = np.maximum(own[..., first] + own[..., after] - 2 * shared, _LEAST)
    alone = design.base - 0.5 * freedom * np.log(squares)
    top = alone.max(axis=1)
    alone = np.exp(alone - top[:, None])
    ratio = np.zeros((len(rows), len(WIDTHS), len(first)))
    for k in range(len(MEMORIES)):
        explained = (step[:, k][..., first] - step[:, k][..., after]) ** 2 / moment[k]
        left = np.clip(1.0 - explained / squares[:, k, None, None], _LEAST, 1.0)
        gain = (freedom - 1) * math.log1p(n) - freedom * np.log1p(n * left)
        ratio += alone[:, k, None, None] * np.exp(np.minimum(0.5 * gain, _MOST_GAIN))
    odds: Floats = np.log(ratio.mean(axis=1) / alone.sum(axis=1)[:, None] + _NOTHING)
    return odds


@lru_cache(maxsize=512)
def _null(days: bytes, places: bytes, lost: int, tenths: int, ends: bytes) -> Floats:
    """Return the evidence of series without a break, float64[kinds of noise, repeats].

    Args:
        days: int64, from 0.
        places: int64.
        lost: degrees of freedom that are gone.
        tenths: of the variance that are counting noise, rounded up.
        ends: int64, of pairs of steps; empty for none.
    """
    known = np.frombuffer(days, dtype=np.int64)
    root = np.ones(len(known))
    design = _design_of(known, root, np.frombuffer(places, dtype=np.int64))
    paired = _design_of(known, root, np.frombuffer(ends, dtype=np.int64)) if ends else None
    size = len(known) * len(design.places)
    repeats = int(np.clip(_REPEATED // size, REPEATS, MOST_REPEATS))
    rng = np.random.default_rng(_SEED)
    fresh, counted = rng.normal(size=(2, repeats, len(known)))
    shares = {0.0, min(tenths / 10, WORST_SHARE)}
    made = []
    for phi in NULL_MEMORIES:
        noise = fresh.copy()
        spread = np.sqrt(fresh_noise(known, phi))
        for day, shared in enumerate((phi ** np.diff(known).astype(np.float64)).tolist(), 1):
            noise[:, day] = shared * noise[:, day - 1] + spread[day] * fresh[:, day]
        for share in sorted(shares) if phi else [0.0]:
            mixed = math.sqrt(1.0 - share) * noise + math.sqrt(share) * counted
            made.append(
                np.concatenate(
                    [
                        _evidence(design, paired, mixed[start : start + _AT_ONCE], lost)
                        for start in range(0, repeats, _AT_ONCE)
                    ]
                )
            )
    return np.array(made)


def _evidence(design: _Design, paired: _Design | None, rows: Floats, lost: int) -> Floats:
    """Return the evidence of each series, as the search weighs it."""
    found = pooled(pooled(_odds(design, rows, lost).swapaxes(1, 2)))
    if paired is None:
        return found
    both: Floats = np.logaddexp(found, pooled(_pair_odds(paired, rows, lost))) - math.log(2)
    return both
