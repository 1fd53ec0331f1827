"""What is drawn as a dated mark on every curve: whatever may bend it without a single clean-up.

The takedown, the events of the case, and each day on which a name was added to what is watched or
lost from it: such a day is a change of what is counted, never growth and never a fall.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from remnant.report.facts import Mark
from remnant.windows import floor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remnant.cases.model import Case
    from remnant.watchlist import Rule
    from remnant.windows import Window

__all__ = ["dated_marks", "from_us"]

_MOST: Final = 60
_NAMED: Final = 2


def from_us(time: int) -> datetime:
    """Return the time that a rule states in microseconds (UTC).

    >>> from_us(0).isoformat()
    '1970-01-01T00:00:00+00:00'
    """
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)


def dated_marks(
    case: Case, rules: Sequence[Rule], added: Iterable[tuple[str, datetime]], window: Window
) -> tuple[Mark, ...]:
    """Return the marks, oldest first.

    Args:
        case: its takedown and events are marks wherever they lie.
        rules: their first and last days of watch are marks inside the window.
        added: indicators that a later version of the case added, with when.
        window: of the report.
    """
    day = floor(case.takedown, "day")
    # An event that only repeats the takedown's day is its note.
    same = [e for e in case.events if floor(e.time, "day") == day and e.kind == "other"]
    events = [Mark(e.time, e.kind, e.note) for e in case.events if e not in same]
    told = {(floor(mark.time, "day"), mark.kind) for mark in events}
    takedown = Mark(case.takedown, "takedown", "; ".join(event.note for event in same))
    changes = [
        mark
        for mark in _changes(case, rules, added, window)
        if (floor(mark.time, "day"), mark.kind) not in told
    ]
    return tuple(sorted([takedown, *events, *changes[:_MOST]], key=lambda mark: mark.time))


def _changes(
    case: Case, rules: Sequence[Rule], added: Iterable[tuple[str, datetime]], window: Window
) -> list[Mark]:
    """Return one mark for each day of the window and each way in which the watch changed."""
    takedown = floor(case.takedown, "day")
    found: dict[tuple[datetime, str], dict[str, datetime]] = {}

    def note(text: str, time: datetime, kind: str) -> None:
        # What is seized at the takedown is watched from then on: that is the takedown itself.
        if window.since < time < window.until and floor(time, "day") != takedown:
            found.setdefault((floor(time, "day"), kind), {}).setdefault(text, time)

    for text, time in added:
        note(text, time, "names_added")
    for rule in rules:
        # Generated names come and go every day: their dates are no change of the watch.
        if rule.valid_from is not None or rule.valid_until is not None:
            continue
        if rule.since is not None:
            note(rule.text, from_us(rule.since), "names_added")
        if rule.until is not None:
            note(rule.text, from_us(rule.until), "names_lost")
    marks = []
    for (_, kind), texts in sorted(found.items()):
        names = sorted(texts)
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        marks.append(Mark(min(texts.values()), kind, ", ".join(names[:_NAMED]) + more))
    return marks
