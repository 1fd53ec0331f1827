from __future__ import annotations

import ipaddress
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.zeek import ZeekReader
from remnant.errors import FormatError
from remnant.watchlist import Rule, Watchlist
from textlogs import counts, hours, notes, packed, quarantine, read, row, rows, v4

READER = ZeekReader()
COLUMNS = [
    *("ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "trans_id", "rtt"),
    *("query", "qclass", "qclass_name", "qtype", "qtype_name", "rcode", "rcode_name", "AA", "TC"),
    *("RD", "RA", "Z", "answers", "TTLs", "rejected"),
]
EXAMPLE: dict[str, Any] = {
    "ts": "1428494400.250000",
    "uid": "CKIIJQfWoU8M05Fr2",
    "id.orig_h": "192.0.2.17",
    "id.orig_p": 43250,
    "id.resp_h": "198.51.100.53",
    "id.resp_p": 53,
    "proto": "udp",
    "trans_id": 48095,
    "query": "ns1.evil.example",
    "qclass": 1,
    "qclass_name": "C_INTERNET",
    "qtype": 28,
    "qtype_name": "AAAA",
    "rcode": 3,
    "rcode_name": "NXDOMAIN",
    "AA": "F",
    "rejected": "F",
}


def header(columns: list[str] | None = None, path: str = "dns") -> bytes:
    columns = COLUMNS if columns is None else columns
    return (
        "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
        f"#path\t{path}\n#open\t2015-04-08-12-00-00\n#fields\t" + "\t".join(columns) + "\n"
        "#types\t" + "\t".join("string" for _ in columns) + "\n"
    ).encode()


def tsv(columns: list[str] | None = None, **changes: Any) -> bytes:
    fields = EXAMPLE | {key.replace("__", "."): value for key, value in changes.items()}
    columns = COLUMNS if columns is None else columns
    return "\t".join(str(fields.get(column, "-")) for column in columns).encode() + b"\n"


def js(**changes: Any) -> bytes:
    fields = EXAMPLE | {"ts": 1428494400.25, "AA": False, "rejected": False}
    fields |= {key.replace("__", "."): value for key, value in changes.items()}
    present = {key: value for key, value in fields.items() if value is not None}
    return json.dumps(present, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize("data", [header() + tsv(), js()], ids=["tsv", "json"])
def test_one_row_is_one_query_with_its_response(data: bytes) -> None:
    found = row(READER, data)

    assert found == {
        "time": datetime(2015, 4, 8, 12, 0, 0, 250000, UTC),
        "offset": data.rindex(b"1428494400") - (6 if data.startswith(b"{") else 0),
        "response": False,
        "sensor": None,
        "vantage": "resolver",
        "address": v4("192.0.2.17"),
        "ecs": None,
        "client_port": 43250,
        "service_port": 53,
        "transport": "udp",
        "name": "ns1.evil.example",
        "case_bits": None,
        "qtype": 28,
        "rcode": 3,
        "entry": 0,
        "proof": "dns_udp",
        "weight": 1,
        "detail": None,
        "limited": False,
    }


def test_columns_are_found_by_name() -> None:
    columns = ["query", "proto", "id.orig_h", "extra", "ts"]
    found = row(READER, header(columns) + tsv(columns, proto="tcp"))

    assert found["name"] == "ns1.evil.example"
    assert found["address"] == v4("192.0.2.17")
    assert (found["transport"], found["proof"]) == ("tcp", "dns_tcp")
    for absent in ("client_port", "service_port", "qtype", "rcode"):
        assert found[absent] is None


def test_the_type_is_read_by_name_where_there_is_no_number() -> None:
    columns = ["ts", "id.orig_h", "query", "qtype_name"]

    assert row(READER, header(columns) + tsv(columns, qtype_name="SRV"))["qtype"] == 33
    assert row(READER, header(columns) + tsv(columns, qtype_name="*"))["qtype"] == 255
    assert row(READER, header(columns) + tsv(columns, qtype_name="never"))["qtype"] is None


def test_unset_fields_are_null() -> None:
    found = row(READER, header() + tsv(rcode="-", qtype="-", qtype_name="-", proto="-"))

    assert (found["rcode"], found["qtype"], found["transport"]) == (None, None, None)
    assert found["proof"] == "dns_udp"


def test_separators_and_marks_of_the_header_are_honoured() -> None:
    data = (
        b"#separator |\n#set_separator|;\n#empty_field|none\n#unset_field|NULL\n#path|dns\n"
        b"#fields|ts|id.orig_h|query|answers|rcode\n"
        b"1428494400.5|192.0.2.1|a.example|203.0.113.9;x.example|NULL\n"
        b"1428494401.5|192.0.2.1|none|NULL|0\n"
        b"1428494402.5|192.0.2.1|NULL|NULL|0\n"
    )
    watchlist = Watchlist.compile(
        [Rule("demo", "below", "*."), Rule("demo", "address", "203.0.113.0/24")]
    )
    batches = read(READER, data, watchlist=watchlist)

    assert [(r["name"], r["entry"], r["rcode"]) for r in rows(batches)] == [
        ("a.example", 0, None),
        ("a.example", 1, None),
        (".", 0, 0),
    ]
    assert counts(batches) == [2, 0, 1, 0]


def test_a_header_in_the_middle_changes_the_columns() -> None:
    other = ["query", "id.orig_h", "ts"]
    data = header() + tsv() + b"#close\t2015-04-08-13-00-00\n" + header(other)
    data += tsv(other, query="b.example")

    assert [r["name"] for r in rows(read(READER, data))] == ["ns1.evil.example", "b.example"]


@pytest.mark.parametrize("column", ["ts", "id.orig_h", "query"])
def test_a_missing_column_is_named(column: str) -> None:
    columns = [name for name in COLUMNS if name != column]

    with pytest.raises(FormatError, match=rf"test\.log.*no column {column}\n(.|\n)*hint"):
        read(READER, header(columns) + tsv(columns))


def test_a_missing_column_later_on_is_noted_and_its_rows_are_malformed() -> None:
    data = header() + tsv() + header(["ts", "uid"]) + b"1\t2\n" + header() + tsv()
    batches = read(READER, data)

    assert counts(batches) == [2, 1, 0, 0]
    assert any("no column id.orig_h, query" in note for note in notes(batches))


def test_a_separator_of_two_bytes_is_refused() -> None:
    with pytest.raises(FormatError, match="one byte"):
        read(READER, header().replace(b"\\x09", b"\\x09\\x09").replace(b"\t", b"\t\t"))


def test_rows_of_another_log_are_skipped() -> None:
    data = header(path="conn", columns=["ts", "uid"]) + b"1\t2\n" + header() + tsv()

    assert counts(read(READER, data)) == [1, 0, 1, 0]
    assert counts(read(READER, js(_path="conn") + js(_path="dns"))) == [1, 0, 1, 0]


def test_rows_before_any_header_are_malformed() -> None:
    batches = read(READER, tsv() + header() + tsv())

    assert counts(batches) == [1, 1, 0, 0]
    assert quarantine(batches) == [(0, "no usable #fields line stands before it", tsv()[:64])]


@pytest.mark.parametrize("port", [5353, 5355, 137])
@pytest.mark.parametrize("make", [tsv, js])
def test_local_name_services_are_skipped_and_counted(port: int, make: Any) -> None:
    batches = read(READER, header() + make(id__resp_p=port) + make())

    assert counts(batches) == [1, 0, 1, 0]
    assert notes(batches) == ["1 rows of mDNS, LLMNR or NetBIOS were skipped"]


def test_a_row_without_query_is_skipped() -> None:
    assert counts(read(READER, header() + tsv(query="-"))) == [0, 0, 1, 0]
    assert counts(read(READER, js(query=None))) == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ts": "XXXXXXXXXX.XXXXXX"}, "time"),
        ({"ts": "-"}, "time"),
        ({"id__orig_h": "192.0.2"}, "address"),
        ({"id__orig_h": "-"}, "address"),
        ({"query": "a..b"}, "name"),
        ({"query": "a" * 64}, "name"),
        ({"id__orig_p": "65536"}, "number"),
        ({"rcode": "x"}, "number"),
        ({"uid": "a\tb"}, "fields"),
    ],
)
def test_what_cannot_be_read_is_malformed_with_its_reason(
    change: dict[str, Any], reason: str
) -> None:
    bad = tsv(**change)
    batches = read(READER, header() + bad + tsv())

    assert counts(batches) == [1, 1, 0, 0]
    ((offset, why, head),) = quarantine(batches)
    assert reason in why
    assert (offset, head) == (len(header()), bad.rstrip(b"\n")[:64])


