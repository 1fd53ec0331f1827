from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from dnstap_writer import CLIENT_QUERY, message, query, stream
from remnant.store import Store
from web.conftest import settings_of
from web.hostile import CASE, QUIET
from web.own_home import HTML, own_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from story.telling import Place
    from web.own_home import Own

SENSORS = f"/cases/{CASE}/sensors"


@pytest.fixture(scope="module")
def own(filled: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    with own_home(filled, tmp_path_factory.mktemp("sensors")) as opened:
        yield opened


def test_sensors_are_those_of_the_command(own: Own) -> None:
    told = own.place.ask("sensor", "list", CASE)
    shown = own.json(f"{SENSORS}.json")["sensors"]
    assert len(told) == len(shown) == 2
    for page, command in zip(shown, told, strict=True):
        for key in ("sensor", "vantage", "hours", "messages"):
            assert page[key] == command[key]
        for key in ("first", "last"):
            assert datetime.fromisoformat(page[key]) == datetime.fromisoformat(command[key])


def test_hours_in_which_a_sensor_was_silent_are_gaps(own: Own) -> None:
    rows = [row for row in own.json(f"{SENSORS}.json")["sensors"] if row["expected"]]
    assert rows
    for row in rows:
        assert row["covered"] + row["gap_hours"] == row["expected"]
        assert row["coverage"] == pytest.approx(row["covered"] / row["expected"])
        assert sum(gap["hours"] for gap in row["gaps"]) <= row["gap_hours"]
    # The two name servers of this home take turns, hour by hour.
    assert any(row["gaps_total"] > 20 for row in rows)


def test_a_dead_sensor_is_told_as_dead_and_not_as_clean(own: Own) -> None:
    html = own.page(SENSORS)
    assert "that is not a clean-up" in html
    assert "<b>ns1" not in html
    assert "&lt;b&gt;ns1&lt;/b&gt;" in html


def test_a_sensor_is_retired_and_expected_again_by_form(own: Own) -> None:
    fields = {"sensor": "<b>ns1</b>", "at": "2015-04-20"}
    answer = own.send(SENSORS, f"{SENSORS}/retire", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, SENSORS)
    told = {row["sensor"]: row["retired"] for row in own.place.ask("sensor", "list", CASE)}
    assert told["<b>ns1</b>"] == "2015-04-20T00:00:00Z"
    assert "not expected any more from" in own.page(SENSORS)
    answer = own.send(SENSORS, f"{SENSORS}/retire", sensor="<b>ns1</b>", undo="true")
    assert answer.status_code == 303
    told = {row["sensor"]: row["retired"] for row in own.place.ask("sensor", "list", CASE)}
    assert told["<b>ns1</b>"] is None
    again = own.send(SENSORS, f"{SENSORS}/retire", sensor="<b>ns1</b>", undo="true")
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"sensor": "nobody", "at": "2015-04-20"}, 404),
        ({"sensor": "ns1", "at": "someday"}, 422),
        ({"sensor": "ns1", "at": ""}, 422),
        ({"sensor": "ns1", "at": "9" * 100}, 422),
        ({"at": "2015-04-20"}, 422),
    ],
)
def test_what_cannot_be_retired_is_refused(own: Own, fields: dict[str, str], status: int) -> None:
    assert own.send(SENSORS, f"{SENSORS}/retire", **fields).status_code == status


def test_a_form_from_elsewhere_retires_nothing(own: Own) -> None:
    answer = own.client.post(
        f"{SENSORS}/retire", data={"sensor": "ns1", "at": "2015-04-20"}, headers=HTML
    )
    assert answer.status_code == 403


def test_a_store_that_somebody_writes_to_is_said_to_be_busy(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remnant.web.writing._MOST_S", 0.05)
    with Store.open(settings_of(own.place), write=True):
        answer = own.send(SENSORS, f"{SENSORS}/retire", sensor="ns1", at="2015-04-20")
    assert answer.status_code == 503
    assert "What to do" in answer.text


def test_sources_come_by_pages(own: Own) -> None:
    whole = own.json(f"{SENSORS}.json")
    assert whole["sources_total"] == len(whole["sources"]) == 1
    assert own.client.get(f"{SENSORS}.json?after=nonsense").status_code == 422
    assert own.client.get(f"{SENSORS}.json?limit=0").status_code == 422


def test_a_live_sensor_says_its_rate_and_over_what_it_is_measured(
    filled: Place, tmp_path: Path
) -> None:
    now = datetime.now(tz=UTC)
    asked = [
        message(
            CLIENT_QUERY,
            query("c2.evil.example"),
            time=(now - timedelta(seconds=2 + number)).timestamp(),
            identity=b"fresh",
        )
        for number in range(60)
    ]
    with own_home(filled, tmp_path) as own:
        (tmp_path / "new.dnstap").write_bytes(stream(*asked))
        own.place.do("ingest", CASE, tmp_path / "new.dnstap")
        rows = {row["sensor"]: row for row in own.json(f"{SENSORS}.json")["sensors"]}
        rate = rows["fresh"]["rate"]
        assert rate["matched_per_s"] == pytest.approx(60 / 300)
        assert rate["messages_per_s"] == pytest.approx(60 / rate["messages_over_s"])
        assert 300 <= rate["messages_over_s"] <= 3900
        assert rows["ns1"]["rate"] is None
        assert "● live" in own.page(SENSORS)


def test_a_case_without_traffic_says_so(own: Own) -> None:
    assert own.json(f"/cases/{QUIET}/sensors.json")["sensors"] == []
    assert "No sensor delivered anything yet" in own.page(f"/cases/{QUIET}/sensors")


def test_a_sinkhole_that_runs_shows_what_it_counts_before_anything_is_stored(own: Own) -> None:
    from remnant.sinkhole.published import Publisher

    quiet = own.json(f"{SENSORS}.json")
    assert quiet["running"] == []
    assert "No sinkhole of this home runs for this case now" in own.page(SENSORS)
    steady = iter((0.0, 2.0))
    told = Publisher(own.place.home, clock=lambda: next(steady))
    try:
        told.turn({}, "<b>sink</b>", [CASE, "other"])
        told.turn({"rows": 30, "committed_rows": 12, "lost": 5}, "<b>sink</b>", [CASE, "other"])
        busy = own.json(f"{SENSORS}.json")
        (one,) = busy["running"]
        assert (one["events"], one["committed"], one["lost"], one["unkept"]) == (30, 12, 5, 0)
        assert (one["per_s"], one["over_s"], one["cases_served"]) == (15.0, 2.0, 2)
        assert 0 <= one["last_event_age_s"] < 60
        # What is stored is what it was: the two are told apart.
        assert busy["sensors"] == quiet["sensors"]
        page = own.page(SENSORS)
        assert "15 events/s" in page
        assert "over all 2 cases that it serves" in page
        assert "&lt;b&gt;sink&lt;/b&gt;" in page
        assert "<b>sink" not in page
    finally:
        told.close()
    assert own.json(f"{SENSORS}.json")["running"] == []
