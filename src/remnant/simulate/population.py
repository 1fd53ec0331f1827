"""Bots and households: who is infected from when to when, and who shares an address.

Everything that lasts longer than a day is drawn here, once, before the first day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.cases.dga import family
from remnant.errors import SimulationError
from remnant.simulate.questions import VERSIONS
from remnant.windows import to_us

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.simulate.networks import Networks
    from remnant.simulate.scenario import Scenario

__all__ = [
    "DAY_US",
    "HOUR_US",
    "NEVER",
    "Bots",
    "Households",
    "clean_up_rates",
    "local_times",
    "populate",
    "waves",
]

DAY_US: Final = 86_400_000_000
HOUR_US: Final = DAY_US // 24
NEVER: Final = 1 << 62
"""The time (UTC microseconds) at which a machine is cleaned that never is."""

_GOLDEN: Final = (5**0.5 - 1) / 2
_SILVER: Final = 2**0.5 - 1
_BEFORE_US: Final = 10 * HOUR_US
"""So long before the midnight of a curve's day the bots of that day are born, at the earliest."""

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
        later, switch: from ``switch`` on (UTC microseconds) it carries the names of version
            ``later`` instead.
        dga: looks for generated names, and carries none.
        skew: what its clock is ahead (microseconds).
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
    later: npt.NDArray[np.int16]
    switch: npt.NDArray[np.int64]
    dga: npt.NDArray[np.bool_]
    skew: npt.NDArray[np.int64]

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
        hidden: nobody observes its resolver.
    """

    network: npt.NDArray[np.int32]
    since: npt.NDArray[np.int64]
    ipv6: npt.NDArray[np.bool_]
    hour_us: npt.NDArray[np.int64]
    mixed_case: npt.NDArray[np.bool_]
    edns: npt.NDArray[np.bool_]
    ecs: npt.NDArray[np.bool_]
    hidden: npt.NDArray[np.bool_]

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
    takedown = max(0, (scenario.takedown - scenario.since).days)
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
    takedown = max(0, (scenario.takedown - scenario.since).days)
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
    everywhere = scale * (1 + scenario.recursion.hidden)
    first = round(scenario.clients_a_day * scenario.bots_per_client * everywhere)
    births = [np.full(first, to_us(scenario.since), np.int64)]
    for day in range(scenario.days):
        new = random.poisson(first * expected[day])
        start = to_us(scenario.since) + day * DAY_US
        births.append(np.sort(random.integers(start, start + DAY_US, new)))
    known = sum(part.size for part in births)
    births += waves(scenario, scale, random)
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
    version = (random.random(count) ** 2 * VERSIONS).astype(np.int16)
    newest = np.arange(count) >= known
    later, switch = _switches(scenario, version, newest, random)
    dga = np.zeros(count, np.bool_)
    if scenario.dga is not None:
        dga = newest & bool(scenario.curve) | (random.random(count) < scenario.dga.share)
    wrong = random.random(count) < scenario.clock_skew
    skew = random.uniform(-1, 1, count) * scenario.clock_skew_hours * HOUR_US
    bots = Bots(
        birth=birth,
        clean=ends,
        network=network,
        household=household,
        online=random.beta(4 * scenario.online_chance, 4 * (1 - scenario.online_chance), count),
        always_on=random.random(count) < scenario.always_on,
        away_from=away_from,
        away_until=away_from + np.where(away, random.integers(14, 36, count), 0),
        version=version,
        aaaa=random.random(count) < scenario.aaaa,
        later=later,
        switch=switch,
        dga=dga,
        skew=np.where(wrong, skew, 0).astype(np.int64),
    )
    since = np.full(homes.size, NEVER, np.int64)
    np.minimum.at(since, household, birth)
    innocent = max(1, round(scenario.innocent_households * scale))
    place = np.concatenate([homes, random.choice(len(networks), innocent, p=networks.weight)])
    total = place.size
    # Evenly as well, and by another sequence than lifetimes; innocent ones are all observed.
    share = scenario.recursion.hidden / (1 + scenario.recursion.hidden)
    hidden = (np.arange(total) * _SILVER + random.random()) % 1.0 < share
    hidden[homes.size :] = False
    households = Households(
        network=place.astype(np.int32),
        since=np.concatenate([since, np.full(innocent, to_us(scenario.since), np.int64)]),
        ipv6=random.random(total) < scenario.ipv6,
        hour_us=random.integers(0, DAY_US, total),
        mixed_case=random.random(total) < 0.1,
        edns=random.random(total) < 0.35,
        ecs=random.random(total) < 0.03,
        hidden=hidden,
    )
    return bots, households


def waves(
    scenario: Scenario, scale: float, random: np.random.Generator
) -> list[npt.NDArray[np.int64]]:
    """Return the births (UTC microseconds) of bots that come after the takedown in waves.

    Those of the scenario's curve are so many that the living ones make up its clients; the share
    of them that meets a name of the sinkhole on a day is taken into account.
    """
    found = []
    if scenario.curve:
        times = [to_us(time) for time, _ in scenario.curve]
        counts = [count for _, count in scenario.curve]
        days = np.arange(scenario.days)
        middle = to_us(scenario.since) + days * DAY_US
        wanted = np.exp(np.interp(middle, times, np.log(counts)))
        wanted[middle < times[0]] = 0.0
        living = wanted * scale * scenario.bots_per_client / _met(scenario)
        before = 0
        for day, target in enumerate(living.tolist()):
            new = max(0, round(target) - before)
            before += new
            start = int(middle[day]) - _BEFORE_US
            found.append(np.sort(random.integers(start, start + DAY_US, new)))
    back = scenario.comeback
    if back is not None and back.new_clients_a_day:
        mean = back.new_clients_a_day * scenario.bots_per_client * scale
        first = to_us(back.at)
        for start in range(first, to_us(scenario.until), DAY_US):
            new = random.poisson(mean * (1 + scenario.recursion.hidden))
            found.append(np.sort(random.integers(start, start + DAY_US, new)))
    return found


def _met(scenario: Scenario) -> float:
    """Return the share of activations that meet a name of the sinkhole."""
    if scenario.dga is None:
        return 1.0
    given, every = scenario.dga, family(scenario.dga.family).per_day
    reach = min(given.lookups, every) / every
    registered = given.owned + given.rivals
    return float((1.0 - (1.0 - reach) ** registered) * given.owned / max(1, registered))


def _switches(
    scenario: Scenario,
    version: npt.NDArray[np.int16],
    newest: npt.NDArray[np.bool_],
    random: np.random.Generator,
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int64]]:
    """Return which version each bot carries after the update that it gets, and when."""
    switch = np.full(version.size, NEVER, np.int64)
    back = scenario.comeback
    if back is None:
        return version, switch
    at = to_us(back.at) + (random.random(version.size) * back.days * DAY_US).astype(np.int64)
    gets = (random.random(version.size) < back.updated) | newest
    return np.full(version.size, VERSIONS, np.int16), np.where(gets, at, switch)


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
    low = scenario.carrier_nat_bots
    high = max(low, scenario.most_carrier_nat_bots)
    carriers = np.rint(np.exp(random.uniform(np.log(low), np.log(high), first)))
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
            room = int(carriers[index] if networks.carrier_nat[place] else sizes[index])
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


def local_times(
    scenario: Scenario,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return each country's local time minus UTC (microseconds), and its days of rest (bits)."""
    offset = [round(country.offset_hours * HOUR_US) for country in scenario.countries]
    rest = [sum(1 << day for day in country.weekend) for country in scenario.countries]
    return np.array(offset, np.int64), np.array(rest, np.int64)
