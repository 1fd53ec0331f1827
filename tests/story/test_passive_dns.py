"""Passive DNS as a user keeps and asks it: from traffic of a case, and from imports without one."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import dns.message
import dns.rrset
import pytest

from dnstap_writer import (
    CLIENT_QUERY,
    CLIENT_RESPONSE,
    RESOLVER_RESPONSE,
    START_TIME,
    message,
    query,
    stream,
)
from story.telling import Place

if TYPE_CHECKING:
    from pathlib import Path

BIND = (
    b"08-Apr-2015 12:00:00.123 queries: info: client @0x7f8a4c0b1d50 192.0.2.17#43250 (x): "
    b"query: c2.evil.example IN A +E(0)TK (198.51.100.53)\n"
)
ZEEK = (
    b"#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tdns\n"
    b"#fields\tts\tid.orig_h\tid.orig_p\tid.resp_p\tproto\tquery\tqtype\trcode\tanswers\n"
    b"1428494400.250000\t192.0.2.17\t43250\t53\tudp\tc2.evil.example\t1\t0\t203.0.113.1\n"
    b"1428494401.250000\t192.0.2.17\t43251\t53\tudp\twww.good.example\t1\t0\t203.0.113.2\n"
)


def answered(name: str, *records: str) -> bytes:
    made = dns.message.make_response(dns.message.from_wire(query(name)))
    for record in records:
        owner, kind, data = record.split(" ", 2)
        made.answer.append(dns.rrset.from_text(owner, 60, "IN", kind, data))
    return made.to_wire()


WATCHED = answered(
    "c2.evil.example", "c2.evil.example. CNAME edge.cdn.example.", "edge.cdn.example. A 203.0.113.1"
)
OTHER = answered(
    "www.good.example", "www.good.example. A 203.0.113.2", "www.good.example. AAAA 2001:db8::2"
)
TRAFFIC = stream(
    message(CLIENT_QUERY, query("c2.evil.example")),
    message(CLIENT_RESPONSE, WATCHED),
    message(CLIENT_RESPONSE, WATCHED, time=START_TIME + 100),
    message(RESOLVER_RESPONSE, OTHER, time=START_TIME + 200),
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "place")
    place.do("case", "new", "evil", "--takedown", "2015-04-08", "--watch", "*.evil.example")
    (place.folder / "a.dnstap").write_bytes(TRAFFIC)
    (place.folder / "dns.log").write_bytes(ZEEK)
    (place.folder / "query.log").write_bytes(BIND)
    return place


def ingest(place: Place, name: str, *options: object) -> dict[str, Any]:
    path = place.folder / name
    said = place.do("ingest", "evil", path, *options, "--format", "json").out
    (row,) = json.loads(said)["sources"]
    return dict(row)


def found(place: Place, what: str, *options: object) -> set[tuple[str, str, str, int]]:
    rows = place.ask("pdns", "lookup", what, *options)
    return {(row["rrname"], row["rrtype"], row["rdata"], row["count"]) for row in rows}


CHAIN = {
    ("c2.evil.example", "CNAME", "edge.cdn.example", 2),
    ("edge.cdn.example", "A", "203.0.113.1", 2),
}
GOOD = {
    ("www.good.example", "A", "203.0.113.2", 1),
    ("www.good.example", "AAAA", "2001:db8::2", 1),
}


def test_answers_of_dnstap_watched_all_and_none(place: Place) -> None:
    assert ingest(place, "a.dnstap")["answers"] == 2
    assert found(place, "*.example") == CHAIN

    row = ingest(place, "a.dnstap", "--answers", "all")
    assert (row["state"], row["answers"], row["matched"]) == ("reread", 4, 1)
    assert found(place, "*.example") == CHAIN | GOOD

    row = ingest(place, "a.dnstap", "--answers", "none")
    assert (row["state"], row["answers"], row["matched"]) == ("reread", 0, 1)
    assert found(place, "*.example") == set()


@pytest.mark.parametrize(("name", "format_name"), [("dns.log", "zeek"), ("query.log", "bind")])
def test_logs_keep_their_rows_whatever_the_answers(
    place: Place, name: str, format_name: str
) -> None:
    """BIND's log has no answers; of Zeek's it is enough that the choice changes no row."""
    before = {mode: ingest(place, name, "--answers", mode) for mode in ("watched", "all", "none")}

    for row in before.values():
        assert (row["format"], row["matched"]) == (format_name, 1)
    assert before["none"]["answers"] == 0
    if format_name == "bind":
        assert {row["answers"] for row in before.values()} == {0}


def test_a_wrong_choice_is_told(place: Place) -> None:
    outcome = place.run("ingest", "evil", place.folder / "a.dnstap", "--answers", "some")
    assert outcome.code == 2
    assert "watched, all" in outcome.err or "none, watched, all" in outcome.err


def test_an_import_keeps_everything_and_needs_no_case(tmp_path: Path) -> None:
    place = Place(tmp_path / "fresh")
    path = place.folder / "a.dnstap"
    path.write_bytes(TRAFFIC)

    assert "4 answers stored" in place.do("pdns", "import", path).err
    assert found(place, "*.example") == CHAIN | GOOD
    assert {row["origin"] for row in place.ask("case", "list")} == {"built-in"}
    # The same again, from another place: nothing counts twice.
    copy = place.folder / "copy.dnstap"
    copy.write_bytes(TRAFFIC)
    place.do("pdns", "import", copy)
    place.do("pdns", "import", "-", stdin=TRAFFIC)
    assert found(place, "*.example") == CHAIN | GOOD


def test_a_case_and_an_import_of_one_source_count_once(place: Place) -> None:
    ingest(place, "a.dnstap")
    place.do("pdns", "import", place.folder / "a.dnstap")

    assert found(place, "*.example") == CHAIN | GOOD
    place.do("case", "delete", "evil", "--yes")
    assert found(place, "*.example") == CHAIN | GOOD


def test_look_ups_by_address_network_and_time(place: Place) -> None:
    place.do("pdns", "import", place.folder / "a.dnstap")

    assert found(place, "203.0.113.0/24") == {r for r in CHAIN | GOOD if r[1] == "A"}
    assert found(place, "203.0.113.2") == {r for r in GOOD if r[1] == "A"}
    assert found(place, "2001:db8::/32") == {r for r in GOOD if r[1] == "AAAA"}
    assert found(place, "*.example", "--since", "2015-04-08T00:02:30Z") == GOOD
    assert found(place, "*.example", "--until", "2015-04-08T00:02:30Z") == CHAIN
    assert len(found(place, "*.example", "--limit", "1")) == 1


def test_every_output_says_the_same(place: Place) -> None:
    ingest(place, "a.dnstap", "--answers", "all")
    (row,) = place.ask("pdns", "lookup", "c2.evil.example")
    assert row == {
        "rrname": "c2.evil.example",
        "rrtype": "CNAME",
        "rdata": "edge.cdn.example",
        "time_first": "2015-04-08T00:00:00Z",
        "time_last": "2015-04-08T00:01:40Z",
        "count": 2,
        "sensor_id": "ns1",
        "ttl_low": 60,
        "ttl_high": 60,
        "simulated": False,
    }
    text = place.do("pdns", "lookup", "c2.evil.example", "--format", "csv").out
    (line,) = csv.DictReader(io.StringIO(text))
    assert list(line) == list(row)
    assert (line["rdata"], line["count"]) == ("edge.cdn.example", "2")
    table = place.do("pdns", "lookup", "c2.evil.example").out
    assert "edge.cdn.example" in table


def test_wrong_words_are_told(place: Place) -> None:
    for what in ("a..b", "192.0.2.0/99", ""):
        outcome = place.run("pdns", "lookup", what)
        assert outcome.code == 1, what
        assert "neither a name" in outcome.err
    assert place.ask("pdns", "lookup", "nothing.invalid") == []


def test_what_is_no_traffic_is_told(place: Place) -> None:
    path = place.folder / "x.txt"
    path.write_bytes(b"lorem ipsum\n")
    outcome = place.run("pdns", "import", path)
    assert outcome.code == 1
    assert "no reader recognises it" in outcome.err
