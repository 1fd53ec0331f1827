"""One closure over the whole report: a total that must not be known stands nowhere in it.

The tables of a report are margins of the same requests and clients: days, names, countries and
networks add up to one total, and so do the sensors' matched messages. Where one of them cannot
protect its small counts while the total is known, that total goes from all of them, from the
estimates, and from every mean in which a hidden day takes part.

References:
    Cox, "Suppression Methodology and Statistical Disclosure Control", Journal of the American
    Statistical Association 75 (1980).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from remnant.report.suppress import Hidden, suppress
from remnant.report.wording import number, published

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from remnant.report.facts import Content, Day, Intake, Measure, Sensor
    from remnant.report.suppress import Count

__all__ = ["close", "small"]

_LITTLE_ELSE: Final = 4
"""A sensor with at most this many messages for each matched one gives the matched ones away."""

_Number = TypeVar("_Number", int, float)


def small(value: _Number | None, minimum: int) -> _Number | Hidden | None:
    """Return a value, hidden where it is above zero and under the smallest published count."""
    return Hidden.SMALL if value is not None and 0 < value < minimum else value


def close(
    content: Content,
    *,
    queries_open: bool,
    clients_total: int | None,
    weeks: Sequence[Collection[datetime]],
) -> Content:
    """Return the content without what would give a hidden count away.

    Args:
        content: with the small counts of days, places and names hidden in each table by itself.
        queries_open: whether the requests of the window may be known.
        clients_total: the distinct clients of the window where they must not be known.
        weeks: the days of the two means in the verdict's evidence: first and last fitted ones.
    """
    minimum = content.minimum_count
    if minimum <= 1:
        return content
    intake, sensors_open = _intake(content.intake, content.vantage, minimum)
    queries_open = queries_open and sensors_open
    if not queries_open:
        intake = _no_matched(intake, content.vantage)

    def asked(count: Count) -> Count:
        return count if queries_open or not count else _linked(count)

    def seen(count: _Number | Hidden | None) -> _Number | Hidden | None:
        same = isinstance(count, int | float) and round(count) == clients_total
        return Hidden.LINKED if same and count else count

    days = tuple(
        replace(day, queries=asked(day.queries), clients=seen(day.clients), online=seen(day.online))
        for day in content.days
    )
    return replace(
        content,
        days=days,
        trend=tuple(
            point
            for point in content.trend
            if point.value >= minimum and round(point.value) != clients_total
        ),
        measures=tuple(
            _measure(row, days, minimum, queries_open=queries_open, clients_total=clients_total)
            for row in content.measures
        ),
        countries=tuple(replace(row, queries=asked(row.queries)) for row in content.countries),
        networks=tuple(replace(row, queries=asked(row.queries)) for row in content.networks),
        names=tuple(
            replace(row, queries=asked(row.queries), clients=seen(row.clients))
            for row in content.names
        ),
        intake=intake,
        verdict=replace(
            content.verdict,
            evidence=tuple(
                _evidence(item, days, weeks, minimum) for item in content.verdict.evidence
            ),
        ),
    )


def _linked(count: Count) -> Count:
    return Hidden.LINKED if isinstance(count, int) else count


def _intake(intake: Intake, vantage: str, minimum: int) -> tuple[Intake, bool]:
    """Return the intake with small matched counts hidden; whether their sum may be known."""
    sensors = list(intake.sensors)
    sum_open = True
    for place in {row.vantage for row in sensors}:
        chosen = [i for i, row in enumerate(sensors) if row.vantage == place]
        counts = [_known(sensors[i].matched) for i in chosen]
        hidden, sum_known = suppress(counts, minimum, total_known=place == vantage)
        sum_open = sum_open and sum_known
        for i, count in zip(chosen, hidden, strict=True):
            sensors[i] = _sensor(sensors[i], count)
    return _records(intake, tuple(sensors)), sum_open


def _no_matched(intake: Intake, vantage: str) -> Intake:
    """Return the intake without the matched messages of a vantage."""
    sensors = tuple(
        _sensor(row, _linked(row.matched)) if row.vantage == vantage and row.matched else row
        for row in intake.sensors
    )
    return _records(intake, sensors)


def _sensor(row: Sensor, matched: Count) -> Sensor:
    """Return a sensor with its matched messages as published, and all messages if they tell."""
    told = _known(row.matched)
    every = _known(row.messages)
    tells = isinstance(matched, Hidden) and told is not None and (every or 0) <= _LITTLE_ELSE * told
    return replace(row, matched=matched, messages=_linked(row.messages) if tells else row.messages)


def _records(intake: Intake, sensors: tuple[Sensor, ...]) -> Intake:
    closed = {row.vantage for row in sensors if isinstance(row.messages, Hidden)}
    return replace(
        intake,
        sensors=sensors,
        sources=tuple(
            replace(row, records=_linked(row.records)) if row.vantage in closed else row
            for row in intake.sources
        ),
    )


def _known(count: Count) -> int | None:
    return count if isinstance(count, int) else None


def _measure(
    measure: Measure,
    days: Sequence[Day],
    minimum: int,
    *,
    queries_open: bool,
    clients_total: int | None,
) -> Measure:
    """Return an estimate without its value where that is small or gives a small count away."""
    value = measure.value
    if value is None or measure.unit in {"days", "per day", "share"}:
        return measure
    inside = [
        day
        for day in days
        if (measure.since is None or day.start >= measure.since)
        and (measure.until is None or day.start < measure.until)
    ]
    name = measure.quantity
    if name == "queries":
        linked = not queries_open
    elif name in {"clients", "footprint"}:
        linked = clients_total is not None
    else:
        online = name == "online_hosts"
        linked = round(value) == clients_total or any(
            isinstance(day.online if online else day.clients, Hidden) for day in inside
        )
    hidden = Hidden.SMALL if 0 < value < minimum else Hidden.LINKED if linked and value else None
    if hidden is not None:
        return replace(measure, value=None, low=None, high=None, n=None, hidden=hidden)
    if name in {"clients", "footprint", "peak_day_clients"}:
        # The n of these is a number of requests.
        peak = name == "peak_day_clients" and any(isinstance(d.queries, Hidden) for d in inside)
        if not queries_open or peak or 0 < (measure.n or 0) < minimum:
            return replace(measure, n=None)
    return measure


def _evidence(
    item: Mapping[str, Any] | str,
    days: Sequence[Day],
    weeks: Sequence[Collection[datetime]],
    minimum: int,
) -> Mapping[str, Any] | str:
    """Return an item of the verdict's evidence; the means of clients online as published."""
    if not isinstance(item, Mapping) or item.get("id") != "values":
        return item
    hidden = {day.start for day in days if isinstance(day.online, Hidden)}
    told = []
    for name, week in zip(("first", "last"), weeks, strict=True):
        value: float | Hidden | None = small(item.get(name), minimum)
        if not isinstance(value, Hidden) and not hidden.isdisjoint(week):
            value = Hidden.LINKED
        told.append(value)
    if not any(isinstance(value, Hidden) for value in told):
        return item
    first, last = (
        published(value, minimum) if isinstance(value, Hidden) else number(value) for value in told
    )
    return {
        "id": "values",
        "state": item.get("state"),
        "sentence": (
            f"Clients online in an average hour: {first} in the first {len(weeks[0])} fitted "
            f"days, {last} in the last {len(weeks[1])}."
        ),
    }
