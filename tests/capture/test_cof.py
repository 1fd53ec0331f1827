from __future__ import annotations

import json
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture import ReadOptions
from remnant.capture.cof import CofReader, DnsdbReader
from remnant.capture.stream import ByteStream
from remnant.schema import ANSWER_ROWS
from remnant.watchlist import Rule, Watchlist
from textlogs import counts, hours, notes, quarantine, read, rows

COF = CofReader()
DNSDB = DnsdbReader()
FIRST = 1428494400
ROW: dict[str, Any] = {
    "rrname": "ns1.evil.example",
    "rrtype": "A",
    "rdata": ["192.0.2.1"],
    "time_first": FIRST,
    "time_last": FIRST + 100,
    "count": 7,
}


def js(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def cof(**changes: Any) -> bytes:
    fields = ROW | changes
    return js({key: value for key, value in fields.items() if value is not None})


def saf(*objects: dict[str, Any], end: str | None = "succeeded", **more: Any) -> bytes:
    """An answer of DNSDB."""
    data = js({"cond": "begin"}) + b"".join(js({"obj": one}) for one in objects)
    return data if end is None else data + js({"cond": end} | more)


def answers(batches: Any) -> list[dict[str, Any]]:
    found = []
    for batch in batches:
        if batch.answers is not None:
            assert batch.answers.schema.equals(ANSWER_ROWS.arrow)
            found += batch.answers.to_pylist()
    return sorted(found, key=lambda r: (r["rrname"], r["rrtype"], r["rdata"]))


def records(batches: Any) -> list[tuple[str, int, str]]:
    return [(r["rrname"], r["rrtype"], r["rdata"]) for r in answers(batches)]


@pytest.mark.parametrize(("reader", "data"), [(COF, cof()), (DNSDB, saf(ROW))])
def test_a_row_is_a_record_that_was_seen_in_a_span_of_time(reader: Any, data: bytes) -> None:
    batches = read(reader, data)

    assert answers(batches) == [
        {
            "rrname": "ns1.evil.example",
            "rrtype": 1,
            "rdata": "192.0.2.1",
            "time_first": datetime(2015, 4, 8, 12, 0, 0, tzinfo=UTC),
            "time_last": datetime(2015, 4, 8, 12, 1, 40, tzinfo=UTC),
            "count": 7,
            "sensor": None,
            "case": 0,
            "ttl_low": None,
            "ttl_high": None,
        }
    ]


@pytest.mark.parametrize(("reader", "data"), [(COF, cof()), (DNSDB, saf(ROW))])
def test_a_row_is_no_observation_and_covers_no_hour(reader: Any, data: bytes) -> None:
    batches = read(reader, data)

    assert rows(batches) == []
    assert sum(batch.query_messages for batch in batches) == 0
    assert hours(batches) == {None: [1, None, None]}
    assert {r["vantage"] for b in batches for r in b.counts.to_pylist()} == {"report"}


def test_each_member_of_a_set_is_a_record() -> None:
    data = cof(rdata=["192.0.2.2", "192.0.2.1"]) + cof(rrtype="CNAME", rdata="Host.Example.")

    assert records(read(COF, data)) == [
        ("ns1.evil.example", 1, "192.0.2.1"),
        ("ns1.evil.example", 1, "192.0.2.2"),
        ("ns1.evil.example", 5, "host.example"),
    ]


def test_dots_and_case_are_one() -> None:
    data = cof(rrname="Ns1.EVIL.example.", rdata="192.0.2.1") + cof(time_last=FIRST + 200)

    (found,) = answers(read(COF, data))
    assert (found["rrname"], found["count"]) == ("ns1.evil.example", 14)
    assert found["time_last"] == datetime(2015, 4, 8, 12, 3, 20, tzinfo=UTC)


@pytest.mark.parametrize("rrtype", ["TYPE65280", 65280])
def test_unknown_types_have_a_number(rrtype: Any) -> None:
    assert records(read(COF, cof(rrtype=rrtype, rdata=r"\# 1 00"))) == [
        ("ns1.evil.example", 65280, r"\# 1 00")
    ]


@pytest.mark.parametrize(
    ("change", "first", "last"),
    [
        ({"time_first": None, "time_last": None, "zone_time_first": FIRST,
          "zone_time_last": FIRST + 1}, 0, 1),
        ({"zone_time_first": 1, "zone_time_last": 2}, 0, 100),
        ({"time_first_ms": FIRST * 1000 + 500, "time_last_ms": (FIRST + 100) * 1000 + 250},
         0.5, 100.25),
        ({"time_first": "2015-04-08T12:00:00Z", "time_last": "2015-04-08T12:00:09Z"}, 0, 9),
        ({"time_first": FIRST + 0.5}, 0.5, 100),
    ],
)  # fmt: skip
def test_times(change: dict[str, Any], first: float, last: float) -> None:
    (found,) = answers(read(COF, cof(**change)))

    assert found["time_first"].timestamp() == FIRST + first
    assert found["time_last"].timestamp() == FIRST + last


def test_sensors_are_kept_apart() -> None:
    data = cof(sensor_id="b") + cof(sensor_id="a\u001b[0m") + cof(sensor_id="b") + cof()
    found = answers(read(COF, data))

    assert sorted((str(r["sensor"]), r["count"]) for r in found) == [
        ("None", 7), ("a?[0m", 7), ("b", 14),
    ]  # fmt: skip


def test_sensors_beyond_a_number_are_told_of() -> None:
    data = b"".join(cof(sensor_id=f"sensor {i}") for i in range(300))
    batches = read(COF, data, chunk=5000)

    assert len(answers(batches)) >= 256
    assert sum(r["count"] for r in answers(batches)) == 300 * 7
    assert "45 rows are of a sensor beyond the first 255" in notes(batches)[0]


def test_unknown_fields_pass_and_a_count_may_be_absent_or_large() -> None:
    data = cof(count=None, origin="https://pdns.example/", x={"y": [1, {"rrname": "no"}]})
    data += cof(rrname="big.example", count=42_100_000_000_000)

    assert [r["count"] for r in answers(read(COF, data))] == [42_100_000_000_000, 1]


def test_only_watched_records_are_kept_unless_all_are_wanted() -> None:
    watchlist = Watchlist.compile(
        [Rule("demo", "below", "*.evil.example"), Rule("demo", "address", "203.0.113.0/24")]
    )
    data = cof() + cof(rrname="x.example", rdata=["203.0.113.9", "192.0.2.9"])
    watched = read(COF, data, watchlist=watchlist)

    assert records(watched) == [
        ("ns1.evil.example", 1, "192.0.2.1"), ("x.example", 1, "203.0.113.9"),
    ]  # fmt: skip
    assert len(records(read(COF, data, watchlist=watchlist, answers="all"))) == 3
    assert records(read(COF, data, watchlist=watchlist, answers="none")) == []
    assert counts(watched) == [2, 0, 0, 0]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (cof(rrname=None), "name"),
        (cof(rrname="a..b"), "name"),
        (cof(rrname=5), "name"),
        (cof(rrtype=None), "fields"),
        (cof(rrtype="NEVER"), "fields"),
        (cof(rrtype=65536), "fields"),
        (cof(rdata=None), "fields"),
        (cof(rdata="192.0.2"), "record data"),
        (cof(rdata=[]), "record data"),
        (cof(rdata=[1, {"x": 2}]), "record data"),
        (cof(rdata={}), "record data"),
        (cof(rrtype="AAAA"), "record data"),
        (cof(time_first=None), "time"),
        (cof(time_last=None), "time"),
        (cof(time_first="soon"), "time"),
        (cof(time_first=[FIRST]), "time"),
        (cof(time_last=FIRST - 1), "time"),
        (cof(count=-1), "number"),
        (cof(count="7"), "number"),
        (cof()[:-3] + b"\n", "JSON"),
    ],
)
def test_what_cannot_be_read_is_malformed_with_its_reason(bad: bytes, reason: str) -> None:
    batches = read(COF, cof() + bad + cof())

    assert counts(batches) == [2, 1, 0, 0]
    ((offset, why, head),) = quarantine(batches)
    assert reason in why
    assert (offset, head) == (len(cof()), bad.rstrip(b"\n")[:64])


