"""Curves of decline beside the straight line, chosen by how well they forecast.

All are lines on the log scale once one or two shape parameters are given:

======== ==========================================================================
M0       ``log mu = a - r t``
M1       floor: ``mu = C + A exp(-r t)``
M2       two sub-populations: ``mu = A1 exp(-r1 t) + A2 exp(-r2 t)``
mixture  rates spread as a Gamma over hosts: ``mu = N0 (1 + t/b)**-s``
M3       growth, then decay: ``mu = K exp(-g t) / (1 + exp(-r (t - t0)))``
M4       the line after the last break (``segments``)
======== ==========================================================================

So the shape runs over a grid, and so does the memory phi of the AR(1) noise; level, slope and scale
are solved in closed form at each point. The points are weighed by their restricted likelihood, and
what is said (the rate at the end, the floor, a forecast) is the mixture over all of them: no point
is plugged in, no starting value matters.

M0 stays unless another model forecasts clearly better, from origins a week apart, the weeks that
end 7 and 14 days later (squared error on the log scale).

References:
    Diebold, Mariano, Journal of Business & Economic Statistics 13 (1995), 253-263 (comparing
    forecasts); Harvey, Leybourne, Newbold, International Journal of Forecasting 13 (1997), 281-291
    (its correction for few forecasts).
    Brooks, Evans, Proceedings of the Royal Society B 1992 and others (Gamma frailty: a mixture of
    exponentials declines as a power).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.estimate.loglinear import PHIS, fresh_noise, whitened
from remnant.estimate.mixtures import Mixture, mixed_of
from remnant.estimate.segments import costs_of, price, segment

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from remnant.estimate.loglinear import LogSeries

    Floats = NDArray[np.float64]
    Rows = NDArray[np.intp]

__all__ = [
    "HORIZON_DAYS",
    "MODELS",
    "Choice",
    "Fitted",
    "choose",
    "fit_model",
    "forecast_errors",
]

HORIZON_DAYS: Final = 28
"""How far the forecast looks."""

MODELS: Final[dict[str, str]] = {
    "M0": "one exponential",
    "M1": "exponential with a floor",
    "M2": "two exponentials",
    "mixture": "Gamma mixture of exponentials",
    "M3": "growth, then exponential",
    "M4": "one exponential since the last break",
}
"""Every model, in the order in which they are fitted."""

_PARAMETERS: Final = {"M0": 2, "M1": 3, "mixture": 3, "M2": 4, "M3": 4}
_TRAINING_DAYS: Final = 21
_ORIGIN_STEP: Final = 7
_BLOCK: Final = 7
_AHEAD: Final = (7, 14)
_MINIMUM_ORIGINS: Final = 4
_MOST_ORIGINS: Final = 26
_CLEAR: Final = 0.95
_DECISIVE: Final = 10.0
_FLOOR: Final = 1e-12
_ZOOMS: Final = 3
_NEGLIGIBLE: Final = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """One model, fitted.

    Attributes:
        model: which.
        aic: Akaike's criterion on the common response; only differences mean something.
        rate: the fall per day at the end of the series, on the log scale.
        later: log of a day's value ``HORIZON_DAYS`` after the last day, noise of that day included.
        floor: log of C (M1 alone).
    """

    model: str
    aic: float
    rate: Mixture
    later: Mixture
    floor: Mixture | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Shapes:
    """A model's curves at each grid point: ``log mu = a + s slope(t) + offset(t)``.

    ``slope`` is null where the shape leaves no slope free. ``limits`` are bounds of s.
    """

    offset: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats] | None
    floor: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    """Solutions, float64[origins, phis, shapes] each."""

    level: Floats
    slope: Floats
    scale: Floats
    weight: Floats
    best: Floats
    freedom: Floats
    level_information: Floats
    slope_information: Floats
    middle: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The model to use, and what speaks for it.

    Attributes:
        fitted: the chosen model.
        errors: root mean square forecast error of each model on the log scale; empty where there
            were too few origins to compare.
        origins: forecasts made with each.
        aic: of each model, less the least of all.
        rates: rates at the end by all models, weighed by exp(-AIC/2) (Akaike weights).
        laters: the same for the forecast.
    """

    fitted: Fitted
    errors: dict[str, float]
    origins: int
    aic: dict[str, float]
    rates: Mixture
    laters: Mixture

    def rate_interval(self, level: float) -> tuple[float, float]:
        """Return limits of the rate at the end.

        They hold both the chosen model's interval and that of all models together, so a model
        that could not yet prove itself by forecasts makes the interval wider and not wrong.
        """
        return _hull(self.fitted.rate.interval(level), self.rates.interval(level))

    def later_interval(self, level: float) -> tuple[float, float]:
        """Return limits of the log of a day's value ``HORIZON_DAYS`` ahead, made the same way."""
        return _hull(self.fitted.later.interval(level), self.laters.interval(level))


