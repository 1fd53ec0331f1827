"""Generated names: families whose bots ask for names that an algorithm makes, most by the date.

Each family is one module beside this file, written from published facts about the algorithm and
checked against published lists. ``FAMILIES`` is the one place where they are listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from remnant.cases.dga import (
    chinad,
    conficker,
    gozi,
    kraken,
    murofet,
    necurs,
    newgoz,
    qakbot,
    ramnit,
    ranbyus,
    simda,
    symmi,
    tinba,
    zloader,
)
from remnant.errors import CaseError

if TYPE_CHECKING:
    from datetime import date

    from remnant.cases.dga.algorithm import Barrel

__all__ = ["FAMILIES", "Family", "family", "generate"]


class Family(Protocol):
    """One algorithm, with the seed or key of one set of samples."""

    @property
    def name(self) -> str:
        """The word used for ``dga =`` in a case file."""

    @property
    def title(self) -> str:
        """What a person calls it."""

    @property
    def per_day(self) -> int:
        """Names that hold on one day, at most: those of one list (theta of the estimators)."""

    @property
    def reference(self) -> str:
        """Where the facts are published."""

    @property
    def epoch_days(self) -> int | None:
        """Days for which one list usually holds; ``None``: there is one list, for always."""

    @property
    def barrel(self) -> Barrel | None:
        """How a bot goes through the list; ``None`` if that is not published."""

    @property
    def lookups(self) -> int | None:
        """Names that a bot tries at most when it wakes up; ``None`` if that is not published."""

    @property
    def barrel_source(self) -> str | None:
        """Where ``barrel`` and ``lookups`` are published."""

    @property
    def lookback_days(self) -> int:
        """Days after the last of its list on which bots still ask for a name, by design."""

    @property
    def checked(self) -> bool:
        """Whether a published list of this very seed or key was made again, name by name."""

    def begins(self, day: date) -> date | None:
        """Return the first UTC day of the list that holds on a day; ``None``: it always held."""
        ...

    def generate(self, day: date) -> list[str]:
        """Return the folded names that hold on one UTC day, in the order of the bot."""
        ...


FAMILIES: Final[dict[str, Family]] = {
    entry.name: entry
    for module in (
        newgoz,
        murofet,
        conficker,
        necurs,
        gozi,
        qakbot,
        ranbyus,
        symmi,
        chinad,
        zloader,
        kraken,
        ramnit,
        simda,
        tinba,
    )
    for entry in module.FAMILIES
}
"""The families that are known, by name: those that depend on the date first."""


def family(name: str) -> Family:
    """Return the family of a name.

    Raises:
        CaseError: no such family.
    """
    try:
        return FAMILIES[name]
    except KeyError:
        raise CaseError(
            "no generator of this name is built in",
            got=name,
            expected=", ".join(sorted(FAMILIES)),
            hint="list the generated names of other families one by one, with from and until",
        ) from None


def generate(name: str, day: date) -> list[str]:
    """Return the names that a family's bots ask for on one UTC day, folded.

    Raises:
        CaseError: no such family.

    >>> from datetime import date
    >>> generate("newgoz", date(2015, 8, 31))[0]
    'xzz3ug32bale1uo60y7xj6rge.com'
    """
    return family(name).generate(day)
