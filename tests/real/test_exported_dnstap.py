"""What exported servers write about their queries is what `remnant ingest` reads."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from ports import free_port
from real.exported import (
    ask,
    collect,
    program,
    settle,
    start_bind,
    start_knot,
    start_nsd,
    start_unbound,
)
from sinkhole.seized import FIRST
from story.telling import Place

if TYPE_CHECKING:
    from pathlib import Path

READY = "ready.nowhere.example"
ASKED = (
    ("ns1.timedate1.com", "A"),
    ("Any.Evil.Example", "AAAA"),
    ("any.evil.example", "A"),
    ("one.example", "A"),
)
COUNTED = {"ns1.timedate1.com": 1, "any.evil.example": 2, "one.example": 1}
STARTED = {
    "knot": ("knotd", start_knot, "run/dnstap"),
    "bind": ("named", start_bind, "run/dnstap"),
    "nsd": ("nsd", start_nsd, ""),
    "unbound": ("unbound", start_unbound, ""),
}


@pytest.mark.parametrize("kind", list(STARTED))
def test_what_the_server_was_asked_is_ingested(tmp_path: Path, kind: str) -> None:
    binary, start, file = STARTED[kind]
    program(binary)
    place, port, folder = Place(tmp_path / "place"), free_port(), tmp_path / kind
    (tmp_path / "first.toml").write_text(FIRST, encoding="utf-8")
    place.do("case", "import", tmp_path / "first.toml")
    place.do("export", kind, "first", "-o", folder, "--listen", f"127.0.0.1@{port}")
    tap = folder / (file or "collected.dnstap")
    with ExitStack() as stack:
        if not file:
            collect(stack, folder / "run" / "sock", tap)
        # Its own SOA says that a server is ready; that query is counted as well.
        start(stack, folder, port, "timedate1.com")
        for name, qtype in ASKED:
            ask(port, name, qtype)
        ask(port, "not.watched.test", "A")
        settle(stack)
    vantage = "resolver" if kind == "unbound" else "sinkhole_dns"
    place.do("ingest", "first", tap, "--vantage", vantage, "--sensor", kind)
    rows: list[dict[str, Any]] = place.ask("traffic", "first", "--by", "name")

    got = {row["name"]: row["queries"] for row in rows if row["queries"]}
    assert got == COUNTED
