"""The lists of sinkholes and of parking services."""

from __future__ import annotations

import ipaddress

import pyarrow as pa
import pytest

from remnant import names
from remnant.enrich.addresses import parse
from remnant.infrastructure.listed import LISTS, List, entries, found, listed


@pytest.mark.parametrize("which", LISTS)
def test_every_line_is_found_by_itself(which: List) -> None:
    lines = entries(which)
    hit = found(which, pa.array([line.indicator for line in lines]))

    assert [lines[row].indicator for row in hit.tolist()] == [line.indicator for line in lines]


def test_every_parking_line_is_a_public_address_or_a_name_with_operator_and_source() -> None:
    lines = entries("parking")
    addresses = parse(pa.array([line.indicator for line in lines])).length >= 0

    assert len({line.indicator for line in lines}) == len(lines) > 50
    for line, is_address in zip(lines, addresses, strict=True):
        assert line.operator
        assert line.source
        if is_address:
            assert ipaddress.ip_network(line.indicator).is_global
        else:
            assert names.fold(line.indicator) == line.indicator
            assert line.indicator.count(".") >= 1


@pytest.mark.parametrize(
    ("value", "operator"),
    [
        ("ns1.sedoparking.com", "Sedo"),
        ("a.b.c.sedoparking.com", "Sedo"),
        ("91.195.241.7", "Sedo"),
        ("185.53.179.255", "ParkingCrew"),
        ("ns1.dan.com", "dan.com"),
    ],
)
def test_parking(value: str, operator: str) -> None:
    assert listed("parking", [value])[value].operator == operator


@pytest.mark.parametrize(
    "value",
    ["notsedoparking.com", r"a\.sedoparking.com", "www.dan.com", "com", ".", "", "91.195.242.0",
     "::", "sedoparking.com.evil.example", "ns1.evil.example"],
)  # fmt: skip
def test_not_parking(value: str) -> None:
    assert listed("parking", [value]) == {}


def test_sinkholes_by_address_and_by_name_server() -> None:
    hit = listed("sinkhole", ["199.2.137.5", "ns1.sinkhole.ch", "ns7.sinkdns.org", "192.0.2.1"])

    assert set(hit) == {"199.2.137.5", "ns1.sinkhole.ch", "ns7.sinkdns.org"}


def test_null_and_nothing() -> None:
    assert found("parking", pa.array([None], pa.string())).tolist() == [-1]
    assert found("parking", pa.array([], pa.string())).tolist() == []
