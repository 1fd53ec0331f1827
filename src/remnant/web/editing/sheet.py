"""What the page of a case under edit shows, and what its buttons do."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel

from remnant.cases.dga import FAMILIES
from remnant.cases.dump import dumps
from remnant.cases.importing import FORMATS, import_bytes
from remnant.cases.model import EVENT_KINDS, HTTP_REPLIES, ROLES, STATES
from remnant.errors import CaseChanged, CaseError, printable
from remnant.web.editing import desk
from remnant.web.editing.check import Checked, Wrong, check_draft, check_text
from remnant.web.editing.desk import Look, VersionRow
from remnant.web.editing.difference import Changes, DiffLine, changes, lines_between
from remnant.web.editing.draft import (
    MAX_TEXT,
    Draft,
    EventDraft,
    WatchDraft,
    draft_of,
    fits,
    from_form,
)
from remnant.web.pages.about import About, about

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remnant.cases.model import Case
    from remnant.web.site import Asked

__all__ = [
    "MAX_UPLOAD",
    "Choices",
    "Edit",
    "Tab",
    "Upload",
    "act",
    "begun",
    "compared",
    "opened",
]

Tab = Literal["form", "text", "import", "versions"]

MAX_UPLOAD: Final = 8 * 1024 * 1024
"""Bytes of an indicator file that a browser may send."""

_DELETE: Final = re.compile(r"delete-(watch|event)-(\d{1,3})")


class Choices(BaseModel):
    """The words that fields may hold."""

    roles: tuple[str, ...] = ROLES
    states: tuple[str, ...] = STATES
    kinds: tuple[str, ...] = EVENT_KINDS
    replies: tuple[str, ...] = HTTP_REPLIES
    families: tuple[str, ...] = tuple(sorted(FAMILIES))
    formats: tuple[str, ...] = FORMATS


CHOICES: Final = Choices()


class Conflict(BaseModel):
    """Somebody else stored the case meanwhile: what they changed since it was opened here."""

    digest: str
    theirs: list[DiffLine]
    theirs_left_out: bool
    text: str


class Imported(BaseModel):
    """What a file held; ``set_aside`` are values that are not watched, the first 200."""

    file: str
    format: str
    names: int
    addresses: int
    duplicates: int
    known: int
    set_aside: list[dict[str, str]]
    set_aside_count: int


class Edit(BaseModel):
    """A case under edit.

    ``digest`` names the version that was opened; storing demands that it still is the newest.
    ``text`` is the case file; ``draft`` is null where the case is too large for the form.
    ``rewrites`` says that storing the form would lose comments or the order of the file.
    """

    about: About | None
    name: str
    origin: str | None
    tab: Tab
    digest: str | None
    draft: Draft | None
    text: str | None
    rewrites: bool
    choices: Choices = CHOICES
    versions: list[VersionRow] = []
    chosen: str | None = None
    compared: Changes | None = None
    look: Look | None = None
    wrong: list[Wrong] = []
    conflict: Conflict | None = None
    imported: Imported | None = None
    notice: str | None = None
    undo: str | None = None


@dataclasses.dataclass(frozen=True)
class Upload:
    """A file that came with a form."""

    name: str
    data: bytes


def opened(asked: Asked, name: str, tab: Tab = "form") -> Edit:
    """Return the page of a case as it is stored.

    Raises:
        CaseError: there is no such case.
    """
    case, text, digest = desk.stored(asked.site, name)
    if digest is None:
        asked.case(name)  # which says what there is
    draft = draft_of(case) if case is not None and fits(case) else None
    return Edit(
        about=_about(asked, name),
        name=name,
        origin=asked.site.library.origin(name),
        tab="text" if tab == "form" and draft is None else tab,
        digest=digest,
        draft=draft,
        text=text if len(text) <= MAX_TEXT else None,
        rewrites=case is not None and text != dumps(case),
        versions=desk.versions(asked.site, name),
    )


def begun(tab: Tab = "form") -> Edit:
    """Return the page of a case that is not there yet."""
    draft = Draft(name="", watches=[WatchDraft()])
    text = '[case]\nname = ""\ntitle = ""\ntakedown = 2015-04-08\n\n[[watch]]\nnames = []\n'
    return Edit(
        about=None,
        name="",
        origin=None,
        tab=tab,
        digest=None,
        draft=draft,
        text=text,
        rewrites=False,
    )


def act(
    asked: Asked, name: str | None, given: Mapping[str, Any], upload: Upload | None
) -> tuple[Edit, int] | desk.Saved:
    """Do what a button of the page says.

    Args:
        asked: the request.
        name: of the case; ``None``: it is a new one, whose name was typed.
        given: the fields.
        upload: the file that came with them.

    Returns:
        What was stored; or the page with what was typed, and its HTTP status.
    """
    do = str(given.get("do", "check"))
    tab: Tab = "text" if given.get("tab") == "text" else "form"
    if do == "import":
        tab = "import"
    sheet = begun() if name is None else opened(asked, name, tab)
    typed = str(given.get("name", "")).strip()[:100] if name is None else name
    base = str(given.get("base", ""))[:64] or None
    current = sheet.digest
    sheet.tab = tab
    try:
        if do == "import":
            return _import(asked, sheet, typed, given, upload, base)
        if tab == "text":
            sheet.text = str(given.get("text", "")).replace("\r\n", "\n")[: MAX_TEXT + 1]
            _bounded(sheet.text)
            checked = check_text(typed or _name_in(sheet.text), sheet.text)
        else:
            sheet.draft = _changed(from_form(typed, given), do)
            if do.startswith(("add-", "delete-")):
                sheet.digest = base
                sheet.notice = "The form has changed; nothing is stored yet."
                return sheet, 200
            checked = check_draft(sheet.draft)
        return _finish(asked, sheet, checked, do, base if do != "overwrite" else current)
    except CaseError as error:
        sheet.wrong = [_said(error)]
        sheet.digest = base
        return sheet, 422


def _bounded(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise CaseError("the text is too long", expected=f"{MAX_TEXT:,} characters")


def _finish(
    asked: Asked, sheet: Edit, checked: Checked, do: str, base: str | None
) -> tuple[Edit, int] | desk.Saved:
    """Check, and store where that was asked for and nothing is wrong."""
    opened_digest, sheet.digest = sheet.digest, base
    if checked.case is None:
        sheet.wrong = list(checked.wrong)
        return sheet, 422
    name = checked.case.name
    as_text = sheet.tab == "text"
    if do in {"save", "overwrite"}:
        try:
            return desk.save(asked.site, checked, as_text=as_text, base=base)
        except CaseChanged as error:
            sheet.wrong = [_said(error)]
            if sheet.about is not None and opened_digest is not None:
                sheet.conflict = _conflict(asked, name, base, opened_digest)
            return sheet, 409
    sheet.look = desk.look(asked.site, name, checked, as_text=as_text)
    return sheet, 200


def _import(
    asked: Asked,
    sheet: Edit,
    name: str,
    given: Mapping[str, Any],
    upload: Upload | None,
    base: str | None,
) -> tuple[Edit, int] | desk.Saved:
    """Put what a file names into the form, or store it at once where it is too much for that."""
    if upload is None or not upload.data:
        raise CaseError("no file was chosen", expected="a list, CSV, STIX 2.1, MISP or case file")
    if len(upload.data) > MAX_UPLOAD:
        raise CaseError(
            "the file is too large for the browser",
            expected=f"at most {MAX_UPLOAD >> 20} MiB",
            hint="remnant case import FILE",
        )
    old = desk.stored(asked.site, name)[0] if sheet.about is not None else None
    typed = check_draft(
        Draft(name=name or "case", takedown=str(given.get("takedown", "")).strip()[:100])
    ).case
    known_case = old or typed
    options = {key: str(given[key])[:1000] for key in ("role", "state", "source") if given.get(key)}
    kind = given.get("format")
    result = import_bytes(
        upload.data,
        upload.name,
        name=name or None,
        takedown=None if known_case is None else known_case.takedown,
        below=bool(given.get("below")),
        input_format=kind if kind in FORMATS else None,
        **options,  # type: ignore[arg-type] # a word that is none is refused when it is read
    )
    merged, known = _merged(old, result.case) if result.format != "toml" else (result.case, 0)
    sheet.imported = Imported(
        file=printable(upload.name, 80),
        format=result.format,
        names=result.names,
        addresses=result.addresses,
        duplicates=result.duplicates,
        known=known,
        set_aside=[
            {key: printable(str(value), 120) for key, value in entry._asdict().items()}
            for entry in result.set_aside[:200]
        ],
        set_aside_count=result.set_aside_count,
    )
    if given.get("at-once"):
        checked = Checked(merged, result.text or dumps(merged))
        sheet.tab = "text" if result.text else "form"
        return _finish(asked, sheet, checked, "save", base)
    sheet.digest = base
    if result.text is not None and len(result.text) <= MAX_TEXT:
        sheet.tab, sheet.text = "text", result.text
    elif fits(merged):
        sheet.tab, sheet.draft = "form", draft_of(merged)
    else:
        raise CaseError(
            "this is more than the form can hold",
            hint="choose the file again and store it at once; that can be undone",
        )
    sheet.notice = "Read from the file; nothing is stored yet."
    return sheet, 200


def _merged(old: Case | None, found: Case) -> tuple[Case, int]:
    """Return the stored case with the rules of an import after its own, and what it knew."""
    if old is None:
        return found, 0
    names = {name for watch in old.watches for name in watch.names}
    addresses = {prefix for watch in old.watches for prefix in watch.addresses}
    known, fresh = 0, []
    for watch in found.watches:
        left = dataclasses.replace(
            watch,
            names=tuple(name for name in watch.names if name not in names),
            addresses=tuple(prefix for prefix in watch.addresses if prefix not in addresses),
        )
        known += len(watch.names) + len(watch.addresses) - len(left.names) - len(left.addresses)
        if left.names or left.addresses:
            fresh.append(left)
    return dataclasses.replace(old, watches=(*old.watches, *fresh)), known


def _changed(draft: Draft, do: str) -> Draft:
    """Return a draft with a row more or less; rows in which nothing was typed go before a check."""
    watches, events = list(draft.watches), list(draft.events)
    row = _DELETE.fullmatch(do)
    if do == "add-watch":
        watches.append(WatchDraft(role="c2", state="unknown"))
    elif do == "add-event":
        events.append(EventDraft())
    elif row is not None:
        rows: list[Any] = watches if row[1] == "watch" else events
        if int(row[2]) < len(rows):
            del rows[int(row[2])]
    else:
        watches = [w for w in watches if not w.is_empty or w.since or w.until or w.source or w.zone]
        events = [e for e in events if e.time or e.note or e.source]
    return draft.model_copy(update={"watches": watches, "events": events})


def _conflict(asked: Asked, name: str, base: str | None, digest: str) -> Conflict:
    """Return what somebody else changed, line by line, since the version that was opened."""
    now = desk.stored(asked.site, name)[1]
    before = next((v for v in asked.site.library.versions(name) if v.digest == base), None)
    old = "" if before is None else before.path.read_text("utf-8-sig", "replace")
    theirs, cut = lines_between(old, now)
    return Conflict(digest=digest, theirs=theirs, theirs_left_out=cut, text=now[:MAX_TEXT])


def compared(asked: Asked, name: str, digest: str) -> Changes | None:
    """Return what restoring a version would change; ``None``: it cannot be read."""
    from remnant.cases import casefile

    old, old_text, _ = desk.stored(asked.site, name)
    for version in asked.site.library.versions(name):
        if version.digest == digest:
            try:
                case = casefile.load(version.path)
                return changes(old, case, old_text, version.path.read_text("utf-8-sig"))
            except CaseError:
                return None
    return None


def _about(asked: Asked, name: str) -> About:
    try:
        return about(asked, name)
    except CaseError:
        # A file that was broken by hand is mended here, so the page opens.
        return About(
            name=name,
            title=name,
            short=name,
            remark="",
            takedown=None,
            simulated=False,
            until=None,
            stored=None,
            tabs=[],
        )


def _name_in(text: str) -> str:
    found = re.search(r"""^[ \t]*name[ \t]*=[ \t]*["']([^"']{1,100})""", text, re.MULTILINE)
    return found[1] if found else ""


def _said(error: CaseError) -> Wrong:
    return Wrong(
        what=error.what, got=error.got, expected=error.expected, hint=error.hint, path=None
    )
