"""What is served: which names of which cases, in which zones."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant.cases.casefile import loads
from remnant.cases.rules import compile_rules
from remnant.errors import CaseError
from remnant.names import fold, is_below, labels_of
from remnant.sinkhole.zones import Zone, names_above, served_zones
from remnant.windows import to_us

NOW = to_us(datetime(2026, 1, 1, tzinfo=UTC))
SINK = '[sinkhole]\naddresses = ["2001:db8::53", "192.0.2.53"]\n'


def case_text(*watches: str, name: str = "x", sinkhole: str = SINK) -> str:
    tables = "".join(f"[[watch]]\n{watch}\n" for watch in watches)
    return f'case = {{name = "{name}", takedown = 2015-04-08}}\n{tables}{sinkhole}'


def served(*texts: str, answer: tuple[str, ...] = ()) -> dict[str, Zone]:
    cases = [loads(text, "x.toml") for text in texts]
    zones = served_zones(
        [(case, compile_rules(case)) for case in cases],
        answer=answer,
        now=NOW,
        serials={case.name: number for number, case in enumerate(cases, 7)},
    )
    return {zone.name: zone for zone in zones}


def test_names_stand_in_their_registrable_domain_or_the_zone_that_is_stated() -> None:
    zones = served(
        case_text(
            'names = ["a.b.evil.co.uk", "*.bot.dtdns.net"]',
            'names = ["x.y.example"]\nzone = "x.y.example"',
        )
    )

    assert list(zones) == ["evil.co.uk", "bot.dtdns.net", "x.y.example"]
    assert list(zones["evil.co.uk"].exact) == ["a.b.evil.co.uk"]
    assert list(zones["bot.dtdns.net"].below) == ["bot.dtdns.net"]


def test_what_the_answer_is_made_of() -> None:
    [zone] = served(case_text('names = ["evil.example"]')).values()

    assert zone.answering.ipv4 == ("192.0.2.53",)
    assert zone.answering.ipv6 == ("2001:db8::53",)
    assert zone.answering.ttls == (60,)
    assert zone.answering.serial == 7
    assert zone.nameservers == zone.servers_inside
    assert zone.nameservers == ("sinkhole-ns1.evil.example", "sinkhole-ns2.evil.example")
    assert zone.contact == "hostmaster@evil.example"


def test_addresses_on_the_command_line_take_the_place_of_the_cases() -> None:
    [zone] = served(case_text('names = ["evil.example"]'), answer=("198.51.100.1",)).values()

    assert (zone.answering.ipv4, zone.answering.ipv6) == (("198.51.100.1",), ())


def test_without_any_address_the_error_says_what_to_do() -> None:
    with pytest.raises(CaseError, match="which address") as caught:
        served(case_text('names = ["evil.example"]', sinkhole=""))
    assert caught.value.hint is not None
    assert "--answer" in caught.value.hint


def test_two_times_to_live_are_kept_apart() -> None:
    [zone] = served(
        case_text('names = ["evil.example"]', sinkhole=SINK + "ttl_arms = [300, 60]")
    ).values()

    assert zone.answering.ttls == (60, 300)


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ('state = "live"', False),
        ('state = "lost"', False),
        ('state = "seized"', True),
        ('state = "suspended"', True),
        ('state = "unknown"', True),
        ("until = 2025-12-31", False),
        ("until = 2026-01-01", True),
    ],
)
def test_only_what_is_the_sinkholes_is_served(more: str, kept: bool) -> None:
    zones = served(case_text(f'names = ["evil.example"]\n{more}', 'names = ["other.example"]'))

    assert ("evil.example" in zones) == kept


def test_a_case_without_a_name_to_serve_is_refused() -> None:
    with pytest.raises(CaseError, match="no name"):
        served(case_text('names = ["evil.example"]\nstate = "live"'))


def test_addresses_and_family_words_are_no_names() -> None:
    zones = served(
        case_text('addresses = ["203.0.113.7"]\nfamilies = ["zeus"]\nnames = ["evil.example"]')
    )

    assert list(zones) == ["evil.example"]


def test_generated_names_of_past_days_are_served_each_in_a_zone_of_its_own() -> None:
    zones = served(case_text('dga = "newgoz"\nfrom = 2014-07-01\nuntil = 2014-07-02'))

    assert len(zones) == 2000
    assert all(list(zone.exact) == [name] and not zone.below for name, zone in zones.items())


def test_a_zone_of_two_cases_answers_as_the_first_says() -> None:
    [zone] = served(
        case_text('names = ["a.evil.example"]', name="one"),
        case_text(
            'names = ["*.b.evil.example", "a.evil.example"]',
            name="two",
            sinkhole='[sinkhole]\naddresses = ["198.51.100.9"]',
        ),
    ).values()

    assert zone.cases == ["one", "two"]
    assert zone.answering.case == "one"
    assert list(zone.exact) == ["a.evil.example"]
    assert list(zone.below) == ["b.evil.example"]


def test_a_name_stands_in_the_innermost_zone_whichever_was_stated_first() -> None:
    zones = served(
        case_text(
            'names = ["x.sub.evil.example", "www.evil.example"]',
            'names = ["y.sub.evil.example"]\nzone = "sub.evil.example"',
        )
    )

    assert list(zones["evil.example"].exact) == ["www.evil.example"]
    assert list(zones["sub.evil.example"].exact) == ["x.sub.evil.example", "y.sub.evil.example"]


def test_everything_below_a_name_reaches_into_the_zones_there() -> None:
    zones = served(
        case_text('names = ["*.evil.example"]', name="outer"),
        case_text('names = ["y.sub.evil.example"]\nzone = "sub.evil.example"', name="inner"),
        case_text(
            'names = ["z.x.sub.evil.example"]\nzone = "x.sub.evil.example"', name="innermost"
        ),
    )

    assert zones["x.sub.evil.example"].watched("any.x.sub.evil.example")
    assert zones["sub.evil.example"].watched("any.sub.evil.example")
    assert zones["sub.evil.example"].cases == ["inner", "outer"]
    assert zones["x.sub.evil.example"].answering.case == "innermost"


def test_a_zone_whose_names_all_stand_in_a_zone_within_it_still_has_a_case() -> None:
    zones = served(
        case_text(
            'names = ["x.sub.evil.example"]',
            'names = ["y.sub.evil.example"]\nzone = "sub.evil.example"',
        )
    )

    assert zones["evil.example"].cases == ["x"]
    assert not zones["evil.example"].exact


def test_name_servers_of_the_case_inside_and_outside() -> None:
    servers = 'nameservers = ["ns.sink.example.net", "dns.evil.example"]\ncontact = "a.b@c.example"'
    zones = served(
        case_text('names = ["www.evil.example", "other.example"]', sinkhole=f"{SINK}{servers}\n")
    )

    assert zones["evil.example"].servers_inside == ("dns.evil.example",)
    assert zones["other.example"].servers_inside == ()
    assert zones["other.example"].nameservers[0] == "ns.sink.example.net"
    assert zones["other.example"].contact == "a.b@c.example"


def test_watched_covered_and_between() -> None:
    zones = served(
        case_text(
            'names = ["a.b.c.evil.example", "*.d.evil.example", "e.f.d.evil.example"]',
            sinkhole=f'{SINK}nameservers = ["ns.g.evil.example"]\n',
        )
    )
    zone = zones["evil.example"]

    assert zone.watched("a.b.c.evil.example")
    assert zone.watched("d.evil.example")
    assert zone.watched("x.e.f.d.evil.example")
    assert not zone.watched("xd.evil.example")
    assert not zone.watched("x.a.b.c.evil.example")
    assert zone.covered("e.f.d.evil.example")
    assert not zone.covered("a.b.c.evil.example")
    assert list(zone.between()) == ["b.c.evil.example", "c.evil.example", "g.evil.example"]
    assert zone.existing() == {
        "evil.example", "a.b.c.evil.example", "b.c.evil.example", "c.evil.example",
        "d.evil.example", "f.d.evil.example", "e.f.d.evil.example", "ns.g.evil.example",
        "g.evil.example",
    }  # fmt: skip


def test_a_dot_in_a_label_parts_no_labels() -> None:
    [zone] = served(case_text(r"names = ['b\.evil.example']")).values()

    assert zone.name == r"b\.evil.example"
    assert not is_below(zone.name, "evil.example")
    assert list(names_above(r"x.b\.evil.example")) == [r"b\.evil.example", "example"]


NAMES = st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=6).map(
    lambda labels: fold(".".join("".join(f"\\{byte:03d}" for byte in label) for label in labels))
)


@given(NAMES)
def test_the_names_above_are_those_without_the_first_labels(name: str) -> None:
    labels = labels_of(name)

    assert [labels_of(above) for above in names_above(name)] == [
        labels[depth:] for depth in range(1, len(labels))
    ]
    assert all(is_below(name, above) for above in names_above(name))


def test_a_zone_without_room_for_its_servers_is_refused() -> None:
    long = ".".join(["a" * 63] * 3 + ["b" * 58])
    watch = f'names = ["{long}"]\nzone = "{long}"'
    with pytest.raises(CaseError, match="no room"):
        served(case_text(watch))
    more = 'nameservers = ["ns.example.net"]\ncontact = "a@b.example"\n'
    zones = served(case_text(watch, sinkhole=SINK + more))

    assert list(zones) == [long]


def test_many_names_in_one_zone_take_little_time() -> None:
    names = ", ".join(f'"*.n{number}.evil.example"' for number in range(20_000))
    began = time.process_time()
    [zone] = served(case_text(f"names = [{names}]")).values()
    between = list(zone.between())

    assert between == []
    assert zone.watched("x.n19999.evil.example")
    # Linear work takes well under a second; anything quadratic takes minutes.
    assert time.process_time() - began < 20


def test_more_addresses_than_an_answer_has_room_for_are_refused() -> None:
    many = tuple(f"192.0.2.{i}" for i in range(9))

    with pytest.raises(CaseError, match="too many addresses"):
        served(case_text('names = ["evil.example"]'), answer=many)
    assert served(case_text('names = ["evil.example"]'), answer=many[:8])
