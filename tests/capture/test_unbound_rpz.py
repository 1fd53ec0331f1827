from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from remnant.capture.unbound_rpz import UnboundRpzReader, detail_of
from textlogs import counts, notes, quarantine, read, row, v4

READER = UnboundRpzReader()
EPOCH = "[1428494400] unbound[812:0] "


def line(text: str, prefix: str = EPOCH) -> bytes:
    return (prefix + "info: " + text + "\n").encode("latin-1")


WHO = "192.0.2.17@57994 Ns1.evil.example. AAAA IN"
GOOD = line("rpz: applied [my zone] evil.example. rpz-nxdomain " + WHO)


def facts(found: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(found["detail"]))


def test_a_hit() -> None:
    found = row(READER, GOOD)

    assert found["time"] == datetime(2015, 4, 8, 12, tzinfo=UTC)
    assert (found["address"], found["client_port"]) == (v4("192.0.2.17"), 57994)
    assert (found["name"], found["case_bits"], found["qtype"]) == ("ns1.evil.example", 1, 28)
    assert (found["rcode"], found["transport"], found["response"]) == (None, None, False)
    assert facts(found) == {
        "rpz": {
            "action": "NXDOMAIN",
            "trigger": "QNAME",
            "rule": "evil.example",
            "zone": "my zone",
        }
    }


@pytest.mark.parametrize(
    ("text", "rpz"),
    [
        ("rpz: applied Evil.example. rpz-nodata", ("NODATA", "QNAME", "evil.example")),
        ("RPZ applied evil.example. rpz-passthru", ("PASS", "QNAME", "evil.example")),
        ("rpz: applied *.example. rpz-drop", ("DROP", "QNAME", "*.example")),
        ("rpz: applied evil.example. rpz-tcp-only", ("TRUNCATE", "QNAME", "evil.example")),
        ("rpz: applied evil.example. rpz-local-data", ("LOCAL_DATA", "QNAME", "evil.example")),
        ("rpz: applied evil.example. rpz-cname-override", ("LOCAL_DATA", "QNAME", "evil.example")),
        ("rpz: applied clientip 192.0.2.0/24 rpz-drop", ("DROP", "CLIENT_IP", "192.0.2.0/24")),
        ("rpz: applied nsdname ns1.x. rpz-nxdomain", ("NXDOMAIN", "NS_NAME", "ns1.x")),
        ("rpz: applied nsip 2001:db8::/32 rpz-drop", ("DROP", "NS_IP", "2001:db8::/32")),
        ("rpz: applied 192.0.2.7/32 rpz-nxdomain", ("NXDOMAIN", "RESPONSE_IP", "192.0.2.7/32")),
    ],
)
@pytest.mark.parametrize("zone", ["", "[my [odd] zone] "])
def test_every_trigger_and_action(text: str, rpz: tuple[str, str, str], zone: str) -> None:
    written = text.replace("applied ", "applied " + zone)
    action, trigger, rule = rpz

    assert facts(row(READER, line(f"{written} {WHO}"))) == {
        "rpz": {"action": action, "trigger": trigger, "rule": rule}
        | ({"zone": "my [odd] zone"} if zone else {})
    }


def test_a_zone_that_only_logs() -> None:
    found = row(READER, line("rpz: applied [z] evil.example. rpz-disabled " + WHO))

    assert facts(found)["rpz"] == {
        "trigger": "QNAME",
        "rule": "evil.example",
        "zone": "z",
        "disabled": True,
    }


@pytest.mark.parametrize(
    ("text", "kind", "rule", "action"),
    [
        ("Evil.example. inform", "local_zone", "evil.example", "inform"),
        (". inform_deny", "local_zone", ".", "inform_deny"),
        ("evil.example. always_nxdomain", "local_zone", "evil.example", "always_nxdomain"),
        ("192.0.2.0/24 inform_redirect", "response_ip", "192.0.2.0/24", "inform_redirect"),
    ],
)
def test_local_zones_and_response_addresses(text: str, kind: str, rule: str, action: str) -> None:
    found = row(READER, line(f"{text} 2001:db8::17@53 evil.example. TYPE65 IN"))

    assert facts(found) == {kind: {"action": action, "rule": rule}}
    assert (found["client_port"], found["qtype"]) == (53, 65)


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.17 evil.example. A IN",
        "192.0.2.17 evil.example. A IN NXDOMAIN 0.1 0 99",
        "start of service (unbound 1.17.1).",
        "evil.example. inform someone@example evil.example. A",
        "rpz: applied evil.example. rpz-nxdomain  evil.example. A IN",
        "validate(positive): sec_status_secure for x@y a. A IN x",
    ],
)
def test_other_lines_are_skipped(text: str) -> None:
    assert counts(read(READER, GOOD + line(text) + GOOD)) == [2, 0, 1, 0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rpz: applied evil.example. rpz-drop 192.0.2.1@x evil.example. A IN", "address"),
        ("rpz: applied evil.example. rpz-drop 192.0.2@1 evil.example. A IN", "address"),
        ("rpz: applied evil.example. rpz-drop 192.0.2.1@65536 evil.example. A IN", "address"),
        ("rpz: applied evil.example. rpz-drop 192.0.2.1@1 a..b. A IN", "name"),
        ("rpz: applied evil.example. rpz-drop 192.0.2.1@1 cut&off A IN", "name"),
        ("rpz: applied evil.example. rpz-drop 192.0.2.1@1 evil.example. NEVER IN", "fields"),
        ("evil.example. inform 192.0.2@1 evil.example. A IN", "address"),
    ],
)
def test_hits_that_cannot_be_read_are_malformed(text: str, reason: str) -> None:
    batches = read(READER, GOOD + line(text))

    assert counts(batches) == [1, 1, 0, 0]
    ((offset, why, _),) = quarantine(batches)
    assert reason in why
    assert offset == len(GOOD)


def test_the_reader_holds_hits_only_and_leaves_logs_with_queries() -> None:
    asked = line("192.0.2.17 evil.example. A IN")

    assert READER.hits_only
    assert READER.sniff(GOOD)
    assert READER.sniff(line("evil.example. inform 192.0.2.1@1 evil.example. A IN"))
    assert not READER.sniff(GOOD + asked)
    assert not READER.sniff(b"{" + GOOD)


def test_hits_without_a_client_are_told() -> None:
    batches = read(READER, line("rpz: applied evil.example. rpz-nxdomain  evil.example. A IN"))

    assert any("name no client" in note for note in notes(batches))


@pytest.mark.parametrize(
    "text", [b"", b"rpz: applied", b"rpz: applied " + b"x " * 30_000, b"\xff" * 60_000]
)
def test_the_detail_is_bounded(text: bytes) -> None:
    assert len(detail_of(text) or "") < 8000


def test_the_year_of_a_log_through_syslog() -> None:
    data = line("evil.example. inform " + WHO, "Dec 31 23:59:59 ns1 unbound[812]: [812:0] ")

    assert READER.first_day(data) == 365
    assert row(READER, data, year=2014)["time"].year == 2014
