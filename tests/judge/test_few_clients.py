from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from estimate.fakeview import DAY, START, hourly_view, settings
from remnant.cases.model import Case
from remnant.estimate.online import series
from remnant.judge.few_clients import check_few_clients
from remnant.judge.guards import Ground
from remnant.judge.verdict import judge

if TYPE_CHECKING:
    from remnant.judge.guards import Guard

CASE = Case("test", "Test botnet", START)
R_MIN = 0.00385


def checked(view: Any) -> Guard:
    kept = series(view).since(START)
    trend = kept.trend()
    assert trend is not None
    return check_few_clients(Ground(view, CASE, kept.on(kept.complete), trend, R_MIN))


def falling(clients: int) -> Any:
    return hourly_view(lambda _, hour: round(clients * 0.97 ** (hour / 24)), 28)


def test_one_client_that_stays_says_nothing_of_clean_up() -> None:
    """All bots of a network behind one address: it is there as long as one of them is."""
    view = hourly_view(lambda _, __: 1, 60)
    found = checked(view)
    verdict = judge(view, CASE, settings())

    assert found.state == "failed"
    assert found.sentence.startswith("Only 1 client is seen at a time")
    assert (verdict.state, verdict.rule) == ("cannot_tell", "guard_failed")
    # 2.5 % is what a half-life of 180 days leaves of one client after 958 days.
    assert verdict.can_tell_by == (START + 959 * DAY).date()


@pytest.mark.parametrize(
    ("clients", "days", "state"),
    # None of n gone in T days at a half-life of 180: 2**(-n T / 180), to be 2.5 % at most.
    [(15, 60, "failed"), (17, 60, "passed"), (7, 121, "failed"), (9, 121, "passed")],
)
def test_steady_clients_must_be_so_many_that_one_would_be_gone(
    clients: int, days: int, state: str
) -> None:
    found = checked(hourly_view(lambda _, __: clients, days))

    assert found.state == state
    assert found.facts["chance"] == pytest.approx(2 ** (-clients * (days - 1) / 180), rel=0.01)


def test_few_clients_that_go_may_have_gone_by_chance() -> None:
    few, many = checked(falling(5)), checked(falling(300))

    assert many.state == "passed"
    assert few.state == "failed"
    assert "as many as" in few.sentence


def test_an_open_verdict_needs_no_number() -> None:
    noisy = checked(hourly_view(lambda _, i: 3 + (i // 24) % 4, 20))

    assert noisy.state == "passed"
    assert check_few_clients(None).state == "unavailable"
