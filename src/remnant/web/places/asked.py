"""What one page about a place answers with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from remnant.web.pages.about import About as CaseAbout
from remnant.web.places.answers import About
from remnant.web.places.asking import Days
from remnant.web.places.parts import NameAsked, PrefixRow
from remnant.web.places.rows import PlaceRow

__all__ = ["CountryAnswer", "Day", "NetworkAnswer", "PrefixAnswer"]


class Day(BaseModel):
    """Distinct clients of one UTC day; null on a gap."""

    day: datetime
    clients: int | None


class _Answer(BaseModel):
    """What every page about a place has; ``drawn`` is its figure, in HTML only."""

    about: CaseAbout
    of: About | None = None
    notes: list[str] = []
    days: list[Day] = []
    drawn: Any = Field(default=None, exclude=True)
    query: Days = Field(default=Days(), exclude=True)


class CountryAnswer(_Answer):
    """One country: its row, its days, and its networks, those with most clients first.

    ``row`` is null where nothing is published of the country. ``networks`` are at most 100 of
    ``networks_total``.
    """

    code: str
    name: str
    row: PlaceRow | None = None
    networks: list[PlaceRow] = []
    networks_total: int = 0
    bars: list[float] = Field(default=[], exclude=True)


class NetworkAnswer(_Answer):
    """One network (origin AS): a row for each country that it is in, its days, prefixes and names.

    ``prefixes`` are counted from
    ``prefixes_since`` on, ``names`` from ``names_since`` to ``names_until``: as much as can be read
    at once. Where nothing is published of the
    network, ``rows`` are empty.
    """

    asn: int
    as_name: str | None = None
    rows: list[PlaceRow] = []
    prefixes: list[PrefixRow] = []
    prefixes_total: int = 0
    prefixes_since: datetime | None = None
    names: list[NameAsked] = []
    names_since: datetime | None = None
    names_until: datetime | None = None
    may_see_clients: bool = False


class PrefixAnswer(_Answer):
    """One prefix: clients and requests in the window, by day, and by /24 and /48 inside it."""

    prefix: str
    clients: int = 0
    queries: int = 0
    first: datetime | None = None
    last: datetime | None = None
    asns: list[PlaceRow] = []
    prefixes: list[PrefixRow] = []
    prefixes_total: int = 0
    partly: bool = False
