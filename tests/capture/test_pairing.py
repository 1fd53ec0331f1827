"""Queries and responses are joined as a plain search joins them, in whatever pieces they come."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.events import Events, allocate, take
from remnant.capture.pairing import BACK_US, WAIT_US, Pairing, advance_clock
from remnant.names import text_to_wire

if TYPE_CHECKING:
    from collections.abc import Sequence

SECOND = 1_000_000
BASE = 1_428_451_200 * SECOND


@dataclass(frozen=True)
class Message:
    """One event; ``exchange`` is what all parts of the key follow from."""

    response: bool
    heard: int
    exchange: int = 0
    rcode: int = 0


def events(messages: Sequence[Message], *, same_hash: bool = False) -> Events:
    """Return the events of some messages, with offsets 0, 1, 2..."""
    out = allocate(len(messages))
    for row, message in enumerate(messages):
        out.filled[0] = row + 1
        out.response[row] = message.response
        out.time[row] = out.heard[row] = BASE + message.heard
        out.offset[row] = row
        # Eight exchanges, each differing from the first in one thing alone.
        what = message.exchange
        out.ident[row] = 1 if what == 1 else 0
        out.qtype[row] = 28 if what == 2 else 1
        out.client_port[row] = 1 if what == 3 else 0
        out.transport[row] = 1 if what == 4 else 0
        out.vantage[row] = 1 if what == 5 else 0
        out.address[row, 15] = 1 if what == 6 else 0
        name = text_to_wire("b.test" if what == 7 else "a.test")
        at = out.name_offsets[row]
        out.names[at : at + len(name)] = np.frombuffer(name, np.uint8)
        out.name_offsets[row + 1] = at + len(name)
        out.key[row] = 5 if same_hash else what * 0x9E3779B97F4A7C15 % 2**64
        out.rcode[row] = message.rcode if message.response else -1
        out.entry_offsets[row + 1] = row + 1
    return out


def paired(
    messages: Sequence[Message],
    cuts: Sequence[int] = (),
    *,
    responses: bool = False,
    same_hash: bool = False,
    limit: int = 1_000_000,
) -> list[tuple[int, bool, int | None]]:
    """Return (place, response, rcode) of the rows, the messages given in pieces."""
    pairing = Pairing(limit=limit)
    whole = events(messages, same_hash=same_hash)
    bounds = [0, *sorted(cuts), len(messages)]
    rows: list[dict[str, Any]] = []
    for i in range(len(bounds) - 1):
        final = i == len(bounds) - 2
        part = take(whole, np.arange(bounds[i], bounds[i + 1]))
        batch = pairing.add(
            part, responses=responses, final=final, sensors=[None],
            vantages=["resolver", "authority"],
        )  # fmt: skip
        assert isinstance(batch, pa.RecordBatch)
        rows += batch.to_pylist()
    assert pairing.waiting == 0
    return sorted((row["offset"], row["response"], row["rcode"]) for row in rows)


def plainly(messages: Sequence[Message]) -> list[tuple[int, bool, int | None]]:
    """The same by a search over everything that waits, oldest first."""
    waiting: list[int] = []
    partner: dict[int, int] = {}
    clock = 0
    for place, message in enumerate(messages):
        clock = advance_clock(clock, BASE + message.heard)
        for other in waiting:
            before = messages[other]
            delay = (
                message.heard - before.heard if message.response else before.heard - message.heard
            )
            if (
                before.response != message.response
                and before.exchange == message.exchange
                and -SECOND <= delay <= WAIT_US
                and BASE + before.heard >= clock - WAIT_US
            ):
                waiting.remove(other)
                partner[place], partner[other] = other, place
                break
        else:
            waiting.append(place)
    return [
        (place, False, messages[partner[place]].rcode if place in partner else None)
        for place, message in enumerate(messages)
        if not message.response
    ]


MESSAGES = st.lists(
    st.builds(
        Message,
        st.booleans(),
        st.one_of(
            st.integers(0, 30 * SECOND),
            st.sampled_from([0, SECOND, WAIT_US, WAIT_US + 1, 2 * WAIT_US]),
        ),
        st.integers(0, 7),
        st.integers(0, 5),
    ),
    max_size=40,
)


@settings(max_examples=400, deadline=None)
@given(
    messages=MESSAGES,
    cuts=st.lists(st.integers(0, 40), max_size=4),
    same_hash=st.booleans(),
    order=st.sampled_from(["any", "by time"]),
)
def test_pairs_are_those_of_a_plain_search_in_any_pieces(
    messages: list[Message],
    cuts: list[int],
    same_hash: bool,
    order: str,
) -> None:
    if order == "by time":
        messages = sorted(messages, key=lambda message: message.heard)
    expected = plainly(messages)

    assert paired(messages, same_hash=same_hash) == expected
    inside = [min(cut, len(messages)) for cut in cuts]
    assert paired(messages, inside, same_hash=same_hash) == expected


@pytest.mark.parametrize("exchange", range(1, 8))
def test_each_part_of_an_exchange_keeps_it_apart(exchange: int) -> None:
    """Even where the hashes are the same."""
    messages = [Message(False, 0), Message(True, 5, exchange, 3)]
    assert paired(messages, same_hash=True) == [(0, False, None)]
    assert paired([*messages, Message(True, 6, 0, 2)], same_hash=True) == [(0, False, 2)]


@pytest.mark.parametrize(
    ("delay", "found"),
    [(0, True), (WAIT_US, True), (WAIT_US + 1, False), (-SECOND, True), (-SECOND - 1, False)],
)
def test_a_response_comes_within_ten_seconds_and_up_to_one_before(delay: int, found: bool) -> None:
    query, response = Message(False, 0), Message(True, delay, rcode=3)
    for messages in ((query, response), (response, query)):
        place = messages.index(query)
        assert paired(messages) == [(place, False, 3 if found else None)]


def test_responses_alone_are_rows_where_there_are_no_queries() -> None:
    messages = [Message(True, i * SECOND, rcode=i) for i in range(3)]
    assert paired(messages, responses=True) == [(i, True, i) for i in range(3)]
    assert paired(messages) == []


def test_time_that_goes_back_far_starts_anew() -> None:
    hour = 3600 * SECOND
    messages = [
        Message(False, hour),
        Message(False, 0),
        Message(True, 1, rcode=2),
        Message(True, hour, rcode=4),
    ]
    # What waited before the clock was set back has no partner after that, in whatever batches.
    assert paired(messages) == [(0, False, None), (1, False, 2)]
    assert advance_clock(hour, hour - BACK_US) == hour
    assert advance_clock(hour, hour - BACK_US - 1) == hour - BACK_US - 1


def test_no_more_wait_than_there_is_room_for() -> None:
    messages = [Message(False, i) for i in range(30)] + [Message(True, 40, rcode=3)]
    rows = paired(messages, [30], limit=10)
    # The oldest twenty went without an answer, the next gets it.
    assert [place for place, _, rcode in rows if rcode == 3] == [20]
    assert len(rows) == 30


def test_many_of_one_key_cost_a_bounded_search() -> None:
    """A flood of one exchange: pairs may be missed, queries never."""
    messages = [Message(False, i) for i in range(3000)]
    messages += [Message(True, 3000 + i, rcode=1) for i in range(3000)]
    rows = paired(messages)
    assert len(rows) == 3000
    assert {rcode for _, _, rcode in rows} == {1}
    assert astuple(messages[0]) == (False, 0, 0, 0)
