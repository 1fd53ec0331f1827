"""The records of responses: which are kept, and that each is what dnspython reads."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsigkeyring
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dns_oracle
from remnant import wire
from remnant.capture.records import (
    MODES,
    NONE,
    new_records,
    records_room,
    records_table,
    write_records,
)
from remnant.watchlist import Rule, Watchlist

if TYPE_CHECKING:
    from remnant.capture import AnswersMode

TIME = 1_428_451_200_000_000
NOBODY = Watchlist.compile([])
WATCHED = Watchlist.compile(
    [
        Rule("demo", "below", "*.evil.test"),
        Rule("demo", "address", "192.0.2.0/24"),
        Rule("demo", "address", "2001:db8::/32"),
    ]
)
Row = tuple[str, int, str]


def written(
    message: bytes,
    mode: AnswersMode = "all",
    watched: Watchlist = NOBODY,
    *,
    before: bytes = b"",
    asked: int = NONE,
) -> list[dict[str, Any]]:
    """Return the rows of one response, which stands somewhere in a buffer."""
    buffer = np.frombuffer(before + message + b"\xee" * 3, np.uint8).copy()
    stop = len(before) + len(message)
    starts, question = np.zeros(wire.MAX_LABELS + 2, np.int64), np.zeros(wire.FIELDS, np.int64)
    scratch = np.zeros(256, np.uint8)
    assert wire.question(buffer, len(before), stop, scratch, starts, question) == 0
    records = new_records(mode)
    write_records(
        records, watched.tables, buffer, len(before), stop, question, scratch, starts,
        np.zeros(256, np.int32), np.zeros(16, np.uint8), (TIME, 0, asked, MODES[mode]),
    )  # fmt: skip
    table = records_table(records, watched, mode, [None])
    assert records.filled[0] == 0
    return [] if table is None else table.to_pylist()


def kept(rows: list[dict[str, Any]]) -> Counter[Row]:
    """Owner, type and data of the rows, as often as they were seen."""
    found: Counter[Row] = Counter()
    for row in rows:
        found[row["rrname"], row["rrtype"], row["rdata"]] += row["count"]
    return found


def response(
    asked: str, *records: str, kind: str = "A", authority: int = 0, additional: int = 0
) -> bytes:
    """Return a response; of ``records`` the last ones stand in the other sections."""
    made = dns.message.make_response(dns.message.make_query(asked, kind))
    sets = []
    for record in records:
        name, rdtype, data = record.split(" ", 2)
        sets.append(dns.rrset.from_text(name, 60, "IN", rdtype, data))
    first = len(sets) - authority - additional
    made.answer += sets[:first]
    made.authority += sets[first : first + authority]
    made.additional += sets[first + authority :]
    return made.to_wire()


# Against dnspython

NAMES = st.sampled_from(
    ["a.test.", "Www.Evil.Test.", "evil.test.", ".", r"x\046y.test.", r"\000.b."]
)
DATA = st.one_of(
    st.tuples(st.just("A"), st.sampled_from(["192.0.2.1", "203.0.113.255"])),
    st.tuples(st.just("AAAA"), st.sampled_from(["2001:db8::1", "::ffff:192.0.2.1", "::"])),
    st.tuples(st.sampled_from(["NS", "CNAME", "PTR", "DNAME"]), NAMES),
    st.tuples(st.just("MX"), NAMES.map(lambda name: f"10 {name}")),
    st.tuples(st.just("SRV"), NAMES.map(lambda name: f"0 65535 443 {name}")),
    st.tuples(st.just("SOA"), st.tuples(NAMES, NAMES).map(lambda n: f"{n[0]} {n[1]} 1 2 3 4 99")),
    st.tuples(st.sampled_from(["TXT", "SPF"]), st.sampled_from(['"a b" ""', r'"\"\\\200"'])),
    st.tuples(st.just("CAA"), st.just('0 issueWild "ca.test"')),
    st.tuples(st.sampled_from(["TYPE999", "TYPE1", "TYPE16", "TYPE6"]), st.just(r"\# 3 0a0b0c")),
    st.tuples(st.just("TYPE999"), st.just(r"\# 0")),
    st.tuples(st.just("DS"), st.just("1 8 2 " + "ab" * 32)),
)  # fmt: skip


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A response with records in all sections, its names compressed; types may be lied about."""
    asked = draw(NAMES)
    out = bytearray(dns.message.make_response(dns.message.make_query(asked, "ANY")).to_wire())
    compress: dict[dns.name.Name, int] = {dns.name.from_text(asked): 12} if asked != "." else {}
    counts = [0, 0, 0]
    for section, (owner, (kind, data), sized) in sorted(
        draw(st.lists(st.tuples(st.integers(0, 2), st.tuples(NAMES, DATA, st.integers(-2, 12)))))
    ):
        counts[section] += 1
        rdata = (
            dns.rdata.GenericRdata(
                dns.rdataclass.IN,
                dns.rdatatype.RdataType.make(int(kind[4:])),
                bytes.fromhex(data.split(" ", 2)[2]),
            )
            if kind.startswith("TYPE") and data != r"\# 0"
            else dns.rdata.from_text("IN", kind, data)
        )
        out += _name(dns.name.from_text(owner), out, compress)
        out += int(rdata.rdtype).to_bytes(2, "big") + b"\0\1" + bytes(4)
        place = len(out)
        out += bytes(2)
        if kind in {"NS", "CNAME", "PTR"}:
            out += _name(dns.name.from_text(data), out, compress)
        else:
            out += rdata.to_wire() or b""
        if sized < 0:
            # One byte is missing or too many: no name may point into this.
            compress = {name: at for name, at in compress.items() if at < place}
            out = out[:-1] if sized == -1 and len(out) > place + 2 else out + b"\7"
        out[place : place + 2] = (len(out) - place - 2).to_bytes(2, "big")
    for i, count in enumerate(counts):
        out[6 + 2 * i : 8 + 2 * i] = count.to_bytes(2, "big")
    return bytes(out)


