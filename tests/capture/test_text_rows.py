from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest

from remnant.capture import text_rows
from remnant.capture.lines import Block
from remnant.capture.stream import ByteStream
from remnant.names import text_to_wire
from remnant.schema import ANSWER_ROWS
from textlogs import EVERYTHING, NOW

TIME = 1_428_494_400_000_000


def one_row(transport: int = -1) -> tuple[Block, text_rows.Rows]:
    block = Block(np.zeros(10, np.uint8), np.array([9]), 0, 10)
    rows = text_rows.room_for(block)
    wire = np.frombuffer(text_to_wire("a.example"), np.uint8).copy()
    rows.names[: wire.size] = wire
    rows.name_offsets[1] = wire.size
    rows.counters[text_rows.QUERIES_SEEN] = 1
    rows.line[0] = 0
    rows.time[0] = TIME
    rows.address[:] = 1
    rows.transport[0] = transport
    return block, rows


@pytest.mark.parametrize(
    ("transport", "word", "proof"),
    [
        (-1, None, "dns_udp"),
        (0, "udp", "dns_udp"),
        (1, "tcp", "dns_tcp"),
        (2, "dot", "dns_tcp"),
        (3, "doh", "dns_tcp"),
        (4, "dnscrypt_udp", "dns_udp"),
        (6, "doq", "dns_tcp"),
    ],
)
@pytest.mark.parametrize("paired", [True, False])
def test_the_transport_says_how_sure_the_address_is(
    transport: int, word: str | None, proof: str, paired: bool
) -> None:
    tables = text_rows.Tables(EVERYTHING, "resolver", NOW, paired_by="address" if paired else None)
    batch = tables.batch(*one_row(transport), final=True)
    (row,) = batch.queries.to_pylist()

    assert (row["transport"], row["proof"]) == (word, proof)


def test_records_of_answers_are_passed_on() -> None:
    tables = text_rows.Tables(EVERYTHING, "resolver", NOW)
    answers = pa.RecordBatch.from_pylist([], schema=ANSWER_ROWS.arrow)

    assert tables.batch(*one_row(), answers=answers).answers is answers
    assert tables.batch(*one_row()).answers is None


def test_what_is_left_comes_with_the_end_of_the_source() -> None:
    with ByteStream(io.BytesIO(b""), "test") as stream:
        tables = text_rows.Tables(EVERYTHING, "resolver", NOW, paired_by="address")
        assert list(tables.rest(stream)) == []
        assert tables.batch(*one_row()).queries.num_rows == 0
        (batch,) = tables.rest(stream)
        assert batch.queries.num_rows == 1
        assert list(tables.rest(stream)) == []
        tables.notes.append("something")
        assert [batch.notes for batch in tables.rest(stream)] == [("something",)]
