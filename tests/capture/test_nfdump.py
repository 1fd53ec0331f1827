"""The CSV output of nfdump 1.6 and 1.7, and what it can and cannot prove."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.nfdump import NfdumpReader
from remnant.errors import FormatError
from remnant.watchlist import Rule, Watchlist
from textlogs import counts, hours, notes, quarantine, read, rows, v4

READER = NfdumpReader()
WATCHED = Watchlist.compile(
    [Rule("demo", "address", "198.51.100.0/24"), Rule("demo", "address", "2001:db8:5::/48")]
)
OLD = (
    "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,das,smk,dmk,dtos,dir,nh,"
    "nhb,svln,dvln,ismc,odmc,idmc,osmc,mpls1,mpls2,mpls3,mpls4,mpls5,mpls6,mpls7,mpls8,mpls9,"
    "mpls10,cl,sl,al,ra,eng,exid,tr"
)
NEW = "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows"
SUMMARY = b"Summary\nflows,bytes,packets,avg_bps,avg_pps,avg_bpp\n2,16128,212,65560,107,76\n"


def old(**fields: object) -> bytes:
    """A line of 1.6 to 1.7.4: columns that do not matter are zeros, as they are there."""
    values: dict[str, object] = {
        "ts": "2024-06-15 12:00:01",
        "te": "2024-06-15 12:00:02",
        "td": "0.968",
        "sa": "192.0.2.17",
        "da": "198.51.100.53",
        "sp": 51388,
        "dp": 443,
        "pr": "TCP",
        "flg": "...AP.SF",
    }
    values |= fields
    return (",".join(str(values.get(c, 0)) for c in OLD.split(",")) + "\n").encode()


def new(**fields: object) -> bytes:
    """A line of 1.7.5 and later."""
    values: dict[str, object] = {
        "firstSeen": "2024-06-15 12:00:01.543",
        "duration": "00:00:01.968",
        "proto": "TCP",
        "srcAddr": "192.0.2.17",
        "srcPort": 51388,
        "dstAddr": "198.51.100.53",
        "dstPort": 443,
        "packets": 87,
        "bytes": 6051,
        "flows": 1,
    }
    values |= fields
    return (",".join(str(values[c]) for c in NEW.split(",")) + "\n").encode()


HEADER = (OLD + "\n").encode()


def only(data: bytes, **options: Any) -> dict[str, Any]:
    (found,) = rows(read(READER, data, watchlist=WATCHED, **options))
    return found


def test_a_flow() -> None:
    found = only(HEADER + old())

    assert found == {
        "time": datetime(2024, 6, 15, 12, 0, 1, tzinfo=UTC),
        "offset": len(HEADER),
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
        "proof": "none",
        "weight": 1,
        "detail": '{"proto":"TCP","flags":"...AP.SF","packets":"0","packets_back":"0"}',
        "limited": False,
    }


def test_the_columns_of_later_versions() -> None:
    found = only((NEW + "\n").encode() + new(flows=7))

    assert found["time"] == datetime(2024, 6, 15, 12, 0, 1, 543000, tzinfo=UTC)
    assert (found["name"], found["service_port"], found["weight"]) == ("198.51.100.53", 443, 7)
    assert READER.sniff((NEW + "\n").encode())


def test_columns_that_a_person_chose() -> None:
    header = b"outPackets,dstAddr,flags,proto,firstSeen,srcAddr\n"
    data = header + b"3,2001:db8:5::1,.AP.SF,6,1718452801.25,192.0.2.1\n"
    found = only(data)

    assert found["time"] == datetime(2024, 6, 15, 12, 0, 1, 250000, tzinfo=UTC)
    assert (found["name"], found["transport"], found["proof"]) == ("2001:db8:5::1", "tcp", "none")
    assert json.loads(found["detail"]) == {"proto": "6", "flags": ".AP.SF", "packets_back": "3"}
    # Seconds since 1970 need no zone.
    assert notes(read(READER, data)) == []


def test_only_the_destination_counts() -> None:
    answer = old(sa="198.51.100.53", da="192.0.2.17", sp=443, dp=51388)
    batches = read(READER, HEADER + old() + answer, watchlist=WATCHED)

    assert [row["address"] for row in rows(batches)] == [v4("192.0.2.17")]
    assert counts(batches) == [2, 0, 0, 0]


@pytest.mark.parametrize(
    "fields",
    [
        {"flg": "......S.", "opkt": 0},
        # One direction proves nothing, whatever the flags: anybody can send them.
        {"flg": "...AP.SF", "opkt": 0},
        # Of two directions, nfdump may print the flags of the answer.
        {"flg": "...A..S.", "opkt": 1},
        {"flg": "........", "pr": "UDP", "opkt": 5},
    ],
)
def test_nothing_in_a_flow_proves_that_its_source_is_genuine(fields: dict[str, object]) -> None:
    found = only(HEADER + old(**fields))

    assert found["proof"] == "none"
    assert json.loads(found["detail"])["flags"] == fields["flg"]


@pytest.mark.parametrize(
    ("proto", "transport", "port"),
    [
        ("TCP", "tcp", 443),
        ("6", "tcp", 443),
        ("UDP", "udp", 443),
        ("17", "udp", 443),
        ("ICMP", None, None),
        ("0", None, None),
    ],
)
def test_ports_of_other_protocols_are_none(
    proto: str, transport: str | None, port: int | None
) -> None:
    dp = 443 if port else "8.0"
    found = only(HEADER + old(pr=proto, dp=dp))

    assert (found["transport"], found["service_port"]) == (transport, port)
    assert json.loads(found["detail"])["proto"] == proto


def test_the_summary_is_skipped_and_counted() -> None:
    batches = read(READER, HEADER + old() * 2 + SUMMARY, watchlist=WATCHED)

    assert counts(batches) == [2, 0, 3, 0]
    assert batches[-1].end == len(HEADER + old() * 2 + SUMMARY)


def test_outputs_laid_end_to_end() -> None:
    data = (
        HEADER + old() + SUMMARY + (NEW + "\n").encode() + new(dstPort=8080) + HEADER + old(dp=80)
    )
    for chunk in (1, 200, 1 << 20):
        batches = read(READER, data, watchlist=WATCHED, chunk=chunk)

        assert counts(batches) == [3, 0, 3, 0]
        assert [row["service_port"] for row in rows(batches)] == [443, 8080, 80]


def test_no_flow_at_all() -> None:
    data = HEADER + b"No matching flows\n" + SUMMARY
    batches = read(READER, data, watchlist=WATCHED)

    assert READER.sniff(data)
    assert counts(batches) == [0, 0, 4, 0]


def test_times_are_of_the_zone_that_nfdump_ran_in() -> None:
    assert any("read as UTC" in note for note in notes(read(READER, HEADER + old())))

    zone = ZoneInfo("Europe/Berlin")
    found = only(HEADER + old(), timezone=zone)

    assert found["time"] == datetime(2024, 6, 15, 10, 0, 1, tzinfo=UTC)
    assert notes(read(READER, HEADER + old(), timezone=zone)) == []


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (old(ts="yesterday"), "time"),
        (old(ts=""), "time"),
        (old(sa="192.0.2"), "address"),
        (old(da="x"), "address"),
        (old(da=""), "address"),
        (old(sp=65536), "number"),
        (old(dp="http"), "number"),
        (b"2024-06-15 12:00:01,x\n", "fields"),
        (old().rstrip() + b",more\n", "fields"),
        (b'"' + old(), "time"),
    ],
)
def test_lines_that_cannot_be_read_are_malformed(bad: bytes, reason: str) -> None:
    batches = read(READER, HEADER + old() + bad + old(), watchlist=WATCHED)

    assert counts(batches) == [2, 1, 0, 0]
    ((offset, why, head),) = quarantine(batches)
    assert (offset, head) == (len(HEADER + old()), bad.rstrip(b"\n")[:64])
    assert reason in why


@pytest.mark.parametrize(
    "data", [b"ts,te,td,pr,val,fl,flP,ipkt\n1,2,3,4,5,6,7,8\n", old(), b"sa,da,sp\n"]
)
def test_what_is_no_list_of_flows_is_refused_with_the_missing_column(data: bytes) -> None:
    assert not READER.sniff(data)
    with pytest.raises(FormatError, match=r"no column (ts or firstseen|sa or srcaddr)"):
        read(READER, data)


def test_a_later_header_without_flows_costs_its_lines() -> None:
    data = (
        HEADER
        + old()
        + b"ts,te,td,pr,val,fl\n2024-06-15 12:00:01,x,1,any,192.0.2.1,1\n"
        + HEADER
        + old()
    )
    for chunk in (1, 1 << 20):
        batches = read(READER, data, watchlist=WATCHED, chunk=chunk)

        assert counts(batches) == [2, 1, 0, 0]
        assert sum("after that header" in note for note in notes(batches)) == 1


def test_a_last_line_without_line_feed_is_read_if_it_is_whole() -> None:
    assert len(rows(read(READER, HEADER + old() + old()[:-1], watchlist=WATCHED))) == 2
    cut = read(READER, HEADER + old() + old()[:60], watchlist=WATCHED)
    assert len(rows(cut)) == 1
    assert any("not complete" in note for note in notes(cut))


PARTS = [
    old(),
    old(da="192.0.2.1"),
    old(ts="1970-01-01 00:00:00"),
    HEADER,
    SUMMARY,
    b"\n",
    b"x\n",
    b"\r\n",
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


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["firstSeen", "x", "srcAddr", "y", "dstAddr", "z"]), max_size=4))
def test_the_last_columns_may_be_any(more: list[str]) -> None:
    values = {"firstSeen": "2024-06-15 12:00:01", "srcAddr": "192.0.2.1", "dstAddr": "198.51.100.9"}
    columns = ["firstSeen", "srcAddr", "dstAddr", *more]
    line = ",".join(values.get(column, "") for column in columns)
    header = ",".join(columns) + "\n"

    assert counts(read(READER, f"{header}{line}\n".encode(), watchlist=WATCHED)) == [1, 0, 0, 0]
    assert counts(read(READER, f"{header}{line},\n".encode())) == [0, 1, 0, 0]
    assert counts(read(READER, f"{header}{line.rpartition(',')[0]}\n".encode())) == [0, 1, 0, 0]