def choose(series: LogSeries) -> Choice:
    """Return the model to use: M0, unless another forecasts clearly better.

    With too few origins to compare forecasts, M0 gives way only to a model whose AIC is lower by
    more than 10.
    """
    fits = {model: fit_model(series, model) for model in MODELS}
    least = min(found.aic for found in fits.values())
    aic = {model: found.aic - least for model, found in fits.items()}
    squares = forecast_errors(series)
    chosen = "M0"
    if squares:
        clear = [m for m in squares if m != "M0" and _clearly_less(squares[m], squares["M0"])]
        best = min(clear, key=lambda model: float(squares[model].mean()), default="M0")
        # The simplest that the best one does not clearly beat: they stand in that order.
        chosen = next(
            (m for m in clear if m == best or not _clearly_less(squares[best], squares[m])), "M0"
        )
    elif aic["M0"] > _DECISIVE:
        chosen = min(aic, key=lambda model: aic[model])
    shares = [(math.exp(-0.5 * aic[model]), found) for model, found in fits.items()]
    return Choice(
        fits[chosen],
        {model: math.sqrt(float(found.mean())) for model, found in squares.items()},
        len(squares.get("M0", ())),
        aic,
        mixed_of([(share, found.rate) for share, found in shares]),
        mixed_of([(share, found.later) for share, found in shares]),
    )


