"""The store without any traffic: rows go in by a change, come out by a view."""

from __future__ import annotations

import errno
import os
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from remnant.errors import SchemaMismatch, StoreBusy, StoreError
from remnant.schema import ACTIVITY, CLIENTS, COVERAGE, SIGHTINGS, STORED, Table
from remnant.settings import Settings
from remnant.store import SourceRecord, Store
from remnant.store.compact import MANY, compact
from remnant.store.engine import ibis_schema
from remnant.store.files import conform, read_table

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = datetime(2015, 4, 8, tzinfo=UTC)


def settings_in(folder: Path) -> Settings:
    return Settings(home=folder / "home", site_key=folder / "site.key")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(settings_in(tmp_path), write=True)
    yield opened
    opened.close()


def sightings(rows: list[dict[str, Any]]) -> pa.Table:
    usual = {
        "time": DAY,
        "sensor": "tap",
        "vantage": "resolver",
        "unit": "ipv4",
        "name": "evil.example",
        "indicator": "evil.example",
        "proof": "dns_udp",
        "weight": 1,
        "limited": False,
        "source": "s1",
    }
    return made(SIGHTINGS, [usual | row for row in rows])


def made(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    columns = {
        field.name: pa.array(
            [row.get(field.name) for row in rows],
            field.type.value_type if pa.types.is_dictionary(field.type) else field.type,
        )
        for field in table.arrow
    }
    return conform(table, pa.table(columns))


def put(store: Store, rows: list[dict[str, Any]], case: str = "demo", source: str = "s1") -> None:
    with store.change() as change:
        change.write(SIGHTINGS, case, "2015-04-08", sightings(rows), [source])
        change.put_source(record(source, case), None)
        change.commit()


def record(source: str, case: str) -> SourceRecord:
    return SourceRecord(
        source, case, "path", "lines", "", None, "resolver", "w", source, 1, 0, True,
        1, 1, 1, 1, 0, 0, 0, DAY, DAY, DAY, False,
    )  # fmt: skip


def clients_of(store: Store, case: str = "demo") -> list[int]:
    return sorted(store.view(case).table(SIGHTINGS).client.to_pyarrow().to_pylist())


def activity(store: Store) -> list[dict[str, Any]]:
    rows = store.view("demo").table(ACTIVITY).to_pyarrow().to_pylist()
    return sorted(rows, key=str)


def test_a_store_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    with Store.open(settings_in(tmp_path)) as store:
        view = store.view("demo")
        assert view.sources == []
        assert view.retired == {}
        assert not view.simulated
        for table in STORED:
            found = view.table(table)
            assert found.schema() == ibis_schema(table)
            assert found.count().execute() == 0
        assert store.sensors("demo") == []
    assert list(tmp_path.iterdir()) == []


def test_a_view_does_not_change_while_others_write(store: Store) -> None:
    put(store, [{"client": 1}])
    before = store.view("demo")
    put(store, [{"client": 2}], source="s2")

    assert before.table(SIGHTINGS).count().execute() == 1
    assert clients_of(store) == [1, 2]
    assert [source.id for source in store.view("demo").sources] == ["s1", "s2"]


def test_a_change_without_a_commit_leaves_no_trace(store: Store) -> None:
    with store.change() as change:
        change.write(SIGHTINGS, "demo", "2015-04-08", sightings([{"client": 1}]), ["s1"])

    assert clients_of(store) == []
    assert list(store.folder.present()) == []
    assert list(store.folder.temporary.iterdir()) == []


def test_one_writer_at_a_time(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreBusy, match=str(os.getpid())):
        Store.open(settings_in(tmp_path), write=True)
    Store.open(settings_in(tmp_path)).close()
    store.close()
    Store.open(settings_in(tmp_path), write=True).close()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    store = Store.open(settings_in(tmp_path))
    for write in (store.change, store.settle, lambda: store.delete_case("demo")):
        with pytest.raises(StoreError, match="for reading"):
            write()


def test_roll_ups_are_exact_and_agree_before_and_after_they_are_made(store: Store) -> None:
    hour = timedelta(hours=1)
    put(
        store,
        [
            {"client": 1, "asn": 64500, "country": "DE", "weight": 3},
            {"client": 1, "asn": 64500, "country": "DE", "time": DAY + hour, "sensor": "two"},
            {"client": 2, "unit": "ipv6_64", "name": "b.example"},
            {"client": 2, "unit": "ipv6_64", "vantage": "authority"},
        ],
    )
    before = activity(store)
    store.settle()
    after = activity(store)

    assert before == after
    resolver = [row for row in after if row["vantage"] == "resolver"]
    found = {
        (
            row["grain"],
            row["start"].hour,
            row["sensor"] or row["name"] or row["asn"],
        ): (row["queries"], row["clients"], row["unit"])
        for row in resolver
    }
    assert found == {
        ("hour", 0, "tap"): (4, 2, "mixed"),
        ("hour", 0, None): (4, 2, "mixed"),
        ("hour", 1, "two"): (1, 1, "ipv4"),
        ("hour", 1, None): (1, 1, "ipv4"),
        ("day", 0, "tap"): (4, 2, "mixed"),
        ("day", 0, "two"): (1, 1, "ipv4"),
        ("day", 0, None): (5, 2, "mixed"),
        ("network", 0, 64500): (4, 1, "ipv4"),
        ("network", 0, None): (1, 1, "ipv6_64"),
        ("name", 0, "evil.example"): (4, 1, "ipv4"),
        ("name", 0, "b.example"): (1, 1, "ipv6_64"),
    }


def test_roll_ups_do_not_depend_on_the_zone_of_the_machine(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    put(store, [{"client": 1, "time": DAY + timedelta(hours=1)}])

    days = [row["start"] for row in activity(store) if row["grain"] == "day"]

    assert set(days) == {DAY}


def test_small_files_are_merged_and_rows_stay(store: Store) -> None:
    for client in range(20):
        put(store, [{"client": client}], source=f"s{client}")
    before = activity(store)
    old = store.view("demo")
    store.settle()

    with store.ledger.reading() as connection:
        (merged,) = store.ledger.files(connection, "demo", SIGHTINGS.name)
        assert store.ledger.dirty_days(connection, "demo") == set()
    assert merged.sources == {f"s{client}" for client in range(20)}
    assert clients_of(store) == list(range(20))
    assert old.table(SIGHTINGS).count().execute() == 20
    assert activity(store) == before


def test_replaced_files_go_after_a_while(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, [{"client": 1}])
    with store.change() as change:
        change.remove_source("demo", "s1")
        change.commit()
    store.close()
    Store.open(settings_in(tmp_path), write=True).close()
    assert len(list(store.folder.present())) == 1

    monkeypatch.setattr("remnant.store.store.GRACE", timedelta(seconds=-1))
    Store.open(settings_in(tmp_path), write=True).close()
    assert list(store.folder.present()) == []


def test_orphans_go_with_the_next_writer(store: Store, tmp_path: Path) -> None:
    put(store, [{"client": 1}])
    (kept,) = store.folder.present()
    orphan = store.folder.path(kept).with_name("orphan.parquet")
    orphan.write_bytes(b"half a file")
    (store.folder.temporary / "left").mkdir()
    store.close()

    Store.open(settings_in(tmp_path), write=True).close()

    assert list(store.folder.present()) == [kept]
    assert not store.folder.temporary.exists()


def test_files_without_their_ledger_are_not_orphans(store: Store, tmp_path: Path) -> None:
    put(store, [{"client": 1}])
    present = list(store.folder.present())
    store.close()
    for file in (tmp_path / "home").glob("state.sqlite*"):
        file.unlink()

    with pytest.raises(StoreError, match="does not belong"):
        Store.open(settings_in(tmp_path), write=True)
    assert list(store.folder.present()) == present


def test_transform_rewrites_every_file_in_one_commit(store: Store) -> None:
    put(store, [{"client": 1}])
    put(store, [{"client": 2}], source="s2")
    store.settle()

    def refill(rows: pa.Table) -> pa.Table:
        at = rows.schema.get_field_index("asn")
        return rows.set_column(at, "asn", pc.add(rows["client"], 64500))

    assert store.transform("demo", {SIGHTINGS: refill}) == 2

    assert clients_of(store) == [1, 2]
    networks = {row["asn"] for row in activity(store) if row["grain"] == "network"}
    assert networks == {64501, 64502}


def test_a_transform_that_fails_changes_nothing(store: Store) -> None:
    put(store, [{"client": 1}])
    put(store, [{"client": 2}], source="s2")
    seen = []

    def fail_later(rows: pa.Table) -> pa.Table:
        seen.append(rows)
        if len(seen) == 2:
            raise ZeroDivisionError
        return rows.slice(0, 0)

    with pytest.raises(ZeroDivisionError):
        store.transform("demo", {"sightings": fail_later})
    assert clients_of(store) == [1, 2]


def test_deleting_a_case_leaves_nothing_of_it_and_all_of_others(store: Store) -> None:
    put(store, [{"client": 1}])
    put(store, [{"client": 2}], case="other", source="s2")
    store.settle()

    assert store.delete_case("demo") == 2

    assert store.view("demo").sources == []
    assert clients_of(store, "other") == [2]
    assert {path.split("/")[1] for path in store.folder.present()} == {"case=other"}


def test_sensors_are_listed_and_retired(store: Store) -> None:
    rows = [
        {
            "source": "s1",
            "sensor": "tap",
            "vantage": "resolver",
            "hour": hour,
            "messages": count,
            "matched": 0,
            "malformed": 0,
            "skipped": 0,
            "lost": 0,
            "clock_faults": 0,
        }
        for hour, count in [(DAY, 5), (DAY + timedelta(hours=2), 7), (None, 1), (DAY, 1)]
    ]
    with store.change() as change:
        change.write(COVERAGE, "demo", None, made(COVERAGE, rows), ["s1"])
        change.commit()
    store.retire_sensor("tap", DAY + timedelta(days=1))

    assert store.sensors("demo") == [
        {
            "sensor": "tap",
            "vantage": "resolver",
            "first": "2015-04-08T00:00:00Z",
            "last": "2015-04-08T02:00:00Z",
            "hours": 2,
            "messages": 13,
            "retired": "2015-04-09T00:00:00Z",
        }
    ]
    assert store.view("demo").retired == {"tap": DAY + timedelta(days=1)}
    store.retire_sensor("tap", None)
    assert store.view("demo").retired == {}


def test_coverage_of_the_first_version_is_read_and_merged_as_traffic(store: Store) -> None:
    row = {
        "source": "s1",
        "sensor": "tap",
        "vantage": "resolver",
        "hour": DAY,
        "messages": 5,
        "matched": 0,
        "malformed": 0,
        "skipped": 0,
        "lost": 0,
        "clock_faults": 0,
    }
    for _ in range(MANY + 1):
        with store.change() as change:
            change.write(COVERAGE, "demo", None, made(COVERAGE, [row]), ["s1"])
            change.commit()
    with store.ledger.reading() as connection:
        files = store.ledger.files(connection, "demo", COVERAGE.name)
    for file in files:
        # As version 1 wrote it: one column less.
        data = pq.read_table(store.folder.path(file)).drop_columns(["basis"])
        metadata = {**data.schema.metadata, b"remnant.version": b"1"}
        pq.write_table(data.replace_schema_metadata(metadata), store.folder.path(file))

    old = store.view("demo").table(COVERAGE).to_pyarrow()
    assert set(old["basis"].to_pylist()) == {None}
    assert store.sensors("demo")[0]["messages"] == 5 * (MANY + 1)
    assert compact(store, "demo") == MANY + 1
    merged = store.view("demo").table(COVERAGE).to_pyarrow()
    # One source, sensor, vantage and hour is one row.
    assert merged["messages"].to_pylist() == [5 * (MANY + 1)]
    assert merged["basis"].to_pylist() == [None]


def test_a_full_disk_keeps_the_old_state(store: Store) -> None:
    put(store, [{"client": 1}])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(StoreError, match="free some space"):
            put(store, [{"client": client} for client in range(1000)], source="s2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert clients_of(store) == [1]
    assert len(list(store.folder.present())) == 1
    put(store, [{"client": 2}], source="s2")
    assert clients_of(store) == [1, 2]


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_a_failing_disk_keeps_the_old_state(
    store: Store, monkeypatch: pytest.MonkeyPatch, function: str, number: int
) -> None:
    put(store, [{"client": 1}])

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number), "here")

    with monkeypatch.context() as broken, pytest.raises(StoreError, match="here"):  # noqa: PT012 - broken for this call only
        broken.setattr(os if function == "fsync" else Path, function, fail)
        put(store, [{"client": 2}], source="s2")

    assert clients_of(store) == [1]
    assert len(list(store.folder.present())) == 1


def test_a_failing_commit_keeps_the_old_state(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, [{"client": 1}])
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):  # noqa: PT012 - broken for this call only
        broken.setattr(
            type(store.ledger), "add_files", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        put(store, [{"client": 2}], source="s2")

    assert clients_of(store) == [1]
    assert len(list(store.folder.present())) == 1
    assert [source.id for source in store.view("demo").sources] == ["s1"]


def test_a_newer_file_is_refused(store: Store) -> None:
    put(store, [{"client": 1}])
    (path,) = store.folder.present()
    place = store.folder.path(path)
    data = pq.read_table(place, partitioning=None)
    newer = {**data.schema.metadata, b"remnant.version": b"99"}
    pq.write_table(data.replace_schema_metadata(newer), place)

    with pytest.raises(SchemaMismatch, match="newer"):
        read_table(SIGHTINGS, place)


def test_a_missing_or_damaged_file_is_explained(store: Store) -> None:
    put(store, [{"client": 1}])
    (path,) = store.folder.present()
    store.folder.path(path).write_bytes(b"not Parquet")
    with pytest.raises(StoreError, match="damaged"):
        read_table(SIGHTINGS, store.folder.path(path))
    store.folder.path(path).unlink()
    with pytest.raises(StoreError, match="missing"):
        store.view("demo").table(SIGHTINGS)


def test_files_of_an_older_version_get_null_columns() -> None:
    whole = made(CLIENTS, [])
    assert conform(CLIENTS, whole.drop_columns(["role"])).schema == CLIENTS.arrow
    with pytest.raises(StoreError, match="lacks"):
        conform(CLIENTS, whole.drop_columns(["client"]))


def test_a_folder_name_with_a_pattern_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "a[b]*c"
    folder.mkdir()
    store = Store.open(settings_in(folder), write=True)
    put(store, [{"client": 1}])

    assert clients_of(store) == [1]
    store.close()


def test_a_view_computes_once_what_it_keeps(store: Store) -> None:
    view = store.view("demo")
    made = []

    def make() -> Any:
        made.append(1)
        return view.table(SIGHTINGS).group_by("client").aggregate(n=lambda t: t.count())

    assert not view.is_kept("k")
    first = view.kept("k", make)
    assert view.kept("k", make) is first
    assert (view.is_kept("k"), made) == (True, [1])
    assert first.to_pyarrow().num_rows == 0


def test_everything_is_one_table_over_all_cases_at_one_moment(store: Store) -> None:
    empty = store.everything(SIGHTINGS)
    put(store, [{"client": 1}])
    put(store, [{"client": 2, "source": "s2"}] * 2, case="other", source="s2")

    found = store.everything(SIGHTINGS)
    put(store, [{"client": 3, "source": "s3"}], source="s3")
    assert sorted(found.table.source.to_pyarrow().to_pylist()) == ["s1", "s2", "s2"]
    assert sorted((s.case, s.id) for s in found.sources) == [("demo", "s1"), ("other", "s2")]
    assert empty.table.count().execute() == 0
    assert store.everything(SIGHTINGS).table.count().execute() == 4
