"""How fast a daily series falls: a log-linear trend whose interval is honest about memory.

The model (M0): ``y_t`` has mean ``mu_t`` with ``log mu_t = a + weekday + log exposure_t - r t`` and
the negative binomial variance function ``mu + mu**2 / k`` times a free scale, and its standardised
residuals follow an AR(1) process in real time, so a gap of d days leaves correlation phi**d.

Three steps, all in closed form but the first:

1. Quasi-likelihood (iteratively reweighted least squares, working independence) gives ``mu`` and,
   by moments, ``k``: the same estimate as a negative binomial GLM with that ``k``. Zeros are fine.
2. For each phi on a grid over [0, 1) the linearised model is whitened exactly and solved by one
   Cholesky factorisation.
3. The rate's distribution is the mixture of the t distributions of step 2, weighted by the marginal
   (restricted) likelihood of phi. Nothing is plugged in, so the small-sample bias of an estimated
   phi, which makes the usual intervals too short, does not arise; phi < 0, which would only
   shorten the interval, is left out.

References:
    McCullagh, Nelder, Generalized Linear Models, 2nd ed. 1989, chapter 9 (quasi-likelihood).
    Zellner, Tiao, Journal of the American Statistical Association 59 (1964), 763-778
    (regression with autocorrelated errors, phi integrated out).
    Harville, Biometrika 61 (1974), 383-385 (restricted likelihood as a marginal likelihood).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Days = NDArray[np.int64]

__all__ = [
    "ETA_RANGE",
    "FLOOR",
    "MINIMUM_FIT_DAYS",
    "PHI",
    "STEP",
    "Trend",
    "days_needed",
    "design_of",
    "detectable",
    "dispersion_of",
    "fit",
    "half_life",
    "quasi_likelihood",
]

MINIMUM_FIT_DAYS: Final = 5
"""Fewer days leave no freedom to estimate noise and memory beside level and trend."""

WEEKDAY_DAYS: Final = 21
"""Weekday effects need three weeks."""

PHI: Final = np.linspace(0.0, 0.98, 40)
"""The lag-1 correlations over which the noise is averaged."""

ETA_RANGE: Final = 30.0
"""Means are kept within exp(30) times the average, so that no step of a fit overflows."""

STEP: Final = 1.0
"""Most that a round of a fit may move a day's log mean. Where nearly all days are zero, whole steps
overshoot: the means run to nothing, the dispersion to no end, and the rate to billions a day."""

FLOOR: Final = 1e-6
"""Least residual, on the log scale: a series without any noise stays solvable."""

_LONG: Final = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class Trend:
    """A fitted log-linear trend.

    Attributes:
        rate: r, the fall per day on the log scale (1/day); negative when the series grows.
        low: lower limit of r.
        high: upper limit of r.
        level: confidence level of (low, high).
        n: days in the fit.
        first: first day (days since 1970-01-01 UTC).
        last: last day.
        weekdays: whether weekday effects were fitted.
        sigma: standard deviation of a day's noise on the log scale.
        phi: mean lag-1 correlation of the noise.
        dispersion: 1/k of the negative binomial variance; 0 when there is none.
        log_level: log of the fitted mean at ``center``.
        center: the day (fractional) at which level and rate are fitted.
        covariance: 2 x 2, of (log_level, -rate).
        quantile: multiplier of a standard error that gives the level's half width.
        memory: weight of each phi of the grid, sums to 1.
    """

    rate: float
    low: float
    high: float
    level: float
    n: int
    first: int
    last: int
    weekdays: bool
    sigma: float
    phi: float
    dispersion: float
    log_level: float
    center: float
    covariance: Floats
    quantile: float
    memory: Floats

    def band(self, days: Days) -> tuple[Floats, Floats, Floats]:
        """Return fitted mean, lower and upper limit (pointwise) for each day, weekdays levelled."""
        since = np.asarray(days, dtype=np.float64) - self.center
        middle = self.log_level - self.rate * since
        (v_level, v_both), (_, v_slope) = self.covariance
        error = np.sqrt(np.maximum(v_level + 2 * since * v_both + since**2 * v_slope, 0.0))
        half = self.quantile * error
        return np.exp(middle), np.exp(middle - half), np.exp(middle + half)

    def error_of_mean(self, days: Days) -> float:
        """Return the standard error of the mean log noise over some days, memory included."""
        apart = np.abs(np.subtract.outer(days, days)).astype(np.float64)
        shared = np.power(PHI[:, None, None], apart).mean(axis=(1, 2))
        return self.sigma * math.sqrt(float(self.memory @ shared))


def half_life(rate: float | None) -> float | None:
    """Return ln 2 / rate in days; null if the rate is null, zero or negative (no finite one)."""
    return math.log(2) / rate if rate is not None and rate > 0 else None


def fit(
    days: Days,
    values: Floats,
    exposure: Floats | None = None,
    *,
    level: float = 0.95,
    steps: Sequence[tuple[int, int]] = (),
) -> Trend | None:
    """Return the trend of a daily series, or ``None`` where nothing can be fitted.

    Args:
        days: days since 1970-01-01 UTC, strictly increasing; days left out are gaps.
        values: the series, zero or more each.
        exposure: share of a whole day's signal that each value had the chance to see; ones if null.
        level: confidence level.
        steps: first day of each step of the level, and the days that it takes. They are fitted
            beside the trend, whose rate then is that of the days between them.

    Nothing can be fitted with fewer than ``MINIMUM_FIT_DAYS`` days, or if fewer than two days are
    above zero.
    """
    days = np.asarray(days, dtype=np.int64)
    values = np.asarray(values, dtype=np.float64)
    if len(days) < MINIMUM_FIT_DAYS or np.count_nonzero(values) < 2:
        return None
    offset = np.zeros(len(days)) if exposure is None else np.log(exposure)
    center = float(days.mean())
    design, weekdays = design_of(days, center)
    edges = [np.clip((days - first + 1) / takes, 0.0, 1.0) for first, takes in steps]
    solved = _solve(_beside(design, edges), values, offset, days)
    if solved is None and weekdays:
        design, weekdays = design[:, [0, -1]], False
        solved = _solve(_beside(design, edges), values, offset, days)
    if solved is None:
        return None
    mixture, dispersion = solved
    probability = (1.0 + level) / 2.0
    low = _quantile(mixture, 1.0 - probability)
    high = _quantile(mixture, probability)
    spread = math.sqrt(float(mixture.covariance[1, 1]))
    return Trend(
        rate=-mixture.slope,
        low=-high,
        high=-low,
        level=level,
        n=len(days),
        first=int(days[0]),
        last=int(days[-1]),
        weekdays=weekdays,
        sigma=math.sqrt(mixture.scale),
        phi=float(mixture.weights @ PHI),
        dispersion=dispersion,
        log_level=mixture.intercept + math.log(values.mean()),
        center=center,
        covariance=mixture.covariance,
        quantile=(high - low) / (2.0 * spread),
        memory=mixture.weights,
    )


def detectable(
    days: float, sigma: float, phi: float, *, level: float = 0.95, power: float = 0.8
) -> float:
    """Return the smallest rate (1/day) that a fit over so many days shows with the given power.

    The standard error of a slope under AR(1) noise is near
    ``sigma * sqrt(12 / (T (T**2 - 1))) * sqrt((1 + phi) / (1 - phi))``.

    >>> round(100 * detectable(28, 0.05, 0.5), 2)
    0.57
    """
    from scipy.special import ndtri  # noqa: PLC0415 - heavy, used by this question alone

    z = float(ndtri((1 + level) / 2) + ndtri(power))
    error = sigma * math.sqrt(12 / (days * (days**2 - 1))) * math.sqrt((1 + phi) / (1 - phi))
    return z * error


def days_needed(
    rate: float, sigma: float, phi: float, *, level: float = 0.95, power: float = 0.8
) -> int:
    """Return how many complete days make a rate (1/day, above 0) detectable.

    >>> days_needed(0.0057, 0.05, 0.5)
    28
    """
    long = detectable(_LONG, sigma, phi, level=level, power=power)
    days = max(2, int(_LONG * (long / rate) ** (2 / 3)))
    # The standard error falls as (days**3 - days)**-0.5: the cube root is at most one day short.
    while detectable(days, sigma, phi, level=level, power=power) > rate:
        days += 1
    return days


def design_of(days: Days, center: float) -> tuple[Floats, bool]:
    """Return the columns level, weekday contrasts (each sums to zero), and time, in that order."""
    level = np.ones(len(days))
    time = days - center
    # 1970-01-01 was a Thursday.
    weekday = (days + 3) % 7
    counts = np.bincount(weekday, minlength=7)
    present = np.flatnonzero(counts)
    if len(days) < WEEKDAY_DAYS or len(present) < 2 or counts[present].min() < 2:
        return np.column_stack([level, time]), False
    last = (weekday == present[-1]).astype(np.float64)
    contrasts = [(weekday == day).astype(np.float64) - last for day in present[:-1]]
    return np.column_stack([level, *contrasts, time]), True


def _beside(design: Floats, edges: Sequence[Floats]) -> Floats:
    """Return a design with more columns before the last one, which is time."""
    return np.column_stack([design[:, :-1], *edges, design[:, -1]]) if edges else design


def _solve(
    design: Floats, values: Floats, offset: Floats, days: Days
) -> tuple[_Mixture, float] | None:
    """Return the rate's distribution and 1/k; null where the data leave the model undetermined."""
    try:
        mean, dispersion = quasi_likelihood(design, values, offset)
        weight = 1.0 / (1.0 / mean + dispersion)
        working = np.log(mean) - offset + (values - mean) / mean
        # Weights near 1 and a response near 0 keep the factorisation well conditioned.
        level = math.log(values.mean())
        mixture = _integrate_memory(design, working - level, weight / weight.mean(), days)
    except np.linalg.LinAlgError:
        return None
    if not math.isfinite(mixture.slope) or not np.isfinite(mixture.covariance).all():
        return None
    return mixture, dispersion


