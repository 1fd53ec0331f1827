"""The compiled watchlist finds exactly what a plain search over the rules finds."""

from __future__ import annotations

import ipaddress
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant import names, watchtable
from remnant.errors import CaseError
from remnant.watchlist import Kind, Rule, Watchlist

LABELS = st.sampled_from(["a", "b", "evil", "com", "x" * 8, "y" * 9, "z" * 63, r"d\.t", "\\255"])
NAMES = (
    st.lists(LABELS, min_size=0, max_size=4)
    .map(lambda parts: ".".join(parts) or ".")
    .filter(lambda text: len(text) < 250)
)
RULES = st.lists(st.tuples(st.sampled_from(["exact", "below"]), NAMES), max_size=12)


def rule(kind: Kind, text: str, case: str = "demo") -> Rule:
    shown = text if kind != "below" else "*." + text
    return Rule(case, kind, shown)


def packed(wires: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.cumsum([0, *map(len, wires)], dtype=np.int64)
    return np.frombuffer(b"".join(wires), np.uint8).copy(), offsets


def hits(watched: Watchlist, *texts: str) -> list[list[str]]:
    rows, entries = watched.match_wire(*packed([names.text_to_wire(text) for text in texts]))
    out: list[list[str]] = [[] for _ in texts]
    for row, entry in zip(rows.tolist(), entries.tolist(), strict=True):
        out[row].append(watched.rules[watched.entry_rules[watched.entry_offsets[entry]]].text)
    return out


def address(text: str) -> np.ndarray:
    raw = ipaddress.ip_address(text).packed
    return np.frombuffer(raw if len(raw) == 16 else b"\0" * 10 + b"\xff\xff" + raw, np.uint8).copy()


def test_exact_and_below_are_told_apart_and_the_most_specific_comes_first() -> None:
    watched = Watchlist.compile(
        [
            rule("below", "example"),
            rule("below", "evil.example"),
            rule("exact", "evil.example"),
            rule("exact", "c2.other.test"),
        ]
    )
    assert hits(watched, "evil.example", "a.b.evil.example", "notevil.example", "other.test") == [
        ["evil.example", "*.evil.example", "*.example"],
        ["*.evil.example", "*.example"],
        ["*.example"],
        [],
    ]
    assert hits(watched, "c2.other.test", "x.c2.other.test") == [["c2.other.test"], []]


def test_upper_case_on_the_wire_matches_and_other_bytes_do_not_fold() -> None:
    watched = Watchlist.compile([rule("exact", "evil.example"), rule("exact", "a@{.test")])
    wires = [b"\x04eViL\x07EXAMPLE\0", b"\x03A@{\x04tEst\0", b"\x03a`[\x04test\0"]
    rows, entries = watched.match_wire(*packed(wires))
    assert rows.tolist() == [0, 1]
    assert entries.tolist() == [0, 1]


def test_a_rule_for_the_root_matches_every_name() -> None:
    watched = Watchlist.compile([Rule("demo", "below", "*..")])
    assert hits(watched, ".", "a.b") == [["*.."], ["*.."]]


def test_an_entry_serves_the_rules_of_many_cases() -> None:
    watched = Watchlist.compile(
        [rule("exact", "a.test", "one"), rule("exact", "b.test", "one"),
         rule("exact", "A.TEST.", "two"), rule("below", "a.test", "two")]
    )  # fmt: skip
    _, entries = watched.match_wire(*packed([names.text_to_wire("a.test")]))
    rules = [
        watched.entry_rules[watched.entry_offsets[e] : watched.entry_offsets[e + 1]].tolist()
        for e in entries
    ]
    assert rules == [[0, 2], [3]]
    assert watched.cases == ("one", "two")
    assert watched.specificity[entries[0]] > watched.specificity[entries[1]]


@pytest.mark.parametrize(
    "wire", [b"", b"\x04evi", b"\x04evil", b"\xc0\x00", b"\x40" + b"a" * 64 + b"\0",
             (b"\x3f" + b"a" * 63) * 4 + b"\0"],
)  # fmt: skip
def test_bytes_that_are_no_name_hit_nothing(wire: bytes) -> None:
    watched = Watchlist.compile([Rule("demo", "below", "*.")])
    rows, _ = watched.match_wire(*packed([wire, b"\0"]))
    assert rows.tolist() == [1]


def test_the_longest_name_with_the_most_labels_is_found_at_every_depth() -> None:
    longest = ".".join("a" * 127)
    parts = longest.split(".")
    watched = Watchlist.compile([rule("below", ".".join(parts[i:]) or ".") for i in range(128)])
    (found,) = hits(watched, longest)
    assert len(found) == 128
    assert found[0] == "*." + longest
    assert hits(watched, "b.a") == [["*.a", "*.."]]


@settings(max_examples=200, deadline=None)
@given(RULES, st.lists(NAMES, min_size=1, max_size=10))
def test_the_table_finds_what_a_plain_search_finds(
    rules: list[tuple[Kind, str]], asked: list[str]
) -> None:
    watched = Watchlist.compile([rule(kind, text) for kind, text in rules])
    expected = []
    for text in asked:
        exact = [t for kind, t in dict.fromkeys(rules) if kind == "exact" and t == text]
        below = [
            "*." + t
            for kind, t in dict.fromkeys(rules)
            if kind == "below" and names.is_below(text, t)
        ]
        expected.append(exact + sorted(below, key=lambda t: len(t) * (t != "*.."), reverse=True))
    assert hits(watched, *asked) == expected


def test_many_hits_are_all_returned() -> None:
    watched = Watchlist.compile([rule("exact", "a.test"), rule("below", "test")])
    rows, entries = watched.match_wire(*packed([names.text_to_wire("a.test")] * 5000))
    assert rows.tolist() == [row for row in range(5000) for _ in range(2)]
    assert entries.tolist() == [0, 1] * 5000


def test_prefixes_match_longest_first_and_families_stay_apart() -> None:
    watched = Watchlist.compile(
        [Rule("demo", "address", text) for text in
         ("198.51.100.0/24", "198.51.100.7/32", "0.0.0.0/0", "2001:db8::/32", "::/0", "192.0.2.9")]
    )  # fmt: skip
    asked = ["198.51.100.7", "198.51.100.8", "192.0.2.9", "2001:db8::1", "2001:db9::1"]
    rows, entries = watched.match_addresses(np.array([address(text) for text in asked]))
    assert list(zip(rows.tolist(), entries.tolist(), strict=True)) == [
        (0, 1), (0, 0), (0, 2), (1, 0), (1, 2), (2, 5), (2, 2), (3, 3), (3, 4), (4, 4),
    ]  # fmt: skip
    assert watched.has_addresses
    assert watched.specificity[1] > watched.specificity[0] > watched.specificity[2]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)),
            st.tuples(st.integers(2**120, 2**128 - 1), st.integers(0, 128)),
        ),
        max_size=20,
    ),
    st.randoms(use_true_random=False),
)
def test_prefixes_agree_with_the_standard_library(
    prefixes: list[tuple[int, int]], random: object
) -> None:
    networks = list(dict.fromkeys(
        ipaddress.ip_network((value, length), strict=False) for value, length in prefixes
    ))  # fmt: skip
    watched = Watchlist.compile([Rule("demo", "address", str(net)) for net in networks])
    asked = [net[0] for net in networks] + [net[-1] for net in networks]
    asked += [ipaddress.ip_address("198.51.100.1"), ipaddress.ip_address("2001:db8::1")]
    rows, entries = watched.match_addresses(np.array([address(str(ip)) for ip in asked]))
    expected = [
        (row, networks.index(net))
        for row, ip in enumerate(asked)
        for net in sorted(networks, key=lambda net: -net.prefixlen)
        if ip.version == net.version and ip in net
    ]
    assert list(zip(rows.tolist(), entries.tolist(), strict=True)) == expected


