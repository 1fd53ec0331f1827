"""A case compiled into rules: what the watchlist is made of.

Repeated indicators become one rule. Generated names become exact rules that hold only around their
date, because a name of another day is asked for by something else: a machine with a wrong clock,
another variant, or a person.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from remnant.cases import dga
from remnant.cases.model import MAX_NAMES
from remnant.errors import CaseError
from remnant.watchlist import FAMILY, Rule
from remnant.windows import ceil, floor, to_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date

    from remnant.cases.model import Case, Watch
    from remnant.watchlist import Kind

__all__ = ["GRACE", "compile_rules", "generated_count", "generated_days"]

GRACE: Final = timedelta(days=1)
"""How far from its UTC date a generated name is counted: infected hosts have wrong clocks."""

_DAY: Final = timedelta(days=1)


def compile_rules(
    case: Case, *, since: datetime | None = None, until: datetime | None = None
) -> list[Rule]:
    """Return the rules of a case: written indicators first, in file order, then generated names.

    Args:
        case: what is watched.
        since: generated names whose rule ends at or before this time are left out (UTC).
        until: generated names whose rule begins at or after this time are left out (UTC,
            exclusive).

    An indicator that is stated several times gives one rule: the earliest ``since``, the latest
    ``until`` (unknown where any is unknown), the first zone and source. A generated name that is
    also written as an exact name gives no further rule. The same generated name on several days
    gives one rule for each unbroken run of time, all with the same text; names of a family whose
    list never changes have no dates.

    Raises:
        CaseError: more than ``MAX_NAMES`` rules.

    >>> from remnant.cases.casefile import loads
    >>> text = '''
    ... case = {name = "x", takedown = 2015-04-08}
    ... watch = [{names = ["*.Evil.Example"], state = "seized"}]
    ... '''
    >>> [(rule.kind, rule.text, rule.state) for rule in compile_rules(loads(text, "x.toml"))]
    [('below', '*.evil.example', 'seized')]
    """
    written: dict[str, Rule] = {}
    for watch in case.watches:
        for rule in _written(case.name, watch):
            known = written.get(rule.text)
            written[rule.text] = rule if known is None else _merged(known, rule)
    rules = list(written.values())
    for family in dict.fromkeys(watch.dga for watch in case.watches if watch.dga is not None):
        generated = _generated(case, family, since, until, MAX_NAMES - len(rules))
        rules.extend(rule for rule in generated if rule.text not in written)
    return rules


def generated_days(
    watch: Watch, since: datetime | None = None, until: datetime | None = None
) -> list[date]:
    """Return the UTC days for which a ``dga`` watch generates names, in order.

    With ``since`` or ``until`` only the days whose names are counted in that window.
    """
    if watch.dga is None or watch.since is None or watch.until is None:
        return []
    start, end = floor(watch.since, "day"), ceil(watch.until, "day")
    if since is not None:
        start = max(start, floor(since, "day") - GRACE - _lookback(watch.dga))
    if until is not None:
        end = min(end, ceil(until, "day") + GRACE)
    return [(start + _DAY * number).date() for number in range(max(0, (end - start).days))]


def generated_count(family: str, days: Iterable[date]) -> int:
    """Return how many names a family has on some UTC days, at most.

    A list that holds for several days is counted once.
    """
    found = dga.family(family)
    return len({found.begins(day) for day in days}) * found.per_day


def _lookback(family: str) -> timedelta:
    return _DAY * dga.family(family).lookback_days


def _written(case: str, watch: Watch) -> Iterator[Rule]:
    since = None if watch.since is None else to_us(watch.since)
    until = None if watch.until is None else to_us(watch.until)
    for text in watch.names:
        kind: Kind = "below" if text.startswith("*.") else "exact"
        yield Rule(
            case, kind, text, watch.role, watch.state, watch.zone, since, until, source=watch.source
        )
    other: list[tuple[Kind, str]] = [("address", text) for text in watch.addresses]
    other += [("family", FAMILY + word) for word in watch.families]
    for kind, text in other:
        yield Rule(
            case,
            kind,
            text,
            watch.role,
            watch.state,
            since=since,
            until=until,
            source=watch.source,
        )


def _merged(first: Rule, second: Rule) -> Rule:
    since = None
    if first.since is not None and second.since is not None:
        since = min(first.since, second.since)
    until = None
    if first.until is not None and second.until is not None:
        until = max(first.until, second.until)
    return replace(
        first,
        since=since,
        until=until,
        zone=first.zone or second.zone,
        source=first.source or second.source,
    )


def _generated(
    case: Case, family: str, since: datetime | None, until: datetime | None, room: int
) -> Iterator[Rule]:
    """Yield the rules of one family, over all watches that name it."""
    days: dict[date, Watch] = {}
    for watch in case.watches:
        if watch.dga != family:
            continue
        always = dga.family(family).epoch_days is None
        for day in generated_days(watch) if always else generated_days(watch, since, until):
            days.setdefault(day, watch)
        names = generated_count(family, days)
        if names > room:
            raise CaseError(
                "the case watches too much",
                where=f"case {case.name}, dga {family}",
                got=f"{names:,} names of {len(days):,} days",
                expected=f"at most {MAX_NAMES:,} names in the whole case",
                hint="bring from and until closer together",
            )
    open_rules: dict[str, Rule] = {}
    for day, start, end, watch in _spans(family, days):
        made = _of_span(case.name, watch, start, end)
        for name in dga.generate(family, day):
            known = open_rules.get(name)
            if start is None:
                open_rules.setdefault(name, made(name))
                continue
            if (
                known is not None
                and known.valid_until is not None
                and start <= known.valid_until
                and known.state == watch.state
            ):
                open_rules[name] = replace(known, valid_until=end)
                continue
            if known is not None:
                yield known
            open_rules[name] = made(name)
    yield from open_rules.values()


def _runs(family: str, days: dict[date, Watch]) -> Iterator[tuple[date, date, Watch]]:
    """Yield the first and the last of days that follow each other and share list and watch."""
    begins = dga.family(family).begins
    run: tuple[date, date, Watch] | None = None
    for day, watch in sorted(days.items(), key=itemgetter(0)):
        if run is not None:
            first, last, before = run
            if before is watch and day - last == _DAY and begins(day) == begins(first):
                run = first, day, watch
                continue
            yield run
        run = day, day, watch
    if run is not None:
        yield run


def _spans(
    family: str, days: dict[date, Watch]
) -> Iterator[tuple[date, int | None, int | None, Watch]]:
    """Yield a day of each list, when its names begin and end to count (UTC us), and its watch.

    A list counts as long as it holds, also on days that no watch names: a bot that asks for it the
    day before ``from`` is no less a bot. A list that always holds always counts.
    """
    found = dga.family(family)
    for begin, end, watch in _runs(family, days):
        first, last, begins = begin, end, found.begins(begin)
        if begins is None:
            yield first, None, None, watch
            continue
        if first - _DAY not in days:
            first = begins
        while (after := last + _DAY) not in days and found.begins(after) == begins:
            last = after
        start = to_us(_midnight(first) - GRACE)
        yield begin, start, to_us(_midnight(last) + _DAY + GRACE + _lookback(family)), watch


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _of_span(case: str, watch: Watch, start: int | None, end: int | None) -> Callable[[str], Rule]:
    """Return what makes the rule of a name that counts from a time to a time."""
    since = None if watch.since is None else to_us(watch.since)
    until = None if watch.until is None else to_us(watch.until)
    role, state, zone, source = watch.role, watch.state, watch.zone, watch.source

    def made(name: str) -> Rule:
        return Rule(case, "exact", name, role, state, zone, since, until, start, end, source)

    return made
