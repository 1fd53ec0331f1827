"""Logs written by a real dnsmasq in front of a real PowerDNS, asked by a real dig."""

from __future__ import annotations

import getpass
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ports import free_port
from remnant.capture import ReadOptions
from remnant.capture.dnsmasq import DnsmasqReader
from remnant.capture.readers import recognise
from remnant.capture.stream import ByteStream
from remnant.watchlist import Rule, Watchlist
from textlogs import counts, v4

from .dns_servers import ask, ask_all, authority, needed, serving

READER = DnsmasqReader()
NXDOMAIN, REFUSED = 3, 5
ASKED = [
    ("www.evil.example", "A", [], "www.evil.example", 1, 0),
    ("WWW.evil.Example", "A", [], "www.evil.example", 1, 0),
    ("www.evil.example", "AAAA", ["+tcp"], "www.evil.example", 28, 0),
    ("alias.evil.example", "A", [], "alias.evil.example", 1, 0),
    ("nx.evil.example", "A", [], "nx.evil.example", 1, NXDOMAIN),
    ("nx.evil.example", "A", ["+tcp"], "nx.evil.example", 1, NXDOMAIN),
    ("www.evil.example", "MX", [], "www.evil.example", 15, 0),
    ("txt.evil.example", "TXT", [], "txt.evil.example", 16, 0),
    (r"a\032b.evil.example", "A", [], r"a\032b.evil.example", 1, 0),
    ("evil.example", "TYPE65280", [], "evil.example", 65280, 0),
    ("evil.example", "HTTPS", [], "evil.example", 65, 0),
    ("blocked.test", "A", [], "blocked.test", 1, 0),
    ("gone.test", "AAAA", [], "gone.test", 28, NXDOMAIN),
    ("host.test", "A", [], "host.test", 1, 0),
    ("10.2.0.192.in-addr.arpa", "PTR", [], "10.2.0.192.in-addr.arpa", 12, 0),
    ("elsewhere.test", "A", [], "elsewhere.test", 1, REFUSED),
]


@pytest.fixture(scope="module", params=["log-queries", "log-queries=extra"])
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    program = needed("dnsmasq", "dnsmasq-base")
    folder, port = tmp_path_factory.mktemp("dnsmasq"), free_port()
    (folder / "hosts").write_text("192.0.2.10 host.test\n", encoding="ascii")
    with authority(folder) as (upstream, _):
        (folder / "dnsmasq.conf").write_text(
            f"port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\n"
            f"addn-hosts={folder}/hosts\nserver=/evil.example/127.0.0.1#{upstream}\n"
            f"address=/blocked.test/0.0.0.0\nlocal=/gone.test/\nuser={getpass.getuser()}\n"
            f"pid-file={folder}/pid\nlog-facility={folder}/queries.log\n{request.param}\n",
            encoding="ascii",
        )
        command = [program, "--keep-in-foreground", f"--conf-file={folder}/dnsmasq.conf"]
        with serving(command, folder / "output", port):
            for name, kind, options, *_ in ASKED:
                assert ask(port, name, kind, *options) == 0
            questions = "".join(f"types.gone.test TYPE{number}\n" for number in range(1, 300))
            (folder / "questions").write_text(questions, encoding="ascii")
            ask_all(port, folder / "questions")
    return (folder / "queries.log").read_bytes()


def read(data: bytes, *rules: Rule, chunk: int = 1000) -> list[Any]:
    now = datetime.now(UTC)
    options = ReadOptions(now=now + timedelta(hours=1), year=now.year, answers="all")
    with ByteStream(io.BytesIO(data), "queries.log", chunk=chunk) as stream:
        return list(READER.read(stream, Watchlist.compile(rules), options))


ALL = Rule("demo", "below", "*.")


def test_every_query_and_what_became_of_it(log: bytes) -> None:
    batches = read(log, ALL)
    found = sorted(
        (one for batch in batches for one in batch.queries.to_pylist()),
        key=lambda one: int(one["offset"]),
    )
    found = [one for one in found if one["name"] not in {"ready.example", "types.gone.test"}]

    reader = recognise(log)
    assert reader is not None
    assert reader.name == "dnsmasq"
    assert [(one["name"], one["qtype"], one["rcode"]) for one in found] == [
        (name, qtype, rcode) for _, _, _, name, qtype, rcode in ASKED
    ]
    assert found[1]["case_bits"] is not None
    assert {one["address"] for one in found} == {v4("127.0.0.1")}
    has_ports = b" 127.0.0.1/" in log
    assert all((one["client_port"] is not None) == has_ports for one in found)
    assert sum(batch.records for batch in batches) == len(log.splitlines())


def test_every_type_that_dnsmasq_names(log: bytes) -> None:
    batches = read(log, Rule("demo", "exact", "types.gone.test"))
    types = {one["qtype"] for batch in batches for one in batch.queries.to_pylist()}

    # dig asks for a transfer (IXFR) over TCP alone.
    assert {*range(1, 300)} - types == {251}
    assert counts(batches)[1] == 0


def test_the_records_of_the_answers(log: bytes) -> None:
    records = {
        (one["rrname"], one["rrtype"], one["rdata"])
        for batch in read(log, ALL)
        if batch.answers is not None
        for one in batch.answers.to_pylist()
    }

    assert records == {
        ("www.evil.example", 1, "192.0.2.10"),
        ("www.evil.example", 1, "192.0.2.11"),
        ("www.evil.example", 28, "2001:db8::10"),
        ("alias.evil.example", 5, "www.evil.example"),
        (r"a\032b.evil.example", 1, "192.0.2.12"),
    }


def test_who_was_told_a_watched_address(log: bytes) -> None:
    batches = read(log, Rule("demo", "address", "192.0.2.11/32"))
    found = sorted(one["name"] for batch in batches for one in batch.queries.to_pylist())

    assert found == ["alias.evil.example", "www.evil.example", "www.evil.example"]


def test_the_clock_of_the_log(log: bytes) -> None:
    now = datetime.now(UTC)
    times = [one["time"] for batch in read(log, ALL) for one in batch.queries.to_pylist()]

    assert all(timedelta(0) <= now - time < timedelta(minutes=10) for time in times)
    assert READER.first_day(log) is not None


def test_the_same_wherever_the_log_is_cut(log: bytes) -> None:
    whole, parts = (
        [one for batch in read(log, ALL, chunk=chunk) for one in batch.queries.to_pylist()]
        for chunk in (1 << 20, 37)
    )

    assert parts == whole
