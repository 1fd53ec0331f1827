"""The half-life of daily series: does its interval hold the truth, and the one of today's rate?"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from campaigns.campaign import Campaign, Cell, Goal, Outcomes
from remnant.estimate.decay_many import fit_many
from remnant.estimate.decay_models import choose
from remnant.estimate.loglinear import prepare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

HALF_LIFE: Final = 340.0
SIGMA: Final = 0.05
HOSTS: Final = 2000
FIRST_DAY: Final = 16_533
CURVES: Final = ("line", "mixture", "floor", "break")


def campaign() -> Campaign:
    """Return the campaign."""
    lines = [
        Cell(
            {"curve": "line", "asked": "half-life", "days": str(days), "memory": str(phi)}
            | {"missing": f"{missing:.0%}"},
            5000,
            partial(_line, days=days, phi=phi, missing=missing),
            goals=(_HELD,) if days >= 56 else (),
        )
        for days in (28, 56, 120)
        for phi in (0.0, 0.5)
        for missing in (0.0, 0.15)
    ]
    curves = [
        Cell(
            {"curve": curve, "asked": asked, "days": "84", "memory": "0.5", "missing": "0%"},
            repeats,
            partial(_curve, curve=curve, asked=asked),
            goals=goals,
        )
        for curve in CURVES
        for asked, repeats, goals in (("rate now", 200, (_HELD,)),)
    ]
    return Campaign(
        name="half_life",
        title="Half-life",
        text=(
            "Daily means of hosts online with log-normal noise of 5 % and an AR(1) memory. `line`: "
            "the whole falls with a half-life of 340 days, and the interval of the rate (the same "
            "as that of the half-life, transformed) is asked for; the baseline is ordinary least "
            "squares on the logs. The other curves: hosts of two kinds that are cleaned one by "
            "one, at rates with half-lives of 12 and 170 days (`mixture`), 15 days and never "
            "(`floor`), or a line that steepens from a half-life of 340 to 60 days after two "
            "thirds (`break`); `rate now` is the rate at the end, by the curve "
            "that forecasts best. "
            "The baseline is the "
            "rate of one straight line."
        ),
        metrics=("coverage", "bias", "error_cut"),
        cells=(*lines, *curves),
        anchor=(
            "none; independent days, the usual practice, cover about 75 % at memory 0.5 in our own "
            "simulation."
        ),
        notes=(
            "The cells of `rate now` have 200 repeats instead of 5,000: each repeat makes all "
            "forecasts of six models, a tenth of a second. A break late in the series is seldom "
            "chosen by forecasts, as few of them are made after it; the interval, which holds all "
            "models by their weight, covers it all the same and is wide."
        ),
        small=(4,),
    )


_HELD: Final = Goal("coverage", at_least=0.93, source="specification, half-life from 56 days on")


def _noise(rng: np.random.Generator, repeats: int, days: int, phi: float) -> Floats:
    """Return stationary AR(1) noise of unit variance, float64[repeats, days]."""
    made = rng.normal(size=(repeats, days))
    for day in range(1, days):
        made[:, day] = phi * made[:, day - 1] + math.sqrt(1 - phi**2) * made[:, day]
    return made


def _line(
    rng: np.random.Generator, repeats: int, *, days: int, phi: float, missing: float
) -> Outcomes:
    """Fit in groups that miss the same days, 250 in each."""
    rate = math.log(2) / HALF_LIFE
    parts = []
    for start in range(0, repeats, 250):
        count = min(250, repeats - start)
        values = HOSTS * np.exp(-rate * np.arange(days) + SIGMA * _noise(rng, count, days, phi))
        kept = np.sort(rng.choice(days, round(days * (1 - missing)), replace=False))
        found = fit_many(FIRST_DAY + kept, values[:, kept])
        time = kept - kept.mean()
        plain = -(np.log(values[:, kept]) @ time) / float(time @ time)
        parts.append((found.rate, found.low, found.high, plain))
    value, low, high, plain = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Outcomes(
        truth=np.full(repeats, rate),
        value=value,
        low=low,
        high=high,
        baseline=plain,
        calls=np.zeros(repeats),
    )


def _curve(rng: np.random.Generator, repeats: int, *, curve: str, asked: str) -> Outcomes:
    """Fit curves of hosts that are cleaned one by one; ``asked`` names what is read from them."""
    assert asked == "rate now"
    days = 84
    time = np.arange(days)
    found = np.empty((5, repeats))
    for repeat in range(repeats):
        left, truth = _hosts(rng, curve, days)
        values = left * np.exp(SIGMA * _noise(rng, 1, days, 0.5)[0])
        ready = prepare(FIRST_DAY + time, values)
        assert ready is not None
        choice = choose(ready)
        low, high = choice.rate_interval(0.95)
        line = fit_many(FIRST_DAY + time, values[None])
        right = (choice.fitted.model == "M0") == (curve == "line")
        found[:, repeat] = choice.fitted.rate.quantile(0.5), low, high, line.rate[0], right
    return Outcomes(
        truth=np.full(repeats, truth),
        value=found[0],
        low=found[1],
        high=found[2],
        baseline=found[3],
        calls=found[4],
    )


def _hosts(rng: np.random.Generator, curve: str, days: int) -> tuple[Floats, float]:
    """Return hosts left each day, each cleaned at a random time, and the true rate at the end."""
    size = 20_000
    last = days - 1
    if curve == "break":
        turn = 2 * days // 3
        slow, fast = math.log(2) / 340, math.log(2) / 60
        exponent = rng.exponential(size=size)
        until = np.where(
            exponent < slow * turn, exponent / slow, turn + (exponent - slow * turn) / fast
        )
        truth = fast
    else:
        first, second, share = {
            "line": (math.log(2) / 90, math.log(2) / 90, 0.5),
            "mixture": (math.log(2) / 12, math.log(2) / 170, 0.6),
            "floor": (math.log(2) / 15, 0.0, 0.7),
        }[curve]
        rates = np.where(rng.random(size) < share, first, second)
        with np.errstate(divide="ignore"):
            until = rng.exponential(size=size) / rates
        parts = share * math.exp(-first * last), (1 - share) * math.exp(-second * last)
        truth = (parts[0] * first + parts[1] * second) / sum(parts)
    left = (until[:, None] > np.arange(days)[None, :]).sum(axis=0).astype(np.float64)
    return left, truth
