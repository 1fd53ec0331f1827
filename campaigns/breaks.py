"""Breaks of the curve: are they found where they are, and only there?"""

from __future__ import annotations

import math
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from campaigns.campaign import Campaign, Cell, Goal, Outcomes
from remnant.estimate.changepoints import SIGNIFICANT, find
from remnant.estimate.online import day_start

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remnant.estimate.changepoints import Changepoint

    Floats = NDArray[np.float64]

HOSTS: Final = 2000
SIGMA: Final = 0.05
HALF_LIFE: Final = 180.0
FIRST_DAY: Final = 16_533
LENGTHS: Final = (28, 90, 180)
MEMORIES: Final = (0.0, 0.3, 0.5, 0.8)
NEAR: Final = timedelta(days=3)


def campaign() -> Campaign:
    """Return the campaign."""
    none = [
        Cell(
            {"step": "none", "days": str(days), "memory": str(phi)},
            5000,
            partial(_simulate, days=days, phi=phi),
            goals=(_HELD,),
        )
        for days in LENGTHS
        for phi in MEMORIES
    ]
    few = Cell(
        {"step": "none", "days": "90", "memory": "0.5", "place": "five hosts a day"},
        5000,
        partial(_simulate, days=90, phi=0.5, hosts=5),
        goals=(_HELD,),
    )
    beyond = Cell(
        {"step": "none", "days": "90", "memory": "0.95"},
        1000,
        partial(_simulate, days=90, phi=0.95),
        goals=(),
    )
    steps = [
        Cell(
            {"step": str(step), "days": "90", "memory": str(phi), "place": place},
            400,
            partial(_simulate, days=90, phi=phi, step=step, at=at, takes=takes),
            goals=(_FOUND,) if step == -0.4 and phi <= 0.5 and takes == 1 and at == 60 else (),
        )
        for step, phi, place, at, takes in _grid()
    ]
    return Campaign(
        name="breaks",
        title="Breaks of the curve",
        text=(
            "Counts of a day: Poisson around 2,000 hosts with log-normal noise of 5 % and AR(1) "
            "memory, falling with a half-life of 180 days. `step`: a change of the level on the "
            "log scale, on the named day of 90 or over five days from it. `search` may find it on "
            "any day; `dates` is told three dates, at a third and at half of the days and on the "
            "day of the step (at two thirds where there is none), and pays for all three. Right "
            "is: nothing found where there is no step; a break within three days of its first day "
            "where there is one. Bias and interval are of the size of the steps that were found."
        ),
        metrics=("right", "bias", "coverage"),
        cells=(*none, few, beyond, *steps),
        anchor="none published.",
        notes=(
            "Each test may find a break in 2 % of the curves without one, and the memory that "
            "makes chance finds most frequent is supposed: with less memory they are rarer. With "
            "28 days or a long memory small steps are not told from noise. A step eight days "
            "before the end is out of reach of the search, which needs 14. Found steps are those "
            "that noise made larger, so where few are found their size is overstated."
        ),
        small=(2, 16),
    )


_HELD: Final = Goal("right", at_least=1 - SIGNIFICANT, source="the level of each test")
_FOUND: Final = Goal(
    "right", at_least=0.8, source="ours: a third of the hosts leave, memory up to 0.5"
)


def _grid() -> list[tuple[float, float, str, int, int]]:
    """Return step, memory, place in words, its day, and how many days it takes."""
    middle = [
        (step, phi, "day 60", 60, 1) for step in (-0.1, -0.2, -0.4) for phi in (0.0, 0.5, 0.8)
    ]
    places = [
        (-0.4, 0.5, "day 75", 75, 1),
        (-0.4, 0.5, "day 82", 82, 1),
        (-0.4, 0.5, "days 60 to 64", 60, 5),
    ]
    return middle + places


def _simulate(
    rng: np.random.Generator,
    repeats: int,
    *,
    days: int,
    phi: float,
    step: float = 0.0,
    at: int | None = None,
    takes: int = 1,
    hosts: int = HOSTS,
) -> dict[str, Outcomes]:
    time = np.arange(days)
    place = 2 * days // 3 if at is None else at
    mean = math.log(hosts) - math.log(2) / HALF_LIFE * time
    mean = mean + step * np.clip((time - place + 1) / takes, 0.0, 1.0)
    noise = rng.normal(size=(repeats, days))
    for day in range(1, days):
        noise[:, day] = phi * noise[:, day - 1] + math.sqrt(1 - phi**2) * noise[:, day]
    counts = rng.poisson(np.exp(mean + SIGMA * noise)).astype(np.float64)
    on_record = [day_start(FIRST_DAY + day) for day in (days // 3, days // 2, place)]
    outcomes = {}
    for name, dates, kinds in (
        ("search", [], {"search", "both"}),
        ("dates", on_record, {"date", "both"}),
    ):
        rows = np.full((4, repeats), np.nan)
        for repeat in range(repeats):
            found = [
                one
                for one in find(FIRST_DAY + time, counts[repeat], None, dates)
                if one.found_by in kinds
            ]
            rows[:, repeat] = _told(found, step, FIRST_DAY + place)
        value, low, high, calls = rows
        outcomes[name] = Outcomes(
            truth=np.full(repeats, step), value=value, low=low, high=high, calls=calls
        )
    return outcomes


def _told(found: list[Changepoint], step: float, day: int) -> tuple[float, float, float, float]:
    """Return the size of the step that was found, its limits, and whether that is right."""
    nothing = (math.nan, math.nan, math.nan)
    if step == 0.0:
        return (*nothing, float(not found))
    near = [one for one in found if abs(one.day - day_start(day)) <= NEAR]
    if not near:
        return (*nothing, 0.0)
    best = min(near, key=lambda one: abs(one.day - day_start(day)))
    return best.jump, best.jump_low, best.jump_high, 1.0
