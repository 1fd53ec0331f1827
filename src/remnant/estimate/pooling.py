"""How fast each network and country falls, small ones borrowing strength from the others.

Each network's rate comes from its own daily series with its own noise and memory (``decay``). The
rates of a country's networks spread around the country's mean, the countries' means around the
whole:

    r_i ~ Normal(theta_i, s_i**2),  theta_i ~ Normal(mu_c, tau**2),  mu_c ~ Normal(mu, omega**2)

``tau`` and ``omega`` are not plugged in: the posterior runs over a grid of both, so the intervals
and ranks hold their uncertainty too. A network is ranked with an interval, never by its value
alone.

References:
    DerSimonian, Laird, Controlled Clinical Trials 7 (1986), 177-188 (random effects).
    Gelman, Bayesian Analysis 1 (2006), 515-534 (flat priors for the spread of a hierarchy).
    Goldstein, Spiegelhalter, Journal of the Royal Statistical Society A 159 (1996), 385-443
    (league tables need intervals of ranks).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from remnant import schema
from remnant.estimate.decay_many import fit_many
from remnant.estimate.online import Series, day_start, series
from remnant.windows import Window

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from remnant.estimate import Estimate
    from remnant.estimate.basis import Basis
    from remnant.estimate.decay_many import Trends

    Floats = NDArray[np.float64]
    Days = NDArray[np.int64]
    Places = NDArray[np.int64]

__all__ = [
    "MOST_NETWORKS",
    "QUANTITIES",
    "Pooled",
    "Ranked",
    "by_country",
    "by_network",
    "errors_of",
    "pool",
    "ranking",
]

QUANTITIES: Final[dict[str, str]] = {
    "decay_rate": "fall per day on the log scale of a network or country, partially pooled",
}
"""What ``by_network`` and ``by_country`` return."""

MOST_NETWORKS: Final = 500
"""The networks with most clients stand for themselves; the rest of each country is one series."""

MINIMUM_DAYS: Final = 14

_MINIMUM_CLIENT_DAYS: Final = 20
_DRAWS: Final = 4000
_SEED: Final = 20150408
_GRID: Final = 33
_DAY_US: Final = 86_400_000_000
_Z: Final = 1.959963984540054
_AR1: Final = "day-to-day noise on the log scale is an AR(1) process around a straight line"
_DAILY: Final = "distinct clients a day: addresses change as often at the end as at the beginning"
_APART: Final = "networks vary independently of one another from day to day"
_NO_OFFSET: Final = (
    "subscribers of a network are not known: rates are compared, not infections a subscriber"
)


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """Shrunken rates.

    Attributes:
        theta: draws of each network's rate (1/day), float64[draws, networks].
        mean: draws of the mean over all countries, float64[draws].
        tau: posterior mean of the spread of networks within a country (1/day).
        omega: posterior mean of the spread of countries (1/day).
    """

    theta: Floats
    mean: Floats
    tau: float
    omega: float

    def interval(self, level: float) -> tuple[Floats, Floats, Floats]:
        """Return median, lower and upper limit of each network's rate."""
        edges = [0.5, (1 - level) / 2, (1 + level) / 2]
        middle, low, high = np.quantile(self.theta, edges, axis=0)
        return middle, low, high

    def ranks(self, level: float) -> tuple[Places, Places, Places]:
        """Return median rank and its limits; 1 is the fastest fall."""
        order = np.argsort(-self.theta, axis=1)
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(1, order.shape[1] + 1)[None, :], axis=1)
        edges = [0.5, (1 - level) / 2, (1 + level) / 2]
        middle, low, high = np.quantile(ranks, edges, axis=0, method="inverted_cdf")
        return middle.astype(np.int64), low.astype(np.int64), high.astype(np.int64)


@dataclass(frozen=True, slots=True)
class Ranked:
    """One row of the ranking.

    Attributes:
        asn: the AS.
        country: its country; null if not known.
        rate: shrunken fall per day on the log scale.
        low, high: limits of it.
        rank: median rank; 1 is the fastest fall.
        rank_low, rank_high: limits of the rank.
        clients: mean of distinct clients a day.
    """

    asn: int
    country: str | None
    rate: float
    low: float
    high: float
    rank: int
    rank_low: int
    rank_high: int
    clients: float


