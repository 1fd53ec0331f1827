"""Which zone a name lies in: dots inside labels are no borders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant.infrastructure.seeds import _zone_over
from remnant.names import is_below, wire_to_text

ZONE = {"evil.com": ("evil.com", "c2")}


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("evil.com", "evil.com"),
        ("a.evil.com", "evil.com"),
        ("notevil.com", None),
        (r"a\.evil.com", None),
        (r"a\\.evil.com", "evil.com"),
        (r"a\\\.evil.com", None),
        (r"\\\\.evil.com", "evil.com"),
        (r"\\.\\.evil.com", "evil.com"),
        (r"\\.\..com", None),
        ("com", None),
    ],
)
def test_a_dot_that_is_escaped_ends_no_label(name: str, zone: str | None) -> None:
    assert _zone_over(name, ZONE) == zone


@given(st.lists(st.binary(min_size=1, max_size=4).map(bytes.lower), max_size=4))
def test_a_name_lies_in_the_zone_that_its_labels_end_with(labels: list[bytes]) -> None:
    wire = b"".join(bytes([len(label)]) + label for label in [*labels, b"evil", b"com"]) + b"\0"
    name = wire_to_text(wire)
    assert _zone_over(name, ZONE) == "evil.com"
    assert is_below(name, "evil.com")
