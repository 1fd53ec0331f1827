from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from remnant.report.html import render
from report.sample import hostile_content

SCRIPT = re.compile(r"<script[^>]*>(.*?)</script>", re.DOTALL)


@pytest.fixture(scope="module")
def text() -> str:
    return render(hostile_content(), interactive=True)


def test_the_policy_allows_exactly_the_scripts_of_the_page(text: str) -> None:
    found = SCRIPT.findall(text)
    allowed = re.findall(r"'sha256-([^']+)'", text.partition("</head>")[0].replace("&#39;", "'"))
    assert len(found) == 2
    assert allowed == [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in found
    ]
    assert "unsafe-eval" not in text
    assert "<script>alert" not in text


def test_specifications_hold_numbers_for_times_and_the_pages_colours(text: str) -> None:
    data = re.search(r"const FIGURES = (\{.*\});\n", SCRIPT.findall(text)[1])
    assert data is not None
    figures = json.loads(data[1])
    assert set(figures) == {"online", "requests", "coverage"}
    assert "datetime(" not in data[1]
    assert "var(--accent)" in data[1]
    assert "<" not in data[1]
