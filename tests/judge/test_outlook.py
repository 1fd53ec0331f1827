from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import numpy as np

from estimate.fakeview import DAY, START, hourly_view, settings
from remnant.cases.model import Case, Event
from remnant.estimate.decay import days_needed
from remnant.estimate.online import series
from remnant.judge.guards import Guard
from remnant.judge.outlook import ASSUMED_PHI, ASSUMED_SIGMA, Outlook, outlook
from remnant.judge.verdict import judge
from remnant.windows import Window

CASE = Case("test", "Test botnet", START)
R_MIN = math.log(2) / 180


def asked(view: Any, *failed: Guard, case: Case = CASE) -> Any:
    return found(view, *failed, case=case).by


def found(view: Any, *failed: Guard, case: Case = CASE, cut: bool = False) -> Outlook:
    after = series(view).since(case.takedown)
    return outlook(
        case, after, after.trend(), failed, minimum_days=14, r_min=R_MIN, level=0.95, cut=cut
    )


def test_before_there_are_days_noise_is_assumed() -> None:
    needed = days_needed(R_MIN, ASSUMED_SIGMA, ASSUMED_PHI)

    assert asked(hourly_view(lambda _, __: 100, 7)) == (START + needed * DAY).date()


def test_a_running_day_does_not_delay_it() -> None:
    started = hourly_view(lambda _, i: 100 if i < 170 else None, 8)
    started.rows["coverage"] = started.rows["coverage"][:170]

    assert asked(started) == asked(hourly_view(lambda _, __: 100, 7))


def test_gaps_delay_it_by_their_length() -> None:
    view = hourly_view(lambda _, i: None if 24 <= i < 72 else 100, 7)

    assert asked(view) == asked(hourly_view(lambda _, __: 100, 7)) + timedelta(days=2)


def test_quiet_series_needs_fewer_days_than_a_noisy_one() -> None:
    def told(sigma: float) -> Any:
        noise = np.exp(sigma * np.random.default_rng(1).normal(size=15))
        return asked(hourly_view(lambda _, i: round(10_000 * noise[i // 24]), 15))

    assert told(0.03) < told(0.2)


def test_failed_guard_with_a_date_starts_anew_from_it() -> None:
    view = hourly_view(lambda _, __: 100, 40)
    failed = Guard("sensors", "failed", "", START + 35 * DAY + timedelta(hours=5))

    told = asked(view, failed)

    assert told is not None
    assert told >= (START + (36 + 14) * DAY).date()


def test_failed_guard_without_a_date_is_not_healed_by_time() -> None:
    assert asked(hourly_view(lambda _, __: 100, 40), Guard("answers", "failed", "")) is None


def test_far_away_is_no_date() -> None:
    after = series(hourly_view(lambda _, __: 100, 7))

    told = outlook(CASE, after, after.trend(), [], minimum_days=14, r_min=1e-6, level=0.95)

    assert told == Outlook()


def test_open_verdict_says_a_later_date() -> None:
    noise = np.exp(0.05 * np.random.default_rng(3).normal(size=28))
    view = hourly_view(lambda _, i: round(1000 * 0.5 ** (i / 24 / 340) * noise[i // 24]), 28)

    found = judge(view, CASE, settings())

    assert found.state == "cannot_tell"
    assert found.can_tell_by is not None
    assert found.can_tell_by > (START + 28 * DAY).date()


def test_changed_watchlist_long_ago_can_be_told_with_a_later_start() -> None:
    case = Case("test", "Test botnet", START, events=(Event(START + 5 * DAY, "names_added"),))
    noise = np.exp(0.05 * np.random.default_rng(1).normal(size=80))
    view = hourly_view(lambda _, i: round(1000 * noise[i // 24]), 80)

    found = judge(view, case, settings())

    assert (found.state, found.can_tell_by) == ("cannot_tell", None)
    assert found.sentence.endswith("; judge again with --since 2015-04-13.")
    again = next(item for item in found.evidence if item["id"] == "judge_again")
    assert again["since"] == "2015-04-13"
    assert judge(view, case, settings(), Window(START + 5 * DAY, START + 80 * DAY)).state != (
        "cannot_tell"
    )


def test_a_window_that_a_person_cut_gets_no_date() -> None:
    view = hourly_view(lambda _, __: 100, 40)

    for since, until, told in ((0, 7, False), (10, 20, False), (33, 40, True)):
        window = Window(START + since * DAY, START + until * DAY)
        assert (judge(view, CASE, settings(), window).can_tell_by is not None) is told


def test_without_one_complete_day_no_date_is_made_up() -> None:
    view = hourly_view(lambda _, __: 100, 1)
    view.rows["coverage"] = view.rows["coverage"][:10]

    assert found(view) == Outlook()
    assert judge(view, CASE, settings()).can_tell_by is None


def test_many_days_without_a_trend_get_no_date() -> None:
    assert found(hourly_view(lambda _, __: 0, 60)) == Outlook()
