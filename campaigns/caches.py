"""Campaign: what a cache lets through, and how much is asked behind it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from campaigns.cache_events import let_through, visible_times
from campaigns.campaign import Campaign, Cell, Goal, Outcomes
from remnant.estimate.cache_checks import beacon, two_arms
from remnant.estimate.cache_farm import farm, pairs_before
from remnant.estimate.cache_model import behind, gamma, merged, poisson, through, uniform
from remnant.estimate.diurnal_rate import fitted_rate
from remnant.estimate.exposure import binned, exposure, rate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remnant.estimate.cache_model import Stream

    Floats = NDArray[np.float64]

__all__ = ["campaign"]

_HOUR: Final = 3600.0
_WEEK: Final = 168 * _HOUR
_GOALS: Final = (
    Goal("bias", at_most=0.01, source="rate behind a cache"),
    Goal("rmse_root_n", at_most=1.1, source="1 / sqrt(n) and a tenth"),
    Goal("coverage", at_least=0.93, at_most=0.97, source="an interval of 95 %"),
)
_REFUSES: Final = (Goal("refused", at_least=0.95, source="TTL over a tenth of the period"),)
_ACCEPTS: Final = (Goal("refused", at_most=0.05, source="nothing has a fixed period"),)
_ONE: Final = (Goal("mare", at_most=0.01, source="Fofack and Alouf 2013, one cache"),)
_TREE: Final = (Goal("mare", at_most=0.05, source="Fofack and Alouf 2013, trees"),)


def campaign() -> Campaign:
    """Return the campaign."""
    cells: list[Cell] = []
    for name in ("Poisson", "gamma, shape 1/2", "gamma, shape 4", "uniform"):
        for load in (0.1, 1.0, 10.0):
            label = {"what": "miss rate, one cache", "lookups": name, "rate x TTL": f"{load:g}"}
            cells.append(Cell(label, 6, partial(_forward, name, load), goals=_ONE))
    for name, children in (
        ("Poisson", 5),
        ("gamma, shape 1/2", 5),
        ("gamma, shape 4", 5),
        ("gamma, shape 4", 2),
    ):
        label = {
            "what": f"miss rate, tree of {children} and 1",
            "lookups": name,
            "rate x TTL": "1",
        }
        cells.append(Cell(label, 4, partial(_tree, name, children), goals=_TREE))
    goals: tuple[Goal, ...]
    for load in (0.1, 1.0, 10.0, 100.0):
        label = {"what": "rate, one cache", "lookups": "Poisson", "rate x TTL": f"{load:g}"}
        cells.append(Cell(label, 5000, partial(_inverse, load), goals=_GOALS))
    for load in (1.0, 10.0):
        label = {"what": "rate, gaps in the data", "lookups": "Poisson", "rate x TTL": f"{load:g}"}
        cells.append(Cell(label, 5000, partial(_gappy, load), goals=_GOALS))
    for load in (1.0, 10.0):
        label = {"what": "rate, daily rhythm", "lookups": "1 to 9", "rate x TTL": f"{load:g}"}
        cells.append(Cell(label, 1000, partial(_diurnal, load), goals=(_GOALS[0], _GOALS[2])))
    for caches in (2, 4):
        label = {"what": f"rate, {caches} caches", "lookups": "Poisson", "rate x TTL": "1"}
        goals = (_GOALS[0], Goal("coverage", at_least=0.93, source="an interval of 95 %"))
        cells.append(Cell(label, 5000, partial(_several, caches, 1.0), goals=goals))
    for bots, period, ttl in ((20, 1000, 900), (50, 1000, 300), (1, 1000, 300), (5, 600, 300)):
        label = {
            "what": "refusal",
            "lookups": f"{bots} bots, every {period} s",
            "rate x TTL": f"{bots * ttl / period:g}",
        }
        cells.append(Cell(label, 300, partial(_beacons, bots, period, ttl), goals=_REFUSES))
    for load in (0.1, 1.0, 10.0, 100.0):
        label = {"what": "refusal", "lookups": "Poisson", "rate x TTL": f"{load:g}"}
        cells.append(Cell(label, 1000, partial(_no_beacons, load), goals=_ACCEPTS))
    label = {"what": "ratio of two TTLs", "lookups": "Poisson, TTLs kept", "rate x TTL": "1 and 5"}
    cells.append(Cell(label, 5000, partial(_arms, 0.0), goals=(_GOALS[2],)))
    label = {"what": "TTLs changed, found", "lookups": "short one raised", "rate x TTL": "1 and 5"}
    goals = (Goal("right", at_least=0.9, source="power in a week"),)
    cells.append(Cell(label, 1000, partial(_arms, 200.0), goals=goals))
    return Campaign(
        name="caches",
        title="Caches: what they let through, and the rate behind them",
        text=(
            "Lookups are drawn as events and go through caches that keep an answer for the TTL. "
            "*Miss rate* (trees: 8,000 at each child) "
            "compares the model with 200,000 such lookups a repeat; *rate* gives the "
            "estimator the visible misses of a week and the TTL of an hour (a quarter where there "
            "are several caches), *gaps* takes six of 28 spans of six hours away. The daily rhythm "
            "goes from 1 to 9 within a day, over two weeks, and its estimator is the regression by "
            "hour. *Refusal* shows how often the check for fixed periods refuses: it should where "
            "bots beacon with a period under ten TTLs, and should not for independent lookups."
        ),
        metrics=("bias", "mare", "rmse_root_n", "coverage", "refused", "right"),
        cells=tuple(cells),
        anchor=(
            "forward: within 1 % for one cache and 5 % for trees on real traces (Fofack and Alouf "
            "2013); inverse: none published."
        ),
        notes=(
            "With few misses in a nearly empty cache (rate x TTL of 0.1: about 15) the exact "
            "Poisson limits hold the truth a little more often than they say. A tree of two caches "
            "with regular lookups misses its goal: the model takes the gaps of all misses together "
            "as independent, which two regular streams are not."
        ),
        small=(0, 16, 20, 22, 24, 26, 30, 34),
    )


def _stream(name: str, each: float) -> Stream:
    if name == "Poisson":
        return poisson(each)
    if name == "uniform":
        return uniform(0.2 / each, 1.8 / each)
    return gamma(each, 0.5 if "1/2" in name else 4.0)


def _gaps(rng: np.random.Generator, name: str, each: float, number: int) -> Floats:
    if name == "Poisson":
        return rng.exponential(1 / each, number)
    if name == "uniform":
        return rng.uniform(0.2 / each, 1.8 / each, number)
    shape = 0.5 if "1/2" in name else 4.0
    return rng.gamma(shape, 1 / (each * shape), number)


def _forward(name: str, load: float, rng: np.random.Generator, repeats: int) -> Outcomes:
    streams, number, ttl = 50, 4000, 100.0
    each = load / ttl
    said = behind(_stream(name, each), ttl).miss_rate
    truth = np.empty(repeats)
    for repeat in range(repeats):
        times = np.cumsum(_gaps(rng, name, each, streams * number).reshape(streams, -1), 1)
        items = np.repeat(np.arange(streams), number)
        shown, _ = let_through(items, times.ravel(), ttl)
        truth[repeat] = shown.size / times[:, -1].sum()
    # The truth is the mean of all events: one repeat has a Monte Carlo error of its own.
    return Outcomes(truth=np.full(repeats, truth.mean()), value=np.full(repeats, said))


def _tree(name: str, children: int, rng: np.random.Generator, repeats: int) -> Outcomes:
    number, ttl = 8000, 100.0
    said = behind(merged([through(_stream(name, 1 / ttl), ttl)] * children), ttl / 2).miss_rate
    truth = np.empty(repeats)
    for repeat in range(repeats):
        passed = []
        for _ in range(children):
            times = np.cumsum(_gaps(rng, name, 1 / ttl, number))
            passed.append(let_through(np.zeros(number, dtype=np.int64), times, ttl)[1])
        end = min(times[-1] for times in passed)
        together = np.concatenate(passed)
        together = together[together < end]
        shown, _ = let_through(np.zeros(together.size, dtype=np.int64), together, ttl / 2)
        truth[repeat] = shown.size / end
    return Outcomes(truth=np.full(repeats, truth.mean()), value=np.full(repeats, said))


def _inverse(load: float, rng: np.random.Generator, repeats: int) -> Outcomes:
    return _rates(load, np.array([[0.0, _WEEK]]), rng, repeats)


def _gappy(load: float, rng: np.random.Generator, repeats: int) -> Outcomes:
    spans = np.arange(28)[:, None] * 6 * _HOUR + np.array([0, 6 * _HOUR])
    return _rates(load, np.delete(spans, [3, 4, 9, 14, 20, 26], axis=0), rng, repeats)


def _rates(load: float, covered: Floats, rng: np.random.Generator, repeats: int) -> Outcomes:
    each = load / _HOUR
    found = np.empty((4, repeats))
    for start in range(0, repeats, 100):
        number = min(100, repeats - start)
        for place, times in enumerate(visible_times(rng, each, _WEEK, _HOUR, number)):
            seen = np.zeros(times.size, dtype=np.bool_)
            for since, until in covered:
                seen |= (times >= since) & (times < until)
            answer = rate(exposure(times[seen], _HOUR, covered))
            found[:, start + place] = answer.value, answer.low, answer.high, answer.n
    value, low, high, n = found
    return Outcomes(truth=np.full(repeats, each), value=value, low=low, high=high, n=n)


def _diurnal(load: float, rng: np.random.Generator, repeats: int) -> Outcomes:
    each, length, ttl = load / 900.0, 2 * _WEEK, 900.0
    found = np.empty((3, repeats))
    for repeat in range(repeats):
        times = rng.uniform(0, length, rng.poisson(1.8 * each * length))
        level = 1 + 0.8 * np.sin(2 * np.pi * times / (24 * _HOUR))
        times = times[rng.uniform(0, 1.8, times.size) < level]
        _, shown = let_through(np.zeros(times.size, dtype=np.int64), times, ttl)
        edges = np.arange(0, length + 1, _HOUR)
        answer = fitted_rate(*binned(shown, ttl, [[0, length]], edges), 0.0)
        found[:, repeat] = answer.value, answer.low, answer.high
    return Outcomes(truth=np.full(repeats, each), value=found[0], low=found[1], high=found[2])


def _several(caches: int, load: float, rng: np.random.Generator, repeats: int) -> Outcomes:
    ttl = 900.0
    each = load / ttl
    found = np.empty((3, repeats))
    for repeat in range(repeats):
        times = rng.uniform(0, _WEEK, rng.poisson(each * _WEEK))
        _, shown = let_through(rng.integers(0, caches, times.size), times, ttl)
        shown = np.sort(shown)
        days = np.bincount((shown // 86_400).astype(np.int64), pairs_before(shown, ttl), 7)
        answer = farm(shown.size, _WEEK, ttl, days).rate
        found[:, repeat] = answer.value, answer.low, answer.high
    return Outcomes(truth=np.full(repeats, each), value=found[0], low=found[1], high=found[2])


def _beacons(
    bots: int, period: float, ttl: float, rng: np.random.Generator, repeats: int
) -> Outcomes:
    value = np.empty(repeats)
    rounds = int(_WEEK / 4 / period)
    for repeat in range(repeats):
        phase = rng.uniform(0, period, (bots, 1))
        jitter = rng.uniform(0, 1, (bots, rounds))
        times = (phase + period * np.arange(rounds) + jitter).ravel()
        _, shown = let_through(np.zeros(times.size, dtype=np.int64), times, ttl)
        seen = rate(exposure(shown, ttl, [[0, _WEEK / 4]]))
        value[repeat] = np.nan if beacon(shown, ttl).refused else seen.value
    return Outcomes(truth=np.full(repeats, bots / period), value=value)


def _no_beacons(load: float, rng: np.random.Generator, repeats: int) -> Outcomes:
    each = load / _HOUR
    value = np.empty(repeats)
    for start in range(0, repeats, 100):
        number = min(100, repeats - start)
        for place, times in enumerate(visible_times(rng, each, _WEEK, _HOUR, number)):
            seen = rate(exposure(times, _HOUR, [[0, _WEEK]]))
            value[start + place] = np.nan if beacon(times, _HOUR).refused else seen.value
    return Outcomes(truth=np.full(repeats, each), value=value)


def _arms(least: float, rng: np.random.Generator, repeats: int) -> Outcomes:
    """Answers get 60 or 300 s at random; a resolver keeps them for at least ``least``."""
    each, arms, items = 1 / 60.0, np.array([60.0, 300.0]), 3
    found = np.empty((4, repeats))
    for repeat in range(repeats):
        n, time = np.zeros((items, 2)), np.zeros((items, 2))
        for item in range(items):
            # With independent lookups the wait for the next after expiry is exponential.
            arm = rng.integers(0, 2, 300)
            kept = np.maximum(arms[arm], least)
            waits = kept + rng.exponential(1 / (each * (item + 1) / 2), arm.size) - arms[arm]
            n[item] = np.bincount(arm, minlength=2)
            time[item] = np.bincount(arm, waits, 2)
        answer = two_arms(n, time)
        assert answer is not None
        found[:, repeat] = answer.ratio, answer.low, answer.high, answer.p_value < 0.05
    return Outcomes(
        truth=np.ones(repeats), value=found[0], low=found[1], high=found[2], calls=found[3]
    )
