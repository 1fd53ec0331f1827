"""How fast it falls now, whether it levels off, and how many there will be in four weeks.

The straight line of ``decay`` says how fast the whole series fell. Where its fall has slowed down,
or a step bent it, the rate at the end is another one: it is read from the curve that forecasts best
(``decay_models``). The verdict does not rest on this: it keeps to the one line that was declared
beforehand.
"""

from __future__ import annotations

import math
from dataclasses import replace
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
    "hosts_in_28_days": "online hosts 28 days after the last complete day, if it goes on",
}
"""Every quantity of ``estimates``, in order."""

MINIMUM_DAYS: Final = 14
"""Fewer complete days do not tell one curve from another."""

_MOST: Final = 700.0
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
    told = told_model(found)
    span = Window(day_start(int(kept.days[0])), day_start(int(kept.days[-1]) + 1))

    def say(
        quantity: str,
        value: float,
        limits: tuple[float | None, float | None],
        unit: str,
        how: str = "",
    ) -> Estimate:
        return basis.concluded(
            quantity,
            value,
            limits,
            unit=unit,
            population=_population(basis),
            n=len(kept.days),
            method=how + told,
            assumptions=(_AR1, _SHAPE, _SAME_SHARE),
            window=span,
        )

    rate, (low, high) = found.fitted.rate.quantile(0.5), found.rate_interval(basis.level)
    trend = kept.trend(level=basis.level)
    if found.fitted.model == "M0" and trend is not None:
        # The same number as decay_rate, which the verdict rests on.
        rate, low, high = trend.rate, min(low, trend.low), max(high, trend.high)
    life = say(
        "recent_half_life",
        half_life(rate) or 0.0,
        (half_life(high), half_life(low)),
        "days",
        "ln 2 / recent decay rate, limits transformed; ",
    )
    if rate <= 0:
        why = "no finite half-life: the curve does not fall at its end"
        life = replace(life, value=None, refusal=why)
    made = [say("recent_decay_rate", rate, (low, high), "per day"), life]
    floor = found.fitted.floor
    if floor is not None:
        limits = floor.interval(basis.level)
        made.append(
            say(
                "floor_hosts",
                math.exp(floor.quantile(0.5)),
                (math.exp(limits[0]), math.exp(limits[1])),
                kept.unit,
                "C of mu = C + A exp(-r t); ",
            )
        )
    later = found.later_interval(basis.level)
    made.append(
        say(
            "hosts_in_28_days",
            math.exp(min(found.fitted.later.quantile(0.5), _MOST)),
            (math.exp(min(later[0], _MOST)), math.exp(later[1]) if later[1] < _MOST else None),
            kept.unit,
            f"median and prediction interval of one day, {HORIZON_DAYS} days after the last one, "
            "its own noise included, weekdays levelled; ",
        )
    )
    return made


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
