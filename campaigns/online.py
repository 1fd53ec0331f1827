"""Campaign: hosts online in an hour, from hourly addresses."""

from __future__ import annotations

from functools import partial

import numpy as np

from campaigns.campaign import Campaign, Cell, Goal, Outcomes
from campaigns.hosts import Botnet, botnets
from remnant.estimate.churn import churn
from remnant.estimate.population import online

__all__ = ["campaign"]

_REPEATS = 5_000
_HOSTS = 60
_FIRST = 16_000

_CLOSE = Goal("mare", at_most=0.03, source="up to one change a day, one host an address")
_COVERAGE = Goal("coverage", at_least=0.90, source="28 days")
_BELOW = Goal("below", at_least=0.95, source="with shared addresses the value is a lower bound")


def campaign() -> Campaign:
    """Return the campaign of hosts online."""
    goals = (_CLOSE, _COVERAGE)
    cells = [
        _cell("0.03 changes a day", goals, Botnet(hosts=_HOSTS, rate=0.03)),
        _cell("0.3", goals, Botnet(hosts=_HOSTS, rate=0.3)),
        _cell("1", goals, Botnet(hosts=_HOSTS, rate=1.0)),
        _cell("3", (_COVERAGE,), Botnet(hosts=_HOSTS, rate=3.0)),
        _cell("every 24 h", goals, Botnet(hosts=_HOSTS, change="period")),
        _cell("0.3, 15 % of days lost", goals, Botnet(hosts=_HOSTS, rate=0.3, lost=0.15)),
        _cell("1, one beacon an hour", goals, Botnet(hosts=_HOSTS, rate=1.0, beacon=1.0)),
        _cell("0.3, 2 hosts an address", (_BELOW,), Botnet(hosts=_HOSTS, rate=0.3, household=2)),
        _cell("0.3, 30 hosts an address", (_BELOW,), Botnet(hosts=240, rate=0.3, household=30)),
    ]
    return Campaign(
        name="online",
        title="Hosts online",
        text=(
            f"One network of {_HOSTS} hosts for 28 days (240 where 30 share an address), three of "
            "ten always on, the others mostly in the evening; beacons every 15 minutes. The truth "
            "is the mean number of hosts that sent a beacon in an hour of the last seven covered "
            "days. The baseline is the mean number of distinct addresses an hour."
        ),
        metrics=("bias", "mare", "coverage", "below", "error_cut"),
        cells=tuple(cells),
        anchor="no figure: that hourly addresses are near the bots online is told in words.",
        notes=(
            "The limits are for the level around which the days vary; the truth here is that of "
            "the very week, so they hold it more often than 95 of 100 times."
        ),
        small=(1, 7),
    )


def _cell(what: str, goals: tuple[Goal, ...], made: Botnet) -> Cell:
    return Cell({"network": what}, _REPEATS, partial(_simulate, made), goals)


def _simulate(made: Botnet, rng: np.random.Generator, repeats: int) -> Outcomes:
    rows = []
    for seen in botnets(made, rng, repeats):
        found = online([(seen.counts, churn(seen.counts))], _FIRST)
        assert found is not None
        low = found.value if found.low is None else found.low
        high = np.inf if found.high is None else found.high
        rows.append((seen.online, found.value, low, high, found.seen.value))
    truth, value, lows, highs, baseline = np.array(rows, dtype=np.float64).T
    return Outcomes(truth=truth, value=value, low=lows, high=highs, baseline=baseline)
