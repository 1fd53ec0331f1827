"""The one resolver is asked, and a real one answers."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dns.message
import dns.rrset
import pytest

from ports import free_port
from real.dns_servers import needed, serving
from remnant.errors import SettingsError
from remnant.infrastructure.resolving import Answer, Record, Resolver, ask, cof, facts
from remnant.settings import ResolveSettings
from sinkhole.serving import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MANY = "".join(f"many A 198.51.100.{i}\n" for i in range(1, 200))
ZONE = f"""$ORIGIN evil.example.
$TTL 60
@ SOA ns1 host 1 60 60 60 60
@ NS ns1
@ NS NS2.Other.Example.
ns1 A 192.0.2.53
www A 192.0.2.10
www AAAA 2001:db8::10
alias CNAME www
text TXT "no address"
a\\032b A 192.0.2.12
{MANY}"""
FAST = ResolveSettings(server="127.0.0.1", timeout_s=60.0, per_second=5_000)


@contextlib.contextmanager
def knot(folder: Path) -> Iterator[Resolver]:
    """A real server that answers for evil.example, and refuses the rest."""
    program, port = needed("knotd", "knot"), free_port()
    (folder / "evil.zone").write_text(ZONE, encoding="ascii")
    (folder / "knot.conf").write_text(
        f"server:\n  rundir: {folder}\n  listen: 127.0.0.1@{port}\n"
        f"database:\n  storage: {folder}/db\n"
        f"template:\n  - id: default\n    storage: {folder}\n"
        "zone:\n  - domain: evil.example\n    file: evil.zone\n",
        encoding="ascii",
    )
    with serving([program, "-c", str(folder / "knot.conf")], folder / "output", port):
        yield Resolver("127.0.0.1", port)


def test_a_real_server_is_asked(tmp_path: Path) -> None:
    names = ["www.evil.example", "alias.evil.example", "gone.evil.example", "text.evil.example",
             "many.evil.example", r"a\032b.evil.example", "elsewhere.test"]  # fmt: skip
    with knot(tmp_path) as resolver:
        found = {one.name: one for one in ask(names, ["evil.example"], resolver, FAST)}

    assert {name: (one.rcode, one.addresses) for name, one in found.items()} == {
        "www.evil.example": ("NOERROR", 2),
        "alias.evil.example": ("NOERROR", 2),
        "gone.evil.example": ("NXDOMAIN", 0),
        "text.evil.example": ("NOERROR", 0),
        "many.evil.example": ("NOERROR", 199),  # over TCP: it does not fit
        r"a\032b.evil.example": ("NOERROR", 1),
        "elsewhere.test": ("REFUSED", 0),
        "evil.example": ("NOERROR", 0),
    }
    assert set(found["alias.evil.example"].records) == {
        Record("alias.evil.example", "CNAME", "www.evil.example"),
        Record("www.evil.example", "A", "192.0.2.10"),
        Record("www.evil.example", "AAAA", "2001:db8::10"),
    }
    assert set(found["evil.example"].records) == {
        Record("evil.example", "NS", "ns1.evil.example"),
        Record("evil.example", "NS", "ns2.other.example"),
    }
    told = {one.key: json.loads(one.body)["rcode"] for one in facts(found.values(), resolver)}
    assert "evil.example" not in told  # its addresses were not asked for
    assert told["gone.evil.example"] == "NXDOMAIN"


@contextlib.contextmanager
def answering(reply: Callable[[bytes], list[bytes]]) -> Iterator[tuple[Resolver, list[bytes]]]:
    """A server that answers a UDP message with whatever bytes."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.05)
        stop = threading.Event()

        def run() -> None:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    data, who = server.recvfrom(4096)
                    asked.append(data)
                    for part in reply(data):
                        server.sendto(part, who)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield Resolver("127.0.0.1", server.getsockname()[1]), asked
        finally:
            stop.set()
            thread.join()


def hostile(data: bytes) -> list[bytes]:
    query = dns.message.from_wire(data)
    name = query.question[0].name.to_text()
    good = dns.message.make_response(query)
    good.answer = [
        dns.rrset.from_text(name, 60, "IN", "A", *[f"203.0.113.{i}" for i in range(1, 3)]),
        dns.rrset.from_text("bank.example.", 60, "IN", "A", "203.0.113.66"),
        dns.rrset.from_text(name, 60, "IN", "TXT", '"x"'),
    ]
    other = dns.message.make_response(dns.message.make_query("bank.example.", "A"))
    return [b"", b"\0" * 12, data[:7], other.to_wire(), good.to_wire()]


def test_what_was_not_asked_for_is_passed_over() -> None:
    with answering(hostile) as (resolver, _):
        (found,) = ask(["evil.example"], [], resolver, FAST)
    assert found.rcode == "NOERROR"
    assert {record.rrname for record in found.records} == {"evil.example"}
    assert found.addresses == 2


def test_a_silent_resolver_is_not_asked_for_ever() -> None:
    quick = ResolveSettings(timeout_s=0.05, per_second=5_000)
    names = [f"n{i}.example" for i in range(50)]
    with answering(lambda _: []) as (resolver, asked):
        found = list(ask(names, ["example"], resolver, quick))
        until(lambda: len(asked) >= 6)
    assert [one.rcode for one in found] == ["none"] * 3
    assert len(asked) == 6
    assert facts(found, resolver) == []


def test_questions_are_bounded_and_slow_enough() -> None:
    def reply(data: bytes) -> list[bytes]:
        return [dns.message.make_response(dns.message.from_wire(data)).to_wire()]

    slow = ResolveSettings(timeout_s=60.0, per_second=50, most=7)
    counts: list[int] = []
    with answering(reply) as (resolver, asked):
        begun = time.monotonic()
        found = list(ask([f"n{i}.example" for i in range(9)], [], resolver, slow,
                         asked=counts.append))  # fmt: skip
        taken = time.monotonic() - begun
    assert len(asked) == 7
    assert counts == list(range(1, 8))
    assert len(found) == 4
    assert taken >= 6 / 50


def test_records_become_passive_dns() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    answer = Answer("a.example", at, "NOERROR", (Record("a.example", "A", "192.0.2.1"),))
    assert json.loads(cof([answer])) == {
        "rrname": "a.example", "rrtype": "A", "rdata": "192.0.2.1",
        "time_first": 1767225600, "time_last": 1767225600, "count": 1,
    }  # fmt: skip
    assert cof([]) == b""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("127.0.0.1", "127.0.0.1:53"),
        ("127.0.0.1:5353", "127.0.0.1:5353"),
        ("::1", "[::1]:53"),
        ("[::1]", "[::1]:53"),
        ("[::1]:5353", "[::1]:5353"),
    ],
)
def test_resolvers(text: str, shown: str) -> None:
    assert str(Resolver.of(ResolveSettings(server=text))) == shown


@pytest.mark.parametrize("text", [None, "127.0.0", "127.0.0.1:0", "127.0.0.1:70000", "[::1]5x"])
def test_no_resolver(text: Any) -> None:
    with pytest.raises(SettingsError):
        Resolver.of(ResolveSettings(server=text))
