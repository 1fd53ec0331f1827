"""Local data for Unbound: a resolver operator answers for the seized names by itself.

The clients of that resolver are then seen one by one, which no sinkhole behind a resolver's cache
can do. A zone is a ``static`` local zone: its names have data, all others do not exist. A name that
stands for everything below it is a ``redirect`` local zone, whose own records all names below have.
So such a zone has no NS, lest names below it look delegated.

References:
    unbound.conf(5), "local-zone" and "local-data".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remnant.sinkhole.records import EXPIRE, REFRESH, RETRY, SERVER_TTL, minimum_of
from remnant.sinkhole.zonefile import (
    ZoneText,
    absolute,
    address_data,
    contact_name,
    extra_data,
    is_single,
    safe_name,
)
from remnant.sinkhole.zones import Zone, names_above

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from remnant.sinkhole.exports import Export
    from remnant.sinkhole.servers import Serving

__all__ = ["local_zones", "unbound_files"]

FILE: Final = "unbound.conf"
ZONES_FILE: Final = "unbound-zones.conf"
_SERIAL: Final = 1
"""Of every zone: nobody transfers local data, and resolvers do not look at it."""
_PLACE: Final = "place.for-a-name.invalid"
"""Stands where the name of a zone will, in what zones of generated names have in common."""
_NOTHING: Final = r"TYPE65534 \# 0"
"""An empty record of a private type: it lets a name exist that has nothing anybody asks for."""


def unbound_files(zones: Sequence[Zone], export: Export, serving: Serving) -> str:
    """Write local data and a configuration for Unbound; return the name of the configuration."""
    (export.folder / "run").mkdir(exist_ok=True)
    export.alone(ZONES_FILE, local_zones(zones))
    export.file(FILE, _main(serving))
    return FILE


def local_zones(zones: Iterable[Zone]) -> ZoneText:
    """Return the local zones and their data, with a serial that only people read."""
    parts = ["\n# Written by remnant export unbound. To be included in a server: clause.\n"]
    singles: dict[int, str] = {}
    for zone in zones:
        if not is_single(zone):
            parts += _local_zone(zone)
            continue
        known = singles.get(id(zone.answering))
        if known is None:
            like = Zone(_PLACE, zone.answering, zone.cases, {_PLACE: None})
            known = singles[id(zone.answering)] = "".join(_local_zone(like))
        parts.append(known.replace(_PLACE, safe_name(zone.name)))
    return ZoneText("# serial ", "".join(parts))


def _local_zone(zone: Zone) -> Iterator[str]:
    """Yield the lines for one zone: first the zone itself, then what lies in it."""
    top, ttl = zone.name, zone.answering.ttls[0]
    addresses, extra = address_data(zone), extra_data(zone)
    watched = _lines(ttl, (*addresses, *extra))
    contact = absolute(contact_name(zone.contact))
    apex = [
        f"{ttl} IN SOA {absolute(zone.nameservers[0])} {contact} "
        f"{_SERIAL} {REFRESH} {RETRY} {EXPIRE} {minimum_of(ttl)}"
    ]
    if zone.covered(top):
        yield from _zone(top, "redirect", [*apex, *watched])
        return
    apex += [f"{SERVER_TTL} IN NS {absolute(name)}" for name in zone.nameservers]
    if zone.watched(top):
        apex += watched
    else:
        apex += _lines(ttl, extra)
        apex += _lines(SERVER_TTL, addresses) if top in zone.servers_inside else []
    yield from _zone(top, "static", apex)
    for name in sorted(zone.existing() - {top}):
        if name in zone.below and not _covered_above(zone, name):
            yield from _zone(name, "redirect", watched)
        elif zone.covered(name):
            continue
        elif name in zone.exact:
            yield from _data(name, watched)
        elif name in zone.servers_inside:
            yield from _data(name, _lines(SERVER_TTL, addresses))
        else:
            yield from _data(name, [f"{ttl} IN {_NOTHING}"])


def _covered_above(zone: Zone, name: str) -> bool:
    return any(above in zone.below for above in names_above(name))


def _lines(ttl: int, records: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{ttl} IN {kind} {data}" for kind, data in records]


def _zone(name: str, kind: str, records: Iterable[str]) -> Iterator[str]:
    yield f'local-zone: "{absolute(name)}" {kind}\n'
    yield from _data(name, records)


def _data(name: str, records: Iterable[str]) -> Iterator[str]:
    for record in records:
        # What is in a record never holds the quote that ends this one.
        yield f"local-data: '{absolute(name)} {record}'\n"


def _main(serving: Serving) -> str:
    listen = "\n".join(f"    interface: {at.address}@{at.port}" for at in serving.listen)
    tap = ""
    if serving.dnstap:
        tap = f"""
# Unbound writes to a socket only; something has to listen there before Unbound starts, such as
#   fstrm_capture -t protobuf:dnstap.Dnstap -u SOCKET -w unbound.dnstap
# `remnant ingest CASE` reads that file.
dnstap:
    dnstap-enable: yes
    dnstap-bidirectional: yes
    dnstap-socket-path: "{serving.dnstap.removeprefix("unix:")}"
    dnstap-send-identity: yes
    dnstap-log-client-query-messages: yes
    dnstap-log-client-response-messages: yes
"""
    return f"""\
# Written by remnant export unbound. Check it:  unbound-checkconf {serving.root}/unbound.conf
# Who has an Unbound already takes the include line and the clause about dnstap.
# DNSSEC: local data is not validated here. A client that validates by itself (a resolver that
# forwards to this one) refuses these answers while the parent still has a DS record.

server:
{listen}
    directory: "{serving.root}"
    pidfile: "{serving.root}/run/unbound.pid"
    chroot: ""
    hide-identity: yes
    hide-version: yes
    minimal-responses: yes
    deny-any: yes
    ip-ratelimit: 0
    edns-buffer-size: 1232
    max-udp-size: 1232
    include: "{serving.root}/{ZONES_FILE}"

remote-control:
    control-enable: no
{tap}"""
