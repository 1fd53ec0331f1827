"""What the pages of one server share: settings, cases, snapshots of the store, results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from remnant.cases.library import Library
from remnant.cases.model import Case
from remnant.settings import Settings
from remnant.web.access.viewer import Viewer
from remnant.web.results.results import Results
from remnant.web.snapshots import Snapshots

__all__ = ["Asked", "AskedBy", "Site"]


@dataclass(frozen=True, slots=True)
class Site:
    """One server.

    Attributes:
        settings: of the home folder.
        library: the stored cases.
        snapshots: views of the store, as new as the store.
        results: what takes longer than a page may.
        guarded: it has accounts; otherwise only this machine reaches it.
    """

    settings: Settings
    library: Library
    snapshots: Snapshots
    results: Results
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: who asks, where.

    Attributes:
        request: as it came.
        viewer: who asks.
        site: whom.
    """

    request: Request
    viewer: Viewer
    site: Site
    notes: list[str] = field(default_factory=list)

    def case(self, name: str) -> Case:
        """Return a stored case.

        Raises:
            CaseError: there is none of that name.
        """
        return self.site.library.get(name)


def _asked(request: Request) -> Asked:
    # The gate (``web.access.gate``) has put the viewer there before any page runs.
    return Asked(request, request.state.viewer, request.app.state.site)


AskedBy = Annotated[Asked, Depends(_asked)]
"""The parameter of every page."""