def _name(name: dns.name.Name, out: bytearray, compress: dict[dns.name.Name, int]) -> bytes:
    """Return a name compressed against those before it, and remember where it stands."""
    wire_name = b""
    while name.labels != (b"",):
        if name in compress:
            return wire_name + (0xC000 | compress[name]).to_bytes(2, "big")
        compress[name] = len(out) + len(wire_name)
        wire_name += bytes([len(name.labels[0])]) + name.labels[0]
        name = name.parent()
    return wire_name + b"\0"


@settings(max_examples=300, deadline=None)
@given(message=messages(), before=st.sampled_from([b"", b"\1a\0" * 9]))
def test_records_are_what_dnspython_reads(message: bytes, before: bytes) -> None:
    said = dns_oracle.read(message)

    assert kept(written(message, before=before)) == Counter(said.records)
    assert said.odd == set()


def test_dnspython_itself_reads_the_same_message() -> None:
    message = response("Www.evil.test", "Www.evil.test. A 192.0.2.1", ". NS A.test.")
    theirs = [
        (dns_oracle.name_text(rrset.name), int(rrset.rdtype), dns_oracle.rdata_text(rrset[0]))
        for rrset in dns.message.from_wire(message).answer
    ]
    assert list(kept(written(message))) == theirs
    assert theirs == [("www.evil.test", 1, "192.0.2.1"), (".", 2, "a.test")]


# Which records are kept

CHAIN = (
    "www.evil.test. CNAME cdn.test.",
    "cdn.test. CNAME edge.test.",
    "edge.test. A 203.0.113.1",
)


def test_a_watched_question_keeps_its_whole_chain() -> None:
    message = response("www.evil.test", *CHAIN)
    asked = int(WATCHED.match_wire(*one(b"\3www\4evil\4test\0"))[1][0])

    rows = written(message, "watched", WATCHED, asked=asked)
    assert [(row["rrname"], row["rdata"]) for row in rows] == [
        ("www.evil.test", "cdn.test"), ("cdn.test", "edge.test"), ("edge.test", "203.0.113.1"),
    ]  # fmt: skip
    assert {(row["case"], row["count"], row["sensor"]) for row in rows} == {(0, 1, None)}


def one(name: bytes) -> tuple[np.ndarray, np.ndarray]:
    return np.frombuffer(name, np.uint8).copy(), np.array([0, len(name)])


def test_without_the_question_only_what_is_watched_itself_is_kept() -> None:
    rows = written(response("www.evil.test", *CHAIN), "watched", WATCHED)
    assert [row["rrname"] for row in rows] == ["www.evil.test"]


def test_authority_and_additional_records_are_kept_only_if_watched_themselves() -> None:
    message = response(
        "www.evil.test",
        "www.evil.test. A 203.0.113.1",
        "evil.test. NS ns1.evil.test.",
        "test. NS ns.test.",
        "ns1.evil.test. A 203.0.113.2",
        "ns.test. A 203.0.113.3",
        "ns.test. A 192.0.2.3",
        "ns.test. AAAA 2001:db8::1",
        "ns.test. AAAA 2001:db9::1",
        authority=2,
        additional=5,
    )
    asked = int(WATCHED.match_wire(*one(b"\3www\4evil\4test\0"))[1][0])

    assert list(kept(written(message, "watched", WATCHED, asked=asked))) == [
        ("www.evil.test", 1, "203.0.113.1"),
        ("evil.test", 2, "ns1.evil.test"),
        ("ns1.evil.test", 1, "203.0.113.2"),
        ("ns.test", 1, "192.0.2.3"),
        ("ns.test", 28, "2001:db8::1"),
    ]
    assert len(written(message, "all", WATCHED, asked=asked)) == 8
    assert written(message, "none", WATCHED, asked=asked) == []


