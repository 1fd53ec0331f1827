from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.sinkhole.timer_wheel import TimerWheel


@dataclass(eq=False)
class Item:
    deadline: float
    slot: int = 0


@settings(deadline=None)
@given(
    st.lists(st.floats(-5, 100), max_size=30),
    st.lists(st.floats(0, 3), min_size=1, max_size=60),
)
def test_items_come_out_once_after_their_deadline_and_at_the_next_tick(
    deadlines: list[float], steps: list[float]
) -> None:
    wheel: TimerWheel[Item] = TimerWheel(0.0, tick_s=0.25, slots=16)
    waiting = {Item(deadline) for deadline in deadlines}
    for item in waiting:
        wheel.add(item)
    now = 0.0
    for step in steps:
        now += step
        due = wheel.due(now)
        assert len(set(due)) == len(due)
        assert set(due) <= waiting
        assert all(item.deadline <= now for item in due)
        waiting -= set(due)
        assert all(max(item.deadline, 0.0) > now - wheel.tick_s for item in waiting)


def test_what_was_removed_does_not_come_out() -> None:
    wheel: TimerWheel[Item] = TimerWheel(10.0, tick_s=0.5)
    item, other = Item(11.0), Item(11.0)
    wheel.add(item)
    wheel.add(other)
    wheel.remove(item)
    wheel.remove(item)

    assert wheel.due(20.0) == [other]
    assert wheel.due(30.0) == []


def test_an_item_can_be_put_in_again_while_the_wheel_turns() -> None:
    wheel: TimerWheel[Item] = TimerWheel(0.0)
    item = Item(1.0)
    wheel.add(item)
    assert wheel.due(1.3) == [item]
    wheel.add(item)
    assert wheel.due(1.6) == [item]
