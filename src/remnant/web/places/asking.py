"""What can be asked of a table of places: the query of its address."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final, Literal

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from remnant.web.places.order import CURSOR
from remnant.web.places.rows import Sort

__all__ = ["MOST_ROWS", "Days", "PlacesQuery", "Vantage"]

MOST_ROWS: Final = 400

Vantage = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,20}$")]
"""A point of view; whether the case has it is checked later."""
_Pick = Annotated[str, StringConstraints(pattern=r"^(?:AS\d{0,10}-)?(?:[A-Z]{2}|unknown)$")]


class Days(BaseModel):
    """Which days, seen from where."""

    model_config = ConfigDict(extra="forbid")

    vantage: Vantage | None = Field(
        default=None, description="Where it was seen; default: the first."
    )
    since: date | None = Field(default=None, description="First UTC day; default: all there is.")
    until: date | None = Field(
        default=None, description="The day after the last one; default: all."
    )

    @model_validator(mode="before")
    @classmethod
    def _blank_is_none(cls, given: object) -> object:
        """Take an empty field of a form as one that was not filled in."""
        if isinstance(given, dict):
            return {key: value for key, value in given.items() if value != ""}
        return given

    @property
    def is_free(self) -> bool:
        """Whether it asks for anything but the default."""
        return any(value is not None for value in (self.vantage, self.since, self.until))

    def refuse_free(self) -> None:
        """Refuse days and vantages to those who see published numbers only.

        Two windows that differ by little give a small count away.

        Raises:
            HTTPException: 403.
        """
        if self.is_free:
            raise HTTPException(403, "other days and vantages are for analysts of this site")


class PlacesQuery(Days):
    """Which table of places, in which order, from where on."""

    show: Literal["networks", "countries"] = Field(default="networks", description="What a row is.")
    sort: Sort = Field(default="clients_a_day", description="The column that it is ordered by.")
    order: Literal["asc", "desc"] | None = Field(
        default=None, description="Default: by the column."
    )
    after: str | None = Field(
        default=None, pattern=CURSOR, description="Cursor of the page before."
    )
    limit: int = Field(default=100, ge=1, le=MOST_ROWS, description="Rows of a page at most.")
    country: str | None = Field(
        default=None,
        pattern="^(?:[A-Za-z]{2}|unknown)$",
        description="Only networks of this country.",
    )
    state: (
        Literal["effective", "working", "no_effective_cleanup", "growing", "cannot_tell"] | None
    ) = Field(default=None, description="Only places in this state of clean-up.")
    text: str | None = Field(
        default=None, max_length=100, description="Part of a name, number or code."
    )
    scale: Literal["linear", "log"] = Field(default="linear", description="Of the bars.")
    shade: Literal["clients", "half_life"] = Field(
        default="clients", description="What the tiles of the map show."
    )
    pick: list[_Pick] = Field(
        default=[], max_length=6, description="Places to draw over time: AS64500-DE, or DE."
    )

    @property
    def by(self) -> Literal["network", "country"]:
        """What a row is."""
        return "network" if self.show == "networks" else "country"

    @property
    def descending(self) -> bool:
        """Whether the largest come first."""
        if self.order is not None:
            return self.order == "desc"
        return self.sort in {"clients_a_day", "clients", "queries", "share"}
