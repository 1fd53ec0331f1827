"""Moving the small mutable state: whole, verified, or not at all."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import argon2
import pytest
import sqlalchemy as sa

from remnant.errors import StoreError
from remnant.store import Store
from remnant.store.copying import copy_state
from remnant.store.database import open_engine
from remnant.store.ledger import TABLES as LEDGER
from remnant.store.observations import TABLES as OBSERVATIONS
from remnant.store.observations import Observation, Observations
from remnant.web.access import passwords
from remnant.web.access.access import Access
from remnant.web.access.audit import Action
from remnant.web.access.tables import AUDIT
from remnant.web.access.tables import TABLES as ACCESS
from store.test_store import put
from web.guarded import ANALYST, bare, make_people

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.settings import Settings

ALL = [LEDGER, OBSERVATIONS, ACCESS]
WHEN = datetime.now(tz=UTC)


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home with accounts, an audit log, sources and files, a retired sensor, a registration."""
    quick = argon2.PasswordHasher.from_parameters(argon2.profiles.CHEAPEST)
    monkeypatch.setattr(passwords, "hasher", lambda: quick)
    settings = bare(tmp_path)
    make_people(settings)
    with Store.open(settings, write=True) as store:
        put(store, [{"client": 1}])
        store.retire_sensor("ns1", datetime(2026, 1, 1, tzinfo=UTC))
        said = Observation("", "network", "192.0.2.0-192.0.2.255", datetime.now(tz=UTC), '{"é":1}')
        Observations(store.ledger).put([said])
    access = Access(settings)
    line = {"at": WHEN, "account": ANALYST, "address": "", "action": "report made"}
    lines = [line | {"subject": f"{number} <é>"} for number in range(2_500)]
    with access.log._database.writing() as connection:  # more than is held in memory at once
        connection.execute(sa.insert(AUDIT), lines)
    access.log.record(ANALYST, "", Action.REPORT_MADE, "x", "refused (422): no")
    access.close()
    return settings


def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Everything that stands in a database, by table."""
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            there = set(sa.inspect(connection).get_table_names())
            return {
                table.name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
                for meta in ALL
                for table in meta.sorted_tables
                if table.name in there
            }
    finally:
        engine.dispose()


def test_everything_goes_to_postgresql_and_back(
    full: Settings, postgres: str, tmp_path: Path
) -> None:
    before = rows(full.database_url)
    assert len(before["audit"]) == 2_501
    assert {name for name, kept in before.items() if kept} >= {
        "account", "audit", "audit_outcome", "source", "file", "file_source", "retired_sensor",
        "observation", "observation_body", "store_fact",
    }  # fmt: skip
    sent = copy_state(full.database_url, postgres, ALL)
    assert rows(full.database_url) == rows(postgres) == before
    assert {one.table: one.rows for one in sent} == {n: len(k) for n, k in before.items()}

    back = f"sqlite:///{tmp_path / 'back.sqlite'}"
    returned = copy_state(postgres, back, ALL)
    assert rows(back) == before
    assert {one.table: one.digest for one in returned} == {one.table: one.digest for one in sent}
    assert stat.S_IMODE((tmp_path / "back.sqlite").stat().st_mode) == 0o600


def test_on_the_server_it_goes_on_where_it_was(full: Settings, postgres: str) -> None:
    from dataclasses import replace

    copy_state(full.database_url, postgres, ALL)
    moved = replace(full, database=postgres)
    access = Access(moved)
    access.log.record(ANALYST, "", Action.REPORT_MADE, "after")
    newest, second = access.log.entries(limit=2)
    assert (newest.subject, newest.id) == ("after", second.id + 1)
    access.close()
    with Store.open(moved, write=True) as store:
        assert store.view("demo").retired.keys() == {"ns1"}


def test_a_database_in_which_something_stands_is_refused(full: Settings, postgres: str) -> None:
    copy_state(full.database_url, postgres, ALL)
    before = rows(postgres)
    with pytest.raises(StoreError, match="not empty"):
        copy_state(full.database_url, postgres, ALL)
    assert rows(postgres) == before
    with pytest.raises(StoreError, match="the database in use"):
        copy_state(full.database_url, full.database_url, ALL)


@pytest.mark.parametrize("on_server", [True, False], ids=["lost", "changed"])
def test_what_arrives_lost_or_changed_is_not_kept(
    full: Settings, postgres: str, tmp_path: Path, on_server: bool
) -> None:
    target = postgres if on_server else f"sqlite:///{tmp_path / 'new.sqlite'}"
    spoiled = (
        "CREATE RULE spoil AS ON INSERT TO audit WHERE NEW.id = 7 DO INSTEAD NOTHING"
        if on_server
        else "CREATE TRIGGER spoil AFTER INSERT ON audit WHEN NEW.id = 7 "
        "BEGIN UPDATE audit SET subject = 'other' WHERE id = 7; END"
    )
    engine = open_engine(target)
    with engine.begin() as connection:
        AUDIT.create(connection)
        connection.exec_driver_sql(spoiled)
    engine.dispose()
    with pytest.raises(StoreError, match="not what was sent"):
        copy_state(full.database_url, target, ALL)
    assert rows(target) == {"audit": []}


def test_what_the_target_cannot_hold_stops_it_whole(full: Settings, postgres: str) -> None:
    engine = open_engine(full.database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE audit SET subject = 'a' || char(0) WHERE id = 7"))
    engine.dispose()
    before = rows(full.database_url)
    with pytest.raises(StoreError, match="cannot be read or written"):
        copy_state(full.database_url, postgres, ALL)
    assert rows(postgres) == {}
    assert rows(full.database_url) == before


def test_nobody_writes_meanwhile(full: Settings, tmp_path: Path) -> None:
    refused: list[str] = []

    def told(name: str) -> None:
        engine = sa.create_engine(full.database_url, connect_args={"timeout": 0})
        try:
            with engine.begin() as connection:
                connection.execute(sa.text("DELETE FROM audit"))
        except sa.exc.OperationalError:
            refused.append(name)
        finally:
            engine.dispose()

    done = copy_state(full.database_url, f"sqlite:///{tmp_path / 'new.sqlite'}", ALL, told=told)
    assert refused == [one.table for one in done]


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////nowhere/at/all/x.sqlite"])
def test_a_target_that_is_none_is_refused(full: Settings, url: str) -> None:
    with pytest.raises(StoreError):
        copy_state(full.database_url, url, ALL)


def test_without_a_source_nothing_is_made(tmp_path: Path) -> None:
    file = tmp_path / "new.sqlite"
    with pytest.raises(StoreError, match="nothing to copy"):
        copy_state(f"sqlite:///{tmp_path / 'none'}", f"sqlite:///{file}", ALL)
    assert not file.exists()
