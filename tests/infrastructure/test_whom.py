"""Whom to tell of addresses, prefixes and ASes: one answer for servers and for clients."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from infrastructure.registered import card, network
from remnant.infrastructure.registrations import Registrations, import_files
from remnant.infrastructure.whom import networks, systems
from remnant.settings import Settings
from remnant.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WHEN = datetime(2026, 5, 4, tzinfo=UTC)


def desk(mail: str, role: str = "abuse") -> dict[str, Any]:
    return {
        "objectClassName": "entity",
        "handle": mail.upper(),
        "roles": [role],
        "vcardArray": card(fn="Desk", email=mail),
    }


def autnum(number: int, mail: str) -> dict[str, Any]:
    return {
        "objectClassName": "autnum",
        "handle": f"AS{number}",
        "startAutnum": number,
        "endAutnum": number,
        "name": "EXAMPLE-AS",
        "entities": [desk(mail)],
    }


@pytest.fixture
def known(tmp_path: Path) -> Iterator[Registrations]:
    """A /16 with a /24 in it whose lower half was let, and an AS."""
    said = [
        network("198.51.0.0", "198.51.255.255", name="WIDE", entities=[desk("wide@example.net")]),
        network(
            "198.51.100.0",
            "198.51.100.255",
            name="NARROW",
            entities=[desk("noc@example.net", "technical"), desk("narrow@example.net")],
        ),
        network("198.51.100.0", "198.51.100.127", name="HALF", entities=[]),
        autnum(64500, "as@example.net"),
    ]
    path = tmp_path / "said.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in said))
    settings = Settings(home=tmp_path / "home", site_key=tmp_path / "key")
    with Store.open(settings, write=True) as store:
        (done,) = import_files(store, [path], at=WHEN)
        assert done.objects == 4
        yield Registrations(store, "taken", simulated=False)


def test_the_narrowest_record_that_covers_all_of_it_answers(known: Registrations) -> None:
    asked = ["198.51.100.200", "198.51.100.128/25", "198.51.100.0/24", "198.51.100.0/23"]
    asked += ["198.50.0.0/15"]
    found = networks(known, asked, {})
    assert [found[text].contact for text in asked] == [
        "narrow@example.net",
        "narrow@example.net",
        "narrow@example.net",
        "wide@example.net",
        "",
    ]
    first = found["198.51.100.0/24"]
    assert (first.name, first.record) == ("NARROW", "198.51.100.0 - 198.51.100.255")
    assert first.as_of == "2026-05-04T00:00:00Z"
    assert found["198.50.0.0/15"].record == ""


def test_a_record_without_a_contact_leaves_it_to_the_as_and_says_so_without(
    known: Registrations,
) -> None:
    address = "198.51.100.7"
    assert networks(known, [address], {})[address].contact == ""
    assert networks(known, [address], {})[address].record == "198.51.100.0 - 198.51.100.127"
    found = networks(known, [address], {address: 64500})[address]
    assert (found.contact, found.record) == ("as@example.net", "AS64500")


def test_an_as_answers_for_itself_and_an_unknown_one_for_nothing(known: Registrations) -> None:
    found = systems(known, [64500, 64501])
    assert (found[64500].contact, found[64500].record) == ("as@example.net", "AS64500")
    assert (found[64501].contact, found[64501].as_of, found[64501].record) == ("", "", "")
