"""What every registered reader keeps to, whatever its format."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture import QUARANTINE_LIMIT
from remnant.capture.readers import FORMATS, READERS, recognise
from remnant.errors import FormatError
from remnant.schema import VANTAGES
from remnant.watchlist import Watchlist
from samples import BAD_LINES, POLICIES, SAMPLES, Sample
from textlogs import counts, notes, quarantine, read, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.capture import Batch

EACH = pytest.mark.parametrize("name", READERS)
EACH_SAMPLE = pytest.mark.parametrize("sample", SAMPLES, ids=[s.file for s in SAMPLES])


def ordered(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda row: (row["offset"], row["entry"]))


def records(batches: Sequence[Batch]) -> dict[tuple[str, int, str, int | None], list[Any]]:
    """Count, first and last time of each kept record, over all batches."""
    found: dict[tuple[str, int, str, int | None], list[Any]] = {}
    for batch in batches:
        for row in [] if batch.answers is None else batch.answers.to_pylist():
            key = (row["rrname"], row["rrtype"], row["rdata"], row["case"])
            seen = found.setdefault(key, [0, row["time_first"], row["time_last"]])
            seen[0] += row["count"]
            seen[1] = min(seen[1], row["time_first"])
            seen[2] = max(seen[2], row["time_last"])
    return found


@pytest.mark.parametrize("known", FORMATS, ids=[known.name for known in FORMATS])
def test_a_format_says_what_its_reader_says(known: Any) -> None:
    reader = known.reader

    assert reader.name == known.name == known.name.lower()
    assert (reader.vantage, reader.hits_only) == (known.vantage, known.hits_only)
    assert reader.vantage in VANTAGES
    assert known.title
    assert known.gives


def test_every_format_has_a_sample() -> None:
    assert {sample.reader for sample in SAMPLES} == set(READERS)


@EACH
def test_nothing_is_in_nothing(name: str) -> None:
    batches = read(READERS[name], b"")

    assert rows(batches) == []
    assert counts(batches) == [0, 0, 0, 0]
    assert not READERS[name].sniff(b"")


@EACH_SAMPLE
def test_only_one_reader_claims_a_format(sample: Sample) -> None:
    claims = [reader.name for reader in READERS.values() if reader.sniff(sample.data)]

    assert claims == [sample.reader]
    found = recognise(sample.data)
    assert found is not None
    assert found.name == sample.reader


@pytest.mark.parametrize(("name", "queries", "hits"), POLICIES)
def test_no_line_is_counted_by_two_readers(name: str, queries: bytes, hits: bytes) -> None:
    both = queries + hits
    found = recognise(both)
    assert found is not None
    assert found.name == name
    alone = read(READERS[name], queries)
    mixed = read(READERS[name], both)
    assert len(rows(mixed)) == len(rows(alone))
    assert counts(mixed)[:2] == counts(alone)[:2]

    of_hits = read(READERS[f"{name}-rpz"], hits)
    of_both = read(READERS[f"{name}-rpz"], both)
    assert len(rows(of_both)) == len(rows(of_hits)) > 0
    assert counts(of_both)[:2] == counts(of_hits)[:2]
    assert any("input-format" in note for note in notes(of_both))


@EACH
def test_no_reader_claims_what_is_no_traffic(name: str) -> None:
    chance = random.Random(7)
    samples = [
        chance.randbytes(4096),
        bytes(4096),
        b"\xff" * 4096,
        b"lorem ipsum dolor sit amet\n" * 200,
        b'{"a":1}\n' * 200,
        b'{"timestamp":"2015-04-08T12:00:00Z","kind":"boot"}\n' * 200,
        b"a,b,c\n1,2,3\n" * 200,
        b"timestamp,ip,port\n1,2,3\n" * 200,
        b"Apr  8 12:00:00 host kernel: query of a device\n" * 200,
        b"<html><body>query: client dns</body></html>",
        b"\x7fELF" + chance.randbytes(1000),
        bytes([0x83]) + b"gC-XXX" + chance.randbytes(1000),
    ]

    assert [index for index, sample in enumerate(samples) if READERS[name].sniff(sample)] == []


@EACH_SAMPLE
def test_one_byte_at_a_time_gives_the_same(sample: Sample) -> None:
    reader = READERS[sample.reader]
    whole = read(reader, sample.data, answers="all")
    parts = read(reader, sample.data, answers="all", chunk=1)

    # A query that waits for its response may come after later ones.
    assert ordered(rows(parts)) == ordered(rows(whole))
    assert records(parts) == records(whole)
    assert rows(whole) or records(whole) or sample.reader in {"zeek-conn", "nfdump"}
    assert counts(parts) == counts(whole)
    assert quarantine(parts) == quarantine(whole)
    assert parts[-1].end == whole[-1].end == len(sample.data)


@EACH_SAMPLE
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(sample: Sample, threads: int) -> None:
    reader = READERS[sample.reader]
    data = sample.data
    if sample.text:
        data = data[: data.rindex(b"\n") + 1]
    one = read(reader, data, chunk=200)
    several = read(reader, data, chunk=200, threads=threads)

    assert ordered(rows(several)) == ordered(rows(one))
    assert counts(several) == counts(one)
    assert quarantine(several) == quarantine(one)


@EACH_SAMPLE
def test_nothing_is_matched_by_an_empty_watchlist(sample: Sample) -> None:
    reader = READERS[sample.reader]
    batches = read(reader, sample.data, watchlist=Watchlist.compile([]))

    assert rows(batches) == []
    assert records(batches) == {}
    assert counts(batches) == counts(read(reader, sample.data))


@EACH_SAMPLE
def test_no_records_are_kept_where_none_are_wanted(sample: Sample) -> None:
    reader = READERS[sample.reader]
    batches = read(reader, sample.data, answers="none")

    assert records(batches) == {}
    assert ordered(rows(batches)) == ordered(rows(read(reader, sample.data)))


@EACH
@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=300), chunk=st.integers(1, 100))
def test_garbage_is_counted_and_never_raises(name: str, data: bytes, chunk: int) -> None:
    # Whatever is at fault is said before anything is read, or counted.
    try:
        whole = read(READERS[name], data)
    except FormatError:
        return
    parts = read(READERS[name], data, chunk=chunk)

    assert counts(parts) == counts(whole)
    assert [bad[0] for bad in quarantine(parts)] == [bad[0] for bad in quarantine(whole)]


@pytest.mark.parametrize("name", BAD_LINES)
def test_quarantine_is_bounded_and_the_count_is_not(name: str) -> None:
    sample = next(sample for sample in SAMPLES if sample.reader == name)
    # What nfdump writes after its flows ends them.
    data = sample.data.partition(b"Summary")[0] + BAD_LINES[name] * (QUARANTINE_LIMIT + 500)
    batches = read(READERS[name], data, chunk=50_000)

    assert len(quarantine(batches)) == QUARANTINE_LIMIT
    assert counts(batches)[1] >= QUARANTINE_LIMIT + 500
