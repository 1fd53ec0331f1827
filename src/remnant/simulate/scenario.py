"""What a simulated botnet is made of: the parameters of a scenario.

Every count is *at scale 1*; a run multiplies bots, innocent clients and address pools by its scale.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from remnant.simulate.surroundings import Blocking, Dga, Loss, Noise, Outage, Resolvers, Return

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Churn", "Country", "Event", "Scenario", "WatchedName"]

Outcome = Literal["sinkhole", "nxdomain", "c2"]


@dataclass(frozen=True, slots=True)
class Country:
    """Where bots live.

    Attributes:
        code: ISO 3166 two-letter code.
        share: weight of this country among the bots (any positive scale).
        offset_hours: local time minus UTC in the scenario's months.
        weekend: days of rest, Monday is 0.
    """

    code: str
    share: float
    offset_hours: float
    weekend: tuple[int, ...] = (5, 6)


@dataclass(frozen=True, slots=True)
class WatchedName:
    """A name that the bots look up.

    Attributes:
        name: folded text.
        after: what it answers after the takedown: ``sinkhole`` (seized), ``nxdomain`` (suspended)
            or ``c2`` (nobody got hold of it).
    """

    name: str
    after: Outcome = "sinkhole"


@dataclass(frozen=True, slots=True)
class Churn:
    """One way in which networks change the addresses of their customers.

    Attributes:
        name: what it is called in the truth.
        share: share of the networks that work so (shares add up to 1).
        changes_a_day: mean number of changes of one household a day.
        forced: True when the change comes once a day at the household's own hour.
    """

    name: str
    share: float
    changes_a_day: float
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """An entry of the case file's list of events."""

    time: datetime
    kind: str
    note: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """A takedown to make up traffic for.

    Attributes:
        name: the word on the command line.
        title: what the botnet is called; the case adds that it is SIMULATED, and at which scale.
        since, until: the period (UTC midnights, half-open).
        takedown: when the seized names begin to answer with the sinkhole.
        default_scale: scale when none is given.
        names: what the bots look up; the first ones are carried by the most frequent versions.
        below: zones that the case watches whole (``*.`` entries).
        events: for the case file.
        clients_a_day: distinct bot addresses (IPv4 address or IPv6 /64) seen on one UTC day just
            after the takedown.
        bots_per_client: bots that must be alive for one such address a day: more than 1 because
            some machines are off or share an address, less because some change it (calibrated,
            see docs/reference/simulator.md).
        half_life_days: of the living bots after the takedown, new infections included.
        new_a_day: new infections after the takedown, per living bot and day. Before the takedown
            they replace exactly what is cleaned.
        never_cleaned: share of the bots that nobody ever cleans.
        hazard_spread: standard deviation of the logarithm of the networks' clean-up rates.
        countries: with their shares.
        networks: number of networks; their sizes follow 1 / (rank + ``network_shift``).
        churn: the ways in which addresses change.
        pool_per_household: addresses that a network has for each simulated household.
        household_sizes: shares of households with 1, 2, 3 ... bots.
        carrier_nat: share of the networks in which ``carrier_nat_bots`` share one address.
        carrier_nat_bots: bots behind one address there.
        ipv6: share of households that ask over IPv6.
        always_on: share of machines that never sleep.
        online_chance: mean chance that another machine is switched on on a working day.
        weekend_factor: multiplies that chance on days of rest.
        session_hours: mean length of a session of such a machine.
        away: share of bots that are away for two to five weeks once.
        period_minutes: time between two activations of a running bot (jitter 10 %).
        names_per_bot: names that one version of the bot carries; all are tried at start-up.
        more_names: chance to try each further name at a later activation.
        retry: chance, after the takedown, to come back within four minutes.
        most_retries: how often it comes back then, at most (1 to 4); each number is as likely.
        aaaa: share of machines that ask for AAAA beside A.
        c2_ttl, sinkhole_ttl, negative_ttl: seconds for which a machine keeps an answer.
        innocent_households: households without a bot.
        innocent_queries: their and the bots' households' other queries a day.
        malformed: share of innocent messages that are broken.
        resolvers: identity and share of the networks each serves: the observed ones.
        names_source: where the names are from, for the case file.
        most_carrier_nat_bots: above 0: bots behind one address of such a network are drawn between
            ``carrier_nat_bots`` and this (evenly in the logarithm), once per address.
        recursion: the resolvers that nobody observes, and how all of them cache.
        second_ttl: seconds; the sinkhole answers each query with this or ``sinkhole_ttl``, as a
            coin falls; ``None``: always with ``sinkhole_ttl``.
        blocking: resolvers that answer the seized names themselves.
        noise: what reaches the sinkhole beside bots.
        losses: hours of a sensor without messages, and its clock.
        outages: regions that are offline.
        clock_skew: share of bots whose clock is wrong by up to ``clock_skew_hours`` either way.
        clock_skew_hours: see there.
        dga: generated names that some bots look for.
        comeback: how the botnet comes back with names that the case does not list.
        curve: distinct clients a day at the sinkhole that the newest bots (those that look for
            generated names) make up: UTC midnights and counts, exponential in between.
    """

    name: str
    title: str
    since: datetime
    until: datetime
    takedown: datetime
    default_scale: float
    names: tuple[WatchedName, ...]
    below: tuple[str, ...]
    events: tuple[Event, ...]
    clients_a_day: float
    bots_per_client: float
    half_life_days: float
    new_a_day: float
    never_cleaned: float
    hazard_spread: float
    countries: tuple[Country, ...]
    networks: int
    network_shift: float
    churn: tuple[Churn, ...]
    pool_per_household: float
    household_sizes: tuple[float, ...]
    carrier_nat: float
    carrier_nat_bots: int
    ipv6: float
    always_on: float
    online_chance: float
    weekend_factor: float
    session_hours: float
    away: float
    period_minutes: float
    names_per_bot: int
    more_names: float
    retry: float
    aaaa: float
    c2_ttl: int
    sinkhole_ttl: int
    negative_ttl: int
    innocent_households: float
    innocent_queries: float
    malformed: float
    resolvers: tuple[tuple[str, float], ...]
    names_source: str = "stamparm/maltrail changeup.txt; state invented"
    most_retries: int = 1
    most_carrier_nat_bots: int = 0
    recursion: Resolvers = field(default_factory=Resolvers)
    second_ttl: int | None = None
    blocking: Blocking = field(default_factory=Blocking)
    noise: Noise = field(default_factory=Noise)
    losses: tuple[Loss, ...] = ()
    outages: tuple[Outage, ...] = ()
    clock_skew: float = 0.0
    clock_skew_hours: float = 12.0
    dga: Dga | None = None
    comeback: Return | None = None
    curve: tuple[tuple[datetime, float], ...] = ()

    @property
    def days(self) -> int:
        """Number of UTC days in the period."""
        return (self.until - self.since).days
