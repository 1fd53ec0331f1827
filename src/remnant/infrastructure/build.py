"""The map of a case: from its seeds, over passive DNS, to what is joined to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from remnant.infrastructure.assembly import assemble
from remnant.infrastructure.growth import grow
from remnant.infrastructure.seeds import seeds_of

if TYPE_CHECKING:
    import pyarrow as pa

    from remnant.cases.model import Case
    from remnant.enrich.reference import Reference
    from remnant.infrastructure.graph import Graph
    from remnant.infrastructure.pivot import Pivots
    from remnant.settings import InfrastructureSettings
    from remnant.windows import Window

__all__ = ["build"]


def build(
    case: Case,
    pivots: Pivots,
    reference: Reference,
    limits: InfrastructureSettings,
    window: Window | None = None,
    *,
    seen: pa.Array[Any] | None = None,
    now: datetime | None = None,
) -> Graph:
    """Return the map of a case's infrastructure.

    The same records give the same map, in whatever order they come and however sensors split them
    (but for the column ``sensors``). Nothing is joined through a hub; what is left out, and why,
    is in ``Graph.left_out``.

    Args:
        case: its names and addresses are the seeds, its sinkhole is one.
        pivots: passive DNS of the window.
        reference: says in which prefix, AS and country an address is.
        limits: how far the map goes.
        window: generated names of other times are no seeds; the pivots know it already.
        seen: names that the case's sightings hold, or ``None``.
        now: records of later times are not used; the clock's time by default.
    """
    seeds = seeds_of(case, pivots, most=limits.nodes // 2, seen=seen, window=window)
    now = datetime.now(tz=UTC) if now is None else now
    return assemble(grow(case, seeds, pivots, reference, limits, now), seeds, reference)
