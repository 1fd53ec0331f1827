"""What a new state of a case changes: indicators, and lines of the file."""

from __future__ import annotations

import difflib
from dataclasses import replace
from itertools import islice
from typing import Final, Literal

from pydantic import BaseModel

from remnant.cases.library import indicators_of
from remnant.cases.model import Case
from remnant.windows import iso

__all__ = ["Changes", "DiffLine", "changes", "lines_between"]

_LINES: Final = 4000
"""Lines that are compared one by one; comparing takes up to the square of them."""
_SHOWN: Final = 400


class DiffLine(BaseModel):
    """One line of the file: kept, added or removed; ``gap`` stands for lines left out."""

    sign: Literal["same", "added", "removed", "gap"]
    text: str


class Changes(BaseModel):
    """What would change.

    ``added`` and ``removed`` are indicators, the first 400 of them, ``added_count`` and
    ``removed_count`` how many there are; ``restated`` have another role, state, date or source.
    ``lines`` is empty where the file is too long to compare line by line.
    """

    added: list[str]
    added_count: int
    removed: list[str]
    removed_count: int
    restated: list[str]
    restated_count: int
    other: list[str]
    lines: list[DiffLine]
    lines_left_out: bool
    is_same: bool


def changes(old: Case | None, new: Case, old_text: str, new_text: str) -> Changes:
    """Return what storing a case would change.

    Args:
        old: as stored; ``None``: there is none yet.
        new: as edited.
        old_text: the stored file.
        new_text: the file that would be stored.
    """
    before = {} if old is None else _stated(old)
    after = _stated(new)
    added = [text for text in after if text not in before]
    removed = [text for text in before if text not in after]
    restated = [text for text, way in after.items() if text in before and before[text] != way]
    lines, cut = lines_between(old_text, new_text)
    return Changes(
        added=added[:_SHOWN],
        added_count=len(added),
        removed=removed[:_SHOWN],
        removed_count=len(removed),
        restated=restated[:_SHOWN],
        restated_count=len(restated),
        other=[] if old is None else _other(old, new),
        lines=lines,
        lines_left_out=cut,
        is_same=old_text == new_text,
    )


def lines_between(old: str, new: str) -> tuple[list[DiffLine], bool]:
    """Return the lines that differ, with three around each, and whether some were left out."""
    one, two = old.splitlines(), new.splitlines()
    if max(len(one), len(two)) > _LINES:
        return [], True
    found = []
    for line in islice(difflib.unified_diff(one, two, lineterm="", n=3), 2, _SHOWN + 2):
        if line.startswith("@@"):
            found.append(DiffLine(sign="gap", text=""))
            continue
        sign: Literal["same", "added", "removed"] = "same"
        if line[0] in "+-":
            sign = "added" if line[0] == "+" else "removed"
        found.append(DiffLine(sign=sign, text=line[1:][:500]))
    return found, len(found) == _SHOWN


def _stated(case: Case) -> dict[str, object]:
    """Return how each indicator is stated: the rule without its indicators."""
    found: dict[str, object] = {}
    for watch in case.watches:
        way = replace(watch, names=(), addresses=(), families=())
        for text in indicators_of(Case("x", "x", case.takedown, (watch,))):
            found.setdefault(text, way)
    return found


def _other(old: Case, new: Case) -> list[str]:
    found = []
    if old.title != new.title:
        found.append("title")
    if old.takedown != new.takedown:
        found.append(f"takedown: {iso(old.takedown)} to {iso(new.takedown)}")
    if old.events != new.events:
        found.append(f"events: {len(old.events)} to {len(new.events)}")
    if old.sinkhole != new.sinkhole:
        found.append("what the sinkhole answers")
    return found
