"""One simulated botnet for all stories, and stores that are filled once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from story.telling import CASE, Made, Place, joined, plain

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A tiny botnet, as ``remnant simulate`` writes it."""
    folder = tmp_path_factory.mktemp("made") / "beebone"
    Place(tmp_path_factory.mktemp("maker")).do(
        "simulate", "beebone", "--scale", "0.0005", "-o", folder
    )
    return Made(folder)


@pytest.fixture
def place(tmp_path: Path, made: Made) -> Place:
    """An own home with the case, nothing ingested yet."""
    return _with_case(Place(tmp_path / "place"), made)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, made: Made) -> Place:
    """Three days of both resolvers; for reading only."""
    place = _with_case(Place(tmp_path_factory.mktemp("small")), made)
    place.ingest(*made.files())
    return place


@pytest.fixture
def mine(tmp_path: Path, small: Place) -> Place:
    """An own copy of the small case, to change it."""
    shutil.copytree(small.folder, tmp_path / "mine")
    return Place(tmp_path / "mine")


@pytest.fixture(scope="session")
def charted(tmp_path_factory: pytest.TempPathFactory, made: Made, small: Place) -> Place:
    """The small case with its passive DNS; for reading only."""
    folder = tmp_path_factory.mktemp("charted") / "place"
    shutil.copytree(small.folder, folder)
    place = Place(folder)
    place.ingest(made.folder / "traffic" / "passive-dns", "--answers", "all")
    return place


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, made: Made) -> Place:
    """All days, piped in as one stream; for reading only."""
    place = _with_case(Place(tmp_path_factory.mktemp("whole")), made)
    files = sorted((made.folder / "traffic").rglob("*.dnstap.zst"), key=lambda path: path.name)
    place.ingest("-", stdin=joined([plain(path) for path in files]))
    return place


def _with_case(place: Place, made: Made) -> Place:
    place.do("case", "import", made.case, "--prefixes", made.folder / "prefixes.tsv")
    assert CASE in place.do("case", "list").out
    return place