def _hull(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return min(one[0], other[0]), max(one[1], other[1])


def forecast_errors(series: LogSeries) -> dict[str, Floats]:
    """Return each model's squared errors, float64[origins]: the mean of both horizons.

    Every forecast is made from the days before its origin alone.
    """
    stops = _origins(series)
    if len(stops) < _MINIMUM_ORIGINS:
        return {}
    blocks = [[_block(series, stop, ahead) for ahead in _AHEAD] for stop in stops]
    errors: dict[str, Floats] = {}
    for model in _PARAMETERS:
        shapes = _shapes(model, series)
        solved = _solve(series, shapes, stops)
        offset = shapes.offset(series.time)
        slope = None if shapes.slope is None else shapes.slope(series.time)
        errors[model] = np.array(
            [
                np.mean([_error(series, solved, o, offset, slope, rows) for rows in blocks[o]])
                for o in range(len(stops))
            ]
        )
    errors["M4"] = _errors_since_break(series, stops, blocks, errors["M0"])
    return errors


def fit_model(series: LogSeries, model: str) -> Fitted:
    """Return a model's fit to the whole series; M4 without a break is M0."""
    if model == "M4":
        return _fit_since_break(series)
    axes = _axes(model, series)
    for _ in range(_ZOOMS if axes else 1):
        shapes = _shapes(model, series, axes)
        solved = _solve(series, shapes, [len(series.days)])
        axes = _zoomed(axes, solved.weight[0].sum(axis=0))
    return _conclude(model, series, shapes, solved, _PARAMETERS[model])


def _conclude(
    model: str, series: LogSeries, shapes: _Shapes, solved: _Solved, parameters: int
) -> Fitted:
    end = float(series.time[-1])
    times = np.array([end - 0.5, end + 0.5, end + HORIZON_DAYS])
    offset = shapes.offset(times)
    rate = np.broadcast_to(offset[:, 0] - offset[:, 1], solved.level[0].shape)
    later = solved.level[0] + offset[:, 2]
    rate_error = np.zeros_like(rate)
    spread = 1.0 / solved.level_information[0]
    if shapes.slope is not None:
        slope = shapes.slope(times)
        rate = rate + solved.slope[0] * (slope[:, 0] - slope[:, 1])
        later = later + solved.slope[0] * slope[:, 2]
        variance = solved.scale[0] / solved.slope_information[0]
        rate_error = np.abs(slope[:, 0] - slope[:, 1]) * np.sqrt(variance)
        spread = spread + (slope[:, 2] - solved.middle[0]) ** 2 / solved.slope_information[0]
    fresh = 1.0 / series.weight_of(np.exp(np.clip(later, -50.0, 50.0)))
    later_error = np.sqrt(solved.scale[0] * (spread + fresh))
    weights = solved.weight[0].ravel()
    freedom = int(solved.freedom[0])

    def mixed(centers: Floats, errors: Floats) -> Mixture:
        return Mixture(centers.ravel(), errors.ravel(), weights, freedom)

    floor = None
    if shapes.floor is not None:
        # log mu = a + log(c + (1 - c) exp(-r t)), so C = c exp(a).
        level = solved.level[0] + np.log(shapes.floor[:, 0])
        floor = mixed(level, np.sqrt(solved.scale[0] / solved.level_information[0]))
    aic = -2.0 * float(solved.best[0].max()) + 2.0 * parameters
    return Fitted(model, aic, mixed(rate, rate_error), mixed(later, later_error), floor)


def _solve(series: LogSeries, shapes: _Shapes, stops: list[int]) -> _Solved:
    """Return the solutions from the first ``stop`` rows, for each stop."""
    offset = shapes.offset(series.time)
    slope = None if shapes.slope is None else shapes.slope(series.time)
    count = len(offset)
    root = np.sqrt(series.weight)
    edges = np.array([0, *stops[:-1]])
    stop = stops[-1]
    shape = (len(stops), len(PHIS), count)
    sums = {name: np.empty(shape) for name in ("ee", "1e", "11", "xx", "1x", "xe")}
    fresh = np.empty(shape[:2])
    days = series.days[:stop]
    rest = (series.response - offset)[:, :stop] * root[:stop]

    def put(name: str, at: int, product: Floats) -> None:
        blocks = np.add.reduceat(product, edges, axis=-1).cumsum(axis=-1)
        sums[name][:, at] = np.broadcast_to(blocks, (count, len(stops))).T

    for at, phi in enumerate(PHIS.tolist()):
        fresh[:, at] = np.add.reduceat(np.log(fresh_noise(days, phi)), edges).cumsum()
        one, left = whitened(root[:stop], days, phi), whitened(rest, days, phi)
        put("ee", at, left * left)
        put("1e", at, one * left)
        put("11", at, one * one)
        if slope is not None:
            line = whitened(slope[:, :stop] * root[:stop], days, phi)
            put("xx", at, line * line)
            put("1x", at, one * line)
            put("xe", at, left * line)
    n = np.array(stops, dtype=np.float64)
    freedom = n - (1 if slope is None else 2) - series.lost
    information = sums["11"]
    squares = sums["ee"] - sums["1e"] ** 2 / information
    gradient, line_information, middle = (np.zeros(shape) for _ in range(3))
    determinant = np.log(information)
    if slope is not None:
        middle = sums["1x"] / information
        line_information = np.maximum(sums["xx"] - sums["1x"] * middle, _FLOOR)
        gradient = (sums["xe"] - middle * sums["1e"]) / line_information
        squares = squares - gradient**2 * line_information
        determinant = determinant + np.log(line_information)
    squares = np.maximum(squares, _FLOOR * n[:, None, None])
    level = (sums["1e"] / information) - gradient * middle
    nu = np.maximum(freedom, 1.0)[:, None, None]
    likelihood = -0.5 * (fresh[..., None] + determinant + nu * np.log(squares))
    weight = np.exp(likelihood - likelihood.max(axis=(1, 2), keepdims=True))
    weight /= weight.sum(axis=(1, 2), keepdims=True)
    best = -0.5 * (fresh[..., None] + n[:, None, None] * np.log(squares / n[:, None, None]))
    return _Solved(
        level,
        gradient,
        squares / nu,
        weight,
        best,
        np.maximum(freedom, 1.0),
        information,
        line_information,
        middle,
    )


def _axes(model: str, series: LogSeries) -> tuple[Floats, ...]:
    """Return the grid of a model's shape parameters, each even on the scale that it is used on."""
    end = math.log(max(float(series.time[-1]), 1.0))
    if model == "M0":
        return ()
    if model == "mixture":
        return (end + np.linspace(math.log(0.02), math.log(4.0), 14),)
    if model == "M3":
        return (np.linspace(math.log(2.0), math.log(60.0), 8) - end, np.linspace(-0.1, 0.8, 8))
    falls = np.linspace(math.log(0.7), math.log(40.0), 14) - end
    # What the slow part, or the floor, has of the first day, on the logit scale.
    return falls, np.linspace(-3.5, 3.0, 12)


def _zoomed(axes: tuple[Floats, ...], weight: Floats) -> tuple[Floats, ...]:
    """Return a grid of the same size over the part of the old one that weighs anything."""
    found = []
    table = weight.reshape([len(axis) for axis in axes]) if axes else weight
    for place, axis in enumerate(axes):
        others = tuple(other for other in range(len(axes)) if other != place)
        heavy = np.flatnonzero(table.max(axis=others) > _NEGLIGIBLE * table.max())
        low, high = max(heavy[0] - 1, 0), min(heavy[-1] + 1, len(axis) - 1)
        found.append(np.linspace(axis[low], axis[high], len(axis)))
    return tuple(found)


def _shapes(model: str, series: LogSeries, axes: tuple[Floats, ...] | None = None) -> _Shapes:
    """Return a model's curves on a grid; s is scaled to be a fall per day at the end."""
    axes = _axes(model, series) if axes is None else axes
    end = max(float(series.time[-1]), 1.0)
    if model == "M0":
        return _Shapes(lambda t: np.zeros((1, len(t))), lambda t: -t[None, :])
    first, second = (
        (part.reshape(-1, 1) for part in np.meshgrid(*axes, indexing="ij"))
        if len(axes) == 2
        else (axes[0][:, None], axes[0][:, None])
    )
    count = len(first)

    def line(t: Floats) -> Floats:
        return np.broadcast_to(-t, (count, len(t)))

    if model == "mixture":
        early = np.exp(first)
        return _Shapes(
            lambda t: np.zeros((count, len(t))),
            lambda t: -(early + end) * np.log1p(t / early),
        )
    speed = np.exp(first)
    if model == "M3":
        return _Shapes(lambda t: -np.logaddexp(0.0, -speed * (t - end * second)), line)
    share = 1.0 / (1.0 + np.exp(-second))

    def offset(t: Floats) -> Floats:
        return np.logaddexp(np.log(share), np.log1p(-share) - speed * t)

    if model == "M1":
        return _Shapes(offset, None, share)
    return _Shapes(offset, line)


def _origins(series: LogSeries) -> list[int]:
    """Return the number of days known at each origin, a week or more apart, in order."""
    end = float(series.time[-1])
    latest = end - _AHEAD[-1]
    count = math.floor((latest - (_TRAINING_DAYS - 1)) / _ORIGIN_STEP) + 1
    if count < 1:
        return []
    step = _ORIGIN_STEP * max(1, -(-count // _MOST_ORIGINS))
    times = latest - step * np.arange(count * _ORIGIN_STEP // step)[::-1]
    stops = np.searchsorted(series.time, times, side="right")
    return [
        int(stop)
        for stop in np.unique(stops)
        if stop >= _TRAINING_DAYS // 2
        and all(len(_block(series, int(stop), ahead)) for ahead in _AHEAD)
    ]


def _block(series: LogSeries, stop: int, ahead: int) -> Rows:
    """Return the rows of the week that ends so many days after the last known one."""
    until = float(series.time[stop - 1]) + ahead
    rows: Rows = np.flatnonzero((series.time > until - _BLOCK) & (series.time <= until))
    return rows[rows >= stop]


def _error(
    series: LogSeries,
    solved: _Solved,
    origin: int,
    offset: Floats,
    slope: Floats | None,
    rows: Rows,
) -> float:
    """Return the squared error of one forecast of the mean log value over some rows."""
    ahead = solved.level[origin] + offset[:, rows].mean(axis=1)
    if slope is not None:
        ahead = ahead + solved.slope[origin] * slope[:, rows].mean(axis=1)
    forecast = float((solved.weight[origin] * ahead).sum())
    return (forecast - float(series.response[rows].mean())) ** 2


def _errors_since_break(
    series: LogSeries, stops: list[int], blocks: list[list[Rows]], plain: Floats
) -> Floats:
    """Return M4's squared errors; where no break is known at an origin it forecasts as M0."""
    errors = plain.copy()
    costs = costs_of(series)
    for o, stop in enumerate(stops):
        breaks = segment(series, costs=costs, stop=stop).breaks
        if not breaks:
            continue
        start = max(breaks[-1].places, key=lambda place: place[1])[0]
        part = series.head(stop).tail(start)
        shapes = _shapes("M0", part)
        solved = _solve(part, shapes, [len(part.days)])
        offset, slope = np.zeros((1, len(series.time))), -series.time[None, :]
        errors[o] = np.mean([_error(series, solved, 0, offset, slope, rows) for rows in blocks[o]])
    return errors


def _fit_since_break(series: LogSeries) -> Fitted:
    """Return the line after the last break, over the places where that may be."""
    found = segment(series)
    whole = fit_model(series, "M0")
    if not found.breaks:
        return Fitted("M4", whole.aic, whole.rate, whole.later)
    parts = []
    for start, weight in found.breaks[-1].places:
        part = series.tail(start)
        shapes = _shapes("M0", part)
        solved = _solve(part, shapes, [len(part.days)])
        parts.append((weight, _conclude("M4", part, shapes, solved, 2)))
    # The search for the places is paid for, as in the choice of their number.
    criterion = -2.0 * found.log_likelihood + 4.0 + price(len(found.breaks), len(series.days))
    return Fitted(
        "M4",
        criterion,
        mixed_of([(weight, part.rate) for weight, part in parts]),
        mixed_of([(weight, part.later) for weight, part in parts]),
    )


def _clearly_less(squares: Floats, plain: Floats) -> bool:
    """Return whether forecasts are better with 95 % one-sided confidence (Diebold, Mariano)."""
    from scipy.special import stdtrit  # noqa: PLC0415 - heavy, used by fits alone

    gain = plain - squares
    n = len(gain)
    mean = float(gain.mean())
    if mean <= 0.0:
        return False
    apart = gain - mean
    # Forecasts of two weeks, a week apart, overlap: neighbours are correlated (Bartlett weight).
    variance = float(apart @ apart + apart[1:] @ apart[:-1]) / n
    if variance <= 0.0:
        return True
    ahead = 2
    correction = math.sqrt((n + 1 - 2 * ahead + ahead * (ahead - 1) / n) / n)
    statistic = correction * mean / math.sqrt(variance / n)
    return statistic > float(stdtrit(n - 1, _CLEAR))
