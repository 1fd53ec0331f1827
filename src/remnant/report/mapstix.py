"""The map as a STIX 2.1 bundle.

Names, addresses, prefixes (as addresses with a length) and ASes are observables; what the case
knows, the candidates, and each sinkhole are infrastructure objects that consist of them; relations
of the map are relationships with the times between which they were seen. Hubs are on the map and
belong to no infrastructure. Client networks are victims and are never written.

Identifiers follow from the content, and times are those of the map: the same map gives the same
bundle. The vocabulary has no word for a sinkhole, so its type is ``unknown`` and its name says it.

References:
    OASIS STIX 2.1: sections 2.9 (identifiers), 4.8 (infrastructure), 5.1 (relationship), 6.1, 6.4,
    6.8, 6.9 (observables), 7.2.1.4 (TLP).
"""

from __future__ import annotations

import ipaddress
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from remnant.report.mapfacts import candidate_ranks
from remnant.report.wording import legible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remnant.infrastructure.graph import Graph
    from remnant.report.mapfacts import Candidate, MapFacts

__all__ = ["TLP", "stix_bundle"]

_OBSERVABLE: Final = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")  # STIX 2.1, section 2.9
_OURS: Final = uuid.UUID("2f0f4f0e-6c53-5b0e-9d0a-5e5a1f3c7b61")
TLP: Final = {
    "clear": ("white", "613f2e26-407d-48c7-9eca-b8e91df99dc9"),
    "green": ("green", "34098fce-860f-48ae-8e50-ebd3cc5e41da"),
    "amber": ("amber", "f88d31f6-486f-44da-b317-01333bde0b82"),
    "red": ("red", "5e57c739-391a-4eb3-b6be-7d15ca92d5ed"),
}
"""Traffic light -> its word in STIX 2.1 and its fixed marking (``clear`` is called white there)."""

_MARKED: Final = "2017-01-20T00:00:00.000Z"
_RELATIONS: Final = {"resolves_to": "resolves-to", "alias_of": "resolves-to"}


def stix_bundle(
    graph: Graph, candidates: Sequence[Candidate], facts: MapFacts, *, tlp: str = "amber"
) -> dict[str, Any]:
    """Return the map as a STIX 2.1 bundle.

    Args:
        graph: the map.
        candidates: rows of the ranking, best first.
        facts: its case and time of making.
        tlp: one of ``TLP``: who may see it.
    """
    word, marking = TLP[tlp]
    mark = f"marking-definition--{marking}"
    definition = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": mark,
        "created": _MARKED,
        "definition_type": "tlp",
        "name": f"TLP:{word.upper()}",
        "definition": {"tlp": word},
    }
    told = {"spec_version": "2.1", "object_marking_refs": [mark]}
    ids, objects = _observables(graph, told)
    # Of an object with the same id the specification wants the same time in every export.
    created = facts.takedown or facts.made
    made = {**told, "created": _time(created), "modified": _time(max(facts.made, created))}
    objects |= {o["id"]: o for o in _infrastructures(graph, candidates, facts, ids, made)}
    objects |= {o["id"]: o for o in _relations(graph, ids, made)}
    content = [definition, *objects.values()]
    name = json.dumps([facts.case, sorted(o["id"] for o in content), _time(facts.made)])
    return {"type": "bundle", "id": f"bundle--{uuid.uuid5(_OURS, name)}", "objects": content}


def _observables(
    graph: Graph, told: dict[str, Any]
) -> tuple[dict[int, str], dict[str, dict[str, Any]]]:
    """Return the identifier of each node that is one, and the objects by identifier."""
    ids: dict[int, str] = {}
    objects: dict[str, dict[str, Any]] = {}
    columns = [graph.nodes[c].to_pylist() for c in ("kind", "value", "label")]
    for number, (kind, value, label) in enumerate(zip(*columns, strict=True)):
        content = _content(str(kind), str(value))
        if content is None:
            continue
        type_, key = content
        made = {"type": type_, "id": _observable_id(type_, key), **told, **key}
        if type_ == "autonomous-system" and label:
            made["name"] = label
        ids[number] = made["id"]
        objects.setdefault(made["id"], made)
    return ids, objects