def quasi_likelihood(design: Floats, values: Floats, offset: Floats) -> tuple[Floats, float]:
    """Return fitted means and the dispersion 1/k (0 where the data are not overdispersed)."""
    n, p = design.shape
    average = values.mean()
    mean = np.maximum(values, 0.2 * average)
    dispersion = 0.0
    previous = np.zeros(p)
    for round_ in range(50):
        weight = 1.0 / (1.0 / mean + dispersion)
        working = np.log(mean) - offset + (values - mean) / mean
        weighted = design * weight[:, None]
        beta = np.linalg.lstsq(design.T @ weighted, weighted.T @ working, rcond=None)[0]
        move = np.abs(design @ (beta - previous)).max()
        # The first round comes from the data, not from a fit.
        if round_ and move > STEP:
            beta = previous + (beta - previous) * (STEP / move)
        eta = np.clip(design @ beta + offset, math.log(average) - ETA_RANGE, None)
        mean = np.exp(np.minimum(eta, math.log(average) + ETA_RANGE))
        dispersion = dispersion_of(values, mean, n - p)
        if np.abs(beta - previous).max() < 1e-9:
            break
        previous = beta
    return mean, dispersion


def dispersion_of(values: Floats, mean: Floats, freedom: int) -> float:
    """Return 1/k by moments: Pearson's statistic then equals its degrees of freedom."""
    squares = (values - mean) ** 2
    dispersion = 0.0
    # The statistic is convex and falls with the dispersion: Newton's steps from 0 never overshoot.
    for _ in range(50):
        variance = mean * (1.0 + dispersion * mean)
        terms = squares / variance
        excess = float(terms.sum()) - freedom
        slope = float((terms / variance) @ mean**2)
        if excess <= 1e-9 * freedom or slope == 0.0:
            break
        dispersion += excess / slope
    return dispersion


