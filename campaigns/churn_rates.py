"""Campaign: how often the addresses of a network change, from which addresses come back."""

from __future__ import annotations

from functools import partial

import numpy as np

from campaigns.campaign import Campaign, Cell, Goal, Outcomes
from campaigns.hosts import Botnet, Seen, botnets
from remnant.estimate.churn import churn

__all__ = ["campaign"]

_REPEATS = 5_000
_HOSTS = 80
_BLOCK = 25
_CLOSE = 0.25

_RIGHT = Goal("right", at_least=0.75, source="three of four networks within 25 % of their rate")
_COVERAGE = Goal("coverage", at_least=0.90, source="a 95 % interval over few hosts")
_REFUSED = Goal("refused", at_most=0.10, source="up to one change a day, all hours covered")


def campaign() -> Campaign:
    """Return the campaign of churn rates."""
    goals = (_RIGHT, _COVERAGE, _REFUSED)
    cells = [
        _cell("0.03", goals, Botnet(hosts=_HOSTS, rate=0.03)),
        _cell("0.3", goals, Botnet(hosts=_HOSTS, rate=0.3)),
        _cell("1", goals, Botnet(hosts=_HOSTS, rate=1.0)),
        _cell("3", (), Botnet(hosts=_HOSTS, rate=3.0)),
        _cell("every 24 h", (_RIGHT,), Botnet(hosts=_HOSTS, change="period")),
        _cell("0.3, pool of 800", goals, Botnet(hosts=_HOSTS, rate=0.3, pool=800)),
        Cell({"changes a day": "a mixture"}, _REPEATS, _mixture, (_RIGHT,)),
    ]
    return Campaign(
        name="churn",
        title="Churn rates",
        text=(
            f"One network of {_HOSTS} hosts for 28 days, three of ten always on, the others used "
            "for some hours on most days, a fifth of them not at weekends; beacons every 15 "
            "minutes. In the mixture each network is sticky (0.01 to 0.05 changes a day), leased "
            "(0.2 to 0.5), renumbered every 24 h or changed on demand (1 to 5 a day), alike often. "
            "A call is right if the rate is within 25 % of the truth; refusing is not right."
        ),
        metrics=("right", "bias", "coverage", "refused"),
        cells=tuple(cells),
        anchor=(
            "72.3 % of churn rates right against one provider's own records (Moura et al., IFIP "
            "Networking 2015); other data, so not directly comparable."
        ),
        notes=(
            "At three and more changes a day few addresses live long enough to be met again half "
            "a day later; sessions that last that long then look like kept addresses for the "
            "shorter lags only, and the rate comes out too high."
        ),
        small=(1, 4),
    )


def _cell(rate: str, goals: tuple[Goal, ...], made: Botnet) -> Cell:
    return Cell({"changes a day": rate}, _REPEATS, partial(_simulate, made), goals)


def _simulate(made: Botnet, rng: np.random.Generator, repeats: int) -> Outcomes:
    return _outcomes([_estimated(seen) for seen in botnets(made, rng, repeats)])


def _mixture(rng: np.random.Generator, repeats: int) -> Outcomes:
    rows: list[tuple[float, float, float, float]] = []
    while len(rows) < repeats:
        kind = int(rng.integers(4))
        low, high = ((0.01, 0.05), (0.2, 0.5), (1.0, 1.0), (1.0, 5.0))[kind]
        made = Botnet(
            hosts=_HOSTS,
            rate=float(rng.uniform(low, high)),
            change="period" if kind == 2 else "random",
        )
        rows += [_estimated(seen) for seen in botnets(made, rng, min(_BLOCK, repeats - len(rows)))]
    return _outcomes(rows)


def _estimated(seen: Seen) -> tuple[float, float, float, float]:
    found = churn(seen.counts)
    return seen.rate, found.rate, found.low, found.high


def _outcomes(rows: list[tuple[float, float, float, float]]) -> Outcomes:
    truth, value, low, high = np.array(rows).T
    close = np.abs(np.nan_to_num(value) - truth) <= _CLOSE * truth
    return Outcomes(truth=truth, value=value, low=low, high=high, calls=close.astype(np.float64))
