"""Editing cases by program: check, store, restore, read files; what the page of a case does too."""

from __future__ import annotations

from typing import Annotated, Self

from fastapi import APIRouter, File, Form, Path, UploadFile
from pydantic import BaseModel, ConfigDict, Field, model_validator

from remnant.cases.importing import Format, import_bytes
from remnant.errors import CaseError, printable
from remnant.watchlist import Role, State
from remnant.web.access.audit import Action, audit
from remnant.web.access.gate import admits
from remnant.web.access.viewer import ANALYSTS
from remnant.web.editing import desk
from remnant.web.editing.check import Checked, check_draft, check_text
from remnant.web.editing.desk import Look, Saved, VersionRow
from remnant.web.editing.draft import MAX_TEXT, Draft, draft_of, fits
from remnant.web.editing.sheet import MAX_UPLOAD
from remnant.web.problem import RESPONSES
from remnant.web.site import AskedBy

__all__ = ["router"]

router = APIRouter(prefix="/api/cases", tags=["editing"], responses=RESPONSES)

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Name of a case.")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Edited(BaseModel):
    """A case as it was edited: either a draft, or the text of a case file."""

    model_config = ConfigDict(extra="forbid")

    draft: Draft | None = None
    text: Annotated[str, Field(max_length=MAX_TEXT)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.draft is None) == (self.text is None):
            raise ValueError("either draft or text")
        return self


class Stored(Edited):
    """What is to be stored; ``base`` is the version that was edited, null for a new case."""

    base: Digest | None = None


class Restored(BaseModel):
    """Which version to store again, and the newest one that is known (``base``)."""

    model_config = ConfigDict(extra="forbid")

    version: Digest
    base: Digest


class CaseText(BaseModel):
    """The text of one version of a case; ``digest`` is what edits state as their ``base``."""

    case: str
    digest: str
    text: str


class Found(BaseModel):
    """What a file names. Nothing is stored.

    ``draft`` is null where the form could not show it; ``text`` is the case file that says it.
    """

    format: str
    names: int
    addresses: int
    families: int
    duplicates: int
    set_aside: list[dict[str, str]]
    set_aside_count: int
    draft: Draft | None
    text: str | None


@router.post("/{case}/check", operation_id="check_case", summary="Check an edited case")
@admits(ANALYSTS)
def check(asked: AskedBy, case: Name, edited: Edited) -> Look:
    """Say what is wrong with an edit, what it changes, and what it would match. Stores nothing."""
    return desk.look(asked.site, case, _read(case, edited), as_text=edited.text is not None)


@router.put("/{case}", operation_id="store_case", summary="Store an edited case")
@admits(ANALYSTS, records=(Action.CASE_EDITED, Action.CASE_MADE))
def store(asked: AskedBy, case: Name, edited: Stored) -> Saved:
    """Store a case as its newest version.

    409: the case is not at version ``base`` any more (or is there, where ``base`` is null).
    """
    checked = _read(case, edited)
    if checked.case is None:
        first = checked.wrong[0]
        raise CaseError(
            first.what, where=first.path, got=first.got, expected=first.expected, hint=first.hint
        )
    saved = desk.save(asked.site, checked, as_text=edited.text is not None, base=edited.base)
    action = Action.CASE_MADE if edited.base is None else Action.CASE_EDITED
    audit(asked.request, action, f"{saved.case} {saved.digest}")
    return saved


@router.get("/{case}/text", operation_id="case_text", summary="The file of a case")
@admits(ANALYSTS)
def text(asked: AskedBy, case: Name) -> CaseText:
    """Return the case file as it is stored, with its comments."""
    found = asked.site.library.text(case)
    return CaseText(case=case, digest=str(asked.site.library.digest(case)), text=found)


@router.get("/{case}/versions", operation_id="case_versions", summary="Versions of a case")
@admits(ANALYSTS)
def versions(asked: AskedBy, case: Name) -> list[VersionRow]:
    """Return the newest 100 versions of a case, newest first."""
    asked.case(case)
    return desk.versions(asked.site, case)


@router.get("/{case}/versions/{version}", operation_id="case_version", summary="One version")
@admits(ANALYSTS)
def version(
    asked: AskedBy, case: Name, version: Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
) -> CaseText:
    """Return the text of one version of a case."""
    for found in asked.site.library.versions(case):
        if found.digest == version:
            read = found.path.read_text("utf-8-sig", "replace")
            return CaseText(case=case, digest=version, text=read)
    raise CaseError("there is no such version", got=version)


@router.post("/{case}/restore", operation_id="restore_case", summary="Restore a version")
@admits(ANALYSTS, records=Action.CASE_EDITED)
def restore(asked: AskedBy, case: Name, what: Restored) -> Saved:
    """Store an older version again, as the newest one; the others are kept."""
    saved = desk.restore(asked.site, case, what.version, base=what.base)
    audit(asked.request, Action.CASE_EDITED, f"{saved.case} {saved.digest} restored")
    return saved


@router.post("/{case}/import", operation_id="read_indicators", summary="Read a file of indicators")
@admits(ANALYSTS)
def read(
    case: Name,
    file: Annotated[UploadFile, File(description="A list, CSV, STIX 2.1, MISP or a case file.")],
    takedown: Annotated[
        str, Form(max_length=40, description="A UTC day or a time; not for a case file.")
    ] = "",
    input_format: Annotated[Format | None, Form(description="Left out: as it looks.")] = None,
    below: Annotated[bool, Form(description="Watch everything below each name as well.")] = False,
    role: Annotated[Role, Form(description="Of indicators that do not say their own.")] = "c2",
    state: Annotated[State, Form(description="As role.")] = "unknown",
    source: Annotated[str, Form(max_length=1000, description="Where they are from.")] = "",
) -> Found:
    """Return what a file names as a draft, for ``store_case``. Stores nothing."""
    from remnant.cases.dump import dumps
    from remnant.windows import parse_time

    data = file.file.read(MAX_UPLOAD + 1)
    if len(data) > MAX_UPLOAD:
        raise CaseError("the file is too large", expected=f"at most {MAX_UPLOAD >> 20} MiB")
    result = import_bytes(
        data,
        printable(file.filename or "file", 100),
        name=case,
        takedown=parse_time(takedown) if takedown else None,
        below=below,
        role=role,
        state=state,
        source=source or None,
        input_format=input_format,
    )
    whole = result.text or dumps(result.case)
    return Found(
        format=result.format,
        names=result.names,
        addresses=result.addresses,
        families=result.families,
        duplicates=result.duplicates,
        set_aside=[
            {key: printable(str(value)) for key, value in entry._asdict().items()}
            for entry in result.set_aside[:1000]
        ],
        set_aside_count=result.set_aside_count,
        draft=draft_of(result.case) if fits(result.case) else None,
        text=whole if len(whole) <= MAX_TEXT else None,
    )


def _read(case: str, edited: Edited) -> Checked:
    if edited.text is not None:
        return check_text(case, edited.text.replace("\r\n", "\n"))
    assert edited.draft is not None
    return check_draft(edited.draft.model_copy(update={"name": case}))