def _content(kind: str, value: str) -> tuple[str, dict[str, Any]] | None:
    """Return the type and the identifying properties of a node; ``None`` if it is no observable."""
    if kind == "client_network":
        return None
    if kind == "asn":
        number = value.removeprefix("AS")
        return ("autonomous-system", {"number": int(number)}) if number.isdecimal() else None
    if kind in {"address", "prefix", "sinkhole"}:
        try:
            version = ipaddress.ip_network(value, strict=False).version
        except ValueError:
            return ("domain-name", {"value": value}) if kind == "sinkhole" else None
        return f"ipv{version}-addr", {"value": value}
    return "domain-name", {"value": value}


def _observable_id(type_: str, key: dict[str, Any]) -> str:
    name = json.dumps(key, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    # A lone half of a surrogate pair has no UTF-8: such a name is named by its escapes.
    name = name.encode("utf-8", "backslashreplace").decode()
    return f"{type_}--{uuid.uuid5(_OBSERVABLE, name)}"


def _infrastructures(
    graph: Graph,
    candidates: Sequence[Candidate],
    facts: MapFacts,
    ids: dict[int, str],
    made: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    """Yield the case, its candidates and its sinkholes, with what they consist of."""
    hubs = graph.hubs
    seeds = [n for n in graph.seeds.tolist() if n in ids and not hubs[n]]
    ranks = candidate_ranks(graph, candidates)
    found = [n for n in sorted(ranks, key=lambda n: ranks[n]) if n in ids and not hubs[n]]
    reasons = {
        n: "; ".join(legible(str(r), 400) for r in candidates[ranks[n] - 1].get("reasons") or ())
        for n in found
    }
    head = "SIMULATED: " if facts.simulated else ""
    title = legible(facts.title, 200)
    note = f"{head}{facts.line}"
    groups: list[tuple[str, str, str, list[int]]] = [
        ("seeds", f"{head}{title}", "command-and-control", seeds),
        ("candidates", f"{head}Candidates around {title}, not confirmed", "unknown", found),
    ]
    labels = graph.nodes["label"].to_pylist()
    kinds = graph.kinds
    values = graph.nodes["value"].to_pylist()
    groups += [
        (f"sinkhole {values[n]}", f"{head}Sinkhole: {labels[n] or values[n]}", "unknown", [n])
        for n, kind in enumerate(kinds)
        if kind == "sinkhole" and n in ids
    ]
    for key, name, type_, members in groups:
        if not members:
            continue
        group = {
            "type": "infrastructure",
            "id": f"infrastructure--{uuid.uuid5(_OURS, json.dumps([facts.case, key]))}",
            **made,
            "name": legible(name, 300),
            "description": note,
            "infrastructure_types": [type_],
        }
        yield group
        for n in members:
            described = {"description": reasons[n]} if reasons.get(n) and key[0] == "c" else {}
            yield _relationship(group["id"], "consists-of", ids[n], made) | described


def _relations(graph: Graph, ids: dict[int, str], made: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the edges of the map; those of client networks are not among them."""
    edges = graph.edges
    rows = zip(
        graph.tails.tolist(),
        graph.heads.tolist(),
        map(str, edges["type"].to_pylist()),
        edges["time_first"].to_pylist(),
        edges["time_last"].to_pylist(),
        strict=True,
    )
    belongs = {"ipv4-addr": "belongs-to", "ipv6-addr": "belongs-to"}
    for tail, head, type_, first, last in rows:
        if tail not in ids or head not in ids or ids[tail] == ids[head]:
            continue
        kind = _RELATIONS.get(type_, "related-to")
        if type_ == "in_asn":
            kind = belongs.get(ids[tail].partition("--")[0], kind)
        spoken = _relationship(ids[tail], kind, ids[head], made, type_)
        if kind == "related-to":
            spoken["description"] = type_.replace("_", " ")
        if first is not None:
            spoken["start_time"] = _time(first)
        if last is not None:
            # A relation that was seen once ends a millisecond after it began: STIX wants "later".
            least = last if first is None else max(last, first + timedelta(milliseconds=1))
            spoken["stop_time"] = _time(least)
        yield spoken


def _relationship(
    source: str, kind: str, target: str, made: dict[str, Any], how: str = ""
) -> dict[str, Any]:
    name = json.dumps([source, kind, target, how])
    return {
        "type": "relationship",
        "id": f"relationship--{uuid.uuid5(_OURS, name)}",
        **made,
        "relationship_type": kind,
        "source_ref": source,
        "target_ref": target,
    }


def _time(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"
