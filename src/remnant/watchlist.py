"""What is watched, compiled: the table that every reader matches names and addresses against.

CONTRACT (being built): see the docstrings. Rules of many cases live in one table, so that one pass
over the traffic serves them all. A hash hit is always verified against the name's bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Kind", "Role", "Rule", "State"]

Kind = Literal["exact", "below", "address"]
Role = Literal["c2", "download", "dga", "fastflux", "nameserver"]
State = Literal["seized", "suspended", "live", "lost", "unknown"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that one case watches.

    Attributes:
        case: name of the case.
        kind: ``exact`` a name; ``below`` a name and everything below it (``*.`` in a case file);
            ``address`` a prefix, matched against A and AAAA answers and, in flows, destinations.
        text: as written in the case, normalised: folded name, ``*.`` + folded name, or CIDR.
        role: what it is to the botnet.
        state: what the takedown made of it.
        zone: the seized zone (registrable domain, or the host name under dynamic-DNS domains).
        since: when it was seized or first watched (UTC microseconds), a note on the curves.
        until: when it was lost (UTC microseconds, exclusive), a note on the curves.
        valid_from: rule matches only queries from this time (UTC microseconds); set for generated
            (DGA) names: one day before the name's date.
        valid_until: rule matches only queries before this time (exclusive).
        source: where the indicator is from.
    """

    case: str
    kind: Kind
    text: str
    role: Role = "c2"
    state: State = "unknown"
    zone: str | None = None
    since: int | None = None
    until: int | None = None
    valid_from: int | None = None
    valid_until: int | None = None
    source: str | None = None
