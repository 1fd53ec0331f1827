"""Registration data of some domains and networks, as registries would answer: made up.

References:
    RFC 9083 (RDAP responses), RFC 7095 (jCard), RFC 8056 (states of domains).
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from remnant.cases.zones import zone_of
from remnant.windows import iso

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from remnant.simulate.hosting import Hosting
    from remnant.simulate.scenario import Scenario

__all__ = ["write_registrations"]

_CONFORMANCE: Final = ["rdap_level_0"]
_DOMAINS: Final = 24
_NETWORKS: Final = 24
_NOTICE: Final = {"title": "Simulation", "description": ["Made up: nobody is registered here."]}


def write_registrations(scenario: Scenario, world: Hosting, folder: Path) -> int:
    """Write one JSON file for each domain and network; return how many.

    Args:
        scenario: gives the domains that were seized, and when.
        world: gives hidden domains and the operator's servers.
        folder: is made.
    """
    folder.mkdir(parents=True)
    seized = {zone_of(name.name): name.after for name in scenario.names}
    domains = dict(list(seized.items())[:_DOMAINS])
    domains |= {zone_of(name): "c2" for name in world.hidden[: _DOMAINS // 3]}
    written = 0
    for number, (domain, after) in enumerate(domains.items()):
        found = _domain(domain, after, number, scenario.takedown, scenario.until)
        written += _write(folder / f"domain-{domain}.json", found)
    servers = [
        row["value"]
        for row in world.truth.to_pylist()
        if row["kind"] == "address" and row["operator"]
    ]
    rows = _covering(world, servers)[:_NETWORKS]
    for number, row in enumerate(rows):
        name = f"network-{row[0]}.json"
        written += _write(folder / name, _network(row, number, scenario.until))
    return written


def _covering(world: Hosting, servers: list[str]) -> list[tuple[str, str, int, str, str]]:
    """Return the rows of the prefix table in which servers are (each row is a /24)."""
    heads = {server.rpartition(".")[0] for server in servers}
    return [row for row in world.prefixes if row[0].rpartition(".")[0] in heads]


def _write(path: Path, found: dict[str, Any]) -> int:
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1


def _domain(
    name: str, after: str, number: int, takedown: datetime, asked: datetime
) -> dict[str, Any]:
    seized = after == "sinkhole"
    created = takedown - timedelta(days=200 + 37 * (number % 9))
    changed = takedown if seized else created + timedelta(days=40)
    expires = created + timedelta(days=365 * (1 + (takedown - created).days // 365))
    status = ["client transfer prohibited"]
    if seized:
        status = ["server transfer prohibited", "server update prohibited"]
    elif after == "nxdomain":
        status = ["client hold"]
    servers = ("ns1.seized.example", "ns2.seized.example") if seized else ()
    firm = f"Simulated Registrar {1 + number % 3}"
    return {
        "objectClassName": "domain",
        "rdapConformance": _CONFORMANCE,
        "notices": [_NOTICE],
        "handle": f"SIM-D{number + 1}",
        "ldhName": name,
        "status": status,
        "nameservers": [{"objectClassName": "nameserver", "ldhName": server} for server in servers],
        "events": [
            _event("registration", created),
            _event("last changed", changed),
            _event("expiration", expires),
            _event("last update of RDAP database", asked),
        ],
        "entities": [
            _entity("registrar", firm, f"SIM-R{1 + number % 3}")
            | {
                "entities": [
                    _entity("abuse", f"Abuse desk of {firm}", f"SIM-RA{1 + number % 3}",
                            f"abuse@registrar{1 + number % 3}.example")
                ]
            },
            _entity("registrant", f"Made-up Person {1 + number % 7}", f"SIM-P{1 + number % 7}"),
        ],
    }  # fmt: skip


def _network(row: tuple[str, str, int, str, str], number: int, asked: datetime) -> dict[str, Any]:
    first, last, asn, country, name = row
    contact = f"abuse@as{asn}.example"
    return {
        "objectClassName": "ip network",
        "rdapConformance": _CONFORMANCE,
        "notices": [_NOTICE],
        "handle": f"SIM-NET{number + 1}",
        "startAddress": first,
        "endAddress": last,
        "ipVersion": "v4",
        "name": name.upper().replace(" ", "-"),
        "type": "ASSIGNED PA",
        "country": country,
        "status": ["active"],
        "events": [
            _event("registration", asked - timedelta(days=900)),
            _event("last changed", asked - timedelta(days=300)),
            _event("last update of RDAP database", asked),
        ],
        "entities": [
            _entity("registrant", name, f"SIM-O{asn}"),
            _entity("abuse", f"Abuse desk of {name}", f"SIM-A{asn}", contact),
        ],
    }


def _event(action: str, when: datetime) -> dict[str, str]:
    return {"eventAction": action, "eventDate": iso(when)}


def _entity(role: str, name: str, handle: str, mail: str | None = None) -> dict[str, Any]:
    card: list[list[Any]] = [["version", {}, "text", "4.0"], ["fn", {}, "text", name]]
    if mail is not None:
        card.append(["email", {"type": "work"}, "text", mail])
    return {
        "objectClassName": "entity",
        "handle": handle,
        "roles": [role],
        "vcardArray": ["vcard", card],
    }
