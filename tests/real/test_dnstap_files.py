"""dnstap files written by name servers: counts checked against other readers of dnstap."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from remnant.capture import Batch, ReadOptions
from remnant.capture.dnstap import DnstapReader
from remnant.capture.stream import ByteStream
from remnant.errors import FormatError
from remnant.watchlist import Rule, Watchlist

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = Watchlist.compile([Rule("demo", "below", "*.")])

# Records, messages, observations, rows, malformed, skipped; from dnstap-ldns and dnstap (Go).
EXPECTED = {
    "bind-large-answer.dnstap": (1, 1, 0, 1, 0, 0),
    "dnsdist.dnstap": (2, 2, 1, 1, 0, 0),
    "dnsdist-udp-dot-doh.dnstap": (7, 7, 4, 4, 0, 0),
    "kdig.dnstap": (2, 0, 0, 0, 0, 2),
    # The last frame is cut off; there is no STOP.
    "knot-resolver-no-stop.dnstap": (154, 153, 79, 79, 1, 0),
    # One response holds a name that is none: the other readers print no name either.
    "knot.dnstap": (10, 9, 5, 5, 1, 0),
}


def read(path: Path) -> list[Batch]:
    options = ReadOptions(now=datetime(2026, 1, 1, tzinfo=UTC))
    with ByteStream(path.open("rb"), str(path)) as stream:
        return list(DnstapReader().read(stream, EVERYTHING, options))


def rows(batches: list[Batch]) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.queries.to_pylist()]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_counts(real_data: Path, name: str) -> None:
    batches = read(real_data / "dnstap" / name)
    sums = {
        column: sum(row[column] for batch in batches for row in batch.counts.to_pylist())
        for column in ("messages", "malformed", "skipped")
    }
    assert (
        sum(batch.records for batch in batches),
        sums["messages"],
        sum(batch.query_messages for batch in batches),
        len(rows(batches)),
        sums["malformed"],
        sums["skipped"],
    ) == EXPECTED[name]


@pytest.mark.parametrize("name", sorted(EXPECTED))
@pytest.mark.parametrize("tool", ["dnstap-ldns", "dnstap"])
def test_rows_are_what_another_reader_prints(real_data: Path, name: str, tool: str) -> None:
    program = shutil.which(tool)
    if program is None:
        pytest.skip(f"{tool} is not installed")
    path = real_data / "dnstap" / name
    quiet = subprocess.run(
        [program, "-q", "-r", str(path)], capture_output=True, text=True, check=False
    ).stdout
    queries = re.findall(r'^.*?([\d:.]+) [AC]Q (\S+) \S+ \d+b "(\S+)" IN \S+', quiet, re.MULTILINE)
    mine = [
        (f"{row['time']:%H:%M:%S.%f}", row["name"] + ".")
        for row in rows(read(path))
        if not row["response"]
    ]
    assert mine == [(time, asked.lower()) for time, _, asked in queries]


def test_responses_fill_the_code_of_their_queries(real_data: Path) -> None:
    got = rows(read(real_data / "dnstap" / "knot.dnstap"))
    assert [row["rcode"] for row in got] == [3, 3, 3, 0, None]
    assert {row["vantage"] for row in got} == {"authority"}


def test_a_foreign_content_type_is_refused(real_data: Path) -> None:
    with pytest.raises(FormatError, match="not dnstap"):
        read(real_data / "dnstap" / "foreign-content-type.fstrm")
