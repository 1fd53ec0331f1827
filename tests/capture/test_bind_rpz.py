from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remnant.capture.bind_rpz import BindRpzReader, detail_of
from textlogs import counts, notes, quarantine, read, row, rows, v4

READER = BindRpzReader()
STAMP = "08-Apr-2015 12:00:00.123 "


def line(text: str, stamp: str = STAMP) -> bytes:
    return (stamp + text + "\n").encode("latin-1")


GOOD = line("client 192.0.2.17#4325 (a.example): rpz QNAME DROP rewrite a.example/A/IN via a.rpz")


def policy(found: dict[str, Any]) -> dict[str, Any]:
    detail = json.loads(found["detail"])
    assert list(detail) == ["rpz"]
    return dict(detail["rpz"])


@pytest.mark.parametrize(
    "text",
    [
        "client 192.0.2.17#53112: rpz QNAME NODATA rewrite Casasur.cl via casasur.cl.rpz.local",
        "client 192.0.2.17#53112 (Casasur.cl): rpz QNAME NODATA rewrite Casasur.cl via "
        "casasur.cl.rpz.local",
        "client @0x7f1a 192.0.2.17#53112 (Casasur.cl): view x: rpz QNAME NODATA rewrite "
        "Casasur.cl/AAAA/IN via casasur.cl.RPZ.local",
        "client @0x7f1a 192.0.2.17#53112/key tsig.key (Casasur.cl): view x: rpz QNAME NODATA "
        "rewrite Casasur.cl/AAAA/IN via casasur.cl.rpz.local",
    ],
)
def test_every_shape(text: str) -> None:
    found = row(READER, line("rpz: info: " + text))

    assert (found["name"], found["case_bits"], found["client_port"]) == ("casasur.cl", 1, 53112)
    assert found["qtype"] == (28 if "/AAAA/" in text else None)
    assert found["address"] == v4("192.0.2.17")
    assert found["time"] == datetime(2015, 4, 8, 12, tzinfo=UTC) + timedelta(milliseconds=123)
    assert (found["rcode"], found["transport"], found["proof"]) == (None, None, "dns_udp")
    assert found["response"] is False
    assert policy(found) == {
        "action": "NODATA",
        "trigger": "QNAME",
        "rule": "casasur.cl.rpz.local",
    }


@pytest.mark.parametrize(
    ("written", "trigger"),
    [
        ("QNAME", "QNAME"),
        ("CLIENT-IP", "CLIENT_IP"),
        ("IP", "RESPONSE_IP"),
        ("NSDNAME", "NS_NAME"),
        ("NSIP", "NS_IP"),
    ],
)
@pytest.mark.parametrize(
    ("policy_written", "action"),
    [
        ("NXDOMAIN", "NXDOMAIN"),
        ("NODATA", "NODATA"),
        ("PASSTHRU", "PASS"),
        ("DROP", "DROP"),
        ("TCP-ONLY", "TRUNCATE"),
        ("Local-Data", "LOCAL_DATA"),
        ("CNAME", "LOCAL_DATA"),
    ],
)
@pytest.mark.parametrize("disabled", ["", "disabled "])
def test_every_trigger_and_action(
    written: str, trigger: str, policy_written: str, action: str, disabled: str
) -> None:
    text = f"{disabled}rpz {written} {policy_written} rewrite a.example/A/IN via a.rpz"
    found = row(READER, line(f"client 192.0.2.1#1 (a.example): {text}"))

    assert policy(found) == {"action": action, "trigger": trigger, "rule": "a.rpz"} | (
        {"disabled": True} if disabled else {}
    )


def test_the_target_of_an_override_is_kept() -> None:
    text = "rpz QNAME CNAME rewrite a.example/A/IN via a.rpz (CNAME to: garden.example)"
    found = row(READER, line(f"client 192.0.2.1#1 (a.example): {text}"))

    assert policy(found)["target"] == "garden.example"


def test_the_name_is_what_the_client_asked_for() -> None:
    text = "rpz QNAME NXDOMAIN rewrite evil.example/A/IN via evil.example.rpz"
    found = row(READER, line(f"client 192.0.2.1#1 (start.example): {text}"))

    assert found["name"] == "start.example"
    assert policy(found)["name"] == "evil.example"


