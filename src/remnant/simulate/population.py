"""Bots and households: who is infected from when to when, and who shares an address.

Everything that lasts longer than a day is drawn here, once, before the first day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.errors import SimulationError
from remnant.simulate.questions import VERSIONS
from remnant.windows import to_us

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.simulate.networks import Networks
    from remnant.simulate.scenario import Scenario

__all__ = ["DAY_US", "NEVER", "Bots", "Households", "clean_up_rates", "populate"]

DAY_US: Final = 86_400_000_000
NEVER: Final = 1 << 62
"""The time (UTC microseconds) at which a machine is cleaned that never is."""

_GOLDEN: Final = (5**0.5 - 1) / 2
_JOIN: Final = 0.3
"""Share of new infections in a household that already has a bot (USB sticks, shares)."""


@dataclass(frozen=True, slots=True)
class Bots:
    """One row per bot.

    Attributes:
        birth, clean: infected from, until (UTC microseconds; ``NEVER``).
        network, household: indexes.
        online: chance to be switched on on a working day (0 to 1).
        always_on: never sleeps.
        away_from, away_until: day numbers of the scenario; equal when never away.
        version: which set of names it carries (row of ``version_names``).
        aaaa: asks for AAAA as well.
    """

    birth: npt.NDArray[np.int64]
    clean: npt.NDArray[np.int64]
    network: npt.NDArray[np.int32]
    household: npt.NDArray[np.int32]
    online: npt.NDArray[np.float64]
    always_on: npt.NDArray[np.bool_]
    away_from: npt.NDArray[np.int64]
    away_until: npt.NDArray[np.int64]
    version: npt.NDArray[np.int16]
    aaaa: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return self.birth.size


@dataclass(frozen=True, slots=True)
class Households:
    """One row per household: those of the bots first, then the innocent ones.

    Attributes:
        network: index.
        since: when it is first there (UTC microseconds).
        ipv6: asks its resolver over IPv6.
        hour_us: its hour of a forced change (microseconds after midnight UTC).
        mixed_case: a forwarder that mixes letter case (0x20) stands before it.
        edns, ecs: its queries carry an OPT record, a client subnet.
    """

    network: npt.NDArray[np.int32]
    since: npt.NDArray[np.int64]
    ipv6: npt.NDArray[np.bool_]
    hour_us: npt.NDArray[np.int64]
    mixed_case: npt.NDArray[np.bool_]
    edns: npt.NDArray[np.bool_]
    ecs: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return self.network.size


def clean_up_rates(
    scenario: Scenario, networks: Networks
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return each network's clean-up rate (per bot and day), and new infections (per day).

    The networks' relative rates are multiplied by the one factor with which the expected number of
    living bots, new infections included, falls by 2 ** (-T / half-life) in the T days from takedown
    to end. (Networks that clean fast run out of bots first, so the mean rate alone would not do.)
    New infections are in units of the bots at the start.

    Raises:
        SimulationError: no rate makes the bots decline so fast.
    """
    takedown = (scenario.takedown - scenario.since).days
    target = 2.0 ** (-(scenario.days - takedown) / scenario.half_life_days)
    # Upwards in small steps to the first factor that is enough: much larger ones would only pile up
    # bots that nobody cleans before the takedown.
    low, high = 0.0, 1e-5
    while _expected(scenario, networks, high)[1] > target:
        low, high = high, high * 1.5
        if high > 1:
            raise SimulationError(
                "bots cannot decline as fast as the scenario says",
                got=f"half_life_days={scenario.half_life_days:g}",
                expected="a longer half-life, or a smaller share never_cleaned",
            )
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if _expected(scenario, networks, middle)[1] > target else (low, middle)
        )
    births, _ = _expected(scenario, networks, high)
    return networks.hazard * high, births


def _expected(
    scenario: Scenario, networks: Networks, factor: float
) -> tuple[npt.NDArray[np.float64], float]:
    """Return expected new infections on each day, and bots alive at the end, per bot at the start.

    Before the takedown they make up exactly for what is cleaned.
    """
    days = scenario.days
    takedown = (scenario.takedown - scenario.since).days
    # Survival at ages 0, 0.5, 1, 1.5 ... days: new infections come at midday on average.
    ages = np.arange(2 * days + 1) / 2
    kept = np.exp(-factor * np.outer(ages, networks.hazard)) @ networks.weight
    survival = scenario.never_cleaned + (1 - scenario.never_cleaned) * kept
    after = np.arange(days) - takedown + 0.5
    births = np.asarray(scenario.new_a_day * 2.0 ** (-after / scenario.half_life_days), np.float64)
    for day in range(takedown):
        living = survival[2 * (day + 1)] + births[:day] @ survival[2 * day + 1 : 1 : -2][:day]
        births[day] = (1.0 - living) / survival[1]
    return births, float(survival[2 * days] + births @ survival[2 * days - 1 :: -2])


