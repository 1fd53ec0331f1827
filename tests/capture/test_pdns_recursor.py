from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.pdns_recursor import PdnsRecursorReader
from remnant.errors import FormatError
from textlogs import counts, notes, quarantine, read, row, rows, v4

READER = PdnsRecursorReader()
NOON = datetime(2015, 4, 8, 12, tzinfo=UTC)
STAMP = "2015-04-08T12:00:00Z r pdns_recursor[8]: "
SUBNET = b"\0" * 10 + b"\xff\xff" + bytes([203, 0, 113, 0, 120])


def line(text: str, stamp: str = STAMP) -> bytes:
    return (stamp + text + "\n").encode("latin-1")


def question(
    name: str = "evil.example",
    kind: str = "A",
    remote: str = "192.0.2.17:43250",
    task: str = "3 [7/1] ",
) -> str:
    return f"{task}question for '{name}|{kind}' from {remote}"


def answer(
    name: str = "evil.example", kind: str = "A", task: str = "3 [7/2] ", rcode: int = 3
) -> str:
    return (
        f"{task}answer to question '{name}|{kind}': 0 answers, 1 additional, took 1 packets, 0.248 "
        f"netw ms, 0.538 tot ms, 0 throttled, 0 timeouts, 0/0 tcp/dot connections, rcode={rcode}"
    )


def fields(message: str = "Question", second: float = 0.25, **changed: str | None) -> bytes:
    """Write a structured line, which has its fields in the order of their keys."""
    values: dict[str, str | None] = {
        "ecs": "",
        "mtid": "1",
        "proto": "udp",
        "qname": "evil.example",
        "qtype": "A",
        "remote": "192.0.2.17:34985",
        **changed,
    }
    rest = " ".join(f'{key}="{value}"' for key, value in values.items() if value is not None)
    head = f'msg="{message}" subsystem="syncres" level="0" prio="Info" tid="3"'
    return line(f'{head} ts="{1_428_494_400 + second:.3f}" {rest}', "Apr 08 12:00:00 ")


CACHED = "Question answered from packet cache"
GOOD = line(question())


def test_a_question_and_its_answer() -> None:
    batches = read(
        READER, line(question("Evil.example", "AAAA")) + line(answer("Evil.example", "AAAA"))
    )

    assert rows(batches) == [
        {
            "time": NOON,
            "offset": 0,
            "response": False,
            "sensor": None,
            "vantage": "resolver",
            "address": v4("192.0.2.17"),
            "ecs": None,
            "client_port": 43250,
            "service_port": None,
            "transport": "udp",
            "name": "evil.example",
            "case_bits": 1,
            "qtype": 28,
            "rcode": 3,
            "entry": 0,
            "proof": "dns_udp",
            "weight": 1,
            "detail": None,
            "limited": False,
        }
    ]
    assert counts(batches) == [2, 0, 0, 0]
    assert sum(batch.query_messages for batch in batches) == 1


@pytest.mark.parametrize(
    ("remote", "address", "port"),
    [
        ("192.0.2.17:43250", v4("192.0.2.17"), 43250),
        ("[2001:db8::17]:43250", ipaddress.ip_address("2001:db8::17").packed, 43250),
        ("192.0.2.17", v4("192.0.2.17"), None),
        ("2001:db8::17", ipaddress.ip_address("2001:db8::17").packed, None),
        ("198.51.100.7:53 (proxied by 192.0.2.53:999)", v4("198.51.100.7"), 53),
    ],
)
def test_who_asked(remote: str, address: bytes, port: int | None) -> None:
    classic = line("3 [7/1] TCP " + question(remote=remote, task="")) + line(answer(rcode=0))
    structured = fields(remote=remote, proto="tcp")
    structured += fields("Answer", rcode="0", remote=remote, proto="tcp")
    for data in (classic, structured):
        found = row(READER, data)

        assert (found["address"], found["client_port"]) == (address, port)
        assert (found["transport"], found["proof"], found["rcode"]) == ("tcp", "dns_tcp", 0)


