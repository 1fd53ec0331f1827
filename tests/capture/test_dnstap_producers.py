"""dnstap as producers write it: odd times, bare messages, policies, records of responses."""

from __future__ import annotations

import json
from typing import Any

import dns.message
import dns.rrset
import pytest

import dnstap_writer as writer
from capture.test_dnstap import (
    ASKED,
    BY_ADDRESS,
    OTHER,
    Q,
    R,
    Result,
    answered,
    read,
    reasons,
)
from remnant.capture.dnstap import DnstapReader
from remnant.capture.readers import READERS, recognise
from remnant.errors import FormatError


def test_every_type_of_message_has_its_use() -> None:
    """Types 1 to 14 of dnstap.proto, and two that are not known yet."""
    answer = answered(writer.query("c2.evil.test"), "203.0.113.1")
    for kind in range(17):
        body = answer if kind % 2 == 0 else ASKED
        got = read(writer.stream(writer.message(kind, body)))
        counted = kind in {1, 2, 5, 6}
        assert got.sum("messages") == counted, kind
        assert got.sum("skipped") == (not counted), kind
        assert [row["vantage"] for row in got.rows] == (
            ["authority" if kind < 3 else "resolver"] if counted else []
        )
        # Records come from what a server answers, and from what it is answered.
        assert len(got.answers) == (kind in {2, 4, 6, 8}), kind


def test_times_that_are_repeated_or_missing() -> None:
    at = writer.START_TIME
    cases: list[tuple[float | None, float | None, float | None]] = [
        (at, at + 1, at),  # dnsdist: both times in a response
        (None, at + 1, at + 1),  # BIND, Knot Resolver: no query time in it
        (at, None, at),  # the other way round
        (135_817, at + 1, at + 1),  # a monotonic clock beside a real one
        (at, 135_817, at),
    ]
    for asked_at, answered_at, row_time in cases:
        inner = writer.number(1, R) + writer.data(4, bytes([198, 51, 100, 7]))
        inner += writer._time(8, asked_at) + writer._time(12, answered_at)
        inner += writer.data(14, writer.response(ASKED, 3))
        (row,) = read(writer.stream(writer.data(14, inner) + writer.number(15, 1))).rows
        assert row["time"].timestamp() == row_time, (asked_at, answered_at)


def test_repeated_times_still_pair() -> None:
    at = writer.START_TIME
    got = read(
        writer.stream(
            writer.message(Q, ASKED, time=at),
            writer.message(R, writer.response(ASKED, 3), time=at, response_time=at + 3),
        )
    )
    assert [(row["rcode"], row["time"].timestamp()) for row in got.rows] == [(3, at)]


def test_a_monotonic_clock_is_a_clock_fault_in_both_messages() -> None:
    got = read(
        writer.stream(
            writer.message(Q, ASKED, time=4_347_697),
            writer.message(R, writer.response(ASKED, 3), time=4_347_697),
        )
    )
    assert (got.rows, got.sum("clock_faults"), got.sum("messages")) == ([], 2, 2)


def test_whole_seconds_without_addresses_of_the_server() -> None:
    """Knot writes no nanoseconds and says nothing of itself."""
    frame = writer.message(1, ASKED, time=writer.START_TIME, server_port=None, protocol=None)
    (row,) = read(writer.stream(frame)).rows
    assert (row["service_port"], row["transport"], row["time"].microsecond) == (None, None, 0)


def test_a_query_without_its_message_is_told_and_the_others_count() -> None:
    """Knot Resolver leaves it out where query logging is off."""
    got = read(
        writer.stream(
            writer.message(Q, None, identity=b""), writer.message(R, writer.response(ASKED, 3))
        )
    )
    assert (got.sum("messages"), reasons(got)) == (1, ["no_message"])
    assert [(row["response"], row["rcode"]) for row in got.rows] == [(True, 3)]


def test_a_response_that_repeats_the_query_is_one_message() -> None:
    inner = writer.number(1, R) + writer.data(4, bytes([198, 51, 100, 7]))
    inner += writer._time(8, writer.START_TIME) + writer._time(12, writer.START_TIME)
    inner += writer.data(10, OTHER) + writer.data(14, writer.response(ASKED, 3))
    got = read(writer.stream(writer.data(14, inner) + writer.number(15, 1)))
    assert [(row["name"], row["rcode"]) for row in got.rows] == [("c2.evil.test", 3)]


def test_fields_that_are_not_used_are_stepped_over() -> None:
    extra = b"\x0a\x12\x1a" * 30_000
    frame = (
        writer.message(Q, ASKED, extra=extra) + writer.data(77, b"later") + writer.fixed32(99, 1)
    )
    got = read(writer.stream(frame, frame))
    assert (len(got.rows), got.sum("malformed")) == (2, 0)
    assert len(frame) > 65_536


