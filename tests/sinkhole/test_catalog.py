"""The catalog zone."""

from __future__ import annotations

import dns.name
import dns.rdatatype
import dns.zone

from remnant.sinkhole.catalog import catalog_text

ZONES = ("evil.example", r"o\000\.d.example", "other.test")


def members(text: str) -> dict[dns.name.Name, dns.name.Name]:
    zone = dns.zone.from_text(text, origin="catalog.invalid.", relativize=False)
    return {
        name: dns.name.from_text(data.to_text())
        for name, _, data in zone.iterate_rdatas(dns.rdatatype.PTR)
    }


def test_it_is_a_catalog_of_version_2() -> None:
    text = catalog_text(ZONES).with_serial(5)
    zone = dns.zone.from_text(text, origin="catalog.invalid.", relativize=False)

    assert [data.to_text() for data in zone.find_rdataset("version.catalog.invalid.", "TXT")] == [
        '"2"'
    ]
    assert [data.to_text() for data in zone.find_rdataset("catalog.invalid.", "NS")] == ["invalid."]
    assert zone.get_soa().serial == 5
    found = members(text)
    assert set(found.values()) == set(map(dns.name.from_text, ZONES))
    assert {name.labels[1:3] for name in found} == {(b"zones", b"catalog")}
    assert len({name.labels[0] for name in found}) == 3


def test_a_member_keeps_its_label_whatever_comes_and_goes() -> None:
    before = members(catalog_text(ZONES).with_serial(1))
    after = members(catalog_text(reversed([*ZONES[1:], "new.test"])).with_serial(2))

    assert before.items() & after.items() == {
        item for item in before.items() if item[1] != dns.name.from_text("evil.example")
    }