def test_the_client_subnet() -> None:
    assert row(READER, line(question() + " (ecs 203.0.113.77/24)"))["ecs"] == SUBNET
    assert row(READER, fields(ecs="203.0.113.0/24"))["ecs"] == SUBNET


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ("Apr 08 12:00:00 ", NOON),
        ("Apr  8 12:00:00 r pdns_recursor[8]: ", NOON),
        ("<30>Apr  8 12:00:00 pdns_recursor[8]: ", NOON),
        ("2015-04-08T14:00:00.250+02:00 r pdns-recursor: ", NOON + timedelta(milliseconds=250)),
    ],
)
@pytest.mark.parametrize("task", ["3 [7/1] ", "[7/1] ", "3 [7/1] TCP ", ""])
def test_every_prefix(stamp: str, time: datetime, task: str) -> None:
    data = line(question(task=task), stamp)

    assert READER.sniff(data)
    assert row(READER, data, year=2015)["time"] == time


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (".", "."),
        (r"a\032b.example", r"a\032b.example"),
        (r"b\\s.example", r"b\\s.example"),
        ("q'uote.example", "q'uote.example"),
        ("pi|pe.example", "pi|pe.example"),
        ("':.example", "':.example"),
        ('q"d.example', 'q"d.example'),
    ],
)
def test_odd_names(written: str, name: str) -> None:
    structured = written.replace("\\", "\\\\").replace('"', '\\"')
    classic = row(READER, line(question(written)) + line(answer(written)))
    other = row(READER, fields(qname=structured) + fields("Answer", qname=structured, rcode="3"))

    assert (classic["name"], classic["rcode"]) == (name, 3)
    assert (other["name"], other["rcode"]) == (name, 3)


def test_answers_of_tasks_find_their_questions() -> None:
    data = line(question(remote="192.0.2.1:1", task="3 [7/1] "))
    data += line(question(remote="192.0.2.2:2", task="2 [7/1] "))
    data += line(question(remote="192.0.2.3:3", task="3 [8/2] "))
    data += line(answer(task="2 [7/9] ", rcode=2)) + line(answer(task="3 [8/9] ", rcode=0))
    data += line(answer(task="3 [7/9] ").replace("to question", "to non-rd question"))
    for chunk in (1, 1 << 20):
        found = {one["client_port"]: one["rcode"] for one in rows(read(READER, data, chunk=chunk))}

        assert found == {1: 3, 2: 2, 3: 0}


def test_an_answer_to_nobody_is_skipped() -> None:
    batches = read(READER, line(answer()) + GOOD + line(answer(task="")) + line(answer()) * 2)

    # The first is of a question before the log, the second of no task, the last comes twice.
    assert counts(batches) == [2, 0, 3, 0]
    assert [found["rcode"] for found in rows(batches)] == [3]


def test_an_answer_after_ten_seconds_is_nobodys() -> None:
    late = fields() + fields("Answer", 10.5, rcode="3")
    in_time = fields() + fields("Answer", 10.0, rcode="3")

    assert [found["rcode"] for found in rows(read(READER, late))] == [None]
    assert [found["rcode"] for found in rows(read(READER, in_time))] == [3]


def test_structured_answers_from_the_packet_cache_are_queries() -> None:
    data = fields(CACHED, remote="192.0.2.53:999", source="198.51.100.7:53", ecs=None)
    data += fields("TCP question answered from packet cache", proto="tcp", qtype="MX")
    first, second = rows(read(READER, data))

    assert READER.sniff(data)
    assert (first["address"], first["client_port"]) == (v4("198.51.100.7"), 53)
    assert (second["transport"], second["qtype"], second["rcode"]) == ("tcp", 15, None)


def test_classic_answers_from_the_packet_cache_have_no_name_and_are_told() -> None:
    lost = line("3 question answered from packet cache tag=0 from 127.0.0.1:60396")
    lost += line("3 TCP question answered from packet cache tag=0 from 127.0.0.1:60396")
    batches = read(READER, GOOD + lost)

    assert counts(batches) == [1, 0, 2, 0]
    assert any(note.startswith("2 queries") and "packet cache" in note for note in notes(batches))


def test_structured_lines_need_no_year_and_no_zone() -> None:
    batches = read(READER, fields(), timezone=ZoneInfo("Europe/Berlin"))

    assert rows(batches)[0]["time"] == NOON + timedelta(milliseconds=250)
    assert notes(batches) == []
    assert READER.first_day(fields()) is None
    assert READER.first_day(line(question(), "Apr 08 12:00:00 ")) == 31 + 29 + 31 + 7


