"""From a view of the store to everything that a report shows.

The numbers come from the rooms before this one; what happens here is choosing, joining with what
the case says, and hiding small counts. No sighting is read into Python: counts come grouped.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

import remnant
from remnant import schema
from remnant.errors import NoData
from remnant.report.closure import close, small
from remnant.report.facts import (
    FULL_COVERAGE,
    Content,
    Country,
    Day,
    Measure,
    NameRow,
    Network,
    Pulse,
    TrendPoint,
    VerdictFacts,
)
from remnant.report.intake import intake, reference_dates, watchlist_age
from remnant.report.marks import dated_marks, from_us
from remnant.report.places import client_days, daily_clients, pulses
from remnant.report.suppress import Hidden, suppress, suppress_groups
from remnant.report.views import left_out, two_views
from remnant.windows import floor, parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.cases.model import Case
    from remnant.estimate.online import Series
    from remnant.report.suppress import Count
    from remnant.settings import Settings
    from remnant.store import View
    from remnant.watchlist import Rule
    from remnant.windows import Window

__all__ = ["gather"]

_DAY: Final = timedelta(days=1)
_ROWS: Final = 25
_MOST_NAMES: Final = 2000


class _Places(NamedTuple):
    """Countries and networks as published, and whether their sums may be known."""

    countries: tuple[Country, ...]
    networks: tuple[Network, ...]
    countries_total: int
    networks_total: int
    queries_open: bool
    clients_open: bool


def gather(
    view: View,
    case: Case,
    settings: Settings,
    *,
    window: Window | None = None,
    vantage: str | None = None,
    internal: bool = False,
    now: datetime,
) -> Content:
    """Return what a report about one case shows.

    Args:
        view: a snapshot of the case's tables.
        case: what is watched.
        settings: levels and the smallest published count.
        window: default: the first to the last covered hour.
        vantage: default: the first of ``estimate.traffic.vantages``.
        internal: show small counts; such a report is not for publication.
        now: when the report is made (UTC).

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    from remnant.cases.rules import compile_rules  # noqa: PLC0415 - rooms load when used
    from remnant.estimate import coverage, measures, online, traffic  # noqa: PLC0415 - likewise
    from remnant.estimate.basis import Basis  # noqa: PLC0415 - likewise
    from remnant.estimate.bystanders import by_kind  # noqa: PLC0415 - likewise
    from remnant.estimate.vantage_pairs import compare  # noqa: PLC0415 - likewise

    chosen, vantage = vantage is not None, coverage.choose_vantage(view, vantage)
    whole = coverage.default_window(view)
    window = window or whole
    minimum = 0 if internal else settings.report.minimum_count
    made = online.series(view, window, vantage)
    rules = compile_rules(case)
    days, days_known = _days(traffic.by_time(view, "day", window, vantage), made, window, minimum)
    names = traffic.by_key(view, "name", window, vantage, limit=_MOST_NAMES)
    shown_names, names_known = _names(names, rules, minimum)
    places = _places(view, vantage, window, days, minimum)
    found = measures.measure(
        view, case, settings, window=window, vantage=vantage, others=not chosen
    )
    total = next((item.value for item in found if item.quantity == "clients"), None)
    age, added = watchlist_age(view, case, rules, settings)
    content = Content(
        case=case.name,
        title=case.title,
        takedown=case.takedown,
        window=window,
        vantage=vantage,
        unit=made.unit,
        simulated=view.simulated,
        internal=internal,
        minimum_count=minimum,
        generated=now,
        as_of=min(window.until, whole.until),
        verdict=_verdict(view, case, settings, window, vantage),
        measures=tuple(Measure(**_fields(estimate.to_json())) for estimate in found),
        days=days,
        trend=_trend(made, case, settings),
        marks=dated_marks(case, rules, added, window),
        countries=places.countries,
        networks=places.networks,
        names=shown_names,
        countries_total=places.countries_total,
        networks_total=places.networks_total,
        names_total=_distinct_names(view, vantage, window, len(names)),
        intake=intake(view, days),
        watchlist=age,
        vantages=tuple(traffic.vantages(view)),
        reference_dates=reference_dates(view),
        level=settings.estimate.level,
        slowest_half_life_days=settings.judge.slowest_half_life_days,
        version=remnant.__version__,
    )
    content = close(
        content,
        queries_open=days_known and names_known and places.queries_open,
        clients_total=None if places.clients_open or total is None else round(total),
        weeks=_weeks(made, case),
    )
    # Behind the closure, so that what is hidden there is hidden here.
    content = replace(
        content,
        views=two_views(compare(view, case, settings, window), content.days, minimum),
        bystanders=left_out(by_kind(Basis(view, case, settings, window, vantage)), minimum),
    )
    return replace(content, digest=digest(content))


