"""A home with a case and passive DNS, opened for reading."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dnstap_writer import CLIENT_QUERY, START_TIME, message, query, stream
from remnant.cli_shared import open_library
from remnant.settings import Settings
from remnant.store import Store
from story.telling import Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remnant.cases.model import Case
    from remnant.store import View

CASE = """
[case]
name = "taken"
title = "Taken"
takedown = 2015-04-08
[[watch]]
names = ["c2.evil.example", "c2.other.example", "gone.evil.example"]
state = "seized"
"""
RECORDS = (
    ("c2.evil.example", "A", "5.6.7.8", 3, 5),
    ("c2.other.example", "A", "5.6.7.8", 3, 5),
    ("hidden.test", "A", "5.6.7.8", 3, 5),
    ("hidden.test", "A", "5.6.7.9", 5, 6),
    ("later.test", "A", "5.6.7.9", 5, 6),
)
"""Owner, type, data, first and last month of 2015."""


@dataclass(frozen=True)
class Stored:
    """An open store, and what is asked of it."""

    store: Store
    view: View
    case: Case
    settings: Settings


def home(folder: Path, *, records: bool = True) -> Place:
    """Make a home with the case, two days of questions for its first name, and the records."""
    place = Place(folder)
    (folder / "case.toml").write_text(CASE, encoding="utf-8")
    place.do("case", "import", folder / "case.toml")
    asked = (
        message(CLIENT_QUERY, query("c2.evil.example"), time=START_TIME + 3600.0 * hour)
        for hour in range(48)
    )
    (folder / "in.dnstap").write_bytes(stream(*asked))
    place.do("ingest", "taken", folder / "in.dnstap")
    if records:
        lines = [
            json.dumps({"rrname": n, "rrtype": t, "rdata": d, "count": 99, **_span(first, last)})
            for n, t, d, first, last in RECORDS
        ]
        place.do("pdns", "import", "-", stdin="\n".join(lines).encode())
    return place


@contextlib.contextmanager
def opened(place: Place) -> Iterator[Stored]:
    """Open the store of a home for reading."""
    settings = Settings(home=place.home, site_key=place.folder / "key" / "site.key")
    case = open_library(settings).get("taken")
    with Store.open(settings) as store:
        yield Stored(store, store.view("taken"), case, settings)


def _span(first: int, last: int) -> dict[str, int]:
    times = (int(datetime(2015, month, 1, tzinfo=UTC).timestamp()) for month in (first, last))
    return dict(zip(("time_first", "time_last"), times, strict=True))
