"""One row of a table of networks or countries: exact for those who may see it, else as published.

What is not known yet, and what may not be shown, are both null; ``hidden`` tells one from the
other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel

from remnant.report.facts import Pulse
from remnant.report.lands import name_of
from remnant.report.suppress import Hidden
from remnant.web.places.as_names import as_names
from remnant.web.places.seen import places

if TYPE_CHECKING:
    from remnant.store import View
    from remnant.web.places.seen import By, Place, Scope
    from remnant.web.site import Asked

__all__ = ["SORTS", "PlaceRow", "Sort", "exact", "label_of", "published", "value_of"]

Sort = Literal[
    "place",
    "name",
    "country",
    "clients_a_day",
    "clients",
    "queries",
    "share",
    "change",
    "half_life",
    "rank",
    "state",
]
"""What a table of places can be ordered by."""

_STATES: Final = ("effective", "working", "no_effective_cleanup", "growing", "cannot_tell")


class PlaceRow(BaseModel):
    """One network in one country, or one country.

    ``clients_a_day`` is the mean of the distinct clients of each covered day in the window;
    ``clients`` are distinct over the whole window, null where that is not worked out. ``share`` is
    that of all client-days, for those who see every number. ``first_week`` and ``last_week`` are
    mean clients a day in the first and last seven covered days after the takedown; ``change`` is
    the relative change between them.
    ``decline`` is the fall per day on the log scale with the limits of its interval, ``half_life``
    the days of it; a null upper limit with a state is infinite. ``state`` is what the rules of the
    verdict say of the place alone. ``hidden`` names the counts that are not published, and why.
    ``contact`` and what follows say whom to tell of a network, to who may see its clients.
    """

    asn: int | None = None
    as_name: str | None = None
    country: str | None = None
    country_name: str = ""
    clients_a_day: float | None = None
    clients: int | None = None
    queries: int | None = None
    share: float | None = None
    first_week: float | None = None
    last_week: float | None = None
    change: float | None = None
    decline: float | None = None
    decline_low: float | None = None
    decline_high: float | None = None
    half_life: float | None = None
    half_life_low: float | None = None
    half_life_high: float | None = None
    state: str | None = None
    rank: int | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    hidden: dict[str, str] = {}
    curve: list[float | None] = []
    contact: str | None = None
    contact_name: str | None = None
    contact_source: str | None = None
    contact_as_of: str | None = None

    @property
    def key(self) -> tuple[int, str]:
        """What tells it from the others of a table."""
        return (self.asn or 0, self.country or "")

    @property
    def pulse(self) -> Pulse:
        """The curve as ``report.sparkline`` draws it."""
        return Pulse(values=tuple(self.curve))


def exact(asked: Asked, case: str, view: View, of: Scope, by: By) -> list[PlaceRow]:
    """Return all rows with exact numbers and without curves; for those who may see them."""
    found = places(view, of, by)
    days = len(of.full_days)
    total = sum(place.client_days for place in found)
    rates, counts = _concluded(asked, case, of, by)
    names: dict[int, str | None] = {}
    if by == "network":
        numbers = [place.asn for place in found if place.asn is not None]
        names = as_names.of(view, numbers, str(asked.site.settings.home))
    one_day = len(of.days) == 1

    def row(place: Place) -> PlaceRow:
        distinct = place.client_days if one_day and days else counts.get(place.key)
        return PlaceRow(
            asn=place.asn,
            as_name=names.get(place.asn) if place.asn is not None else None,
            country=place.country,
            country_name=name_of(place.country),
            clients_a_day=place.client_days / days if days else None,
            clients=distinct,
            queries=place.queries,
            # With the exact count beside it, a share is the total: others' small counts are in it.
            share=place.client_days / total if total and asked.viewer.is_internal else None,
            first_week=place.first,
            last_week=place.last,
            change=place.last / place.first - 1 if place.first and place.last is not None else None,
            **rates.get(place.key, {}),
        )

    return [row(place) for place in found]


def _concluded(
    asked: Asked, case: str, of: Scope, by: By
) -> tuple[dict[tuple[int, str], dict[str, Any]], dict[tuple[int, str], int]]:
    """Return rates and distinct clients of the whole time by key, as far as they are known."""
    results = asked.site.results
    fitted = results.get(case, "places", internal=True).value
    rates = {}
    if fitted and fitted["vantage"] == of.vantage:
        for told in fitted["networks" if by == "network" else "countries"]:
            key = (told["asn"] or 0, told["country"] or "")
            rates[key] = {
                "decline": told["rate"],
                "decline_low": told["rate_low"],
                "decline_high": told["rate_high"],
                **{
                    name: told.get(name)
                    for name in (
                        "half_life",
                        "half_life_low",
                        "half_life_high",
                        "state",
                        "rank",
                        "rank_low",
                        "rank_high",
                    )
                },
            }
    counts: dict[tuple[int, str], int] = {}
    if of.window == of.whole:
        counted = results.get(case, "distinct_places", internal=True).value
        if counted and counted["vantage"] == of.vantage:
            if by == "network":
                counts = {(a or 0, c or ""): n for a, c, n in counted["networks"]}
            else:
                counts = {(0, c or ""): n for c, n in counted["countries"]}
    return rates, counts


def published(content: dict[str, Any], by: By) -> list[PlaceRow]:
    """Return the rows that a report for publication shows, small counts hidden.

    Args:
        content: the result ``overview``, made with ``internal=False``.
        by: networks or countries.
    """
    found = content.get("networks" if by == "network" else "countries") or ()
    rows = []
    for told in found:
        pulse = told.get("pulse") or {}
        counts: dict[str, Any] = {
            "clients_a_day": pulse.get("mean"),
            "clients": told.get("clients"),
            "queries": told.get("queries"),
            "first_week": pulse.get("first"),
            "last_week": pulse.get("last"),
        }
        shown = {name: count for name, count in counts.items() if _why(count) is None}
        first, last = shown.get("first_week"), shown.get("last_week")
        country = told.get("country") if by == "network" else told.get("code")
        rows.append(
            PlaceRow(
                asn=told.get("asn"),
                as_name=told.get("as_name"),
                country=country,
                country_name=name_of(country),
                **shown,
                change=last / first - 1 if first and last is not None else None,
                hidden={
                    name: why for name, count in counts.items() if (why := _why(count)) is not None
                },
                curve=list(pulse.get("values") or ()),
            )
        )
    return rows


def _why(count: object) -> str | None:
    """Return why a count of a report is hidden; null where it is not."""
    if isinstance(count, Hidden):
        return count.value
    if isinstance(count, str):
        return Hidden.SMALL.value if count[:1] == "<" or count == "small" else Hidden.LINKED.value
    return None


def label_of(row: PlaceRow) -> str:
    """Return what a place is called, unescaped: the AS's name comes from strangers."""
    if row.asn is None:
        return row.country_name
    return f"AS{row.asn} {row.as_name}" if row.as_name else f"AS{row.asn}"


def _name(row: PlaceRow) -> str | None:
    text = row.as_name if row.asn is not None else row.country_name
    return text[:120].casefold() if text else None


SORTS: Final[dict[str, Callable[[PlaceRow], Any]]] = {
    "place": lambda row: row.asn,
    "name": _name,
    "country": lambda row: row.country_name.casefold() if row.country else None,
    "clients_a_day": lambda row: row.clients_a_day,
    "clients": lambda row: row.clients,
    "queries": lambda row: row.queries,
    "share": lambda row: row.share,
    "change": lambda row: row.change,
    # Without a fall there is no half-life: such a place comes after the slowest.
    "half_life": lambda row: None if row.decline is None else -row.decline,
    "rank": lambda row: row.rank,
    "state": lambda row: _STATES.index(row.state) if row.state in _STATES else None,
}


def value_of(sort: str) -> Callable[[PlaceRow], Any]:
    """Return what a table is ordered by."""
    return SORTS[sort]