def test_a_message_longer_than_any_can_be_is_read_as_far_as_one_goes() -> None:
    # 300 records of 40 kB: their text would need 20 times the room of the records of one message.
    record = b"\xc0\x0c\0\x10\0\1\0\0\0\0" + (40_000).to_bytes(2, "big")
    record += (b"\x27" + b"\xff" * 39) * 1000
    head = writer.response(ASKED)
    body = head[:6] + (300).to_bytes(2, "big") + head[8:] + record * 300
    got = read(writer.stream(writer.message(R, body), writer.message(Q, ASKED)), answers="all")
    assert (got.sum("messages"), got.sum("malformed")) == (2, 0)
    assert [row["count"] for row in got.answers] == [1]


def test_both_directions_of_a_handshake_in_one_capture() -> None:
    """READY, ACCEPT, START, frames, STOP, FINISH, with several content types on offer."""
    ready = (4).to_bytes(4, "big")
    for content in (b"protobuf:other.Type", writer.CONTENT_TYPE):
        ready += (1).to_bytes(4, "big") + writer.frame(content)
    data = bytes(4) + writer.frame(ready)
    data += writer.control(1, writer.CONTENT_TYPE)
    data += writer.stream(writer.message(Q, ASKED), writer.message(Q, ASKED))
    data += writer.control(5)

    assert recognise(data) is READERS["dnstap"]
    for chunk in (8 << 20, 1):
        got = read(data, chunk=chunk)
        assert (len(got.rows), got.records, got.end) == (2, 2, len(data))


def test_a_start_without_a_content_type_is_dnstap() -> None:
    got = read(writer.stream(writer.message(Q, ASKED), start=writer.control(2)))
    assert len(got.rows) == 1


# One message without framing, as unit tests of servers keep them


@pytest.mark.parametrize("kind", [Q, R, 1, 2])
def test_a_bare_message_is_read(kind: int) -> None:
    body = writer.response(ASKED, 3) if kind % 2 == 0 else ASKED
    for identity in (b"ns1", None):
        data = writer.message(kind, body, identity=identity)
        assert recognise(data) is READERS["dnstap"]
        for chunk in (8 << 20, 10):
            got = read(data, chunk=chunk)
            assert [row["name"] for row in got.rows] == ["c2.evil.test"]
            assert (got.records, got.end, got.rows[0]["offset"]) == (1, len(data), 0)
            assert got.notes == ["one message without Frame Streams around it"]


def test_a_bare_message_that_is_no_observation_counts_as_such() -> None:
    assert read(writer.message(3, ASKED)).sum("skipped") == 1
    got = read(writer.message(Q, ASKED[:-2]))
    assert (got.sum("malformed"), reasons(got)) == (1, ["dns_question"])
    assert got.quarantine[0]["offset"] == 0


def test_what_only_looks_like_a_bare_message_is_refused() -> None:
    whole = writer.message(Q, ASKED)
    reader = DnstapReader()
    for data in (whole[:-3], whole + b"\0", whole[:-2] + writer.number(15, 2), b"\x0a\x04test"):
        assert not reader.sniff(data)
        with pytest.raises(FormatError, match="not dnstap"):
            read(data)


# Policies


def detail(result: Result) -> list[Any]:
    return [None if row["detail"] is None else json.loads(row["detail"]) for row in result.rows]


def test_the_policy_of_a_response_is_told_with_its_query() -> None:
    policy = writer.rpz(b"*.evil.test", action=1, match=1, value=b"c2.evil.test")
    got = read(
        writer.stream(
            writer.message(Q, ASKED),
            writer.message(R, writer.response(ASKED, 3), policy=policy),
            writer.message(Q, writer.query("x.evil.test")),
        )
    )
    assert detail(got) == [
        {"rpz": {"action": "NXDOMAIN", "trigger": "QNAME", "rule": "*.evil.test"}}, None,
    ]  # fmt: skip
    assert [row["rcode"] for row in got.rows] == [3, None]


