"""The servers behind a scenario's names, as files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network, summarize_address_range
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from remnant.capture import ReadOptions
from remnant.capture.pdns_rows import SIMULATED, SIMULATOR
from remnant.capture.readers import recognise
from remnant.capture.stream import ByteStream
from remnant.simulate import scenarios
from remnant.simulate.infrastructure import Written, write_infrastructure
from remnant.simulate.networks import build
from remnant.simulate.questions import SINKHOLE_V4, c2_address
from remnant.watchlist import Watchlist

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.simulate.scenario import Scenario


class Made(NamedTuple):
    """A scenario whose servers were written, and what was."""

    scenario: Scenario
    out: Path
    written: Written


@pytest.fixture(scope="module", params=["beebone", "kelihos", "zbot"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return write(request.param, tmp_path_factory.mktemp(request.param))


def write(name: str, out: Path, seed: int = 3) -> Made:
    scenario = scenarios()[name]
    for folder in ("traffic", "truth"):
        (out / folder).mkdir()
    networks = build(scenario, 3000, np.random.Generator(np.random.PCG64(seed)))
    return Made(scenario, out, write_infrastructure(scenario, out, seed, networks))


class Read(NamedTuple):
    """What a reader made of a file; ``lines`` it read, ``bad`` of them could not be used."""

    format: str
    answers: pa.Table
    notes: list[str]
    lines: int
    bad: int


def read(path: Path) -> Read:
    options = ReadOptions(now=datetime(2026, 1, 1, tzinfo=UTC), answers="all")
    with ByteStream(path.open("rb"), path.name) as stream:
        reader = recognise(stream.head())
        assert reader is not None
        batches = list(reader.read(stream, Watchlist.compile(()), options))
    return Read(
        reader.name,
        pa.Table.from_batches([batch.answers for batch in batches if batch.answers is not None]),
        [note for batch in batches for note in batch.notes],
        sum(batch.records for batch in batches),
        sum(batch.quarantine.num_rows for batch in batches),
    )


def test_both_files_are_read_whole_and_say_that_they_are_made_up(made: Made) -> None:
    folder = made.out / "traffic" / "passive-dns"
    found = {path.name: read(path) for path in sorted(folder.iterdir())}
    assert {name: one.format for name, one in found.items()} == {
        "flux.passivedns.zst": "passivedns",
        "history.cof.zst": "cof",
    }
    for one in found.values():
        assert SIMULATED in one.notes
        assert one.bad == 0
        assert SIMULATOR in one.answers["rrname"].to_pylist()
    # The first line of each says who wrote it.
    assert sum(one.lines - 1 for one in found.values()) == made.written.records <= 50_000
    assert found["flux.passivedns.zst"].answers["ttl_low"].null_count == 0


def test_seized_names_move_from_their_server_to_the_sinkhole_at_the_takedown(made: Made) -> None:
    answers = read(made.out / "traffic" / "passive-dns" / "history.cof.zst").answers
    name = made.scenario.names[0].name
    own = answers.filter((pc.field("rrname") == name) & (pc.field("rrtype") == 1))
    rows = own.to_pylist()
    before = [row for row in rows if row["rdata"] == c2_address(0)]
    after = [row for row in rows if row["rdata"] == SINKHOLE_V4]
    assert before
    assert after
    assert max(row["time_last"] for row in before) <= made.scenario.takedown
    assert min(row["time_first"] for row in after) >= made.scenario.takedown
    assert len({row["rdata"] for row in rows}) > 2


def test_the_prefixes_cover_every_address_of_the_history(made: Made) -> None:
    answers = read(made.out / "traffic" / "passive-dns" / "history.cof.zst").answers
    networks = {
        str(network)
        for first, last, *_ in made.written.prefixes
        for network in summarize_address_range(ip_address(first), ip_address(last))
    }
    addresses = answers.filter(pc.field("rrtype") == 1)["rdata"]
    for text in set(map(str, addresses.to_pylist())) - {"127.0.0.1"}:
        assert str(ip_network(f"{text}/24", strict=False)) in networks


def test_the_truth_of_flux_agrees_with_the_log(made: Made) -> None:
    answers = read(made.out / "traffic" / "passive-dns" / "flux.passivedns.zst").answers
    truth = pq.read_table(made.out / "truth" / "flux.parquet").to_pylist()
    for row in truth:
        kept = answers.filter((pc.field("rrname") == row["name"]) & (pc.field("rrtype") == 1))
        assert len(set(kept["rdata"].to_pylist())) == row["addresses"]
    assert any(row["flux"] for row in truth) == (made.scenario.name != "beebone")


def test_registrations_name_whom_to_ask(made: Made) -> None:
    files = sorted((made.out / "rdap").iterdir())
    assert len(files) > 10
    for path in files:
        found = json.loads(path.read_text(encoding="utf-8"))
        assert found["objectClassName"] in {"domain", "ip network"}
        assert "abuse@" in path.read_text(encoding="utf-8")
        for event in found["events"]:
            assert datetime.fromisoformat(event["eventDate"]).tzinfo is not None


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    parts = [tmp_path / "a", tmp_path / "b"]
    for part in parts:
        part.mkdir()
        write("zbot", part)
    for path in sorted(parts[0].rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (parts[1] / path.relative_to(parts[0])).read_bytes()
