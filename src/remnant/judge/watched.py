"""Whether what was read agrees with what the case watches now.

A source that was read with an older watchlist lacks the names that were added since: they are
missing before it is read again, and would be growth after.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from remnant.errors import RemnantError, printable
from remnant.watchlist import digest_of

if TYPE_CHECKING:
    from datetime import datetime

    from remnant.cases.model import Case
    from remnant.settings import Settings
    from remnant.store import View

__all__ = ["Watched", "current_digest", "watched"]

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Watched:
    """The age of the watchlists that the sources of a case were read with.

    Attributes:
        sources: sources read.
        older: of those, read with another watchlist than the case's present one.
        added: indicators that a later version of the case added, oldest first, with when (UTC).
    """

    sources: int
    older: int
    added: tuple[tuple[str, datetime], ...]

    @property
    def age(self) -> str | None:
        """How many sources are older, in words; null if none is."""
        if not self.older:
            return None
        were = "source was" if self.sources == 1 else "sources were"
        return f"{self.older} of {self.sources} {were} read with an older watchlist"

    @property
    def since(self) -> str | None:
        """What is watched since when, in words; null if nothing was added to the case."""
        if not self.added:
            return None
        shown = [f"{printable(text, 80)} since {at:%Y-%m-%d}" for text, at in self.added[:_SHOWN]]
        if len(self.added) > _SHOWN:
            last = max(at for _, at in self.added)
            shown.append(f"{len(self.added) - _SHOWN:,} more, the last since {last:%Y-%m-%d}")
        return "added to the case after its first version: " + "; ".join(shown)


def current_digest(case: Case) -> str:
    """Return the digest of what a case watches now, as the ledger keeps it for each source."""
    from remnant.cases.rules import compile_rules  # noqa: PLC0415 - generates names

    return digest_of(compile_rules(case), case.name)


def watched(view: View, case: Case, settings: Settings, *, digest: str | None = None) -> Watched:
    """Return how old the watchlists of a case's sources are, and what was added to it.

    Args:
        view: the case's tables.
        case: the case as it is now.
        settings: where the versions of the case are.
        digest: ``current_digest(case)``, where it is known already.
    """
    from remnant.cases.library import Library  # noqa: PLC0415 - reads the stored versions

    digest = digest or current_digest(case)
    try:
        since = Library(settings.home).watched_since(case.name)
    except (RemnantError, OSError):
        since = {}
    start = min(since.values(), default=None)
    added = sorted(
        ((text, time) for text, time in since.items() if start is not None and time > start),
        key=lambda pair: (pair[1], pair[0]),
    )
    older = sum(source.watchlist != digest for source in view.sources)
    return Watched(len(view.sources), older, tuple(added))
