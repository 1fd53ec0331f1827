"""Every page of the application, whoever wrote it: found from the routes, on a hostile home."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from web.hostile import CASE
from web.pages_of import pages as pages_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi.testclient import TestClient
    from playwright.sync_api import Page


Found = dict[str, list[Any]]


@pytest.fixture(scope="module")
def paths(client: TestClient) -> list[str]:
    found = pages_of(client)
    assert {"/cases", f"/cases/{CASE}"} <= set(found)
    return found


def test_axe_finds_nothing_in_light_and_in_dark(
    paths: list[str], page: Page, axe: Callable[[Page], list[str]]
) -> None:
    found: Found = {}
    for path in paths:
        page.goto(path)
        if wrong := axe(page):
            found[path] = wrong
    assert found == {}
