"""What became of a name, from evidence of every kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant.infrastructure.registration import Registration
from remnant.infrastructure.registrations import Dated
from remnant.infrastructure.states import (
    GAP,
    LIVE,
    MOST_TEXTS,
    STATES,
    Evidence,
    Interval,
    State,
    registered_again,
    registry_evidence,
    served_again,
    taken_over,
    timeline,
)
from remnant.windows import Window

START = datetime(2015, 4, 1, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=200))


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def seen(first: float, last: float, state: State = "resolving", **more: Any) -> Evidence:
    more = {"what": "A 203.0.113.7"} | more
    return Evidence(day(first), day(last), state, **more)


def told(found: list[Interval]) -> list[tuple[str, int, int]]:
    return [(i.state, round((i.since - START) / timedelta(days=1)),
             round((i.until - START) / timedelta(days=1))) for i in found]  # fmt: skip


def test_a_seized_name() -> None:
    evidence = [
        seen(0, 40),
        seen(40.5, 190, "sinkholed", whose="demo", what="A 192.0.2.53"),
    ]
    assert told(timeline(evidence, WINDOW)) == [("resolving", 0, 40), ("sinkholed", 40, 200)]


def test_caches_do_not_make_a_state() -> None:
    evidence = [seen(0, 41), seen(40, 190, "sinkholed", whose="demo")]
    found = timeline(evidence, WINDOW)
    assert told(found) == [("resolving", 0, 40), ("sinkholed", 40, 200)]
    assert found[0].also == found[1].also == ()


def test_what_still_resolves_elsewhere_is_not_hidden_by_a_sinkhole() -> None:
    found = timeline([seen(0, 100), seen(40, 190, "sinkholed", whose="demo")], WINDOW)
    assert told(found) == [("resolving", 0, 40), ("resolving", 40, 100), ("sinkholed", 100, 200)]
    assert [one.also for one in found] == [(), ("sinkholed",), ()]


def test_nobody_can_tell_after_a_while() -> None:
    found = timeline([seen(10, 20)], WINDOW)
    assert told(found) == [("unknown", 0, 10), ("resolving", 10, 50), ("unknown", 50, 200)]
    assert found[0].evidence == ("nothing was observed",)
    assert found[-1].evidence == ("nothing observed since 2015-04-21T00:00:00Z",)
    assert found[1].last == day(20)
    assert told(timeline([], WINDOW)) == [("unknown", 0, 200)]


def test_between_two_observations_a_state_holds_for_a_while() -> None:
    assert told(timeline([seen(0, 20), seen(45, 190)], WINDOW)) == [("resolving", 0, 200)]
    assert told(timeline([seen(0, 20), seen(90, 190)], WINDOW)) == [
        ("resolving", 0, 50), ("unknown", 50, 90), ("resolving", 90, 200),
    ]  # fmt: skip


def test_all_states_in_turn() -> None:
    evidence = [seen(20 * i, 20 * i + 19, state) for i, state in enumerate(STATES[:-1])]
    states = [state for state, _, _ in told(timeline(evidence, WINDOW))]
    assert states == [*STATES[:-1], "unknown"]


def test_evidence_is_bounded_and_says_who_saw_it() -> None:
    evidence = [
        seen(0, 190, what=f"A 203.0.113.{i:03}", sensors=(f"s{i % 2}",), sources=("x",))
        for i in range(20)
    ]
    (found,) = timeline(evidence, WINDOW)
    assert len(found.evidence) == MOST_TEXTS + 1
    assert found.evidence[-1] == "and 15 more"
    assert (found.sensors, found.sources) == (("s0", "s1"), ("x",))
    assert found.to_json()["until"] == "2015-10-18T00:00:00Z"


def test_what_the_name_server_of_a_sinkhole_answers_is_the_sinkhole() -> None:
    server = seen(40, 100, "sinkholed", whose="abuse", what="NS ns1.sinkhole.ch", by="delegation")
    evidence = taken_over([seen(0, 101), seen(60, 90, what="A 203.0.113.9"), server])
    found = timeline(evidence, Window(START, day(101)))
    assert told(found) == [("resolving", 0, 40), ("sinkholed", 40, 101)]
    assert "A 203.0.113.7 from NS ns1.sinkhole.ch" in found[1].evidence
    # Long after it, the address is somebody else's again.
    later = timeline(taken_over([seen(0, 190), server]), WINDOW)
    assert [state for state, _, _ in told(later)] == ["resolving", "sinkholed", "resolving"]


def test_registered_anew() -> None:
    evidence = registered_again([seen(0, 30), seen(80, 190)], day(79), "RDAP: registered")
    assert told(timeline(evidence, WINDOW)) == [
        ("resolving", 0, 60), ("unknown", 60, 80), ("reregistered", 80, 200),
    ]  # fmt: skip
    # Who registers it anew to sink it is a sinkhole.
    sunk = registered_again([seen(80, 190, "sinkholed", whose="abuse")], day(79), "RDAP")
    assert told(timeline(sunk, WINDOW))[-1][0] == "sinkholed"


def test_other_name_servers_after_a_gap() -> None:
    old, new = ("ns1.a.example", day(0), day(30)), ("ns1.b.example", day(80), day(190))
    found = served_again([new, old], [seen(0, 30), seen(80, 190)])
    assert found is not None
    assert found == (day(80), "other name servers after 50 days without any")
    same = ("ns1.a.example", day(80), day(190))
    assert served_again([old, new, same], []) is None
    assert served_again([old, new], [seen(0, 190)]) is None
    assert served_again([old, ("ns1.b.example", day(50), day(190))], []) is None
    assert served_again([], []) is None


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({"found": False}, "unregistered"),
        ({"deleted": day(5)}, "unregistered"),
        ({"status": ("redemption period",), "expires": day(500)}, "expired"),
        ({"status": ("pending delete", "client hold")}, "expired"),
        ({"expires": day(5)}, "expired"),
        ({"status": ("client hold",), "expires": day(500)}, "suspended"),
        ({"status": ("server hold", "active")}, "suspended"),
        ({"status": ("active",), "expires": day(500)}, None),
        ({"deleted": day(500)}, None),
    ],
)
def test_what_a_registry_says(more: dict[str, Any], state: State | None) -> None:
    history = [Dated(day(10), Registration("domain", "x.example", **more))]
    found = registry_evidence(history)
    assert [one.state for one in found] == ([] if state is None else [state])
    twice = registry_evidence([*history, Dated(day(150), history[0].registration)])
    assert [one.state for one in twice] == ([] if state is None else [state] * 2)
    if state is not None:
        assert told(timeline(twice, WINDOW)) == [
            ("unknown", 0, 10), (state, 10, 180), ("unknown", 180, 200),
        ]  # fmt: skip


def test_that_the_money_ran_out_is_weak_evidence() -> None:
    history = [Dated(day(100), Registration("domain", "x.example", expires=day(90)))]
    assert [one.state for one in registry_evidence(history, [seen(0, 60)])] == ["expired"]
    assert registry_evidence(history, [seen(0, 99)]) == []
    assert registry_evidence(history, [seen(0, 99, "sinkholed")]) == []
    held = [Dated(day(100), Registration("domain", "x.example", status=("client hold",)))]
    assert [one.state for one in registry_evidence(held, [seen(0, 99)])] == ["suspended"]


spans = st.tuples(st.integers(-20, 220), st.integers(0, 120), st.sampled_from(STATES[:-1]),
                  st.sampled_from(["", "x"]))  # fmt: skip


@given(st.lists(spans, max_size=8), st.randoms(use_true_random=False))
def test_a_timeline_has_no_holes_and_no_order(values: list[Any], random: Any) -> None:
    evidence = [
        seen(first, first + length, state, whose=whose) for first, length, state, whose in values
    ]
    found = timeline(evidence, WINDOW)
    shuffled = list(evidence)
    random.shuffle(shuffled)

    assert timeline(shuffled, WINDOW) == found
    assert found[0].since == WINDOW.since
    assert found[-1].until == WINDOW.until
    for one, after in pairwise(found):
        assert one.since < one.until == after.since
        assert (one.state, one.whose, one.also) != (after.state, after.whose, after.also)
    for one in found:
        known = {e.state for e in evidence if e.since < one.until and e.until >= one.since - GAP}
        assert one.state == "unknown" or one.state in known
    # What must be acted on is never hidden, except where a new state has replaced it.
    for e in evidence:
        if e.state in LIVE and e.since < day(200) <= e.until and len(evidence) == 1:
            assert found[-1].state == e.state
