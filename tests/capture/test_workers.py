"""However many threads read a source, they find the same."""

from __future__ import annotations

import io
import random
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import dns.message
import dns.rrset
import pytest

import dnstap_writer as writer
from remnant.capture import QUARANTINE_LIMIT, ReadOptions, parallel
from remnant.capture.dnstap import DnstapReader
from remnant.capture.stream import ByteStream
from remnant.watchlist import Rule, Watchlist

if TYPE_CHECKING:
    from collections.abc import Callable

    from remnant.capture import AnswersMode

Q, R, RR = writer.CLIENT_QUERY, writer.CLIENT_RESPONSE, writer.RESOLVER_RESPONSE
WATCHED = Watchlist.compile([Rule("demo", "below", "*.evil.test"), Rule("two", "below", "*.test")])
NOW = datetime(2026, 1, 1, tzinfo=UTC)
AT = writer.START_TIME
FOREIGN = writer.control(2, b"protobuf:other.Type")


@cache
def asked(name: str) -> bytes:
    return writer.query(name, ident=7)


@cache
def answered(name: str, address: str) -> bytes:
    made = dns.message.make_response(dns.message.from_wire(asked(name)))
    made.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "CNAME", "cdn.example."))
    made.answer.append(dns.rrset.from_text("cdn.example.", 60, "IN", "A", address))
    return made.to_wire()


