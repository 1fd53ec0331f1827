"""Zeek logs written by others: counts checked against independent counting."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from remnant.capture.readers import recognise
from remnant.capture.zeek import ZeekReader
from textlogs import counts, hours, notes, read, rows

if TYPE_CHECKING:
    from pathlib import Path

READER = ZeekReader()
LOCAL = {"5353", "5355", "137"}


def unpacked(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def test_three_days_of_hourly_logs(real_data: Path) -> None:
    files = sorted((real_data / "zeek" / "three-days").glob("*.log.gz"))
    assert len(files) == 72
    names: list[str] = []
    for path in files:
        data = unpacked(path)
        table = [line.split("\t") for line in data.decode().splitlines() if line[0] != "#"]
        asked = [cells for cells in table if cells[9] != "-" and cells[5] not in LOCAL]
        batches = read(READER, data)

        found = recognise(data)
        assert found is not None
        assert found.name == "zeek"
        assert counts(batches) == [len(asked), 0, len(table) - len(asked), 0]
        read_rows = rows(batches)
        assert [row["name"] for row in read_rows] == [
            "." if cells[9] == "(empty)" else cells[9].lower() for cells in asked
        ]
        assert [str(row["time"].timestamp()) for row in read_rows] == [
            str(float(cells[0])) for cells in asked
        ]
        assert [row["rcode"] for row in read_rows] == [
            None if cells[14] == "-" else int(cells[14]) for cells in asked
        ]
        names += [row["name"] for row in read_rows]
    assert len(names) > 5000


def test_all_logs_in_one_stream_with_headers_in_between(real_data: Path) -> None:
    parts = [unpacked(p) for p in sorted((real_data / "zeek" / "three-days").glob("*.log.gz"))]
    apart = [counts(read(READER, part)) for part in parts]
    together = read(READER, b"".join(parts), chunk=100_000)

    assert counts(together) == [sum(column) for column in zip(*apart, strict=True)]
    assert sum(batch.records for batch in together) == 5432


def test_json_with_relative_times(real_data: Path) -> None:
    data = unpacked(real_data / "zeek" / "mixed-json-dns.log.gz")
    lines = [json.loads(line) for line in io.BytesIO(data)]
    local = sum(str(line["id.resp_p"]) in LOCAL for line in lines)
    batches = read(READER, data)

    assert len(lines) == 239
    assert counts(batches) == [239 - local, 0, local, 239 - local]
    assert notes(batches) == [f"{local} rows of mDNS, LLMNR or NetBIOS were skipped"]


def test_masked_times_are_all_malformed(real_data: Path) -> None:
    batches = read(READER, unpacked(real_data / "zeek" / "m57-long-dns.log.gz"))

    assert counts(batches) == [0, 8052, 0, 0]


@pytest.mark.parametrize("chunk", [10_000, 1 << 20])
def test_a_timed_copy_of_the_masked_log(real_data: Path, chunk: int) -> None:
    masked = unpacked(real_data / "zeek" / "m57-long-dns.log.gz")
    data = masked.replace(b"\nXXXXXXXXXX.XXXXXX\t", b"\n1258416000.000000\t")
    table = [line.split(b"\t") for line in data.splitlines() if not line.startswith(b"#")]
    plain = sum(cells[5] == b"53" and cells[9] != b"-" for cells in table)
    batches = read(READER, data, chunk=chunk)

    assert len(table) == sum(batch.records for batch in batches) == 8052
    assert sum(cells[5] == b"53" for cells in table) == 3820
    others = sum(cells[5].decode() not in LOCAL | {"53"} and cells[9] != b"-" for cells in table)
    assert counts(batches)[0] == plain + others
    assert counts(batches)[1] == 0
    assert set(hours(batches)) == {datetime(2009, 11, 17, tzinfo=UTC), None}
