"""What is exported is read back as it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collate.made_up import settings_in
from infrastructure.test_passive_dns import RECORDS, A, put
from remnant.capture import ReadOptions
from remnant.capture.cof import CofReader
from remnant.capture.stream import ByteStream
from remnant.collate.ingest import ingest_source
from remnant.errors import RemnantError
from remnant.infrastructure.passive_dns import UNASSIGNED, Fence, Question, records
from remnant.infrastructure.passive_dns_export import cof_lines, write_cof
from remnant.schema import ANSWERS
from remnant.store import Store
from remnant.watchlist import Watchlist
from store.test_answer_keys import NAMES

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2015, 4, 8, tzinfo=UTC)
DATA = {
    1: st.ip_addresses(v=4).map(str),
    # Python writes a mapped IPv4 address in another way than the store does.
    28: st.ip_addresses(v=6).map(str).filter(lambda text: not text.startswith("::ffff:")),
    2: NAMES,
    16: st.text(st.characters(min_codepoint=35, max_codepoint=126, exclude_characters="\\"),
                min_size=1, max_size=9).map(lambda text: f'"{text}"'),
}  # fmt: skip
ROWS = st.sampled_from(sorted(DATA)).flatmap(
    lambda kind: st.fixed_dictionaries(
        {
            "rrname": NAMES,
            "rrtype": st.just(kind),
            "rdata": DATA[kind],
            "time_first": st.integers(0, 10**13).map(lambda us: START + timedelta(microseconds=us)),
            "lasted": st.integers(0, 10**12),
            "count": st.integers(1, 10**14),
            "sensor": st.sampled_from(["default", "s1", 'Küche "2"', "\\x"]),
            "ttl": st.one_of(st.none(), st.tuples(st.integers(0, 999), st.integers(0, 999))),
        }
    )
)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    made = []
    for row in rows:
        low, high = sorted(row["ttl"]) if row["ttl"] else (None, None)
        last = row["time_first"] + timedelta(microseconds=row["lasted"])
        kept = {key: row[key] for key in row if key not in {"lasted", "ttl"}}
        made.append(kept | {"time_last": last, "ttl_low": low, "ttl_high": high, "source": "one"})
    return pa.Table.from_pylist(made, schema=ANSWERS.arrow)


def said(store: Store, **more: Any) -> list[dict[str, Any]]:
    found = [row for piece in records(store, None, **more) for row in piece.to_pylist()]
    return sorted(found, key=repr)


def read_back(store: Store, data: bytes) -> None:
    with ByteStream(BytesIO(data), "export") as stream:
        options = ReadOptions(now=datetime(2026, 1, 1, tzinfo=UTC), answers="all")
        (result,) = ingest_source(
            stream, CofReader(), store, Watchlist.compile([]), options, cases=(UNASSIGNED,)
        )
    assert result.malformed == 0


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=st.lists(ROWS, min_size=1, max_size=12))
def test_an_export_read_back_is_an_equal_store(
    rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings_one = settings_in(tmp_path_factory.mktemp("one"))
    with Store.open(settings_one, write=True) as store:
        put(store, RECORDS[:1])
        with store.ledger.reading() as connection:
            (source,) = store.ledger.sources(connection, None)
        with store.change() as change:
            data = table(rows)
            at = data.schema.get_field_index("source")
            words: Any = pa.repeat(pa.scalar(source.id), len(data)).dictionary_encode()
            change.write(
                ANSWERS, UNASSIGNED, None, data.set_column(at, "source", words), [source.id]
            )
            change.commit()
        before = said(store)
        lines = b"".join(cof_lines(records(store, None)))
    assert len(lines.splitlines()) == len(before)
    for line in lines.splitlines():
        assert json.loads(line).keys() >= {"rrname", "rrtype", "rdata", "time_first", "time_last"}
    with Store.open(settings_in(tmp_path_factory.mktemp("two")), write=True) as other:
        read_back(other, lines)
        assert said(other) == before


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Any:
    settings = settings_in(tmp_path_factory.mktemp("full"))
    with Store.open(settings, write=True) as store:
        put(store, RECORDS, cases=("one",))
        put(store, [(0, "made-up.test", A, "192.0.2.9", "s1")], cases=("two",), simulated=True)
    with Store.open(settings) as store:
        yield store


def names(store: Store, what: str | None, **more: Any) -> set[str]:
    question = None if what is None else Question.parse(what)
    lines = b"".join(cof_lines(records(store, question, **more))).splitlines()
    return {json.loads(line)["rrname"] for line in lines}


def test_a_part_is_exported(full: Store) -> None:
    assert names(full, "*.evil.test") == {"evil.test", "www.evil.test", r"a\\.evil.test"}
    assert "mapped.test" in names(full, "192.0.2.1")
    assert "made-up.test" not in names(full, None, simulated=False)
    assert names(full, None, cases=["two"]) == {"made-up.test"}
    assert names(full, None, types=[16]) == {"text.test"}
    fence = Fence(START + timedelta(seconds=60), START + timedelta(seconds=66), inside=True)
    assert names(full, None, fence=fence) == {r"a\\.evil.test"}


def test_a_file_is_written_whole_or_not_at_all(full: Store, tmp_path: Path) -> None:
    target = tmp_path / "all.jsonl"
    count = write_cof(records(full, None), str(target))
    assert count == len(target.read_bytes().splitlines()) > 10

    def broken() -> Any:
        yield from records(full, None)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - the one that was raised
        write_cof(broken(), str(target))
    assert len(target.read_bytes().splitlines()) == count
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(RemnantError, match="cannot be written"):
        write_cof(records(full, None), str(tmp_path / "no" / "folder"))
