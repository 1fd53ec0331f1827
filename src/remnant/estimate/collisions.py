"""Generated names that are somebody else's as well: they are marked, and left out of estimates.

An algorithm that makes short names makes names that exist (Conficker's of five letters). Who asks
for one of them is no bot. Such a name shows itself outside of its dates, when no bot has a reason
to ask for it: collate keeps these queries beside the sightings (``schema.UNLISTED``, ``outside:``).

Not every query outside of the dates is a collision:

* A bot with a wrong clock asks for the list of another day: for many names of it, unless the first
  one answers.
* Who asks for old lists again (researchers, crawlers, resolvers that warm their caches) asks for
  many names, too, and is few.
* A single stray client of any kind proves nothing, and nor does a single day.

So a client counts on a day only if it asked for at most ``FEW_NAMES`` names outside of their dates
on that day, and a name is collided where, at one vantage,

1. at least ``MIN_CLIENTS`` such clients asked for it outside of its dates,
2. on at least ``MIN_DAYS`` UTC days, and
3. they are at least ``MIN_SHARE`` of the clients that asked for it inside of its dates.

The third rule protects the names of a large botnet, a small share of whose clocks are wrong: that
share is some part of the bots inside the dates, while the users of a real site come on every day
and so are about as many inside the dates as outside. Where they are fewer than one in twenty of
those inside, keeping the name overstates by about that much at most; dropping it loses what was
observed. The three numbers are chosen, not fitted.

References:
    Le Pochat et al., "A Practical Approach for Taking Down Avalanche Botnets Under Real-World
    Constraints", NDSS 2020: generated names that collide with sites of others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from remnant import schema
from remnant.watchlist import OUTSIDE
from remnant.windows import iso

if TYPE_CHECKING:
    from remnant.store import View
    from remnant.windows import Window

__all__ = ["FEW_NAMES", "MIN_CLIENTS", "MIN_DAYS", "MIN_SHARE", "Collisions", "names", "summary"]

FEW_NAMES: Final = 3
"""Who asks for more names than these outside of their dates on one UTC day goes through lists."""
MIN_CLIENTS: Final = 5
MIN_DAYS: Final = 2
MIN_SHARE: Final = 0.05

_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Collisions:
    """What a person should know of generated names outside of their dates.

    Attributes:
        outside_names: how many were asked for.
        outside_queries: how many queries there were, at the vantage with most of them.
        collided: how many are marked as collisions.
        rows: the collided names with most clients: ``name``, ``queries``, ``clients``, ``first``,
            ``last`` (ISO 8601).
    """

    outside_names: int
    outside_queries: int
    collided: int
    rows: tuple[dict[str, object], ...]

    def to_json(self) -> dict[str, object]:
        """Return it as plain data."""
        return {
            "outside_names": self.outside_names,
            "outside_queries": self.outside_queries,
            "collided": self.collided,
            "names": list(self.rows),
        }


def names(view: View, window: Window | None = None) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the generated names that are collided, as an Ibis table.

    Args:
        view: the case.
        window: the half-open UTC window whose queries outside of the dates are looked at; default:
            all that there are. What was asked for inside of the dates is looked at in all of time.

    Returns:
        Columns ``name`` (once each), ``queries`` and ``clients`` (of clients that count, outside
        of the dates), ``first`` and ``last`` (of these queries, UTC). Where several vantages show
        the collision, ``queries`` and ``clients`` are the largest at one of them: vantages are
        never added together.
    """
    table = _outside(view, window)
    table = table.mutate(day=table.time.truncate("D"))
    # A name is asked for in bulk where its client asks for many on the same day.
    asked = table.group_by("vantage", "client", "day").aggregate(names=table.name.nunique())
    few = asked.filter(asked.names <= FEW_NAMES)
    table = table.semi_join(few, ["vantage", "client", "day"])
    found = table.group_by("name", "vantage").aggregate(
        queries=table.weight.sum(),
        clients=table.client.nunique(),
        days=table.day.nunique(),
        first=table.time.min(),
        last=table.time.max(),
    )
    found = found.filter(found.clients >= MIN_CLIENTS, found.days >= MIN_DAYS)
    inside = _inside(view, found)
    found = found.left_join(inside, ["name", "vantage"])
    found = found.filter(found.clients >= MIN_SHARE * found.inside.fill_null(0))
    return found.group_by("name").aggregate(
        queries=found.queries.max(),
        clients=found.clients.max(),
        first=found["first"].min(),
        last=found["last"].max(),
    )


def summary(view: View, window: Window | None = None, *, limit: int = _SHOWN) -> Collisions:
    """Return what a person should know; ``window`` as for ``names``, ``limit`` of the rows."""
    import ibis  # noqa: PLC0415 - heavy

    from remnant.store.engine import rows_of  # noqa: PLC0415 - loads the query engine

    table = _outside(view, window)
    seen = table.group_by("vantage").aggregate(
        queries=table.weight.sum(), names=table.name.nunique()
    )
    places = list(rows_of(seen))
    found = names(view, window)
    collided = int(found.count().to_pyarrow().as_py())
    largest = found.order_by(ibis.desc("clients"), "name").limit(limit)
    return Collisions(
        outside_names=int(table.name.nunique().to_pyarrow().as_py()),
        outside_queries=max((int(place["queries"]) for place in places), default=0),
        collided=collided,
        rows=tuple(
            row | {"first": iso(row["first"]), "last": iso(row["last"])} for row in rows_of(largest)
        ),
    )


def _outside(view: View, window: Window | None) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the rows of generated names outside of their dates."""
    import ibis  # noqa: PLC0415 - heavy

    table = view.table(schema.UNLISTED)
    table = table.filter(table.indicator.startswith(OUTSIDE))
    if window is not None:
        since, until = (
            ibis.literal(time, type="timestamp('UTC', 6)") for time in (window.since, window.until)
        )
        table = table.filter(table.time >= since, table.time < until)
    return table


def _inside(view: View, found: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return how many clients asked for each of some names inside of its dates, by vantage."""
    table = view.table(schema.SIGHTINGS)
    # An exact rule's indicator is the name itself.
    table = table.filter(table.indicator == table.name)
    table = table.semi_join(found, ["name", "vantage"])
    return table.group_by("name", "vantage").aggregate(inside=table.client.nunique())
