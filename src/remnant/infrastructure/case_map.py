"""The map of a stored case: its records walked from its seeds, and what is asked of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from remnant.infrastructure.build import build
from remnant.infrastructure.pivots import StoredPivots
from remnant.infrastructure.seeds import names_seen

if TYPE_CHECKING:
    from remnant.cases.model import Case
    from remnant.enrich.reference import Reference
    from remnant.infrastructure.graph import Graph
    from remnant.settings import Settings
    from remnant.store import Store, View
    from remnant.windows import Window

__all__ = ["case_map"]


def case_map(
    store: Store,
    view: View,
    case: Case,
    settings: Settings,
    reference: Reference,
    *,
    window: Window | None = None,
    hops: int | None = None,
) -> Graph:
    """Return the map of a case from the passive DNS that it sees.

    Args:
        store: opened for reading.
        view: of the case.
        case: its names and addresses are the seeds.
        settings: how far a map goes.
        reference: says in which prefix, AS and country an address is.
        window: only relations that were seen in it; null: all that are on record.
        hops: rounds of pivoting, instead of the settings'.
    """
    limits = settings.infrastructure
    if hops is not None:
        limits = replace(limits, hops=hops)
    graph = build(
        case,
        StoredPivots(store, case.name, window=window),
        reference,
        limits,
        window,
        seen=names_seen(view, most=limits.nodes, window=window),
    )
    return graph if window is None else graph.during(window)