def test_a_mapped_address_in_an_aaaa_record_is_watched_as_ipv4() -> None:
    message = response("x.test", "x.test. AAAA ::ffff:192.0.2.9", kind="AAAA")
    (row,) = written(message, "watched", WATCHED)
    assert row["rdata"] == "::ffff:192.0.2.9"


def test_exchange_records_and_other_classes_are_no_data() -> None:
    made = dns.message.make_response(dns.message.make_query("x.test", "A", use_edns=0))
    made.answer.append(dns.rrset.from_text("x.test.", 60, "IN", "A", "192.0.2.1"))
    made.answer.append(dns.rrset.from_text("version.bind.", 0, "CH", "TXT", '"9.18"'))
    key = dns.tsigkeyring.from_text({"key.test.": "c2VjcmV0"})
    made.use_tsig(key, fudge=300)
    message = made.to_wire()

    assert message[11] == 2
    assert list(kept(written(message))) == [("x.test", 1, "192.0.2.1")]


@pytest.mark.parametrize("mode", ["all", "watched"])
def test_a_root_owner_is_a_dot(mode: AnswersMode) -> None:
    watched = Watchlist.compile([Rule("demo", "exact", ".")])
    rows = written(response(".", ". NS a.root.test.", kind="NS"), mode, watched)
    assert [(row["rrname"], row["rdata"]) for row in rows] == [(".", "a.root.test")]


def test_the_same_record_twice_counts_twice() -> None:
    message = response("x.test", "x.test. A 192.0.2.1", "X.TEST. A 192.0.2.1")
    (row,) = written(message)
    assert (row["count"], row["rrname"]) == (2, "x.test")


# Bounds


def test_every_record_of_a_full_message_is_kept() -> None:
    # The shortest records there are: a root owner and no data.
    head = bytes.fromhex("0001800000010000000000000000010001")
    size = (65_535 - len(head)) // 11
    body = b"".join(
        b"\0" + n.to_bytes(2, "big") + b"\0\1" + bytes(6) for n in range(300, 300 + size)
    )
    message = head[:6] + size.to_bytes(2, "big") + head[8:] + body

    assert size > 5_900
    rows = written(message)
    assert len(rows) == size
    assert {(row["rrname"], row["rdata"]) for row in rows} == {(".", r"\# 0")}


def test_the_room_for_one_response_is_enough_for_the_largest_texts() -> None:
    # Thousands of names of 255 bytes that cost two bytes each: 5 MB of text out of 64 KiB.
    longest = (b"\x3f" + b"\xff" * 63) * 3 + b"\x3d" + b"\xff" * 61 + b"\0"
    head = bytes.fromhex("000180000001000000000000") + longest + b"\0\2\0\1"
    entry = b"\xc0\x0c\0\2\0\1\0\0\0\0\0\2\xc0\x0c"
    count = (65_535 - len(head)) // len(entry)
    message = head[:6] + count.to_bytes(2, "big") + head[8:] + entry * count
    records = new_records("all")
    assert records_room(records)

    (row,) = written(message)
    assert row["count"] == count
    assert len(row["rdata"]) == 4 * 250 + 3


def test_room_is_for_a_whole_response() -> None:
    records = new_records("all")
    records.filled[0] = records.time.size - 100
    assert not records_room(records)
    assert records_room(new_records("none"))


def test_what_is_cut_off_ends_the_records_and_keeps_those_before() -> None:
    message = response("x.test", "x.test. A 192.0.2.1", "x.test. A 192.0.2.2")
    for cut in range(len(message) - 15, len(message)):
        rows = written(message[:cut])
        assert [row["rdata"] for row in rows] == ["192.0.2.1"]


def test_an_owner_that_is_no_name_is_passed_over() -> None:
    message = response("x.test", "x.test. A 192.0.2.1", "x.test. A 192.0.2.2")
    at = message.index(b"\xc0\x0c")
    loop = message[:at] + (0xC000 | at).to_bytes(2, "big") + message[at + 2 :]

    assert [row["rdata"] for row in written(loop)] == ["192.0.2.2"]


def test_two_questions_give_no_records() -> None:
    message = bytearray(response("x.test", "x.test. A 192.0.2.1"))
    message[5] = 2
    assert written(bytes(message)) == []
