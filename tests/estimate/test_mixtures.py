from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from remnant.estimate.mixtures import Mixture, mixed_of


def test_one_component_has_the_quantiles_of_its_t() -> None:
    made = Mixture(np.array([2.0]), np.array([0.5]), np.array([1.0]), 7)

    low, high = made.interval(0.9)

    assert low == pytest.approx(stats.t(7, 2.0, 0.5).ppf(0.05))
    assert high == pytest.approx(stats.t(7, 2.0, 0.5).ppf(0.95))


def test_points_without_error_are_weighed() -> None:
    made = Mixture(np.array([1.0, 2.0, 3.0]), np.zeros(3), np.array([0.2, 0.5, 0.3]), 5)

    assert made.quantile(0.5) == pytest.approx(2.0)
    assert made.quantile(0.1) == pytest.approx(1.0)
    assert made.quantile(0.9) == pytest.approx(3.0)


def test_blend_keeps_the_weights_of_its_parts() -> None:
    one, two = (Mixture(np.array([at]), np.zeros(1), np.ones(1), 9) for at in (0.0, 10.0))

    made = mixed_of([(3.0, one), (1.0, two)])

    assert made.weights.tolist() == [0.75, 0.25]
    assert made.quantile(0.7) == pytest.approx(0.0, abs=1e-9)
    assert made.quantile(0.8) == pytest.approx(10.0)
