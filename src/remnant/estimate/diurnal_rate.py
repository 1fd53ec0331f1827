"""Lookups behind a cache where the rate follows the hour and the weekday.

A constant rate under-estimates a load that rises and falls: at the peak the cache hides most. Here
misses and uncached time are counted per bin, and

    log E[misses] = log(uncached time) + hour + weekday + trend

is fitted as a negative binomial regression. The rate of lookups is the mean of the fitted one over
all bins, by time and not by what was seen.

References:
    Aalen, Nonparametric Inference for a Family of Counting Processes, Ann. Statist. 1978.
    Li et al., ICC 2013 (a constant-rate fit under-estimates diurnal load behind caches).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.estimate.exposure import Rate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = ["Shape", "daily_shape", "fitted_rate"]

_HOUR: Final = 3600.0
_ROUNDS: Final = 50
_WEEKDAYS_FROM: Final = 14 * 24
_TREND_FROM: Final = 7 * 24


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Rates of many items that share one daily shape.

    Attributes:
        rates: per second, mean over the day, of each item; float64[items].
        hours: of the day, relative to that mean; float64[24].
        exposure: uncached seconds of each item, weighted by the shape; float64[items].
        dispersion: variance of the counts over their means, at least 1.
    """

    rates: Floats
    hours: Floats
    exposure: Floats
    dispersion: float


def fitted_rate(
    misses: ArrayLike, uncached: ArrayLike, start: float, *, level: float = 0.95
) -> Rate:
    """Return the mean rate per second over all bins of an hour, at one cached item.

    Weekdays are in the model from two weeks of bins on, a trend from one week on. Bins in which the
    cache was never empty say nothing, and their rate comes from the others.

    Args:
        misses: of each hour; int64[hours].
        uncached: seconds of each hour; float64[hours].
        start: of the first hour, seconds since 1970-01-01 UTC.
        level: of the interval (log-normal, from the delta method).
    """
    from scipy.stats import norm  # noqa: PLC0415 - heavy

    n, time = np.asarray(misses, dtype=np.float64), np.asarray(uncached, dtype=np.float64)
    total = int(n.sum())
    usable = time > 0
    if not usable.any():
        return Rate(math.nan, 0.0, math.inf, total)
    if not total:
        return Rate(0.0, 0.0, -math.log((1 - level) / 2) / float(time.sum()), 0)
    design = _design(n.size, start)
    coefficients, covariance = _negative_binomial(design[usable], n[usable], time[usable])
    rates = np.exp(np.clip(design @ coefficients, -60, 60))
    # As for one cache (``exposure.rate``) what is seen takes from its own exposure: the excess is
    # the variance of the log rate times the share of time that is cached.
    cached = np.clip(1 - time / _HOUR, 0, 1)
    rates *= np.clip(1 - cached * ((design @ covariance) * design).sum(1), 0.5, 1)
    value = float(rates.mean())
    slope = design.T @ rates / n.size
    error = math.sqrt(max(float(slope @ covariance @ slope), 0.0)) / value
    width = math.exp(float(norm.isf((1 - level) / 2)) * error)
    return Rate(value, value / width, value * width, total)


def daily_shape(
    items: ArrayLike,
    hours: ArrayLike,
    misses: ArrayLike,
    cached: ArrayLike,
    observed: ArrayLike,
) -> Shape:
    """Return rates of items under one daily shape: misses ~ Poisson(rate * shape * uncached).

    Few misses of one item say nothing about its hours; all items together do. Rates and shape are
    found in turns, each the maximum of the likelihood given the other.

    Args:
        items: index of the item, of each row; int64[rows].
        hours: hour of the day (UTC, 0 to 23), of each row; int64[rows].
        misses: int64[rows].
        cached: seconds of that item and hour, over all days, with an answer in the cache;
            float64[rows].
        observed: seconds of each hour of the day that were observed; float64[24].
    """
    item, hour = np.asarray(items, dtype=np.int64), np.asarray(hours, dtype=np.int64)
    n, held = np.asarray(misses, dtype=np.float64), np.asarray(cached, dtype=np.float64)
    known = np.asarray(observed, dtype=np.float64)
    size = int(item.max()) + 1 if item.size else 0
    per_item, per_hour = np.bincount(item, n, size), np.bincount(hour, n, 24)
    shape = np.where(known > 0, 1.0, 0.0)
    rates = np.zeros(size)
    exposure = np.zeros(size)
    for _ in range(_ROUNDS):
        exposure = np.maximum(shape @ known - np.bincount(item, shape[hour] * held, size), 0.0)
        rates = np.divide(per_item, exposure, out=np.zeros(size), where=exposure > 0)
        at_risk = rates.sum() * known - np.bincount(hour, rates[item] * held, 24)
        # A little of the flat shape keeps hours without any miss from going to nothing.
        fresh = np.divide(
            per_hour + 0.5, at_risk + 0.5, out=np.zeros(24), where=(known > 0) & (at_risk > 0)
        )
        fresh /= fresh[fresh > 0].mean() if (fresh > 0).any() else 1.0
        moved = float(np.abs(fresh - shape).max())
        shape = fresh
        if moved < 1e-6:
            break
    expected = rates[item] * shape[hour] * np.maximum(known[hour] - held, 0.0)
    enough = expected > 1
    spare = int(enough.sum()) - int(np.unique(item[enough]).size) - 23
    dispersion = 1.0
    if spare > 0:
        pearson = ((n - expected)[enough] ** 2 / expected[enough]).sum()
        dispersion = max(1.0, float(pearson) / spare)
    return Shape(rates, shape, exposure, dispersion)


def _design(hours: int, start: float) -> Floats:
    """Return the design: a level, hours of the day, weekdays and a trend where they can be told."""
    number = np.arange(hours) + round(start / _HOUR)
    columns = [np.ones(hours)]
    of_day = number % 24
    columns += [(of_day == hour) - 1 / 24 for hour in range(1, 24)]
    if hours >= _WEEKDAYS_FROM:
        weekday = number // 24 % 7
        columns += [(weekday == day) - 1 / 7 for day in range(1, 7)]
    if hours >= _TREND_FROM:
        columns.append(np.linspace(-1, 1, hours))
    return np.column_stack(columns)


def _negative_binomial(design: Floats, n: Floats, time: Floats) -> tuple[Floats, Floats]:
    """Return coefficients and covariance: IRLS, the dispersion by moments in between.

    A ridge of one in a million misses keeps hours without any from going to minus infinity.
    """
    size = design.shape[1]
    ridge = np.diag(np.r_[0.0, np.full(size - 1, 0.05)])
    coefficients = np.zeros(size)
    coefficients[0] = math.log(n.sum() / time.sum())
    alpha = 0.0
    information = np.eye(size)
    for _ in range(_ROUNDS):
        eta = np.clip(design @ coefficients, -60, 60)
        mu = np.exp(eta) * time
        weight = mu / (1 + alpha * mu)
        weighted = design * weight[:, None]
        information = weighted.T @ design + ridge
        score = design.T @ (weight * (n - mu) / np.maximum(mu, 1e-300)) - ridge @ coefficients
        step = np.clip(np.linalg.solve(information, score), -2, 2)
        coefficients += step
        spare = max(n.size - size, 1) / n.size
        alpha = max(0.0, float(((n - mu) ** 2 / spare - mu).sum() / (mu**2).sum()))
        if float(np.abs(step).max()) < 1e-8:
            break
    return coefficients, np.asarray(np.linalg.inv(information), dtype=np.float64)
