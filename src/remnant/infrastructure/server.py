"""What is told of a server behind a case: where it lies, its states, and whom to ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from remnant.windows import iso

if TYPE_CHECKING:
    from datetime import datetime

    from remnant.infrastructure.states import Interval
    from remnant.infrastructure.whom import Ask
    from remnant.windows import Window

__all__ = ["ALIVE_DAYS", "COLUMNS", "Found", "Kind", "Place", "Server"]

Kind = Literal["address", "name_server", "name"]

ALIVE_DAYS: Final = 14
"""Days before the end of the window in which a server must have been observed, by default."""

COLUMNS: Final = (
    "kind",
    "value",
    "state",
    "whose",
    "since",
    "last_seen",
    "alive",
    "names",
    "other_names",
    "network",
    "evidence",
)
"""The columns of a table; JSON has more."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address lies, by the reference data.

    Attributes:
        prefix: routed prefix; ``None`` where not known, as the others.
        asn: origin AS.
        as_name: its name.
        country: ISO 3166-1 alpha-2.
    """

    prefix: str | None = None
    asn: int | None = None
    as_name: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """One server or name.

    Attributes:
        kind: ``address``, ``name_server`` or ``name``.
        value: canonical address, or folded name.
        serves: what an address does: leads names somewhere (``hosts``), answers for their domains
            (``name server``), or both; empty for others.
        state: the state at the end of the window.
        whose: who runs the sinkhole or the parking service.
        also: states observed at the same time.
        since: since when it is so; ``None`` where it is not known.
        last_seen: when DNS last led to it, or the name somewhere.
        alive: it must be acted on: it was observed within the last days, and is neither a sinkhole
            nor parked.
        note: what a reader must know about how old or how sure this is; empty where nothing.
        names: names of the case that lead to it, or whose domain it serves.
        examples: some of them, sorted.
        other_names: names that passive DNS knows there altogether, at least (domains for a name
            server); shutting it down is felt by all of them.
        place: of an address.
        ask: whom to ask.
        case_state: what the case says of a name: seized, live ...
        registered_until: until when a name is paid, by the newest registration data.
        timeline: its states over the window.
        candidate: it is not the case's own; a person must look at it before anybody is asked.
    """

    kind: Kind
    value: str
    serves: str
    state: str
    whose: str
    also: tuple[str, ...]
    since: datetime | None
    last_seen: datetime | None
    alive: bool
    note: str
    names: int
    examples: tuple[str, ...]
    other_names: int | None
    place: Place
    ask: Ask
    case_state: str | None
    registered_until: datetime | None
    timeline: tuple[Interval, ...]
    candidate: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain data, times in ISO 8601; a table shows COLUMNS of it."""
        end = self.timeline[-1]
        place = self.place
        network = " ".join(
            part
            for part in (
                place.prefix,
                None if place.asn is None else f"AS{place.asn}",
                place.as_name,
                place.country,
            )
            if part
        )
        return {
            "ask": self.ask.to_json(),
            "kind": self.kind,
            "value": self.value,
            "serves": self.serves or None,
            "state": self.state,
            "whose": self.whose or None,
            "also": list(self.also),
            "since": None if self.since is None else iso(self.since),
            "last_seen": None if self.last_seen is None else iso(self.last_seen),
            "alive": self.alive,
            "note": self.note or None,
            "names": self.names,
            "examples": list(self.examples),
            "other_names": self.other_names,
            "network": network or None,
            "prefix": place.prefix,
            "asn": place.asn,
            "as_name": place.as_name,
            "country": place.country,
            "candidate": self.candidate,
            "case_state": self.case_state,
            "registered_until": (
                None if self.registered_until is None else iso(self.registered_until)
            ),
            "evidence": list(end.evidence),
            "sensors": list(end.sensors),
            "sources": list(end.sources),
            "timeline": [interval.to_json() for interval in self.timeline],
        }


@dataclass(frozen=True, slots=True)
class Found:
    """The list.

    Attributes:
        servers: grouped by whom to ask: first who has most living servers; within a group the
            living ones first.
        window: what it is about.
        alive_days: how long ago a server that lives may have been observed.
        zones: domains of the names, sorted.
        left_out: what was not looked at, for people.
    """

    servers: tuple[Server, ...]
    window: Window
    alive_days: int
    zones: tuple[str, ...]
    left_out: tuple[str, ...]