@pytest.mark.parametrize("ts", ["29.557741", "0.000000", "-1.0", "1767398400.0"])
def test_times_out_of_range_are_clock_faults(ts: str) -> None:
    batches = read(READER, header() + tsv(ts=ts) + tsv())

    assert counts(batches) == [2, 0, 0, 1]
    assert len(rows(batches)) == 1
    assert [b.query_messages for b in batches] == [2]
    assert hours(batches)[None][0] == 1


def test_hours_are_counted_with_their_first_and_last_time() -> None:
    start = 1428494400
    data = header() + b"".join(tsv(ts=start + second) for second in (5, 3599, 3600, 1, 7201))
    noon = datetime(2015, 4, 8, 12, tzinfo=UTC)
    hour, second = timedelta(hours=1), timedelta(seconds=1)

    assert hours(read(READER, data)) == {
        noon: [3, noon + second, noon + hour - second],
        noon + hour: [1, noon + hour, noon + hour],
        noon + 2 * hour: [1, noon + 2 * hour + second, noon + 2 * hour + second],
    }


def test_escapes_and_case() -> None:
    found = row(READER, header() + tsv(query="Ns1.e\\x20v\\xff\\x5cil.EXAMPLE."))

    assert found["name"] == "ns1.e\\032v\\255\\\\il.example"
    # Letters: N s e v i l E X A M P L E, of which the first and the last seven are capitals.
    assert found["case_bits"] == 0b1111111_00000_1


