from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.suricata import SuricataReader
from remnant.schema import ANSWER_ROWS
from remnant.watchlist import Rule, Watchlist
from textlogs import EVERYTHING, counts, hours, notes, quarantine, read, row, rows, v4

READER = SuricataReader()
CLIENT = "192.0.2.17"
SERVER = "198.51.100.53"
NAME = "ns1.evil.example"
WATCHED = Watchlist.compile([Rule("demo", "below", "*.evil.example")])
BY_ADDRESS = Watchlist.compile(
    [Rule("demo", "exact", NAME), Rule("demo", "address", "203.0.113.0/24")]
)


def event(kind: str = "dns", *, at: float = 0.25, back: bool = False, **fields: Any) -> bytes:
    """One line of an EVE log; ``back``: it is printed from the server to the client."""
    moment = datetime.fromtimestamp(1428494400 + at, UTC)
    base: dict[str, Any] = {
        "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S.%f+0000"),
        "flow_id": 1942075537145234,
        "event_type": kind,
        "src_ip": SERVER if back else CLIENT,
        "src_port": 53 if back else 43250,
        "dest_ip": CLIENT if back else SERVER,
        "dest_port": 43250 if back else 53,
        "proto": "UDP",
    }
    base |= fields
    present = {key: value for key, value in base.items() if value is not None}
    return json.dumps(present, separators=(",", ":")).encode() + b"\n"


def query(version: int = 2, *, name: str = NAME, rrtype: str = "A", **fields: Any) -> bytes:
    if version == 3:
        dns: dict[str, Any] = {
            "version": 3, "type": "request", "tx_id": 0, "id": 7, "flags": "100", "rd": True,
            "opcode": 0, "rcode": "NOERROR", "queries": [{"rrname": name, "rrtype": rrtype}],
        }  # fmt: skip
    else:
        dns = {"type": "query", "id": 7, "rrname": name, "rrtype": rrtype, "tx_id": 0}
        if version == 2:
            dns["version"] = 2
    return event(dns=dns, **fields)


def record(name: str, rrtype: str, rdata: str, ttl: int = 60) -> dict[str, Any]:
    return {"rrname": name, "rrtype": rrtype, "ttl": ttl, "rdata": rdata}


def answer(
    version: int = 2,
    *records: dict[str, Any],
    name: str = NAME,
    rrtype: str = "A",
    rcode: str = "NOERROR",
    more: dict[str, Any] | None = None,
    at: float = 0.5,
    **fields: Any,
) -> bytes:
    """The answer event of versions 2 and 3."""
    dns: dict[str, Any] = {
        "version": version, "type": "response" if version == 3 else "answer", "id": 7,
        "flags": "8180", "qr": True, "rd": True, "ra": True, "opcode": 0, "rcode": rcode,
    }  # fmt: skip
    if version == 3:
        dns["queries"] = [{"rrname": name, "rrtype": rrtype}]
    else:
        dns |= {"rrname": name, "rrtype": rrtype}
    if records:
        dns["answers"] = list(records)
    return event(dns=dns | (more or {}), at=at, back=version == 3, **fields)


def answer_v1(
    *records: dict[str, Any], rcode: str = "NOERROR", at: float = 0.5, **fields: Any
) -> bytes:
    """The answer events of version 1: one for each record, or one without if there is none."""
    each: list[dict[str, Any]] = list(records) or [{"rrname": NAME}]
    return b"".join(
        event(dns={"type": "answer", "id": 7, "rcode": rcode, **one}, at=at, back=True, **fields)
        for one in each
    )


ADDRESS = record(NAME, "A", "203.0.113.7")
CHAIN = (record(NAME, "CNAME", "Host.example"), record("host.example", "A", "203.0.113.7"))


