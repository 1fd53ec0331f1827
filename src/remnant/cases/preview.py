"""What a case watches, and what looks wrong in it, as plain data.

``remnant case check FILE`` and ``remnant case show NAME`` print this. A warning is no error: the
case can be used, but a person should look.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from remnant.cases.indicators import bare
from remnant.cases.rules import generated_count, generated_days
from remnant.cases.zones import known_top_level, suffix_kind, zone_of
from remnant.watchlist import FAMILY
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.cases.model import Case, Watch

__all__ = ["POPULAR", "Generated", "Preview", "Warn", "preview"]

POPULAR: Final = frozenset(
    {
        "akamai.net",
        "amazon.com",
        "amazonaws.com",
        "apple.com",
        "archive.org",
        "baidu.com",
        "bing.com",
        "cloudflare.com",
        "cloudfront.net",
        "debian.org",
        "dropbox.com",
        "facebook.com",
        "github.com",
        "gmail.com",
        "google.com",
        "googleapis.com",
        "hotmail.com",
        "instagram.com",
        "linkedin.com",
        "live.com",
        "microsoft.com",
        "mozilla.org",
        "netflix.com",
        "office.com",
        "paypal.com",
        "pudn.com",
        "qq.com",
        "reddit.com",
        "root-servers.net",
        "twitter.com",
        "wikipedia.org",
        "windows.com",
        "windowsupdate.com",
        "x.com",
        "yahoo.com",
        "yandex.ru",
        "youtube.com",
    }
)
"""Zones that healthy machines ask for all day; chosen by hand, far from complete."""

_MAX_WARNINGS: Final = 1000
_TOP_ZONES: Final = 10
_NOT_IN_DNS: Final[dict[str, str]] = {
    "onion": "names of Tor are not asked for in DNS (RFC 7686)",
    "local": "names below local are asked for by multicast DNS, which is skipped (RFC 6762)",
    "arpa": "names below arpa belong to the infrastructure of the internet (RFC 3172)",
    "localhost": "localhost is answered by the machine itself (RFC 6761)",
}


@dataclass(frozen=True, slots=True)
class Warn:
    """One thing that a person should look at.

    Attributes:
        path: where in the case file, with indexes counted from 0.
        text: the indicator or value.
        message: what is odd about it.
    """

    path: str
    text: str
    message: str


@dataclass(frozen=True, slots=True)
class Generated:
    """Names that a case generates: family, first and last UTC day, names over all days."""

    family: str
    first: str
    last: str
    names: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a case watches.

    Attributes:
        case: the case itself.
        kinds: written indicators by kind: exact, below, address, family.
        roles: written indicators by role.
        states: written indicators by state.
        zones: number of distinct seized zones of the written names.
        top_zones: the zones with the most names, at most 10.
        generated: the families of generated names.
        duplicates: indicators that the file states more than once.
        warnings: what looks wrong, at most 1,000.
        warning_count: how many there are in all.
    """

    case: Case
    kinds: dict[str, int]
    roles: dict[str, int]
    states: dict[str, int]
    zones: int
    top_zones: tuple[tuple[str, int], ...]
    generated: tuple[Generated, ...]
    duplicates: int
    warnings: tuple[Warn, ...]
    warning_count: int

    def to_json(self) -> dict[str, Any]:
        """Return the preview as plain data; times are ISO 8601 UTC."""
        case = self.case
        return {
            "name": case.name,
            "title": case.title,
            "takedown": iso(case.takedown),
            "kinds": self.kinds,
            "roles": self.roles,
            "states": self.states,
            "zones": self.zones,
            "top_zones": [{"zone": zone, "names": count} for zone, count in self.top_zones],
            "generated": [
                {"family": g.family, "first": g.first, "last": g.last, "names": g.names}
                for g in self.generated
            ],
            "duplicates": self.duplicates,
            "events": [
                {"time": iso(e.time), "kind": e.kind, "note": e.note, "source": e.source}
                for e in case.events
            ],
            "sinkhole": None
            if case.sinkhole is None
            else {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in dataclasses.asdict(case.sinkhole).items()
            },
            "warnings": [
                {"path": w.path, "text": w.text, "message": w.message} for w in self.warnings
            ],
            "warning_count": self.warning_count,
        }


