"""What a case says, as plain frozen values.

These classes hold what one case file holds, normalised: names folded, addresses as CIDR, times in
UTC. ``cases.casefile`` reads them from TOML, ``cases.dump`` writes them back, and both agree:
reading what was written gives an equal case.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, get_args

from remnant.watchlist import Role, State

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "DEFAULT_HTTP",
    "DEFAULT_TTL",
    "EVENT_KINDS",
    "HTTP_REPLIES",
    "MAX_EVENTS",
    "MAX_FILE_BYTES",
    "MAX_GENERATED",
    "MAX_NAMES",
    "MAX_SINK_ADDRESSES",
    "MAX_SINK_SERVERS",
    "MAX_TTL",
    "ROLES",
    "STATES",
    "Case",
    "Event",
    "EventKind",
    "HttpReply",
    "SinkholeConfig",
    "Watch",
]

EventKind = Literal["notice", "names_added", "names_lost", "outage", "other"]

HttpReply = Literal["204", "404", "200", "notice"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
STATES: Final[tuple[State, ...]] = get_args(State)
EVENT_KINDS: Final[tuple[EventKind, ...]] = get_args(EventKind)
HTTP_REPLIES: Final[tuple[HttpReply, ...]] = get_args(HttpReply)

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
"""Largest case file or indicator file that is read."""

MAX_NAMES: Final = 2_000_000
"""Most names, addresses and family words in one case, generated names counted as well."""

MAX_GENERATED: Final = 100
"""Most tables of generated names in one case; each is compared with every other."""

MAX_TTL: Final = 86_400
"""Longest time to live of the sinkhole's answers, in seconds."""

MAX_SINK_ADDRESSES: Final = 8
"""Most addresses in one answer of the sinkhole, both families together."""

MAX_SINK_SERVERS: Final = 8
"""Most name servers of a seized zone."""

MAX_EVENTS: Final = 10_000
"""Most events in one case."""

DEFAULT_TTL: Final = 60
"""Seconds that resolvers may keep the sinkhole's answers, where the case does not say.

A short time makes every client visible again soon; see the estimators of cache-hidden queries.
"""


DEFAULT_HTTP: Final[HttpReply] = "204"
"""What HTTP requests get, where the case does not say."""


@dataclass(frozen=True, slots=True)
class Watch:
    """One ``[[watch]]`` table: indicators that share role, state, dates and source.

    Attributes:
        names: folded names, ``*.`` before those that stand for everything below as well.
        addresses: prefixes as CIDR text; IPv4-mapped IPv6 prefixes as the IPv4 that they carry.
        dga: family of generated names, a key of ``cases.dga.FAMILIES``; ``None`` if not generated.
        role: what the indicators are to the botnet.
        state: what the takedown made of them.
        since: when seized or first watched (key ``from``), UTC; ``None`` if not known. For
            generated names the first day.
        until: when lost, UTC, exclusive (a plain date in the file includes its whole day);
            ``None`` if not lost. For generated names the end of the last day.
        zone: the seized zone, where it is not what ``cases.zones.zone_of`` says.
        source: where the indicators are from.
        families: folded words by which victim reports call the botnet.
    """

    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    dga: str | None = None
    role: Role = "c2"
    state: State = "unknown"
    since: datetime | None = None
    until: datetime | None = None
    zone: str | None = None
    source: str | None = None
    families: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened and is shown on every curve.

    Attributes:
        time: when, UTC.
        kind: what sort of event; the changepoint test knows these times.
        note: one line for people.
        source: where it was published.
    """

    time: datetime
    kind: EventKind = "other"
    note: str = ""
    source: str | None = None


@dataclass(frozen=True, slots=True)
class SinkholeConfig:
    """What the sinkhole answers for this case.

    Attributes:
        addresses: the sinkhole's own addresses, IPv4 and IPv6, canonical text.
        ttl: seconds, 0 to 86400.
        ttl_arms: two times to live in seconds, of which each answer gets one at random (an
            experiment that shows resolvers which change them); empty: ``ttl`` alone.
        nameservers: folded names of the servers that stand in NS and SOA; empty: two names of
            Remnant's own in each seized zone, which have the sinkhole's addresses.
        contact: mail address of who runs it, for the SOA; empty: ``hostmaster`` at the zone.
        null_mx: answer MX with "accepts no mail" (RFC 7505).
        spf: answer TXT with ``v=spf1 -all`` (RFC 7208): nobody sends mail from a seized name.
        caa: answer CAA with ``issue ";"`` (RFC 8659): nobody gets certificates for one.
        http: what HTTP requests get: an empty 204, 404 or 200, or a ``notice`` for people.
        operator: who runs the sinkhole, for people who read the notice.
        help_url: where the notice says that help is found; empty: nowhere.
        identify: say in answers that this is a sinkhole (HTTP header, notice of any kind).
    """

    addresses: tuple[str, ...] = ()
    ttl: int = DEFAULT_TTL
    ttl_arms: tuple[int, ...] = ()
    nameservers: tuple[str, ...] = ()
    contact: str = ""
    null_mx: bool = False
    spf: bool = False
    caa: bool = False
    http: HttpReply = DEFAULT_HTTP
    operator: str = ""
    help_url: str = ""
    identify: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One takedown: what is watched, when it happened, and what happened since.

    Attributes:
        name: ``[a-z0-9][a-z0-9-]{0,62}``; names folders and URLs.
        title: what people call it.
        takedown: when the names were taken, UTC.
        watches: the ``[[watch]]`` tables in the order of the file.
        events: the ``[[event]]`` tables in the order of the file.
        sinkhole: the ``[sinkhole]`` table; ``None`` if the case has none.
        duplicates: indicators that the file states more than once (each repetition counts 1).
            Not compared: two cases that watch the same are equal.
    """

    name: str
    title: str
    takedown: datetime
    watches: tuple[Watch, ...] = ()
    events: tuple[Event, ...] = ()
    sinkhole: SinkholeConfig | None = None
    duplicates: int = field(default=0, compare=False)
