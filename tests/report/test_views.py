"""Two views of a botnet as published: small counts, and what would give them away, are hidden."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from remnant.estimate import Estimate
from remnant.estimate.vantage_pairs import Comparison, Side
from remnant.report.facts import Day
from remnant.report.figures import two_views as figure
from remnant.report.html import render
from remnant.report.suppress import Hidden
from remnant.report.views import left_out, two_views
from remnant.report.wording import left_out as left_out_words
from remnant.report.wording import two_views as words
from remnant.windows import Window
from report.sample import START, make_content

_FIRST = (START - datetime(1970, 1, 1, tzinfo=UTC)).days


def estimate(quantity: str, value: float | None, refusal: str | None = None) -> Estimate:
    return Estimate(
        quantity=quantity, value=value, low=value, high=None if value is None else value * 1.1,
        level=0.95, unit="ipv4", since=START, until=START + timedelta(days=3), population="all",
        n=3, method="made up", refusal=refusal,
    )  # fmt: skip


def comparison(**changes: Any) -> Comparison:
    values: dict[str, Any] = {
        "window": Window(START, START + timedelta(days=3)),
        "scale": "distinct clients an hour, mean of the same hours",
        "hours": 48,
        "sides": (
            Side("resolver", "addresses that asked", "ipv4", 80.0, 3, 0.6),
            Side("sinkhole_http", "addresses that came", "ipv4", 120.0, 5, 1.0),
        ),
        "days": np.arange(_FIRST, _FIRST + 3),
        "values": np.array([[80.0, np.nan, 81.0], [120.0, np.nan, 119.0]]),
        "networks": 5,
        "matched": (90.0, 130.0, 70.0),
        "estimates": (
            estimate("seen_at_both", 70.0),
            estimate("reach_ratio", 0.78),
            estimate("two_vantage_hosts", 167.0),
        ),
    }
    return Comparison(**(values | changes))


def test_nothing_to_compare_shows_nothing() -> None:
    assert two_views(None, (), 10) is None
    assert "Two views of the same botnet" not in render(make_content())


def test_both_stand_on_one_scale_with_what_each_counts() -> None:
    views = two_views(comparison(), (), 10)

    assert views is not None
    text = render(make_content(views=views))
    for told in (
        "Two views of the same botnet", "addresses that asked", "addresses that came",
        "distinct clients an hour, mean of the same hours", "78 %",
        "hosts a day", "never added together", "48 hours that both covered",
    ):  # fmt: skip
        assert told in text, told
    assert text.count('aria-label="DNS resolver') == 2  # the figure, wide and narrow


def test_the_figure_breaks_where_one_of_them_saw_nothing() -> None:
    views = two_views(comparison(), (), 10)

    assert views is not None
    made = figure(make_content(views=views), views)
    assert made.rows[1] == ("2015-03-26", None, None)
    assert made.columns == ("day", "resolver", "sinkhole_http")


def test_small_counts_are_hidden_and_so_are_the_means_that_hold_them() -> None:
    views = two_views(comparison(values=np.array([[4.0, 50, 81], [120.0, 119, 118]])), (), 10)

    assert views is not None
    assert views.days[0].left is Hidden.SMALL
    assert views.sides[0].hourly is Hidden.LINKED
    assert views.sides[1].hourly == 120.0


def test_a_day_that_is_hidden_elsewhere_is_hidden_here() -> None:
    day = Day(START, 50, 50, Hidden.LINKED, 1.0, gap=False)

    views = two_views(comparison(), (day,), 10)

    assert views is not None
    assert views.days[0].left is Hidden.LINKED


def test_a_share_from_which_a_small_rest_follows_is_hidden() -> None:
    views = two_views(comparison(matched=(73.0, 130.0, 70.0)), (), 10)

    assert views is not None
    assert isinstance(views.both, Hidden)
    assert isinstance(views.reach, Hidden)
    assert isinstance(views.hosts, Hidden)
    assert "hidden" in words(views, 10)
    internal = two_views(comparison(matched=(73.0, 130.0, 70.0)), (), 0)
    assert internal is not None
    assert internal.both == 70.0


def test_a_refusal_is_told_in_its_words() -> None:
    told = (
        estimate("reach_ratio", 0.78),
        estimate("two_vantage_hosts", None, "only the ratio is told: something <b>blocks</b>"),
    )
    views = two_views(comparison(estimates=told), (), 10)

    assert views is not None
    text = render(make_content(views=views))
    assert "Only the ratio is told: something &lt;b&gt;blocks" in text
    assert "hosts a day (" not in text


def test_who_was_left_out_has_a_line_with_small_kinds_hidden() -> None:
    found = left_out({"scanner": 300, "crawler": 40, "monitor": 3}, 10)
    text = render(make_content(bystanders=found))

    assert dict(found.kinds)["monitor"] is Hidden.SMALL
    assert dict(found.kinds)["crawler"] is Hidden.LINKED  # else the total gives the monitors away
    assert "Clients that clearly are no victims: 343" in text
    assert "monitor &lt;10" in text
    assert "monitor 3" not in text
    assert left_out_words(left_out({}, 10), 10).startswith("None was so clearly")
    assert replace(left_out({"monitor": 3}, 10)).total is Hidden.SMALL
