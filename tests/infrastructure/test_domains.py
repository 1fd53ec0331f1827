"""Many names at once have the registered domains that each has alone."""

from __future__ import annotations

import pyarrow as pa
import pytest

from remnant.cases.zones import DYNAMIC_DNS, suffix_kind, suffix_rules, zone_of
from remnant.infrastructure import domains
from remnant.infrastructure.domains import are_suffixes, suffix_words, zones_of


def names() -> list[str]:
    rules = [rule for rule in suffix_rules() if rule.isascii()]
    plain = [rule.lstrip("!").replace("*.", "q.") for rule in [*rules, *sorted(DYNAMIC_DNS)]]
    made = [before + rule for rule in plain for before in ("", "a.", "b.a.", "c.b.a.")]
    odd = ["com", "x", "a.b.nosuch", r"x\.evil.com", r"a.x\.evil.co.uk", "a.xn--55qx5d.cn"]
    return made + odd


@pytest.mark.parametrize("few", [0, 10**9])
def test_the_same_as_one_by_one(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domains, "_FEW", few)
    listed = names()

    assert zones_of(pa.array(listed)).to_pylist() == [zone_of(name) for name in listed]
    assert are_suffixes(pa.array(listed)).tolist() == [
        suffix_kind(name) is not None for name in listed
    ]


def test_kinds_of_suffixes_in_words() -> None:
    assert (suffix_words("ddns.net"), suffix_words("com")) == ("dynamic DNS", "public suffix")
