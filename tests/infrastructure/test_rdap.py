"""RDAP responses, good ones and hostile ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.registered import card, domain, network
from remnant.infrastructure import rdap
from remnant.infrastructure.rdap import parse
from remnant.infrastructure.registration import Contact, Registration

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def one(value: Any, **more: Any) -> Registration:
    said = parse(json.dumps(value).encode(), now=NOW, **more)
    assert said.refused == {}
    ((found, _),) = said.objects
    return found


def refused(data: bytes, **more: Any) -> dict[str, int]:
    said = parse(data, now=NOW, **more)
    assert said.objects == ()
    return said.refused


def test_a_domain() -> None:
    said = parse(json.dumps(domain()).encode(), now=NOW)

    ((found, dated),) = said.objects
    assert dated == datetime(2015, 4, 20, tzinfo=UTC)
    assert found == Registration(
        "domain",
        "evil.example",
        handle="D-1",
        status=("client transfer prohibited",),
        registered=datetime(2014, 2, 1, 10, tzinfo=UTC),
        expires=datetime(2016, 2, 1, 10, tzinfo=UTC),
        changed=datetime(2015, 2, 1, 8, tzinfo=UTC),
        name_servers=("ns1.evil.example", "ns2.evil.example"),
        registrar="Names Inc.",
        registrar_id="9999",
        contacts=(
            Contact("abuse", "registrar", email="abuse@names.example", phone="+1.555"),
            Contact("registrar", name="Names Inc.", handle="292"),
        ),
        redacted=("Registrant Name", "Tech Email"),
    )
    assert found.contact("registrar") == found.contacts[0]
    assert found.contact() is None


def test_no_person_is_kept() -> None:
    assert "person" not in one(domain()).body().lower()


def test_a_network_and_whom_to_ask() -> None:
    found = one(network())

    assert (found.kind, found.key) == ("network", "203.0.113.0-203.0.113.255")
    assert (found.name, found.country, found.first) == ("TEST-NET-3", "NL", "203.0.113.0")
    contact = found.contact()
    assert contact is not None
    assert contact.email == "abuse@hosting.example"


def test_an_as_a_name_server_and_an_entity() -> None:
    system = {"objectClassName": "autnum", "startAutnum": 64500, "endAutnum": 64500, "name": "X"}
    assert (one(system).kind, one(system).key) == ("autnum", "64500")
    assert one({"objectClassName": "nameserver", "ldhName": "NS1.x.example"}).key == "ns1.x.example"
    assert one({"objectClassName": "entity", "handle": "ORG-1"}).key == "ORG-1"


def test_a_desk_without_a_mail_address_is_not_preferred() -> None:
    entities = [
        {"roles": ["abuse"], "handle": "A", "vcardArray": card(fn="Abuse", tel="+1.1")},
        {"roles": ["technical"], "handle": "T", "vcardArray": card(email="noc@hosting.example")},
    ]
    contact = one(network(entities=entities)).contact()
    assert contact is not None
    assert contact.email == "noc@hosting.example"


def test_not_found_is_an_answer_too() -> None:
    said = {"errorCode": 404, "title": "Object not found"}
    link = {"value": "https://rdap.example/v1/domain/GONE.example", "rel": "self"}
    assert one(said | {"links": [link]}) == Registration("domain", "gone.example", found=False)
    assert one(said, named="gone.example").key == "gone.example"
    assert refused(json.dumps(said).encode()) == {"'not found', and it does not say what": 1}
    assert refused(json.dumps(said).encode(), named="response") == {
        "'not found', and it does not say what": 1
    }
    assert refused(b'{"errorCode": 429}') == {"an error of the server": 1}


def test_arrays_search_results_and_lines() -> None:
    both = [domain("a.example"), domain("b.example")]
    forms = [
        json.dumps(both),
        json.dumps({"domainSearchResults": both, "rdapConformance": []}),
        "\n".join(map(json.dumps, both)) + "\n\n",
    ]
    for text in forms:
        said = parse(text.encode(), now=NOW)
        assert [found.key for found, _ in said.objects] == ["a.example", "b.example"]
        assert said.refused == {}


def test_a_bad_line_among_good_ones_is_counted() -> None:
    lines = [json.dumps(domain("a.example")), "{broken", json.dumps(domain("b.example"))]
    said = parse("\n".join(lines).encode(), now=NOW)

    assert len(said.objects) == 2
    assert said.refused == {"not JSON": 1}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe{", "not JSON"),
        (b"<html>", "not JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b'{"startAutnum": ' + b"1" * 10_000 + b"}", "not JSON"),
        (b"7", "not an RDAP object"),
        (b"{}", "not an RDAP object"),
        (b'{"objectClassName": ["domain"]}', "not an RDAP object"),
        (b'{"objectClassName": "domain"}', "a name that is none"),
        (b'{"objectClassName": "domain", "ldhName": "a..b"}', "a name that is none"),
        (b'{"objectClassName": "autnum", "startAutnum": true}', "an AS without a number"),
        (b'{"objectClassName": "autnum", "startAutnum": -1}', "an AS without a number"),
        (b'{"objectClassName": "ip network", "startAddress": "x"}', "a network without addresses"),
        (json.dumps(network("203.0.113.9", "203.0.113.1")).encode(), "a network without addresses"),
        (json.dumps(network("203.0.113.9", "2001:db8::")).encode(), "a network without addresses"),
        (b'{"objectClassName": "entity"}', "an entity without a handle"),
    ],
)
def test_hostile(data: bytes, why: str) -> None:
    assert refused(data) == {why: 1}


def test_the_future_is_not_believed() -> None:
    events = [{"eventAction": "last update of RDAP database", "eventDate": "2026-01-03T00:00:00Z"}]
    assert refused(json.dumps(domain(events=events)).encode()) == {"dated in the future": 1}


def test_too_large_and_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rdap, "MOST_BYTES", 100)
    assert refused(b" " * 101) == {"larger than 64 MiB": 1}
    monkeypatch.setattr(rdap, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(rdap, "MOST_OBJECTS", 2)
    said = parse(json.dumps([domain(f"{i}.example") for i in range(5)]).encode(), now=NOW)
    assert len(said.objects) == 2
    assert said.refused == {"more than 100,000 objects in a file": 3}


def test_lists_without_end_are_cut() -> None:
    value = domain(
        status=["x" * 10_000] * 1000 + ["\x1b[2J", "\ud800", 7],
        nameservers=[{"ldhName": f"ns{i}.x.example"} for i in range(1000)],
        entities=[{"roles": ["abuse"] * 1000, "handle": str(i)} for i in range(1000)],
        redacted=[{"name": {"type": str(i)}} for i in range(1000)],
    )
    found = one(value)

    assert len(found.name_servers) == len(found.contacts) == len(found.redacted) == 64
    assert all(len(word) <= 201 for word in found.status)
    assert len(found.body().encode()) < 20_000
    assert found.body().isprintable()


def test_entities_that_hold_each_other_deeply() -> None:
    entity: dict[str, Any] = {"roles": ["abuse"], "handle": "deep"}
    for level in range(100):
        entity = {"roles": ["technical"], "handle": str(level), "entities": [entity]}
    found = one(network(entities=[entity]))

    assert len(found.contacts) == 5
    assert all(contact.role == "technical" for contact in found.contacts)


def test_what_is_hidden_is_no_contact() -> None:
    hidden = card(fn="REDACTED FOR PRIVACY", email="not an address", tel="Redacted")
    found = one(network(entities=[{"roles": ["abuse"], "vcardArray": hidden}]))
    assert found.contacts == ()
    assert found.contact() is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2015-04-08T12:00:00", datetime(2015, 4, 8, 12, tzinfo=UTC)),
        ("2015-04-08", datetime(2015, 4, 8, tzinfo=UTC)),
        ("0001-01-01T00:00:00+23:00", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("soon", None),
        (7, None),
        ("1" * 100, None),
    ],
)
def test_times(text: object, value: datetime | None) -> None:
    assert one(domain(events=[{"eventAction": "Expiration", "eventDate": text}])).expires == value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["objectClassName", "ldhName", "events", "entities", "roles", "vcardArray", "status",
             "nameservers", "startAddress", "endAddress", "startAutnum", "errorCode", "links",
             "eventAction", "eventDate", "publicIds", "redacted", "name", "handle"]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=30,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(json_values, st.sampled_from(["domain", "ip network", "autnum", "entity"]))
def test_whatever_the_types_are_it_is_read_or_counted(value: Any, kind: str) -> None:
    if isinstance(value, dict):
        value = {**value, "objectClassName": kind}
    said = parse(json.dumps(value).encode(), now=NOW)

    for found, _ in said.objects:
        assert Registration.from_body(found.body()) == found
        found.body().encode()
    if not isinstance(value, list):
        assert len(said.objects) + sum(said.refused.values()) == 1


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    said = parse(data, now=NOW)
    assert said.objects == () or said.refused == {}
