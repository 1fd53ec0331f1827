"""Distributions made of many t distributions, as averaging over a grid of models gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Mixture", "mixed_of"]

_LIGHT: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """A distribution: t distributions of one degree of freedom, weighted.

    Attributes:
        centers, errors, weights: float64[components]; weights sum to 1; an error may be 0.
        freedom: degrees of freedom.
    """

    centers: Floats
    errors: Floats
    weights: Floats
    freedom: int

    def quantile(self, probability: float) -> float:
        """Return a quantile, by bisection."""
        from scipy.special import stdtr, stdtrit  # noqa: PLC0415 - heavy, used by fits alone

        kept = self.weights > _LIGHT * self.weights.max()
        centers, weights = self.centers[kept], self.weights[kept] / self.weights[kept].sum()
        errors = np.maximum(self.errors[kept], 1e-15)
        reach = abs(float(stdtrit(self.freedom, min(probability, 1 - probability) / 10)))
        low = float((centers - reach * errors).min())
        high = float((centers + reach * errors).max())
        for _ in range(60):
            middle = 0.5 * (low + high)
            below = float(weights @ stdtr(self.freedom, (middle - centers) / errors))
            low, high = (middle, high) if below < probability else (low, middle)
        return 0.5 * (low + high)

    def interval(self, level: float) -> tuple[float, float]:
        """Return the central interval."""
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)


def mixed_of(parts: list[tuple[float, Mixture]]) -> Mixture:
    """Return one distribution of several, each with its weight."""
    weights = np.concatenate([weight * part.weights for weight, part in parts])
    return Mixture(
        np.concatenate([part.centers for _, part in parts]),
        np.concatenate([part.errors for _, part in parts]),
        weights / weights.sum(),
        min(part.freedom for _, part in parts),
    )
