from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimate.fakeview import DAY, HOUR, START, coverage_row, hit_row, sighting, view_of
from remnant.errors import NoData, RemnantError
from remnant.estimate import coverage
from remnant.windows import STEPS, Step, Window


def shares(view: Any, window: Window, step: Step = "day") -> list[float | None]:
    table = coverage.by_step(view, window, step, "resolver")
    found: list[float | None] = table["coverage"].to_pylist()
    return found


def delivering(hours: dict[str, list[int]], **more: Any) -> Any:
    rows = [coverage_row(START + h * HOUR, sensor) for sensor, own in hours.items() for h in own]
    return view_of([], rows, **more)


def test_sensor_is_expected_from_its_first_hour_on() -> None:
    view = delivering({"a": list(range(48)), "b": list(range(36, 48))})

    table = coverage.by_step(view, coverage.default_window(view), "day", "resolver")

    assert table["expected"].to_pylist() == [24, 36]
    assert table["coverage"].to_pylist() == [1.0, 1.0]


def test_dead_sensor_stays_expected_until_retired() -> None:
    hours = {"a": list(range(96)), "b": list(range(48))}
    window = Window(START, START + 4 * DAY)

    dead = shares(delivering(hours), window)
    retired = shares(delivering(hours, retired={"b": START + 3 * DAY}), window)

    assert dead == [1.0, 1.0, 0.5, 0.5]
    assert retired == [1.0, 1.0, 0.5, 1.0]


def test_retirement_within_an_hour_counts_that_hour() -> None:
    view = delivering(
        {"a": list(range(24)), "b": [0]}, retired={"b": START + timedelta(hours=2, minutes=1)}
    )

    table = coverage.by_step(view, coverage.default_window(view), "day", "resolver")

    assert table["expected"].to_pylist() == [24 + 3]


def test_traffic_after_retirement_is_not_expected_and_covers_nothing() -> None:
    view = delivering({"a": list(range(48))}, retired={"a": START + DAY})

    assert shares(view, coverage.default_window(view)) == [1.0, None]


def test_nothing_is_expected_after_the_last_hour_of_any_sensor() -> None:
    view = delivering({"a": list(range(24))})

    assert shares(view, Window(START - DAY, START + 3 * DAY)) == [None, 1.0, None, None]


def test_default_window_ends_with_the_last_hour_of_any_vantage() -> None:
    rows = [coverage_row(START + h * HOUR) for h in range(24)]
    rows += [coverage_row(START + h * HOUR, "s", "sinkhole_dns") for h in range(30)]
    view = view_of([], rows)

    assert coverage.default_window(view) == Window(START, START + 30 * HOUR)
    assert shares(view, coverage.default_window(view)) == [1.0, 0.0]


def test_hours_without_messages_or_time_cover_nothing() -> None:
    rows = [coverage_row(START), coverage_row(START + HOUR, messages=0), coverage_row(None)]
    view = view_of([], rows)

    assert coverage.default_window(view) == Window(START, START + HOUR)


def test_several_sources_of_one_hour_count_once() -> None:
    rows = [coverage_row(START, source=source) for source in ("s1", "s2")]

    table = coverage.by_step(view_of([], rows), Window(START, START + HOUR), "hour", "resolver")

    assert table["expected"].to_pylist() == table["delivered"].to_pylist() == [1]


def test_sources_that_hold_hits_only_have_no_coverage() -> None:
    view = view_of([], [hit_row(START)])
    window = coverage.default_window(view)

    assert coverage.by_step(view, window, "hour", "report")["coverage"].to_pylist() == [None]
    assert coverage.of_window(view, window, "report") is None


def test_window_within_hours_counts_the_hours_it_touches() -> None:
    view = delivering({"a": [0, 1, 3]})
    window = Window(START + timedelta(minutes=30), START + timedelta(hours=3, minutes=30))

    table = coverage.by_step(view, window, "day", "resolver")

    assert (table["delivered"].to_pylist(), table["expected"].to_pylist()) == ([3], [4])
    assert coverage.of_window(view, window, "resolver") == 0.75


def test_default_vantage_is_the_first_with_sightings() -> None:
    rows = [coverage_row(START, "r"), coverage_row(START, "s", "sinkhole_dns")]
    silent = view_of([sighting(START, 1, "s", "sinkhole_dns")], rows)
    both = view_of([sighting(START, 1, "s", "sinkhole_dns"), sighting(START, 1)], rows)

    assert coverage.vantages(silent) == ["sinkhole_dns", "resolver"]
    assert coverage.vantages(both) == ["resolver", "sinkhole_dns"]
    assert coverage.choose_vantage(silent) == "sinkhole_dns"
    assert coverage.choose_vantage(silent, "resolver") == "resolver"


