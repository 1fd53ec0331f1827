"""The zone that a takedown of a name takes."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.made_cases import QUICK
from remnant.cases import zones
from remnant.names import fold, is_below


def test_no_network_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a zone was asked for on the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    zones._extractor.cache_clear()
    assert zones.zone_of("a.b.evil.com") == "evil.com"


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("ns1.timedate1.com", "timedate1.com"),
        ("timedate1.com", "timedate1.com"),
        ("a.b.evil.co.uk", "evil.co.uk"),
        ("22231.dtdns.net", "22231.dtdns.net"),
        ("existing.suroot.com", "existing.suroot.com"),
        ("a.b.ddns.net", "b.ddns.net"),
        ("deep.22125.dns6y.net", "22125.dns6y.net"),
        ("dtdns.net", "dtdns.net"),
        ("x.no-ip.org", "x.no-ip.org"),
        ("b.a.home.dyndns.org", "a.home.dyndns.org"),
        ("home.dyndns.org", "home.dyndns.org"),
        ("com", "com"),
        ("co.uk", "co.uk"),
        ("ns1.evil.unknowntld", "evil.unknowntld"),
        ("a.b.c.city.kawasaki.jp", "city.kawasaki.jp"),
        ("a.www.ck", "www.ck"),
        ("x.blogspot.com", "x.blogspot.com"),
        (r"a\.b.evil.com", "evil.com"),
        (r"x.a\.b.com", r"a\.b.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_zone(name: str, zone: str) -> None:
    assert zones.zone_of(name) == zone


@QUICK
@given(st.from_regex(r"([a-z0-9\\.-]{1,12}\.){1,5}(com|co\.uk|net|org|zz)", fullmatch=True))
def test_a_zone_holds_its_name(text: str) -> None:
    try:
        name = fold(text)
    except Exception:  # noqa: BLE001 - whatever is no name is not our matter
        return
    zone = zones.zone_of(name)
    assert is_below(name, zone)
    assert zones.zone_of(zone) == zone


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("com", "registry"),
        ("zz", "registry"),
        ("co.uk", "registry"),
        ("kawasaki.jp", None),
        ("foo.kawasaki.jp", "registry"),
        ("blogspot.com", "private"),
        ("ddns.net", "dynamic"),
        ("dtdns.net", "dynamic"),
        ("evil.com", None),
        ("evil.example", None),
        (r"a\.com", None),
    ],
)
def test_suffix_kind(name: str, kind: str | None) -> None:
    assert zones.suffix_kind(name) == kind


def test_top_levels() -> None:
    assert zones.known_top_level("com")
    assert zones.known_top_level("ck")
    assert not zones.known_top_level("php")
    assert not zones.known_top_level(r"a\.com")
