"""A daily series on the log scale, ready for models that are linear there.

Weekday effects are taken out once, with a flexible curve (hinges every two weeks or more) beside
them, so that every model is compared on the same response. Days with few clients have a log that
says little: they are linearised around that curve, and weigh by the variance function of a
negative binomial count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.estimate.decay import MINIMUM_FIT_DAYS, design_of, quasi_likelihood

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Days = NDArray[np.int64]

__all__ = ["PHIS", "LogSeries", "fresh_noise", "prepare", "whitened"]

PHIS: Final = np.array([0.0, 0.15, 0.3, 0.45, 0.6, 0.72, 0.84, 0.94])
"""Lag-1 correlations over which the models average; coarser than ``decay.PHI``, as they are many.
"""

_KNOT_DAYS: Final = 14
_MOST_KNOTS: Final = 8
_PLAIN: Final = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class LogSeries:
    """A series on the log scale, weekdays levelled.

    Attributes:
        days: days since 1970-01-01 UTC, int64[n].
        time: days since the first one, float64[n].
        response: log of the daily value over its exposure, less the weekday's effect.
        weight: what each day's response weighs; their mean is 1.
        dispersion: 1/k of the negative binomial variance.
        scale: mean of the weights before they were divided by it.
        lost: degrees of freedom that the weekdays took.
    """

    days: Days
    time: Floats
    response: Floats
    weight: Floats
    dispersion: float
    scale: float
    lost: int

    def weight_of(self, mean: Floats) -> Floats:
        """Return what a day with such means would weigh."""
        weights: Floats = 1.0 / (1.0 / mean + self.dispersion) / self.scale
        return weights

    def head(self, stop: int) -> LogSeries:
        """Return the first ``stop`` days."""
        return self._part(slice(None, stop))

    def tail(self, start: int) -> LogSeries:
        """Return the days from an index on; ``time`` still counts from the first of all."""
        return self._part(slice(start, None))

    def _part(self, part: slice) -> LogSeries:
        return LogSeries(
            self.days[part],
            self.time[part],
            self.response[part],
            self.weight[part],
            self.dispersion,
            self.scale,
            self.lost,
        )


def prepare(days: Days, values: Floats, exposure: Floats | None = None) -> LogSeries | None:
    """Return a series on the log scale, or ``None`` where the curve cannot be fitted.

    Args:
        days: days since 1970-01-01 UTC, strictly increasing.
        values: the series, zero or more each.
        exposure: share of a whole day's signal that each value had the chance to see.
    """
    days = np.asarray(days, dtype=np.int64)
    values = np.asarray(values, dtype=np.float64)
    if len(days) < MINIMUM_FIT_DAYS or np.count_nonzero(values) < 2:
        return None
    offset = np.zeros(len(days)) if exposure is None else np.log(exposure)
    design, weekdays = design_of(days, float(days.mean()))
    time = (days - days[0]).astype(np.float64)
    knots = _knots(time)
    hinges = np.maximum(time[:, None] - knots[None, :], 0.0)
    whole = np.column_stack([design, hinges])
    try:
        mean, dispersion = quasi_likelihood(whole, values, offset)
    except np.linalg.LinAlgError:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = np.log(values) + 0.5 / values
    near = np.log(mean) + (values - mean) / mean
    response = np.where(values >= _PLAIN, plain, near) - offset
    weight = 1.0 / (1.0 / mean + dispersion)
    if weekdays:
        contrasts = slice(1, design.shape[1] - 1)
        weighted = whole * weight[:, None]
        beta = np.linalg.lstsq(whole.T @ weighted, weighted.T @ response, rcond=None)[0]
        response = response - design[:, contrasts] @ beta[contrasts]
    if not np.isfinite(response).all():
        return None
    scale = float(weight.mean())
    lost = design.shape[1] - 2 if weekdays else 0
    return LogSeries(days, time, response, weight / scale, dispersion, scale, lost)


def fresh_noise(days: Days, phi: float) -> Floats:
    """Return the variance of each day's noise given the day before it, stationary variance 1."""
    fresh = np.ones(len(days))
    fresh[1:] = 1.0 - phi ** (2.0 * np.diff(days))
    return fresh


def whitened(rows: Floats, days: Days, phi: float) -> Floats:
    """Return rows (float64[..., n], weighted) less what the day before them already says."""
    fresh = np.sqrt(fresh_noise(days, phi))
    white = rows / fresh
    white[..., 1:] -= (phi ** np.diff(days).astype(np.float64) / fresh[1:]) * rows[..., :-1]
    return white


def _knots(time: Floats) -> Floats:
    """Return inner knots, at least two weeks apart, with days on both sides of each."""
    count = min(_MOST_KNOTS, math.floor(float(time[-1]) / _KNOT_DAYS) - 1, len(time) // 8)
    if count < 1:
        return np.zeros(0)
    return np.quantile(time, np.arange(1, count + 1) / (count + 1))
