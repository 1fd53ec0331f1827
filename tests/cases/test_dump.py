"""A case written as TOML reads back equal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given

from cases.made_cases import BEEBONE, NOTES, QUICK, cases
from remnant.cases.casefile import loads
from remnant.cases.dump import dumps
from remnant.cases.model import Case, SinkholeConfig, Watch

TAKEDOWN = datetime(2015, 4, 8, tzinfo=UTC)


@QUICK
@given(cases())
def test_what_is_written_reads_back_equal(case: Case) -> None:
    text = dumps(case)
    again = loads(text, "again.toml")
    assert again == case
    assert again.duplicates == case.duplicates
    assert dumps(again) == text


@QUICK
@given(NOTES.filter(bool))
def test_any_line_of_text_survives(title: str) -> None:
    assert loads(dumps(Case("x", title, TAKEDOWN)), "x.toml").title == title


def test_the_documented_case_keeps_its_meaning() -> None:
    case = loads(BEEBONE, "beebone.toml")
    text = dumps(case)
    assert "takedown = 2015-04-08\n" in text
    assert "until  = 2014-07-03\n" in text  # the whole day, as it was written
    assert loads(text, "again.toml") == case


def test_dates_keep_hours_where_there_are_some() -> None:
    until = datetime(2016, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    case = Case("x", "x", TAKEDOWN, (Watch(("a.example",), until=until),))
    assert "until  = 2016-01-02T03:04:05.000006Z" in dumps(case)


def test_a_long_list_stands_one_name_in_a_line() -> None:
    names = tuple(f"ns{number}.evil.example" for number in range(50))
    lines = dumps(Case("x", "x", TAKEDOWN, (Watch(names),))).splitlines()
    assert '  "ns49.evil.example",' in lines
    assert max(map(len, lines)) <= 100


def test_only_what_differs_from_the_rule_is_written_of_a_sinkhole() -> None:
    case = loads(BEEBONE, "beebone.toml")
    assert dumps(case).endswith(
        '[sinkhole]\naddresses = ["192.0.2.53", "2001:db8::53"]\nttl = 60\n'
    )
    two = replace(case, sinkhole=SinkholeConfig(ttl=60, ttl_arms=(60, 300), caa=True))
    assert dumps(two).endswith("[sinkhole]\nttl_arms = [60, 300]\ncaa = true\n")
    assert loads(dumps(two), "two.toml") == two
