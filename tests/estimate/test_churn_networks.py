"""The mean churn rate over networks: of those alike together, of others one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from campaigns.hosts import Botnet, botnets
from remnant.estimate.churn import churn
from remnant.estimate.churn_networks import mean_of
from remnant.estimate.recapture import together

if TYPE_CHECKING:
    from remnant.estimate.churn import Churn
    from remnant.estimate.recapture import Recaptures


def network(rate: float, seed: int, hosts: int = 20) -> tuple[Recaptures, Churn]:
    [seen] = botnets(Botnet(hosts=hosts, rate=rate), np.random.default_rng(seed), 1)
    return seen.counts, churn(seen.counts)


def test_small_networks_that_are_alike_are_looked_at_as_one() -> None:
    parts = [network(0.03, seed) for seed in range(6)]

    value, low, high = mean_of(parts, 0.95)

    whole = churn(together([seen for seen, _ in parts]))
    assert (value, low, high) == (whole.rate, whole.low, whole.high)
    assert low < 0.03 < high < 0.05


def test_networks_that_differ_keep_their_own_rates() -> None:
    parts = [network(rate, seed, 60) for seed, rate in enumerate((0.03, 0.3, 1.0))]

    value, low, high = mean_of(parts, 0.95)

    assert low < 1.33 / 3 < high
    assert value == pytest.approx(1.33 / 3, rel=0.2)


def test_a_network_without_a_rate_widens_the_limits_by_what_it_may_have() -> None:
    parts = [network(rate, seed, 60) for seed, rate in enumerate((0.03, 0.3, 1.0))]
    seen, rate = network(0.5, 9, 60)
    unknown = replace(rate, refusal="two kinds", rate=np.nan, rough=None, most=5.0)

    narrow, wide = mean_of(parts, 0.95), mean_of([*parts, (seen, unknown)], 0.95)

    assert wide[0] == pytest.approx(narrow[0])
    assert wide[1] < narrow[1]
    assert wide[2] > 1.0