def test_case_bits_count_letters_only() -> None:
    # Letters: N s e V i L -> bits 0, 3 and 5.
    assert row(READER, header() + tsv(query="Ns1.eViL"))["case_bits"] == 0b101001


def test_json_escapes() -> None:
    line = js(query="QUERY").replace(b"QUERY", rb"a\\x20\u00e9\ud83d\ude00\/\\\\.example")

    assert row(READER, line)["name"] == "a\\032\\195\\169\\240\\159\\152\\128/\\\\.example"


@pytest.mark.parametrize("escape", [rb"\ud800", rb"\ude00", rb"\u12", rb"\q"])
def test_a_bad_json_escape_is_malformed(escape: bytes) -> None:
    batches = read(READER, js(query="QUERY").replace(b"QUERY", escape) + js())

    assert counts(batches) == [1, 1, 0, 0]


def test_json_times() -> None:
    assert row(READER, js(ts="2015-04-08T12:00:00.250000Z"))["time"].microsecond == 250000
    assert row(READER, js(ts=1428494400))["time"].microsecond == 0
    assert counts(read(READER, js(ts=[1]) + js(ts="soon") + js(ts=None) + js(ts=True))) == [
        0,
        4,
        0,
        0,
    ]


def test_json_keys_may_stand_in_any_order_and_nest() -> None:
    line = (
        b'{ "x" : {"query":"no.example","a":[1,{"ts":0}]}, "query" : "yes.example" ,'
        b'"id.orig_h":"2001:db8::1","ts":1428494400.5,"n":null,"t":true,"f":false,"e":[] }\r\n'
    )
    found = row(READER, line)

    assert found["name"] == "yes.example"
    assert found["address"] == ipaddress.ip_address("2001:db8::1").packed


