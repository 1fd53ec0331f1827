from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from remnant.errors import NoData
from remnant.report.content import digest, gather
from remnant.report.html import render
from remnant.report.suppress import Hidden, shown
from remnant.windows import Window
from report.madeup import START, MadeUpView, make_case, make_settings, make_view

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.report.facts import Content, Country, Network

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def made(tmp_path: Path, view: MadeUpView, **more: Any) -> Content:
    case = more.pop("case", None) or make_case()
    minimum = more.pop("minimum", 10)
    return gather(view, case, make_settings(tmp_path, minimum), now=NOW, **more)  # type: ignore[arg-type]


def test_the_numbers_are_those_of_the_view(tmp_path: Path) -> None:
    content = made(tmp_path, make_view(20, clients=120, dead=(7,), small=30))
    assert len(content.days) == 20
    assert [day.gap for day in content.days].index(True) == 7
    assert content.days[7].queries is None
    assert content.days[7].online is None
    assert content.days[0].queries == 120 * 24
    assert content.days[0].online == 120
    assert [(row.code, row.clients) for row in content.countries] == [
        ("IR", 89), ("PE", Hidden.LINKED), (None, Hidden.SMALL),
    ]  # fmt: skip
    assert {row.asn for row in content.networks} == {64500, 64501, 64502, None}
    assert content.networks[0].as_name == "Example Net"
    assert content.networks[0].pulse.values[0] == shown(content.networks[0].clients)
    assert content.networks[0].pulse.first == content.networks[0].pulse.last
    (name,) = content.names
    assert (name.name, name.clients, name.state) == ("ns1.evil.example", 120, "seized")
    assert content.intake.gap_days == 1
    assert content.intake.sensors[0].malformed == 19 * 24
    assert content.intake.quarantine == (("truncated", 2),)
    assert content.watchlist.older_sources == 1
    assert content.reference_dates == ("2015-04-01",)
    assert content.trend
    assert content.verdict.state
    assert [mark.kind for mark in content.marks] == ["takedown", "other"]


def test_no_path_and_no_address_is_published(tmp_path: Path) -> None:
    content = made(tmp_path, make_view(3))
    text = json.dumps(asdict(content), default=str) + render(content)
    assert "secret" not in text
    assert "192.0.2" not in text


def test_no_small_count_leaves_the_room(tmp_path: Path) -> None:
    content = made(tmp_path, make_view(15, clients=40, small=3))
    counts: list[Any] = []
    places: list[Country | Network] = [*content.countries, *content.networks]
    for row in places:
        counts += [row.clients, row.queries, row.pulse.first, row.pulse.last]
        assert all(value is None or value >= 10 for value in row.pulse.values)
    counts += [count for day in content.days for count in (day.clients, day.queries)]
    assert all(not 0 < (shown(count) or 0) < 10 for count in counts)
    # The total is known (40 clients): the only large country is hidden with the small ones.
    assert content.countries[0].clients is Hidden.LINKED
    assert content.networks[0].clients is Hidden.LINKED


def test_an_internal_report_hides_nothing(tmp_path: Path) -> None:
    content = made(tmp_path, make_view(3, clients=24, small=3), internal=True)
    assert [row.clients for row in content.countries] == [20, 3, 1]
    assert content.minimum_count == 0


def test_totals_go_when_they_would_give_a_count_away(tmp_path: Path) -> None:
    content = made(tmp_path, make_view(2, clients=4, small=3))
    found = {measure.quantity: measure for measure in content.measures}
    assert found["clients"].hidden
    assert found["clients"].value is None
    assert "too few" in render(content)


def test_one_day_of_data_cannot_tell(tmp_path: Path) -> None:
    content = made(tmp_path, make_view(1))
    assert content.verdict.state == "cannot_tell"
    assert content.trend == ()
    assert "Cannot tell yet" in render(content)


def test_nothing_matched(tmp_path: Path) -> None:
    view = make_view(16)
    for table in ("sightings", "activity", "clients"):
        view.rows[table] = []
    content = made(tmp_path, view)
    assert not any((content.countries, content.networks, content.names))
    assert all(day.queries == 0 for day in content.days)
    render(content)


def test_no_traffic_at_all_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoData, match="ingest"):
        made(tmp_path, MadeUpView({}))


def test_days_cut_by_the_window_are_gaps(tmp_path: Path) -> None:
    window = Window(START + timedelta(hours=12), START + timedelta(days=3))
    content = made(tmp_path, make_view(4), window=window)
    assert [day.gap for day in content.days] == [True, False, False]


def test_the_digest_is_of_the_numbers_alone(tmp_path: Path) -> None:
    content = made(tmp_path, make_view(2))
    assert digest(replace(content, generated=START, version="9")) == content.digest
    assert digest(replace(content, names_total=99)) != content.digest


def test_hostile_names_pass_through_to_the_page_escaped(tmp_path: Path) -> None:
    view = make_view(2, name="<script>x.evil.example", as_name="<img src=x onerror=alert(1)>\u202e")
    text = render(made(tmp_path, view, minimum=1))
    assert "<script" not in text
    assert "<img" not in text
    assert "\u202e" not in text
    assert "&lt;script&gt;x.evil.example" in text
