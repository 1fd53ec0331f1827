from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest
import zstandard

from remnant import simulate
from remnant.errors import SimulationError
from remnant.simulate.beebone import BEEBONE
from remnant.simulate.draws import STEP, normal
from remnant.simulate.kelihos import KELIHOS
from remnant.simulate.zbot import ZBOT
from simulate.conftest import SEED

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from remnant.simulate.scenario import Scenario


def test_an_unknown_scenario_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="beebone"):
        simulate.run("storm", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("scale", [0.0, -1.0, 8.5, float("nan"), float("inf")])
def test_scales_out_of_range_are_refused(tmp_path: Path, scale: float) -> None:
    with pytest.raises(SimulationError, match="scale"):
        simulate.run("beebone", tmp_path / "out", scale=scale)


@pytest.mark.parametrize("seed", [-1, 1 << 63])
def test_seeds_out_of_range_are_refused(tmp_path: Path, seed: int) -> None:
    with pytest.raises(SimulationError, match="seed"):
        simulate.run("beebone", tmp_path / "out", seed=seed)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")

    with pytest.raises(SimulationError, match="empty"):
        simulate.run("beebone", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_place_that_cannot_be_written_is_an_error_with_a_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SimulationError, match="file"):
        simulate.run("beebone", tmp_path / "file" / "out", scale=1e-5)


def test_progress_counts_the_days(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    short = replace(BEEBONE, until=datetime(2015, 3, 28, tzinfo=UTC))
    short = replace(short, takedown=datetime(2015, 3, 26, tzinfo=UTC))

    simulate.run(short, tmp_path / "out", scale=1e-5, progress=lambda *at: calls.append(at))

    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_the_folder_says_how_it_was_made(short: simulate.SimulationResult) -> None:
    made = json.loads((short.out / "scenario.json").read_text())

    assert made["simulated"] is True
    assert (made["scale"], made["seed"]) == (short.scale, SEED)
    assert (made["messages"], made["sightings"]) == (short.messages, short.sightings)
    assert made["parameters"]["half_life_days"] == 340


def test_the_published_facts_hold_in_the_traffic(tmp_path: Path) -> None:
    scale = 0.02
    month = replace(
        BEEBONE,
        since=datetime(2015, 4, 1, tzinfo=UTC),
        until=datetime(2015, 5, 8, tzinfo=UTC),
        innocent_queries=1_000.0,
    )
    result = simulate.run(month, tmp_path / "out", scale=scale)
    daily = pq.read_table(result.truth / "daily.parquet").to_pandas()
    clients = daily[daily.resolver == "all"].clients.to_numpy()[7:]
    networks = pq.read_table(result.truth / "networks.parquet").to_pandas()
    countries = networks.groupby(networks.country.astype(str)).clients.sum()
    ranked = countries.sort_values(ascending=False)
    sizes = networks.groupby("asn").clients.sum().sort_values(ascending=False)

    assert clients.mean() / scale == pytest.approx(37_000, rel=0.1)
    assert list(ranked.index[:2]) == ["IR", "PE"]
    assert ranked.iloc[1] > 1.3 * ranked.iloc[2]
    assert sizes[:50].sum() / sizes.sum() == pytest.approx(0.5, abs=0.06)


def test_the_published_half_life_is_in_the_default_demo_within_its_noise(tmp_path: Path) -> None:
    quiet = replace(BEEBONE, innocent_queries=0.0)
    result = simulate.run(quiet, tmp_path / "out", scale=0.01)
    daily = pq.read_table(result.truth / "daily.parquet").to_pandas()
    clients = daily[daily.resolver == "all"].clients.to_numpy()[14:]
    day = np.arange(clients.size)
    # A level of its own for each day of the week, one common rate.
    columns = np.column_stack([day, *(day % 7 == k for k in range(7))]).astype(float)
    rate = -np.linalg.lstsq(columns, np.log(clients), rcond=None)[0][0]

    # 370 clients a day: Poisson noise alone gives the rate a standard error of 0.00023.
    assert rate == pytest.approx(np.log(2) / 340, abs=0.0007)


# Digests of what a seed gives; where one changes, so do the figures of docs/quality.md.
ROUNDING = "74de2b6a430858d8"
TRAFFIC = {
    "beebone": "a7c39a2b0aa017e3",
    "kelihos": "db08956e26b6157c",
    "zbot": "35b659a410988830",
}
TABLES = {
    "beebone": "d3ade2c162ceff10",
    "kelihos": "607f4859e898885a",
    "zbot": "f03c8d0e4de4b7e8",
}
DAYS = {
    "beebone": (BEEBONE, datetime(2015, 4, 7, tzinfo=UTC), 0.004),
    "kelihos": (KELIHOS, datetime(2012, 3, 20, tzinfo=UTC), 0.004),
    "zbot": (ZBOT, datetime(2014, 7, 23, tzinfo=UTC), 0.01),
}


def some_days(name: str) -> tuple[Scenario, float]:
    """Return three days of a scenario: with its takedown, or with generated names."""
    if rounding() != ROUNDING:
        pytest.skip("logarithms or NumPy's draws are rounded otherwise here: other microseconds")
    scenario, since, scale = DAYS[name]
    return replace(scenario, since=since, until=since + timedelta(days=3)), scale


def rounding() -> str:
    """Return a digest of the functions that processors and libraries round differently."""
    random = np.random.Generator(np.random.PCG64(5))
    at = np.linspace(0.001, 30, 20_000)
    parts = [np.log(at), np.exp(-at), 2.0**-at, random.beta(1.2, 0.8, 5000), random.random(5000)]
    parts.append(random.poisson(40.0, 5000).astype(float))
    states = [np.uint64(int(STEP) * i % 2**64) for i in range(1, 5000)]
    parts.append(np.array([normal(state) for state in states]))
    return hashlib.blake2b(np.concatenate(parts).tobytes(), digest_size=8).hexdigest()


def of_table(table: pa.Table) -> str:
    """Return a digest of a table's values, whatever its dictionaries and chunks."""
    digest = hashlib.blake2b(digest_size=8)
    for name in table.column_names:
        digest.update(repr([name, table[name].to_pylist()]).encode())
    return digest.hexdigest()


@pytest.mark.parametrize("name", DAYS)
def test_a_seed_gives_the_same_decoded_traffic_and_truth_as_ever(name: str, tmp_path: Path) -> None:
    scenario, scale = some_days(name)
    made = simulate.run(scenario, tmp_path / "out", scale=scale, seed=3)
    digest = hashlib.blake2b(digest_size=8)

    for path in sorted(made.traffic.rglob("*.zst")):
        digest.update(path.relative_to(made.out).as_posix().encode())
        digest.update(zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read())
    for path in sorted(made.truth.glob("*.parquet")):
        digest.update(f"{path.name} {of_table(pq.read_table(path))}".encode())

    assert digest.hexdigest() == TRAFFIC[name]


@pytest.mark.parametrize("name", DAYS)
def test_a_seed_gives_the_same_sightings_clients_and_coverage_as_ever(name: str) -> None:
    scenario, scale = some_days(name)
    seen = simulate.observed(scenario, scale=scale, seed=3)

    found = [of_table(table) for table in (seen.sightings, seen.clients, seen.coverage)]
    found += [f"{word} {of_table(table)}" for word, table in sorted(seen.truth.items())]

    assert hashlib.blake2b(repr(found).encode(), digest_size=8).hexdigest() == TABLES[name]
