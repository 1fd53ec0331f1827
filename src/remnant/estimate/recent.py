"""How fast it falls now, whether it levels off, and how many there will be in four weeks.

The straight line of ``decay`` says how fast the whole series fell. Where its fall has slowed down,
or a step bent it, the rate at the end is another one: it is read from the curve that forecasts best
(``decay_models``). The verdict does not rest on this: it keeps to the one line that was declared
beforehand.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from remnant.estimate.decay import MINIMUM_FIT_DAYS, half_life
from remnant.estimate.decay_models import HORIZON_DAYS, MODELS, Choice, choose
from remnant.estimate.loglinear import prepare
from remnant.estimate.online import Series, day_start, series
from remnant.windows import Window

if TYPE_CHECKING:
    from remnant.estimate import Estimate
    from remnant.estimate.basis import Basis

__all__ = ["MINIMUM_DAYS", "QUANTITIES", "estimates", "told_model"]

QUANTITIES: Final[dict[str, str]] = {
    "recent_decay_rate": "fall of online hosts per day at the end of the series, by the best curve",
    "recent_half_life": "days in which online hosts would halve at that rate",
    "floor_hosts": "online hosts that will stay, where the curve has a floor",
    "hosts_in_28_days": "online hosts on the day 28 days after the last complete one, if it goes on",
}
"""Every quantity of ``estimates``, in order."""

MINIMUM_DAYS: Final = 14
"""Fewer complete days do not tell one curve from another."""

_AR1: Final = "day-to-day noise on the log scale is an AR(1) process around the curve"
_SHAPE: Final = "the curve is one of M0, M1, M2, mixture, M3, M4, and does not change after its end"
_SAME_SHARE: Final = "the sensors see the same share of the botnet throughout"


def estimates(basis: Basis) -> list[Estimate]:
    """Return ``QUANTITIES`` in order, from the complete days after the takedown.

    ``floor_hosts`` is there only where the chosen curve has a floor.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    after = series(basis.view, basis.window, basis.vantage).since(basis.case.takedown)
    kept = after.on(after.complete)
    ready = prepare(kept.days, kept.values, kept.exposure)
    if ready is None or len(kept.days) < MINIMUM_DAYS:
        return _refused(basis, after, len(kept.days))
    found = choose(ready)
    span = Window(day_start(int(kept.days[0])), day_start(int(kept.days[-1]) + 1))
    told = told_model(found)
    population = _population(basis)
    shared = {
        "population": population,
        "n": len(kept.days),
        "assumptions": (_AR1, _SHAPE, _SAME_SHARE),
        "window": span,
    }
    rate, (low, high) = found.fitted.rate.quantile(0.5), found.rate_interval(basis.level)
    if found.fitted.model == "M0":
        # The same number as decay_rate, which the verdict rests on.
        trend = kept.trend(level=basis.level)
        if trend is not None:
            rate, low, high = trend.rate, min(low, trend.low), max(high, trend.high)
    return [
        basis.concluded(
            "recent_decay_rate", rate, (low, high), unit="per day", method=told, **shared
        ),
        basis.concluded(
            "recent_half_life",
            half_life(rate),  # type: ignore[arg-type] - null where it grows, and told so
            (half_life(high), half_life(low)),
            unit="days",
            method=f"ln 2 / recent decay rate, limits transformed; {told}",
            refusal=None if rate > 0 else "no finite half-life: the curve does not fall at its end",
            **shared,
        ),
        *_floor(basis, found, kept.unit, told, shared),
        _forecast(basis, found, kept.unit, told, shared),
    ]


def told_model(found: Choice) -> str:
    """Return which curve was chosen and why, for a method.

    The forecast errors are shown for every model (root mean square, log scale), then the AIC less
    that of the best.
    """
    name = found.fitted.model
    head = f"{name} ({MODELS[name]})"
    aic = ", ".join(f"{model} {value:.1f}" for model, value in found.aic.items())
    if not found.errors:
        return f"{head}, as there are too few weeks to compare forecasts; AIC over the least: {aic}"
    errors = ", ".join(f"{model} {value:.3f}" for model, value in found.errors.items())
    why = "no model forecasts clearly better" if name == "M0" else "forecasts clearly better"
    return (
        f"{head}: {why} (errors over {found.origins} origins, 7 and 14 days ahead: {errors}; "
        f"AIC over the least: {aic}); limits hold those of all models by Akaike weight"
    )


def _floor(
    basis: Basis, found: Choice, unit: str, told: str, shared: dict[str, object]
) -> list[Estimate]:
    floor = found.fitted.floor
    if floor is None:
        return []
    low, high = floor.interval(basis.level)
    return [
        basis.concluded(
            "floor_hosts",
            math.exp(floor.quantile(0.5)),
            (math.exp(low), math.exp(high)),
            unit=unit,
            method=f"C of mu = C + A exp(-r t); {told}",
            **shared,  # type: ignore[arg-type] - the fields above
        )
    ]


def _forecast(
    basis: Basis, found: Choice, unit: str, told: str, shared: dict[str, object]
) -> Estimate:
    low, high = found.later_interval(basis.level)
    return basis.concluded(
        "hosts_in_28_days",
        math.exp(min(found.fitted.later.quantile(0.5), 700.0)),
        (math.exp(min(low, 700.0)), math.exp(high) if high < 700.0 else None),
        unit=unit,
        method=(
            f"median and prediction interval of one day, {HORIZON_DAYS} days after the last one, "
            f"its own noise included, weekdays levelled; {told}"
        ),
        **shared,  # type: ignore[arg-type] - the fields above
    )


def _refused(basis: Basis, after: Series, days: int) -> list[Estimate]:
    why = (
        f"a curve needs {MINIMUM_DAYS} complete days after the takedown, some with clients; "
        f"there are {days}"
        if days < MINIMUM_DAYS or days < MINIMUM_FIT_DAYS
        else "nearly no client was seen after the takedown"
    )
    units = {"recent_decay_rate": "per day", "recent_half_life": "days"}
    return [
        basis.refused(
            quantity,
            why,
            unit=units.get(quantity, after.unit),
            population=_population(basis),
            window=after.window,
            n=days,
        )
        for quantity in QUANTITIES
        if quantity != "floor_hosts"
    ]


def _population(basis: Basis) -> str:
    from remnant.estimate.measures import population_of  # noqa: PLC0415 - it imports this room

    return f"{population_of(basis.vantage)}, per hour"
