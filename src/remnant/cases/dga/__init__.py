"""Generated names: families whose bots ask for names that depend on the date.

Each family is one module beside this file, written from published facts about the algorithm and
checked against published lists. ``FAMILIES`` is the one place where they are listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from remnant.cases.dga.newgoz import NEWGOZ
from remnant.errors import CaseError

if TYPE_CHECKING:
    from datetime import date

__all__ = ["FAMILIES", "Family", "family", "generate"]


class Family(Protocol):
    """One algorithm."""

    @property
    def name(self) -> str:
        """The word used for ``dga =`` in a case file."""

    @property
    def title(self) -> str:
        """What a person calls it."""

    @property
    def per_day(self) -> int:
        """Names of one day, at most."""

    @property
    def reference(self) -> str:
        """Where the facts are published."""

    def generate(self, day: date) -> list[str]:
        """Return the folded names of one UTC day, in the order in which a bot makes them."""
        ...


FAMILIES: Final[dict[str, Family]] = {entry.name: entry for entry in (NEWGOZ,)}
"""The families that are known, by name."""


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
