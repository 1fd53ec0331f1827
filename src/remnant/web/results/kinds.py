"""The kinds of results, each a function from the stored case to plain data.

A kind is called with ``(settings, case, *, internal)``; one that can be asked for another window
also takes ``since``, ``until`` (ISO 8601) and ``vantage``, which are given only where a page asks
for them. It returns what JSON can hold, or raises a ``RemnantError``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from remnant.settings import Settings
from remnant.web.results.joined import joined
from remnant.web.results.names import names
from remnant.web.results.overview import overview, verdict
from remnant.web.results.places import bystanders, distinct_places, places
from remnant.web.results.pulse import pulse
from remnant.web.results.sharing import opened, sharing

__all__ = ["KINDS", "Kind", "opened", "sharing"]

Kind: TypeAlias = Callable[..., Any]


def mapped(settings: Settings, case: str, *, internal: bool) -> Any:
    """Return the map for its page."""
    from remnant.web.results.mapped import mapped as told

    return told(settings, case, internal=internal)


KINDS: Final[dict[str, Kind]] = {
    "verdict": verdict,
    "overview": overview,
    "joined": joined,
    "pulse": pulse,
    "names": names,
    "map": mapped,
    "places": places,
    "distinct_places": distinct_places,
    "bystanders": bystanders,
}
