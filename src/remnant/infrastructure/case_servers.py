"""The servers of a stored case: from its passive DNS, registration data and response codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remnant.infrastructure.pivots import StoredPivots
from remnant.infrastructure.registrations import Registrations
from remnant.infrastructure.responses import observed, resolved
from remnant.infrastructure.server import ALIVE_DAYS
from remnant.infrastructure.servers import servers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from remnant.cases.model import Case
    from remnant.enrich.reference import Reference
    from remnant.infrastructure.server import Found
    from remnant.infrastructure.states import Evidence
    from remnant.store import Store, View

__all__ = ["case_servers"]


def case_servers(
    store: Store,
    view: View,
    case: Case,
    reference: Reference,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    alive_days: int = ALIVE_DAYS,
    candidates: Sequence[str] = (),
) -> Found:
    """Return the servers and names of a case, with their states; arguments as of ``servers``.

    Args:
        store: opened for reading.
        view: of the case.
        case: whose servers.
        reference: whose addresses are.
        since: start of the window (UTC).
        until: its end, exclusive (UTC); what was known later does not count.
        alive_days: see ``servers.Found``.
        candidates: names and addresses that are not the case's.
    """

    def responses(names: Sequence[str]) -> dict[str, list[Evidence]]:
        found = observed(view, names)
        for name, evidence in resolved(store, view, names, until).items():
            found.setdefault(name, []).extend(evidence)
        return found

    return servers(
        case,
        StoredPivots(store, case.name),
        Registrations(store, case.name, simulated=view.simulated, until=until),
        reference,
        since=since,
        until=until,
        alive_days=alive_days,
        candidates=candidates,
        responses=responses,
    )
