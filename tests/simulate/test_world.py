"""What a scenario can be asked for beside bots: losses, blocking, generated names, a return."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from remnant import simulate
from remnant.simulate.kelihos import KELIHOS
from remnant.simulate.surroundings import Blocking, Dga, Loss, Noise, Outage
from remnant.simulate.zbot import ZBOT
from simulate.conftest import SHORT

if TYPE_CHECKING:
    from remnant.simulate.scenario import Scenario
    from remnant.simulate.sightings import Observed

pytestmark = pytest.mark.xdist_group("simulate")

TAKEDOWN = SHORT.takedown
QUIET = replace(SHORT, noise=Noise(clients=0, events=0), innocent_queries=10.0, malformed=0.0)


def at(made: Observed, vantage: str, sensor: str | None = None) -> np.ndarray:
    table = made.sightings.select(["time", "vantage", "sensor"]).to_pandas()
    mine = (table.vantage == vantage) & ((table.sensor == sensor) | (sensor is None))
    return np.asarray(table.time[mine].dt.tz_localize(None).to_numpy("datetime64[us]"))


def rows(made: Observed, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made.truth[table].to_pylist()
    return found


def test_a_silent_sensor_and_a_cut_off_region_lose_what_is_theirs_only() -> None:
    since = TAKEDOWN + timedelta(hours=6)
    until = TAKEDOWN + timedelta(hours=12)
    lossy = replace(
        QUIET,
        losses=(Loss("resolver-a", since, until), Loss("sinkhole", since, until)),
        outages=(Outage("IR", 1.0, since, until),),
    )
    made = simulate.observed(lossy, scale=0.01, seed=3)
    span = (np.datetime64(since.replace(tzinfo=None)), np.datetime64(until.replace(tzinfo=None)))

    for vantage, sensor in (("resolver", "resolver-a"), ("sinkhole_http", "sinkhole")):
        times = at(made, vantage, sensor)
        assert times.size > 500
        assert not ((times >= span[0]) & (times < span[1])).any()
    other = at(made, "resolver", "resolver-b")
    assert ((other >= span[0]) & (other < span[1])).any()
    hours = {(row["sensor"], row["hour"]) for row in made.coverage.to_pylist()}
    for hour in range(6, 12):
        assert ("sinkhole", TAKEDOWN + timedelta(hours=hour)) not in hours
        assert ("resolver-b", TAKEDOWN + timedelta(hours=hour)) in hours
    assert ("sinkhole", TAKEDOWN + timedelta(hours=12)) in hours
    day = made.sightings.filter(
        np.asarray((made.sightings["country"].to_pandas() == "IR").to_numpy())
    )
    times = day["time"].to_pandas().dt.tz_localize(None).to_numpy("datetime64[us]")
    assert times.size > 100
    assert not ((times >= span[0]) & (times < span[1])).any()


def test_bots_of_a_blocking_resolver_go_on_asking_and_no_longer_come() -> None:
    open_ = simulate.observed(QUIET, scale=0.01, seed=3)
    names = tuple(identity for identity, _ in QUIET.resolvers)
    shut = simulate.observed(
        replace(QUIET, blocking=Blocking(share=1.0, observed=names)), scale=0.01, seed=3
    )

    assert at(shut, "resolver").size == at(open_, "resolver").size
    # Those with farms and resolvers of their own are left: 40 % of the 20 % that nobody observes.
    assert 0.02 < at(shut, "sinkhole_http").size / at(open_, "sinkhole_http").size < 0.15
    after = shut.sightings.filter(np.asarray(shut.sightings["time"].to_pandas() >= TAKEDOWN))
    seen = after.filter(np.asarray((after["vantage"].to_pandas() == "resolver").to_numpy()))
    assert (seen["rcode"].to_pandas() == 3).mean() > 0.9


def test_noise_is_known_to_the_truth() -> None:
    made = simulate.observed(
        replace(QUIET, noise=Noise(clients=0.1, events=0.1)), scale=0.01, seed=3
    )
    noise = rows(made, "noise")

    assert {"scanner", "sandbox", "monitor", "spoofed"} <= {row["kind"] for row in noise}
    events = sum(row["events"] for row in noise)
    seen = at(made, "sinkhole_http").size + at(made, "sinkhole_dns").size
    assert 0.02 < events / seen < 0.3
    for row in rows(made, "vantages"):
        mine = made.sightings.select(["time", "vantage", "client"]).to_pandas()
        mine = mine[(mine.vantage == row["vantage"]) & (mine.time.dt.date == row["day"])]
        assert (len(mine), mine.client.nunique()) == (row["queries"], row["clients"])


def generated(barrel: Any, lookups: int, *, owned: int = 0) -> Scenario:
    dga = Dga("newgoz", barrel, lookups, owned, share=1.0, again=False, pause_seconds=0.01)
    start = datetime(2014, 8, 1, tzinfo=UTC)
    return replace(
        ZBOT, since=start, until=start + timedelta(days=2), curve=(), clock_skew=0.0, dga=dga,
        noise=Noise(clients=0, events=0), clients_a_day=2_000.0, innocent_queries=10.0,
        half_life_days=400.0,
    )  # fmt: skip


@pytest.mark.parametrize("barrel", ["uniform", "randomcut", "sampling", "permutation"])
def test_a_barrel_asks_in_its_order(barrel: str) -> None:
    from remnant.cases.dga import generate

    made = simulate.observed(generated(barrel, 50), scale=0.03, seed=3)
    table = made.sightings.select(["time", "name", "client", "vantage"]).to_pandas()
    day = datetime(2014, 8, 1, tzinfo=UTC).date()
    order = {name: i for i, name in enumerate(generate("newgoz", day))}
    table = table[table.name.isin(list(order)) & (table.vantage == "resolver")]
    place = table.name.map(order)

    assert len(table) > 1_000
    per_client = table.groupby("client").name.agg(["size", "nunique"])
    assert (per_client["size"] % 50 == 0).mean() > 0.9
    if barrel == "uniform":
        assert set(place) == set(range(50))
    else:
        assert place.nunique() > 600
    one = table[table.client == per_client[per_client["size"] == 50].index[0]]
    steps = np.diff(one.sort_values("time").name.map(order)) % 1000
    assert (steps == 1).all() == (barrel in {"uniform", "randomcut"})
    assert one.name.nunique() == 50


def test_an_activation_stops_at_a_name_of_the_sinkhole_and_the_bot_comes() -> None:
    made = simulate.observed(generated("randomcut", 200, owned=4), scale=0.1, seed=3)
    every = [row for row in rows(made, "dga") if row["behind"] == "all"]
    bots = sum(row["bots"] for row in every)
    came = sum(
        row["clients"] for row in rows(made, "vantages") if row["vantage"] == "sinkhole_http"
    )

    assert sum(row["activations"] for row in every) >= bots > 150
    # 1 - (1 - 0.2) ** 4 on average over days; two days of four names each vary.
    assert 0.3 < came / bots < 0.85
    assert sum(row["lookups"] for row in every) < 200 * sum(row["activations"] for row in every)


def test_newgoz_grows_as_published() -> None:
    lone = replace(
        ZBOT,
        since=datetime(2014, 7, 12, tzinfo=UTC),
        until=datetime(2014, 7, 27, tzinfo=UTC),
        clients_a_day=10.0,
        innocent_queries=10.0,
        half_life_days=400.0,
        noise=Noise(clients=0, events=0),
    )
    made = simulate.observed(lone, scale=0.1, seed=2)
    seen = {row["day"].isoformat(): row["clients"] for row in rows(made, "vantages")
            if row["vantage"] == "sinkhole_http"}  # fmt: skip

    assert seen["2014-07-25"] / 0.1 == pytest.approx(8_494, rel=0.2)
    assert seen["2014-07-14"] < seen["2014-07-21"] < seen["2014-07-25"] / 5


def test_kelihos_comes_back_with_names_that_the_case_does_not_list() -> None:
    assert KELIHOS.comeback is not None
    back = KELIHOS.comeback.at
    short = replace(
        KELIHOS,
        since=back - timedelta(days=4),
        until=back + timedelta(days=7),
        takedown=back - timedelta(days=3),
        innocent_queries=10.0,
        half_life_days=400.0,
    )
    made = simulate.observed(short, scale=0.02, seed=3)
    http = [row["clients"] for row in rows(made, "vantages") if row["vantage"] == "sinkhole_http"]
    alive = [row["alive_bots"] for row in rows(made, "activity_days") if row["behind"] == "all"]

    assert np.mean(http[-2:]) < 0.8 * np.mean(http[1:4])
    assert alive[-1] > 0.98 * alive[0]
    listed = set(made.sightings["name"].unique().to_pylist())
    assert not listed & set(KELIHOS.comeback.names)
