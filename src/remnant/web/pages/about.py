"""What stands above every page of a case."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from fastapi import HTTPException
from pydantic import BaseModel

from remnant.judge.wording import short_title
from remnant.web.access.viewer import ANALYSTS, EVERYONE, OWNERS

if TYPE_CHECKING:
    from remnant.web.results.results import Result
    from remnant.web.site import Asked

__all__ = ["About", "Freshness", "Tab", "about", "there"]

_TABS: Final = (
    ("", "Overview", EVERYONE),
    ("/networks", "Networks and countries", EVERYONE),
    ("/map", "Map", ANALYSTS),
    ("/names", "Names and servers", ANALYSTS),
    ("/clients", "Clients", OWNERS),
    ("/sensors", "Sensors", ANALYSTS),
    ("/reports", "Reports", ANALYSTS),
    ("/edit", "Edit", ANALYSTS),
)


class Tab(BaseModel):
    """A page of the case that the viewer may open."""

    title: str
    path: str


class About(BaseModel):
    """The case that a page is about.

    ``short`` and ``remark`` are the title without, and only, its closing remark that it is made up.
    ``simulated`` is true where its traffic was made up. ``takedown`` is UTC, as are ``until``, the
    time of the newest message, and ``stored``, when something was last stored.
    """

    name: str
    title: str
    short: str
    remark: str
    takedown: datetime | None
    simulated: bool
    until: datetime | None
    stored: datetime | None
    tabs: list[Tab]


class Freshness(BaseModel):
    """How old what a page shows is.

    ``made`` is UTC; ``problem`` says why something could not be worked out.
    """

    made: datetime | None = None
    is_current: bool = False
    is_working: bool = False
    problem: str | None = None

    @classmethod
    def of(cls, result: Result) -> Freshness:
        """Return that of a result."""
        return cls(
            made=result.made,
            is_current=result.is_current,
            is_working=result.is_working,
            problem=result.problem,
        )


def there(found: Result, what: str) -> dict[str, Any]:
    """Return the value of a result, for what cannot be shown without it: files, parts of pages.

    Args:
        found: the result.
        what: what is made of it, for who asks.

    Raises:
        HTTPException: 404, it could not be worked out; 503, it is being worked out.
    """
    if found.value is None:
        if found.problem:
            raise HTTPException(404, f"there is no {what}: {found.problem}")
        raise HTTPException(503, f"the {what} is being worked out", {"retry-after": "3"})
    value: dict[str, Any] = found.value
    return value


def about(asked: Asked, name: str) -> About:
    """Return what stands above a page of a case.

    Raises:
        CaseError: there is no case of that name.
    """
    case = asked.case(name)
    extent = asked.site.snapshots.extent(name)
    short = short_title(case.title, simulated=bool(extent.simulated))
    return About(
        name=name,
        title=case.title,
        short=short,
        remark=case.title[len(short) :].strip(" ()"),
        takedown=case.takedown,
        simulated=bool(extent.simulated),
        until=extent.last,
        stored=extent.read_at,
        tabs=[
            Tab(title=title, path=f"/cases/{name}{path}")
            for path, title, roles in _TABS
            if asked.viewer.role in roles
        ],
    )
