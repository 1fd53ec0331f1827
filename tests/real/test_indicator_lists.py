"""Indicator lists as others publish them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from remnant.cases.importing import ImportResult, import_file
from remnant.cases.library import built_in

if TYPE_CHECKING:
    from pathlib import Path

LISTS = {
    "beebone": ("changeup", "vobfus", "beebone"),
    "conficker": ("conficker",),
    "kelihos": ("kelihos",),
    "zbot": ("zeus",),
}


def imported(folder: Path, name: str) -> ImportResult:
    path = folder / "indicators" / f"{name}.txt"
    return import_file(path, name=name, takedown=datetime(2015, 4, 8, tzinfo=UTC))


@pytest.mark.parametrize("name", sorted(LISTS))
def test_a_built_in_case_holds_only_names_of_its_lists(real_data: Path, name: str) -> None:
    published = {
        text
        for part in LISTS[name]
        for watch in imported(real_data, part).case.watches
        for text in watch.names
    }
    watched = {text for watch in built_in(name).watches for text in watch.names}
    assert watched <= published


def test_nothing_but_names_and_addresses_is_watched(real_data: Path) -> None:
    found = imported(real_data, "changeup")
    assert (found.names, found.addresses, found.duplicates) == (67, 0, 0)
    assert all(entry.text.startswith("/") or ":" in entry.text for entry in found.set_aside)


def test_paths_of_a_benign_site_are_set_aside(real_data: Path) -> None:
    found = imported(real_data, "beebone")
    assert found.names == 1
    assert [entry.text.partition("/")[0] for entry in found.set_aside] == ["en.pudn.com"]


@pytest.mark.parametrize(("name", "least"), [("kelihos", 90), ("zeus", 1400)])
def test_large_lists_are_read_whole(real_data: Path, name: str, least: int) -> None:
    found = imported(real_data, name)
    assert found.names >= least
    assert found.duplicates > 0
    assert found.values == found.names + found.addresses + found.duplicates + found.set_aside_count
    assert {"an address with a port: DNS does not show ports"} <= {
        entry.reason for entry in found.set_aside
    }
