"""STIX patterns that say "any of these", and those that do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.made_cases import QUICK
from remnant.cases.importers.stix import pattern_values

D = "domain-name:value"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[domain-name:value='a.example']", [(D, "a.example")]),
        (" [ domain-name:value = 'a.example' ] ", [(D, "a.example")]),
        ("[domain-name:value = 'a' OR url:value = 'b']", [(D, "a"), ("url:value", "b")]),
        ("[domain-name:value IN ('a','b')]", [(D, "a"), (D, "b")]),
        ("[domain-name:value = 'a'] OR [domain-name:value = 'b']", [(D, "a"), (D, "b")]),
        (r"[domain-name:value = 'it\'s \\ x']", [(D, r"it's \ x")]),
        ("[file:hashes.'SHA-256' = 'aa']", [("file:hashes.'SHA-256'", "aa")]),
        ("[x:a[0].b = 'c']", [("x:a[0].b", "c")]),
    ],
)
def test_any_of_these(pattern: str, expected: list[tuple[str, str]]) -> None:
    assert pattern_values(pattern) == expected


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "[]",
        "domain-name:value = 'a'",
        "[domain-name:value = 'a'",
        "[domain-name:value != 'a']",
        "[NOT domain-name:value = 'a']",
        "[domain-name:value NOT = 'a']",
        "[domain-name:value LIKE '%a']",
        "[domain-name:value MATCHES '^a']",
        "[domain-name:value = 'a' AND file:size = 1]",
        "[domain-name:value = 'a'] AND [domain-name:value = 'b']",
        "[domain-name:value = 'a'] FOLLOWEDBY [domain-name:value = 'b']",
        "[domain-name:value = 'a'] WITHIN 5 SECONDS",
        "[domain-name:value IN ()]",
        "[domain-name:value IN ('a' 'b')]",
        "[domain-name:value IN ('a',]",
        "[domain-name:value IN",
        "[domain-name:value",
        "[domain-name:value =",
        "[domain-name:value = 'a' OR",
        "[domain-name:value = 'a' OR]",
        "[domain-name:value = 'a'] OR",
        "[domain-name:value = 'a']]",
        "[domain-name:value = 'a",
        "[(domain-name:value = 'a')]",
    ],
)
def test_anything_else(pattern: str) -> None:
    assert pattern_values(pattern) is None


@QUICK
@given(
    st.lists(
        st.sampled_from(["[", "]", "(", ")", "=", "!=", ",", " OR ", " AND ", " IN ", "'a'", D])
        | st.text(max_size=3)
    ).map("".join)
)
def test_no_pattern_raises(pattern: str) -> None:
    values = pattern_values(pattern)
    assert values is None or all(path in pattern for path, _ in values)


def test_a_huge_pattern_takes_linear_time() -> None:
    names = [f"{number}.example" for number in range(20_000)]
    pattern = "[" + " OR ".join(f"{D} = '{name}'" for name in names) + "]"
    assert pattern_values(pattern) == [(D, name) for name in names]
    assert pattern_values("[" * 100_000) is None
    assert pattern_values("'" + "\\" * 100_001) is None
