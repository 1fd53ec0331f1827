"""What a live source gains is added as ``ingest`` would have added it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import xxhash

from collate.made_up import OPTIONS, START, LineReader, facts, ingest, line, settings_in, total
from remnant.capture.stream import ByteStream
from remnant.collate.clients import Clients
from remnant.collate.live import Growth, add_growth
from remnant.collate.plan import source_id
from remnant.collate.pseudonym import SiteKey
from remnant.collate.sightings import Matcher, split_unlisted
from remnant.schema import QUARANTINE, QUERIES
from remnant.store import SourceRecord, Store
from remnant.watchlist import Rule, Watchlist
from segment_writer import packed

if TYPE_CHECKING:
    from pathlib import Path


WATCHED = Watchlist.compile([Rule("demo", "exact", "evil.example")])
DATA = [
    line(0, "192.0.2.1"),
    line(3600, "192.0.2.1") + b"not a line\n",
    line(90_000, "192.0.2.2", "elsewhere.example"),
    line(90_001, "192.0.2.2") + line(2, "192.0.2.1"),
]


def batches(data: bytes, start: int) -> list[Any]:
    """What the reader of the made-up format says of some bytes."""
    import io

    with ByteStream(io.BytesIO(data), "x") as stream:
        return list(LineReader().read(stream, WATCHED, OPTIONS))


def grow(store: Store, parts: list[bytes], case: str = "demo") -> list[SourceRecord]:
    records: list[SourceRecord] = []
    whole = b""
    key = SiteKey(store.site_key())
    for part in parts:
        growth = Growth(
            id="0123456789abcdef",
            case=case,
            path="live",
            format="lines",
            vantage="resolver",
            watchlist=WATCHED,
            before=records[-1] if records else None,
            replace=False,
            batches=batches(part, len(whole)),
            end=len(whole) + len(part),
            digest=xxhash.xxh3_128(whole + part).hexdigest(),
            head=(whole + part)[:4096],
        )
        whole += part
        with store.change() as change:
            records += add_growth(change, [growth], Clients(key, None), key)
            change.commit()
    return records


def test_parts_add_up_to_the_whole(tmp_path: Path) -> None:
    with Store.open(settings_in(tmp_path / "live"), write=True) as live:
        records = grow(live, DATA)
        by_parts = facts(live)
        assert total(live, "messages") == 5
        # The same bytes are known, as a source and as a copy that is shorter.
        assert ingest(live, b"".join(DATA), watchlist=WATCHED)[0].state == "known"
    with Store.open(settings_in(tmp_path / "whole"), write=True) as whole:
        ingest(whole, b"".join(DATA), watchlist=WATCHED)
        assert len(facts(whole)) == len(by_parts) > 0
        (record,) = whole.view("demo").sources

    last = records[-1]
    for name in ("digest", "bytes", "records", "messages", "matched", "malformed", "first", "last"):
        assert getattr(last, name) == getattr(record, name), name
    assert last.first == datetime.fromtimestamp(START, UTC)


def test_replaced_rows_go(tmp_path: Path) -> None:
    with Store.open(settings_in(tmp_path), write=True) as store:
        grow(store, DATA[:2])
        key = SiteKey(store.site_key())
        with store.change() as change:
            growth = Growth(
                "0123456789abcdef", "demo", "live", "lines", "resolver", WATCHED, None, True,
                batches(DATA[0], 0), len(DATA[0]), xxhash.xxh3_128(DATA[0]).hexdigest(), DATA[0],
            )  # fmt: skip
            (record,) = add_growth(change, [growth], Clients(key, None), key)
            change.commit()
        assert record.matched == 1
        assert len(facts(store)) == 1
        assert total(store, "messages") == 1
        assert store.view("demo").table(QUARANTINE).count().to_pyarrow().as_py() == 0


def test_a_source_has_another_id_in_each_case() -> None:
    ids = {source_id("a", "demo"), source_id("a", "other"), source_id("b", "demo")}

    assert len(ids) == 3
    assert all(len(each) == 16 for each in ids)
    assert source_id("a", "demo") == source_id("a", "demo")


def row(entry: int, offset: int) -> dict[str, Any]:
    return {
        "time": START * 1_000_000,
        "offset": offset,
        "response": False,
        "sensor": None,
        "vantage": "sinkhole_dns",
        "address": packed("192.0.2.1"),
        "name": "x.evil.example",
        "entry": entry,
        "proof": "dns_udp",
        "weight": 1,
        "limited": False,
    }


def test_a_rule_that_stands_in_never_wins_against_one_of_the_list() -> None:
    # The list knows the zone by a shorter name than the seized one.
    rules = [
        Rule("demo", "below", "*.example"),
        Rule("other", "exact", "y.evil.example"),
        Rule("demo", "zone", "unlisted:evil.example"),
        Rule("other", "zone", "unlisted:evil.example"),
    ]
    watched = Watchlist.compile(rules)
    assert watched.specificity.tolist() == [1001, 2003, 1002]
    queries = pa.RecordBatch.from_pylist(
        [row(entry, 5) for entry in (0, 2)] + [row(2, 6)], schema=QUERIES.arrow
    )
    key = SiteKey(b"k" * 16)
    found = Matcher(watched, Clients(key, None), key, None).rows(queries)

    assert found["demo"]["rule"].to_pylist() == [0, 2]
    assert found["other"]["rule"].to_pylist() == [3, 3]
    listed, others = split_unlisted(found["demo"], watched)
    assert (listed["rule"].to_pylist(), others["rule"].to_pylist()) == ([0], [2])
    plain = Watchlist.compile(rules[:2])
    assert plain.digest("demo") == watched.digest("demo")
    assert split_unlisted(found["demo"], plain)[1].num_rows == 0