def preview(case: Case, *, now: datetime | None = None) -> Preview:
    """Return what a case watches and what looks wrong in it.

    Args:
        case: what is watched.
        now: the time against which "in the future" is measured (UTC); the clock's if not given.
    """
    now = datetime.now(tz=UTC) if now is None else now
    kinds = Counter({"exact": 0, "below": 0, "address": 0, "family": 0})
    roles: Counter[str] = Counter()
    states: Counter[str] = Counter()
    zones: Counter[str] = Counter()
    seen: set[str] = set()
    for watch in case.watches:
        families = [FAMILY + word for word in watch.families]
        for text in (*watch.names, *watch.addresses, *families):
            if text in seen:
                continue
            seen.add(text)
            roles[watch.role] += 1
            states[watch.state] += 1
            if text.startswith(FAMILY):
                kinds["family"] += 1
                continue
            if "/" in text:
                kinds["address"] += 1
                continue
            kinds["below" if text.startswith("*.") else "exact"] += 1
            zones[watch.zone or zone_of(bare(text))] += 1
    warnings: list[Warn] = []
    count = 0
    for warning in _warnings(case, now):
        count += 1
        if len(warnings) < _MAX_WARNINGS:
            warnings.append(warning)
    return Preview(
        case=case,
        kinds=dict(kinds),
        roles=dict(roles.most_common()),
        states=dict(states.most_common()),
        zones=len(zones),
        top_zones=tuple(sorted(zones.items(), key=lambda item: (-item[1], item[0]))[:_TOP_ZONES]),
        generated=tuple(_generated(case)),
        duplicates=case.duplicates,
        warnings=tuple(warnings),
        warning_count=count,
    )


def _generated(case: Case) -> Iterator[Generated]:
    for watch in case.watches:
        days = generated_days(watch)
        if watch.dga is not None and days:
            names = generated_count(watch.dga, days)
            yield Generated(watch.dga, days[0].isoformat(), days[-1].isoformat(), names)


def _warnings(case: Case, now: datetime) -> Iterator[Warn]:
    if case.takedown > now:
        yield Warn("case.takedown", iso(case.takedown), "the takedown is in the future")
    for index, watch in enumerate(case.watches):
        path = f"watch[{index}]"
        yield from _dates(watch, path, case, now)
        for number, name in enumerate(watch.names):
            message = _odd_name(name)
            if message is not None:
                yield Warn(f"{path}.names[{number}]", name, message)
        for number, prefix in enumerate(watch.addresses):
            message = _odd_prefix(prefix, case)
            if message is not None:
                yield Warn(f"{path}.addresses[{number}]", prefix, message)
    for index, event in enumerate(case.events):
        if event.time > now:
            yield Warn(f"event[{index}].time", iso(event.time), "the event is in the future")


def _dates(watch: Watch, path: str, case: Case, now: datetime) -> Iterator[Warn]:
    if watch.dga is not None:
        return
    if watch.since is not None and watch.since > now:
        yield Warn(f"{path}.from", iso(watch.since), "from is in the future")
    if watch.until is not None and watch.until <= case.takedown:
        yield Warn(f"{path}.until", iso(watch.until), "lost before the takedown")
    if watch.state == "lost" and watch.until is None:
        yield Warn(f"{path}.state", "lost", "the state is lost, but until does not say since when")
    if watch.state == "seized" and watch.since is not None and watch.since < case.takedown:
        yield Warn(f"{path}.from", iso(watch.since), "seized before the takedown")


def _odd_name(name: str) -> str | None:
    text = bare(name)
    kind = suffix_kind(text)
    if kind == "dynamic":
        return "anybody gets a host name below this dynamic-DNS domain"
    if kind is not None:
        return "this is a public suffix, not one party's domain"
    top = text[text.rfind(".") + 1 :]
    if top in _NOT_IN_DNS:
        return _NOT_IN_DNS[top]
    if not known_top_level(top):
        return f"the public suffix list has no top-level domain {top}"
    if zone_of(text) in POPULAR:
        return "healthy machines ask for names of this site"
    return None


def _odd_prefix(prefix: str, case: Case) -> str | None:
    network = ipaddress.ip_network(prefix)
    if case.sinkhole is not None and any(
        ipaddress.ip_address(address) in network for address in case.sinkhole.addresses
    ):
        return "the case's own sinkhole answers from here"
    if network.is_private or network.is_loopback or network.is_multicast or network.is_reserved:
        return "not an address of the public internet; blocking resolvers answer with such ones"
    if network.prefixlen < (16 if network.version == 4 else 32):
        return "a prefix this wide holds many that have nothing to do with the botnet"
    return None
