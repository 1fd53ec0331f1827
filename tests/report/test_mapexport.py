from __future__ import annotations

import csv
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from remnant.errors import RemnantError
from remnant.report.mapexport import FORMATS, csv_tables, map_bytes, write_map
from report.mapsample import FACTS, HOSTILE, candidates, hostile, sample

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("format_", sorted(set(FORMATS) - {"png", "traffic-png"}))
def test_every_format_is_written_and_the_same_each_time(format_: str, tmp_path: Path) -> None:
    paths = write_map(
        sample(), candidates(sample()), format_, tmp_path / f"a.{FORMATS[format_]}", facts=FACTS
    )
    again = write_map(
        sample(), candidates(sample()), format_, tmp_path / f"b.{FORMATS[format_]}", facts=FACTS
    )

    assert len(paths) == (2 if format_ == "csv" else 1)
    for one, two in zip(paths, again, strict=True):
        assert one.read_bytes() == two.read_bytes()
        assert one.stat().st_size > 1000


def test_figures_become_png() -> None:
    data = map_bytes(hostile(), [], "png", facts=FACTS)

    assert data.startswith(b"\x89PNG")
    assert int.from_bytes(data[16:20]) == 2 * 1280


@pytest.mark.parametrize("format_", sorted(set(FORMATS) - {"csv", "png", "traffic-png"}))
def test_small_networks_are_in_no_published_file(format_: str) -> None:
    shown = map_bytes(sample(), [], format_, facts=FACTS)
    inside = map_bytes(sample(), [], format_, facts=replace(FACTS, minimum=0))

    assert b"ISP 19" not in shown
    assert b"AS65019" not in shown
    if format_ in {"viewer", "graphml", "gexf"}:
        assert b"AS65019" in inside


def test_cells_that_a_spreadsheet_would_run_are_neutralised() -> None:
    for text in csv_tables(hostile()):
        rows = list(csv.reader(text.splitlines()))
        assert len({len(row) for row in rows}) == 1
        cells = {cell for row in rows[1:] for cell in row}
        assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "@"))]
        assert f"'{HOSTILE[2]}" in cells
        assert "\u202e" not in text


def test_edges_in_csv_name_their_ends() -> None:
    rows = list(csv.DictReader(csv_tables(sample())[1].splitlines()))

    assert rows[0]["tail_kind"] == "address"
    assert rows[0]["head_value"].endswith("/30")
    assert len(rows) == sample().edges.num_rows


def test_previous_positions_are_kept_in_the_viewers_data() -> None:
    read = json.loads(
        map_bytes(sample(), [], "viewer", facts=FACTS, previous={"sinkhole 192.0.2.53": (7.0, 8.0)})
    )

    assert (read["nodes"]["x"][0], read["nodes"]["y"][0]) == (70, 80)


def test_unknown_formats_and_lights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RemnantError, match="unknown format"):
        write_map(sample(), [], "visio", tmp_path / "x", facts=FACTS)
    with pytest.raises(RemnantError, match="unknown traffic light"):
        write_map(sample(), [], "stix", tmp_path / "x", facts=FACTS, tlp="blue")
