from __future__ import annotations

import base64
import json

import pytest

from remnant.errors import RemnantError
from remnant.web.paging import MOST_CURSOR, read_cursor, write_cursor


@pytest.mark.parametrize(
    "key", [[0, ""], [-5, "a.example"], [2**62, "\\255" * 63], [1, "\u202e<script>"]]
)
def test_a_cursor_comes_back(key: list[str | int | None]) -> None:
    text = write_cursor(key)
    assert read_cursor(text, [int, str]) == key
    assert len(text) <= MOST_CURSOR
    assert not set(text) & set("+/=&?# ")


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "%",
        "é",
        "a" * (MOST_CURSOR + 1),
        encoded([1]),
        encoded(["1", "a"]),
        encoded([True, "a"]),
        encoded([1, None]),
        encoded([1 << 70, "a"]),
        encoded([1, "\ud800"]),
        encoded({"a": 1}),
        encoded([1.5, "a"]),
        base64.urlsafe_b64encode(b"[" * 2000).decode(),
    ],
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(RemnantError, match="no place in the list"):
        read_cursor(text, [int, str])
