from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from remnant.simulate.beebone import BEEBONE
from remnant.simulate.behaviour import BotDays
from remnant.simulate.innocents import InnocentDays
from remnant.simulate.networks import Networks, build
from remnant.simulate.population import DAY_US, Bots, Households, populate
from remnant.simulate.questions import Questions, questions
from remnant.simulate.rows import MARK_LOST, Rows
from remnant.windows import to_us

SCENARIO = replace(BEEBONE, since=BEEBONE.takedown - timedelta(days=2))
START = to_us(SCENARIO.since)
HOUR_US = 3_600_000_000


def made(scale: float) -> tuple[Networks, Bots, Households, Questions]:
    random = np.random.default_rng(4)
    networks = build(SCENARIO, 70_000 * scale, random)
    return networks, *populate(SCENARIO, networks, scale, random), questions(SCENARIO)


@pytest.fixture(scope="module")
def days() -> tuple[Bots, Questions, list[tuple[Rows, np.ndarray]]]:
    networks, bots, _, asked = made(0.02)
    behaviour = BotDays(SCENARIO, networks, bots, asked, np.uint64(8))
    out = [(behaviour.advance(d, START + d * DAY_US), behaviour.hours) for d in range(10)]
    return bots, asked, out


def test_bots_ask_while_they_live_and_run(
    days: tuple[Bots, Questions, list[tuple[Rows, np.ndarray]]],
) -> None:
    bots, _, out = days
    for day, (rows, hours) in enumerate(out):
        start = START + day * DAY_US
        assert ((rows.time >= start) & (rows.time < start + DAY_US)).all()
        assert (rows.time >= bots.birth[rows.host]).all()
        assert (rows.time < bots.clean[rows.host]).all()
        hour = ((rows.time - start) // HOUR_US).astype(np.uint64)
        assert ((hours[rows.host] >> hour) & np.uint64(1)).all()
        assert (rows.household == bots.household[rows.host]).all()
        away = (bots.away_from <= day) & (day < bots.away_until)
        # A session of the day before may still run in the first hours.
        assert not (hours[away] >> np.uint64(16)).any()


def test_bots_carry_the_names_of_their_version(
    days: tuple[Bots, Questions, list[tuple[Rows, np.ndarray]]],
) -> None:
    bots, asked, out = days
    rows = out[3][0]

    carried = asked.version_names[bots.version[rows.host]]
    assert (carried == rows.name[:, None]).any(axis=1).all()
    assert set(rows.qtype.tolist()) == {1, 28}


def test_a_machine_does_not_ask_again_for_what_it_has_cached(
    days: tuple[Bots, Questions, list[tuple[Rows, np.ndarray]]],
) -> None:
    bots, asked, out = days
    for day in (1, 6):
        rows = out[day][0]
        # Machines that start anew on the same day have an empty cache: look at the others.
        rows = rows.take(bots.always_on[rows.host] & (rows.mark != MARK_LOST))
        after = int(day >= 2)
        order = np.lexsort((rows.time, rows.qtype, rows.name, rows.host))
        rows = rows.take(order)
        same = (
            (rows.host[1:] == rows.host[:-1])
            & (rows.name[1:] == rows.name[:-1])
            & (rows.qtype[1:] == rows.qtype[:-1])
        )
        gap = np.diff(rows.time)[same]
        ttl = asked.table.ttl[rows.name[:-1], after][same] * 1_000_000
        # The cache counts from the first try; one resend comes two seconds later.
        assert gap.size > 100
        assert (gap >= ttl - 2_000_000).all()


def test_the_takedown_changes_how_often_bots_ask_not_how_many(
    days: tuple[Bots, Questions, list[tuple[Rows, np.ndarray]]],
) -> None:
    _, _, out = days
    hosts = [np.unique(rows.host).size for rows, _ in out]
    asked = [rows.time.size / np.unique(rows.host).size for rows, _ in out]

    assert min(hosts[2:5]) > 0.85 * max(hosts[:2])
    assert min(asked[2:]) > max(asked[:2])


def test_lost_queries_are_asked_again(
    days: tuple[Bots, Questions, list[tuple[Rows, np.ndarray]]],
) -> None:
    _, _, out = days
    rows = out[4][0]

    assert (rows.mark == MARK_LOST).mean() == pytest.approx(0.01, abs=0.003)


def test_innocent_traffic_comes_from_households_that_are_there() -> None:
    networks, _, households, asked = made(0.02)
    innocents = InnocentDays(SCENARIO, networks, households, asked, 0.02, np.uint64(8))
    rows = innocents.queries(3, START + 3 * DAY_US)

    assert rows.time.size == pytest.approx(SCENARIO.innocent_queries * 0.02, rel=0.1)
    assert (households.since[rows.household] <= rows.time).all()
    assert (rows.name[rows.mark == 0] >= asked.watched).all()
    assert (rows.name < asked.traps).all()
    assert {1, 28, 65, 16} <= set(rows.qtype.tolist())
