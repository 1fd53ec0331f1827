"""What stands around the bots of a scenario: resolvers, noise, losses, generated names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Blocking", "Dga", "Loss", "Noise", "Outage", "Resolvers", "Return"]


@dataclass(frozen=True, slots=True)
class Resolvers:
    """Who resolves for whom, and how they cache.

    Attributes:
        hidden: bots behind resolvers that nobody observes, per bot behind an observed one.
        isp, farm, own: how these are divided (any positive scale): the resolver of their network,
            a public farm, a resolver of their own.
        observed_caches: caches behind the address of an observed resolver.
        isp_caches: the most caches behind the address of a network's resolver; each number is as
            likely.
        farms: number of public farms; each sends the client's /24 (IPv6: /56) and caches by it.
        farm_caches: fewest and most caches of a farm.
        unbound: share of the networks' resolvers that keep answers as Unbound does (at most a day,
            negative ones an hour); the others as BIND (a week, three hours).
        prefetch: share of the networks' resolvers that ask again before an answer ends (BIND: in
            its last two seconds; Unbound: in the last tenth).
        floor: share of the networks' resolvers that keep every answer for ``floor_seconds`` at
            least, whatever it says.
        floor_seconds: see there.
    """

    hidden: float = 0.25
    isp: float = 0.6
    farm: float = 0.3
    own: float = 0.1
    observed_caches: int = 1
    isp_caches: int = 4
    farms: int = 2
    farm_caches: tuple[int, int] = (10, 100)
    unbound: float = 0.5
    prefetch: float = 0.1
    floor: float = 0.0
    floor_seconds: int = 300


@dataclass(frozen=True, slots=True)
class Blocking:
    """Resolvers that answer the seized names themselves: their bots vanish from the sinkhole only.

    Attributes:
        share: of the networks' unobserved resolvers.
        observed: identities of observed resolvers that block as well.
        since: from when on (UTC); ``None``: from the takedown.
        answer: what they answer.
    """

    share: float = 0.0
    observed: tuple[str, ...] = ()
    since: datetime | None = None
    answer: Literal["nxdomain", "own"] = "nxdomain"


@dataclass(frozen=True, slots=True)
class Noise:
    """What reaches the sinkhole beside bots.

    Attributes:
        clients: addresses of noise a day, per client a day of the bots (at scale 1).
        events: its events, per event of the bots.
        scanners: of both: connections without a request.
        crawlers: each asks for every name once, by DNS and by HTTP.
        sandboxes: cloud machines that behave like a fresh bot, many times a day.
        researchers: replay one bot's requests in bursts.
        monitors: one request every five minutes.
        spoofed: DNS queries with made-up sources.
    """

    clients: float = 0.02
    events: float = 0.02
    scanners: float = 0.35
    crawlers: float = 0.1
    sandboxes: float = 0.25
    researchers: float = 0.05
    monitors: float = 0.05
    spoofed: float = 0.2


@dataclass(frozen=True, slots=True)
class Loss:
    """A sensor that delivers nothing for a while, or whose clock is wrong.

    Attributes:
        sensor: identity of an observed resolver, or ``sinkhole``.
        since, until: nothing is recorded (UTC, half-open); equal: nothing is lost.
        skew_seconds: added to every time that the sensor writes, in the whole period.
    """

    sensor: str
    since: datetime
    until: datetime
    skew_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Outage:
    """Networks that are cut off for a while.

    Attributes:
        country: ISO 3166 code of those it is about.
        share: of this country's networks, chosen over all sizes.
        since, until: UTC, half-open.
    """

    country: str
    share: float
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Dga:
    """Generated names.

    Attributes:
        family: a family of ``remnant.cases.dga``.
        barrel: the order in which an activation asks: ``uniform`` (all in the same order),
            ``sampling`` (a random subset), ``randomcut`` (from a random place on, in order, round
            the end), ``permutation`` (all, in random order).
        lookups: most names that one activation asks for.
        owned: names a day that answer with the sinkhole, drawn anew for each day.
        rivals: names a day that the operator has registered (C2).
        share: share of the bots there from the start that look for generated names; those of
            the scenario's ``curve`` always do.
        again: whether an activation that found nothing is followed by one more each period, or
            there is one for each run and UTC day only.
        pause_seconds: mean time between two lookups of an activation.
        delegated: the registry points all generated names at the sinkhole's name servers, which
            answer NXDOMAIN for those that are not owned: its DNS then sees them all.
    """

    family: str
    barrel: Literal["uniform", "sampling", "randomcut", "permutation"]
    lookups: int
    owned: int
    rivals: int = 0
    share: float = 1.0
    again: bool = True
    pause_seconds: float = 0.4
    delegated: bool = False


@dataclass(frozen=True, slots=True)
class Return:
    """The botnet comes back: some bots get an update and ask for other names from then on.

    Attributes:
        at: when the operator is back (UTC).
        names: the new ones, live; the case does not list them.
        updated: share of the bots living then that change over within ``days``; they are gone from
            the sinkhole.
        days: see there.
        new_clients_a_day: new infections a day at scale 1 from then on, all with the new names.
    """

    at: datetime
    names: tuple[str, ...]
    updated: float
    days: float = 3.0
    new_clients_a_day: float = 0.0