def answers(batches: Any) -> list[tuple[Any, ...]]:
    found = []
    for batch in batches:
        if batch.answers is not None:
            assert batch.answers.schema.equals(ANSWER_ROWS.arrow)
            found += [
                (r["rrname"], r["rrtype"], r["rdata"], r["count"])
                for r in batch.answers.to_pylist()
            ]
    return sorted(found)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_query_is_one_observation(version: int) -> None:
    found = row(READER, query(version))

    assert found == {
        "time": datetime(2015, 4, 8, 12, 0, 0, 250000, UTC),
        "offset": 0,
        "response": False,
        "sensor": None,
        "vantage": "resolver",
        "address": v4(CLIENT),
        "ecs": None,
        "client_port": 43250,
        "service_port": 53,
        "transport": "udp",
        "name": NAME,
        "case_bits": None,
        "qtype": 1,
        "rcode": None,
        "entry": 0,
        "proof": "dns_udp",
        "weight": 1,
        "detail": None,
        "limited": False,
    }


@pytest.mark.parametrize(
    "log",
    [
        query(1) + answer_v1(rcode="NXDOMAIN"),
        query(2) + answer(2, rcode="NXDOMAIN"),
        query(3) + answer(3, rcode="NXDOMAIN"),
        query(3) + answer(3, rcode="NXDOMAIN").replace(b'"response"', b'"answer"'),
        answer(2, rcode="NXDOMAIN", at=0.249) + query(2),
    ],
    ids=["v1", "v2", "v3", "v3 as the guide prints it", "answer first"],
)
def test_an_answer_gives_its_query_the_response_code(log: bytes) -> None:
    batches = read(READER, log)

    assert [(r["rcode"], r["response"]) for r in rows(batches)] == [(3, False)]
    assert counts(batches) == [2, 0, 0, 0]
    assert sum(batch.query_messages for batch in batches) == 1


def test_the_code_that_a_request_prints_is_not_a_response() -> None:
    assert b'"rcode":"NOERROR"' in query(3)
    assert row(READER, query(3))["rcode"] is None


def test_answers_of_others_are_not_paired() -> None:
    log = query(2) + answer(2, rcode="NXDOMAIN", src_port=43251)
    log += answer(2, rcode="NXDOMAIN", name="other.example")
    log += answer(2, rcode="NXDOMAIN", rrtype="AAAA") + answer(2, rcode="NXDOMAIN", at=11.0)

    assert [r["rcode"] for r in rows(read(READER, log))] == [None]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_without_query_events_responses_are_the_observations(version: int) -> None:
    log = answer_v1(ADDRESS, ADDRESS) if version == 1 else answer(version, ADDRESS)
    batches = read(READER, log)

    (found,) = rows(batches)
    assert found["response"]
    assert (found["address"], found["client_port"]) == (v4(CLIENT), 43250)
    assert (found["name"], found["qtype"], found["rcode"]) == (NAME, 1, 0)
    assert sum(batch.query_messages for batch in batches) == 0
    assert counts(batches) == [1, 0, 1 if version == 1 else 0, 0]


def test_the_events_of_one_response_of_version_1_are_one_message() -> None:
    log = query(1) + answer_v1(*CHAIN, ADDRESS) + query(1, at=2.0) + answer_v1(ADDRESS, at=2.5)
    batches = read(READER, log)

    assert [r["rcode"] for r in rows(batches)] == [0, 0]
    # Two queries, two responses; two events that go on with the first response.
    assert counts(batches) == [4, 0, 2, 0]
    assert sum(batch.query_messages for batch in batches) == 2
    assert notes(batches) == []


def test_of_version_1_without_queries_only_an_alias_leaves_the_type_open() -> None:
    found = row(READER, answer_v1(*CHAIN))

    assert (found["name"], found["qtype"]) == (NAME, None)