def test_of_a_set_what_can_be_read_is_kept() -> None:
    batches = read(COF, cof(rdata=["x", "192.0.2.9", None, "\u00e9"]))

    assert records(batches) == [("ns1.evil.example", 1, "192.0.2.9")]
    assert counts(batches) == [1, 0, 0, 0]


def test_times_out_of_range_are_clock_faults_and_no_records() -> None:
    data = cof(time_first=5) + cof(time_last=4_000_000_000) + cof()
    batches = read(COF, data)

    assert counts(batches) == [3, 0, 0, 2]
    assert [r["count"] for r in answers(batches)] == [7]


def test_an_answer_of_dnsdb_that_is_complete_says_nothing_more() -> None:
    batches = read(DNSDB, saf(ROW, ROW) + saf())

    assert notes(batches) == []
    # The lines that only say how the answer stands are skipped.
    assert counts(batches) == [2, 0, 4, 0]


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (saf(ROW, end=None), "1 DNSDB answers do not say that they are complete"),
        (saf(ROW, end=None) + saf(ROW), "1 DNSDB answers do not say that they are complete"),
        (js({"obj": ROW}), "1 DNSDB answers do not say that they are complete"),
        (saf(ROW, end="limited", msg="x"), "1 DNSDB answers ended at their limit"),
        (saf(ROW, end="failed", msg="no\u001bse"), "1 DNSDB answers failed on the server (no?se)"),
    ],
)
def test_an_answer_of_dnsdb_that_is_not_complete_is_told_of(data: bytes, note: str) -> None:
    for chunk in (1 << 20, 1):
        batches = read(DNSDB, data, chunk=chunk)

        assert len(notes(batches)) == 1
        assert notes(batches)[0].startswith(note)
        assert answers(batches)


