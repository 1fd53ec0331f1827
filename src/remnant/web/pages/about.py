"""What stands above every page of a case."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel

from remnant.judge.wording import short_title
from remnant.web.access.viewer import ANALYSTS, EVERYONE, OWNERS

if TYPE_CHECKING:
    from remnant.web.site import Asked

__all__ = ["About", "Tab", "about"]

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