def pool(rates: Floats, errors: Floats, groups: Places, *, draws: int = _DRAWS) -> Pooled:
    """Return the shrunken rates of networks in countries.

    Args:
        rates: each network's own rate, float64[networks].
        errors: their standard errors, above 0.
        groups: the country of each, 0, 1, ...
        draws: posterior draws; the seed is fixed.
    """
    rng = np.random.default_rng(_SEED)
    spread = max(float(np.std(rates)), float(np.median(errors)), 1e-12)
    # Denser near 0: the square makes a flat prior out of even steps with weights 2 u.
    steps = (np.arange(_GRID) + 0.5) / _GRID
    axis = 3.0 * spread * steps**2
    size = int(groups.max()) + 1
    member = np.zeros((size, len(rates)))
    member[groups, np.arange(len(rates))] = 1.0
    variance = errors[None, :] ** 2 + axis[:, None] ** 2
    precision = (1.0 / variance) @ member.T
    means = ((rates / variance) @ member.T) / precision
    squares = (rates**2 / variance) @ member.T - precision * means**2
    inside = -0.5 * (np.log(variance) @ member.T + squares + np.log(precision))
    # Axes from here on: tau, omega, country.
    above = 1.0 / precision[:, None, :] + axis[None, :, None] ** 2
    total = (1.0 / above).sum(axis=2)
    center = (means[:, None, :] / above).sum(axis=2) / total
    outside = -0.5 * (np.log(above) + (means[:, None, :] - center[..., None]) ** 2 / above).sum(
        axis=2
    ) - 0.5 * np.log(total)
    likelihood = inside.sum(axis=1)[:, None] + outside
    weight = np.exp(likelihood - likelihood.max()) * steps[:, None]
    # One country, or one network a country, says nothing about one of the two spreads.
    weight = weight * (steps[None, :] if size > 2 else (np.arange(_GRID) == 0)[None, :])
    weight /= weight.sum()
    cell = rng.choice(weight.size, draws, p=weight.ravel())
    at_tau, at_omega = np.unravel_index(cell, weight.shape)
    tau2, omega2 = axis[at_tau] ** 2, axis[at_omega] ** 2
    mean = center[at_tau, at_omega] + rng.normal(size=draws) / np.sqrt(total[at_tau, at_omega])
    tight = precision[at_tau] + 1.0 / omega2[:, None]
    country = (precision[at_tau] * means[at_tau] + mean[:, None] / omega2[:, None]) / tight
    country = country + rng.normal(size=country.shape) / np.sqrt(tight)
    own = 1.0 / errors[None, :] ** 2
    sharp = own + 1.0 / tau2[:, None]
    theta = (own * rates + country[:, groups] / tau2[:, None]) / sharp
    theta = theta + rng.normal(size=theta.shape) / np.sqrt(sharp)
    return Pooled(theta, mean, float(weight.sum(axis=1) @ axis), float(weight.sum(axis=0) @ axis))


def errors_of(fitted: Trends, values: Floats, days: Days) -> Floats:
    """Return the standard error of each network's rate as that of its hosts' clean-up.

    Two parts: the error whose normal interval is as wide as the rate's own, which keeps its tails;
    and chance in who is cleaned when. A handful of hosts that are cleaned at a rate r do not follow
    the exponential: log N wanders by r/N a day, and the slope of such a wander over T days has the
    variance 6 r / (5 N T). The series itself cannot show this, as it is smooth. As r stands the
    rate of all networks by clients, so that a lucky network is not thought certain.

    Args:
        fitted: the networks' trends.
        values: their clients each day, float64[networks, days].
        days: the days.
    """
    own = (fitted.high - fitted.low) / (2.0 * _Z)
    clients = np.maximum(values.mean(axis=1), 0.1)
    good = np.isfinite(fitted.rate)
    if not good.any():
        return own
    rate = abs(float(clients[good] @ fitted.rate[good] / clients[good].sum()))
    length = float(days[-1] - days[0] + 1)
    errors: Floats = np.sqrt(own**2 + 1.2 * rate / (clients * length))
    return errors


