"""The churn rate of several networks together, and what is said with it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from remnant.estimate.churn import RATES, churn, online_mean, quantile, who
from remnant.estimate.churn_mean import Rated, alike, error_of, mean_rate
from remnant.estimate.recapture import GROUPS, together

if TYPE_CHECKING:
    from remnant.estimate import Estimate
    from remnant.estimate.basis import Basis
    from remnant.estimate.churn import Churn
    from remnant.estimate.recapture import Recaptures
    from remnant.windows import Window

    Network = tuple[Recaptures, Churn]

__all__ = ["combined", "mean_of"]

_KNOWN: Final = 0.5
_FEW: Final = 0.05
_PLAIN: Final = "ipv4"
_NORMAL: Final = 10_000

_MEMORYLESS: Final = (
    "within a network addresses change at random times at one rate, or all at a fixed age"
)
_LEFT: Final = "a changed address is a new client, whether it stays in the prefix or leaves it"
_BORN: Final = (
    "a host seen later was infected before: the rate of new infections is inside the value, that "
    "of clean-up is not"
)
_SWITCHED: Final = "addresses do not depend on a host's being switched on or off"


def combined(
    basis: Basis,
    window: Window,
    parts: list[Network],
    *,
    asn: int | None = None,
    country: str | None = None,
) -> Estimate:
    """Return the churn rate of some networks together; refused where most have none."""
    active = [(_active(seen, rate), rate) for seen, rate in parts]
    total = sum(hosts for hosts, _ in active)
    weight = sum(hosts for hosts, rate in active if rate.refusal is None)
    rough = sum(hosts for hosts, rate in active if rate.refusal is not None and rate.rough)
    n = int(sum(seen.daily.sum() for seen, _ in parts))
    where = {"window": window, "unit": "changes a day", "population": who(basis), "n": n}
    where |= {"asn": asn, "country": country}
    if not weight + rough or weight + rough < _KNOWN * total:
        why = max(parts, key=lambda part: online_mean(part[0]))[1].refusal if parts else None
        return basis.refused("churn_rate", why or "no client was seen", **where)  # type: ignore[arg-type]
    value, low, high = mean_of(parts, basis.level)
    fixed = sum(hosts for hosts, rate in active if rate.period is not None) / total
    said = [_MEMORYLESS, _LEFT, _BORN, _SWITCHED]
    if weight < total:
        said.insert(
            0,
            f"{1 - weight / total:.0%} of the hosts are in networks without a rate of their own: "
            "the interval allows for any that their addresses allow",
        )
    if fixed:
        said.insert(0, f"{fixed:.0%} of the hosts are in networks that renumber at a fixed age")
    return basis.concluded(
        "churn_rate",
        value,
        (low, high),
        method="fall of recaptured addresses over days, or over mirrored lags of hours; jackknife "
        "over groups of clients",
        assumptions=tuple(said),
        **where,  # type: ignore[arg-type]
    )


def mean_of(parts: list[Network], level: float) -> tuple[float, float, float]:
    """Return the mean rate over networks weighted by active hosts, with its limits.

    Where the rates differ by no more than chance the networks are looked at as one: together small
    ones tell what none does alone. A network without any rate has the mean of the others, and may
    have none or the most that its addresses allow.
    """
    limits = [_limits(rate) for _, rate in parts]
    told = [
        (seen, _rated(seen, rate, found, level))
        for (seen, rate), found in zip(parts, limits, strict=True)
        if found is not None
    ]
    plain = [seen for seen, rate in parts if rate.period is None and seen.unit == _PLAIN]
    # A group of the jackknife needs a client, or the limits say nothing.
    clear = [one for seen, one in told if one.error > 0 and float(seen.clients.sum()) >= GROUPS]
    fixed = sum(one.weight for _, one in told if one.error <= 0)
    if fixed < _FEW * sum(one.weight for _, one in told) and len(plain) > 1 and alike(clear):
        whole = churn(together(plain), level=level)
        if whole.refusal is None:
            return whole.rate, whole.low, whole.high
    value, low, high = mean_rate([one for _, one in told], level=level)
    weight = sum(one.weight for _, one in told)
    unknown = [
        (_active(seen, rate), max(value, min(rate.most, float(RATES[-1]))))
        for (seen, rate), found in zip(parts, limits, strict=True)
        if found is None
    ]
    total = weight + sum(hosts for hosts, _ in unknown)
    below = math.hypot(weight * (value - low), *(hosts * value for hosts, _ in unknown))
    above = math.hypot(
        weight * (high - value), *(hosts * (most - value) for hosts, most in unknown)
    )
    return value, max(0.0, value - below / total), value + above / total


def _rated(
    seen: Recaptures, rate: Churn, limits: tuple[float, float, float], level: float
) -> Rated:
    """Return one network for the mean over all."""
    error = 0.0
    if rate.period is None:
        # The quantile of the jackknife is wider than that of the draws, which are normal.
        error = error_of(*limits, quantile(level, _NORMAL))
    return Rated(
        weight=_active(seen, rate),
        rate=limits[0],
        error=error,
        most=min(rate.most, float(RATES[-1])),
        host_days=float(seen.daily.sum()),
    )


def _active(seen: Recaptures, rate: Churn) -> float:
    """Return the hosts active in a day: the clients less what changes of address add."""
    daily = float(seen.daily.sum(axis=0)[seen.complete].mean())
    spans = float(seen.spans.sum(axis=0)[seen.complete].mean())
    limits = _limits(rate)
    changes = 0.0 if limits is None else limits[0]
    return max(daily - changes * spans, daily / (1.0 + changes))


def _limits(rate: Churn) -> tuple[float, float, float] | None:
    return (rate.rate, rate.low, rate.high) if rate.refusal is None else rate.rough
