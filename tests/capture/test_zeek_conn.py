"""Zeek's conn.log, made from the documented columns."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.zeek_conn import ZeekConnReader
from remnant.errors import FormatError
from remnant.watchlist import Rule, Watchlist
from textlogs import counts, hours, notes, quarantine, read, rows, v4

READER = ZeekConnReader()
WATCHED = Watchlist.compile([Rule("demo", "address", "198.51.100.0/24")])
COLUMNS = [
    *("ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service"),
    *("duration", "orig_bytes", "resp_bytes", "conn_state", "local_orig", "local_resp"),
    *("missed_bytes", "history", "orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes"),
    *("tunnel_parents", "ip_proto"),
]
HEADER = (
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n"
    "#open\t2024-06-15-12-00-00\n#fields\t" + "\t".join(COLUMNS) + "\n"
).encode()
VALUES: dict[str, Any] = {
    "ts": 1718452801.25,
    "uid": "CHhAvVGS1DHFjwGM9",
    "id.orig_h": "192.0.2.17",
    "id.orig_p": 51388,
    "id.resp_h": "198.51.100.53",
    "id.resp_p": 443,
    "proto": "tcp",
    "service": "ssl",
    "conn_state": "SF",
    "history": "ShADadFf",
    "local_orig": True,
}


def tsv(**fields: object) -> bytes:
    values = VALUES | fields
    cells = [values.get(column, "-") for column in COLUMNS]
    return ("\t".join("T" if cell is True else str(cell) for cell in cells) + "\n").encode()


def as_json(**fields: object) -> bytes:
    return json.dumps({k: v for k, v in (VALUES | fields).items() if v != "-"}).encode() + b"\n"


def only(data: bytes) -> dict[str, Any]:
    (found,) = rows(read(READER, data, watchlist=WATCHED))
    return found


@pytest.mark.parametrize("data", [HEADER + tsv(), as_json(), as_json(_path="conn")])
def test_a_connection(data: bytes) -> None:
    found = only(data)
    found.pop("offset")

    assert READER.sniff(data)
    assert found == {
        "time": datetime(2024, 6, 15, 12, 0, 1, 250000, tzinfo=UTC),
        "response": False,
        "sensor": None,
        "vantage": "flow",
        "address": v4("192.0.2.17"),
        "ecs": None,
        "client_port": 51388,
        "service_port": 443,
        "transport": "tcp",
        "name": "198.51.100.53",
        "case_bits": None,
        "qtype": None,
        "rcode": None,
        "entry": 0,
        "proof": "tcp",
        "weight": 1,
        "detail": '{"proto":"tcp","service":"ssl","conn_state":"SF","history":"ShADadFf"}',
        "limited": False,
    }


@pytest.mark.parametrize("make", [tsv, as_json])
@pytest.mark.parametrize(
    ("fields", "proof"),
    [
        ({"conn_state": "SF"}, "tcp"),
        ({"conn_state": "S1", "history": "ShA"}, "tcp"),
        ({"conn_state": "S2"}, "tcp"),
        ({"conn_state": "S3"}, "tcp"),
        ({"conn_state": "RSTO", "history": "ShADaR"}, "tcp"),
        ({"conn_state": "RSTR", "history": "ShADr"}, "tcp"),
        # What the owner of a forged address does with an answer it did not ask for.
        ({"conn_state": "RSTO", "history": "ShR"}, "none"),
        ({"conn_state": "RSTO", "history": "-"}, "none"),
        ({"conn_state": "RSTR", "history": "DAr"}, "none"),
        ({"conn_state": "S0", "history": "S"}, "none"),
        ({"conn_state": "S4"}, "none"),
        ({"conn_state": "REJ", "history": "Sr"}, "none"),
        ({"conn_state": "RSTOS0", "history": "SR"}, "none"),
        ({"conn_state": "RSTRH", "history": "hr"}, "none"),
        ({"conn_state": "SH", "history": "SF"}, "none"),
        ({"conn_state": "SHR", "history": "hf"}, "none"),
        ({"conn_state": "OTH", "history": "DdAa"}, "none"),
        ({"conn_state": "-"}, "none"),
        ({"conn_state": "SF", "proto": "udp"}, "none"),
    ],
)
def test_only_a_completed_handshake_is_proof(make: Any, fields: dict[str, str], proof: str) -> None:
    head = HEADER if make is tsv else b""

    assert only(head + make(**fields))["proof"] == proof


def test_only_the_destination_counts() -> None:
    back = tsv(**{"id.orig_h": "198.51.100.53", "id.resp_h": "192.0.2.17"})
    batches = read(READER, HEADER + tsv() + back, watchlist=WATCHED)

    assert [row["address"] for row in rows(batches)] == [v4("192.0.2.17")]
    assert counts(batches) == [2, 0, 0, 0]


def test_icmp_has_no_ports() -> None:
    found = only(HEADER + tsv(proto="icmp", **{"id.orig_p": 8, "id.resp_p": 0}))

    assert (found["transport"], found["client_port"], found["service_port"]) == (None, None, None)
    assert json.loads(found["detail"])["proto"] == "icmp"


def test_the_columns_stand_where_the_header_says() -> None:
    fields = ["proto", "id.resp_h", "conn_state", "id.orig_h", "ts"]
    data = (
        "#fields\t" + "\t".join(fields) + "\nudp\t198.51.100.9\tS0\t2001:db8::1\t1718452801\n"
    ).encode()

    assert only(data)["name"] == "198.51.100.9"


@pytest.mark.parametrize(
    "data",
    [
        HEADER.replace(b"conn\n", b"dns\n")
        .replace(b"conn_state", b"query")
        .replace(b"missed_bytes", b"x")
        .replace(b"orig_pkts", b"y"),
        as_json().replace(b"conn_state", b"query"),
        b'{"id.orig_h":"192.0.2.1"}\n',
        b"#fields\tts\tid.orig_h\n",
        b"",
    ],
)
def test_other_logs_are_not_claimed(data: bytes) -> None:
    assert not READER.sniff(data)


def test_rows_of_another_log_are_skipped() -> None:
    data = as_json(_path="conn") + as_json(_path="dns") + as_json(_path="conn_long")

    assert counts(read(READER, data)) == [1, 0, 2, 0]


def test_a_log_without_destination_is_refused() -> None:
    with pytest.raises(FormatError, match=r"no column id\.resp_h"):
        read(READER, HEADER.replace(b"id.resp_h", b"x") + tsv())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ts": "-"}, "time"),
        ({"ts": "soon"}, "time"),
        ({"id.orig_h": "-"}, "address"),
        ({"id.resp_h": "x"}, "address"),
        ({"id.resp_p": 65536}, "number"),
    ],
)
@pytest.mark.parametrize("make", [tsv, as_json])
def test_lines_that_cannot_be_read_are_malformed(
    make: Any, fields: dict[str, object], reason: str
) -> None:
    head = HEADER if make is tsv else b""
    batches = read(READER, head + make() + make(**fields) + make(), watchlist=WATCHED)

    assert counts(batches) == [2, 1, 0, 0]
    ((offset, why, _),) = quarantine(batches)
    assert offset == len(head + make())
    assert reason in why


def test_escapes_in_json_are_no_address() -> None:
    assert counts(read(READER, as_json().replace(b"198.51", b"\\u0031\\u0039\\u0038.51"))) == [
        0,
        1,
        0,
        0,
    ]


def test_iso_times() -> None:
    assert only(as_json(ts="2024-06-15T12:00:01.250000Z"))["time"].hour == 12


def test_a_last_line_without_line_feed_is_read_if_it_is_whole() -> None:
    assert len(rows(read(READER, HEADER + tsv() + tsv()[:-1], watchlist=WATCHED))) == 2
    cut = read(READER, HEADER + tsv() + tsv()[:40], watchlist=WATCHED)
    assert len(rows(cut)) == 1
    assert any("not complete" in note for note in notes(cut))


PARTS = [
    tsv(),
    as_json(),
    tsv(ts="-"),
    HEADER,
    b"#close\t2024\n",
    b"\n",
    b"x\n",
    b'{"a":\n',
    tsv(ts=5),
]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=8), st.integers(1, 500))
def test_any_chunk_size_gives_the_same(parts: list[bytes], chunk: int) -> None:
    data = HEADER + b"".join(parts)
    whole, small = (read(READER, data, watchlist=WATCHED, chunk=c) for c in (1 << 20, chunk))

    assert rows(small) == rows(whole)
    assert counts(small) == counts(whole)
    assert hours(small) == hours(whole)
    assert quarantine(small) == quarantine(whole)
    assert notes(small) == notes(whole)