@pytest.mark.parametrize("proto", ["UDP", "TCP"])
@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("turned", [True, False])
def test_the_client_is_the_end_that_is_not_at_port_53(
    version: int, proto: str, turned: bool
) -> None:
    if turned:
        sides: dict[str, Any] = {
            "src_ip": SERVER, "src_port": 53, "dest_ip": CLIENT, "dest_port": 43250,
        }  # fmt: skip
    else:
        sides = {"src_ip": CLIENT, "src_port": 43250, "dest_ip": SERVER, "dest_port": 53}
    log = answer_v1(ADDRESS, proto=proto, **sides)
    if version > 1:
        log = answer(version, ADDRESS, proto=proto, **sides)
    found = row(READER, log)

    assert (found["address"], found["client_port"], found["service_port"]) == (
        v4(CLIENT), 43250, 53,
    )  # fmt: skip
    assert (found["transport"], found["proof"]) == (proto.lower(), f"dns_{proto.lower()}")


@pytest.mark.parametrize(
    ("log", "client"),
    [
        (answer(3, src_port=53, dest_port=53), CLIENT),
        (answer(3, src_port=5300), CLIENT),
        (answer(2, src_port=53, dest_port=53), CLIENT),
        (answer(2, dest_port=5300), CLIENT),
        (answer_v1(ADDRESS, src_port=53, dest_port=53), CLIENT),
        (answer_v1(ADDRESS, src_port=53, dest_port=53, proto="TCP"), SERVER),
    ],
)
def test_where_ports_do_not_tell_the_version_does(log: bytes, client: str) -> None:
    assert row(READER, log)["address"] == v4(client)


def test_times_have_any_offset() -> None:
    log = query(timestamp="2015-04-08T14:00:00.250000+0200")

    assert row(READER, log)["time"] == datetime(2015, 4, 8, 12, 0, 0, 250000, UTC)


def test_names_keep_case_escapes_and_the_root() -> None:
    log = query(name="Ns1.EVIL.example") + query(name="a\\xffb.é.example") + query(3, name="")
    found = rows(read(READER, log))

    assert [r["name"] for r in found] == ["ns1.evil.example", "a\\255b.\\195\\169.example", "."]
    assert found[0]["case_bits"] == 0b111101


@pytest.mark.parametrize(
    ("rrtype", "number"), [("AAAA", 28), ("HTTPS", 65), ("65", 65), ("65280", 65280), ("?", None)]
)
def test_types_are_read_by_name_and_by_number(rrtype: str, number: int | None) -> None:
    assert row(READER, query(3, rrtype=rrtype))["qtype"] == number


@pytest.mark.parametrize("rcode", [("BADVERS/BADSIG", 16), ("REFUSED", 5), ("11", 11), ("?", None)])
def test_response_codes(rcode: tuple[str, int | None]) -> None:
    assert row(READER, answer(3, rcode=rcode[0]))["rcode"] == rcode[1]


def test_other_events_are_skipped_even_if_they_hold_dns() -> None:
    dns = {"version": 3, "type": "request", "id": 7, "queries": [{"rrname": NAME, "rrtype": "A"}]}
    old = {"query": [{"type": "query", "id": 7, "rrname": NAME, "rrtype": "A"}]}
    log = event("alert", dns=dns) + event("alert", dns=old) + event("http") + event("stats")
    batches = read(READER, log + query())

    assert len(rows(batches)) == 1
    assert counts(batches) == [1, 0, 4, 0]
    assert notes(batches) == ["4 events of other types than dns and flow were skipped"]


@pytest.mark.parametrize(
    "local",
    [query(dest_port=5353, src_port=5353), query(dest_port=5355), answer(3, src_port=5353),
     event("mdns", mdns={}), event("llmnr", llmnr={})],
)  # fmt: skip
def test_local_name_services_are_skipped_and_counted(local: bytes) -> None:
    batches = read(READER, local + query())

    assert counts(batches) == [1, 0, 1, 0]
    assert notes(batches) == ["1 events of mDNS, LLMNR or NetBIOS were skipped"]