def frames(count: int, seed: int = 1) -> list[bytes]:
    """Frames of a resolver with several threads of its own: out of order, with what is odd."""
    chance = random.Random(seed)
    out = [writer.frame(writer.message(Q, asked("www.example")))]
    for i in range(count):
        time = AT + i * 0.7 + chance.random()
        identity = chance.choice([b"ns1", b"ns2", None, b"edge-%d" % (i // 900)])
        name = chance.choice(["c2.evil.test", "www.example", "www.example", "x.y.test"])
        where: dict[str, Any] = {"identity": identity, "port": 1024 + i % 500}
        out.append(writer.message(Q, asked(name), time=time, **where))
        if i % 11:
            answer = answered(name, f"192.0.2.{i % 20}")
            out.append(writer.message(R, answer, time=time + 0.1, **where))
        if i % 9 == 0:
            out.append(
                writer.message(RR, answered(name, "192.0.2.77"), time=time, identity=identity)
            )
        if i % 31 == 0:
            out.append(writer.message(Q, asked(name), time=chance.choice([5.0, None]), **where))
        if i % 37 == 0:
            out.append(chance.choice([b"\x0b", writer.message(Q, asked(name)[:14]), b"\x0a"]))
    body = list(map(writer.frame, out[1:]))
    for i in range(0, len(body) - 4, 5):
        body[i], body[i + 3] = body[i + 3], body[i]
    return [out[0], *body]


def clean() -> bytes:
    return writer.START + b"".join(frames(9000)) + writer.STOP


def length_damaged() -> bytes:
    whole = frames(9000)
    for i in (len(whole) // 3, len(whole) // 2, len(whole) // 2 + 1):
        whole[i] = (len(whole[i]) + 20).to_bytes(4, "big") + whole[i][4:]
    return writer.START + b"".join(whole) + writer.STOP


def garbage_inside() -> bytes:
    whole = frames(9000)
    at = len(whole) // 2
    noise = random.Random(3).randbytes(70_000)
    return writer.START + b"".join([*whole[:at], noise, *whole[at:]])


def bytes_changed() -> bytes:
    data = bytearray(clean())
    chance = random.Random(5)
    for _ in range(60):
        data[chance.randrange(700_000, len(data))] = chance.randrange(256)
    return bytes(data)


def foreign_inside() -> bytes:
    whole = frames(12_000)
    third = len(whole) // 3
    parts = [b"".join(whole[i * third : (i + 1) * third]) for i in range(3)]
    return writer.START + parts[0] + FOREIGN + parts[1] + writer.START + parts[2] + writer.STOP


def cut_off() -> bytes:
    return clean()[:-40]


def many_hits() -> bytes:
    """More events, hours and records than one batch has room for."""
    few = [writer.frame(writer.message(Q, asked("x.y.test"), time=AT + i)) for i in range(50)]
    hours = [
        writer.frame(writer.message(Q, asked("x.y.test"), time=AT + 3600 * i, identity=b"h"))
        for i in range(5000)
    ]
    answers = [
        writer.frame(
            writer.message(R, answered("x.y.test", f"10.{i // 250}.{i % 250}.1"), time=AT + i)
        )
        for i in range(500)
    ]
    return writer.START + b"".join(few * 1500 + hours + answers * 70 + few) + writer.STOP


def much_that_is_malformed() -> bytes:
    bad = writer.frame(b"\x0b" + b"\x78" * 90)
    fault = writer.frame(writer.message(Q, asked("c2.evil.test"), time=5.0))
    return writer.START + (bad * 5 + fault) * (QUARANTINE_LIMIT // 4)


def ever_new_identities() -> bytes:
    return writer.START + b"".join(
        writer.frame(writer.message(Q, asked("c2.evil.test"), identity=b"s%d" % (i // 7)))
        for i in range(18_000)
    )


def read(data: bytes, threads: int, answers: AnswersMode, chunk: int = 8 << 20) -> dict[str, Any]:
    out: dict[str, Any] = {"records": 0, "queries": 0, "quarantine": [], "notes": []}
    rows: list[dict[str, Any]] = []
    counts: Counter[tuple[Any, ...]] = Counter()
    hours: dict[tuple[Any, ...], tuple[Any, Any]] = {}
    records: dict[tuple[Any, ...], list[Any]] = {}
    options = ReadOptions(now=NOW, answers=answers, threads=threads)
    with ByteStream(io.BytesIO(data), "test.dnstap", chunk=chunk) as stream:
        for batch in DnstapReader().read(stream, WATCHED, options):
            out["records"] += batch.records
            out["queries"] += batch.query_messages
            out["notes"] += batch.notes
            out["end"] = batch.end
            rows += batch.queries.to_pylist()
            out["quarantine"] += batch.quarantine.to_pylist()
            for row in batch.counts.to_pylist():
                key = (row["sensor"], row["vantage"], row["hour"])
                for column in ("messages", "malformed", "skipped", "clock_faults"):
                    counts[*key, column] += row[column]
                if row["first_time"] is not None:
                    first, last = hours.get(key, (row["first_time"], row["last_time"]))
                    hours[key] = min(first, row["first_time"]), max(last, row["last_time"])
            for row in [] if batch.answers is None else batch.answers.to_pylist():
                found = tuple(row[c] for c in ("rrname", "rrtype", "rdata", "sensor", "case"))
                seen = records.setdefault(found, [row["time_first"], row["time_last"], 0])
                seen[:] = [
                    min(seen[0], row["time_first"]),
                    max(seen[1], row["time_last"]),
                    seen[2] + row["count"],
                ]
        out["digest"] = stream.digest
    kept = [row for row in rows if not (row["response"] and out["queries"])]
    out["rows"] = sorted(kept, key=lambda row: (row["offset"], row["entry"]))
    out["counts"] = +counts
    out["hours"] = hours
    out["answers"] = records
    total = sum(v for k, v in counts.items() if k[3] in {"messages", "malformed", "skipped"})
    assert total == out["records"]
    return out


@cache
def alone(make: Callable[[], bytes], answers: AnswersMode) -> tuple[bytes, dict[str, Any]]:
    data = make()
    return data, read(data, 1, answers)


@pytest.fixture
def divided(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many parts each divided stretch had."""
    parts: list[int] = []
    divide = parallel.Parallel._divided

    def noted(team: Any, bounds: Any) -> Any:
        parts.append(len(bounds) - 1)
        return divide(team, bounds)

    monkeypatch.setattr(parallel.Parallel, "_divided", noted)
    return parts


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize(
    "make",
    [
        clean, length_damaged, garbage_inside, bytes_changed, foreign_inside, cut_off, many_hits,
        much_that_is_malformed, ever_new_identities,
    ],
)  # fmt: skip
def test_threads_change_nothing(
    make: Callable[[], bytes], threads: int, divided: list[int]
) -> None:
    data, expected = alone(make, "watched")
    found = read(data, threads, "watched")

    assert max(divided, default=0) == threads
    for key, value in expected.items():
        assert found[key] == value, key


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_no_record_of_all(threads: int, divided: list[int]) -> None:
    data, expected = alone(length_damaged, "all")
    assert read(data, threads, "all") == expected
    assert divided


def test_chunks_and_threads_together_change_nothing(divided: list[int]) -> None:
    data, expected = alone(bytes_changed, "watched")
    assert read(data, 3, "watched", chunk=600_000) == expected
    assert divided


def test_the_samples_hold_what_they_should() -> None:
    _, whole = alone(clean, "watched")
    assert len(whole["rows"]) > 4000
    assert len({row["sensor"] for row in whole["rows"]}) > 5
    assert {row["rcode"] for row in whole["rows"]} == {0, None}
    assert Counter(row["reason"] for row in whole["quarantine"])["clock_fault"] == 100
    assert sum(seen[2] for seen in whole["answers"].values()) > 4000
    _, damaged = alone(garbage_inside, "watched")
    assert "framing" in {row["reason"] for row in damaged["quarantine"]}
    _, foreign = alone(foreign_inside, "watched")
    assert sum(n for key, n in foreign["counts"].items() if key[3] == "skipped") > 4000
    _, hits = alone(many_hits, "watched")
    assert len(hits["rows"]) == 75_000 + 5000 + 50
    assert sum(seen[2] for seen in hits["answers"].values()) == 2 * 35_000
    assert len(hits["hours"]) > 5000
    _, bad = alone(much_that_is_malformed, "watched")
    assert len(bad["quarantine"]) == QUARANTINE_LIMIT
    _, new = alone(ever_new_identities, "watched")
    assert len({row["sensor"] for row in new["rows"]}) == 1025


def test_address_rules_use_one_thread(divided: list[int]) -> None:
    data, _ = alone(clean, "watched")
    watched = Watchlist.compile([Rule("demo", "address", "192.0.2.0/24")])
    with ByteStream(io.BytesIO(data), "x") as stream:
        list(DnstapReader().read(stream, watched, ReadOptions(now=NOW, threads=4)))
    assert divided == []
