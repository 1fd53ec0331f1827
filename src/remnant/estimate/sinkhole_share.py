"""The share of a botnet that a sinkhole with a part of the names can see, and the division by it.

A sinkhole that owns one of 50,000 names a day sees few bots, and that is no clean-up. The share is
exact where the barrel is known: a bot stops at the first registered name that it meets, so the
chances of the owned names add up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from remnant.errors import RemnantError
from remnant.estimate.barrels import meets

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import ArrayLike

    from remnant.estimate.barrels import Round

__all__ = ["Share", "ShareError", "Whole", "share_of_names", "share_of_samples", "whole"]


class ShareError(RemnantError):
    """Samples or shares that cannot be used."""


@dataclass(frozen=True, slots=True)
class Share:
    """P(a bot meets an owned name in a day), with limits where it was itself estimated."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Whole:
    """The whole botnet, seen and not seen, a day."""

    value: float
    low: float
    high: float


def share_of_names(made: Round, owned: ArrayLike) -> float:
    """Return the share of the bots that meet an owned name in one activation; exact.

    Args:
        made: the round; its registered names are the owned ones and those of others.
        owned: positions of the owned names.

    Raises:
        ShareError: an owned name is not among the registered ones.

    >>> from remnant.estimate.barrels import Round
    >>> for owned in (1, 50, 250, 500, 1000):  # Conficker C: 500 of 50,000 names a day
    ...     made = Round.of("sampling", 50_000, 500, range(owned))
    ...     print(f"{share_of_names(made, range(owned)):.5f}")
    0.01000
    0.39514
    0.91945
    0.99359
    0.99996
    """
    positions = np.unique(np.asarray(owned, dtype=np.int64).reshape(-1))
    if not np.isin(positions, made.registered).all():
        raise ShareError("an owned name is not among the registered names")
    return meets(made, positions) if positions.size else 0.0


def share_of_samples(
    samples: Sequence[Collection[str]],
    weights: Sequence[float],
    seized: Collection[str],
    *,
    level: float = 0.95,
) -> Share:
    """Return the share of a botnet with fixed name lists that has at least one seized name.

    Args:
        samples: the names in each malware sample.
        weights: how common each sample is (machines, sightings); not negative, not all zero.
        seized: the names that the sinkhole owns.
        level: of the interval: Wilson's (1927) with Kish's effective number of samples, as if the
            samples were drawn at random from those in use.

    Raises:
        ShareError: no sample, or weights that do not fit.
    """
    from scipy.stats import norm  # noqa: PLC0415 - heavy

    weight = np.asarray(weights, dtype=np.float64)
    if weight.shape != (len(samples),) or not weight.size or (weight < 0).any():
        raise ShareError("each sample needs one weight, not negative", got=str(weight.shape))
    if not 0 < float(weight.sum()) < math.inf:
        raise ShareError("the weights add up to nothing that can be divided by")
    wanted = frozenset(seized)
    hit = np.array([not wanted.isdisjoint(names) for names in samples])
    share = float(weight[hit].sum() / weight.sum())
    n = float(weight.sum() ** 2 / (weight**2).sum())
    z = float(norm.isf((1 - level) / 2))
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Share(share, max(0.0, center - half), min(1.0, center + half), len(samples))


def whole(
    seen: float,
    share: float,
    *,
    seen_limits: tuple[float, float] | None = None,
    share_limits: tuple[float, float] | None = None,
    level: float = 0.95,
) -> Whole:
    """Return N = seen / share with an interval.

    On the log scale three errors add up: which bots happened to meet an owned name (variance
    N (1 - c) / c), the count of those seen, and the share. The score form of the first holds for
    small counts too.

    Args:
        seen: bots that met an owned name in the day.
        share: the share c, over 0.
        seen_limits: the interval of ``seen`` at ``level``; null if it was counted exactly.
        share_limits: the interval of ``share`` at ``level``; null if it is exact.
        level: of all intervals.

    Raises:
        ShareError: a share that is not in (0, 1].

    >>> answer = whole(8.0, 0.01)
    >>> round(answer.value), round(answer.low), round(answer.high)
    (800, 407, 1574)
    """
    from scipy.stats import norm  # noqa: PLC0415 - heavy

    if not 0 < share <= 1:
        raise ShareError("the share of the names must be over 0", got=f"{share:g}")
    z = float(norm.isf((1 - level) / 2))
    value = seen / share
    low, high = _hidden(seen, share, z)
    if not seen:
        upper = high if seen_limits is None else max(high, seen_limits[1] / share)
        return Whole(0.0, 0.0, upper if share_limits is None else upper * share / share_limits[0])
    # Square-and-add of the distances of the limits on the log scale (Zou and Donner 2008).
    downs, ups = [_log_ratio(value, low)], [_log_ratio(high, value)]
    if seen_limits is not None:
        downs.append(_log_ratio(seen, seen_limits[0]))
        ups.append(_log_ratio(seen_limits[1], seen))
    if share_limits is not None:
        downs.append(_log_ratio(share_limits[1], share))
        ups.append(_log_ratio(share, share_limits[0]))
    return Whole(value, value * math.exp(-math.hypot(*downs)), value * math.exp(math.hypot(*ups)))


def _hidden(seen: float, share: float, z: float) -> tuple[float, float]:
    """Return the N at which ``seen`` is just z standard errors away from N c (score limits)."""
    # (seen - N c)^2 = z^2 N c (1 - c), a quadratic in N.
    half = seen + z * z * (1 - share) / 2
    root = math.sqrt(max(half * half - seen * seen, 0.0))
    return (half - root) / share, (half + root) / share


def _log_ratio(above: float, below: float) -> float:
    return math.log(above / below) if below > 0 and above > 0 else math.inf
