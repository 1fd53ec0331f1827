from __future__ import annotations

import json
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from remnant.infrastructure.graph import Graph
from remnant.report.mapstix import TLP, stix_bundle
from report.mapsample import FACTS, HOSTILE, candidates, hostile, sample

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the libraries that it brings
    import stix2


@pytest.fixture(scope="module")
def bundle() -> dict[str, Any]:
    return stix_bundle(sample(), candidates(sample()), FACTS, tlp="green")


def of(bundle: dict[str, Any], type_: str) -> list[dict[str, Any]]:
    return [o for o in bundle["objects"] if o["type"] == type_]


def test_the_stix_library_accepts_the_bundle(bundle: dict[str, Any]) -> None:
    parsed = stix2.parse(json.dumps(bundle))

    assert len(parsed.objects) == len(bundle["objects"])
    ids = {o["id"] for o in bundle["objects"]}
    assert len(ids) == len(bundle["objects"])
    for link in of(bundle, "relationship"):
        assert {link["source_ref"], link["target_ref"]} <= ids
    marks = {tuple(o.get("object_marking_refs", ())) for o in bundle["objects"][1:]}
    assert marks == {(stix2.TLP_GREEN.id,)}


def test_identifiers_are_those_that_the_standard_derives(bundle: dict[str, Any]) -> None:
    domain = of(bundle, "domain-name")[0]
    address = of(bundle, "ipv4-addr")[0]
    network = of(bundle, "autonomous-system")[0]

    assert domain["id"] == stix2.DomainName(value=domain["value"]).id
    assert address["id"] == stix2.IPv4Address(value=address["value"]).id
    assert network["id"] == stix2.AutonomousSystem(number=network["number"]).id
    assert [light[1] for light in TLP.values()] == [
        mark.id.partition("--")[2]
        for mark in (stix2.TLP_WHITE, stix2.TLP_GREEN, stix2.TLP_AMBER, stix2.TLP_RED)
    ]


def test_the_same_map_is_the_same_bundle(bundle: dict[str, Any]) -> None:
    assert stix_bundle(sample(), candidates(sample()), FACTS, tlp="green") == bundle


def test_seeds_candidates_and_sinkholes_are_infrastructure_and_hubs_are_not(
    bundle: dict[str, Any],
) -> None:
    values = {o["id"]: o.get("value") for o in bundle["objects"]}
    members: dict[str, set[Any]] = {}
    for group in of(bundle, "infrastructure"):
        members[group["name"]] = {
            values[link["target_ref"]]
            for link in of(bundle, "relationship")
            if link["source_ref"] == group["id"]
        }
    seeds = {r["value"] for r in sample().nodes.to_pylist() if r["seed"]}
    hubs = {r["value"] for r in sample().nodes.to_pylist() if r["hub"] is not None}

    assert members.pop("SIMULATED: Sinkhole: Sinkhole of X") == {"192.0.2.53"}
    assert members.pop(f"SIMULATED: {FACTS.title}") == seeds
    (found,) = members.values()
    assert found == {row["value"] for row in candidates(sample())}
    assert not hubs & (seeds | found)
    reasons = {o.get("description") for o in of(bundle, "relationship")}
    assert "shares a server with 2 seeds" in reasons


def test_client_networks_are_not_shared(bundle: dict[str, Any]) -> None:
    assert "ISP" not in json.dumps(bundle)
    assert not {o["number"] for o in of(bundle, "autonomous-system")} & set(range(65000, 65100))


def test_relations_say_when_and_stop_after_they_start(bundle: dict[str, Any]) -> None:
    dated = [o for o in of(bundle, "relationship") if "start_time" in o]

    assert dated
    assert all(o["start_time"] < o["stop_time"] for o in dated)
    assert {o["relationship_type"] for o in dated} == {"resolves-to", "belongs-to", "related-to"}


def test_hostile_names_come_back_whole() -> None:
    bundle = stix_bundle(hostile(), [], FACTS)
    read = json.loads(json.dumps(bundle))

    assert {o["value"] for o in of(read, "domain-name")} == set(HOSTILE)
    stix2.parse(json.dumps(bundle))


def test_a_map_of_nothing_is_a_bundle() -> None:
    assert [o["type"] for o in stix_bundle(Graph.empty(), [], FACTS)["objects"]] == [
        "marking-definition"
    ]


def test_objects_keep_their_creation_time_from_export_to_export() -> None:
    began = datetime(2015, 4, 8, tzinfo=UTC)
    bundles = [
        stix_bundle(
            sample(), candidates(sample()), replace(FACTS, made=made, takedown=began), tlp="green"
        )
        for made in (datetime(2015, 5, 1, tzinfo=UTC), datetime(2015, 6, 1, tzinfo=UTC))
    ]

    times = [
        {o["id"]: o["created"] for o in bundle["objects"] if o["type"] == "relationship"}
        for bundle in bundles
    ]
    assert times[0]
    assert times[0] == times[1]
    assert set(times[0].values()) == {"2015-04-08T00:00:00.000Z"}
