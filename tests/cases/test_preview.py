"""What a case watches, and what looks wrong in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from cases.made_cases import BEEBONE, QUICK, cases
from remnant.cases import preview as module
from remnant.cases.casefile import loads
from remnant.cases.preview import Preview, preview

if TYPE_CHECKING:
    from remnant.cases.model import Case

NOW = datetime(2016, 1, 1, tzinfo=UTC)
HEAD = '[case]\nname = "x"\ntakedown = 2015-04-08\n'


def check(text: str) -> Preview:
    return preview(loads(HEAD + text, "x.toml"), now=NOW)


def test_the_documented_case() -> None:
    found = preview(loads(BEEBONE, "x.toml"), now=NOW).to_json()
    assert found["name"] == "beebone"
    assert found["takedown"] == "2015-04-08T00:00:00Z"
    assert found["kinds"] == {"exact": 1, "below": 1, "address": 1, "family": 0}
    assert found["states"] == {"seized": 2, "unknown": 1}
    assert found["roles"] == {"c2": 3}
    assert found["zones"] == 2
    assert found["top_zones"][0] == {"zone": "thepicturehut.net", "names": 1}
    assert found["generated"] == [
        {"family": "newgoz", "first": "2014-07-01", "last": "2014-07-03", "names": 3000}
    ]
    assert found["sinkhole"]["addresses"] == ["192.0.2.53", "2001:db8::53"]
    assert found["sinkhole"]["ttl"] == 60
    assert found["sinkhole"]["http"] == "204"
    assert found["events"][0]["kind"] == "notice"
    # 203.0.113.0/24 is for documentation.
    assert [w["path"] for w in found["warnings"]] == ["watch[1].addresses[0]"]


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ('names = ["com"]', "watch[0].names[0]", "public suffix"),
        ('names = ["a.com", "blogspot.com"]', "watch[0].names[1]", "public suffix"),
        ('names = ["*.blogspot.com"]', "watch[0].names[0]", "public suffix"),
        ('names = ["*.dtdns.net"]', "watch[0].names[0]", "dynamic-DNS"),
        ('names = ["www.google.com"]', "watch[0].names[0]", "healthy machines"),
        ('names = ["*.microsoft.com"]', "watch[0].names[0]", "healthy machines"),
        ('names = ["gate.php"]', "watch[0].names[0]", "no top-level domain php"),
        ('names = ["abcdefghijklmnop.onion"]', "watch[0].names[0]", "Tor"),
        ('names = ["printer.local"]', "watch[0].names[0]", "multicast"),
        ('addresses = ["127.0.0.1"]', "watch[0].addresses[0]", "public internet"),
        ('addresses = ["10.0.0.0/8"]', "watch[0].addresses[0]", "public internet"),
        ('addresses = ["8.0.0.0/9"]', "watch[0].addresses[0]", "this wide"),
        ('addresses = ["2600::/16"]', "watch[0].addresses[0]", "this wide"),
        (
            'addresses = ["8.8.8.0/24"]\n[sinkhole]\naddresses = ["8.8.8.8"]',
            "watch[0].addresses[0]",
            "own sinkhole",
        ),
        ('names = ["a.com"]\nfrom = 2017-01-01', "watch[0].from", "in the future"),
        ('names = ["a.com"]\nuntil = 2015-01-01', "watch[0].until", "before the takedown"),
        ('names = ["a.com"]\nstate = "lost"', "watch[0].state", "since when"),
        ('names = ["a.com"]\nstate = "seized"\nfrom = 2014-01-01', "watch[0].from", "before"),
        ('names = ["a.com"]\n[[event]]\ntime = 2017-01-01', "event[0].time", "in the future"),
    ],
)
def test_what_looks_wrong(text: str, path: str, said: str) -> None:
    found = check("[[watch]]\n" + text)
    assert [w.path for w in found.warnings] == [path]
    assert said in found.warnings[0].message


def test_a_takedown_in_the_future() -> None:
    case = loads(HEAD, "x.toml")
    assert preview(case, now=datetime(2015, 1, 1, tzinfo=UTC)).warnings[0].path == "case.takedown"
    assert preview(case).warnings == ()


def test_good_indicators_raise_no_warning() -> None:
    found = check(
        '[[watch]]\nnames = ["google.poultrymiddleeast.com", "notgoogle.com", "a.ddns.net"]\n'
    )
    assert found.warnings == ()
    assert found.zones == 3


def test_repeated_indicators_count_once() -> None:
    found = check('[[watch]]\nnames = ["a.com"]\n[[watch]]\nnames = ["A.com", "b.com"]\n')
    assert found.kinds["exact"] == 2
    assert found.duplicates == 1


def test_warnings_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_WARNINGS", 2)
    found = check('[[watch]]\nnames = ["a.php", "b.php", "c.php"]\n')
    assert len(found.warnings) == 2
    assert found.warning_count == 3


@QUICK
@given(cases())
def test_any_case_has_a_preview(case: Case) -> None:
    found = preview(case, now=NOW)
    texts = {text for watch in case.watches for text in (*watch.names, *watch.addresses)}
    texts |= {f"family:{word}" for watch in case.watches for word in watch.families}
    assert sum(found.kinds.values()) == sum(found.roles.values()) == len(texts)
    assert json.loads(json.dumps(found.to_json()))["name"] == case.name


def test_family_words_are_counted_and_make_no_zone() -> None:
    found = check('[[watch]]\nfamilies = ["beebone", "vobfus"]\n')

    assert found.kinds["family"] == 2
    assert found.zones == 0
    assert found.warnings == ()