@pytest.mark.parametrize(
    "text",
    [
        'msg="Failed to update . records" subsystem="housekeeping" ts="1428494400.250" rcode="2"',
        'msg="Listening for queries" subsystem="config" address="127.0.0.1:5301" proto="UDP"',
        "[1] evil.example: Trying IP 127.0.0.1:5300, asking 'evil.example|A'",
        "[1] evil.example: accept answer 'evil.example|A|192.0.2.11' from 'example' nameservers?",
        "stats: 100 questions, 50 cache entries",
        "3 [7/1] ",
        "question",
        "x",
    ],
)
def test_other_lines_are_skipped(text: str) -> None:
    assert counts(read(READER, GOOD + line(text) + GOOD)) == [2, 0, 1, 0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (line(question("a..b")), "name"),
        (line(question("")), "fields"),
        (line(question(kind="NEVER")), "fields"),
        (line("3 [7/1] question for 'evil.example|A"), "fields"),
        (line("3 [7/1] question for 'evil.example|A'"), "fields"),
        (line("3 [7/1] question for '"), "fields"),
        (line(question(remote="here")), "address"),
        (line(question(remote="192.0.2.17:65536")), "address"),
        (line(question(remote="[2001:db8::17:53")), "address"),
        (line(question() + " (ecs 203.0.113.0/33)"), "fields"),
        (line(question(), "2015-04-31T12:00:00Z "), "time"),
        (line(answer("a..b")), "name"),
        (line(answer(kind="NEVER")), "fields"),
        (line(answer()).replace(b"rcode=", b"code="), "fields"),
        (line(answer()).replace(b"rcode=3", b"rcode=x"), "number"),
        (line(answer(rcode=4096)), "number"),
        (line("3 [7/1] answer to question 'evil.example|A"), "fields"),
        (fields(qname="a..b"), "name"),
        (fields(qname=None), "fields"),
        (fields(qtype="NEVER"), "fields"),
        (fields(remote=None), "fields"),
        (fields(remote="here"), "address"),
        (fields(ecs="here"), "fields"),
        (fields("Answer", rcode="x"), "number"),
        (fields("Answer", rcode="4096"), "number"),
        (fields().replace(b"1428494400.250", b"noon"), "time"),
        (fields().replace(b'34985"', b"34985"), "fields"),
    ],
)
def test_lines_that_cannot_be_read_are_malformed(data: bytes, reason: str) -> None:
    batches = read(READER, GOOD + data)

    assert counts(batches) == [1, 1, 0, 0]
    ((offset, why, head),) = quarantine(batches)
    assert reason in why
    assert (offset, head) == (len(GOOD), data.rstrip(b"\n")[:64])


def test_times_without_a_year_need_one() -> None:
    data = line(question(), "Apr 08 12:00:00 ")

    with pytest.raises(FormatError, match=r"year(.|\n)*--year"):
        read(READER, data)
    assert counts(read(READER, GOOD + data)) == [2, 0, 0, 1]


@pytest.mark.parametrize("stamp", ["", "r pdns_recursor[8]: "])
def test_lines_without_time_are_clock_faults(stamp: str) -> None:
    batches = read(READER, line(question(), stamp) * 3)

    assert counts(batches) == [3, 0, 0, 3]
    assert any("log-timestamp" in note and note.startswith("3 ") for note in notes(batches))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_mutated_lines_never_raise(data: st.DataObject) -> None:
    text = bytearray(GOOD + line(answer()) + fields(ecs="192.0.2.0/24") + fields("Answer"))
    for _ in range(data.draw(st.integers(1, 6))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        batches = read(READER, bytes(text), chunk=data.draw(st.integers(1, 200)))
    except FormatError:
        return

    messages, _, _, faults = counts(batches)
    assert len(rows(batches)) <= messages - faults


@pytest.mark.parametrize(
    "data",
    [
        b"",
        line("question for nobody"),
        line(answer()),
        line('msg="Answer" subsystem="syncres" qname="evil.example"'),
        b'{"msg":"Question","qname":"evil.example"}\n',
    ],
)
def test_what_is_not_recognised(data: bytes) -> None:
    assert not READER.sniff(data)
