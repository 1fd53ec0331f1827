"""Responses of RDAP servers, made up."""

from __future__ import annotations

from typing import Any


def card(**values: str) -> list[Any]:
    """A jCard with some of fn, org, email and tel."""
    entries = [["version", {}, "text", "4.0"]]
    entries += [[name, {}, "text", value] for name, value in values.items()]
    return ["vcard", entries]


def domain(name: str = "evil.example", **more: Any) -> dict[str, Any]:
    """A domain as a registry of names gives it, abuse desk of the registrar included."""
    return {
        "objectClassName": "domain",
        "handle": "D-1",
        "ldhName": name.upper(),
        "status": ["client transfer prohibited"],
        "events": [
            {"eventAction": "registration", "eventDate": "2014-02-01T10:00:00Z"},
            {"eventAction": "expiration", "eventDate": "2016-02-01T10:00:00Z"},
            {"eventAction": "last changed", "eventDate": "2015-02-01T10:00:00.123+02:00"},
            {"eventAction": "last update of RDAP database", "eventDate": "2015-04-20T00:00:00Z"},
        ],
        "nameservers": [
            {"objectClassName": "nameserver", "ldhName": "NS2.Evil.example."},
            {"objectClassName": "nameserver", "ldhName": "ns1.evil.example"},
        ],
        "entities": [
            {
                "objectClassName": "entity",
                "handle": "292",
                "roles": ["registrar"],
                "publicIds": [{"type": "IANA Registrar ID", "identifier": "9999"}],
                "vcardArray": card(fn="Names Inc."),
                "entities": [
                    {
                        "objectClassName": "entity",
                        "roles": ["abuse"],
                        "vcardArray": card(fn="", email="abuse@names.example", tel="tel:+1.555"),
                    }
                ],
            },
            {
                "objectClassName": "entity",
                "roles": ["registrant"],
                "vcardArray": card(fn="A Person", email="person@home.example"),
            },
        ],
        "redacted": [
            {"name": {"type": "Registrant Name"}, "method": "removal", "prePath": "$.entities[1]"},
            {"name": {"description": "Tech Email"}, "method": "emptyValue"},
        ],
    } | more


def network(first: str = "203.0.113.0", last: str = "203.0.113.255", **more: Any) -> dict[str, Any]:
    """A network as a registry of addresses gives it."""
    return {
        "objectClassName": "ip network",
        "handle": f"{first} - {last}",
        "startAddress": first,
        "endAddress": last,
        "ipVersion": "v4",
        "name": "TEST-NET-3",
        "country": "NL",
        "status": ["active"],
        "entities": [
            {
                "objectClassName": "entity",
                "handle": "AB1-TEST",
                "roles": ["abuse"],
                "vcardArray": card(fn="Abuse desk", email="abuse@hosting.example"),
            }
        ],
    } | more