@dataclass(frozen=True, slots=True, eq=False)
class _Networks:
    """The networks of a case: keys (asn, country), where asn is null for a country's rest."""

    keys: list[tuple[int | None, str | None]]
    clients: Floats
    pooled: Pooled
    kept: Series

    @property
    def window(self) -> Window:
        return Window(day_start(int(self.kept.days[0])), day_start(int(self.kept.days[-1]) + 1))


def by_network(basis: Basis) -> list[Estimate]:
    """Return the decay rate of each of the largest networks, most clients first.

    Empty where the sightings name no network; one refused estimate where there are too few days.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    found = _networks(basis)
    if isinstance(found, list):
        return found
    middle, low, high = found.pooled.interval(basis.level)
    named = [i for i, (asn, _) in enumerate(found.keys) if asn is not None]
    return [
        basis.concluded(
            "decay_rate",
            float(middle[i]),
            (float(low[i]), float(high[i])),
            unit="per day",
            population=f"{_population(basis)}, of one network",
            n=len(found.kept.days),
            method=_method(found),
            assumptions=(_AR1, _DAILY, _APART, _NO_OFFSET),
            window=found.window,
            asn=found.keys[i][0],
            country=found.keys[i][1],
        )
        for i in sorted(named, key=lambda i: -found.clients[i])
    ]


def by_country(basis: Basis) -> list[Estimate]:
    """Return the decay rate of each country: the mean of its networks, by clients.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    found = _networks(basis)
    if isinstance(found, list):
        return found
    countries: dict[str, list[int]] = {}
    for i, (_, country) in enumerate(found.keys):
        if country is not None:
            countries.setdefault(country, []).append(i)
    size = {country: float(found.clients[own].sum()) for country, own in countries.items()}
    estimates = []
    for country in sorted(countries, key=lambda country: (-size[country], country)):
        own = countries[country]
        draws = found.pooled.theta[:, own] @ (found.clients[own] / size[country])
        edges = [0.5, (1 - basis.level) / 2, (1 + basis.level) / 2]
        middle, low, high = np.quantile(draws, edges).tolist()
        estimates.append(
            basis.concluded(
                "decay_rate",
                middle,
                (low, high),
                unit="per day",
                population=f"{_population(basis)}, of one country",
                n=len(found.kept.days),
                method=f"mean of {len(own)} networks, by clients; {_method(found)}",
                assumptions=(_AR1, _DAILY, _APART, _NO_OFFSET),
                window=found.window,
                country=country,
            )
        )
    return estimates


