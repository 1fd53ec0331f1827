"""Everything that says who comes in, of one server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remnant.web.access.accounts import Accounts
from remnant.web.access.audit import AuditLog
from remnant.web.access.factors import Factors
from remnant.web.access.limits import LoginLimits
from remnant.web.access.sessions import Sessions
from remnant.web.access.tables import Database
from remnant.web.access.tokens import Tokens

if TYPE_CHECKING:
    from remnant.settings import Settings

__all__ = ["Access"]


class Access:
    """Accounts, sessions, tokens and the record of what they did.

    Args:
        settings: of the home folder.
        guarded: the site demands accounts.

    Attributes:
        guarded: as given.
        is_public: whoever is not signed in may see the public's pages.
        accounts: who may sign in.
        sessions: who did.
        tokens: of programs.
        log: the audit log.
        factors: second factors of accounts.
        demands_factor: whoever signs in must have one.
        limits: how fast passwords may be tried.
    """

    def __init__(self, settings: Settings, *, guarded: bool = False) -> None:
        self._database = Database(settings)
        self.guarded = guarded
        self.is_public = settings.web.public
        self.accounts = Accounts(self._database)
        self.sessions = Sessions(self._database, settings.web)
        self.tokens = Tokens(self._database)
        self.factors = Factors(self._database)
        self.demands_factor = settings.web.second_factor
        self.log = AuditLog(self._database, settings.web)
        self.limits = LoginLimits(self._database, settings.web.login_attempts)

    def close(self) -> None:
        """Give back the connections."""
        self._database.close()
