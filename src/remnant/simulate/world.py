"""A scenario at work: one UTC day after the other, as columns, before anything is written.

Files (``days``) and tables in memory (``observed``) are made from the same columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from remnant.simulate import arrivals, dnstap
from remnant.simulate.addresses import AddressPlan
from remnant.simulate.arrivals import Arrivals
from remnant.simulate.behaviour import BotDays
from remnant.simulate.innocents import InnocentDays, monitor_queries
from remnant.simulate.networks import MONITOR_V4, build
from remnant.simulate.noise import noise_of
from remnant.simulate.order import distinct
from remnant.simulate.population import DAY_US, populate
from remnant.simulate.questions import questions
from remnant.simulate.recursion import Recursion
from remnant.simulate.rows import MARK_LOST, Rows
from remnant.simulate.truth import Truth
from remnant.windows import to_us

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from remnant.simulate.population import Households
    from remnant.simulate.scenario import Scenario

__all__ = ["Day", "World"]


@dataclass(frozen=True, slots=True)
class Day:
    """What the sensors see on one day.

    Attributes:
        number: of the day in the scenario.
        start: its midnight (UTC microseconds).
        messages: of each observed resolver, its monitoring included.
        listens: from when on the sinkhole listens (UTC microseconds); ``None``: not yet.
        dns, tcp: what the sinkhole's two processes see, in time order.
    """

    number: int
    start: int
    messages: tuple[dnstap.Messages, ...]
    listens: int | None
    dns: Arrivals
    tcp: Arrivals


class World:
    """Everything of a run that outlives a day.

    Attributes:
        networks, bots, households, asked, recursion: what it is made of.
        keys: the seed of each observed resolver's messages.
        truth: collects the truth, day by day.
    """

    def __init__(self, scenario: Scenario, scale: float, seed: int) -> None:
        random = np.random.Generator(np.random.PCG64(seed))
        key = random.integers(0, 1 << 64, dtype=np.uint64)
        bots = scenario.clients_a_day * scenario.bots_per_client * (1 + scenario.recursion.hidden)
        bots += max((count for _, count in scenario.curve), default=0.0) * 3
        self.scenario = scenario
        self.networks = build(scenario, (bots + scenario.innocent_households) * scale, random)
        self.bots, self.households = populate(scenario, self.networks, scale, random)
        self.asked = questions(scenario, random)
        self.recursion = Recursion(scenario, self.networks, self.households, random, key)
        self.keys = [np.uint64((int(key) + i) % (1 << 64)) for i in range(len(scenario.resolvers))]
        self.truth = Truth(scenario, self.networks, self.bots, self.households, self.asked)
        self._seed = seed
        self._plan = AddressPlan(scenario, self.networks, self.households, key)
        self._innocents = InnocentDays(
            scenario, self.networks, self.households, self.asked, scale, key
        )
        self._behaviour = BotDays(scenario, self.networks, self.bots, self.asked, key)
        self._habits = _habits(self.households)
        self._takedown = to_us(scenario.takedown)
        self._cut_off = _cut_off(scenario, self.networks.country, self.networks.weight.size)
        losses = [(loss.sensor, to_us(loss.since), to_us(loss.until)) for loss in scenario.losses]
        self.silent = {
            sensor: [(since, until) for name, since, until in losses if name == sensor]
            for sensor in (*(name for name, _ in scenario.resolvers), "sinkhole")
        }
        self.skew = {loss.sensor: round(loss.skew_seconds * 1_000_000) for loss in scenario.losses}

    def days(self) -> Iterator[Day]:
        """Yield the days in order; each can be asked for once."""
        for number in range(self.scenario.days):
            yield self._day(number, to_us(self.scenario.since) + number * DAY_US)

    def _day(self, number: int, start: int) -> Day:
        behaviour, homes, asked = self._behaviour, self.households, self.asked
        self._plan.advance(number, start)
        bot_rows = self._connected(behaviour.advance(number, start))
        connects = self._connected(behaviour.connections)
        rows = Rows.joined([bot_rows, self._innocents.queries(number, start)])
        units = self._plan.at(rows.household, rows.time)
        bot_units = units[: bot_rows.time.size]
        network = homes.network[rows.household].astype(np.int64)
        after = (rows.time >= self._takedown).astype(np.uint8)
        after[after > 0] += self.recursion.blocks(rows.household[after > 0], rows.time[after > 0])
        delivered = self._delivered(rows, network)
        seen = delivered & asked.of_case(rows.name) & (rows.mark <= MARK_LOST)
        hours, beacons = self._hours(start, behaviour.hours), self._hours(start, behaviour.beacons)
        self.truth.add_day(
            start,
            time=rows.time[seen],
            unit=units[seen],
            name=rows.name[seen],
            network=network[seen],
            hours=hours,
        )
        messages = []
        for index in range(len(self.keys)):
            mine = np.flatnonzero(delivered & (self.networks.resolver[network] == index))
            part = rows.take(mine)
            messages.append(self._messages(index, part, units[mine], after[mine], start))
        listens, dns, tcp = self._sinkhole(number, start, bot_rows, bot_units, connects)
        self.truth.activity.add_day(
            start, hours, beacons, behaviour.searches, behaviour.lookups, dns, tcp
        )
        return Day(number, start, tuple(messages), listens, dns, tcp)

    def _sinkhole(
        self,
        number: int,
        start: int,
        rows: Rows,
        units: npt.NDArray[np.int64],
        connects: Rows,
    ) -> tuple[int | None, Arrivals, Arrivals]:
        """Return since when the sinkhole listens on a day, and what arrives at it."""
        none = arrivals.connections(connects.take(slice(0)), units[:0], self.recursion)
        if self._takedown >= start + DAY_US:
            return None, none, none
        since = max(start, self._takedown)
        chosen, owners, lookups = arrivals.lookups_of(
            rows, units, self.asked, self.recursion, self._takedown
        )
        visible = self.recursion.through(number, start, lookups)
        dns = arrivals.queries(chosen, owners, lookups, visible, self.recursion)
        self.truth.activity.add_caches(start, lookups, visible, self.recursion)
        places = self._plan.at(connects.household, connects.time)
        tcp = arrivals.connections(connects, places, self.recursion)
        given = self.scenario.noise
        if given.clients or given.events:
            noise = noise_of(
                given,
                self._seed,
                number,
                since,
                self._sinkholed(start),
                distinct(tcp.unit).size,
                tcp.time.size,
                self.scenario.sinkhole_ttl,
            )
            self.truth.activity.add_noise(start, noise.unit, noise.kind, noise.events)
            dns = Arrivals.joined([dns, noise.dns])
            tcp = Arrivals.joined([tcp, noise.tcp])
        return since, self._kept(dns), self._kept(tcp)

    def _sinkholed(self, start: int) -> npt.NDArray[np.int32]:
        """Return the names that answer with the sinkhole on a day."""
        reached = self.asked.reached & 1
        fixed = np.flatnonzero(reached[: self.asked.watched])
        if not self.asked.generated.size:
            return fixed.astype(np.int32)
        today = self.asked.generated[start // DAY_US - self.asked.first_day]
        return np.concatenate([fixed, np.unique(today[reached[today] == 1])]).astype(np.int32)

    def _kept(self, rows: Arrivals) -> Arrivals:
        """Return what the sinkhole records: nothing while it is down, and by its own clock."""
        lost = _within(rows.time, self.silent["sinkhole"])
        rows = rows.take(~lost) if lost.any() else rows
        skew = self.skew.get("sinkhole", 0)
        return rows._replace(time=rows.time + skew) if skew else rows

    def _connected(self, rows: Rows) -> Rows:
        """Return the rows of households whose network is not cut off."""
        network = self.households.network[rows.household]
        lost = np.zeros(rows.time.size, np.bool_)
        for networks, since, until in self._cut_off:
            lost |= networks[network] & (rows.time >= since) & (rows.time < until)
        return rows.take(~lost) if lost.any() else rows

    def _hours(self, start: int, hours: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """Return hours as bits without those in which a bot's network is cut off."""
        for networks, since, until in self._cut_off:
            gone = np.uint64(0)
            for hour in range(24):
                at = start + hour * (DAY_US // 24)
                if since <= at < until:
                    gone |= np.uint64(1) << np.uint64(hour)
            hours = np.where(networks[self.bots.network], hours & ~gone, hours)
        return hours

    def _delivered(self, rows: Rows, network: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which queries an observed resolver gets while its sensor works."""
        here = self.recursion.observed[rows.household]
        for index, (identity, _) in enumerate(self.scenario.resolvers):
            if self.silent[identity]:
                mine = self.networks.resolver[network] == index
                here &= ~(mine & _within(rows.time, self.silent[identity]))
        return here

    def _messages(
        self,
        index: int,
        rows: Rows,
        units: npt.NDArray[np.int64],
        after: npt.NDArray[np.uint8],
        start: int,
    ) -> dnstap.Messages:
        """Return the messages of a resolver on a day: its clients' and its monitoring."""
        identity, _ = self.scenario.resolvers[index]
        monitor = monitor_queries(self.asked, index, start)
        monitor = monitor.take(~_within(monitor.time, self.silent[identity]))
        every = Rows.joined([rows, monitor])
        count = monitor.time.size
        habits = self._habits[rows.household]
        return dnstap.Messages(
            time=every.time + self.skew.get(identity, 0),
            unit=np.concatenate([units, np.full(count, MONITOR_V4 + index, np.int64)]),
            name=every.name,
            qtype=every.qtype,
            after=np.concatenate([after, np.zeros(count, np.uint8)]),
            mark=every.mark,
            habits=np.concatenate([habits, np.zeros(count, np.uint8)]),
            # A machine without a bot is known by its household.
            device=np.where(every.host < 0, -1 - every.household, every.host),
        )


def _habits(households: Households) -> npt.NDArray[np.uint8]:
    """Return the bits of ``dnstap.Messages.habits`` of each household."""
    return (
        households.mixed_case.astype(np.uint8)
        | households.edns.astype(np.uint8) << 1
        | households.ecs.astype(np.uint8) << 2
    ).astype(np.uint8)


def _cut_off(
    scenario: Scenario, country: npt.NDArray[np.int16], count: int
) -> list[tuple[npt.NDArray[np.bool_], int, int]]:
    """Return for each outage which networks it is about, from when, until when."""
    codes = [entry.code for entry in scenario.countries]
    found = []
    for outage in scenario.outages:
        there = np.flatnonzero(country == codes.index(outage.country))
        steps = np.floor(np.arange(there.size + 1) * outage.share + 0.5)
        networks = np.zeros(count, np.bool_)
        networks[there[np.diff(steps) > 0]] = True
        found.append((networks, to_us(outage.since), to_us(outage.until)))
    return found


def _within(times: npt.NDArray[np.int64], spans: list[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    inside = np.zeros(times.size, np.bool_)
    for since, until in spans:
        inside |= (times >= since) & (times < until)
    return inside
