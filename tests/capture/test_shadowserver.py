"""Shadowserver's reports, of every year, and what hostile or broken ones cost."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.reports import (
    CONNECTION,
    HEADERS,
    LOOKUP,
    OLD_LOOKUP,
    REFERRER,
    REQUEST,
    SAMPLES,
    report,
    table,
)
from remnant.capture.csv_records import BOM
from remnant.capture.shadowserver import ShadowserverReader
from remnant.errors import FormatError
from remnant.watchlist import Kind, Rule, Watchlist
from textlogs import counts, hours, notes, quarantine, read, rows, v4

if TYPE_CHECKING:
    from remnant.capture import Batch

READER = ShadowserverReader()
FULL = HEADERS["event4_sinkhole_http"].split(",")


def watching(*texts: str) -> Watchlist:
    return Watchlist.compile([Rule("demo", kind_of(text), text) for text in texts])


def kind_of(text: str) -> Kind:
    if text.startswith("family:"):
        return "family"
    if "/" in text:
        return "address"
    return "below" if text.startswith("*.") else "exact"


BEEBONE = watching("family:beebone")
ALL = watching("*.evil.example", "198.51.100.0/24", "family:beebone", "family:citadel-b54")


def hits(data: bytes, *texts: str) -> list[str]:
    """The rule of each hit, in order."""
    watchlist = watching(*texts)
    return [
        watchlist.rules[watchlist.entry_rules[watchlist.entry_offsets[row["entry"]]]].text
        for row in rows(read(READER, data, watchlist=watchlist))
    ]


def only(data: bytes, watchlist: Watchlist = ALL) -> dict[str, Any]:
    return rows(read(READER, data, watchlist=watchlist))[0]


def test_a_request_to_a_sinkhole() -> None:
    found = only(report("event4_sinkhole_http", REQUEST | {"machine_name": "PC-7"}))
    detail = json.loads(found.pop("detail"))

    assert found == {
        "time": datetime(2024, 6, 15, 12, 0, 1, tzinfo=UTC),
        "offset": len(report("event4_sinkhole_http")),
        "response": False,
        "sensor": None,
        "vantage": "report",
        "address": v4("192.0.2.17"),
        "ecs": None,
        "client_port": 43250,
        "service_port": 80,
        "transport": "tcp",
        "name": "ns1.evil.example",
        "case_bits": 0b101,
        "qtype": None,
        "rcode": None,
        "entry": 0,
        "proof": "http",
        "weight": 1,
        "limited": False,
    }
    assert detail == {
        "http_url": "GET /x?a=1 HTTP/1.1",
        "http_host": "Ns1.Evil.example:8080",
        "http_agent": 'Mozilla/4.0 ("quoted", comma)',
        "dst_ip": "198.51.100.53",
        "protocol": "tcp",
        "infection": "beebone",
        "family": "vobfus",
        "tag": "worm;downloader",
        "machine_name": "PC-7",
        "event_id": "171",
    }


@pytest.mark.parametrize(
    ("name", "asked", "proof", "transport", "qtype", "weight"),
    [
        ("event4_sinkhole 2021", "198.51.100.53", "tcp", "tcp", None, 1),
        ("event4_sinkhole", "tls.evil.example", "tls", "tcp", None, 1),
        ("event4_sinkhole_http 2021", "ns1.evil.example", "http", "tcp", None, 1),
        ("event4_sinkhole_http", "ns1.evil.example", "http", "tcp", None, 1),
        ("event4_sinkhole_dns 2021", "ns1.evil.example", "dns_udp", "udp", 28, 3),
        ("event4_sinkhole_dns", "ns1.evil.example", "dns_udp", "udp", 28, 3),
        ("botnet_drone", "198.51.100.53", "tcp", "tcp", None, 2),
        ("microsoft_sinkhole", "198.51.100.53", "http", None, None, 1),
        ("sinkhole_dns", "4.evil.example", "dns_udp", None, 1, 1),
    ],
)
def test_every_report_of_every_year(
    name: str, asked: str, proof: str, transport: str | None, qtype: int | None, weight: int
) -> None:
    data = report(name, SAMPLES[name])
    found = only(data)

    assert READER.sniff(data)
    assert [found[key] for key in ("name", "proof", "transport", "qtype", "weight")] == [
        asked,
        proof,
        transport,
        qtype,
        weight,
    ]
    assert found["address"] == v4("192.0.2.17")
    assert found["client_port"]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.randoms(use_true_random=False))
def test_the_order_of_columns_does_not_matter(name: str, random: Any) -> None:
    columns = HEADERS[name].split(",")
    mixed = columns.copy()
    random.shuffle(mixed)
    plain, other = (read(READER, table(c, SAMPLES[name]), watchlist=ALL) for c in (columns, mixed))

    assert [row | {"offset": 0} for row in rows(other)] == [
        row | {"offset": 0} for row in rows(plain)
    ]
    assert counts(other) == counts(plain)


def test_what_a_row_matches() -> None:
    data = report("event4_sinkhole_http", REQUEST)

    assert hits(data, "ns1.evil.example", "198.51.100.53/32", "family:beebone") == [
        "ns1.evil.example",
        "198.51.100.53/32",
        "family:beebone",
    ]
    assert hits(data, "other.example", "192.0.2.17/32", "family:bee") == []
    # The source is nobody's destination.
    assert hits(data, "192.0.2.0/24") == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"infection": "BeeBone"}, ["beebone"]),
        ({"family": " beebone "}, ["beebone"]),
        ({"tag": "worm;beebone|x, aaeh"}, ["aaeh", "beebone"]),
        ({"tag": "beebone", "infection": "beebone"}, ["beebone"]),
        ({"infection": "beebone-x"}, []),
        ({"infection": "xbeebone"}, []),
        ({"infection": 'bee""bone'}, []),
        ({"tag": ";".join(f"t{i}" for i in range(20)) + ";beebone"}, []),
        ({"application": "beebone", "public_source": "beebone"}, []),
        ({"infection": "x" * 64}, []),
    ],
)
def test_family_words_are_whole_words_of_the_labels(
    fields: dict[str, str], words: list[str]
) -> None:
    blank = CONNECTION | {"infection": "", "family": "", "tag": ""}
    data = report("event4_sinkhole", blank | fields)

    assert sorted(hits(data, "family:beebone", "family:aaeh")) == [f"family:{w}" for w in words]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"http_host": "a.example"}, "a.example"),
        ({"http_host": "A.Example.:80"}, "a.example"),
        ({"http_host": "192.0.2.9", "ssl_servername": "b.example"}, "b.example"),
        ({"http_host": "192.0.2.9:8080", "ssl_servername": "b.example"}, "b.example"),
        ({"http_host": "[2001:db8::1]:80"}, "198.51.100.53"),
        ({"http_host": "2001:db8::1"}, "198.51.100.53"),
        ({"http_host": "a..b"}, "198.51.100.53"),
        ({"http_host": "x" * 300}, "198.51.100.53"),
        ({"http_host": ":80"}, "198.51.100.53"),
        ({"http_host": "a\x01b.example"}, "a\\001b.example"),
        ({"dst_ip": "2001:db8::53"}, "2001:db8::53"),
        ({"dst_ip": "198.51.100.53.9"}, "-"),
        ({"dst_ip": ""}, "-"),
    ],
)
def test_the_name_is_the_one_asked_for_else_the_destination(
    fields: dict[str, str], name: str
) -> None:
    data = report("event4_sinkhole_http", CONNECTION | fields)
    found = only(data, BEEBONE)

    assert found["name"] == name


def test_the_name_of_the_control_server_in_a_legacy_report() -> None:
    drone = SAMPLES["botnet_drone"]

    assert only(report("botnet_drone", drone | {"cc_dns": "c2.evil.example"}))["name"] == (
        "c2.evil.example"
    )
    assert only(report("botnet_drone", drone | {"cc_dns": "198.51.100.9"}))["name"] == (
        "198.51.100.53"
    )


@pytest.mark.parametrize(
    ("fields", "proof"),
    [
        ({"protocol": "tcp"}, "tcp"),
        ({"protocol": "TCP", "ssl_cipher": "x"}, "tls"),
        ({"protocol": "tcp", "ssl_servername": "x.example", "http_url": "GET / HTTP/1.1"}, "http"),
        ({"protocol": "udp"}, "none"),
        ({"protocol": "udp", "http_url": "GET /"}, "none"),
        ({"protocol": ""}, "none"),
        ({"protocol": "sctp"}, "none"),
        ({"protocol": "", "http_agent": "x"}, "http"),
    ],
)
def test_what_proves_that_the_source_is_genuine(fields: dict[str, str], proof: str) -> None:
    found = only(report("event4_sinkhole_http", CONNECTION | fields))

    assert found["proof"] == proof


@pytest.mark.parametrize(
    ("protocol", "proof"), [("udp", "dns_udp"), ("tcp", "dns_tcp"), ("", "dns_udp")]
)
def test_a_lookup_proves_what_its_transport_does(protocol: str, proof: str) -> None:
    assert only(report("event4_sinkhole_dns", LOOKUP | {"protocol": protocol}))["proof"] == proof


def test_lookups_come_with_a_warning_that_they_show_resolvers() -> None:
    assert any(
        "resolvers" in note for note in notes(read(READER, report("sinkhole_dns", OLD_LOOKUP)))
    )


def test_rows_about_referring_servers_are_skipped_and_counted() -> None:
    data = report("event4_sinkhole_http_referer", REFERRER, REFERRER)
    batches = read(READER, data, watchlist=ALL)

    assert READER.sniff(data)
    assert rows(batches) == []
    assert counts(batches) == [0, 0, 2, 0]
    assert any("link to the sinkhole" in note for note in notes(batches))


def test_unknown_columns_are_kept_and_told_by_name() -> None:
    columns = [*FULL, "new_score", "\u00fc\x1b[2J" + "x" * 90]
    data = table(columns, REQUEST | {"new_score": "7", columns[-1]: "v"})
    batches = read(READER, data, watchlist=BEEBONE)

    detail = json.loads(rows(batches)[0]["detail"])
    assert detail["new_score"] == "7"
    assert "v" in detail.values()
    (note,) = notes(batches)
    assert "new_score" in note
    assert note.isprintable()


def test_places_and_networks_are_not_kept() -> None:
    row = CONNECTION | {
        "src_city": "NIJMEGEN",
        "src_hostname": "host-17.example",
        "src_sector": "x",
    }

    assert "nijmegen" not in only(report("event4_sinkhole", row))["detail"].lower()
    assert "host-17" not in only(report("event4_sinkhole", row))["detail"]


@pytest.mark.parametrize(
    ("without", "named"),
    [
        ("timestamp", "timestamp"),
        ("src_ip", "src_ip or ip or http_referer_ip"),
        ("infection", "infection"),
    ],
)
def test_missing_columns_are_named(without: str, named: str) -> None:
    columns = [column for column in HEADERS["event4_sinkhole"].split(",") if column != without]
    row = {key: value for key, value in CONNECTION.items() if key != without}
    data = table(columns, row)

    assert not READER.sniff(data)
    with pytest.raises(FormatError) as raised:
        read(READER, data)
    assert named in raised.value.what
    assert "src_port" in str(raised.value.got) or "src_port" in raised.value.text()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"timestamp": ""}, "time"),
        ({"timestamp": "yesterday"}, "time"),
        ({"timestamp": "2024-02-30 00:00:00"}, "time"),
        ({"src_ip": ""}, "address"),
        ({"src_ip": "192.0.2.256"}, "address"),
        ({"src_port": "65536"}, "number"),
        ({"dst_port": "http"}, "number"),
    ],
)
def test_rows_that_cannot_be_read_are_malformed(fields: dict[str, str], reason: str) -> None:
    good = report("event4_sinkhole", CONNECTION)
    bad = report("event4_sinkhole", CONNECTION | fields)[len(report("event4_sinkhole")) :]
    batches = read(READER, good + bad, watchlist=BEEBONE)

    assert counts(batches) == [1, 1, 0, 0]
    ((offset, why, head),) = quarantine(batches)
    assert (offset, head) == (len(good), bad[:64])
    assert reason in why


@pytest.mark.parametrize("count", ["x", "-1", "99999999999"])
def test_a_count_that_is_none_is_malformed(count: str) -> None:
    assert counts(read(READER, report("event4_sinkhole_dns", LOOKUP | {"count": count}))) == [
        0,
        1,
        0,
        0,
    ]


@pytest.mark.parametrize(
    ("count", "weight"), [("", 1), ("0", 1), (1, 1), ("4000000000", 4_000_000_000)]
)
def test_counts_are_weights_of_at_least_one(count: str | int, weight: int) -> None:
    assert only(report("event4_sinkhole_dns", LOOKUP | {"count": count}))["weight"] == weight


def test_a_query_that_is_no_name_is_malformed() -> None:
    assert counts(read(READER, report("event4_sinkhole_dns", LOOKUP | {"query": "a..b"}))) == [
        0,
        1,
        0,
        0,
    ]


def test_clock_faults_are_counted_and_match_nothing() -> None:
    data = report(
        "event4_sinkhole",
        CONNECTION | {"timestamp": "1970-01-01 00:00:00"},
        CONNECTION | {"timestamp": "2030-01-01 00:00:00"},
        CONNECTION,
    )
    batches = read(READER, data, watchlist=BEEBONE)

    assert counts(batches) == [3, 0, 0, 2]
    assert len(rows(batches)) == 1
    assert set(hours(batches)) == {None, datetime(2024, 6, 15, 12, tzinfo=UTC)}


def test_times_are_utc_unless_they_say_otherwise() -> None:
    zoned = only(report("event4_sinkhole", CONNECTION | {"timestamp": "2024-06-15T14:00:01+02:00"}))

    assert zoned["time"] == datetime(2024, 6, 15, 12, 0, 1, tzinfo=UTC)


def test_line_ends_and_byte_order_marks() -> None:
    plain = rows(read(READER, report("event4_sinkhole", CONNECTION), watchlist=BEEBONE))
    for data in (
        report("event4_sinkhole", CONNECTION, end="\r\n"),
        BOM + report("event4_sinkhole", CONNECTION),
        BOM + report("event4_sinkhole", CONNECTION, end="\r\n") + b"\r\n\n",
        report("event4_sinkhole", CONNECTION).replace(b'"', b""),
    ):
        found = rows(read(READER, data, watchlist=BEEBONE))
        assert READER.sniff(data)
        assert [row | {"offset": 0} for row in found] == [row | {"offset": 0} for row in plain]


def test_a_field_may_hold_line_feeds() -> None:
    row = REQUEST | {"http_agent": 'a\nb\r\n"c"', "http_url": "GET /\n"}
    batches = read(READER, report("event4_sinkhole_http", row, row), watchlist=BEEBONE)

    assert counts(batches) == [2, 0, 0, 0]
    assert json.loads(rows(batches)[1]["detail"])["http_agent"] == 'a\nb\r\n"c"'


def test_rows_shorter_than_the_header_are_read_with_a_note() -> None:
    data = report("microsoft_sinkhole", SAMPLES["microsoft_sinkhole"])
    short = data.rstrip(b"\n").rstrip(b",") + b"\n"
    batches = read(READER, data + short.split(b"\n")[1] + b"\n", watchlist=ALL)

    assert counts(batches) == [2, 0, 0, 0]
    assert len({row["address"] for row in rows(batches)}) == 1
    assert any(note.startswith("1 rows have fewer fields") for note in notes(batches))


def test_rows_with_more_fields_than_columns_are_malformed_unless_those_are_empty() -> None:
    data = report("event4_sinkhole", CONNECTION)
    more = data.split(b"\n")[1]

    assert counts(read(READER, data + more + b",,\n")) == [2, 0, 0, 0]
    assert counts(read(READER, data + more + b",1\n")) == [1, 1, 0, 0]


def test_reports_laid_end_to_end_keep_their_own_columns() -> None:
    data = (
        report("event4_sinkhole_dns", LOOKUP)
        + report("event4_sinkhole_http", REQUEST)
        + report("event4_sinkhole", CONNECTION)
        + report("event4_sinkhole_dns", LOOKUP)
    )
    for chunk in (1, 700, 1 << 20):
        batches = read(READER, data, watchlist=BEEBONE, chunk=chunk)
        found = rows(batches)

        assert counts(batches) == [4, 0, 0, 0]
        assert [row["proof"] for row in found] == ["dns_udp", "http", "tcp", "dns_udp"]
        assert ["http_url" in json.loads(row["detail"]) for row in found] == [
            False,
            True,
            False,
            False,
        ]


def test_a_later_header_that_cannot_be_read_costs_its_rows_only() -> None:
    other = b'"timestamp","ip","port"\n"2024-06-15 12:00:01","192.0.2.1",1\n'
    good = report("event4_sinkhole", CONNECTION)
    batches = read(READER, good + other + good, watchlist=BEEBONE)

    assert counts(batches) == [2, 1, 0, 0]
    assert any("rows after that header" in note for note in notes(batches))


def test_a_last_row_without_line_feed_is_read_if_it_is_whole() -> None:
    data = report("event4_sinkhole", CONNECTION, CONNECTION)
    whole = read(READER, data[:-1], watchlist=BEEBONE)
    cut = read(READER, data[:-8], watchlist=BEEBONE)

    assert len(rows(whole)) == 2
    assert len(rows(cut)) == 1
    assert any("not complete" in note for note in notes(cut))


@pytest.mark.parametrize(
    "data",
    [
        b"timestamp,ip\n1,2\n",
        b"timestamp,src_ip,dst_ip,query,answer\n",
        b"ts,te,td,sa,da,sp,dp,pr,flg\n",
        b'{"timestamp":"x","src_ip":1,"infection":2,"src_asn":3}\n',
        b"timestamp;src_ip;src_asn;infection\n",
        b"\n".join([b"timestamp"] * 50),
        b'"timestamp","src_ip","src_asn","infection',
        b"",
    ],
)
def test_other_tables_are_not_claimed(data: bytes) -> None:
    assert not READER.sniff(data)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_an_empty_report_is_claimed_and_holds_nothing(name: str) -> None:
    data = report(name)
    batches = read(READER, data)

    assert READER.sniff(data)
    assert rows(batches) == []
    assert counts(batches) == [0, 0, 0, 0]
    assert batches[-1].end == len(data)


LINES = [
    report("event4_sinkhole_http"),
    report("event4_sinkhole"),
    *(
        report(name, SAMPLES[name])[len(report(name)) :]
        for name in ("event4_sinkhole_http", "event4_sinkhole")
    ),
    report("event4_sinkhole_http", REQUEST | {"http_agent": 'x\n"y'})[
        len(report("event4_sinkhole_http")) :
    ],
    b'"open\n',
    b'a"b,c\n',
    b"\n",
    b"x,y,z\n",
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=8), st.integers(1, 600))
def test_any_chunk_size_gives_the_same(parts: list[bytes], chunk: int) -> None:
    data = LINES[0] + b"".join(parts)
    whole = read(READER, data, watchlist=ALL)
    small = read(READER, data, watchlist=ALL, chunk=chunk)

    assert everything(small) == everything(whole)


def everything(batches: list[Batch]) -> Any:
    return rows(batches), counts(batches), hours(batches), quarantine(batches), notes(batches)


TEXTS = st.text(st.sampled_from('aZ.,"\n\r;:\\\u00e9\x00 -'), max_size=12)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries({"http_agent": TEXTS, "http_url": TEXTS, "tag": TEXTS}), max_size=5
    )
)
def test_hostile_fields_come_back_as_they_were(fields: list[dict[str, str]]) -> None:
    made = [{**REQUEST, **field} for field in fields]
    data = report("event4_sinkhole_http", *made)
    batches = read(READER, data, watchlist=BEEBONE)
    again = csv.DictReader(io.StringIO(data.decode(), newline=""))

    assert counts(batches) == [len(made), 0, 0, 0]
    for row, expected in zip(rows(batches), again, strict=True):
        detail = json.loads(row["detail"])
        assert {key: detail.get(key, "") for key in ("http_agent", "http_url", "tag")} == {
            key: expected[key] for key in ("http_agent", "http_url", "tag")
        }


def test_a_first_column_without_a_name_is_no_header_again_and_again() -> None:
    columns = ["", *HEADERS["event4_sinkhole"].split(",")]
    data = table(columns, {"": 0} | CONNECTION, {"": ""} | CONNECTION)
    batches = read(READER, data, watchlist=BEEBONE)

    assert READER.sniff(data)
    assert counts(batches) == [2, 0, 0, 0]
    assert len(rows(batches)) == 2