def populate(
    scenario: Scenario, networks: Networks, scale: float, random: np.random.Generator
) -> tuple[Bots, Households]:
    """Return the bots that ever live in the period, and all households."""
    rates, expected = clean_up_rates(scenario, networks)
    first = round(scenario.clients_a_day * scenario.bots_per_client * scale)
    births = [np.full(first, to_us(scenario.since), np.int64)]
    for day in range(scenario.days):
        new = random.poisson(first * expected[day])
        start = to_us(scenario.since) + day * DAY_US
        births.append(np.sort(random.integers(start, start + DAY_US, new)))
    birth = np.concatenate(births)
    count = birth.size
    network = random.choice(len(networks), count, p=networks.weight).astype(np.int32)
    # Those there from the start are spread evenly over the networks, and all lifetimes evenly
    # over their distribution (a golden-ratio sequence, so within each network too): a small scale
    # then shows the decline of the full size, without the luck of a few hundred deaths.
    even = (np.arange(first) + random.random()) / first
    network[:first] = np.searchsorted(np.cumsum(networks.weight)[:-1], even, side="right")
    chance = (np.arange(count) * _GOLDEN + random.random()) % 1.0
    cleaned = chance >= scenario.never_cleaned
    left = np.where(cleaned, (1.0 - chance) / (1.0 - scenario.never_cleaned), 1.0)
    life_days = -np.log(np.maximum(left, 1e-12)) / rates[network]
    ends = birth + (np.minimum(life_days, 36_500) * DAY_US).astype(np.int64)
    ends[~cleaned] = NEVER
    household, homes = _households(scenario, networks, network, first, random)
    # A notice reaches a line, and whoever cleans, cleans all that is behind it: the first bots of a
    # household go together. (If they went one by one, addresses would vanish later than bots.)
    head = np.full(homes.size, first, np.int64)
    np.minimum.at(head, household[:first], np.arange(first))
    together = ~networks.carrier_nat[network[:first]]
    ends[:first] = np.where(together, ends[head[household[:first]]], ends[:first])
    away = random.random(count) < scenario.away
    away_from = random.integers(0, scenario.days, count)
    bots = Bots(
        birth=birth,
        clean=ends,
        network=network,
        household=household,
        online=random.beta(4 * scenario.online_chance, 4 * (1 - scenario.online_chance), count),
        always_on=random.random(count) < scenario.always_on,
        away_from=away_from,
        away_until=away_from + np.where(away, random.integers(14, 36, count), 0),
        version=(random.random(count) ** 2 * VERSIONS).astype(np.int16),
        aaaa=random.random(count) < scenario.aaaa,
    )
    since = np.full(homes.size, NEVER, np.int64)
    np.minimum.at(since, household, birth)
    innocent = max(1, round(scenario.innocent_households * scale))
    place = np.concatenate([homes, random.choice(len(networks), innocent, p=networks.weight)])
    total = place.size
    households = Households(
        network=place.astype(np.int32),
        since=np.concatenate([since, np.full(innocent, to_us(scenario.since), np.int64)]),
        ipv6=random.random(total) < scenario.ipv6,
        hour_us=random.integers(0, DAY_US, total),
        mixed_case=random.random(total) < 0.1,
        edns=random.random(total) < 0.35,
        ecs=random.random(total) < 0.03,
    )
    return bots, households


def _households(
    scenario: Scenario,
    networks: Networks,
    network: npt.NDArray[np.int32],
    first: int,
    random: np.random.Generator,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return each bot's household and each household's network.

    The first bots are grouped within their network; each later one joins or founds a household.
    """
    sizes = 1 + random.choice(len(scenario.household_sizes), first, p=scenario.household_sizes)
    household = np.empty(network.size, np.int32)
    homes: list[int] = []
    members: dict[int, list[int]] = {}
    order = np.argsort(network[:first], kind="stable")
    here = -1
    room = 0
    # One pass over the bots at set-up, not over traffic.
    for index in order.tolist():
        place = int(network[index])
        if place != here or room == 0:
            here = place
            room = scenario.carrier_nat_bots if networks.carrier_nat[place] else int(sizes[index])
            members.setdefault(place, []).append(len(homes))
            homes.append(place)
        household[index] = len(homes) - 1
        room -= 1
    joins = random.random(network.size) < _JOIN
    picks = random.random(network.size)
    for index in range(first, network.size):
        place = int(network[index])
        known = members.setdefault(place, [])
        if known and joins[index]:
            household[index] = known[int(picks[index] * len(known))]
        else:
            household[index] = len(homes)
            known.append(len(homes))
            homes.append(place)
    return household, np.array(homes, np.int32)
