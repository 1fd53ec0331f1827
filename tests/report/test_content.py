from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from estimate.fakeview import FakeView
from remnant.cases.model import Watch
from remnant.errors import NoData
from remnant.report.content import digest, gather
from remnant.report.figures import figures
from remnant.report.html import render
from remnant.report.suppress import Hidden, shown
from remnant.windows import Window
from report.madeup import START, make_case, make_settings, make_view, roll_up

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.report.facts import Content, Country, Network

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def made(tmp_path: Path, view: FakeView, **more: Any) -> Content:
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
    assert found["clients"].hidden is Hidden.SMALL
    assert found["clients"].value is None
    assert "too few" in render(content)


def lookups(view: FakeView, messages: int) -> FakeView:
    """Make the sensors see so many messages for each matched one."""
    for row in view.rows["coverage"]:
        row["messages"] = messages * row["matched"]
    view.sources[0].records = sum(row["messages"] for row in view.rows["coverage"])
    return view


def test_a_count_hidden_for_another_is_not_called_too_small(tmp_path: Path) -> None:
    # Ten in one country and three in another: their sum would give the three away.
    content = made(tmp_path, make_view(15, clients=13, small=13))
    text = render(content)
    assert len(content.countries) == 2
    found = {measure.quantity: measure for measure in content.measures}
    assert found["clients"].hidden is Hidden.LINKED
    assert "would give a small count away" in text
    assert {day.online for day in content.days} == {Hidden.LINKED}
    assert content.trend == ()


def test_a_hidden_total_stands_nowhere(tmp_path: Path) -> None:
    # One request each: 12 and one; nothing protects the one while the total is known.
    view = make_view(1, clients=13, small=12)
    first = [row for row in view.rows["sightings"] if row["time"] == START]
    view.rows["sightings"] = first
    view.rows["activity"] = roll_up(first)
    for row in view.rows["coverage"]:
        row["matched"] = 13 if row["hour"] == START else 0
    lookups(view, 2)
    content = made(tmp_path, view)
    found = {measure.quantity: measure for measure in content.measures}
    assert found["queries"].hidden is Hidden.LINKED
    assert found["clients"].hidden is Hidden.LINKED
    assert all(measure.n != 13 for measure in content.measures)
    (day,) = content.days
    assert (day.queries, day.clients) == (Hidden.LINKED, Hidden.LINKED)
    (name,) = content.names
    assert (name.queries, name.clients) == (Hidden.LINKED, Hidden.LINKED)
    (sensor,) = content.intake.sensors
    assert (sensor.matched, sensor.messages) == (Hidden.LINKED, Hidden.LINKED)
    assert content.intake.sources[0].records is Hidden.LINKED
    for figure in figures(content):
        assert not {13, 26} & {cell for row in figure.rows for cell in row if cell is not None}
    assert not re.search(r">(13|26)<", render(content))


def test_a_sensor_that_matched_few_is_hidden_with_another(tmp_path: Path) -> None:
    view = make_view(2, clients=40, small=15)
    view.rows["coverage"].append(view.rows["coverage"][0] | {"sensor": "b", "matched": 3})
    content = made(tmp_path, view)
    assert [row.matched for row in content.intake.sensors] == [Hidden.LINKED, Hidden.SMALL]
    assert [row.messages for row in content.intake.sensors] == [48000, 1000]


def test_clients_online_under_the_minimum_are_hidden_everywhere(tmp_path: Path) -> None:
    content = made(tmp_path, make_view(16, clients=4, small=3))
    found = {measure.quantity: measure for measure in content.measures}
    for name in ("active_clients", "online_hosts", "peak_day_clients"):
        assert (found[name].value, found[name].hidden) == (None, Hidden.SMALL)
    assert {day.online for day in content.days} == {Hidden.SMALL}
    assert content.trend == ()
    assert "No trend is drawn: small counts are not published." in render(content)
    (values,) = (item for item in content.verdict.evidence if "in an average hour" in str(item))
    assert isinstance(values, Mapping)
    assert values["sentence"] == (
        "Clients online in an average hour: <10 in the first 7 fitted days, <10 in the last 7."
    )
    online = next(figure for figure in figures(content) if figure.key == "online")
    assert {row[1] for row in online.rows} == {"<10"}
    assert {row[2] for row in online.rows} == {None}


def test_a_mean_over_a_hidden_day_is_hidden(tmp_path: Path) -> None:
    view = make_view(16, clients=60, small=25)
    low = START + timedelta(days=14)
    view.rows["sightings"] = [
        row
        for row in view.rows["sightings"]
        if row["client"] < 4 or not low <= row["time"] < low + timedelta(days=1)
    ]
    view.rows["activity"] = roll_up(view.rows["sightings"])
    content = made(tmp_path, view)
    found = {measure.quantity: measure for measure in content.measures}
    assert content.days[14].online is Hidden.SMALL
    assert found["active_clients"].hidden is Hidden.LINKED
    assert found["online_hosts"].hidden is Hidden.LINKED
    assert "hidden in the last 7" in render(content)
    shown = made(tmp_path, view, internal=True)
    assert not any(measure.hidden for measure in shown.measures)


def test_what_was_added_or_lost_is_a_mark_on_the_curves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = timedelta(days=1)
    monkeypatch.setattr(
        "remnant.cases.library.Library.watched_since",
        lambda *_: {
            "*.evil.example": START - 9 * day, "new.example": START + 3 * day,
            "newer.example": START + 3 * day, "later.example": START + 900 * day,
        },
    )  # fmt: skip
    case = make_case(
        watches=(
            Watch(names=("*.evil.example",), since=START + 5 * day),
            Watch(names=("lost.example",), since=START, until=START + 7 * day),
        )
    )
    content = made(tmp_path, make_view(10), case=case)
    marks = [(mark.time - START, mark.kind, mark.note) for mark in content.marks]
    assert (3 * day, "names_added", "new.example, newer.example") in marks
    assert (5 * day, "names_added", "*.evil.example") in marks
    assert (7 * day, "names_lost", "lost.example") in marks
    assert len(marks) == 5  # and the takedown and an event
    assert content.names[0].since == START + 5 * day
    assert "names added: new.example" in render(content)


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
        made(tmp_path, FakeView({}))


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
