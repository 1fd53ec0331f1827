from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from remnant.capture import text_rows
from remnant.capture.lines import Block
from remnant.names import text_to_wire
from remnant.schema import QUERIES
from remnant.watchlist import Rule, Watchlist
from textlogs import EVERYTHING, NOW, v4

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.capture import Batch
    from remnant.capture.text_pairs import PairedBy

START = 1_428_494_400_000_000
Message = dict[str, Any]


def query(seconds: float = 0, **changed: Any) -> Message:
    usual: Message = {
        "response": 0,
        "time": START + round(seconds * 1e6),
        "address": "192.0.2.17",
        "client_port": 4000,
        "service_port": -1,
        "transport": -1,
        "name": "evil.example",
        "qtype": 1,
        "rcode": -1,
    }
    return usual | changed


def response(seconds: float = 0, **changed: Any) -> Message:
    return query(seconds, **({"response": 1, "rcode": 3} | changed))


def block_of(messages: Sequence[Message], first: int) -> tuple[Block, text_rows.Rows]:
    """Each message is a line of ten bytes."""
    size = len(messages)
    data = np.full(10 * size, 32, np.uint8)
    block = Block(data, 9 + 10 * np.arange(size), 10 * first, 10 * (first + size))
    rows = text_rows.room_for(block)
    rows.counters[text_rows.QUERIES_SEEN] = size
    for n, message in enumerate(messages):
        for column in ("response", "time", "client_port", "service_port", "transport", "qtype"):
            getattr(rows, column)[n] = message[column]
        rows.rcode[n] = message["rcode"]
        rows.line[n] = 10 * n
        rows.address[16 * n : 16 * n + 16] = np.frombuffer(v4(message["address"]), np.uint8)
        wire = bytearray(text_to_wire(message["name"].lower()))
        if message["name"] != message["name"].lower():
            wire = bytearray(bytes(wire).upper())
        start = rows.name_offsets[n]
        rows.names[start : start + len(wire)] = np.frombuffer(bytes(wire), np.uint8)
        rows.name_offsets[n + 1] = start + len(wire)
    return block, rows


def joined(
    *blocks: Sequence[Message],
    by: PairedBy = "port",
    watchlist: Watchlist = EVERYTHING,
    detail: text_rows.Detail | None = None,
) -> list[Batch]:
    tables = text_rows.Tables(watchlist, "resolver", NOW, paired_by=by)
    batches = []
    first = 0
    for messages in blocks:
        batches.append(tables.batch(*block_of(messages, first), detail=detail))
        first += len(messages)
    batches.append(tables.batch(*block_of([], first), final=True))
    for batch in batches:
        batch.queries.validate(full=True)
        assert batch.queries.schema.equals(QUERIES.arrow)
    return batches


def found(batches: Sequence[Batch]) -> list[dict[str, Any]]:
    rows = pa.Table.from_batches([batch.queries for batch in batches]).to_pylist()
    return sorted(rows, key=lambda row: (row["offset"], row["entry"]))


def test_a_response_gives_its_query_the_rcode_and_what_only_it_shows() -> None:
    batches = joined([query(), response(0.2, service_port=53, transport=1)])

    (row,) = found(batches)
    assert (row["rcode"], row["response"], row["offset"]) == (3, False, 0)
    assert (row["transport"], row["proof"], row["service_port"]) == ("tcp", "dns_tcp", 53)
    assert [batch.records for batch in batches] == [2, 0]
    assert [batch.query_messages for batch in batches] == [1, 0]


@pytest.mark.parametrize("seconds", [-1, 0, 10])
def test_a_response_may_come_in_a_later_block(seconds: float) -> None:
    rows = found(joined([query()], [query(5, name="other.example")], [response(seconds)]))

    assert [row["rcode"] for row in rows] == [3, None]


@pytest.mark.parametrize(
    "changed",
    [
        {"seconds": 10.1},
        {"seconds": -1.1},
        {"address": "192.0.2.18"},
        {"client_port": 4001},
        {"name": "evil.example.org"},
        {"qtype": 28},
        {"service_port": 54},
        {"transport": 1},
    ],
)
def test_a_response_to_another_query_is_not_taken(changed: dict[str, Any]) -> None:
    asked = query(transport=0)
    seconds = changed.pop("seconds", 0)
    rows = found(joined([asked, response(seconds, **changed)]))
    if "service_port" in changed:
        assert rows[0]["rcode"] == 3
    else:
        assert [row["rcode"] for row in rows] == [None]


