from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any

import pytest

from remnant.report.mapmisp import misp_event
from report.mapsample import FACTS, HOSTILE, candidates, hostile, sample

# What the core format asks for, and the types that a map has.
EVENT = {"uuid", "info", "date", "timestamp", "threat_level_id", "analysis", "distribution"}
TYPES = {"domain", "hostname", "ip-dst", "AS"}


@pytest.fixture(scope="module")
def event() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(
        json.dumps(misp_event(sample(), candidates(sample()), FACTS, tlp="amber"))
    )
    event: dict[str, Any] = made["Event"]
    return event


def test_the_event_has_what_the_core_format_asks_for(event: dict[str, Any]) -> None:
    assert all(isinstance(event[name], str) for name in EVENT)
    assert event["published"] is False
    assert event["distribution"] == "0"
    assert event["date"] == "2015-05-02"
    uuid.UUID(event["uuid"])
    assert {"tlp:amber", 'remnant:simulated="yes"'} == {tag["name"] for tag in event["Tag"]}
    every = [*event["Attribute"], *(a for o in event["Object"] for a in o["Attribute"])]
    for attribute in every:
        assert attribute["type"] in TYPES
        assert attribute["category"] == "Network activity"
        assert isinstance(attribute["to_ids"], bool)
        assert attribute["value"]
    ids = [item["uuid"] for item in [*every, *event["Object"], event]]
    assert len(set(ids)) == len(ids)


def test_only_seeds_may_be_used_for_detection(event: dict[str, Any]) -> None:
    rows = sample().nodes.to_pylist()
    found = {row["value"] for row in candidates(sample())}
    wanted = {r["value"] for r in rows if r["seed"]}
    detected = {a["value"] for a in event["Attribute"] if a["to_ids"]}
    hubs = {r["value"] for r in rows if r["hub"] is not None}

    assert detected == wanted
    assert hubs
    assert not detected & hubs
    assert found - wanted
    inside = {a["value"] for o in event["Object"] for a in o["Attribute"] if a["to_ids"]}
    assert inside <= wanted


def test_each_says_why_it_is_there(event: dict[str, Any]) -> None:
    comments = {a["value"]: a["comment"] for a in event["Attribute"]}
    first = candidates(sample())[0]

    assert comments[first["value"]] == ("candidate 1, not confirmed: shares a server with 2 seeds")
    assert comments["192.0.2.53"] == "joins nothing: sinkhole; Sinkhole of X"
    assert "seed (c2, seized)" in comments.values()


def test_times_are_in_order(event: dict[str, Any]) -> None:
    for item in [*event["Attribute"], *event["Object"]]:
        if "first_seen" in item:
            first, last = (datetime.fromisoformat(item[k]) for k in ("first_seen", "last_seen"))
            assert first <= last


def test_client_networks_are_not_shared(event: dict[str, Any]) -> None:
    assert "ISP" not in json.dumps(event)


def test_hostile_names_come_back_whole() -> None:
    made = json.loads(json.dumps(misp_event(hostile(), [], FACTS)))

    assert set(HOSTILE) <= {a["value"] for a in made["Event"]["Attribute"]}