def test_text_that_is_no_prefix_is_refused() -> None:
    with pytest.raises(CaseError, match="not an address"):
        Watchlist.compile([Rule("demo", "address", "198.51.100.0/33")])


def test_the_digest_changes_with_what_is_matched_and_with_nothing_else() -> None:
    first, second = rule("exact", "a.test"), rule("below", "b.test")
    digest = Watchlist.compile([first, second]).digest("demo")
    assert len(digest) == 32
    assert Watchlist.compile([second, first, first]).digest("demo") == digest
    other = Rule("demo", "exact", "a.test", role="dga", state="seized", source="x")
    assert Watchlist.compile([second, other]).digest("demo") == digest
    assert Watchlist.compile([first]).digest("demo") != digest
    dated = Rule("demo", "exact", "a.test", valid_from=0)
    assert Watchlist.compile([second, dated]).digest("demo") != digest
    assert Watchlist.compile([first, second, rule("exact", "a.test", "x")]).digest("demo") == digest


def test_an_empty_watchlist_matches_nothing() -> None:
    watched = Watchlist.compile([])
    assert hits(watched, ".", "a.test") == [[], []]
    assert watched.match_addresses(np.zeros((2, 16), np.uint8))[0].size == 0
    assert not watched.has_addresses
    assert watched.cases == ()


