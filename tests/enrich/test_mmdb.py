"""MMDB databases: all record sizes, both families, the field names in use, damage."""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import TYPE_CHECKING, Any

import maxminddb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enrich.mmdb_writer import MARKER, encode_metadata, write
from remnant.enrich.mmdb import read
from remnant.errors import ReferenceDataError

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.enrich.content import Content

ABOUT = {
    "binary_format_major_version": 2,
    "binary_format_minor_version": 0,
    "build_epoch": 0,
    "database_type": "Test",
    "description": {},
    "ip_version": 6,
    "languages": [],
    "node_count": 120,
    "record_size": 24,
}
UNHURRIED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
GEOLITE = {"autonomous_system_number": 64500, "autonomous_system_organization": "Example"}


def load(path: Path, data: bytes) -> Content:
    path.write_bytes(data)
    return read(path, data)


def rows(content: Content) -> dict[str, dict[str, Any]]:
    """Return facts by network, as ipaddress writes it."""
    found = {}
    facts = content.facts.to_pylist()
    for first_high, first_low, last_high, last_low, fact in zip(
        *content.ranges, facts, strict=True
    ):
        first, last = int(first_high) << 64 | int(first_low), int(last_high) << 64 | int(last_low)
        if first >> 32 == 0xFFFF:
            base: Any = ipaddress.IPv4Address(first & 0xFFFFFFFF)
        else:
            base = ipaddress.IPv6Address(first)
        found[f"{base}/{base.max_prefixlen - (last - first).bit_length()}"] = fact
    return found


@pytest.mark.parametrize("record_size", [24, 28, 32])
@pytest.mark.parametrize("aliases", [True, False])
def test_an_ipv6_tree_holds_both_families(tmp_path: Path, record_size: int, aliases: bool) -> None:
    data = write(
        {
            "192.0.2.0/24": GEOLITE,
            "198.51.100.128/25": {"country": {"iso_code": "de"}},
            "2001:db8::/32": GEOLITE,
            "2001:db9::/128": {"country_code": "NL"},
        },
        record_size=record_size,
        aliases=aliases,
    )
    content = load(tmp_path / "a.mmdb", data)
    example = {"asn": 64500, "as_name": "Example", "country": None}

    assert rows(content) == {
        "192.0.2.0/24": example,
        "198.51.100.128/25": {"asn": None, "as_name": None, "country": "DE"},
        "2001:db8::/32": example,
        "2001:db9::/128": {"asn": None, "as_name": None, "country": "NL"},
    }
    assert content.built == dt.date(2015, 4, 8)
    assert content.bad == 0


