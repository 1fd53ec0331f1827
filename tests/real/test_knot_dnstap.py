"""Knot DNS logs no queries, whatever its log level; its dnstap says them all."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from ports import free_port
from remnant.capture import ReadOptions
from remnant.capture.readers import READERS, recognise
from remnant.capture.stream import ByteStream
from remnant.watchlist import Rule, Watchlist

from .dns_servers import ask, needed, serving

if TYPE_CHECKING:
    from pathlib import Path

ZONE = "$ORIGIN evil.example.\n$TTL 60\n@ SOA ns1 host 1 60 60 60 60\n@ NS ns1\nns1 A 192.0.2.53\n"
ASKED = [("ns1.evil.example", 0), ("nx.evil.example", 3), ("other.example", 5)]


def test_queries_are_in_its_dnstap_and_not_in_its_log(tmp_path: Path) -> None:
    program, port = needed("knotd", "knot"), free_port()
    (tmp_path / "evil.zone").write_text(ZONE, encoding="ascii")
    (tmp_path / "knot.conf").write_text(
        f"server:\n  rundir: {tmp_path}\n  listen: 127.0.0.1@{port}\n"
        f"database:\n  storage: {tmp_path}/db\n"
        f"log:\n  - target: {tmp_path}/knot.log\n    any: debug\n"
        f"mod-dnstap:\n  - id: file\n    sink: {tmp_path}/queries.dnstap\n"
        "    log-queries: on\n    log-responses: on\n"
        f"template:\n  - id: default\n    storage: {tmp_path}\n    global-module: mod-dnstap/file\n"
        "zone:\n  - domain: evil.example\n    file: evil.zone\n",
        encoding="ascii",
    )
    command = [program, "-c", str(tmp_path / "knot.conf")]
    with serving(command, tmp_path / "output", port):
        for name, _ in ASKED:
            assert ask(port, name, "A") == 0
    told = (tmp_path / "knot.log").read_bytes()
    data = (tmp_path / "queries.dnstap").read_bytes()
    if not data:
        pytest.skip("knotd has no dnstap (Debian: knot-module-dnstap)")

    assert b"ns1.evil.example" not in told
    assert recognise(told) is None
    options = ReadOptions(now=datetime.now(UTC) + timedelta(hours=1))
    watchlist = Watchlist.compile([Rule("demo", "below", "*.")])
    with ByteStream(io.BytesIO(data), "queries.dnstap") as stream:
        batches = list(READERS["dnstap"].read(stream, watchlist, options))
    rows = [one for batch in batches for one in batch.queries.to_pylist()]
    # Its threads write in no order.
    found = [(one["name"], one["rcode"]) for one in rows if one["name"] != "ready.example"]
    assert sorted(found) == sorted(ASKED)
    assert {one["vantage"] for one in rows} == {"authority"}