def test_a_message_without_question_is_skipped() -> None:
    batches = read(READER, event(dns={"version": 3, "type": "response", "id": 7, "queries": []}))

    assert counts(batches) == [0, 0, 1, 0]
    assert notes(batches) == ["1 DNS events without a question were skipped"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (query(timestamp="yesterday"), "time"),
        (query(timestamp="2015-04-08T12:00:00.250000"), "time"),
        (query(timestamp=None), "time"),
        (query(src_ip="192.0.2"), "address"),
        (query(dest_ip=None), "address"),
        (query(src_port=65536), "number"),
        (query(src_port="53"), "number"),
        (query(name="a..b"), "name"),
        (query(name="a" * 64), "name"),
        (query(name=5), "name"),  # type: ignore[arg-type]
        (event(dns={"type": "other", "rrname": NAME}), "fields"),
        (event(dns=[]), "fields"),
        (event(None), "fields"),  # type: ignore[arg-type]
        (event("flow", src_ip="x"), "address"),
        (event("flow", flow={"start": "x"}), "time"),
        (event("flow", dest_port=70000), "number"),
        (query()[:-3] + b"\n", "JSON"),
        (b"rubbish\n", "JSON"),
    ],
)
def test_what_cannot_be_read_is_malformed_with_its_reason(bad: bytes, reason: str) -> None:
    batches = read(READER, query() + bad + query())

    assert counts(batches) == [2, 1, 0, 0]
    ((offset, why, head),) = quarantine(batches)
    assert reason in why
    assert (offset, head) == (len(query()), bad.rstrip(b"\n")[:64])


def test_times_out_of_range_are_clock_faults() -> None:
    log = query(timestamp="1999-12-31T23:59:59.000000+0000") + query()
    log += answer(2, ADDRESS, timestamp="2031-01-01T00:00:00.000000+0000")
    batches = read(READER, log)

    assert counts(batches) == [3, 0, 0, 2]
    assert len(rows(batches)) == 1
    assert answers(batches) == []
    assert hours(batches)[None][0] == 2


@pytest.mark.parametrize(
    "log",
    [
        answer_v1(ADDRESS, record(NAME, "A", "203.0.113.8")),
        answer(2, ADDRESS, record(NAME, "A", "203.0.113.8")),
        answer(2, more={"grouped": {"A": ["203.0.113.7", "203.0.113.8"]}}),
        answer(
            2, ADDRESS, record(NAME, "A", "203.0.113.8"),
            more={"grouped": {"A": ["203.0.113.7", "203.0.113.8"]}},
        ),
        answer(3, ADDRESS, record(NAME, "A", "203.0.113.8")),
    ],
    ids=["v1", "v2", "grouped", "both", "v3"],
)  # fmt: skip
def test_records_are_kept_once(log: bytes) -> None:
    assert answers(read(READER, log, watchlist=WATCHED)) == [
        (NAME, 1, "203.0.113.7", 1),
        (NAME, 1, "203.0.113.8", 1),
    ]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_record_has_its_ttl(version: int) -> None:
    one, other = record(NAME, "A", "203.0.113.7", 5), record(NAME, "A", "203.0.113.7", 900)
    log = query(1) + answer_v1(one, other) if version == 1 else answer(version, one, other)
    batches = read(READER, log, watchlist=WATCHED)
    found = [r for b in batches if b.answers is not None for r in b.answers.to_pylist()]

    assert [(r["ttl_low"], r["ttl_high"]) for r in found] == [(5, 900)]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_chain_behind_a_watched_name_is_kept_whole(version: int) -> None:
    log = query(1) + answer_v1(*CHAIN) if version == 1 else answer(version, *CHAIN)

    assert answers(read(READER, log, watchlist=WATCHED)) == [
        ("host.example", 1, "203.0.113.7", 1),
        (NAME, 5, "host.example", 1),
    ]