def ranking(basis: Basis) -> list[Ranked]:
    """Return the networks from the fastest to the slowest fall, each with limits of its rank.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    found = _networks(basis)
    if isinstance(found, list):
        return []
    named = [i for i, (asn, _) in enumerate(found.keys) if asn is not None]
    own = Pooled(
        found.pooled.theta[:, named], found.pooled.mean, found.pooled.tau, found.pooled.omega
    )
    middle, low, high = own.interval(basis.level)
    rank, rank_low, rank_high = own.ranks(basis.level)
    rows = []
    for place, i in enumerate(named):
        asn, country = found.keys[i]
        assert asn is not None
        rows.append(
            Ranked(
                asn,
                country,
                float(middle[place]),
                float(low[place]),
                float(high[place]),
                int(rank[place]),
                int(rank_low[place]),
                int(rank_high[place]),
                float(found.clients[i]),
            )
        )
    return sorted(rows, key=lambda row: (row.rank, -row.rate, row.asn))


def _networks(basis: Basis) -> _Networks | list[Estimate]:
    """Return the fitted networks, or what is said instead; fitted once for all three questions."""
    key = ("pooled networks", basis.window, basis.vantage, basis.case.takedown, basis.level)
    return basis.view.known(key, lambda: _fitted(basis))


def _fitted(basis: Basis) -> _Networks | list[Estimate]:
    after = series(basis.view, basis.window, basis.vantage).since(basis.case.takedown)
    kept = after.on(after.complete)
    if len(kept.days) < MINIMUM_DAYS:
        why = (
            f"rates of networks need {MINIMUM_DAYS} complete days after the takedown; "
            f"there are {len(kept.days)}"
        )
        return [
            basis.refused(
                "decay_rate",
                why,
                unit="per day",
                population=f"{_population(basis)}, of one network",
                window=after.window,
                n=len(kept.days),
            )
        ]
    keys, values = _daily(basis, kept.days)
    if not any(asn is not None for asn, _ in keys):
        return []
    fitted = fit_many(kept.days, values, kept.exposure)
    errors = errors_of(fitted, values, kept.days)
    good = np.flatnonzero(np.isfinite(errors) & (errors > 0))
    if not len(good):
        return []
    kept_keys = [keys[i] for i in good.tolist()]
    countries = {
        country: place
        for place, country in enumerate(dict.fromkeys(country for _, country in kept_keys))
    }
    groups = np.array([countries[country] for _, country in kept_keys])
    return _Networks(
        kept_keys,
        values[good].mean(axis=1),
        pool(fitted.rate[good], errors[good], groups),
        kept,
    )


def _daily(basis: Basis, days: Days) -> tuple[list[tuple[int | None, str | None]], Floats]:
    """Return the keys of the networks and their distinct clients each day, float64[keys, days]."""
    import ibis  # noqa: PLC0415 - heavy

    table = basis.view.table(schema.ACTIVITY)
    rows = table.filter(
        table.grain == "network",
        table.vantage == basis.vantage,
        table.start >= _literal(day_start(int(days[0]))),
        table.start < _literal(day_start(int(days[-1]) + 1)),
    )
    totals = (
        rows.filter(rows.asn.notnull())
        .group_by("asn", "country")
        .aggregate(total=rows.clients.sum(), seen=rows.start.nunique())
    )
    large = (
        totals.filter(totals.total >= _MINIMUM_CLIENT_DAYS)
        .order_by(ibis.desc("total"), "asn", "country")
        .limit(MOST_NETWORKS)
        .to_pyarrow()
        .to_pylist()
    )
    asns = sorted({row["asn"] for row in large})
    # A network that is not large is part of its country's rest.
    kept = (
        ibis.ifelse(rows.asn.isin(asns), rows.asn, ibis.null("int64"))
        if asns
        else (ibis.null("int64"))
    )
    found = (
        rows.mutate(own=kept)
        .group_by("start", "own", "country")
        .aggregate(clients=rows.clients.sum())
        .to_pyarrow()
    )
    chosen = {(row["asn"], row["country"]) for row in large}
    place = np.searchsorted(days, found["start"].cast("int64").to_numpy() // _DAY_US)
    keys: dict[tuple[int | None, str | None], int] = {}
    sums: list[Floats] = []
    days_of = found["start"].cast("int64").to_numpy() // _DAY_US
    for at, day, asn, country, clients in zip(
        np.minimum(place, len(days) - 1).tolist(),
        days_of.tolist(),
        found["own"].to_pylist(),
        found["country"].to_pylist(),
        found["clients"].to_pylist(),
        strict=True,
    ):
        if days[at] != day:
            continue
        key = (asn if (asn, country) in chosen else None, country)
        if key not in keys:
            keys[key] = len(sums)
            sums.append(np.zeros(len(days)))
        sums[keys[key]][at] += clients
    order = sorted(keys, key=lambda key: (key[0] is None, key[0] or 0, key[1] or ""))
    if not order:
        return [], np.zeros((0, len(days)))
    return order, np.stack([sums[keys[key]] for key in order])


def _method(found: _Networks) -> str:
    return (
        "log-linear trend of the network's distinct clients a day with AR(1) noise, then shrunken "
        "towards its country and the whole; the spreads are integrated out (mean within "
        f"{found.pooled.tau:.4f}, between countries {found.pooled.omega:.4f})"
    )


def _population(basis: Basis) -> str:
    from remnant.estimate.measures import population_of  # noqa: PLC0415 - it imports this room

    return f"{population_of(basis.vantage)}, per day"


def _literal(time: datetime) -> Any:  # noqa: ANN401 - ibis is untyped
    import ibis  # noqa: PLC0415 - heavy

    return ibis.literal(time.astimezone(UTC), type="timestamp('UTC', 6)")
