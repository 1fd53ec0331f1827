"""Who asks, and what a role may see."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = [
    "ANALYSTS",
    "ANYBODY",
    "EVERYONE",
    "LOCAL",
    "NOBODY",
    "OPERATORS",
    "OWNERS",
    "PUBLIC",
    "Role",
    "Viewer",
]


class Role(StrEnum):
    """What somebody may do, from most to least."""

    OPERATOR = "operator"
    """Runs the site: accounts, tokens, audit log, and all that an analyst may."""
    ANALYST = "analyst"
    """Sees every number and address, edits cases, makes reports."""
    OWNER = "network_owner"
    """Sees the clients of its own networks, and for the rest what the public sees."""
    PUBLIC = "public"
    """Sees sums, small counts hidden."""
    NOBODY = "nobody"
    """Is not signed in, where the site has no public pages: sees where to sign in."""


OPERATORS: Final = frozenset({Role.OPERATOR})
ANALYSTS: Final = OPERATORS | {Role.ANALYST}
OWNERS: Final = ANALYSTS | {Role.OWNER}
EVERYONE: Final = OWNERS | {Role.PUBLIC}
"""All who may look at pages; not those who must sign in first."""
ANYBODY: Final = EVERYONE | {Role.NOBODY}
"""For what signing in needs, and for the files of the pages' look."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks.

    Attributes:
        name: of the account; "local" where the server has no accounts.
        role: what it may do.
        networks: of a network owner: "AS64500" or prefixes.
    """

    name: str
    role: Role
    networks: tuple[str, ...] = ()

    @property
    def is_internal(self) -> bool:
        """Whether small counts and addresses are shown."""
        return self.role in ANALYSTS

    @property
    def is_known(self) -> bool:
        """Whether an account, or this machine's own user, asks."""
        return self.role in OWNERS

    @property
    def is_local(self) -> bool:
        """Whether this machine's own user asks; no account may have the name."""
        return self.name == "local"

    @property
    def may_look(self) -> bool:
        """Whether any page of the dashboard opens."""
        return self.role in EVERYONE


LOCAL: Final = Viewer("local", Role.OPERATOR)
"""Who asks a server that listens on this machine alone and has no accounts."""
PUBLIC: Final = Viewer("", Role.PUBLIC)
NOBODY: Final = Viewer("", Role.NOBODY)