@pytest.mark.parametrize("record_size", [24, 28, 32])
def test_an_ipv4_tree(tmp_path: Path, record_size: int) -> None:
    data = write({"0.0.0.0/1": GEOLITE, "255.255.255.255/32": GEOLITE}, ip_version=4,
                 record_size=record_size)  # fmt: skip

    assert list(rows(load(tmp_path / "a.mmdb", data))) == ["0.0.0.0/1", "255.255.255.255/32"]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (GEOLITE, (64500, "Example", None)),
        ({"country": {"iso_code": "FR"}, "registered_country": {"iso_code": "US"}},
         (None, None, "FR")),
        ({"asn": "AS64500", "as_name": "Lite", "country_code": "JP", "country": "Japan"},
         (64500, "Lite", "JP")),
        ({"asn": "AS64500", "as_name": "Old", "country": "JP"}, (64500, "Old", "JP")),
        ({"asn": 64500, "country_code": "None"}, (64500, None, None)),
        ({"asn": 0, "as_name": "Not routed", "country": "DE"}, (None, None, "DE")),
        ({"asn": 2**32, "country": "EU", "country_code": "DE"}, (None, None, "DE")),
        ({"asn": "ASx", "country": ["DE"], "country_code": "AT"}, (None, None, "AT")),
        ({"asn": True, "country": "ZZ", "country_code": "AT"}, (None, None, "AT")),
    ],
)  # fmt: skip
def test_field_names_of_the_free_databases(
    tmp_path: Path, record: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    content = load(tmp_path / "a.mmdb", write({"192.0.2.0/24": record}))

    assert tuple(content.facts.to_pylist()[0].values()) == expected


def test_names_are_bounded_and_of_one_line(tmp_path: Path) -> None:
    record = {"asn": 1, "as_name": "evil\n\t\x1b[2J  name " + "x" * 1000}
    name = load(tmp_path / "a.mmdb", write({"192.0.2.0/24": record})).facts["as_name"][0].as_py()

    assert name.startswith("evil \x1b[2J name x")
    assert len(name) == 200


networks = st.sets(
    st.one_of(
        st.tuples(st.integers(0, 63), st.just(8)).map(lambda p: f"{p[0]}.0.0.0/8"),
        st.tuples(st.integers(64, 95), st.integers(0, 255)).map(lambda p: f"{p[0]}.{p[1]}.0.0/16"),
        st.integers(0, 0xFF).map(lambda n: f"2001:db8:{n:x}::/48"),
    ),
    min_size=1,
    max_size=20,
)


@settings(deadline=None, max_examples=30, suppress_health_check=UNHURRIED)
@given(networks, st.sampled_from([24, 28, 32]))
def test_it_reads_what_the_library_reads(tmp_path: Path, texts: set[str], record_size: int) -> None:
    numbers = {text: {"asn": row + 1} for row, text in enumerate(sorted(texts))}
    path = tmp_path / "a.mmdb"
    content = load(path, write(numbers, record_size=record_size))
    with maxminddb.open_database(path) as reader:
        oracle = {str(network): record["asn"] for network, record in reader}

    assert {text: row["asn"] for text, row in rows(content).items()} == oracle


def test_metadata_alone_is_damage(tmp_path: Path) -> None:
    with pytest.raises(ReferenceDataError, match="cannot be read"):
        load(tmp_path / "a.mmdb", MARKER)


@pytest.mark.parametrize(
    "metadata",
    [
        {"node_count": 1 << 30},
        {"record_size": 20},
        {"ip_version": 5},
        {"node_count": 0},
    ],
)
def test_metadata_that_lies_is_damage(tmp_path: Path, metadata: dict[str, int]) -> None:
    data = write({"192.0.2.0/24": GEOLITE})
    head = data[: data.rindex(MARKER)]
    with pytest.raises(ReferenceDataError, match="cannot be read"):
        load(tmp_path / "a.mmdb", head + MARKER + encode_metadata(ABOUT | metadata))


@pytest.mark.parametrize("target", [0, 1])
def test_a_tree_that_loops_ends(tmp_path: Path, target: int) -> None:
    """Both records of each node lead to the other node: 2 to the 128 paths."""
    tree = bytes([0, 0, 1, 0, 0, 1]) + bytes([0, 0, target, 0, 0, target])
    about = ABOUT | {"node_count": 2, "ip_version": 4}
    with pytest.raises(ReferenceDataError, match="loops"):
        load(tmp_path / "a.mmdb", tree + bytes(16) + MARKER + encode_metadata(about))


def test_a_database_without_known_fields_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReferenceDataError, match="no record"):
        load(tmp_path / "a.mmdb", write({"192.0.2.0/24": {"city": "Nowhere"}}))


@settings(deadline=None, max_examples=150, suppress_health_check=UNHURRIED)
@given(st.data())
def test_damage_is_a_clear_error_or_a_counted_record(tmp_path: Path, data: st.DataObject) -> None:
    good = bytearray(write({"192.0.2.0/24": GEOLITE, "2001:db8::/32": {"country_code": "DE"}}))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(good) - 1))
        good[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(good), len(good) - 40, len(good) // 2]))
    try:
        content = load(tmp_path / "a.mmdb", bytes(good[:cut]))
    except ReferenceDataError:
        return
    assert len(content.facts) == len(content.ranges.first_high)


def test_damage_in_the_metadata_is_a_clear_error(tmp_path: Path) -> None:
    good = bytearray(write({"192.0.2.0/24": GEOLITE}))
    start = good.rindex(b"MaxMind.com") + len(b"MaxMind.com")
    refused = 0
    for place in range(start, len(good)):
        data = bytes(good[:place]) + b"\x01" + bytes(good[place + 1 :])
        try:
            load(tmp_path / f"{place}.mmdb", data)
        except ReferenceDataError:
            refused += 1
    assert refused > 10
