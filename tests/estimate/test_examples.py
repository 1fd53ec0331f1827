"""The worked examples of the pages on estimators say what the code says."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent.parent / "docs" / "explanation"


@pytest.mark.parametrize("page", ["decay", "changepoints", "pooling"])
def test_worked_example_is_what_the_code_gives(page: str) -> None:
    found = doctest.testfile(str(DOCS / f"{page}.md"), module_relative=False)

    assert found.attempted > 4
    assert found.failed == 0
