"""Checking, storing and restoring a case, as the page and the API both do it."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from remnant.cases.dump import dumps
from remnant.cases.model import Case
from remnant.cases.preview import preview
from remnant.errors import CaseChanged, CaseError, printable
from remnant.web.editing.check import Checked, Wrong, field_of
from remnant.web.editing.difference import Changes, changes
from remnant.web.editing.draft import MAX_TEXT
from remnant.web.editing.matches import Matches, matches
from remnant.web.site import Site

__all__ = ["Look", "Odd", "Saved", "VersionRow", "look", "restore", "save", "stored", "versions"]


class Odd(BaseModel):
    """Something that a person should look at; the case can be stored all the same."""

    path: str
    field: str | None
    text: str
    message: str


class Look(BaseModel):
    """What a draft would do: what is wrong, what is odd, what changes, what it would match.

    ``kinds`` counts the written indicators (exact, below, address, family), ``zones`` the seized
    zones of the names. Where something is wrong only ``wrong`` says anything.
    """

    is_valid: bool
    wrong: list[Wrong]
    odd: list[Odd] = []
    odd_count: int = 0
    kinds: dict[str, int] = {}
    zones: int = 0
    generated: int = 0
    duplicates: int = 0
    changes: Changes | None = None
    matches: Matches | None = None


class VersionRow(BaseModel):
    """One version of a case; ``saved`` is UTC."""

    digest: str
    saved: datetime
    is_current: bool
    title: str | None
    indicators: int | None
    problem: str | None = None


class Saved(BaseModel):
    """What was stored: the digest of the version, and when it was (UTC)."""

    case: str
    digest: str
    saved: datetime


def stored(site: Site, name: str) -> tuple[Case | None, str, str | None]:
    """Return a case as it is read now, its text and the text's digest; none of them where not.

    A file that was broken by hand has a text, and no case.
    """
    library = site.library
    digest = library.digest(name)
    if digest is None:
        return None, "", None
    try:
        return library.get(name), library.text(name), digest
    except CaseError:
        try:
            return None, library.path(name).read_text("utf-8-sig", "replace"), digest
        except OSError:
            return None, "", digest


def look(site: Site, name: str, checked: Checked, *, as_text: bool) -> Look:
    """Return what storing a draft would do.

    Args:
        site: where the case is stored.
        name: of the case.
        checked: the draft, read.
        as_text: the text is stored as it was typed; else the file is written anew.
    """
    if checked.case is None:
        return Look(is_valid=False, wrong=list(checked.wrong))
    old, old_text, _ = stored(site, name)
    seen = preview(checked.case)
    text = checked.text if as_text else dumps(checked.case)
    return Look(
        is_valid=True,
        wrong=[],
        odd=[
            Odd(path=warn.path, field=field_of(warn.path), text=warn.text, message=warn.message)
            for warn in seen.warnings[:200]
        ],
        odd_count=seen.warning_count,
        kinds=seen.kinds,
        zones=seen.zones,
        generated=sum(found.names for found in seen.generated),
        duplicates=seen.duplicates,
        changes=changes(old, checked.case, old_text, text),
        matches=matches(site, old, checked.case),
    )


def save(site: Site, checked: Checked, *, as_text: bool, base: str | None) -> Saved:
    """Store a case that was read without a fault.

    Args:
        site: where it is stored.
        checked: the case.
        as_text: keep the text with its comments; else the file is written anew.
        base: digest of what was edited; ``None``: the case is new.

    Raises:
        CaseChanged: somebody else stored another version meanwhile.
        CaseError: it cannot be stored.
    """
    case = checked.case
    assert case is not None
    there = site.library.digest(case.name)
    if base is None and there is not None:
        raise CaseChanged(
            "there is a case of this name already", got=case.name, hint="edit that one"
        )
    version = site.library.save(
        case,
        text=checked.text if as_text else None,
        replace=base is not None,
        base=base,
    )
    return Saved(case=case.name, digest=version.digest, saved=version.saved)


def restore(site: Site, name: str, digest: str, *, base: str) -> Saved:
    """Store an older version again, as the newest one.

    Raises:
        CaseChanged: somebody else stored another version meanwhile.
        CaseError: there is no such version, or it cannot be read any more.
    """
    for version in site.library.versions(name):
        if version.digest == digest:
            text = version.path.read_text("utf-8-sig")
            break
    else:
        raise CaseError("there is no such version", got=printable(digest))
    from remnant.cases import casefile

    case = casefile.loads(text, f"version {digest}")
    found = site.library.save(case, text=text, replace=True, base=base)
    return Saved(case=name, digest=found.digest, saved=found.saved)


def versions(site: Site, name: str, *, most: int = 100) -> list[VersionRow]:
    """Return the newest versions of a stored case, newest first."""
    from remnant.cases import casefile
    from remnant.cases.library import indicators_of

    rows = []
    found = site.library.versions(name)
    for at, version in enumerate(reversed(found[-most:])):
        title, count, problem = None, None, None
        if version.path.stat().st_size <= MAX_TEXT:
            try:
                case = casefile.load(version.path)
                title, count = case.title, len(indicators_of(case))
            except CaseError as error:
                problem = error.what
        rows.append(
            VersionRow(
                digest=version.digest,
                saved=version.saved,
                is_current=not at,
                title=title,
                indicators=count,
                problem=problem,
            )
        )
    return rows