def test_absent_vantage_is_refused_with_those_present() -> None:
    with pytest.raises(NoData, match="resolver") as refusal:
        coverage.choose_vantage(delivering({"a": [0]}), "flow")

    assert refusal.value.got == "flow"


def test_case_without_traffic_says_what_to_do() -> None:
    for question in (coverage.choose_vantage, coverage.default_window):
        with pytest.raises(NoData, match="remnant ingest test"):
            question(view_of([], []))


def test_sensor_spans() -> None:
    view = delivering({"b": [5, 9], "a": [2]}, retired={"a": START + DAY})

    spans = coverage.sensors(view, "resolver")

    assert [(s.sensor, s.first, s.last, s.hours, s.messages, s.retired) for s in spans] == [
        ("a", START + 2 * HOUR, START + 2 * HOUR, 1, 100, START + DAY),
        ("b", START + 5 * HOUR, START + 9 * HOUR, 2, 200, None),
    ]


def test_endless_window_is_refused_where_every_interval_is_asked_for() -> None:
    view = delivering({"a": [0, 1]})
    endless = Window(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC) - DAY)

    with pytest.raises(RemnantError, match="too many hours"):
        coverage.by_step(view, endless, "hour", "resolver")
    assert coverage.of_window(view, endless, "resolver") == 1.0


@given(
    st.dictionaries(
        st.sampled_from("abc"), st.lists(st.integers(0, 60), min_size=1, max_size=30), min_size=1
    ),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 60)),
    st.tuples(st.integers(-5, 65), st.integers(1, 40)),
    st.sampled_from(["hour", "day", "week"]),
)
@settings(max_examples=15, deadline=None)
def test_coverage_equals_its_definition(
    hours: dict[str, list[int]], retired: dict[str, int], span: tuple[int, int], step: Step
) -> None:
    view = delivering(hours, retired={name: START + at * HOUR for name, at in retired.items()})
    window = Window(START + span[0] * HOUR, START + (span[0] + span[1]) * HOUR)
    end = max(max(own) for own in hours.values())

    table = coverage.by_step(view, window, step, "resolver").to_pylist()

    assert [row["start"] for row in table] == list(window.starts(step))
    for row in table:
        expected = delivered = 0
        for name, own in hours.items():
            for hour in range(min(own), min(end + 1, retired.get(name, end + 1))):
                time = START + hour * HOUR
                if time in window and row["start"] <= time < row["start"] + STEPS[step]:
                    expected += 1
                    delivered += hour in own
        assert (row["expected"], row["delivered"]) == (expected, delivered)
        assert row["coverage"] == (delivered / expected if expected else None)


def stated(hours: range, sensor: str = "r", messages: int = 0) -> list[dict[str, Any]]:
    return [hit_row(START + h * HOUR, sensor, basis="stated", messages=messages) for h in hours]


def test_a_stated_period_covers_its_hours_even_without_a_hit() -> None:
    rows = [*stated(range(4)), hit_row(START - HOUR), hit_row(START + 4 * HOUR)]
    view = view_of([], rows)
    window = coverage.default_window(view)

    table = coverage.by_step(view, window, "hour", "report")

    assert window == Window(START - HOUR, START + 5 * HOUR)
    # Before the period the sensor is not expected; after it, hits alone do not cover.
    assert table["coverage"].to_pylist() == [None, 1.0, 1.0, 1.0, 1.0, 0.0]
    assert [(s.first, s.last, s.hours) for s in coverage.sensors(view, "report")] == [
        (START, START + 3 * HOUR, 4)
    ]


def test_whether_a_vantage_covers_anything() -> None:
    hits = [hit_row(START)]

    assert coverage.covers_nothing(view_of([], hits), "report")
    assert not coverage.covers_nothing(view_of([], [*hits, *stated(range(1))]), "report")
    assert not coverage.covers_nothing(view_of([], [coverage_row(START)]), "resolver")


def test_hits_of_another_source_cover_nothing_for_a_sensor_that_died() -> None:
    rows = [coverage_row(START), coverage_row(START + HOUR, basis="hits")]

    table = coverage.by_step(view_of([], rows), Window(START, START + 2 * HOUR), "hour", "resolver")

    assert table["delivered"].to_pylist() == [1, 0]


def test_rows_of_the_first_version_are_traffic() -> None:
    old, new = (view_of([], [coverage_row(START, basis=b)]) for b in (None, "traffic"))

    assert coverage.of_window(old, Window(START, START + HOUR), "resolver") == 1.0
    assert coverage.of_window(new, Window(START, START + HOUR), "resolver") == 1.0