def test_of_grouped_answers_behind_an_alias_addresses_stand_for_the_name() -> None:
    log = answer(2, more={"grouped": {"CNAME": ["host.example"], "A": ["203.0.113.7"]}})

    assert answers(read(READER, log, watchlist=WATCHED)) == [(NAME, 1, "203.0.113.7", 1)]


def test_records_of_unwatched_names_are_not_kept() -> None:
    log = answer(3, record("x.example", "A", "192.0.2.1"), name="x.example")

    assert answers(read(READER, log, watchlist=WATCHED)) == []
    assert answers(read(READER, log)) == [("x.example", 1, "192.0.2.1", 1)]


def test_authorities_and_additional_records_are_kept_and_answer_nothing() -> None:
    more = {
        "authorities": [record("example", "NS", "A.NS.example.")],
        "additionals": [record("a.ns.example", "A", "203.0.113.9")],
    }
    log = query(3, name="x.example") + answer(3, name="x.example", more=more)
    batches = read(READER, log, watchlist=BY_ADDRESS)

    assert rows(batches) == []
    assert answers(batches) == [("a.ns.example", 1, "203.0.113.9", 1)]
    assert answers(read(READER, log)) == [
        ("a.ns.example", 1, "203.0.113.9", 1),
        ("example", 2, "a.ns.example", 1),
    ]


def test_record_data_comes_in_the_form_of_its_type() -> None:
    soa = {
        "rrname": NAME, "rrtype": "SOA", "ttl": 1,
        "soa": {"mname": "NS1.example", "rname": "h.example", "serial": 32, "refresh": 900,
                "retry": 600, "expire": 86400, "minimum": 3600},
    }  # fmt: skip
    srv = {
        "rrname": NAME, "rrtype": "SRV", "ttl": 1,
        "srv": {"priority": 1, "weight": 2, "port": 443, "name": "Host.example"},
    }  # fmt: skip
    log = answer(
        3, soa, srv, record(NAME, "AAAA", "2001:0db8:0000:0000:0000:0000:0000:0001"),
        record(NAME, "MX", "Mail.example"), record(NAME, "TXT", 'v="1"\\x'),
        {"rrname": NAME, "rrtype": "SSHFP", "ttl": 1, "sshfp": {"algo": 1}},
        record(NAME, "A", "not an address"), record("a..b", "A", "192.0.2.1"),
    )  # fmt: skip

    assert answers(read(READER, log)) == [
        (NAME, 6, "ns1.example h.example 32 900 600 86400 3600", 1),
        (NAME, 15, "mail.example", 1),
        (NAME, 16, '"v=\\"1\\"\\\\x"', 1),
        (NAME, 28, "2001:db8::1", 1),
        (NAME, 33, "1 2 443 host.example", 1),
    ]


def test_no_records_when_none_are_wanted() -> None:
    log = query(2) + answer(2, ADDRESS)
    batches = read(READER, log, answers="none")

    assert answers(batches) == []
    assert [r["rcode"] for r in rows(batches)] == [0]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_watched_address_in_an_answer_is_a_hit_of_its_query(version: int) -> None:
    name = "cdn.example"
    chain = (record(name, "CNAME", "host.example"), record("host.example", "A", "203.0.113.7"))
    log = query(version, name=name)
    log += answer_v1(*chain) if version == 1 else answer(version, *chain, name=name)
    log += query(version, name="x.example", at=1.0)
    log += answer(max(version, 2), record("x.example", "A", "192.0.2.1"), name="x.example", at=1.1)
    batches = read(READER, log, watchlist=BY_ADDRESS)

    assert [(r["name"], r["entry"], r["offset"], r["rcode"]) for r in rows(batches)] == [
        (name, 1, 0, 0)
    ]
    assert counts(batches) == [4, 0, 1 if version == 1 else 0, 0]


def test_a_name_and_an_address_hit_give_a_row_each() -> None:
    batches = read(READER, query(3) + answer(3, ADDRESS, ADDRESS), watchlist=BY_ADDRESS)

    assert [(r["name"], r["entry"]) for r in rows(batches)] == [(NAME, 0), (NAME, 1)]


