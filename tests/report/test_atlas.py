"""What a report shows of the infrastructure, and what only an internal one names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from remnant.enrich.reference import Reference
from remnant.report.atlas import Atlas, drawings, gather, write_drawings
from remnant.report.html import render
from remnant.report.mapfacts import MapFacts
from remnant.windows import Window
from report.sample import make_content
from stored import Stored, home, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2015, 7, 1, tzinfo=UTC)
WINDOW = Window(datetime(2015, 4, 1, tzinfo=UTC), datetime(2015, 4, 20, tzinfo=UTC))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    with opened(home(tmp_path_factory.mktemp("stored"))) as found:
        yield found


def shown(stored: Stored, *, internal: bool) -> Atlas | None:
    return gather(
        stored.store, stored.view, stored.case, stored.settings, Reference.none(),
        window=WINDOW, vantage="resolver", internal=internal, now=NOW,
    )  # fmt: skip


def test_candidates_are_named_internally_only(stored: Stored) -> None:
    public, internal = (shown(stored, internal=internal) for internal in (False, True))

    assert public is not None
    assert internal is not None
    assert (public.candidates, public.ranked, public.rows) == ((), 1, [])
    assert internal.candidates[0].value == "hidden.test"
    assert internal.rows[0]["reasons"]
    assert (public.facts.minimum, internal.facts.minimum) == (10, 0)


def test_counts_states_and_figures(stored: Stored, tmp_path: Path) -> None:
    atlas = shown(stored, internal=False)
    assert atlas is not None

    assert (atlas.seeds, atlas.hubs, atlas.left_out, atlas.is_drawn) == (3, 0, 0, True)
    assert sum(number for _, number in atlas.kinds) == len(atlas.graph)
    assert dict(atlas.states)["unknown"] >= 1
    assert atlas.facts.window is None
    assert atlas.asked_facts.window == WINDOW
    assert all(text.startswith("<svg") for text in drawings(atlas)["map"])


def test_a_report_stands_without_pictures_that_cannot_be_drawn() -> None:
    """Its map is too large for paper, and no traffic was seen."""
    facts = MapFacts("taken", "Taken", None, "passive DNS", NOW)
    large: Any = range(1_000_000)
    atlas = Atlas(
        graph=large, asked=None, facts=facts, asked_facts=facts, kinds=(("names", 3),), seeds=3,
        hubs=0, left_out=0, internal=False, candidates=(), ranked=0, notes=(), living=(),
        living_total=0, states=(), alive_days=7,
    )  # fmt: skip

    page = render(make_content(), atlas=atlas)

    assert "too large for a picture" in page
    assert "<figure id=" not in page[page.index('id="map"') :].partition("</section>")[0]


def test_what_is_joined_is_listed_internally_only(stored: Stored, tmp_path: Path) -> None:
    public, internal = (shown(stored, internal=internal) for internal in (False, True))
    assert public is not None
    assert internal is not None
    (tmp_path / "internal").mkdir()

    names = {path.name for path in write_drawings(public, tmp_path)}
    assert names == {"taken-map.csv", "taken-map.svg", "taken-map.png"} | {
        name for name in names if "traffic" in name
    }
    lines = (tmp_path / "taken-map.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "kind,number"
    assert sum(int(line.rpartition(",")[2]) for line in lines[1:]) == len(public.graph)
    names = {path.name for path in write_drawings(internal, tmp_path / "internal")}
    assert names >= {"taken-map-nodes.csv", "taken-map-edges.csv"}
    rows = (tmp_path / "internal" / "taken-map-nodes.csv").read_text(encoding="utf-8")
    assert "hidden.test" in rows


def test_without_records_there_is_nothing_to_show(tmp_path: Path) -> None:
    with opened(home(tmp_path / "bare", records=False)) as bare:
        assert shown(bare, internal=True) is None
