"""The map as a MISP event.

Seeds are attributes that a detection may use (``to_ids``). Candidates are not, until a person has
looked at them; what joins nothing (shared hosting, CDN, parking, public DNS), sinkholes, prefixes
and ASes never are: a rule on one of these would stop the innocent. Each name that is a seed or a
candidate has an object with the addresses that it led to. Client networks are victims and are never
written.

References:
    MISP core format, draft-dulaunoy-misp-core-format; MISP object template domain-ip.
"""

from __future__ import annotations

import ipaddress
import json
import uuid
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from remnant.report.mapfacts import candidate_ranks
from remnant.report.mapstix import TLP
from remnant.report.wording import legible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from remnant.infrastructure.graph import Graph
    from remnant.report.mapfacts import Candidate, MapFacts

__all__ = ["MOST_ADDRESSES", "misp_event"]

MOST_ADDRESSES: Final = 100
"""Addresses in the object of one name."""

_OURS: Final = uuid.UUID("6a8a1c52-93a0-5d0c-8a5b-70f0ad1f6f3e")
_TYPES: Final = {
    "name": "hostname",
    "domain": "domain",
    "name_server": "hostname",
    "mail_exchanger": "hostname",
    "address": "ip-dst",
    "prefix": "ip-dst",
    "sinkhole": "ip-dst",
    "asn": "AS",
}
_DETECTABLE: Final = frozenset({"name", "domain", "name_server", "mail_exchanger", "address"})
_NAMES: Final = frozenset({"name", "domain", "name_server", "mail_exchanger"})
_TEMPLATE: Final = {
    "name": "domain-ip",
    "meta-category": "network",
    "template_uuid": "43b3b146-77eb-4931-b4cc-b66c60f28734",
    "template_version": "11",
    "description": "A domain and IP address seen as a tuple in a specific time frame.",
}


def misp_event(
    graph: Graph, candidates: Sequence[Candidate], facts: MapFacts, *, tlp: str = "amber"
) -> dict[str, Any]:
    """Return the map as a MISP event, not published, for the own organisation only.

    Args:
        graph: the map.
        candidates: rows of the ranking, best first.
        facts: its case and time of making.
        tlp: one of ``mapstix.TLP``.
    """
    stamp = str(int(facts.made.timestamp()))
    rows = graph.nodes.to_pylist()
    ranks = candidate_ranks(graph, candidates)
    attributes = []
    for number, row in enumerate(rows):
        kind = str(row["kind"])
        if kind not in _TYPES:
            continue
        rank = ranks.get(number)
        detect = bool(row["seed"] and row["hub"] is None and kind in _DETECTABLE)
        role = "seed" if row["seed"] else "candidate" if rank is not None else ""
        attributes.append(
            {
                **_attribute(facts, _type(kind, str(row["value"])), str(row["value"]), stamp),
                "to_ids": detect,
                "comment": _comment(row, rank, candidates),
                "Tag": [{"name": f'remnant:map="{role or kind}"'}],
                **_seen(row["time_first"], row["time_last"]),
            }
        )
    tags = [f"tlp:{tlp}", *(('remnant:simulated="yes"',) if facts.simulated else ())]
    assert tlp in TLP, "checked by who writes the file"
    return {
        "Event": {
            "uuid": str(uuid.uuid5(_OURS, json.dumps(["event", facts.case, stamp]))),
            "info": f"{facts.heading}: infrastructure map",
            "date": facts.made.astimezone(UTC).date().isoformat(),
            "timestamp": stamp,
            "threat_level_id": "4",
            "analysis": "1",
            "distribution": "0",
            "published": False,
            "Tag": [{"name": tag} for tag in tags],
            "Attribute": attributes,
            "Object": _objects(graph, rows, ranks, facts, stamp),
        }
    }


def _attribute(facts: MapFacts, type_: str, value: str, stamp: str) -> dict[str, Any]:
    return {
        "uuid": str(uuid.uuid5(_OURS, json.dumps(["attribute", facts.case, type_, value]))),
        "type": type_,
        "category": "Network activity",
        "value": value,
        "timestamp": stamp,
        "distribution": "5",
        "disable_correlation": False,
    }


def _type(kind: str, value: str) -> str:
    if kind == "sinkhole":
        try:
            ipaddress.ip_address(value)
        except ValueError:
            return "hostname"
    return _TYPES[kind]


def _comment(row: dict[str, Any], rank: int | None, candidates: Sequence[Candidate]) -> str:
    """Return why the attribute is on the map."""
    words = []
    if row["seed"]:
        words.append(f"seed ({row['role'] or 'no role'}, {row['state'] or 'state unknown'})")
    if rank is not None:
        reasons = candidates[rank - 1].get("reasons") or ()
        told = "; ".join(legible(str(reason), 400) for reason in reasons)
        words.append(f"candidate {rank}, not confirmed: {told}" if told else f"candidate {rank}")
    if row["hub"] is not None:
        words.append(f"joins nothing: {legible(str(row['hub']), 100)}")
    if row["label"]:
        words.append(legible(str(row["label"]), 200))
    return "; ".join(words) or f"{str(row['kind']).replace('_', ' ')} on the map"


def _seen(first: datetime | None, last: datetime | None) -> dict[str, str]:
    times = (("first_seen", first), ("last_seen", last))
    return {k: t.astimezone(UTC).isoformat(timespec="microseconds") for k, t in times if t}


def _objects(
    graph: Graph,
    rows: list[dict[str, Any]],
    ranks: dict[int, int],
    facts: MapFacts,
    stamp: str,
) -> list[dict[str, Any]]:
    """Return one object for each seed or candidate name with the addresses it led to."""
    led: dict[int, list[tuple[int, datetime | None, datetime | None]]] = {}
    edges = graph.edges
    types = edges["type"].cast(pa.string()).to_pylist()
    times = zip(edges["time_first"].to_pylist(), edges["time_last"].to_pylist(), strict=True)
    ends = zip(graph.tails.tolist(), graph.heads.tolist(), strict=True)
    for type_, (tail, head), (first, last) in zip(types, ends, times, strict=True):
        if type_ == "resolves_to" and rows[tail]["kind"] in _NAMES:
            led.setdefault(tail, []).append((head, first, last))
    objects = []
    for name in sorted(led):
        row = rows[name]
        if row["hub"] is not None or not (row["seed"] or name in ranks):
            continue
        found = sorted(led[name], key=lambda item: str(rows[item[0]]["value"]))[:MOST_ADDRESSES]
        value = str(row["value"])
        parts = [("domain", "domain", value, bool(row["seed"]))]
        parts += [("ip", "ip-dst", str(rows[n]["value"]), False) for n, _, _ in found]
        firsts = [first for _, first, _ in found if first is not None]
        lasts = [last for _, _, last in found if last is not None]
        key = json.dumps(["object", facts.case, value])
        objects.append(
            {
                **_TEMPLATE,
                "uuid": str(uuid.uuid5(_OURS, key)),
                "timestamp": stamp,
                "distribution": "5",
                **_seen(min(firsts, default=None), max(lasts, default=None)),
                "Attribute": [
                    {
                        **_attribute(facts, type_, text, stamp),
                        "uuid": str(uuid.uuid5(_OURS, json.dumps([key, relation, text]))),
                        "object_relation": relation,
                        "to_ids": detect,
                    }
                    for relation, type_, text, detect in parts
                ],
            }
        )
    return objects