FLOW = {
    "pkts_toserver": 5, "pkts_toclient": 4, "bytes_toserver": 461, "bytes_toclient": 509,
    "start": "2015-04-08T12:00:01.000000+0000", "end": "2015-04-08T12:05:01.000000+0000",
    "age": 300, "state": "closed", "reason": "shutdown", "alerted": False,
}  # fmt: skip
TCP = {"tcp_flags": "1b", "tcp_flags_ts": "1b", "tcp_flags_tc": "1b", "syn": True}


def flow(**fields: Any) -> bytes:
    base: dict[str, Any] = {
        "dest_ip": "203.0.113.7",
        "dest_port": 443,
        "proto": "TCP",
        "flow": FLOW,
        "tcp": TCP,
    }
    return event("flow", **(base | fields))


def test_a_flow_to_a_watched_address_is_an_observation_at_the_vantage_flow() -> None:
    batches = read(READER, query() + flow() + flow(dest_ip="192.0.2.9"), watchlist=BY_ADDRESS)

    assert rows(batches)[1 if rows(batches)[0]["name"] == NAME else 0] == {
        "time": datetime(2015, 4, 8, 12, 0, 1, tzinfo=UTC),
        "offset": len(query()),
        "response": False,
        "sensor": None,
        "vantage": "flow",
        "address": v4(CLIENT),
        "ecs": None,
        "client_port": 43250,
        "service_port": 443,
        "transport": "tcp",
        "name": "203.0.113.7",
        "case_bits": None,
        "qtype": None,
        "rcode": None,
        "entry": 1,
        "proof": "tcp",
        "weight": 1,
        "detail": '{"packets":5,"packets_back":4,"bytes":461,"bytes_back":509}',
        "limited": False,
    }
    by_vantage: dict[str, int] = {}
    for batch in batches:
        for counted in batch.counts.to_pylist():
            by_vantage[counted["vantage"]] = (
                by_vantage.get(counted["vantage"], 0) + counted["messages"]
            )
    assert by_vantage == {"resolver": 1, "flow": 2}


def test_names_are_not_matched_against_the_addresses_of_flows() -> None:
    assert rows(read(READER, flow())) == []


@pytest.mark.parametrize(
    ("change", "proof", "transport"),
    [
        ({}, "tcp", "tcp"),
        ({"tcp": TCP | {"tcp_flags_ts": "02", "tcp_flags_tc": "14"}}, "none", "tcp"),
        ({"tcp": TCP | {"tcp_flags_ts": "02", "tcp_flags_tc": "12"}}, "none", "tcp"),
        ({"tcp": None}, "none", "tcp"),
        ({"proto": "UDP", "tcp": None}, "none", "udp"),
        ({"proto": "ICMP", "tcp": None, "src_port": None, "dest_port": None}, "none", None),
    ],
)
def test_only_a_completed_handshake_proves_the_source_of_a_flow(
    change: dict[str, Any], proof: str, transport: str | None
) -> None:
    found = row(READER, flow(**change), watchlist=BY_ADDRESS)

    assert (found["proof"], found["transport"]) == (proof, transport)


def test_flows_over_ipv6() -> None:
    watchlist = Watchlist.compile([Rule("demo", "address", "2001:db8::/32")])
    log = flow(src_ip="2001:0db8:0000:0000:0000:0000:0000:0009", dest_ip="2001:db8:0::7", flow={})
    found = row(READER, log, watchlist=watchlist)

    assert (found["name"], found["detail"]) == ("2001:db8::7", None)
    # Without a start the event's own time is taken.
    assert found["time"] == datetime(2015, 4, 8, 12, 0, 0, 250000, UTC)


def test_flows_do_not_hide_that_the_queries_are_missing() -> None:
    batches = read(READER, answer(2) + flow(), watchlist=BY_ADDRESS)

    assert sum(batch.query_messages for batch in batches) == 0
    assert sorted(r["vantage"] for r in rows(batches)) == ["flow", "resolver"]


