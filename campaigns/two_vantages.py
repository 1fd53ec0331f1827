"""Two vantages: how many hosts there are, and whether dependence is noticed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from campaigns.campaign import Campaign, Cell, Goal, Outcomes
from remnant.estimate.two_vantages import Cells, hosts

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["World", "campaign", "simulate"]

_DAYS: Final = 7
_NETWORKS: Final = 8
_SHARES: Final = np.array([0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05])


@dataclass(frozen=True, slots=True)
class World:
    """One kind of world: hosts with their resolver, their activity, and what blocks them.

    Attributes:
        uses: share of the hosts whose resolver is observed.
        shows: chance that a question reaches that resolver (a router at home may know the answer).
        caught: chance that the sinkhole sees who gets through.
        each: of what that is the chance: of a host for good, or of each visit.
        asks: mean questions of a host a day, a Poisson number.
        spread: coefficient of variation of that mean over hosts (gamma distributed).
        blocked: share of the hosts of the observed resolver that never get through, by network.
        starts: day from which they are blocked.
        flows: chance that a third sensor sees a host's visits on a day; 0 for no such sensor.
    """

    uses: float = 0.6
    shows: float = 1.0
    caught: float = 0.6
    each: Literal["host", "visit"] = "host"
    asks: float = 6.0
    spread: float = 0.0
    blocked: tuple[float, ...] = (0.0,) * _NETWORKS
    starts: int = 0
    flows: float = 0.0


def simulate(world: World, size: int, rng: np.random.Generator, repeats: int) -> Outcomes:
    """Return truth (hosts that asked on an average day), estimate and interval of each repeat."""
    columns: list[list[float]] = [[], [], [], [], []]
    for _ in range(repeats):
        cells, truth = _lists(world, size, rng)
        made = hosts(cells, third="flows" if world.flows else None)
        total = made.total
        columns[0].append(truth)
        seen = (cells.left + cells.right - cells.both).sum() / _DAYS
        columns[4].append(seen)
        if total is None:
            for column in columns[1:4]:
                column.append(np.nan)
        else:
            columns[1].append(total.value)
            columns[2].append(total.low)
            columns[3].append(np.inf if made.bound else total.high)
    truth_, value, low, high, baseline = (np.array(column) for column in columns)
    return Outcomes(truth=truth_, value=value, low=low, high=high, baseline=baseline)


def _lists(world: World, size: int, rng: np.random.Generator) -> tuple[Cells, float]:
    network = rng.choice(_NETWORKS, size, p=_SHARES)
    observed = rng.random(size) < world.uses
    stopped = observed & (rng.random(size) < np.array(world.blocked)[network])
    mean = np.full(size, world.asks)
    if world.spread:
        mean = rng.gamma(world.spread**-2, world.asks * world.spread**2, size)
    asked = rng.poisson(mean, (_DAYS, size))
    shown = asked if world.shows >= 1 else rng.binomial(asked, world.shows)
    left = (shown > 0) & observed
    late = np.arange(_DAYS)[:, None] >= world.starts
    through = np.where(stopped & late, 0, asked)
    if world.each == "host":
        right = (through > 0) & (rng.random(size) < world.caught)
    else:
        right = rng.random((_DAYS, size)) < 1 - (1 - world.caught) ** through
    third = None
    if world.flows:
        third = (through > 0) & (rng.random((_DAYS, size)) < world.flows)
    days, stratum = np.divmod(np.arange(_DAYS * _NETWORKS), _NETWORKS)
    place = np.arange(_DAYS)[:, None] * _NETWORKS + network

    def count(flags: NDArray[np.bool_]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.bincount(place[flags], minlength=_DAYS * _NETWORKS).astype(
            np.float64
        )
        return found

    busy = shown > 2
    histories = None
    if third is not None:
        lists = (left, right, third)
        histories = np.zeros((_DAYS * _NETWORKS, 2, 2, 2))
        for code in np.ndindex(2, 2, 2):
            if not any(code):
                continue
            chosen = [flag if bit else ~flag for flag, bit in zip(lists, code, strict=True)]
            histories[:, *code] = count(chosen[0] & chosen[1] & chosen[2])
    cells = Cells(
        day=days + 16_000,
        stratum=stratum,
        left=count(left),
        right=count(right),
        both=count(left & right),
        left_busy=count(left & busy),
        both_busy=count(left & right & busy),
        histories=histories,
    )
    return cells, float((asked > 0).sum() / _DAYS)


_CENSUS: Final = "no published figure; the nominal level of the interval"
_TOLD: Final = (
    Goal("bias", at_most=0.02, source="a tenth of what blocking does here"),
    Goal("coverage", at_least=0.93, source=_CENSUS),
    Goal("refused", at_most=0.05, source="what is independent should be told"),
)
_BOUND: Final = (Goal("below", at_least=0.95, source="a lower bound, and said to be one"),)
_REFUSES: Final = (Goal("refused", at_least=0.95, source="what is not identifiable is refused"),)
_HALF: Final = (0.0, 0.5, 0.0, 0.5, 0.0, 0.5, 0.0, 0.5)
_FOURTH: Final = (0.0, 0.25, 0.0, 0.25, 0.0, 0.25, 0.0, 0.25)

_CELLS: Final = (
    ("independent", 600, World(), _TOLD),
    ("independent", 2000, World(), _TOLD),
    ("half the networks block half", 2000, World(blocked=_HALF), _REFUSES),
    ("half the networks block a quarter", 2000, World(blocked=_FOURTH), _REFUSES),
    ("blocked from the fourth day", 2000, World(blocked=(0.5,) * 8, starts=3), _REFUSES),
    ("all networks block half alike", 2000, World(blocked=(0.5,) * 8), ()),
    (
        "unequal activity",
        2000,
        World(shows=0.4, caught=0.4, each="visit", asks=2.0, spread=1.0),
        _BOUND,
    ),
    ("three lists, independent", 2000, World(flows=0.5), _TOLD),
    ("three lists, half block half", 2000, World(flows=0.5, blocked=_HALF), _REFUSES),
    ("three lists, all block alike", 2000, World(flows=0.5, blocked=(0.5,) * 8), _REFUSES),
)


def campaign() -> Campaign:
    """Return the campaign."""
    return Campaign(
        name="two_vantages",
        title="Two vantages: hosts that neither saw",
        text=(
            "Hosts in eight networks ask a Poisson number of times on each of seven days. A share "
            "uses the observed resolver; the sinkhole sees each visit with some chance; where a "
            "world blocks, some hosts of the observed resolver get the answer and never come. "
            "The estimator sees counts by day and network only. Truth is the hosts that asked on "
            "an average day."
        ),
        metrics=("bias", "coverage", "below", "refused"),
        cells=tuple(
            Cell({"world": name, "hosts": f"{size:,}"}, 5000, partial(simulate, world, size), goals)
            for name, size, world, goals in _CELLS
        ),
        anchor=(
            "none: Accettura, Neglia and Grieco (Computer Networks 2015) survey estimators for "
            "networks; no system is known that joins a resolver's and a sinkhole's sightings."
        ),
        notes=(
            "Where all networks block alike, nothing in two lists shows it, and the estimate is "
            "too large: the page of the estimator states that assumption first. A third "
            "list of flows lies behind the same block and shows it. A block of a quarter "
            "in half of the networks is near the difference that is tolerated, and 2,000 hosts "
            "are few to see it with."
        ),
        small=(0, 2),
    )
