from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant import errors
from remnant.errors import CaseError, RemnantError, printable


def test_a_message_says_what_where_got_expected_and_hint() -> None:
    error = CaseError(
        "unknown key", where="beebone.toml:3", got="nmaes", expected="names", hint="fix the typo"
    )

    assert str(error).splitlines() == [
        "beebone.toml:3: unknown key",
        "  got:      nmaes",
        "  expected: names",
        "  hint:     fix the typo",
    ]


def test_the_drawn_tree_is_the_real_one() -> None:
    classes = [
        cls
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, RemnantError)
    ]

    assert sorted(cls.__name__ for cls in classes) == sorted(
        name for name in errors.__all__ if name != "printable"
    )
    for cls in classes:
        assert cls.__name__ in (errors.__doc__ or "")


@given(st.text())
def test_hostile_text_cannot_reach_the_terminal(text: str) -> None:
    shown = printable(text)

    assert shown.isprintable()
    assert len(shown) <= 201


@pytest.mark.parametrize("char", ["\x1b", "\u202e", "\u2066", "\x00", "\n", "\x9b", "\ud800"])
def test_control_and_direction_characters_are_escaped(char: str) -> None:
    assert char not in printable(f"a{char}b")
