"""The innocent traffic around the bots: other lookups, traps, broken messages, monitoring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.simulate.draws import STEP, below, bits, stream, unit
from remnant.simulate.population import DAY_US, local_times
from remnant.simulate.rows import FIRST_BROKEN, Rows
from remnant.wire import Int, Word, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.simulate.networks import Networks
    from remnant.simulate.population import Households
    from remnant.simulate.questions import Questions
    from remnant.simulate.scenario import Scenario

__all__ = ["InnocentDays", "monitor_queries"]

_INNOCENT: Final = 3
_HOUR_US: Final = 3_600_000_000
_SECOND_US: Final = 1_000_000
_DAY_S: Final = 86_400
_QTYPES: Final = np.array([1, 28, 65, 16, 15, 12], np.uint16)
_QTYPE_CHANCE: Final = np.array([0.64, 0.9, 0.965, 0.985, 0.995, 1.0])
_ACTIVITY: Final = np.array(
    [.35, .25, .18, .15, .15, .2, .3, .45, .65, .8, .85, .85,
     .82, .82, .84, .85, .86, .9, .95, 1., 1., .95, .8, .55]
)  # fmt: skip
_MONITOR_US: Final = 300_000_000


class InnocentDays:
    """The innocent traffic from day to day, traps and broken messages among it."""

    def __init__(
        self,
        scenario: Scenario,
        networks: Networks,
        households: Households,
        questions: Questions,
        scale: float,
        seed: np.uint64,
    ) -> None:
        offset, _ = local_times(scenario)
        self._offset_us = offset[networks.country[households.network]]
        self._since = households.since
        self._malformed = scenario.malformed
        self._mean = scenario.innocent_queries * scale
        self._seed = seed
        self._ends = np.array(
            [questions.watched, questions.popular, questions.missing, questions.traps]
        )

    def queries(self, day: int, start: int) -> Rows:
        """Return the queries of a day (its number, and its midnight in UTC microseconds)."""
        random = np.random.Generator(np.random.PCG64([int(self._seed), _INNOCENT, day]))
        rows = Rows.empty(int(random.poisson(self._mean)))
        _innocent_day(
            self._seed, day, start, self._since, self._offset_us, self._malformed, self._ends, rows
        )
        return rows


@kernel
def _innocent_day(
    seed: Word,
    day: Int,
    start: Int,
    since: npt.NDArray[np.int64],
    offset_us: npt.NDArray[np.int64],
    malformed: float,
    ends: npt.NDArray[np.int64],
    rows: Rows,
) -> None:
    homes = since.size
    for row in range(rows.time.size):
        state = stream(seed, _INNOCENT, day, row)
        # The last household is there from the beginning and stands in when 20 tries fail.
        home = homes - 1
        at = start + below(state, _DAY_S) * _SECOND_US
        for _ in range(20):
            state += STEP
            other = below(state, homes)
            hour = ((at + offset_us[other]) // _HOUR_US) % 24
            state += STEP
            if since[other] <= at and unit(state) < _ACTIVITY[hour]:
                home = other
                break
            state += STEP
            at = start + below(state, _DAY_S) * _SECOND_US
        state += STEP
        at += below(state, _SECOND_US)
        state += STEP
        kind = unit(state)
        state += STEP
        if kind < 0.06:
            name = ends[1] + below(state, ends[2] - ends[1])
        elif kind < 0.07:
            name = ends[2] + below(state, ends[3] - ends[2])
        else:
            name = ends[0] + np.int64(unit(state) ** 3 * (ends[1] - ends[0]))
        state += STEP
        wish = unit(state)
        qtype = 0
        while wish >= _QTYPE_CHANCE[qtype]:
            qtype += 1
        mark = np.int64(0)
        state += STEP
        if unit(state) < malformed:
            mark = FIRST_BROKEN + np.int64(bits(state) & np.uint64(3))
            # Broken messages carry the beginning of a watched name: they are no observations.
            name = below(state + STEP, ends[0])
        rows.time[row] = at
        rows.household[row] = home
        rows.host[row] = -1
        rows.name[row] = name
        rows.qtype[row] = _QTYPES[qtype]
        rows.mark[row] = mark


def monitor_queries(questions: Questions, resolver: int, start: int) -> Rows:
    """Return the monitoring of a resolver: one query each five minutes, by household -1 - resolver.

    A resolver that works is never silent for an hour, however small the scale.
    """
    count = DAY_US // _MONITOR_US
    rows = Rows.empty(count)
    rows.time[:] = start + 1_000_003 * (resolver + 1) + np.arange(count) * _MONITOR_US
    rows.household[:] = -1 - resolver
    rows.host[:] = -1
    rows.name[:] = questions.monitor
    rows.qtype[:] = 1
    return rows