def test_a_policy_may_stand_with_the_query_or_alone() -> None:
    policy = writer.rpz(None, action=4, match=2)
    dropped = {"rpz": {"action": "DROP", "trigger": "CLIENT_IP"}}
    assert detail(read(writer.stream(writer.message(Q, ASKED, policy=policy)))) == [dropped]
    both = writer.stream(
        writer.message(Q, ASKED, policy=policy), writer.message(R, writer.response(ASKED))
    )
    assert detail(read(both)) == [dropped]
    alone = writer.message(R, writer.response(ASKED), policy=policy)
    assert detail(read(writer.stream(alone))) == [dropped]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (b"", {"rpz": {}}),
        (
            writer.rpz(b"r" * 300, 6, 5),
            {"rpz": {"action": "LOCAL_DATA", "trigger": "NS_IP", "rule": "r" * 255}},
        ),
        (writer.rpz(b"\xff", 99, 99), {"rpz": {"action": "99", "trigger": "99", "rule": "\ufffd"}}),
        (b"\x12\x7f", None),  # cut off: no policy, and the message counts
    ],
)  # fmt: skip
def test_odd_policies(policy: bytes, expected: Any) -> None:
    got = read(writer.stream(writer.message(Q, ASKED, policy=policy)))
    assert detail(got) == [expected]
    assert got.sum("messages") == 1


def test_a_policy_is_not_taken_over_by_the_next_message() -> None:
    policy = writer.rpz(b"r", 1, 1)
    got = read(
        writer.stream(
            writer.message(Q, OTHER, policy=policy),
            writer.message(Q, ASKED),
            writer.message(R, answered(OTHER, "192.0.2.5"), policy=policy),
        ),
        BY_ADDRESS,
    )
    # The answer's policy is that of its own query, which hits by address.
    assert {row["name"]: row["detail"] is not None for row in got.rows} == {
        "c2.evil.test": False, "www.example": True,
    }  # fmt: skip


# Records of responses


def chain(asked: bytes) -> bytes:
    message = dns.message.make_response(dns.message.from_wire(asked))
    name = message.question[0].name
    message.answer += [
        dns.rrset.from_text(name, 60, "IN", "CNAME", "Cdn.Example."),
        dns.rrset.from_text("cdn.example.", 60, "IN", "A", "203.0.113.5"),
    ]
    message.authority.append(dns.rrset.from_text("example.", 60, "IN", "NS", "ns.evil.test."))
    message.additional.append(dns.rrset.from_text("ns.evil.test.", 60, "IN", "A", "203.0.113.6"))
    return message.to_wire()


def seen(result: Result) -> list[tuple[str, str, int]]:
    return sorted((row["rrname"], row["rdata"], row["count"]) for row in result.answers)


@pytest.mark.parametrize("kind", [2, writer.RESOLVER_RESPONSE, R, writer.FORWARDER_RESPONSE])
def test_records_of_responses_are_kept_by_choice(kind: int) -> None:
    data = writer.stream(
        writer.message(kind, chain(ASKED)), writer.message(kind, chain(OTHER)),
    )  # fmt: skip
    glue = ("ns.evil.test", "203.0.113.6", 2)
    own = ("c2.evil.test", "cdn.example", 1)
    assert seen(read(data)) == sorted([own, ("cdn.example", "203.0.113.5", 1), glue])
    assert seen(read(data, answers="all")) == sorted(
        [
            own, ("cdn.example", "203.0.113.5", 2), glue,
            ("www.example", "cdn.example", 1), ("example", "ns.evil.test", 2),
        ]
    )  # fmt: skip
    assert read(data, answers="none").answers == []


def test_records_have_the_time_and_sensor_of_their_response() -> None:
    at = writer.START_TIME
    answer = answered(ASKED, "203.0.113.5")
    got = read(
        writer.stream(
            writer.message(R, answer, time=at, response_time=at + 9, identity=b"a"),
            writer.message(4, answer, time=at, response_time=at + 2, identity=b"a"),
            writer.message(R, answer, time=at, response_time=at + 1, identity=b""),
        )
    )
    assert [
        (r["sensor"], r["time_first"].timestamp() - at, r["time_last"].timestamp() - at, r["count"])
        for r in sorted(got.answers, key=lambda row: str(row["sensor"]))
    ] == [(None, 1, 1, 1), ("a", 2, 9, 2)]


@pytest.mark.parametrize(
    "kind", [writer.STUB_RESPONSE, writer.TOOL_RESPONSE, writer.UPDATE_RESPONSE]
)
def test_other_responses_bring_no_records(kind: int) -> None:
    assert read(writer.stream(writer.message(kind, chain(ASKED))), answers="all").answers == []


def test_responses_without_a_usable_time_or_of_another_opcode_bring_no_records() -> None:
    notify = bytearray(chain(ASKED))
    notify[2] |= 4 << 3
    frames = [writer.message(R, chain(ASKED), time=5.0), writer.message(R, bytes(notify))]
    assert read(writer.stream(*frames), answers="all").answers == []


def test_queries_bring_no_records() -> None:
    assert read(writer.stream(writer.message(Q, chain(ASKED))), answers="all").answers == []