@dataclass(frozen=True, slots=True, eq=False)
class _Mixture:
    """The rate given each phi, and how likely each phi is."""

    slopes: Floats
    errors: Floats
    weights: Floats
    freedom: int
    slope: float
    intercept: float
    scale: float
    covariance: Floats


def _integrate_memory(design: Floats, working: Floats, weight: Floats, days: Days) -> _Mixture:
    n, p = design.shape
    freedom = n - p
    rows = np.column_stack([design, working]) * np.sqrt(weight)[:, None]
    shared = np.power(PHI[:, None], np.diff(days)[None, :].astype(np.float64))
    fresh = 1.0 - shared**2
    white = np.empty((len(PHI), n, p + 1))
    white[:, 0] = rows[0]
    white[:, 1:] = (rows[None, 1:] - shared[..., None] * rows[None, :-1]) / np.sqrt(fresh)[
        ..., None
    ]
    moments = np.swapaxes(white, 1, 2) @ white
    # A floor under the residuals keeps a series without any noise solvable.
    moments[:, p, p] += FLOOR**2 * n
    root = np.linalg.cholesky(moments)
    # [design, working] was factored together: the last row holds the solution of the triangle,
    # the last corner the residual norm, the corner before it the information about the slope.
    slope_root = root[:, p - 1, p - 1]
    slopes = root[:, p, p - 1] / slope_root
    squares = root[:, p, p] ** 2
    scales = squares / freedom
    errors = np.sqrt(scales) / slope_root
    information = np.log(np.diagonal(root, axis1=1, axis2=2)[:, :p]).sum(axis=1)
    log_weight = -0.5 * np.log(fresh).sum(axis=1) - information - 0.5 * freedom * np.log(squares)
    weights = np.exp(log_weight - log_weight.max())
    weights /= weights.sum()
    inverse = np.linalg.inv(moments[:, :p, :p])
    solution = np.einsum("gij,gj->gi", inverse, moments[:, :p, p])[:, [0, p - 1]]
    within = inverse[:, [0, p - 1]][:, :, [0, p - 1]] * scales[:, None, None]
    center = weights @ solution
    apart = solution - center
    covariance = np.einsum("g,gij->ij", weights, within) + np.einsum(
        "g,gi,gj->ij", weights, apart, apart
    )
    return _Mixture(
        slopes=slopes,
        errors=errors,
        weights=weights,
        freedom=freedom,
        slope=float(center[1]),
        intercept=float(center[0]),
        scale=float(weights @ scales),
        covariance=covariance,
    )


def _quantile(mixture: _Mixture, probability: float) -> float:
    """Return a quantile of the mixture of t distributions: Newton's method, kept in a bracket."""
    from scipy.special import gammaln, stdtr, stdtrit  # noqa: PLC0415 - heavy, used by fits alone

    nu = mixture.freedom
    reach = float(stdtrit(nu, probability)) * mixture.errors
    low, high = float((mixture.slopes + reach).min()), float((mixture.slopes + reach).max())
    log_peak = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * math.log(nu * math.pi)
    density = mixture.weights / mixture.errors * math.exp(log_peak)
    at = float(mixture.weights @ (mixture.slopes + reach))
    for _ in range(100):
        z = (at - mixture.slopes) / mixture.errors
        excess = float(mixture.weights @ stdtr(nu, z)) - probability
        if excess > 0:
            high = at
        else:
            low = at
        step = excess / float(density @ (1.0 + z * z / nu) ** (-0.5 * (nu + 1)))
        if abs(step) <= 1e-9 * float(mixture.errors[0]):
            break
        at = at - step if low < at - step < high else 0.5 * (low + high)
    return at
