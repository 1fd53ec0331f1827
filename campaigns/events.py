"""Campaign: whole botnets, event by event, from the sightings to every estimate."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from campaigns.campaign import Campaign, Cell, Goal, Outcomes
from campaigns.event_truth import Told, run
from remnant.simulate.beebone import BEEBONE
from remnant.simulate.scenario import Churn, WatchedName
from remnant.simulate.surroundings import Blocking, Loss, Noise

if TYPE_CHECKING:
    from remnant.simulate.scenario import Scenario

__all__ = ["campaign"]

_REPEATS: Final = 50
_SCALE: Final = 0.003

_BASE: Final = replace(
    BEEBONE,
    since=datetime(2015, 4, 7, tzinfo=UTC),
    until=datetime(2015, 5, 8, tzinfo=UTC),
    networks=8,
    household_sizes=(1.0,),
    carrier_nat=0.0,
    # Other lookups cost time and reach no estimate.
    innocent_households=200,
    innocent_queries=1_000,
)
"""Thirty days after the takedown, eight networks, and one host behind each address."""

_ONLINE = (
    Goal("below", at_least=0.95, source="a lower bound", quantity="infected_online, sinkhole"),
    Goal("below", at_least=0.95, source="a lower bound", quantity="infected_online, resolver"),
)
_CLOSE = (
    Goal("mare", at_most=0.03, source="up to one change a day, one host an address",
         quantity="infected_online, sinkhole"),
    Goal("mare", at_most=0.03, source="up to one change a day, one host an address",
         quantity="infected_online, resolver"),
)  # fmt: skip
_REST = (
    Goal("below", at_least=0.95, source="a lower bound", quantity="infected_population"),
    Goal("error_cut", at_least=0.60, source="against distinct addresses",
         quantity="infected_population"),
    Goal("mare", at_most=0.25, source="a rate is right within 25 %", quantity="churn_rate"),
    Goal("coverage", at_least=0.90, quantity="churn_rate"),
    Goal("coverage", at_least=0.93, source="28 days or more", quantity="decay_rate"),
    Goal("bias", at_most=0.005, source="half a victim in a hundred may be left out",
         quantity="victims kept"),
    Goal("mare", at_most=0.05, source="5 % over a tree of caches",
         quantity="lookups_behind_caches"),
    Goal("coverage", at_least=0.90, quantity="lookups_behind_caches"),
    Goal("mare", at_most=0.20, source="hosts behind caches within 20 %",
         quantity="hosts_behind_caches"),
)  # fmt: skip

_BLOCKED = (
    Goal("refused", at_least=0.95, source="the views depend on each other",
         quantity="two_vantage_hosts"),
)  # fmt: skip

_SEIZED: Final = tuple(WatchedName(name.name) for name in BEEBONE.names)
_LOST: Final = Loss(
    "sinkhole", datetime(2015, 4, 20, tzinfo=UTC), datetime(2015, 4, 24, tzinfo=UTC)
)
_AHEAD: Final = Loss("sinkhole", BEEBONE.takedown, BEEBONE.takedown, skew_seconds=7_200)


def campaign() -> Campaign:
    """Return the campaign of whole botnets."""
    hosts = ("hosts",)
    fast, slow = Churn("fast", 1.0, 3.0), Churn("slow", 1.0, 0.03)
    forced = Churn("forced", 1.0, 1.0, forced=True)
    cells = [
        _cell("baseline", _BASE, ("hosts", "resolver", "caches", "both")),
        _cell("0.03 address changes a day everywhere", replace(_BASE, churn=(slow,)), hosts),
        _cell("3 a day", replace(_BASE, churn=(fast,)), hosts, goals=_ONLINE + _REST),
        _cell("forced every 24 h", replace(_BASE, churn=(forced,)), hosts),
        _cell(
            "households of 1 to 3",
            replace(_BASE, household_sizes=BEEBONE.household_sizes),
            hosts,
            goals=_ONLINE + _REST,
        ),
        _cell(
            "carrier NAT in a quarter of the networks",
            replace(_BASE, carrier_nat=0.25),
            hosts,
            goals=_ONLINE + _REST,
        ),
        _cell("all names seized", replace(_BASE, names=_SEIZED), ("noise",)),
        _cell("20 % noise", replace(_BASE, noise=Noise(clients=0.2, events=0.2)), ("noise",)),
        _cell("sinkhole lost for four days", replace(_BASE, losses=(_LOST,)), hosts),
        _cell("sensor's clock two hours ahead", replace(_BASE, losses=(_AHEAD,)), ("noise",)),
        _cell("three of ten hosts away for weeks", replace(_BASE, away=0.3), hosts),
        _cell(
            "a resolver answers with an address of its own",
            replace(_BASE, blocking=Blocking(observed=("resolver-b",), answer="own")),
            ("both",),
            goals=_BLOCKED,
        ),
        _cell(
            "a resolver answers NXDOMAIN",
            replace(_BASE, blocking=Blocking(observed=("resolver-b",))),
            ("both",),
            goals=_BLOCKED,
        ),
        _cell("TTL 900 s", replace(_BASE, sinkhole_ttl=900), ("caches",)),
        _cell("scale 0.001", _BASE, hosts, scale=0.001),
        _cell("scale 0.01", _BASE, hosts, scale=0.01),
    ]
    return Campaign(
        name="events",
        title="Whole botnets, event by event",
        text=_TEXT,
        metrics=("bias", "mare", "coverage", "below", "refused", "error_cut"),
        cells=tuple(cells),
        anchor="none: no published estimator was tried on sightings of a whole botnet.",
        notes=_NOTES,
        small=(6,),
    )


_TEXT: Final = f"""
The [simulator](reference/simulator.md)'s scenario `beebone` for 30 days after its takedown at scale
{_SCALE} (about 170 bots in eight networks), one host behind each address unless a row says
otherwise, one factor changed at a time. Bots, addresses, caches, noise and the sinkhole are events;
the estimators get sightings, clients, coverage and the case file, and set bystanders apart
themselves. Truths are the simulator's hidden tables over each estimate's own window: bots that
asked or connected in an hour (of the observed resolvers for `resolver`), bots alive, the rates of
change of the networks weighted by their active bots, the straight line through the logarithm of the
bots alive, lookups of seized names that reached the caches, and bots active a day. The baseline of
`infected_population` is the number of distinct addresses in its window, that of
`lookups_behind_caches` the queries that reached the sinkhole. `victims kept` and `noise found` are
clients: their bias is minus the share that is wrongly left out, or missed.
"""

_NOTES: Final = """
**Hosts online at the sinkhole.** `beebone` has names that nobody seized, and an activation that
asks only for those never reaches the sinkhole: about 7 % of the hosts online in an hour are not
seen in it. Those seen in the hours before and after are added. Bystanders that are not found count
as hosts: where one client of five is noise the value is about 3 % too high. The lower limit does
not rest on what is added, and the value is told as a lower bound, as hosts share addresses.

