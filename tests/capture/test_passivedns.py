from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.passivedns import PassiveDnsReader
from remnant.errors import FormatError
from textlogs import counts, hours, notes, quarantine, read, rows

READER = PassiveDnsReader()


def line(
    time: str = "1428494400.408856",
    client: str = "192.0.2.17",
    server: str = "198.51.100.53",
    rrclass: str = "IN",
    name: str = "Upload.Evil.example.",
    rrtype: str = "A",
    answer: str = "203.0.113.7",
    ttl: str = "46587",
    count: str = "5",
) -> bytes:
    fields = (time, client, server, rrclass, name, rrtype, answer, ttl, count)
    return "||".join(fields).encode("latin-1") + b"\n"


def answers(batches: Any) -> list[dict[str, Any]]:
    return [r for b in batches if b.answers is not None for r in b.answers.to_pylist()]


def test_a_line_is_a_record_and_how_often_it_was_seen() -> None:
    batches = read(READER, line())
    moment = datetime(2015, 4, 8, 12, 0, 0, 408856, UTC)

    assert answers(batches) == [
        {
            "rrname": "upload.evil.example",
            "rrtype": 1,
            "rdata": "203.0.113.7",
            "time_first": moment,
            "time_last": moment,
            "count": 5,
            "sensor": None,
            "case": 0,
            "ttl_low": 46587,
            "ttl_high": 46587,
        }
    ]
    assert rows(batches) == []
    assert hours(batches) == {None: [1, None, None]}
    assert sum(batch.query_messages for batch in batches) == 0


@pytest.mark.parametrize(
    ("rrtype", "answer", "data"),
    [
        ("AAAA", "2001:db8:0::1", "2001:db8::1"),
        ("CNAME", "Host.example.", "host.example"),
        ("SOA", "a. b. 1 2 3 4 5", "a b 1 2 3 4 5"),
        ("TXT", '"a||b" "c"', '"a||b" "c"'),
        ("MX", "10 Mail.example.", "10 mail.example"),
    ],
)
def test_answers_of_all_types(rrtype: str, answer: str, data: str) -> None:
    (found,) = answers(read(READER, line(rrtype=rrtype, answer=answer)))

    assert found["rdata"] == data


def test_answers_without_a_record_are_skipped() -> None:
    batches = read(READER, line(answer="NXDOMAIN", ttl="0") + line(rrclass="CH") + line())

    assert counts(batches) == [1, 0, 2, 0]
    assert len(answers(batches)) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"time": "soon"}, "time"),
        ({"client": "x"}, "address"),
        ({"server": ""}, "address"),
        ({"name": "a..b."}, "name"),
        ({"name": ""}, "name"),
        ({"rrtype": "NEVER"}, "number"),
        ({"ttl": "x"}, "number"),
        ({"count": "-1"}, "number"),
        ({"answer": "not an address"}, "record data"),
        ({"answer": ""}, "record data"),
    ],
)
def test_what_cannot_be_read_is_malformed_with_its_reason(
    change: dict[str, str], reason: str
) -> None:
    bad = line(**change)
    batches = read(READER, line() + bad + line())

    assert counts(batches) == [2, 1, 0, 0]
    ((offset, why, head),) = quarantine(batches)
    assert reason in why
    assert (offset, head) == (len(line()), bad.rstrip(b"\n")[:64])


@pytest.mark.parametrize("bad", [b"||||||||||||||||\n", b"a||b\n", b"||\n", b"|\n", b"x\n"])
def test_lines_with_other_fields_are_malformed(bad: bytes) -> None:
    assert counts(read(READER, line() + bad)) == [1, 1, 0, 0]


def test_times_out_of_range_are_clock_faults() -> None:
    batches = read(READER, line() + line(time="5.0") + line(time="4000000000"))

    assert counts(batches) == [3, 0, 0, 2]
    assert len(answers(batches)) == 1


@pytest.mark.parametrize(
    "other",
    [
        b"192.0.2.17||198.51.100.53||IN||evil.example.||A||203.0.113.7||60||5||1428494400.4\n",
        b"1428494400.4||IN||evil.example.||A||203.0.113.7||60||5\n",
        b"2015-04-08 12:00:00||192.0.2.17||IN||evil.example.||A||203.0.113.7||60||5\n",
    ],
)
def test_another_order_of_fields_is_refused_with_what_to_do(other: bytes) -> None:
    assert READER.sniff(other)
    with pytest.raises(FormatError, match=r"default order\n(.|\n)*-f SMcsCQTAtn"):
        read(READER, other)


def test_a_last_line_without_line_feed_is_read_if_it_is_complete() -> None:
    whole = read(READER, line() + line()[:-1])
    cut = read(READER, line() + line()[:-4])

    assert counts(whole) == [2, 0, 0, 0]
    assert cut[-1].end == len(line())
    assert "not complete" in notes(cut)[0]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_logs_never_raise_and_chunks_do_not_matter(data: st.DataObject) -> None:
    mutated = bytearray(line() * 3)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(len(line()), len(mutated) - 1))
        mutated[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.one_of(st.binary(max_size=3), st.just(b"||"))
        )
    log = bytes(mutated)
    whole = read(READER, log)
    parts = read(READER, log, chunk=data.draw(st.integers(1, 100)))

    assert counts(parts) == counts(whole)
    assert quarantine(parts) == quarantine(whole)
    assert sum(r["count"] for r in answers(parts)) == sum(r["count"] for r in answers(whole))


@pytest.mark.parametrize(
    ("head", "is_passivedns"),
    [
        (line() * 3, True),
        (line() + b"rubbish\n" + line(answer="NXDOMAIN"), True),
        (b"a || b\nc || d\n", False),
        (b"if (a || b || c || d) return IN;\n", False),
        (b"", False),
    ],
)
def test_sniff(head: bytes, is_passivedns: bool) -> None:
    assert READER.sniff(head) == is_passivedns