def test_an_answer_of_dnsdb_may_go_on_in_words() -> None:
    data = js({"cond": "begin"}) + js({"cond": "ongoing", "obj": ROW}) + js({"cond": "ongoing"})
    batches = read(DNSDB, data + js({"cond": "succeeded", "msg": None}))

    assert notes(batches) == []
    assert counts(batches) == [1, 0, 3, 0]


@pytest.mark.parametrize("bad", [js({"msg": "x"}), js({"cond": "maybe"}), js({"obj": 5}), b"[]\n"])
def test_a_line_outside_the_envelope_is_malformed(bad: bytes) -> None:
    assert counts(read(DNSDB, saf(ROW) + bad)) == [1, 1, 2, 0]


def test_a_last_line_without_line_feed_is_read_if_it_is_complete() -> None:
    for reader, data, last in ((COF, cof(), cof()), (DNSDB, saf(ROW, end=None), saf()[17:])):
        whole = read(reader, data + last[:-1])
        cut = read(reader, data + last[:-3])

        assert whole[-1].end == len(data + last) - 1
        assert cut[-1].end == len(data)
        assert any("not complete:" in note for note in notes(cut))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.builds(cof, rdata=st.lists(st.sampled_from(["192.0.2.1", "x", "192.0.2.2"]))),
            st.builds(cof, sensor_id=st.sampled_from(["a", "b", ""])),
            st.just(saf(ROW)),
            st.just(b"\n"),
            st.just(b"rubbish\n"),
        ),
        max_size=8,
    ),
    st.integers(1, 400),
    st.sampled_from([COF, DNSDB]),
)
def test_any_chunk_size_gives_the_same(lines: list[bytes], chunk: int, reader: Any) -> None:
    data = b"".join(lines)
    whole = read(reader, data)
    parts = read(reader, data, chunk=chunk)

    def sums(batches: Any) -> dict[Any, int]:
        found: dict[Any, int] = {}
        for r in answers(batches):
            key = (r["rrname"], r["rrtype"], r["rdata"], r["sensor"])
            found[key] = found.get(key, 0) + r["count"]
        return found

    assert sums(parts) == sums(whole)
    assert counts(parts) == counts(whole)
    assert quarantine(parts) == quarantine(whole)
    assert notes(parts) == notes(whole)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from([(COF, cof(sensor_id="x") * 2), (DNSDB, saf(ROW, ROW))]))
def test_mutated_files_never_raise(data: st.DataObject, given_: tuple[Any, bytes]) -> None:
    reader, good = given_
    mutated = bytearray(good)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        mutated[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))

    for found in answers(read(reader, bytes(mutated))):
        assert found["rrname"]
        assert found["rdata"]


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (cof(), "cof"),
        (cof(time_first=None, zone_time_first=1), "cof"),
        (cof() * 9 + b'{"cut', "cof"),
        (saf(ROW), "dnsdb"),
        (js({"obj": ROW}), "dnsdb"),
        (js({"cond": "begin"}), "dnsdb"),
        (js({"cond": "other"}), None),
        (js({"rrname": "x", "rrtype": "A"}), None),
        (js({"dns": ROW}), None),
        (js({"obj": {"x": 1}}), None),
        (b"[1]\n", None),
        (b'{"rrname":\n', None),
        (b"", None),
    ],
)
def test_sniff(head: bytes, name: str | None) -> None:
    assert [r.name for r in (COF, DNSDB) if r.sniff(head)] == ([name] if name else [])


def test_the_records_of_a_block_stay_when_the_next_is_read() -> None:
    """Columns are used again for the next block; what was yielded must not change by that."""
    lines = [
        b'{"rrname":"h%06d.example","rrtype":"TXT","rdata":["\\"v%06d%s\\""],'
        b'"time_first":1428451200,"time_last":1428451200}' % (n, n, b"x" * 900)
        for n in range(40_000)
    ]
    with ByteStream(BytesIO(b"\n".join(lines) + b"\n"), "long") as stream:
        options = ReadOptions(now=datetime(2026, 1, 1, tzinfo=UTC), answers="all")
        read = list(CofReader().read(stream, Watchlist.compile([]), options))
    assert len(read) > 2
    for batch in read:
        assert batch.answers is not None
        names: list[Any] = batch.answers["rrname"].to_pylist()
        data: list[Any] = batch.answers["rdata"].to_pylist()
        assert [name[1:7] for name in names] == [text[2:8] for text in data]