@pytest.mark.parametrize(
    "broken",
    [
        b"{",
        b'{"ts":1428494400.5',
        b'{"ts":1428494400.5,}',
        b'{"ts":1428494400.5 "query":"x"}',
        b'{"ts" 1428494400.5}',
        b'{"ts":}',
        b'{"query":"x}',
        b'{"a":[1,2}',
        b'{"a":nul}',
        b"{}}",
        js()[:-2],
        js()[:-1] + js()[:-1],
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_a_broken_json_line_costs_no_other(broken: bytes) -> None:
    batches = read(READER, js() + broken + b"\n" + js())

    assert counts(batches) == [2, 1, 0, 0]
    assert [offset for offset, _, _ in quarantine(batches)] == [len(js())]


@pytest.mark.parametrize("make", [tsv, js])
def test_answers_match_prefixes_once_per_query(make: Any) -> None:
    watchlist = Watchlist.compile(
        [
            Rule("demo", "exact", "ns1.evil.example"),
            Rule("demo", "address", "203.0.113.0/24"),
            Rule("demo", "address", "203.0.113.7/32"),
            Rule("demo", "address", "2001:db8::/32"),
        ]
    )
    answers = [
        "cdn.example",
        "203.0.113.7",
        "203.0.113.8",
        "TXT 5 1.2.3",
        "2001:db8::5",
        "203.0.113.7",
    ]
    listed: Any = answers if make is js else ",".join(answers)
    missed: Any = ["192.0.2.1"] if make is js else "192.0.2.1"
    data = header() + make(answers=listed) + make(query="x.example", answers=missed)
    data += make(query="y.example", answers=listed)

    found = [(r["name"], r["entry"]) for r in rows(read(READER, data, watchlist=watchlist))]

    assert found == [
        ("ns1.evil.example", 0),
        ("ns1.evil.example", 2),
        ("ns1.evil.example", 1),
        ("ns1.evil.example", 3),
        ("y.example", 2),
        ("y.example", 1),
        ("y.example", 3),
    ]


def kept(batches: Any) -> list[tuple[Any, ...]]:
    found = [r for b in batches if b.answers is not None for r in b.answers.to_pylist()]
    return sorted((r["rrname"], r["rrtype"], r["rdata"], r["count"]) for r in found)


@pytest.mark.parametrize("make", [tsv, js])
def test_addresses_among_the_answers_are_records_of_the_name_that_was_asked_for(make: Any) -> None:
    listed = ["cdn.example", "203.0.113.7", "TXT 7 1.2.3.4", "2001:db8:0::5", "203.0.113.7"]
    answers: Any = listed if make is js else ",".join(listed)
    watchlist = Watchlist.compile([Rule("demo", "below", "*.evil.example")])
    data = header() + make(answers=answers) + make(answers=answers, query="x.example")
    batches = read(READER, data, watchlist=watchlist)

    assert kept(batches) == [
        ("ns1.evil.example", 1, "203.0.113.7", 2),
        ("ns1.evil.example", 28, "2001:db8::5", 1),
    ]
    assert len(kept(read(READER, data, watchlist=watchlist, answers="all"))) == 4
    assert kept(read(READER, data, watchlist=watchlist, answers="none")) == []


@pytest.mark.parametrize(
    ("make", "answers", "ttls"),
    [
        (tsv, "cdn.example,203.0.113.7,203.0.113.8,203.0.113.9", "9.000000,60.000000,300.5"),
        (js, ["cdn.example", "203.0.113.7", "203.0.113.8", "203.0.113.9"], [9.0, 60.0, 300.5]),
    ],
)
def test_an_answer_has_the_ttl_of_its_place(make: Any, answers: Any, ttls: Any) -> None:
    batches = read(READER, header() + make(answers=answers, TTLs=ttls), answers="all")
    found = [r for b in batches if b.answers is not None for r in b.answers.to_pylist()]

    assert {(r["rdata"], r["ttl_low"], r["ttl_high"]) for r in found} == {
        ("203.0.113.7", 60, 60), ("203.0.113.8", 300, 300), ("203.0.113.9", None, None),
    }  # fmt: skip


def test_answers_of_rows_without_usable_time_are_not_kept() -> None:
    data = header() + tsv(ts="29.5", answers="203.0.113.7")

    assert kept(read(READER, data)) == []


def test_quotes_in_an_answer_do_not_make_an_address() -> None:
    watchlist = Watchlist.compile([Rule("demo", "address", "203.0.113.0/24")])
    text = 'TXT 30 "203.0.113.7" "203.0.113.7"'
    data = js(answers=[text, '"', "203.0.113.7x", "\u0032"])

    assert rows(read(READER, data, watchlist=watchlist)) == []
    assert kept(read(READER, data)) == []
    assert len(rows(read(READER, js(answers=[text, "203.0.113.7"]), watchlist=watchlist))) == 1


NEW_COLUMNS = [*COLUMNS, "opcode", "opcode_name", "auth", "addl", "original_query"]


def test_columns_of_later_versions_and_policies_change_nothing() -> None:
    new = tsv(NEW_COLUMNS, opcode=0, opcode_name="query", auth="ns.example", addl="192.0.2.9")
    found = row(READER, header(NEW_COLUMNS) + new)

    assert found == row(READER, header(NEW_COLUMNS) + tsv(NEW_COLUMNS))
    assert found["case_bits"] is None


@pytest.mark.parametrize(
    "data",
    [
        header(NEW_COLUMNS) + tsv(NEW_COLUMNS, original_query="Ns1.evil.EXAMPLE"),
        js(original_query="Ns1.evil.EXAMPLE"),
    ],
    ids=["tsv", "json"],
)
def test_the_case_of_the_original_query_is_kept(data: bytes) -> None:
    found = row(READER, data)

    assert found["name"] == "ns1.evil.example"
    assert found["case_bits"] == 0b1111111_0000_01


@pytest.mark.parametrize("other", ["ns2.evil.example", "ns1.evil.example.", "", "-", "(empty)"])
def test_an_original_query_that_is_another_name_does_not_count(other: str) -> None:
    found = row(READER, header(NEW_COLUMNS) + tsv(NEW_COLUMNS, original_query=other))

    assert (found["name"], found["case_bits"]) == ("ns1.evil.example", None)
    assert row(READER, js(original_query=other))["name"] == "ns1.evil.example"


def test_only_what_is_watched_becomes_a_row() -> None:
    watchlist = Watchlist.compile([Rule("demo", "below", "*.evil.example")])
    data = header() + tsv() + tsv(query="notevil.example") + tsv(query="x.EVIL.example")
    batches = read(READER, data, watchlist=watchlist)

    assert [r["name"] for r in rows(batches)] == ["ns1.evil.example", "x.evil.example"]
    assert counts(batches) == [3, 0, 0, 0]


def test_the_vantage_can_be_said() -> None:
    (batch, *_) = read(READER, header() + tsv(), vantage="authority")

    assert rows([batch])[0]["vantage"] == "authority"
    assert batch.counts.column("vantage").to_pylist() == ["authority"]


def test_carriage_returns_nul_bytes_and_invalid_utf8() -> None:
    data = header().replace(b"\n", b"\r\n") + tsv().replace(b"\n", b"\r\n") + b"\r\n\n"
    data += tsv(query="MARK").replace(b"MARK", b"\0\xff.x")
    batches = read(READER, data)

    assert [r["name"] for r in rows(batches)] == ["ns1.evil.example", "\\000\\255.x"]


@pytest.mark.parametrize("make", [tsv, js])
def test_a_last_line_without_line_feed_is_read_if_it_is_complete(make: Any) -> None:
    data = header() + make() + make(query="last.example")
    whole = read(READER, data[:-1])
    cut = read(READER, data[:-4])

    assert [r["name"] for r in rows(whole)] == ["ns1.evil.example", "last.example"]
    assert whole[-1].end == len(data) - 1
    assert [r["name"] for r in rows(cut)] == ["ns1.evil.example"]
    assert cut[-1].end == len(header() + make())
    assert "not complete" in notes(cut)[0]


def test_a_line_over_64_kib_is_malformed_wherever_it_stands() -> None:
    long = tsv(query="a" * 70_000)
    for chunk in (1 << 10, 1 << 14, 1 << 20):
        batches = read(READER, header() + tsv() + long + tsv(), chunk=chunk)

        assert counts(batches) == [2, 1, 0, 0]
        assert quarantine(batches) == [
            (len(header() + tsv()), "the line is longer than 64 KiB", long[:64])
        ]


LINES = st.lists(
    st.one_of(
        st.just(tsv()),
        st.just(js()),
        st.just(header()),
        st.just(b"#close\tx\n"),
        st.just(b"\n"),
        st.just(b"rubbish\n"),
        st.builds(
            tsv, ts=st.integers(1428494400, 1428594400), query=st.sampled_from(["a.b", "-", "C"])
        ),
        st.builds(js, rcode=st.integers(0, 70000)),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(LINES, st.integers(1, 700))
def test_any_chunk_size_gives_the_same(lines: list[bytes], chunk: int) -> None:
    data = header() + b"".join(lines)
    whole = read(READER, data)
    parts = read(READER, data, chunk=chunk)

    assert rows(parts) == rows(whole)
    assert counts(parts) == counts(whole)
    assert hours(parts) == hours(whole)
    assert quarantine(parts) == quarantine(whole)
    assert sum(batch.records for batch in parts) == sum(
        not (line.startswith(b"#") or line == b"\n") for line in lines
    )


@settings(max_examples=100, deadline=None)
@given(
    st.ip_addresses(),
    st.integers(0, 65535),
    st.integers(946684800, 1767225600).map(lambda s: s + 0.25),
    st.integers(0, 65535),
    st.lists(st.text("aZ09-_", min_size=1, max_size=20), min_size=1, max_size=5),
    st.booleans(),
)
def test_generated_rows_come_back(
    address: ipaddress.IPv4Address,
    port: int,
    ts: float,
    qtype: int,
    labels: list[str],
    as_json: bool,
) -> None:
    make: Any = js if as_json else tsv
    # A name that is "-" alone would be an unset field.
    name = ".".join(["q", *labels])
    line = make(id__orig_h=str(address), id__orig_p=port, ts=ts, qtype=qtype, query=name)
    found = row(READER, header() + line)

    assert found["address"] == packed(address)
    assert (found["client_port"], found["qtype"]) == (port, qtype)
    assert found["time"].timestamp() == ts
    assert found["name"] == name.lower()


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from([header() + tsv() * 3, js() * 3]))
def test_mutated_logs_never_raise(data: st.DataObject, log: bytes) -> None:
    mutated = bytearray(log)
    start = log.index(b"1428494400")
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(start, len(mutated) - 1))
        mutated[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    batches = read(READER, bytes(mutated))

    for found in rows(batches):
        assert found["name"]


@pytest.mark.parametrize(
    ("head", "is_zeek"),
    [
        (header() + tsv(), True),
        (b"\n\n### a comment\n" + header(), True),
        (header(["ts", "uid", "id.orig_h"]), False),
        (js(), True),
        (b'{"_path":"conn","id.orig_h":"192.0.2.1"}\n' + js(_path="dns"), True),
        (b'{"_path":"conn","id.orig_h":"192.0.2.1"}\n', False),
        (b'{"event_type":"dns","dns":{"query":[]}}\n', False),
        (b"client 192.0.2.1#53: query: a.example IN A +\n", False),
        (b"", False),
        (b"\0" * 100, False),
        (b"some text\nmore text\n", False),
    ],
)
def test_sniff(head: bytes, is_zeek: bool) -> None:
    assert READER.sniff(head) == is_zeek
