"""``remnant map`` as a person uses it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from remnant.cli import main
from remnant.cli_map import MapFormat
from remnant.report.mapexport import FORMATS

if TYPE_CHECKING:
    from pathlib import Path

CASE = """
[case]
name = "taken"
title = "Taken"
takedown = 2015-04-08
[[watch]]
names = ["c2.evil.com", "c2.evil.net"]
state = "seized"
"""
RECORDS = (
    ("c2.evil.com", "A", "5.6.7.8"),
    ("c2.evil.net", "A", "5.6.7.8"),
    ("hidden.org", "A", "5.6.7.8"),
    ("evil.com", "NS", "ns1.own.org"),
    ("c2.evil.net", "A", "127.0.0.1"),
    *((f"site{i}.info", "A", "5.6.7.9") for i in range(40)),
    ("c2.evil.com", "A", "5.6.7.9"),
)


Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run commands in this process, in a home that knows the case and its records."""

    def running(*arguments: object, code: int = 0) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert (stop.value.code or 0) == code, err
        return out if code == 0 else err

    (tmp_path / "case.toml").write_text(CASE, encoding="utf-8")
    running("case", "import", tmp_path / "case.toml")
    span = [int(datetime(2015, month, 1, tzinfo=UTC).timestamp()) for month in (3, 5)]
    lines = [
        json.dumps(
            {
                "rrname": name,
                "rrtype": rrtype,
                "rdata": data,
                "time_first": span[0],
                "time_last": span[1],
                "count": 5,
            }
        )
        for name, rrtype, data in RECORDS
    ]
    (tmp_path / "records.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    running("pdns", "import", tmp_path / "records.jsonl")
    return running


def test_the_map_its_candidates_and_its_files(run: Run, tmp_path: Path) -> None:
    told = json.loads(run("map", "taken", "--format", "json"))
    values = {row["value"]: row for row in told["nodes"]}
    assert {"5.6.7.8", "hidden.org", "ns1.own.org", "5.6.7.9"} <= set(values)
    assert "site1.info" not in values
    assert values["5.6.7.9"]["hub"].startswith("shared hosting: 40 other")
    reasons = {row["reason"]: row["count"] for row in told["left_out"]}
    assert reasons == {"address of no public host (loopback)": 1, "behind a hub only": 40}

    found = json.loads(run("map", "taken", "--candidates", "--format", "json"))
    assert {row["value"] for row in found} == {"hidden.org", "ns1.own.org"}
    assert all(row["reasons"] and 0 < row["score"] < 1 for row in found)
    (one,) = json.loads(
        run("map", "taken", "--candidates", "--kind", "address", "--format", "json")
    )
    assert (one["kind"], one["value"]) == ("address", "5.6.7.8")

    text = run("map", "taken")
    assert "40 other registered domains" in text
    assert "behind a hub only" in text

    rows = list(csv.DictReader(io.StringIO(run("map", "taken", "--format", "csv"))))
    assert ("hidden.org", "resolves_to", "5.6.7.8") in {
        (row["tail"], row["type"], row["head"]) for row in rows
    }

    viewer = json.loads(run("map", "taken", "--layout"))
    assert viewer["format"] == "remnant-map"
    run("map", "taken", "--format", "graphml", "-o", tmp_path / "map.graphml")
    assert b"hidden.org" in (tmp_path / "map.graphml").read_bytes()


def test_windows_and_rounds(run: Run) -> None:
    early = json.loads(run("map", "taken", "--until", "2015-01-01", "--format", "json"))
    assert early["edges"] == [] or all(row["type"] == "below" for row in early["edges"])
    near = json.loads(run("map", "taken", "--hops", "1", "--format", "json"))
    assert "hidden.org" not in {row["value"] for row in near["nodes"]}


def test_every_format_of_a_map_can_be_asked_for(run: Run, tmp_path: Path) -> None:
    assert set(FORMATS) <= {format_.value for format_ in MapFormat}
    # The figure of traffic needs no other option; without traffic it says so.
    path = tmp_path / "traffic.svg"
    run("map", "taken", "--format", "traffic-svg", "-o", path)
    assert ET.fromstring(path.read_text(encoding="utf-8")).tag.endswith("svg")
    said = run("map", "taken", "--format", "traffic-png", code=1)
    assert "a picture is not printed" in said
    assert "--format traffic-png" in said


@pytest.mark.parametrize(
    "options", [["--format", "png"], ["--candidates", "--format", "svg"], ["-o", "x.json"]]
)
def test_options_that_do_not_go_together_are_refused(run: Run, options: list[str]) -> None:
    assert "remnant: " in run("map", "taken", *options, code=1)