def test_capitals_do_not_matter() -> None:
    (row,) = found(joined([query(name="EVIL.example"), response()]))

    assert (row["rcode"], row["name"]) == (3, "evil.example")
    assert row["case_bits"]


def test_without_ports_the_address_pairs() -> None:
    shown = [query(client_port=-1), response(client_port=77)]

    assert found(joined(shown, by="address"))[0]["rcode"] == 3
    assert found(joined(shown, by="address"))[0]["client_port"] == 77
    assert found(joined(shown, by="port"))[0]["rcode"] is None


def test_each_response_is_taken_once_in_order() -> None:
    rows = found(joined([query(), query(1), response(2), response(3, rcode=2), response(4)]))

    assert [row["rcode"] for row in rows] == [3, 2]


def test_responses_alone_are_the_observations() -> None:
    batches = joined([response(), response(1)], [response(2)])

    assert [(row["response"], row["rcode"]) for row in found(batches)] == [(True, 3)] * 3
    assert sum(batch.query_messages for batch in batches) == 0


def test_only_rows_that_hit_wait() -> None:
    watchlist = Watchlist.compile([Rule("demo", "exact", "evil.example")])
    pair = [query(), response()]
    other = [query(name="good.example"), response(name="good.example")]

    assert len(found(joined(other + pair, watchlist=watchlist))) == 1


def test_details_come_with_rows_that_waited_for_others() -> None:
    asked: list[list[int]] = []

    def detail(index: np.ndarray[Any, Any]) -> pa.Array[Any]:
        asked.append(index.tolist())
        return pa.array([None if i == 1 else f'{{"row":{i}}}' for i in index.tolist()])

    watchlist = Watchlist.compile(
        [Rule("demo", "below", "*.example"), Rule("demo", "exact", "evil.example")]
    )
    batches = joined(
        [query(), query(client_port=2), query(client_port=3), response()],
        [response(1, client_port=3)],
        watchlist=watchlist,
        detail=detail,
    )

    assert [row["detail"] for row in found(batches)] == ['{"row":0}'] * 2 + [None] * 2 + [
        '{"row":2}'
    ] * 2
    assert asked == [[0, 1, 2, 3], [0]]


def test_details_of_rows_that_do_not_wait() -> None:
    tables = text_rows.Tables(EVERYTHING, "resolver", NOW)
    batch = tables.batch(
        *block_of([query(), query(1)], 0),
        detail=lambda index: pa.array([f"{i}" for i in index.tolist()]),
    )

    assert batch.queries.column("detail").to_pylist() == ["0", "1"]


@pytest.mark.parametrize("seed", range(5))
def test_blocks_change_nothing(seed: int) -> None:
    chance = random.Random(seed)
    messages = []
    seconds = 0.0
    for turn in range(300):
        seconds += chance.choice([0, 0.01, 0.5, 2, 12])
        if turn == 150:
            # The clock is put back, as between two logs that were joined.
            seconds -= 500
        make = chance.choice([query, response])
        messages.append(
            make(
                seconds + chance.choice([0, -0.9, -30]),
                client_port=chance.randrange(2),
                name=chance.choice(["a.example", "B.example"]),
            )
        )
    messages.insert(0, query())
    whole = found(joined(messages))
    cuts = sorted(chance.sample(range(len(messages)), 20))
    parts = [messages[i:j] for i, j in itertools.pairwise([0, *cuts, len(messages)])]

    assert found(joined(*parts)) == whole
    assert found(joined(*([message] for message in messages))) == whole
    assert any(row["rcode"] == 3 for row in whole)
    assert any(row["rcode"] is None for row in whole)


def test_a_row_leaves_when_a_later_one_hits() -> None:
    tables = text_rows.Tables(EVERYTHING, "resolver", NOW, paired_by="port")
    first = tables.batch(*block_of([query()], 0))
    later = tables.batch(*block_of([query(11, name="x.example")], 1))

    assert (first.queries.num_rows, later.queries.num_rows) == (0, 1)


@pytest.mark.parametrize("gap", [61, 400])
def test_nothing_pairs_across_a_clock_that_was_set_back(gap: float) -> None:
    before, back, again = query(gap), query(client_port=2), response(gap + 1)

    assert [row["rcode"] for row in found(joined([before, back, again]))] == [None, None]
    assert [row["rcode"] for row in found(joined([before], [back], [again]))] == [None, None]
