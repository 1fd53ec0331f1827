from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from estimate.fakeview import START, hourly_view, settings
from remnant.cases.model import Case
from remnant.estimate.basis import Basis
from remnant.estimate.recent import QUANTITIES, estimates
from remnant.windows import Window

CASE = Case("test", "Test botnet", START)


def basis(mean: Any, days: int) -> Basis:
    rng = np.random.default_rng(4)
    noise = np.exp(0.03 * rng.normal(size=days))
    view = hourly_view(lambda _, hour: round(mean(hour / 24) * noise[hour // 24]), days)
    window = Window(START, START + timedelta(days=days))
    return Basis(view, CASE, settings(), window, "resolver")


def test_line_has_the_half_life_of_the_verdict() -> None:
    question = basis(lambda day: 3000 * 0.5 ** (day / 60), 70)

    found = {estimate.quantity: estimate for estimate in estimates(question)}

    assert list(found) == [quantity for quantity in QUANTITIES if quantity != "floor_hosts"]
    life = found["recent_half_life"]
    assert life.low is not None
    assert life.high is not None
    assert life.low <= 60 <= life.high
    assert life.value == pytest.approx(math.log(2) / found["recent_decay_rate"].value)  # type: ignore[operator]
    assert "M0 (one exponential)" in life.method
    later = found["hosts_in_28_days"]
    assert later.low is not None
    assert later.high is not None
    assert later.low <= 3000 * 0.5 ** (97 / 60) <= later.high


def test_what_levels_off_falls_no_more_at_its_end() -> None:
    question = basis(lambda day: 900 + 4000 * math.exp(-0.09 * day), 98)

    found = {estimate.quantity: estimate for estimate in estimates(question)}

    rate = found["recent_decay_rate"]
    assert "forecasts clearly better" in rate.method
    assert rate.high is not None
    assert rate.high < 0.01
    later = found["hosts_in_28_days"]
    assert later.low is not None
    assert later.high is not None
    assert later.low <= 900 <= later.high
    if "floor_hosts" in found:
        floor = found["floor_hosts"]
        assert floor.low is not None
        assert floor.high is not None
        assert floor.low <= 900 <= floor.high


def test_under_two_weeks_nothing_is_said() -> None:
    found = estimates(basis(lambda _: 100, 10))

    assert [estimate.value for estimate in found] == [None] * 3
    assert "there are 10" in str(found[0].refusal)