def test_every_table_has_its_own_key() -> None:
    keys = {tuple(Watchlist.compile([]).tables.key.tolist()) for _ in range(3)}
    assert len(keys) == 3


def test_a_large_table_keeps_probes_short() -> None:
    count = 50_000
    watched = Watchlist.compile([rule("exact", f"n{i}.example") for i in range(count)])
    asked = [names.text_to_wire(f"n{i}.example") for i in range(count + 1000)]
    rows, entries = watched.match_wire(*packed(asked))
    assert np.array_equal(rows, np.arange(count))
    assert np.array_equal(entries, np.arange(count))
    assert set(get_args(Kind)) == {"exact", "below", "address", "family", "zone", "sinkhole"}
    assert watchtable.MAX_HITS > 128


def words(watched: Watchlist, *asked: str) -> list[list[str]]:
    wires = [bytes([len(word)]) + word.encode("latin-1") + b"\0" for word in asked]
    rows, entries = watched.match_words(*packed(wires))
    out: list[list[str]] = [[] for _ in asked]
    for row, entry in zip(rows.tolist(), entries.tolist(), strict=True):
        out[row].append(watched.rules[watched.entry_rules[watched.entry_offsets[entry]]].text)
    return out


def test_family_words_match_whole_and_without_case() -> None:
    watched = Watchlist.compile(
        [rule("family", "family:Beebone"), rule("family", "family:gameover-zeus")]
    )

    assert words(watched, "BEEBONE", "Gameover-Zeus") == [
        ["family:Beebone"],
        ["family:gameover-zeus"],
    ]
    assert words(watched, "beebone2", "bee", "zeus", "b\xe9ebone", "x" * 63) == [[]] * 5
    assert watched.has_families
    assert not Watchlist.compile([rule("exact", "beebone")]).has_families


def test_names_and_family_words_stay_apart() -> None:
    watched = Watchlist.compile([rule("family", "family:beebone"), rule("exact", "beebone")])

    assert hits(watched, "beebone") == [["beebone"]]
    assert words(watched, "beebone") == [["family:beebone"]]
    assert watched.specificity[0] < Watchlist.compile([rule("address", "::/0")]).specificity[0]


@given(
    st.lists(st.text("aB-z.", min_size=1, max_size=4), max_size=8), st.text("aAbBzZ-.", min_size=1)
)
def test_family_words_agree_with_a_plain_search(watch: list[str], asked: str) -> None:
    watched = Watchlist.compile([rule("family", f"family:{word}") for word in watch])
    found = {text.removeprefix("family:").lower() for text in words(watched, asked[:63])[0]}

    assert found == {asked[:63].lower()} & {word.lower() for word in watch}


@pytest.mark.parametrize("text", ["family:", "family:" + "x" * 64])
def test_a_family_word_that_cannot_be_one_is_refused(text: str) -> None:
    with pytest.raises(CaseError, match="family word"):
        Watchlist.compile([rule("family", text)])


def test_the_digest_changes_with_the_family_words() -> None:
    one, two = (Watchlist.compile([rule(kind, "family:a")]) for kind in ("family", "exact"))

    assert one.digest("demo") != two.digest("demo")
