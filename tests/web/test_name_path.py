from __future__ import annotations

import random
from urllib.parse import unquote

import pytest

from remnant.errors import RemnantError
from remnant.names import wire_to_text
from remnant.web.name_path import STAR, name_of, name_part
from web.hostile import names


def made_up(seed: int) -> str:
    some = random.Random(seed)
    labels = [some.randbytes(some.randint(1, 60)) for _ in range(some.randint(1, 3))]
    return wire_to_text(b"".join(bytes((len(label),)) + label for label in labels) + b"\0")


def test_every_name_comes_back_from_its_path() -> None:
    for name in [*map(str.lower, names()), *(made_up(seed) for seed in range(300))]:
        if name.startswith("*."):
            continue
        folded = name_of(name)
        part = name_part(folded)
        assert name_of(unquote(part)) == folded
        assert part.isascii()
        assert not set(part) & set("/?#&\\\"'<> ")
        assert not part.endswith((".json", ".csv"))


@pytest.mark.parametrize("name", [r"\.", r"\.\.", r"\..\.\.", "x.json", "x.csv", r"\\.json"])
def test_names_that_mean_something_in_a_path_do_not_stand_there_as_they_are(name: str) -> None:
    part = name_part(name)
    assert part.replace("%5C", "\\") != name
    assert part.strip(".")
    assert name_of(unquote(part)) == name_of(name)


def test_a_rule_is_no_name_that_begins_with_an_asterisk() -> None:
    assert name_of(unquote(name_part("*.evil.example"))) == "*.evil.example"
    asked_for = f"{STAR}.evil.example"
    assert name_of(unquote(name_part(asked_for))) == asked_for


@pytest.mark.parametrize("text", ["", "a..b", "x" * 64, "../etc", "a" * 300, "\ud800.example"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(RemnantError):
        name_of(text)
