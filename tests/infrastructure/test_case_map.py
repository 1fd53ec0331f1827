"""The map of a stored case uses its names, its settings, its window and all real records."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from infrastructure.made_records import edges, values
from remnant.enrich.reference import Reference
from remnant.infrastructure.case_map import case_map
from remnant.windows import Window
from stored import Stored, home, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.infrastructure.graph import Graph


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    with opened(home(tmp_path_factory.mktemp("stored"))) as found:
        yield found


def mapped(stored: Stored, window: Window | None = None, hops: int | None = None) -> Graph:
    reference = Reference.none()
    return case_map(
        stored.store, stored.view, stored.case, stored.settings, reference, window=window, hops=hops
    )


def test_imported_records_join_the_names_of_the_case(stored: Stored) -> None:
    graph = mapped(stored)

    assert {
        ("hidden.test", "resolves_to", "5.6.7.8"),
        ("later.test", "resolves_to", "5.6.7.9"),
    } <= (edges(graph))
    assert "gone.evil.example" in values(graph)
    assert graph.seeds.size == 3
    assert graph.is_observed


def test_a_window_and_fewer_rounds_cut_it(stored: Stored) -> None:
    early = Window(datetime(2015, 3, 1, tzinfo=UTC), datetime(2015, 4, 1, tzinfo=UTC))
    assert "5.6.7.9" not in values(mapped(stored, early))
    assert "5.6.7.8" in values(mapped(stored, early))
    assert "hidden.test" not in values(mapped(stored, hops=1))
    before = Window(datetime(2014, 3, 1, tzinfo=UTC), datetime(2014, 4, 1, tzinfo=UTC))
    graph = mapped(stored, before)
    assert not graph.is_observed
    assert {kind for _, kind, _ in edges(graph)} <= {"below"}
