"""Cases compiled into rules."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.made_cases import BEEBONE, QUICK, cases
from remnant.cases import dga, rules
from remnant.cases.casefile import loads
from remnant.cases.model import Case, Watch
from remnant.cases.rules import compile_rules, generated_days
from remnant.errors import CaseError
from remnant.names import text_to_wire
from remnant.watchlist import Rule, Watchlist
from remnant.windows import to_us

HEAD = '[case]\nname = "x"\ntakedown = 2015-04-08\n'
TAKEDOWN = datetime(2015, 4, 8, tzinfo=UTC)
DAY = timedelta(days=1)


def compiled(text: str) -> list[Rule]:
    return compile_rules(loads(HEAD + text, "x.toml"))


def us(*parts: int) -> int:
    return to_us(datetime(*parts, tzinfo=UTC))  # type: ignore[misc,arg-type]


def test_written_rules_come_in_file_order() -> None:
    found = compile_rules(loads(BEEBONE, "beebone.toml"))
    assert found[0] == Rule(
        "beebone",
        "exact",
        "ns1.timedate1.com",
        "c2",
        "seized",
        None,
        us(2015, 4, 8),
        source="maltrail changeup.txt",
    )
    assert (found[1].kind, found[1].text) == ("below", "*.thepicturehut.net")
    assert found[2] == Rule("beebone", "address", "203.0.113.7/32")
    assert len(found) == 3 + 3000


def test_a_repeated_rule_is_one_rule() -> None:
    found = compiled(
        """
        [[watch]]
        names = ["a.example"]
        from = 2015-04-09
        until = 2015-05-01
        [[watch]]
        names = ["a.example"]
        from = 2015-04-08
        until = 2015-06-01
        source = "b"
        [[watch]]
        names = ["b.example"]
        until = 2015-06-01
        [[watch]]
        names = ["b.example"]
        """
    )
    assert [rule.text for rule in found] == ["a.example", "b.example"]
    assert (found[0].since, found[0].until) == (us(2015, 4, 8), us(2015, 6, 2))
    assert found[0].source == "b"
    assert (found[1].since, found[1].until) == (None, None)


def test_a_zone_that_is_stated_is_kept() -> None:
    found = compiled(
        '[[watch]]\nnames = ["a.b.evil.example", "*.b.evil.example"]\nzone = "b.evil.example"\n'
    )
    assert {rule.zone for rule in found} == {"b.evil.example"}


def test_generated_names_hold_around_their_day() -> None:
    found = compiled(
        '[[watch]]\ndga = "newgoz"\nfrom = 2014-07-25\nuntil = 2014-07-25\nstate = "live"\n'
    )
    assert [rule.text for rule in found] == dga.generate("newgoz", date(2014, 7, 25))
    for rule in found:
        assert rule.kind == "exact"
        assert (rule.role, rule.state) == ("dga", "live")
        assert rule.zone is None
        assert (rule.valid_from, rule.valid_until) == (us(2014, 7, 24), us(2014, 7, 27))
        assert (rule.since, rule.until) == (us(2014, 7, 25), us(2014, 7, 26))


class _Weekly:
    """A made-up family: one name for every seven days, one that comes and goes, one a day."""

    name = "weekly"
    title = "Weekly"
    per_day = 3
    reference = "made up"
    epoch_days = 1
    barrel = None
    lookups = None
    barrel_source = None
    lookback_days = 0
    checked = False

    def begins(self, day: date) -> date:
        return day

    def generate(self, day: date) -> list[str]:
        names = [f"week{day.toordinal() // 7}.example", f"day{day.toordinal()}.example"]
        return [*names, "often.example"] if day.day in {1, 2, 20} else names


@pytest.fixture
def weekly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(dga.FAMILIES, "weekly", _Weekly())


@pytest.mark.usefixtures("weekly")
def test_a_name_of_several_days_has_one_rule_for_each_run() -> None:
    found = compiled('[[watch]]\ndga = "weekly"\nfrom = 2014-07-01\nuntil = 2014-07-31\n')
    often = [rule for rule in found if rule.text == "often.example"]
    assert [(rule.valid_from, rule.valid_until) for rule in often] == [
        (us(2014, 6, 30), us(2014, 7, 4)),
        (us(2014, 7, 19), us(2014, 7, 22)),
    ]
    ordinal = date(2014, 7, 9).toordinal() // 7
    week = [rule for rule in found if rule.text == f"week{ordinal}.example"]
    assert len(week) == 1
    assert week[0].valid_until is not None
    assert week[0].valid_from is not None
    assert week[0].valid_until - week[0].valid_from == 9 * 86_400_000_000


@pytest.mark.usefixtures("weekly")
def test_a_name_that_is_also_written_is_not_generated() -> None:
    found = compiled(
        '[[watch]]\nnames = ["often.example"]\nstate = "seized"\n'
        '[[watch]]\ndga = "weekly"\nfrom = 2014-07-01\nuntil = 2014-07-02\n'
    )
    often = [rule for rule in found if rule.text == "often.example"]
    assert [(rule.state, rule.valid_from) for rule in often] == [("seized", None)]


@pytest.mark.usefixtures("weekly")
@QUICK
@given(
    start=st.integers(0, 60),
    length=st.integers(1, 30),
    since=st.integers(-24 * 10, 24 * 100),
    hours=st.integers(1, 24 * 50),
)
def test_a_window_leaves_out_only_what_is_not_counted_in_it(
    start: int, length: int, since: int, hours: int
) -> None:
    begin = TAKEDOWN + DAY * start
    case = Case("x", "x", TAKEDOWN, (Watch(dga="weekly", since=begin, until=begin + DAY * length),))
    first = TAKEDOWN + timedelta(hours=since)
    last = first + timedelta(hours=hours)

    def hits(found: list[Rule]) -> set[tuple[str, int]]:
        return {
            (rule.text, moment)
            for rule in found
            for moment in range(to_us(first), to_us(last), 3_600_000_000)
            if rule.valid_from is not None and rule.valid_from <= moment < (rule.valid_until or 0)
        }

    assert hits(compile_rules(case, since=first, until=last)) == hits(compile_rules(case))


def spans(text: str) -> dict[str, list[tuple[int | None, int | None]]]:
    found: dict[str, list[tuple[int | None, int | None]]] = {}
    for rule in compiled(text):
        found.setdefault(rule.text, []).append((rule.valid_from, rule.valid_until))
    return found


def test_a_list_of_several_days_counts_as_long_as_it_holds() -> None:
    found = spans('[[watch]]\ndga = "necurs"\nfrom = 2015-08-29\nuntil = 2015-09-01\n')
    assert len(found) == 2 * 2048
    august, september = (
        dga.generate("necurs", day)[0] for day in (date(2015, 8, 30), date(2015, 9, 3))
    )
    assert found[august] == [(us(2015, 8, 27), us(2015, 9, 2))]
    assert found[september] == [(us(2015, 8, 31), us(2015, 9, 5))]


def test_a_list_of_two_watches_is_counted_by_each_on_its_days() -> None:
    text = '[[watch]]\ndga = "symmi"\nstate = "{}"\nfrom = 2015-08-{}\nuntil = 2015-08-{}\n'
    found = spans(text.format("live", 18, 20) + text.format("lost", 21, 25))
    assert set(map(tuple, found.values())) == {
        ((us(2015, 8, 15), us(2015, 8, 22)), (us(2015, 8, 20), us(2015, 9, 2)))
    }


def test_bots_that_come_back_to_older_names_are_counted() -> None:
    found = spans('[[watch]]\ndga = "ranbyus-september"\nfrom = 2015-09-25\nuntil = 2015-09-25\n')
    assert len(found) == 40
    assert set(map(tuple, found.values())) == {((us(2015, 9, 24), us(2015, 10, 27)),)}
    late = datetime(2015, 10, 26, tzinfo=UTC)
    text = '[[watch]]\ndga = "ranbyus-september"\nfrom = 2015-09-25\nuntil = 2015-09-25\n'
    case = loads(HEAD + text, "x.toml")
    assert len(compile_rules(case, since=late)) == 40
    assert compile_rules(case, since=late + DAY) == []


def test_names_that_never_change_count_always_and_once() -> None:
    text = '[[watch]]\ndga = "simda"\nfrom = {0}-01-01\nuntil = {0}-12-31\n'
    found = spans(text.format(2014) + text.format(2016))
    assert len(found) == 1000
    assert set(map(tuple, found.values())) == {((None, None),)}
    case = loads(HEAD + text.format(2014), "x.toml")
    assert compile_rules(case, since=TAKEDOWN) == compile_rules(case)


def test_generated_days() -> None:
    watch = Watch(dga="newgoz", since=TAKEDOWN, until=TAKEDOWN + 3 * DAY)
    assert generated_days(watch) == [date(2015, 4, 8), date(2015, 4, 9), date(2015, 4, 10)]
    assert generated_days(watch, since=TAKEDOWN + 4 * DAY) == []
    assert generated_days(watch, since=TAKEDOWN + 3 * DAY) == [date(2015, 4, 10)]
    assert generated_days(watch, until=TAKEDOWN) == [date(2015, 4, 8)]
    assert generated_days(watch, until=TAKEDOWN - DAY) == []
    assert generated_days(Watch(("a.example",))) == []


def test_too_many_generated_names_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_NAMES", 1999)
    with pytest.raises(CaseError, match="watches too much"):
        compiled('[[watch]]\ndga = "newgoz"\nfrom = 2014-07-25\nuntil = 2014-07-26\n')


@QUICK
@given(cases().filter(lambda case: all(watch.dga is None for watch in case.watches)))
def test_every_indicator_has_one_rule(case: Case) -> None:
    found = compile_rules(case)
    texts = [rule.text for rule in found]
    written = {text for watch in case.watches for text in (*watch.names, *watch.addresses)}
    written |= {f"family:{word}" for watch in case.watches for word in watch.families}
    assert len(texts) == len(set(texts))
    assert set(texts) == written
    assert {rule.zone for rule in found} <= {None, *(watch.zone for watch in case.watches)}


def test_names_match_at_label_boundaries() -> None:
    watchlist = Watchlist.compile(compiled('[[watch]]\nnames = ["*.evil.com", "only.example"]\n'))
    asked = ["evil.com", "a.evil.com", "notevil.com", "evil.com.example", "only.example"]
    asked += ["a.only.example", "EVIL.com"]
    wires = [text_to_wire(name) for name in asked]
    offsets = np.cumsum([0, *map(len, wires)], dtype=np.int64)
    buffer = np.frombuffer(b"".join(wires), dtype=np.uint8).copy()
    rows, _ = watchlist.match_wire(buffer, offsets)
    assert [asked[row] for row in rows] == ["evil.com", "a.evil.com", "only.example", "EVIL.com"]


def test_family_words_are_rules_of_their_own() -> None:
    found = compiled(
        '[[watch]]\nnames = ["beebone"]\n'
        '[[watch]]\nfamilies = ["BeeBone", "vobfus"]\nstate = "seized"\nfrom = 2015-04-08\n'
    )

    assert [(rule.kind, rule.text, rule.state, rule.since) for rule in found] == [
        ("exact", "beebone", "unknown", None),
        ("family", "family:beebone", "seized", us(2015, 4, 8)),
        ("family", "family:vobfus", "seized", us(2015, 4, 8)),
    ]