@pytest.mark.parametrize(
    ("written", "name", "qtype"),
    [
        ("0/25.2.0.192.in-addr.arpa/PTR/IN", "0/25.2.0.192.in-addr.arpa", 12),
        ("0/25.2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa", None),
        ("a/A.example/TYPE65/CLASS1", "a/a.example", 65),
        ("./NS/IN", ".", 2),
        (r"\(x\).\032.example/A/IN", r"(x).\032.example", 1),
        ("rpz.rewrite.via/ANY/IN", "rpz.rewrite.via", 255),
    ],
)
@pytest.mark.parametrize("header", [True, False])
def test_odd_names(written: str, name: str, qtype: int | None, header: bool) -> None:
    asked = written.removesuffix("/IN").removesuffix("/CLASS1")
    asked = asked.rpartition("/")[0] if qtype else asked
    text = f"rpz IP DROP rewrite {written} via 1.rpz-ip.x"
    found = row(READER, line(f"client ::1#53{f' ({asked})' if header else ''}: {text}"))

    assert (found["name"], found["qtype"]) == (name, qtype)
    assert "name" not in policy(found)


@pytest.mark.parametrize(
    "text",
    [
        "client 192.0.2.1#1 (a.example): query: a.example IN A +",
        "client 192.0.2.1#1 (a.example): rpz QNAME rewrite a.example via a.rpz failed: timed out",
        "client 192.0.2.1#1 (a.example): query (cache) 'a.example/A/IN' denied",
        "rpz: rpz.local: reload start",
        "(re)loading policy zone 'rpz.local' changed from 0 to 10 qname, 0 to 0 nsdname",
        "client (no-peer) (x): rpz QNAME DROP rewrite a.example/A/IN via a.rpz",
    ],
)
def test_other_lines_are_skipped(text: str) -> None:
    assert counts(read(READER, GOOD + line(text))) == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (line("client 192.0.2.1#1: rpz QNAME DROP rewrite a..b via a.rpz"), "name"),
        (line("client 192.0.2.1#1: rpz QNAME DROP rewrite a.example"), "fields"),
        (line("client 192.0.2.1#1: rpz QNAME DROP rewrite a.example via "), "fields"),
        (line("client 192.0.2.1#1: rpz QNAME DROP"), "fields"),
        (GOOD.replace(b"08-Apr", b"31-Feb"), "time"),
    ],
)
def test_hits_that_cannot_be_read_are_malformed(data: bytes, reason: str) -> None:
    batches = read(READER, GOOD + data)

    assert counts(batches) == [1, 1, 0, 0]
    ((offset, why, _),) = quarantine(batches)
    assert reason in why
    assert offset == len(GOOD)


def test_the_reader_holds_hits_only_and_leaves_logs_with_queries() -> None:
    asked = line("client 192.0.2.1#1 (a.example): query: a.example IN A +")

    assert READER.hits_only
    assert READER.sniff(GOOD)
    assert not READER.sniff(asked)
    assert not READER.sniff(GOOD + asked)
    assert not READER.sniff(b"{" + GOOD)


def test_queries_among_the_hits_are_skipped_with_a_note() -> None:
    asked = line("client 192.0.2.1#1 (a.example): query: a.example IN A +")
    batches = read(READER, GOOD + asked * 2)

    assert counts(batches) == [1, 0, 2, 0]
    assert any(note.startswith("2 lines of queries") for note in notes(batches))


def test_hits_that_say_the_same_have_the_same_detail() -> None:
    found = rows(read(READER, GOOD * 3))

    assert len({one["detail"] for one in found}) == 1
    assert len(found) == 3


def test_the_detail_is_bounded() -> None:
    text = b": rpz QNAME DROP rewrite a via " + b"x" * 60_000

    assert len(detail_of(text) or "") < 1200


@pytest.mark.parametrize(
    "text", [b"", b" ", b": rpz", b"\xff(", b" (" * 30_000, b": rpz " * 10_000]
)
def test_other_text_has_no_detail(text: bytes) -> None:
    assert detail_of(text) is None


def test_the_year_of_a_log_through_syslog() -> None:
    stamp = "Dec 31 23:59:59 ns1 named[1]: "
    data = line("rpz: info: client 192.0.2.1#1: rpz IP DROP rewrite a.example via a.rpz", stamp)

    assert READER.first_day(data) == 365
    assert row(READER, data, year=2014)["time"].year == 2014
