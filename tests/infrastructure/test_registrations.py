"""Registration data, kept with its history."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collate.made_up import settings_in
from infrastructure.registered import domain, network
from remnant.infrastructure.registrations import Registrations, import_files
from remnant.store import Store, observations
from remnant.store.observations import EVERYONE, Observation, Observations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = datetime(2015, 4, 8, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(settings_in(tmp_path), write=True)
    yield opened
    opened.close()


def written(folder: Path, **values: Any) -> list[Path]:
    paths = []
    for name, value in values.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(value), encoding="utf-8")
        os.utime(path, (DAY.timestamp(), DAY.timestamp()))
        paths.append(path)
    return paths


def brought(store: Store, paths: list[Path], **more: Any) -> list[tuple[int, int]]:
    results = list(import_files(store, paths, now=NOW, **more))
    return [(result.objects, result.new) for result in results]


def everything(store: Store) -> list[Observation]:
    kept = Observations(store.ledger)
    cases = ["", "demo", "other"]
    return [one for kind in ("domain", "network", "autnum") for one in kept.of(kind, cases)]


def test_twice_is_once_and_the_newest_wins(store: Store, tmp_path: Path) -> None:
    old, new = written(
        tmp_path,
        old=domain(events=[]),
        new=domain(events=[], status=["client hold"]),
    )
    os.utime(new, (DAY.timestamp() + 86_400,) * 2)
    assert brought(store, [new]) == [(1, 1)]
    assert brought(store, [new, old]) == [(1, 0), (1, 1)]
    assert brought(store, [old, new]) == [(1, 0), (1, 0)]

    history = Registrations(store, "demo", simulated=False).domains(["evil.example"])
    assert [(d.observed, d.registration.status) for d in history["evil.example"]] == [
        (DAY, ("client transfer prohibited",)),
        (DAY + timedelta(days=1), ("client hold",)),
    ]
    before = Registrations(store, "demo", simulated=False, until=DAY + timedelta(hours=1))
    assert len(before.domains(["evil.example", "other.example"])["evil.example"]) == 1


def test_what_dates_a_file(store: Store, tmp_path: Path) -> None:
    stated, silent = written(tmp_path, stated=domain(), silent=network())
    (first, second) = import_files(store, [stated, silent], now=NOW)
    assert (first.dated_by, second.dated_by) == (("registry",), ("modification time",))
    (third,) = import_files(store, [silent], now=NOW, at=DAY + timedelta(days=9))
    assert third.dated_by == ("argument",)
    assert [one.observed for one in everything(store)] == [
        datetime(2015, 4, 20, tzinfo=UTC), DAY, DAY + timedelta(days=9),
    ]  # fmt: skip
    (future,) = import_files(store, [silent], now=NOW, at=NOW + timedelta(days=9))
    assert future.to_json() == {
        "path": str(silent), "objects": 0, "new": 0, "known": 0, "refused": 1,
        "reasons": {"dated in the future": 1}, "dated_by": [],
    }  # fmt: skip


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.permutations(range(5)), st.integers(1, 5))
def test_the_order_of_imports_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], again: int
) -> None:
    folder = tmp_path_factory.mktemp("order")
    values = [
        domain(), domain(status=["client hold"]), network(), network(name="OTHER"),
        [domain("a.example"), domain("evil.example", status=[])],
    ]  # fmt: skip
    paths = written(folder, **{f"f{i}": value for i, value in enumerate(values)})
    with Store.open(settings_in(folder / "one"), write=True) as store:
        brought(store, paths)
        expected = everything(store)
    with Store.open(settings_in(folder / "two"), write=True) as store:
        brought(store, [paths[i] for i in order] + [paths[i] for i in order[:again]])
        assert everything(store) == expected


def test_a_folder_is_walked_and_a_bad_file_does_not_stop_it(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    written(folder, b=domain())
    written(folder / "deep", c=network())
    (folder / "a.json").write_text("{", encoding="ascii")
    (folder / "notes.txt").write_text("{}", encoding="ascii")
    (folder / "z.json").symlink_to("/etc/passwd")
    assert brought(store, [folder]) == [(0, 0), (1, 1), (1, 1)]


def test_who_sees_what(store: Store, tmp_path: Path) -> None:
    (path,) = written(tmp_path, x=domain())
    brought(store, [path], case="demo")
    brought(store, written(tmp_path, y=domain("b.example")))

    names = ["evil.example", "b.example"]
    real = Registrations(store, "demo", simulated=False).domains(names)
    assert set(real) == set(names)
    assert set(Registrations(store, "demo", simulated=True).domains(names)) == {"evil.example"}
    assert set(Registrations(store, "other", simulated=False).domains(names)) == {"b.example"}
    store.delete_case("demo")
    assert set(Registrations(store, "demo", simulated=False).domains(names)) == {"b.example"}


def test_the_narrowest_network_wins(store: Store, tmp_path: Path) -> None:
    paths = written(
        tmp_path,
        wide=network("203.0.0.0", "203.255.255.255", name="WIDE"),
        narrow=network("203.0.113.0", "203.0.113.127", name="NARROW"),
        six=network("2001:db8::", "2001:db8:ffff::", name="SIX"),
        whole=network("0.0.0.0", "255.255.255.255", name="WHOLE"),
    )
    brought(store, paths)
    found = Registrations(store, "demo", simulated=False).networks(
        ["203.0.113.5", "203.0.113.200", "2001:db8::7", "192.0.2.1", "not an address"]
    )
    assert {a: one.registration.name for a, one in found.items()} == {
        "203.0.113.5": "NARROW", "203.0.113.200": "WIDE", "2001:db8::7": "SIX",
    }  # fmt: skip


def test_nothing_is_there_before_the_first_import(tmp_path: Path) -> None:
    with Store.open(settings_in(tmp_path)) as store:
        known = Registrations(store, "demo", simulated=False)
        assert known.domains(["a.example"]) == {}
        assert known.networks(["192.0.2.1"]) == {}
        assert known.system(64500) is None


def test_an_as_by_itself(store: Store, tmp_path: Path) -> None:
    one = {"objectClassName": "autnum", "startAutnum": 64500, "endAutnum": 64500, "name": "ONE"}
    block = {"objectClassName": "autnum", "startAutnum": 64496, "endAutnum": 64511, "name": "BLOCK"}
    brought(store, written(tmp_path, one=one, block=block))
    known = Registrations(store, "demo", simulated=False)
    found = known.system(64500)
    assert found is not None
    assert found.registration.name == "ONE"
    assert known.system(64501) is None


def test_only_the_newest_of_one_thing_are_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observations, "MOST_OF_ONE", 3)
    kept = Observations(store.ledger)
    facts = [
        Observation(EVERYONE, "domain", "x", DAY + timedelta(days=i), str(i)) for i in range(6)
    ]
    assert kept.put(reversed(facts)) == 6
    assert [one.body for one in kept.of("domain", [EVERYONE])] == ["3", "4", "5"]
    assert kept.put(facts[:1]) == 1
    assert [one.body for one in kept.of("domain", [EVERYONE], ["x", "y"])] == ["3", "4", "5"]
