"""Logs written by real PowerDNS servers, asked by a real dig."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from ports import free_port
from remnant.capture import ReadOptions
from remnant.capture.readers import READERS, recognise
from remnant.capture.stream import ByteStream
from remnant.watchlist import Rule, Watchlist
from textlogs import counts, notes, v4

from .dns_servers import ask, authority, needed, serving

if TYPE_CHECKING:
    from pathlib import Path

SUBNET = v4("203.0.113.0") + bytes([120])
SERVFAIL, NXDOMAIN = 2, 3
ASKED = [
    ("www.evil.example", "A", [], "www.evil.example", 1, 0),
    ("www.evil.example", "A", [], "www.evil.example", 1, 0),
    ("WWW.evil.Example", "AAAA", ["+tcp"], "www.evil.example", 28, 0),
    ("alias.evil.example", "A", ["+dnssec", "+bufsize=1400"], "alias.evil.example", 1, 0),
    ("nx.evil.example", "A", [], "nx.evil.example", 1, NXDOMAIN),
    ("evil.example", "HTTPS", ["+subnet=203.0.113.77/24"], "evil.example", 65, 0),
    ("evil.example", "TYPE65280", [], "evil.example", 65280, 0),
    (r"a\032b.evil.example", "A", [], r"a\032b.evil.example", 1, 0),
    ("q'u\"o.evil.example", "A", [], "q'u\"o.evil.example", 1, SERVFAIL),
    (r"b\\s.evil.example", "A", [], r"b\\s.evil.example", 1, NXDOMAIN),
    ("pi|pe.evil.example", "A", [], "pi|pe.evil.example", 1, SERVFAIL),
    (r"b\255in.evil.example", "A", [], r"b\255in.evil.example", 1, SERVFAIL),
]


def read(name: str, data: bytes, zone: str = "UTC") -> list[Any]:
    now = datetime.now(UTC)
    options = ReadOptions(now=now + timedelta(hours=1), year=now.year, timezone=ZoneInfo(zone))
    watchlist = Watchlist.compile([Rule("demo", "below", "*.")])
    with ByteStream(io.BytesIO(data), "pdns.log", chunk=1000) as stream:
        return list(READERS[name].read(stream, watchlist, options))


def found(batches: list[Any]) -> list[dict[str, Any]]:
    rows = [one for batch in batches for one in batch.queries.to_pylist()]
    return sorted(
        (one for one in rows if one["name"].endswith("evil.example")),
        key=lambda one: int(one["offset"]),
    )


def test_every_query_of_the_authoritative_server(tmp_path: Path) -> None:
    with authority(tmp_path, "--log-dns-queries=yes", "--edns-subnet-processing=yes") as (
        port,
        log,
    ):
        for name, kind, options, *_ in ASKED:
            assert ask(port, name, kind, *options) == 0
    data = log.read_bytes()
    batches = read("pdns-auth", data)
    rows = found(batches)

    reader = recognise(data)
    assert reader is not None
    assert reader.name == "pdns-auth"
    assert [(one["name"], one["qtype"]) for one in rows] == [
        (name, qtype) for _, _, _, name, qtype, _ in ASKED
    ]
    assert {one["rcode"] for one in rows} == {None}
    assert [one["transport"] for one in rows] == ["udp", "udp", "tcp", *["udp"] * 9]
    assert {one["address"] for one in rows} == {v4("127.0.0.1")}
    assert [one["ecs"] for one in rows if one["ecs"] is not None] == [SUBNET]
    assert {one["vantage"] for one in rows} == {"authority"}
    assert counts(batches)[1] == 0
    assert sum(batch.records for batch in batches) == len(data.splitlines())
    now = datetime.now(UTC)
    assert all(timedelta(0) <= now - one["time"] < timedelta(minutes=10) for one in rows)


@pytest.mark.parametrize("structured", ["yes", "no"])
def test_every_question_of_the_recursor_and_its_answer(tmp_path: Path, structured: str) -> None:
    program = needed("pdns_recursor", "pdns-recursor")
    port, log = free_port(), tmp_path / "recursor.log"
    command = [
        program,
        f"--config-dir={tmp_path / 'none'}",
        "--local-address=127.0.0.1",
        f"--local-port={port}",
        f"--socket-dir={tmp_path}",
        "--quiet=no",
        "--loglevel=6",
        "--disable-syslog=yes",
        "--dnssec=off",
        "--hint-file=no",
        "--security-poll-suffix=",
        "--use-incoming-edns-subnet=yes",
        f"--structured-logging={structured}",
    ]
    with authority(tmp_path) as (upstream, _):
        command.append(f"--forward-zones=evil.example=127.0.0.1:{upstream}")
        with serving(command, log, port, zone="Europe/Berlin"):
            for name, kind, options, *_ in ASKED:
                assert ask(port, name, kind, *options) == 0
    data = log.read_bytes()
    batches = read("pdns-recursor", data, zone="Europe/Berlin")
    rows = found(batches)

    reader = recognise(data)
    assert reader is not None
    assert reader.name == "pdns-recursor"
    told = ASKED
    if structured == "no":
        # The second query was answered from the packet cache, and the classic log names it not.
        told = [ASKED[0], *ASKED[2:]]
        assert any("packet cache" in note for note in notes(batches))
    assert [(one["name"], one["qtype"]) for one in rows] == [
        (name, qtype) for _, _, _, name, qtype, _ in told
    ]
    # What comes from the packet cache has no response code.
    codes = [rcode for *_, rcode in told]
    if structured == "yes":
        assert [one["rcode"] for one in rows] == [codes[0], None, *codes[2:]]
    else:
        assert [one["rcode"] for one in rows] == codes
    assert [one["name"] for one in rows if one["transport"] == "tcp"] == ["www.evil.example"]
    assert all(one["client_port"] for one in rows)
    assert [one["ecs"] for one in rows if one["ecs"] is not None] == [SUBNET]
    assert counts(batches)[1] == 0
    assert sum(batch.records for batch in batches) == len(data.splitlines())
    now = datetime.now(UTC)
    assert all(timedelta(0) <= now - one["time"] < timedelta(minutes=10) for one in rows)