def digest(content: Content) -> str:
    """Return 128 bits of SHA-256 over the numbers, without the time and program that made them."""
    plain = asdict(content)
    for name in ("generated", "version", "digest"):
        del plain[name]
    text = json.dumps(plain, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _days(
    rows: Sequence[dict[str, Any]], made: Series, window: Window, minimum: int
) -> tuple[tuple[Day, ...], bool]:
    """Return the days as published, and whether the sum of their requests may be known."""
    queries, known = suppress([row["queries"] for row in rows], minimum)
    clients, _ = suppress([row["clients"] for row in rows], minimum, total_known=False)
    online = dict(zip(made.days.tolist(), made.values.tolist(), strict=True))
    out = []
    for row, asked, seen in zip(rows, queries, clients, strict=True):
        start = parse_time(row["start"])
        share = row["coverage"]
        partial = start < window.since or start + _DAY > window.until
        low = row["queries"] is None if share is None else share < FULL_COVERAGE
        level = online.get(int(start.timestamp()) // 86_400, float("nan"))
        out.append(
            Day(
                start=start,
                queries=asked,
                clients=seen,
                online=None if np.isnan(level) else small(level, minimum),
                coverage=share,
                gap=low or partial,
            )
        )
    return tuple(out), known


def _places(view: View, vantage: str, window: Window, days: Sequence[Day], minimum: int) -> _Places:
    """Return countries and networks as published."""
    from remnant.estimate import traffic  # noqa: PLC0415 - rooms load when used

    countries: list[dict[str, Any]] = traffic.by_key(view, "country", window, vantage)
    networks: list[dict[str, Any]] = traffic.by_key(view, "network", window, vantage)
    covered = np.array([not day.gap for day in days], dtype=np.bool_)
    starts = [day.start for day in days]
    hidden: dict[str, list[Count]] = {}
    finer: dict[str, list[Count]] = {}
    known = {}
    for column in ("queries", "clients"):
        hidden[column], known[column] = suppress([row[column] for row in countries], minimum)
        closed = {
            row["country"]
            for row, count in zip(countries, hidden[column], strict=True)
            if isinstance(count, Hidden)
        }
        finer[column] = suppress_groups(
            [row[column] for row in networks], [row["country"] for row in networks], closed, minimum
        )
    whole = [day.start for day in days if not day.gap]
    size = client_days(view, vantage, whole, networks=False)
    top = sorted(range(len(countries)), key=lambda i: -size.get(countries[i]["country"], 0))[:_ROWS]
    codes = [countries[i]["country"] for i in top]
    matrix = daily_clients(view, vantage, starts, codes)
    trends = pulses(matrix, covered, minimum, everything=len(top) == len(countries))
    shown_countries = tuple(
        Country(
            code, hidden["queries"][i], hidden["clients"][i], _kept(trend, hidden["clients"][i])
        )
        for i, code, trend in zip(top, codes, trends, strict=True)
    )
    size = client_days(view, vantage, whole, networks=True)
    every = [(row["asn"], row["country"]) for row in networks]
    top = sorted(range(len(networks)), key=lambda i: -size.get(every[i], 0))[:_ROWS]
    keys = [every[i] for i in top]
    matrix = daily_clients(view, vantage, starts, keys)
    trends = pulses(matrix, covered, minimum, everything=len(top) == len(networks))
    shown_networks = tuple(
        Network(
            networks[i]["asn"],
            networks[i]["as_name"],
            networks[i]["country"],
            finer["queries"][i],
            finer["clients"][i],
            _kept(trend, finer["clients"][i]),
        )
        for i, trend in zip(top, trends, strict=True)
    )
    return _Places(
        shown_countries,
        shown_networks,
        len(countries),
        len(networks),
        known["queries"],
        known["clients"],
    )


def _kept(trend: Pulse, count: Count) -> Pulse:
    """Return the trend, or none where the count itself is hidden."""
    return Pulse(first=count, last=count, mean=count) if isinstance(count, Hidden) else trend


def _names(
    rows: Sequence[dict[str, Any]], rules: Sequence[Rule], minimum: int
) -> tuple[tuple[NameRow, ...], bool]:
    """Return the most asked names, and whether the sum of their requests may be known."""
    complete = len(rows) < _MOST_NAMES
    queries, known = suppress([row["queries"] for row in rows], minimum, total_known=complete)
    clients, _ = suppress([row["clients"] for row in rows], minimum, total_known=False)
    exact = {rule.text: rule for rule in rules if rule.kind == "exact"}
    below = {rule.text.removeprefix("*."): rule for rule in rules if rule.kind == "below"}
    top = sorted(range(len(rows)), key=lambda i: -rows[i]["clients"])[:_ROWS]
    out = []
    for i in top:
        name = rows[i]["name"]
        rule = exact.get(name) or _suffix(below, name)
        out.append(
            NameRow(
                name,
                queries[i],
                clients[i],
                rule.state if rule else None,
                rule.role if rule else None,
                from_us(rule.since) if rule and rule.since is not None else None,
            )
        )
    return tuple(out), known


def _distinct_names(view: View, vantage: str, window: Window, seen: int) -> int:
    """Return how many names were asked for; those beyond the limit are counted by whole days."""
    if seen < _MOST_NAMES:
        return seen
    import ibis  # noqa: PLC0415 - heavy

    table = view.table(schema.ACTIVITY)
    since = ibis.literal(floor(window.since, "day"), type="timestamp('UTC', 6)")
    until = ibis.literal(window.until, type="timestamp('UTC', 6)")
    table = table.filter(
        table.grain == "name", table.vantage == vantage, table.start >= since, table.start < until
    )
    total = table.aggregate(n=table.name.nunique()).to_pyarrow()["n"][0].as_py()
    return max(seen, int(total))


def _suffix(below: dict[str, Rule], name: str) -> Rule | None:
    """Return the longest rule for a name and everything below it that holds a folded name."""
    while name:
        if name in below:
            return below[name]
        _, _, name = name.partition(".")
    return None


def _verdict(
    view: View, case: Case, settings: Settings, window: Window, vantage: str
) -> VerdictFacts:
    from remnant.judge.verdict import judge  # noqa: PLC0415 - rooms load when used

    nothing = (None, None, None)
    try:
        told: dict[str, Any] = judge(view, case, settings, window=window, vantage=vantage).to_json()
    except NoData as error:
        sentence = ". ".join(part for part in (error.what, error.hint) if part)
        return VerdictFacts("cannot_tell", sentence, "", nothing, nothing, None)
    return VerdictFacts(
        state=told["state"],
        sentence=told["sentence"],
        series=told["series"],
        rate_per_day=_triple(told["rate_per_day"]),
        half_life_days=_triple(told["half_life_days"]),
        can_tell_by=told["can_tell_by"],
        evidence=tuple(told["evidence"]),
    )


def _triple(value: dict[str, Any] | None) -> tuple[float | None, float | None, float | None]:
    value = value or {}
    return value.get("value"), value.get("low"), value.get("high")


def _trend(made: Series, case: Case, settings: Settings) -> tuple[TrendPoint, ...]:
    """Return the fitted curve over the days that the verdict is about; none where they are few."""
    after = made.since(case.takedown)
    if after.complete.sum() < settings.judge.minimum_days:
        return ()
    trend = after.trend(level=settings.estimate.level)
    if trend is None:
        return ()
    from remnant.estimate.online import day_start  # noqa: PLC0415 - rooms load when used

    days = np.arange(trend.first, trend.last + 1)
    return tuple(
        TrendPoint(day_start(day) + _DAY / 2, float(value), float(low), float(high))
        for day, value, low, high in zip(days.tolist(), *trend.band(days), strict=True)
    )


def _weeks(made: Series, case: Case) -> tuple[frozenset[datetime], frozenset[datetime]]:
    """Return the first and the last seven fitted days, of which the verdict tells the means."""
    from remnant.estimate.online import day_start  # noqa: PLC0415 - rooms load when used

    after = made.since(case.takedown)
    days = [day_start(day) for day in after.days[after.complete].tolist()]
    return frozenset(days[:7]), frozenset(days[-7:])


def _fields(told: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a ``Measure`` from an estimate's JSON."""
    out = {name: told[name] for name in Measure.__dataclass_fields__ if name in told}
    out["assumptions"] = tuple(told["assumptions"])
    for name in ("since", "until"):
        out[name] = None if told[name] is None else parse_time(told[name])
    return out
