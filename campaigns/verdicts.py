"""The verdict's rules over botnets of known half-life: how often are they wrong?"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from campaigns.campaign import Campaign, Cell, Goal, Outcomes
from remnant.estimate.decay_many import fit_many
from remnant.judge.rules import Facts, decide

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

R_MIN: Final = math.log(2) / 180
FIRST_DAY: Final = 16_533
SIGMA: Final = 0.05
HALF_LIVES: Final = (30, 60, 90, 122, 180, 340, math.inf, -120)
LENGTHS: Final = (7, 14, 28, 56, 90, 180)


def campaign() -> Campaign:
    """Return the campaign."""
    wrong = [
        Cell(
            {"half-life": _told(life), "days": str(days), "memory": str(phi), "asked": "wrong"},
            5000,
            partial(_simulate, half_life=life, days=days, phi=phi, missed=False),
            goals=(Goal("wrong", at_most=0.05, source="specification, verdict"),),
        )
        for life, days, phi in _grid()
    ]
    missed = [
        Cell(
            {"half-life": _told(life), "days": str(days), "memory": "0.5", "asked": "missed"},
            5000,
            partial(_simulate, half_life=life, days=days, phi=0.5, missed=True),
            goals=(
                Goal("wrong", at_most=0.2, source="specification, 80 % power at these lengths"),
            ),
        )
        for life, days in ((43, 14), (122, 28), (346, 56), (705, 90))
    ]
    return Campaign(
        name="verdicts",
        title="Verdicts",
        text=(
            "Daily hosts online with log-normal noise of 5 % and AR(1) memory; the rules decide on "
            "the real fit, with a limit of 180 days and no failed guard. Wrong is: `effective` or "
            "`working` where the botnet does not shrink, `effective` where its half-life is not "
            "under 180 days; `no_effective_cleanup` where it is; `growing` where it does not grow. "
            "`missed`: the share of series with that half-life whose rate is not shown to be "
            "above zero (no `working`, no `effective`, no `no_effective_cleanup` with a lower "
            "limit above zero), at the lengths where the specification's formula "
            "promises 80 % power."
        ),
        metrics=("wrong",),
        cells=(*wrong, *missed),
        anchor="none published.",
        notes=(
            "The power of the formula supposes that the memory is known and that no weekdays are "
            "fitted. Here the memory is integrated out, and from three weeks on "
            "six weekday effects "
            "are fitted, which costs power with few days. It is the price of intervals that hold: "
            "the power of the formula is missed at these lengths. The minimum of 14 days makes a "
            "week `cannot_tell` whatever the curve."
        ),
        small=(9,),
    )


def _grid() -> list[tuple[float, int, float]]:
    """Return every half-life at memory 0.5, and those at the edges without memory too."""
    both = [(life, days, 0.5) for life in HALF_LIVES for days in (28, 90)]
    edges = [(life, days, 0.5) for life in (180, math.inf) for days in (7, 14, 56, 180)]
    plain = [(life, days, 0.0) for life in (180, math.inf) for days in (28, 90)]
    return both + edges + plain


def _told(half_life: float) -> str:
    if math.isinf(half_life):
        return "none"
    return f"{half_life:g} d" if half_life > 0 else f"doubles in {-half_life:g} d"


def _simulate(
    rng: np.random.Generator,
    repeats: int,
    *,
    half_life: float,
    days: int,
    phi: float,
    missed: bool,
) -> Outcomes:
    rate = math.log(2) / half_life
    noise = rng.normal(size=(repeats, days))
    for day in range(1, days):
        noise[:, day] = phi * noise[:, day - 1] + math.sqrt(1 - phi**2) * noise[:, day]
    values = np.round(2000 * np.exp(-rate * np.arange(days) + SIGMA * noise), 2)
    found = fit_many(np.arange(FIRST_DAY, FIRST_DAY + days), values)
    states = [
        decide(Facts(days, 14, (), low, high, R_MIN)).outcome
        for low, high in zip(found.low.tolist(), found.high.tolist(), strict=True)
    ]
    if missed:
        falls = np.array([state in {"working", "effective"} for state in states])
        slow = np.array([state == "no_effective_cleanup" for state in states]) & (found.low > 0)
        calls = ~(falls | slow)
    else:
        calls = np.array([_wrong(state, rate) for state in states])
    return Outcomes(
        truth=np.full(repeats, rate or 1.0),
        value=found.rate,
        calls=calls.astype(np.float64),
    )


def _wrong(state: str, rate: float) -> bool:
    """Return whether a verdict says what is not so."""
    if state == "effective":
        return rate <= R_MIN
    if state == "working":
        return rate <= 0
    if state == "no_effective_cleanup":
        return rate >= R_MIN
    return state == "growing" and rate >= 0
