from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remnant import simulate
from remnant.schema import COVERAGE, SIGHTINGS
from simulate.conftest import SCALE, SEED, SHORT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("simulate")

GROUPS = ["day", "vantage", "sensor", "name", "indicator", "asn", "rcode", "proof", "unit"]


def test_memory_holds_what_ingesting_the_files_gives(
    short: simulate.SimulationResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import duckdb

    from remnant.cli import main

    monkeypatch.setenv("REMNANT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REMNANT_SITE_KEY", str(tmp_path / "key"))
    for words in (
        ["case", "import", str(short.case_file), "--prefixes", str(short.prefixes)],
        ["ingest", short.case, str(short.traffic)],
    ):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code in {0, None}
    held = simulate.observed(SHORT, scale=SCALE, seed=SEED)

    assert held.sightings.schema == SIGHTINGS.arrow
    assert held.coverage.schema == COVERAGE.arrow
    files = [str(path) for path in (tmp_path / "home").rglob("sightings/**/*.parquet")]
    memory = held.sightings
    keys = ", ".join(GROUPS)
    query = (
        f"SELECT {keys}, detail, count(*), count(DISTINCT client), count(DISTINCT ecs), "
        "min(time), max(time) FROM (SELECT *, time::DATE AS day FROM {}) GROUP BY ALL ORDER BY ALL"
    )
    with duckdb.connect() as base:
        base.execute("SET TimeZone = 'UTC'")
        stored = base.sql(
            query.format(f"read_parquet({files}, union_by_name=true, hive_partitioning=false)")
        ).fetchall()
        made = base.sql(query.format("memory")).fetchall()
    assert len(memory) > 5_000
    assert made == stored
    assert {row[1] for row in made} == {"resolver", "sinkhole_dns", "sinkhole_http", "sinkhole_tcp"}
