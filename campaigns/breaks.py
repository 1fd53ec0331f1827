"""Breaks of the curve: are they found where they are, and only there?"""

from __future__ import annotations

import math
from dataclasses import dataclass
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
MEMORIES: Final = (0.0, 0.3, 0.5, 0.8)
NEAR: Final = timedelta(days=3)


def campaign() -> Campaign:
    """Return the campaign."""
    none = [
        Cell(
            {"step": "none", "days": str(days), "part": part},
            5000,
            partial(_simulate, days=days, settings=_memories(*memories)),
            goals=(_HELD,),
        )
        for days, part, memories in (
            (180, "short memory", (0.0, 0.3)),
            (180, "long memory", (0.5, 0.8)),
            (28, "", MEMORIES),
            (90, "", (0.5, 0.8)),
        )
    ]
    few = Cell(
        {"step": "none", "days": "90", "part": "five hosts a day"},
        1000,
        partial(_simulate, days=90, settings=_memories(0.5), hosts=5),
        goals=(_HELD,),
    )
    beyond = Cell(
        {"step": "none", "days": "90", "part": "beyond what is held"},
        1000,
        partial(_simulate, days=90, settings=_memories(0.95)),
        goals=(),
    )
    steps = [
        Cell(
            {"step": f"{step:g} on day 60", "days": "90"},
            400,
            partial(_simulate, days=90, settings=_memories(0.0, 0.5, 0.8, step=step)),
            goals=(_FOUND,) if step == -0.4 else (),
        )
        for step in (-0.1, -0.2, -0.4)
    ]
    places = Cell(
        {"step": "-0.4", "days": "90"},
        400,
        partial(
            _simulate,
            days=90,
            settings={
                "memory 0.5, day 75": _Setting(0.5, -0.4, 75),
                "memory 0.5, day 82": _Setting(0.5, -0.4, 82),
                "memory 0.5, days 60 to 64": _Setting(0.5, -0.4, 60, 5),
            },
        ),
        goals=(),
    )
    dips = [
        Cell(
            {"step": f"{step:g} on day 30, back on day 50", "days": "90"},
            400,
            partial(_simulate, days=90, settings=_memories(0.0, 0.5, 0.8, step=step, back=50)),
            goals=(_FOUND,) if step == -0.4 else (),
        )
        for step in (-0.2, -0.4)
    ]
    return Campaign(
        name="breaks",
        title="Breaks of the curve",
        text=(
            "Counts of a day: Poisson around 2,000 hosts with log-normal noise of 5 % and AR(1) "
            "memory, falling with a half-life of 180 days. `step`: a change of the level on the "
            "log scale, on the named day of 90 or over five days from it. Each series has three "
            "dates on record: at a third and at half of the days, and on the day of the step (at "
            "two thirds where there is none). `search`: the search over all days found it; "
            "`dates`: the test at those dates did, which pays for all three. Right is: nothing "
            "found where there is no step; a break within three days of its first day where there "
            "is one, and where the level comes back both. Bias and interval are of the size of the "
            "(first) steps that were found."
        ),
        metrics=("right", "bias", "coverage"),
        cells=(*none, few, beyond, *steps, places, *dips),
        anchor="none published.",
        notes=(
            "Each test may find a break in 2 % of the curves without one, and the memory that "
            "makes chance finds most frequent is supposed: with less memory they are rarer. That "
            "holds up to a memory of 0.8. Noise with a longer memory does make "
            "steps, and more of them are found. With 28 days or a long memory small steps are not "
            "told from noise. A step eight days before the end is out of reach of the search, "
            "which needs 14. A step down and back up is found by the search for both at once; one "
            "at a time leaves the line much as it was. Found steps are those "
            "that noise made larger, so where few are found their size is overstated."
        ),
        small=(2, 7),
    )


_HELD: Final = Goal("right", at_least=1 - SIGNIFICANT, source="the level of each test")
_FOUND: Final = Goal(
    "right",
    at_least=0.8,
    source="ours: a third of the hosts leave at once",
    quantity="memory 0.5, search",
)


@dataclass(frozen=True, slots=True)
class _Setting:
    """Memory of the noise, and a step: its size, first day (null: at two thirds) and duration.

    ``back`` is the day on which the level is as it was again.
    """

    phi: float
    step: float = 0.0
    at: int | None = None
    takes: int = 1
    back: int | None = None


def _memories(*phis: float, step: float = 0.0, back: int | None = None) -> dict[str, _Setting]:
    at = None if back is None else 30
    return {f"memory {phi:g}": _Setting(phi, step, at, back=back) for phi in phis}


def _simulate(
    rng: np.random.Generator,
    repeats: int,
    *,
    days: int,
    settings: dict[str, _Setting],
    hosts: int = HOSTS,
) -> dict[str, Outcomes]:
    outcomes = {}
    for name, setting in settings.items():
        for test, found in _one(rng, repeats, days, setting, hosts).items():
            outcomes[f"{name}, {test}"] = found
    return outcomes


def _one(
    rng: np.random.Generator, repeats: int, days: int, setting: _Setting, hosts: int
) -> dict[str, Outcomes]:
    time = np.arange(days)
    phi, step = setting.phi, setting.step
    place = 2 * days // 3 if setting.at is None else setting.at
    mean = math.log(hosts) - math.log(2) / HALF_LIFE * time
    mean = mean + step * np.clip((time - place + 1) / setting.takes, 0.0, 1.0)
    if setting.back is not None:
        mean = mean - step * (time >= setting.back)
    noise = rng.normal(size=(repeats, days))
    for day in range(1, days):
        noise[:, day] = phi * noise[:, day - 1] + math.sqrt(1 - phi**2) * noise[:, day]
    counts = rng.poisson(np.exp(mean + SIGMA * noise)).astype(np.float64)
    dates = [day_start(FIRST_DAY + day) for day in (days // 3, days // 2, place)]
    told = {test: np.full((4, repeats), np.nan) for test in _TESTS}
    for repeat in range(repeats):
        found = find(FIRST_DAY + time, counts[repeat], None, dates)
        for test, kinds in _TESTS.items():
            own = [one for one in found if one.found_by in kinds]
            told[test][:, repeat] = _told(own, step, FIRST_DAY + place)
            if setting.back is not None:
                told[test][3, repeat] *= _told(own, -step, FIRST_DAY + setting.back)[3]
    return {
        test: Outcomes(truth=np.full(repeats, step), value=value, low=low, high=high, calls=calls)
        for test, (value, low, high, calls) in told.items()
    }


_TESTS: Final = {"search": {"search", "both"}, "dates": {"date", "both"}}


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
