"""Editing a case: a form, the text itself, files of indicators, and every version there was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile

from remnant.errors import CaseChanged, printable
from remnant.web.access.audit import Action, audit
from remnant.web.access.gate import admits
from remnant.web.access.viewer import ANALYSTS
from remnant.web.editing import desk
from remnant.web.editing.sheet import MAX_UPLOAD, Edit, Tab, Upload, act, compared, opened
from remnant.web.frame import render
from remnant.web.page import page
from remnant.web.site import AskedBy

__all__ = ["Fields", "answered", "router"]

router = APIRouter(tags=["editing"])

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Editing(BaseModel):
    """State of the page: the tab, the version compared, what was just stored."""

    model_config = ConfigDict(extra="forbid")

    tab: Tab = "form"
    version: Digest | None = None
    stored: Digest | None = None


class Fields(BaseModel):
    """The fields of a form, and the file that came with them."""

    given: dict[str, Any]
    upload: Any = None


async def fields(request: Request) -> AsyncIterator[Fields]:
    """Read the fields of a form; of a file one byte more than is allowed."""
    form = await request.form()
    try:
        given = {key: value for key, value in form.items() if isinstance(value, str)}
        file = form.get("file")
        upload = None
        if isinstance(file, UploadFile):
            data = await file.read(MAX_UPLOAD + 1)
            upload = Upload(printable(file.filename or "file", 100), data)
        yield Fields(given=given, upload=upload)
    finally:
        await form.close()


@page(router, "/cases/{case}/edit", title="Edit", roles=ANALYSTS, kept=False)
def edit(asked: AskedBy, case: str, query: Annotated[Editing, Query()]) -> Edit:
    """Return a case as it can be edited: its rules, its text, and its versions."""
    sheet = opened(asked, case, query.tab)
    if query.tab == "versions" and query.version is not None:
        sheet.chosen = query.version
        sheet.compared = compared(asked, case, query.version)
    if query.stored is not None and sheet.digest == query.stored:
        sheet.notice = f"Stored as version {query.stored}."
        older = [row.digest for row in sheet.versions if row.digest != query.stored]
        sheet.undo = older[0] if older else None
    return sheet


@router.post("/cases/{case}/edit", include_in_schema=False)
@admits(ANALYSTS, records=Action.CASE_EDITED)
def edit_sent(asked: AskedBy, case: str, sent: Annotated[Fields, Depends(fields)]) -> Response:
    """Do what a button of the page says, and show the page or go to what was stored."""
    return answered(asked, act(asked, case, sent.given, sent.upload))


@router.post("/cases/{case}/edit/restore", include_in_schema=False)
@admits(ANALYSTS, records=Action.CASE_EDITED)
def restore_sent(asked: AskedBy, case: str, sent: Annotated[Fields, Depends(fields)]) -> Response:
    """Store an older version again."""
    version, base = (str(sent.given.get(key, ""))[:64] for key in ("version", "base"))
    try:
        saved = desk.restore(asked.site, case, version, base=base)
    except CaseChanged as error:
        raise HTTPException(409, error.what) from None
    return answered(asked, saved, told=" restored")


def answered(
    asked: AskedBy,
    found: tuple[Edit, int] | desk.Saved,
    action: Action = Action.CASE_EDITED,
    told: str = "",
) -> Response:
    """Return the page, or send the browser to the case that was stored, which is recorded."""
    if isinstance(found, desk.Saved):
        audit(asked.request, action, f"{found.case} {found.digest}{told}")
        where = f"/cases/{quote(found.case, safe='')}/edit?stored={found.digest}"
        return RedirectResponse(where, status_code=303)
    sheet, status = found
    response = render(asked, "edit", "Edit" if sheet.about else "New case", sheet)
    response.status_code = status
    return response
