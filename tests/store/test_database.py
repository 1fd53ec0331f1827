"""The small mutable state on a PostgreSQL server, as on a file of SQLite."""

from __future__ import annotations

import importlib.abc
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from dnstap_writer import CLIENT_QUERY, START_TIME, message, query, stream
from remnant.errors import StoreError
from remnant.store import Store
from remnant.store.database import make_tables, open_engine
from remnant.store.ledger import Ledger
from store.test_store import DAY, put, settings_in
from stored import CASE
from story.telling import Place

if TYPE_CHECKING:
    from pathlib import Path


def told(place: Place) -> dict[str, Any]:
    """Return what commands say of a case that is ingested, re-ingested, changed and served."""
    (place.folder / "case.toml").write_text(CASE, encoding="utf-8")
    place.do("case", "import", place.folder / "case.toml")
    asked = [
        message(CLIENT_QUERY, query("c2.evil.example"), time=START_TIME + 3600.0 * hour)
        for hour in range(30)
    ]
    (place.folder / "a.dnstap").write_bytes(stream(*asked[:20]))
    (place.folder / "b.dnstap").write_bytes(stream(*asked))
    said: dict[str, Any] = {}
    for name, file in (("first", "a"), ("again", "a"), ("grown", "b"), ("grown again", "b")):
        out = place.do("ingest", "taken", place.folder / f"{file}.dnstap", "--format", "json")
        (read,) = json.loads(out.out)["sources"]
        said[name] = {key: read[key] for key in ("state", "messages", "matched")}
    place.do("sensor", "retire", "ns1", "--at", "2015-04-12")
    for verb in (("traffic", "taken", "--by", "day"), ("sensor", "list", "taken")):
        said[verb[0]] = json.loads(place.do(*verb, "--format", "json").out)
    said["versions"] = len(list((place.home / "cases" / "taken" / "versions").iterdir()))
    return said


def test_what_commands_say_is_the_same_on_both_databases(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_sqlite = told(Place(tmp_path / "sqlite"))
    monkeypatch.setenv("REMNANT_DATABASE", postgres)
    place = Place(tmp_path / "server")
    assert told(place) == of_sqlite
    assert not (place.home / "state.sqlite").exists()
    assert place.do("case", "delete", "taken", "--yes").code == 0
    engine = open_engine(postgres)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM source")) == 0
    engine.dispose()


def test_a_reader_sees_one_state_while_another_writes(postgres: str, tmp_path: Path) -> None:
    settings = replace(settings_in(tmp_path), database=postgres)
    with Store.open(settings, write=True) as writer:
        put(writer, [{"time": DAY, "client": 1}])
        with Store.open(settings) as reader, reader.ledger.reading() as connection:
            before = reader.ledger.files(connection, "demo", "sightings")
            put(writer, [{"time": DAY, "client": 2}], source="s2")
            assert reader.ledger.files(connection, "demo", "sightings") == before
        assert len(writer.view("demo").sources) == 2


def test_many_may_make_the_tables_at_once(postgres: str) -> None:
    gate = threading.Barrier(6)

    def begin(_: int) -> str | None:
        gate.wait()
        ledger = Ledger(postgres, create=True)
        try:
            return ledger.fact("version")
        finally:
            ledger.close()

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(begin, range(6))) == {"2"}


def test_tables_are_made_once_and_then_left_as_they_are(postgres: str) -> None:
    tables = sa.MetaData()
    sa.Table("kept", tables, sa.Column("id", sa.Integer, primary_key=True))
    engine = open_engine(postgres)
    for _ in range(2):
        with engine.begin() as connection:
            make_tables(connection, tables)
    engine.dispose()


def test_a_server_that_cut_its_connections_is_asked_again(postgres: str) -> None:
    ledger, other = Ledger(postgres, create=True), open_engine(postgres)
    with other.begin() as connection:
        others = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid != pg_backend_pid()"
        )
        assert connection.execute(sa.text(others)).rowcount
    assert ledger.fact("version") == "2"
    ledger.close()
    other.dispose()


def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql://olga:secret@/none?host={tmp_path}"
    with pytest.raises(StoreError, match="cannot be read or written") as caught:
        Store.open(replace(settings_in(tmp_path), database=url), write=True)
    assert "olga" in str(caught.value)
    assert "secret" not in str(caught.value)
    # Who comes next is not locked out by the one who failed.
    with Store.open(settings_in(tmp_path), write=True):
        pass


class _Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, *_: object) -> None:
        if name == "psycopg":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_without_the_driver_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == "psycopg"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [_Missing(), *sys.meta_path])
    with pytest.raises(StoreError) as caught:
        open_engine("postgresql://olga@host/driverless")
    assert "remnant[postgresql]" in str(caught.value)