**Churn.** The networks of this botnet are small (about 20 hosts). Where they are alike they are
looked at as one; where their rates differ, those that tell little are drawn towards the others, and
the mean leans low by a sixth to a fifth, as networks that change often are told worst. The interval
allows for it, and for networks without a rate of their own. At 3 changes a day that is most of
them: the mean leans low by more, and the interval does not allow for all of it.

**Hosts by two vantages** are 12 % too many: addresses of a day are counted for hosts, and an
address that changes during the day counts twice. The interval does not allow for it. With addresses
that never change the value comes within a few percent. **Hosts behind caches** lean the same way at
a TTL of 900 s, and the interval holds them half of the time there.

**A resolver that answers NXDOMAIN.** Its clients are not among those that were answered with the
sinkhole, so they are not counted, and nothing is refused: only a resolver that answers with an
address of its own is noticed.

**Hosts that go away for weeks** look like clean-up to the trend of hosts online; the bots alive
hardly fall, and the interval of the decay rate does not hold their rate.

**Noise.** Two of three sources of noise are not found: sandboxes and researchers that send what a
bot sends, a few times, from rented servers. No victim was left out.
"""


def _cell(
    what: str,
    scenario: Scenario,
    parts: tuple[str, ...],
    *,
    goals: tuple[Goal, ...] = _ONLINE + _CLOSE + _REST,
    scale: float = _SCALE,
) -> Cell:
    return Cell({"botnet": what}, _REPEATS, partial(_simulate, scenario, scale, parts), goals)


def _simulate(
    scenario: Scenario,
    scale: float,
    parts: tuple[str, ...],
    rng: np.random.Generator,
    repeats: int,
) -> dict[str, Outcomes]:
    seeds = rng.integers(0, 1 << 31, repeats).tolist()
    runs = [run(scenario, scale, seed, parts) for seed in seeds]
    quantities = dict.fromkeys(quantity for found in runs for quantity in found)
    return {
        quantity: _outcomes([found.get(quantity, Told(np.nan, np.nan)) for found in runs])
        for quantity in quantities
    }


def _outcomes(told: list[Told]) -> Outcomes:
    columns = [(one.truth, one.value, one.low, one.high, one.baseline) for one in told]
    truth, value, low, high, baseline = np.array(columns, dtype=np.float64).T
    counted = not np.isfinite(low).any() and not np.isinf(low).any()
    return Outcomes(
        truth=truth,
        value=value,
        low=None if counted else low,
        high=None if counted else high,
        baseline=None if np.isnan(baseline).all() else baseline,
    )
