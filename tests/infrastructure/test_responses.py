"""That names do not exist, from response codes of sightings and of a resolver."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from collate.made_up import settings_in
from remnant.infrastructure import responses
from remnant.infrastructure.responses import ANSWER, NXDOMAIN, observed, resolved
from remnant.schema import SIGHTINGS
from remnant.store import Store
from remnant.store.observations import EVERYONE, Observation, Observations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = datetime(2015, 4, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(settings_in(tmp_path), write=True)
    yield opened
    opened.close()


def put(store: Store, *rows: tuple[float, str, int | None], **more: Any) -> None:
    """Sightings at days with a name and a response code."""
    values: list[dict[str, Any]] = [
        {
            "time": START + timedelta(days=day),
            "sensor": "s1",
            "vantage": "resolver",
            "client": 1,
            "unit": "ipv4",
            "name": name,
            "rcode": rcode,
            "indicator": name,
            "proof": "none",
            "weight": 1,
            "limited": False,
            "source": "src1",
        }
        | more
        for day, name, rcode in rows
    ]
    with store.change() as change:
        for value in values:
            table = pa.Table.from_pylist([value], schema=SIGHTINGS.arrow)
            change.write(SIGHTINGS, "demo", value["time"].date().isoformat(), table, ["src1"])
        change.commit()


def spans(found: dict[str, Any]) -> dict[str, list[tuple[float, float]]]:
    return {
        name: [((e.since - START) / timedelta(days=1), (e.until - START) / timedelta(days=1))
               for e in evidence]
        for name, evidence in found.items()
    }  # fmt: skip


def test_runs_of_days_on_which_every_response_said_so(store: Store) -> None:
    put(
        store,
        (0.25, "a.example", NXDOMAIN), (1.5, "a.example", NXDOMAIN), (1.75, "a.example", NXDOMAIN),
        (4.5, "a.example", NXDOMAIN),
        (5.25, "a.example", NXDOMAIN), (5.5, "a.example", 0),
        (0.5, "b.example", 0), (0.5, "c.example", 2), (0.5, "d.example", None),
        (0.5, "other.example", NXDOMAIN),
    )  # fmt: skip
    put(store, (2.5, "a.example", NXDOMAIN), vantage="sinkhole_dns")
    names = ["a.example", "b.example", "c.example", "d.example"]
    found = observed(store.view("demo"), names)

    assert spans(found) == {"a.example": [(0.25, 1.75), (4.5, 4.5)]}
    (first, _) = found["a.example"]
    assert (first.state, first.by, first.sensors, first.sources) == (
        "absent", "response", ("s1",), ("src1",),
    )  # fmt: skip


def test_sensors_are_judged_by_themselves(store: Store) -> None:
    put(store, (0.5, "a.example", NXDOMAIN))
    put(store, (0.5, "a.example", 0), sensor="s2")
    assert spans(observed(store.view("demo"), ["a.example"])) == {"a.example": [(0.5, 0.5)]}


def test_nothing_to_say(store: Store) -> None:
    assert observed(store.view("demo"), ["a.example"]) == {}
    put(store, (0.5, "a.example", 0))
    assert observed(store.view("demo"), ["a.example"]) == {}
    assert observed(store.view("demo"), []) == {}


def test_runs_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "MOST_RUNS", 2)
    put(store, *[(2.0 * i, f"n{i}.example", NXDOMAIN) for i in range(5)])
    found = observed(store.view("demo"), [f"n{i}.example" for i in range(5)])
    assert set(found) == {"n3.example", "n4.example"}


def test_what_a_resolver_said(store: Store) -> None:
    def said(name: str, day: int, rcode: str, addresses: int = 0) -> Observation:
        body = {"rcode": rcode, "addresses": addresses, "resolver": "127.0.0.1:53"}
        return Observation(EVERYONE, ANSWER, name, START + timedelta(days=day), json.dumps(body))

    Observations(store.ledger).put(
        [
            said("a.example", 1, "NXDOMAIN"),
            said("a.example", 2, "NOERROR", 1),
            said("a.example", 3, "NOERROR"),
            said("a.example", 9, "NXDOMAIN"),
            said("b.example", 1, "SERVFAIL"),
        ]
    )
    found = resolved(
        store, store.view("demo"), ["a.example", "b.example"], START + timedelta(days=9)
    )
    assert [one.what for one in found["a.example"]] == [
        "NXDOMAIN from 127.0.0.1:53", "no address from 127.0.0.1:53",
    ]  # fmt: skip
    assert "b.example" not in found
