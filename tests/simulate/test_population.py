from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from remnant.errors import SimulationError
from remnant.simulate.beebone import BEEBONE
from remnant.simulate.networks import Networks, build
from remnant.simulate.population import DAY_US, NEVER, Bots, Households, clean_up_rates, populate
from remnant.windows import to_us

if TYPE_CHECKING:
    from remnant.simulate.scenario import Scenario


def made(scenario: Scenario, scale: float, seed: int = 1) -> tuple[Networks, Bots, Households]:
    random = np.random.default_rng(seed)
    networks = build(scenario, 70_000 * scale, random)
    return networks, *populate(scenario, networks, scale, random)


def alive(bots: Bots, scenario: Scenario) -> list[int]:
    """At the start, at the takedown, at the end."""
    days = (0, (scenario.takedown - scenario.since).days, scenario.days)
    starts = [to_us(scenario.since) + day * DAY_US for day in days]
    return [int(((bots.birth <= at) & (bots.clean > at)).sum()) for at in starts]


@pytest.mark.parametrize("half_life_days", [80.0, 340.0])
def test_the_living_halve_in_the_half_life(half_life_days: float) -> None:
    scenario = replace(BEEBONE, half_life_days=half_life_days)
    _, bots, _ = made(scenario, 0.4)
    living = alive(bots, scenario)

    # Level before the takedown, then the decline that was asked for.
    assert living[1] == pytest.approx(living[0], rel=0.01)
    assert living[2] / living[1] == pytest.approx(2 ** (-84 / half_life_days), abs=0.012)


def test_a_decline_that_no_rate_gives_is_refused() -> None:
    scenario = replace(BEEBONE, half_life_days=20.0, never_cleaned=0.4)

    with pytest.raises(SimulationError, match="half_life_days=20"):
        made(scenario, 0.001)


def test_a_longer_period_reaches_the_half() -> None:
    scenario = replace(BEEBONE, until=BEEBONE.takedown + timedelta(days=340))
    _, bots, _ = made(scenario, 0.1)
    living = alive(bots, scenario)

    assert living[-1] / living[1] == pytest.approx(0.5, abs=0.02)


def test_networks_clean_at_rates_of_their_own() -> None:
    networks, bots, _ = made(BEEBONE, 0.2)
    rates, births = clean_up_rates(BEEBONE, networks)

    assert np.log(rates).std() == pytest.approx(BEEBONE.hazard_spread, rel=0.1)
    assert births[14] == pytest.approx(BEEBONE.new_a_day, rel=0.01)
    assert (births[:14] > births[14]).all()
    assert (bots.clean == NEVER).mean() == pytest.approx(BEEBONE.never_cleaned, abs=0.03)
    assert (bots.clean > bots.birth).all()


def test_households_stay_within_a_network_and_are_cleaned_as_one() -> None:
    networks, bots, households = made(BEEBONE, 0.2)

    assert (households.network[bots.household] == bots.network).all()
    first = bots.birth == to_us(BEEBONE.since)
    plain = first & ~networks.carrier_nat[bots.network]
    ends = np.unique(np.column_stack([bots.household[plain], bots.clean[plain]]), axis=0)
    assert len(ends) == len(np.unique(bots.household[plain]))
    sizes = np.bincount(bots.household[plain])
    shares = np.bincount(sizes[sizes > 0])[1:4] / (sizes > 0).sum()
    assert shares == pytest.approx(BEEBONE.household_sizes, abs=0.05)
    carrier = np.bincount(bots.household[first & networks.carrier_nat[bots.network]])
    assert carrier.max() == BEEBONE.carrier_nat_bots


def test_a_population_without_bots_is_possible() -> None:
    _, bots, households = made(BEEBONE, 1e-6)

    assert len(bots) == 0
    assert len(households) == 1
