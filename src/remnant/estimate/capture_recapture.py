"""How many were missed by all lists: capture and recapture, for two lists and for more.

Pure functions on counts. Each says what it cannot tell; nothing here knows what the lists are.

References:
    Chapman, Some properties of the hypergeometric distribution with applications to zoological
    sample censuses, University of California Publications in Statistics 1 (1951): the estimator.
    Seber, The Effects of Trap Response on Tag Recapture Estimates, Biometrics 26 (1970): its
    variance.
    Chao, Estimating the Population Size for Capture-Recapture Data with Unequal Catchability,
    Biometrics 43 (1987): the log-normal interval of those who were not seen.
    Fienberg, The multiple recapture census for closed populations and incomplete 2^k contingency
    tables, Biometrika 59 (1972): log-linear models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["LEAST_BOTH", "Total", "chapman", "log_linear", "quantile"]

LEAST_BOTH: Final = 7.0
"""Seen at both, below which nothing is concluded: Chapman's bias is small from there on."""

_NEAR: Final = 4.0
"""Models whose AIC is at most so much above the best are not told apart by the data."""

_ROUNDS: Final = 60


@dataclass(frozen=True, slots=True)
class Total:
    """How many there are.

    Attributes:
        value: the estimate.
        low, high: limits; never below how many were seen.
        seen: how many were on any list.
        model: which lists depend on each other, in words.
        saturated: every two of them do, so that no data are left to test it.
    """

    value: float
    low: float
    high: float
    seen: float
    model: str
    saturated: bool = False


def quantile(level: float) -> float:
    """Return the standard normal quantile of a two-sided level.

    >>> round(quantile(0.95), 3)
    1.96
    """
    from statistics import NormalDist  # noqa: PLC0415 - only here

    return NormalDist().inv_cdf(0.5 + level / 2)


def chapman(left: Floats, right: Floats, both: Floats, *, level: float = 0.95) -> Total | None:
    """Return how many there are in all strata together; null where too few were seen at both.

    Args:
        left: float[strata], on the first list; means over days are as good as counts.
        right: float[strata], on the second list.
        both: float[strata], on both.
        level: of the interval.

    A stratum with fewer than ``LEAST_BOTH`` on both lists is put together with the others of its
    kind.

    >>> found = chapman(np.array([200.0]), np.array([150.0]), np.array([60.0]))
    >>> round(found.value), round(found.low), round(found.high)
    (497, 429, 601)
    """
    if both.sum() < LEAST_BOTH:
        return None
    large = both >= LEAST_BOTH
    small = [np.array([part[~large].sum()]) for part in (left, right, both)]
    if small[2][0] < LEAST_BOTH:  # they cannot stand alone: one stratum with the smallest large one
        order = np.flatnonzero(large)
        if not len(order):
            return None
        least = order[np.argmin(both[order])]
        large = large.copy()
        large[least] = False
        small = [np.array([part[~large].sum()]) for part in (left, right, both)]
    n1, n2, m = (
        np.concatenate([part[large], rest])
        for part, rest in zip((left, right, both), small, strict=True)
    )
    total = (n1 + 1) * (n2 + 1) / (m + 1) - 1
    variance = (n1 + 1) * (n2 + 1) * (n1 - m) * (n2 - m) / ((m + 1) ** 2 * (m + 2))
    seen = float((left + right - both).sum())
    unseen = max(0.0, float(total.sum()) - seen)
    low, high = _limits(seen, unseen, float(variance.sum()), level)
    return Total(seen + unseen, low, high, seen, "both lists independent")


def log_linear(table: Floats, names: Sequence[str] = (), *, level: float = 0.95) -> Total | None:
    """Return how many there are by the log-linear model with the least AIC.

    Every set of pairs of lists may depend on each other; higher interactions are taken as none,
    for they cannot be told from those who were not seen. The interval holds those of all models
    that the data do not tell apart (AIC within 4 of the best).

    Args:
        table: float[2] * lists: how many have each history; the first cell (on no list) is not
            read.
        names: of the lists, for the words.
        level: of the interval.
    """
    lists = table.ndim
    names = tuple(names) or tuple(f"list {n + 1}" for n in range(lists))
    histories = np.array(list(np.ndindex(*table.shape)), dtype=np.float64)[1:]
    counts = table.reshape(-1)[1:]
    seen = float(counts.sum())
    pairs = list(combinations(range(lists), 2))
    fits: list[tuple[float, Total]] = []
    for size in range(len(pairs) + 1):
        for chosen in combinations(pairs, size):
            design = np.column_stack(
                [np.ones(len(counts)), histories]
                + [histories[:, a] * histories[:, b] for a, b in chosen]
            )
            fitted = _poisson(design, counts)
            if fitted is None:
                continue
            aic, base, error = fitted
            unseen = math.exp(base)
            # Of those that a model expects, a Poisson number was there.
            variance = unseen**2 * error**2 + unseen
            low, high = _limits(seen, unseen, variance, level)
            words = ", ".join(f"{names[a]} with {names[b]}" for a, b in chosen)
            model = f"dependent: {words}" if chosen else "all lists independent"
            fits.append((aic, Total(seen + unseen, low, high, seen, model, size == len(pairs))))
    if not fits:
        return None
    least = min(aic for aic, _ in fits)
    best = min(fits, key=lambda fit: fit[0])[1]
    near = [total for aic, total in fits if aic <= least + _NEAR]
    return Total(
        best.value,
        min(total.low for total in near),
        max(total.high for total in near),
        seen,
        best.model,
        best.saturated,
    )


def _limits(seen: float, unseen: float, variance: float, level: float) -> tuple[float, float]:
    """Return the limits of a total whose unseen part is log-normal."""
    if unseen <= 0:
        # Nobody is missing by the estimate; by chance a few may be.
        return seen, seen + quantile(level) * math.sqrt(max(variance, 0.0))
    factor = math.exp(quantile(level) * math.sqrt(math.log1p(variance / unseen**2)))
    return seen + unseen / factor, seen + unseen * factor


def _poisson(design: Floats, counts: Floats) -> tuple[float, float, float] | None:
    """Return AIC, intercept and its standard error of a Poisson regression; null if it diverges."""
    from scipy.special import gammaln  # noqa: PLC0415 - heavy

    if design.shape[1] > len(counts) or counts.sum() <= 0:
        return None
    mean = counts + 0.5
    previous = -math.inf
    for _ in range(_ROUNDS):
        weights = mean
        target = np.log(mean) + (counts - mean) / mean
        information = design.T @ (design * weights[:, None])
        try:
            beta = np.linalg.solve(information, design.T @ (weights * target))
        except np.linalg.LinAlgError:
            return None
        line = design @ beta
        if not np.isfinite(line).all() or np.abs(line).max() > 50:
            return None
        mean = np.exp(line)
        likelihood = float((counts * line - mean - gammaln(counts + 1)).sum())
        if abs(likelihood - previous) < 1e-9 * (1 + abs(likelihood)):
            break
        previous = likelihood
    covariance = np.linalg.pinv(design.T @ (design * mean[:, None]))
    return 2 * design.shape[1] - 2 * likelihood, float(beta[0]), math.sqrt(covariance[0, 0])