def test_the_vantage_of_dns_can_be_said() -> None:
    batches = read(READER, query() + flow(), watchlist=BY_ADDRESS, vantage="authority")

    assert sorted(r["vantage"] for r in rows(batches)) == ["authority", "flow"]


def test_a_last_line_without_line_feed_is_read_if_it_is_complete() -> None:
    for last in (query(at=1.0), flow(), event("http")):
        whole = read(READER, query() + last[:-1])
        cut = read(READER, query() + last[:-4])

        assert whole[-1].end == len(query() + last) - 1
        assert cut[-1].end == len(query())
        assert "not complete" in notes(cut)[0]


LINES = st.lists(
    st.one_of(
        st.sampled_from([1, 2, 3]).flatmap(
            lambda version: st.builds(
                query,
                st.just(version),
                at=st.integers(0, 40),
                name=st.sampled_from([NAME, "x.example"]),
            )
        ),
        st.builds(answer_v1, st.just(ADDRESS), st.just(CHAIN[0]), at=st.integers(0, 40)),
        st.builds(answer_v1, rcode=st.just("NXDOMAIN"), at=st.integers(0, 40)),
        st.builds(
            answer, st.sampled_from([2, 3]), st.just(ADDRESS), st.just(CHAIN[1]),
            at=st.integers(0, 40), name=st.sampled_from([NAME, "x.example"]),
        ),
        st.just(flow()),
        st.just(event("alert")),
        st.just(b"\n"),
        st.just(b"rubbish\n"),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(LINES, st.integers(1, 900), st.sampled_from([EVERYTHING, WATCHED, BY_ADDRESS]))
def test_any_chunk_size_gives_the_same(
    lines: list[bytes], chunk: int, watchlist: Watchlist
) -> None:
    data = b"".join(lines)
    whole = read(READER, data, watchlist=watchlist)
    parts = read(READER, data, watchlist=watchlist, chunk=chunk)

    def observations(batches: Any) -> list[Any]:
        # As ``collate`` has it: where there are queries, rows of responses are dropped.
        queries = sum(batch.query_messages for batch in batches)
        kept = [r for r in rows(batches) if not (queries and r["response"])]
        return sorted(kept, key=lambda r: (r["offset"], r["entry"]))

    assert observations(parts) == observations(whole)
    assert counts(parts) == counts(whole)
    assert hours(parts) == hours(whole)
    assert quarantine(parts) == quarantine(whole)
    assert {a[:3] for a in answers(parts)} == {a[:3] for a in answers(whole)}
    assert sum(batch.records for batch in whole) == sum(
        line.count(b"\n") for line in lines if line != b"\n"
    )


@settings(max_examples=150, deadline=None)
@given(
    st.data(),
    st.sampled_from(
        [query(1) + answer_v1(*CHAIN), query(3) + answer(3, *CHAIN), flow() + query(2) + answer(2)]
    ),
)
def test_mutated_logs_never_raise(data: st.DataObject, log: bytes) -> None:
    mutated = bytearray(log)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        mutated[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    batches = read(READER, bytes(mutated), watchlist=BY_ADDRESS)

    for found in rows(batches):
        assert found["name"]


@pytest.mark.parametrize(
    ("head", "is_eve"),
    [
        (query(), True),
        (event("stats", src_ip=None) * 3 + b"cut off {", True),
        (flow(), True),
        (b'{"timestamp":"2015-04-08T12:00:00.250000+0000","level":"info"}\n', False),
        (b'{"event_type":"dns"}\n', False),
        (b'{"ts":1428494400.25,"id.orig_h":"192.0.2.17","query":"x"}\n', False),
        (b"", False),
    ],
)
def test_sniff(head: bytes, is_eve: bool) -> None:
    assert READER.sniff(head) == is_eve
