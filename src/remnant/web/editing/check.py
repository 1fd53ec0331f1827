"""What is wrong with a draft, and where: the messages of ``remnant case check``, by field."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from remnant.cases import casefile
from remnant.cases.model import Case
from remnant.errors import CaseError, printable
from remnant.web.editing.draft import Draft, to_toml

__all__ = ["Checked", "Wrong", "check_draft", "check_text", "field_of"]

_PATH: Final = re.compile(
    r"\(((?:case|watch|event|sinkhole)(?:\[\d+\])?(?:\.[a-z_]+(?:\[\d+\])?)?)\)"
)
_LINE: Final = re.compile(r":(\d+)(?: \(|$)")
_PART: Final = re.compile(r"(watch|event)\[(\d+)\](?:\.([a-z_]+))?")
_MOST: Final = 50


class Wrong(BaseModel):
    """One thing that is wrong.

    ``path`` is the place in the case file (``watch[0].names[2]``, counted from 0), ``field`` the
    field of the form, ``line`` the line of the text.
    """

    path: str | None = None
    field: str | None = None
    line: int | None = None
    what: str
    got: str | None = None
    expected: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A case, or what keeps the draft from being one."""

    case: Case | None
    text: str
    wrong: tuple[Wrong, ...] = ()


def check_text(name: str, text: str) -> Checked:
    """Read a case file that somebody typed.

    Args:
        name: the case that it has to be.
        text: TOML.
    """
    try:
        case = casefile.loads(text, "text")
    except CaseError as error:
        return Checked(None, text, (_wrong(error),))
    if case.name != name:
        return Checked(None, text, (_other_name(case.name, name),))
    return Checked(case, text)


def check_draft(draft: Draft) -> Checked:
    """Read what was typed into the form: each rule and event by itself, then all together."""
    text = to_toml(draft)
    head = Draft(name="case", takedown="2000-01-01")
    found: list[Wrong] = []
    parts = [(Draft(name=draft.name, title=draft.title, takedown=draft.takedown), "case", 0)]
    parts += [
        (head.model_copy(update={"watches": [watch]}), "watch", index)
        for index, watch in enumerate(draft.watches)
    ]
    parts += [
        (head.model_copy(update={"events": [event]}), "event", index)
        for index, event in enumerate(draft.events)
    ]
    if draft.sinkhole is not None:
        parts.append((head.model_copy(update={"sinkhole": draft.sinkhole}), "sinkhole", 0))
    for part, table, index in parts:
        try:
            casefile.loads(to_toml(part), "form")
        except CaseError as error:
            found.append(_wrong(error, table, index))
            if len(found) == _MOST:
                break
    if found:
        return Checked(None, text, tuple(found))
    try:
        return Checked(casefile.loads(text, "form"), text)
    except CaseError as error:
        return Checked(None, text, (_wrong(error),))


def field_of(path: str | None) -> str | None:
    """Return the name of the form's field that a place in the case file stands in.

    >>> field_of("watch[2].names[5]"), field_of("case.takedown"), field_of("sinkhole.ttl")
    ('watch-2-names', 'takedown', 'sinkhole-ttl')
    """
    if path is None:
        return None
    row = _PART.match(path)
    if row is not None:
        return f"{row[1]}-{row[2]}-{row[3] or ('names' if row[1] == 'watch' else 'time')}"
    table, _, key = path.partition(".")
    key = key.partition("[")[0]
    if table == "case":
        return key or "title"
    return f"sinkhole-{key.replace('_', '-') or 'addresses'}"


def _wrong(error: CaseError, table: str | None = None, index: int = 0) -> Wrong:
    where = error.where or ""
    paths = _PATH.findall(where)
    path = paths[-1] if paths else table
    if table in {"watch", "event"} and path is not None:
        # Each table was read as if it were the only one.
        path = re.sub(r"^(watch|event)(\[0\])?", f"{table}[{index}]", path, count=1)
    line = _LINE.search(where)
    hint = error.hint
    if hint == "leave out the quotes":
        hint = "write a day as 2015-04-08, or a time as 2015-04-08T12:00:00Z"
    return Wrong(
        path=path,
        field=field_of(path),
        line=int(line[1]) if line is not None and table is None else None,
        what=error.what,
        got=error.got,
        expected=error.expected,
        hint=hint,
    )


def _other_name(got: str, expected: str) -> Wrong:
    return Wrong(
        path="case.name",
        field="text",
        what="the text is that of another case",
        got=printable(got),
        expected=expected,
        hint="a case keeps its name; a new case gets a page of its own",
    )
