"""How fast each network and country falls, and exact distinct clients over all days of a case.

These take seconds: they are worked out beside the server. They hold small counts, so there is no
published form of them; what the public sees of places is in the result ``overview``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from remnant.cases.library import Library

if TYPE_CHECKING:
    from remnant.estimate import Estimate
    from remnant.settings import Settings

__all__ = ["bystanders", "distinct_places", "places"]

_MOST_BYSTANDERS: Final = 1000


def places(settings: Settings, case: str, *, internal: bool) -> Any:
    """Return the decline of each of the largest networks, and of each country.

    Rates are those of ``remnant measure --by network`` and ``--by country``.
    """
    from remnant.estimate import pooling
    from remnant.estimate.basis import Basis
    from remnant.estimate.coverage import choose_vantage, default_window
    from remnant.estimate.decay import half_life
    from remnant.web.results.kinds import opened

    if not internal:
        return None
    with opened(settings, case) as (_, view):
        known = Library(settings.home).get(case)
        basis = Basis(view, known, settings, default_window(view), choose_vantage(view))
        networks, countries = pooling.by_network(basis), pooling.by_country(basis)
        ranks = {(row.asn, row.country): row for row in pooling.ranking(basis)}
    slowest = math.log(2) / settings.judge.slowest_half_life_days

    def told(estimate: Estimate) -> dict[str, Any]:
        return {
            "asn": estimate.asn,
            "country": estimate.country,
            "rate": estimate.value,
            "rate_low": estimate.low,
            "rate_high": estimate.high,
            "half_life": _finite(half_life(estimate.value)),
            "half_life_low": _finite(half_life(estimate.high)),
            "half_life_high": _finite(half_life(estimate.low)),
            "state": state(estimate, slowest, settings.judge.minimum_days),
        }

    rows = []
    for estimate in networks:
        if estimate.value is None:
            continue
        rank = ranks.get((estimate.asn or 0, estimate.country))
        rows.append(
            told(estimate)
            | {
                "rank": rank and rank.rank,
                "rank_low": rank and rank.rank_low,
                "rank_high": rank and rank.rank_high,
            }
        )
    first = next(iter(networks), None)
    return {
        "vantage": basis.vantage,
        "networks": rows,
        "countries": [told(estimate) for estimate in countries if estimate.value is not None],
        "ranked": len(ranks),
        "refusal": first.refusal if first is not None else None,
        "about": first and first.value is not None and first.to_json(),
        "slowest_half_life_days": settings.judge.slowest_half_life_days,
    }


def distinct_places(settings: Settings, case: str, *, internal: bool) -> Any:
    """Return exact distinct clients of each network and country over all days of the case.

    The numbers are those of ``remnant traffic --by network`` and ``--by country``.
    """
    from remnant.estimate.coverage import choose_vantage, default_window
    from remnant.estimate.traffic import iter_key
    from remnant.web.results.kinds import opened

    if not internal:
        return None
    with opened(settings, case) as (_, view):
        window, vantage = default_window(view), choose_vantage(view)
        networks = [
            [row["asn"], row["country"], row["clients"]]
            for row in iter_key(view, "network", window, vantage)
        ]
        countries = [
            [row["country"], row["clients"]] for row in iter_key(view, "country", window, vantage)
        ]
    return {"vantage": vantage, "networks": networks, "countries": countries}


def bystanders(settings: Settings, case: str, *, internal: bool) -> Any:
    """Return the clients that show signs of being no victims, those with most points first."""
    from remnant.estimate.basis import Basis
    from remnant.estimate.bystanders import table
    from remnant.estimate.coverage import choose_vantage, default_window
    from remnant.web.results.kinds import opened

    if not internal:
        return None
    with opened(settings, case) as (_, view):
        known = Library(settings.home).get(case)
        basis = Basis(view, known, settings, default_window(view), choose_vantage(view))
        return {"vantage": basis.vantage, "rows": list(table(basis, _MOST_BYSTANDERS))}


def state(estimate: Estimate, slowest: float, minimum_days: int) -> str:
    """Return what the rules of the verdict say about one place: a state of ``judge.rules``.

    The checks of the whole case are not repeated for each place.
    """
    from remnant.judge.rules import Facts, decide

    facts = Facts(
        days=estimate.n,
        minimum_days=minimum_days,
        failed=(),
        low=estimate.low,
        high=estimate.high,
        r_min=slowest,
    )
    return decide(facts).outcome


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
