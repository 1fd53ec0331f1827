"""Networks of a few countries, each with its own rate: are the shrunken ones better, and honest?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from campaigns.campaign import Campaign, Cell, Goal, Outcomes
from remnant.estimate.decay_many import fit_many
from remnant.estimate.pooling import errors_of, pool

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

COUNTRIES: Final = 8
NETWORKS: Final = 5
FIRST_DAY: Final = 16_533


def campaign() -> Campaign:
    """Return the campaign."""
    cells = [
        Cell(
            {"days": str(days), "spread": name, "asked": asked},
            5000,
            partial(_simulate, days=days, tau=tau, omega=omega, asked=asked),
            goals=_GOALS[asked],
        )
        for days, name, tau, omega in (
            (28, "wide", 0.004, 0.003),
            (84, "wide", 0.004, 0.003),
            (84, "narrow", 0.001, 0.0),
        )
        for asked in ("rate", "rank")
    ]
    return Campaign(
        name="pooling",
        title="Rates of networks, partially pooled",
        text=(
            f"{COUNTRIES} countries with {NETWORKS} networks each. A network has 5 to 2,000 hosts "
            "(log-uniform); each is cleaned at its own random time, at the network's rate, and "
            "asks on a day with probability 0.7; each network has daily noise of 3 % of its own "
            "with memory 0.5. Rates spread by a t distribution (5 degrees) around the country's, "
            "so the model's normal spread is wrong. Each repeat is one network. The baseline is "
            "its own fitted rate. `rank` asks for the true rank among all 40."
        ),
        metrics=("coverage", "error_cut"),
        cells=tuple(cells),
        anchor="none published for botnets; the baseline is the unpooled rate.",
        small=(0,),
    )


_GOALS: Final = {
    "rate": (
        Goal("coverage", at_least=0.93, source="as for the half-life"),
        Goal("error_cut", at_least=0.2, source="our own"),
    ),
    "rank": (Goal("coverage", at_least=0.93, source="as for the half-life"),),
}


def _simulate(
    rng: np.random.Generator, repeats: int, *, days: int, tau: float, omega: float, asked: str
) -> Outcomes:
    size = COUNTRIES * NETWORKS
    groups = np.repeat(np.arange(COUNTRIES), NETWORKS)
    parts: list[tuple[Floats, ...]] = []
    for _ in range(-(-repeats // size)):
        country = 0.006 + omega * rng.normal(size=COUNTRIES)
        truth = country[groups] + tau * rng.standard_t(5, size=size) / np.sqrt(5 / 3)
        values = _counts(rng, truth, days)
        when = np.arange(FIRST_DAY, FIRST_DAY + days)
        fitted = fit_many(when, values)
        errors = errors_of(fitted, values, when)
        good = np.flatnonzero(np.isfinite(errors) & (errors > 0))
        found = pool(
            fitted.rate[good], errors[good], np.unique(groups[good], return_inverse=True)[1]
        )
        if asked == "rate":
            value, low, high = found.interval(0.95)
            parts.append((truth[good], value, low, high, fitted.rate[good]))
        else:
            value, low, high = (part.astype(np.float64) for part in found.ranks(0.95))
            parts.append((_ranks(truth[good]), value, low, high, _ranks(fitted.rate[good])))
    truth, value, low, high, own = (
        np.concatenate(part)[:repeats] for part in zip(*parts, strict=True)
    )
    return Outcomes(truth=truth, value=value, low=low, high=high, baseline=own)


def _ranks(rates: Floats) -> Floats:
    """Return ranks, 1 the fastest fall."""
    ranks = np.empty(len(rates))
    ranks[np.argsort(-rates)] = np.arange(1, len(rates) + 1)
    return ranks


def _counts(rng: np.random.Generator, rates: Floats, days: int) -> Floats:
    """Return clients each day: hosts that are left (or join, where it grows) and ask."""
    count = len(rates)
    hosts = np.exp(rng.uniform(np.log(5), np.log(2000), size=count)).astype(np.int64)
    left = np.empty((count, days), dtype=np.int64)
    alive = hosts
    for day in range(days):
        left[:, day] = alive
        fall = -np.expm1(-np.maximum(rates, 0.0))
        grow = np.expm1(np.maximum(-rates, 0.0))
        alive = alive - rng.binomial(alive, fall) + rng.poisson(alive * grow)
    noise = rng.normal(size=(count, days))
    for day in range(1, days):
        noise[:, day] = 0.5 * noise[:, day - 1] + np.sqrt(0.75) * noise[:, day]
    return rng.binomial(left, np.minimum(0.7 * np.exp(0.03 * noise), 1.0)).astype(np.float64)
