"""Results that take seconds, kept for as long as what they were made from stays the same."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remnant.settings import Settings
    from remnant.web.snapshots import Snapshots

__all__ = ["Result", "Results"]


@dataclass(frozen=True, slots=True)
class Result:
    """What is known of one result.

    Attributes:
        value: plain data (what JSON can hold); ``None`` until it was worked out once.
        made: when (UTC).
        is_current: nothing was stored and nothing edited since.
        is_working: it is being worked out now.
        problem: why it could not be, in a sentence.
    """

    value: Any = None
    made: datetime | None = None
    is_current: bool = False
    is_working: bool = False
    problem: str | None = None


class Results:
    """The results of all cases."""

    def __init__(self, settings: Settings, snapshots: Snapshots) -> None:
        self._settings = settings
        self._snapshots = snapshots
        self._lock = threading.Lock()
        self._known: dict[tuple[Any, ...], tuple[str, Result]] = {}

    def get(
        self,
        case: str,
        kind: str,
        *,
        internal: bool,
        since: str | None = None,
        until: str | None = None,
        vantage: str | None = None,
    ) -> Result:
        """Return a result; it is worked out where it is not known yet.

        Args:
            case: name of the case.
            kind: one of ``kinds.KINDS``.
            internal: with small counts; else as it may be published.
            since: start of another window than the default one (ISO 8601); only for internal use.
            until: its end, exclusive.
            vantage: another one than the default.
        """
        from datetime import UTC

        from remnant.errors import RemnantError
        from remnant.web.results.kinds import KINDS

        stamp = self._snapshots.stamp(case)
        given = {"since": since, "until": until, "vantage": vantage}
        asked = {name: text for name, text in given.items() if text is not None}
        key = (case, kind, internal, *sorted(asked.items()))
        with self._lock:
            known = self._known.get(key)
            if known is not None and known[0] == stamp:
                return known[1]
            try:
                value = KINDS[kind](self._settings, case, internal=internal, **asked)
                result = Result(value, datetime.now(tz=UTC), is_current=True)
            except RemnantError as error:
                result = Result(problem=error.text(), is_current=True)
            self._known[key] = (stamp, result)
            return result
