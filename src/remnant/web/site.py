"""What the pages of one server share: settings, cases, snapshots of the store, results."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

from fastapi import Depends, Request

from remnant.cases.library import Library
from remnant.cases.model import Case
from remnant.settings import Settings
from remnant.web.access.viewer import Viewer
from remnant.web.answers import Answers
from remnant.web.live import Live
from remnant.web.results.results import Results
from remnant.web.results.state import edited
from remnant.web.snapshots import Snapshots

if TYPE_CHECKING:
    from collections.abc import Hashable

    from remnant.web.access.access import Access

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
        answers: what pages answered at the present state.
        live: tells open pages that something is new.
    """

    settings: Settings
    library: Library
    snapshots: Snapshots
    results: Results
    guarded: bool = False
    answers: Answers = field(default_factory=Answers)
    live: Live = field(default_factory=Live)

    def state(self, case: str | None) -> str:
        """Return a short text that changes when a page about a case, or about all, may differ."""
        if case is not None:
            told: tuple[object, ...] = (self.results.state(case), self.results.epoch(case))
        else:
            names = self.library.names()
            edits = [edited(self.settings.home, name) for name in names]
            told = (self.snapshots.revision(), names, edits, self.results.made())
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


@dataclass(frozen=True)
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

    @property
    def access(self) -> Access:
        """Accounts, sessions, tokens and the audit log of the site."""
        found: Access = self.request.app.state.access
        return found

    def case(self, name: str) -> Case:
        """Return a stored case.

        Raises:
            CaseError: there is none of that name.
        """
        return self.site.library.get(name)

    @cached_property
    def state(self) -> str:
        """The state of what the page is about: of its case, or of all."""
        name = self.request.path_params.get("case")
        # A name that is none cannot have a state; the page itself says what is wrong with it.
        known = isinstance(name, str) and name in self.site.library.names()
        return self.site.state(name if known else None)

    @property
    def scope_of_view(self) -> Hashable:
        """What decides what may be seen: all who have the same see the same numbers."""
        return self.viewer.role, self.viewer.networks

    @cached_property
    def path_and_query(self) -> str:
        """What was asked, without the order of the parameters."""
        path = "/".join(f"{k}={v}" for k, v in sorted(self.request.path_params.items()))
        return f"{path}?{urlencode(sorted(self.request.query_params.multi_items()))}"


def _asked(request: Request) -> Asked:
    # The gate (``web.access.gate``) has put the viewer there before any page runs.
    return Asked(request, request.state.viewer, request.app.state.site)


AskedBy = Annotated[Asked, Depends(_asked)]
"""The parameter of every page."""
