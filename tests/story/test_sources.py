"""The same traffic through pipes, from other folders, end to end: never counted twice."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from dnstap_writer import CLIENT_QUERY, START_TIME, message, query, stream
from story.telling import Place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def real(tmp_path: Path) -> Place:
    """A home with a case of one name, which is not simulated."""
    place = Place(tmp_path / "real")
    place.do("case", "new", "evil", "--takedown", "2015-04-08", "--watch", "*.evil.example")
    return place


def asked(first: int, count: int) -> bytes:
    return stream(
        *(
            message(CLIENT_QUERY, query("ns1.evil.example", ident=i), time=START_TIME + i)
            for i in range(first, first + count)
        )
    )


A, B = asked(0, 300), asked(10_000, 200)


def ingest(place: Place, *arguments: object) -> list[dict[str, Any]]:
    sources: list[dict[str, Any]] = json.loads(
        place.do("ingest", "evil", *arguments, "--format", "json").out
    )["sources"]
    return sources


def queries(place: Place) -> int:
    return sum(row["queries"] or 0 for row in place.ask("traffic", "evil"))


def piped(place: Place, data: bytes) -> list[dict[str, Any]]:
    """Ingest what another end writes into a pipe with a name in the file system."""
    receiving, sending = os.pipe()

    def write() -> None:
        with os.fdopen(sending, "wb") as file:
            file.write(data)

    other = threading.Thread(target=write)
    other.start()
    try:
        return ingest(place, f"/dev/fd/{receiving}")
    finally:
        os.close(receiving)
        other.join()


def test_a_pipe_is_read_once_and_whole(real: Place) -> None:
    assert [row["records"] for row in piped(real, A)] == [300]
    (row,) = piped(real, A + B)
    assert (row["state"], row["records"]) == ("grown", 500)
    assert queries(real) == 500
    assert [row["state"] for row in piped(real, A)] == ["known"]
    assert queries(real) == 500


def test_files_end_to_end_count_nothing_twice(real: Place, tmp_path: Path) -> None:
    one, two, both = (tmp_path / name for name in ("a", "b", "both"))
    one.write_bytes(A)
    two.write_bytes(B)
    both.write_bytes(A + B)
    ingest(real, one, two)

    assert [row["state"] for row in ingest(real, both)] == ["known"]
    assert queries(real) == 500


def test_an_older_copy_is_known_from_any_folder(
    real: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    (here / "log").write_bytes(A + B)
    (there / "old").write_bytes(A)
    monkeypatch.chdir(here)
    assert [row["path"] for row in ingest(real, "log")] == ["log"]

    monkeypatch.chdir(there)
    assert [row["state"] for row in ingest(real, "old")] == ["known"]
    assert queries(real) == 500

    (here / "log").unlink()
    (there / "other").write_bytes(asked(0, 250))
    outcome = real.run("ingest", "evil", "other")
    assert outcome.code == 1
    assert "refused" in outcome.err
    assert str(here / "log") in outcome.err
    assert queries(real) == 500


def test_one_refused_source_does_not_hide_the_others(real: Place, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "1").write_bytes(A)
    (folder / "3").write_bytes(B)
    ingest(real, folder / "1")
    ingest(real, folder / "3", "--sensor", "x")
    (folder / "2").write_bytes(A + asked(20_000, 10))
    (folder / "3").write_bytes(B + asked(30_000, 10))
    (folder / "4").write_bytes(asked(40_000, 10))

    outcome = real.run("ingest", "evil", folder, "--format", "json")

    assert outcome.code == 1
    assert [row["state"] for row in json.loads(outcome.out)["sources"]] == [
        "known", "grown", "refused", "new",
    ]  # fmt: skip
    assert queries(real) == 520


def test_what_was_committed_before_the_store_failed_is_told(
    real: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "1").write_bytes(A)
    (folder / "2").write_bytes(B)
    from remnant.collate import ingest as room
    from remnant.errors import StoreError

    whole = room.ingest_source

    def full(source: Any, *arguments: Any, **options: Any) -> Any:
        if source.name.endswith("2"):
            raise StoreError("the disk is full")
        return whole(source, *arguments, **options)

    monkeypatch.setattr(room, "ingest_source", full)
    outcome = real.run("ingest", "evil", folder, "--format", "json")

    assert outcome.code == 1
    assert "the disk is full" in outcome.err
    (row,) = json.loads(outcome.out)["sources"]
    assert (row["state"], row["records"]) == ("new", 300)
    assert queries(real) == 300


def syslog(*stamps: str) -> str:
    return "".join(
        f"{stamp} ns1 named[1]: client 192.0.2.{i}#1: query: ns1.evil.example IN A +\n"
        for i, stamp in enumerate(stamps)
    )


def unbound(*stamps: str) -> str:
    return "".join(
        f"{stamp} unbound[812:0] info: 192.0.2.{i} ns1.evil.example. A IN\n"
        for i, stamp in enumerate(stamps)
    )


@pytest.mark.parametrize("write", [syslog, unbound])
def test_one_year_is_said_for_logs_on_both_sides_of_new_year(
    real: Place, tmp_path: Path, write: Callable[..., str]
) -> None:
    # Rotation names the newer log first.
    (tmp_path / "q1").write_text(write("Jan  8 00:00:00", "Jan 12 00:00:00"))
    (tmp_path / "q2").write_text(write("Dec 25 00:00:00", "Jan  7 00:00:00"))

    newer, older = ingest(real, tmp_path / "q1", tmp_path / "q2", "--year", 2014)

    assert [older["first"][:10], older["last"][:10]] == ["2014-12-25", "2015-01-07"]
    assert [newer["first"][:10], newer["last"][:10]] == ["2015-01-08", "2015-01-12"]
    assert any("year 2015 assumed" in note for note in newer["notes"])
    assert any("year 2014 assumed" in note for note in older["notes"])


def test_logs_of_years_that_cannot_be_told_are_refused(real: Place, tmp_path: Path) -> None:
    for name, stamp in (("a", "Sep  1"), ("b", "Jan  1"), ("c", "May  1")):
        (tmp_path / name).write_text(syslog(f"{stamp} 00:00:00"))

    refused = real.run("ingest", "evil", *(tmp_path / name for name in "abc"), "--year", 2014)

    assert refused.code == 1
    assert "--year" in refused.err
    assert real.run("sensors", "--format", "json").out.strip() in {"", "[]"}


def test_a_log_in_a_folder_that_was_not_read_is_a_failure(real: Place, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "README").write_text("no traffic\n")
    assert real.run("ingest", "evil", folder).code == 0

    (folder / "queries").write_text(syslog("Jan  8 00:00:00"))
    failed = real.run("ingest", "evil", folder)

    assert failed.code == 1
    assert "--year" in failed.err


def test_logs_of_a_name_server_from_the_file_to_the_sightings(real: Place, tmp_path: Path) -> None:
    at = "[1428494400] unbound[812:0] info: "
    (tmp_path / "queries.log").write_text(
        f"{at}192.0.2.1 ns1.evil.example. A IN\n"
        f"{at}192.0.2.1 ns1.evil.example. A IN NXDOMAIN 0.1 0 99\n"
        f"{at}evil.example. inform 192.0.2.1@4000 ns1.evil.example. A IN\n"
        f"{at}192.0.2.2 ns1.evil.example. A IN\n"
    )
    (tmp_path / "hits.log").write_text(
        f"{at}rpz: applied [z] evil.example. rpz-drop 192.0.2.3@4000 www.evil.example. AAAA IN\n"
    )
    of_queries, of_hits = ingest(real, tmp_path / "queries.log", tmp_path / "hits.log")
    stored = (real.home / "store" / "sightings").rglob("*.parquet")
    seen = [row for path in stored for row in pq.ParquetFile(path).read().to_pylist()]

    assert [of_queries["format"], of_hits["format"]] == ["unbound", "unbound-rpz"]
    assert [of_queries["records"], of_queries["messages"], of_queries["matched"]] == [4, 3, 2]
    assert sorted((row["name"], row["rcode"], row["detail"]) for row in seen if row["rcode"]) == [
        ("ns1.evil.example", 3, None)
    ]
    assert [json.loads(row["detail"])["rpz"]["action"] for row in seen if row["detail"]] == ["DROP"]
    assert len(seen) == 3
