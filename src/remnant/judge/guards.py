"""What could fake a clean-up, or hide one: each is checked before a verdict is given.

A guard compares the first half of the fitted days with the second. It passes, fails, or is
unavailable when the data cannot answer. Unavailable guards are listed and block nothing: a reader
must know what was not checked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from remnant import schema
from remnant.errors import printable
from remnant.estimate.coverage import delivering, sensors, vantages
from remnant.estimate.decay import fit
from remnant.estimate.measures import who
from remnant.estimate.online import day_start, series
from remnant.estimate.traffic import sightings
from remnant.judge.watched import current_digest
from remnant.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from remnant.cases.model import Case
    from remnant.estimate.decay import Trend
    from remnant.estimate.online import Series
    from remnant.store import View

    Floats = NDArray[np.float64]

__all__ = ["GUARDS", "Ground", "Guard", "GuardState", "check", "watch_changes"]

GuardState = Literal["passed", "failed", "unavailable", "info"]

COVERAGE_CHANGE: Final = 0.02
"""Largest change of mean coverage between the halves."""

SENSOR_SHARE: Final = 0.01
"""A sensor that sees fewer than this share of the clients cannot bend the series."""

PRESENCE_CHANGE: Final = 0.1
"""Largest change, between the halves, of the share of hours in which a sensor delivered."""

LOSS_CHANGE: Final = 0.01
"""Largest change of the share of messages that the sensors report as lost."""

ANSWER_CHANGE: Final = 0.1
"""Largest change of the share of any response code."""

INNOCENT_SHARE: Final = 0.9
"""Other traffic is a control only where at least this share of the messages is other traffic."""

_DAY: Final = timedelta(days=1)
_DAY_US: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Guard:
    """One check.

    Attributes:
        id: stable name.
        state: passed, failed or unavailable; info where something is told and nothing judged.
        sentence: what was found, for people.
        clear_from: for a failed guard: from when on its cause is past; null if that is unknown.
        facts: the figures behind the sentence.
        days_needed: for a failed guard: complete days after which it may pass, where days are all
            that it lacks.
    """

    id: str
    state: GuardState
    sentence: str
    clear_from: datetime | None = None
    facts: dict[str, object] = field(default_factory=dict)
    days_needed: int | None = None


@dataclass(frozen=True, eq=False)
class Ground:
    """What the guards look at.

    Attributes:
        view: the case's tables.
        case: the case itself.
        kept: the fitted days: complete, after the takedown.
        trend: the trend of the verdict.
        r_min: the slowest clean-up worth the name (1/day).
    """

    view: View
    case: Case
    kept: Series
    trend: Trend
    r_min: float

    @property
    def window(self) -> Window:
        """From the first to the end of the last fitted day."""
        return Window(day_start(int(self.kept.days[0])), day_start(int(self.kept.days[-1]) + 1))

    @property
    def middle(self) -> datetime:
        """Where the second half of the fitted days begins."""
        return day_start(int(self.kept.days[len(self.kept.days) // 2]))

    @cached_property
    def digest(self) -> str:
        """The digest of what the case watches now."""
        return current_digest(self.case)

    @cached_property
    def read_by_day(self) -> dict[str, Floats]:
        """Messages, matched, lost and own (messages for watched names) of each fitted day."""
        return _read_by_day(self)


def check(ground: Ground | None) -> list[Guard]:
    """Return every guard's finding, in the order of ``GUARDS``; all unavailable without a trend."""
    if ground is None:
        reason = "Not checked: no trend could be fitted."
        return [Guard(name, "unavailable", reason) for name in GUARDS]
    return [guard(ground) for guard in GUARDS.values()]


def _coverage(ground: Ground) -> Guard:
    half = len(ground.kept.days) // 2
    before = float(ground.kept.coverage[:half].mean())
    after = float(ground.kept.coverage[half:].mean())
    facts: dict[str, object] = {"first_half": before, "second_half": after}
    if abs(after - before) > COVERAGE_CHANGE:
        text = f"Coverage of the fitted days changed from {_percent(before)} to {_percent(after)}."
        return Guard("coverage", "failed", text, None, facts)
    text = (
        f"Coverage of the fitted days stayed the same: {_percent(before)}, then {_percent(after)}."
    )
    return Guard("coverage", "passed", text, None, facts)


def _sensors(ground: Ground) -> Guard:
    """Fail if a sensor that matters appeared, ended or came and went inside the fitted days."""
    window, middle = ground.window, ground.middle
    shares = _sensor_shares(ground)
    presence = _sensor_presence(ground)
    changes: list[tuple[datetime | None, str]] = []
    spans = [
        span
        for span in sensors(ground.view, ground.kept.vantage)
        if span.first < window.until and span.last >= window.since
    ]
    for span in spans:
        share = shares.get(span.sensor, 0.0)
        if share < SENSOR_SHARE:
            continue
        name = f"{printable(span.sensor, 60)} ({_percent(share)} of the clients in its hours)"
        first, second = presence.get(span.sensor, (0.0, 0.0))
        if span.first >= window.since + _DAY:
            changes.append((span.first, f"{name} appeared on {span.first:%Y-%m-%d}"))
        elif span.last < window.until - _DAY or _retired_inside(span.retired, window):
            end = min(span.last, span.retired) if span.retired else span.last
            changes.append((end, f"{name} ended on {end:%Y-%m-%d}"))
        elif abs(second - first) > PRESENCE_CHANGE:
            parts = (
                f"{_percent(first)} of the hours before {middle:%Y-%m-%d} and {_percent(second)}"
            )
            changes.append((None, f"{name} delivered in {parts} of those after"))
    if changes:
        times = [time for time, _ in changes]
        known = [time for time in times if time is not None]
        clear = max(known) if known and len(known) == len(times) else None
        text = (
            "The set of sensors changed: " + "; ".join(_few([words for _, words in changes])) + "."
        )
        return Guard("sensors", "failed", text, clear, {"changes": len(changes)})
    plural = "sensor" if len(spans) == 1 else "sensors"
    text = f"The same {plural} ({len(spans)}) delivered from the first to the last fitted day."
    return Guard("sensors", "passed", text, None, {"sensors": len(spans)})


def _watchlist(ground: Ground) -> Guard:
    """Fail if a name was added or lost, or a source was read with another watchlist than now."""
    window = ground.window
    changes = watch_changes(ground.case, window)
    lists = [
        source.watchlist
        for source in ground.view.sources
        if (source.first is None or source.first < window.until)
        and (source.last is None or source.last >= window.since)
    ]
    older = sum(digest != ground.digest for digest in lists)
    facts: dict[str, object] = {
        "changes": len(changes),
        "watchlists": len(set(lists)),
        "older_sources": older,
        "of_sources": len(lists),
    }
    if changes:
        when = max(time for time, _ in changes)
        text = (
            "What is watched changed inside the fitted days: "
            + "; ".join(_few([words for _, words in sorted(changes)]))
            + "."
        )
        return Guard("watchlist", "failed", text, when, facts)
    if older:
        were = "source of the fitted days was" if len(lists) == 1 else "sources were"
        text = (
            f"{older} of {len(lists)} {were} read with an older watchlist, so what was added to "
            "or taken from the case since is not counted alike. Ingest them again to read all with "
            "the present one."
        )
        return Guard("watchlist", "failed", text, None, facts)
    text = "Nothing was added to or lost from the watchlist inside the fitted days."
    return Guard("watchlist", "passed", text, None, facts)


def _answers(ground: Ground) -> Guard:
    """Fail if the mix of response codes changed: names lost, or blocked by resolvers."""
    table = sightings(ground.view, ground.window, ground.kept.vantage)
    table = table.filter(table.rcode.notnull())
    late = table.time >= _literal(ground.middle)
    rows = (
        table.group_by(rcode=table.rcode, late=late).aggregate(n=table.weight.sum()).to_pyarrow()
    ).to_pylist()
    totals = [sum(row["n"] for row in rows if row["late"] is side) for side in (False, True)]
    if not all(totals):
        return Guard(
            "answers", "unavailable", "The sources do not hold the answers' response codes."
        )
    shares: dict[int, list[float]] = {}
    for row in rows:
        shares.setdefault(row["rcode"], [0.0, 0.0])[row["late"]] = row["n"] / totals[row["late"]]
    code, (before, after) = max(shares.items(), key=lambda item: abs(item[1][1] - item[1][0]))
    facts: dict[str, object] = {"rcode": code, "first_half": before, "second_half": after}
    if abs(after - before) > ANSWER_CHANGE:
        change = f"response code {code} went from {_percent(before)} to {_percent(after)}"
        text = (
            f"The answers changed: {change}. Names may have been lost, or be blocked by resolvers."
        )
        return Guard("answers", "failed", text, None, facts)
    largest = _percent(abs(after - before))
    text = f"The mix of response codes stayed the same (largest change {largest})."
    return Guard("answers", "passed", text, None, facts)


def _other_traffic(ground: Ground) -> Guard:
    """Fail if all other traffic at the sensors fell or grew as fast as a clean-up would."""
    rows = ground.read_by_day
    messages = rows["messages"]
    other = messages - rows["own"]
    if not messages.sum() or other.sum() < INNOCENT_SHARE * messages.sum():
        return Guard(
            "other_traffic",
            "unavailable",
            "The sensors see little but watched names, so other traffic is no control.",
        )
    trend = fit(
        ground.kept.days, np.maximum(other, 0.0), ground.kept.coverage, level=ground.trend.level
    )
    if trend is None:
        return Guard("other_traffic", "unavailable", "Other traffic is too scarce to be a control.")
    facts: dict[str, object] = {"rate_per_day": trend.rate, "low": trend.low, "high": trend.high}
    if trend.low > ground.r_min or trend.high < -ground.r_min:
        way = "fell" if trend.rate > 0 else "grew"
        text = (
            f"All other traffic at the sensors {way} too, by {_percent(abs(trend.rate))} a day: "
            "the sensors see another part of the network than before."
        )
        return Guard("other_traffic", "failed", text, None, facts)
    way = "fell" if trend.rate > 0 else "grew"
    text = f"All other traffic at the sensors {way} by only {_percent(abs(trend.rate))} a day."
    if trend.low < -ground.r_min or trend.high > ground.r_min:
        text = "All other traffic at the sensors shows no clear trend."
    return Guard("other_traffic", "passed", text, None, facts)


def _loss(ground: Ground) -> Guard:
    rows = ground.read_by_day
    half = len(ground.kept.days) // 2
    shares = []
    for part in (slice(None, half), slice(half, None)):
        lost, read = rows["lost"][part].sum(), rows["messages"][part].sum()
        shares.append(float(lost / max(lost + read, 1)))
    facts: dict[str, object] = {"first_half": shares[0], "second_half": shares[1]}
    if not rows["lost"].sum():
        return Guard("loss", "passed", "The sensors report no lost messages.", None, facts)
    before, after = _percent(shares[0]), _percent(shares[1])
    if abs(shares[1] - shares[0]) > LOSS_CHANGE:
        text = f"The sensors' reported loss changed from {before} to {after}."
        return Guard("loss", "failed", text, None, facts)
    text = f"The sensors' reported loss stayed the same: {before}, then {after}."
    return Guard("loss", "passed", text, None, facts)


def _vantages(ground: Ground) -> Guard:
    """Fail if another vantage of the same case says otherwise, on the same days."""
    others = [v for v in vantages(ground.view) if v != ground.kept.vantage]
    for vantage in others:
        made = series(ground.view, ground.window, vantage)
        trend = made.on(made.complete & np.isin(made.days, ground.kept.days)).trend(
            level=ground.trend.level
        )
        if trend is None or trend.n < len(ground.kept.days) / 2:
            continue
        facts: dict[str, object] = {
            "vantage": vantage,
            "rate_per_day": trend.rate,
            "low": trend.low,
            "high": trend.high,
        }
        found = f"{_percent(trend.low)} to {_percent(trend.high)} a day"
        if trend.low > ground.trend.high or trend.high < ground.trend.low:
            text = f"Another view disagrees: on the same days, {who(vantage)} fall by {found}."
            return Guard("vantages", "failed", text, None, facts)
        text = f"Another view agrees: on the same days, {who(vantage)} fall by {found}."
        return Guard("vantages", "passed", text, None, facts)
    text = "No second vantage covers the same days."
    return Guard("vantages", "unavailable", text)


def _unavailable(name: str, sentence: str) -> Callable[[Ground], Guard]:
    return lambda _: Guard(name, "unavailable", sentence)


GUARDS: Final[dict[str, Callable[[Ground], Guard]]] = {
    "coverage": _coverage,
    "sensors": _sensors,
    "watchlist": _watchlist,
    "answers": _answers,
    "other_traffic": _other_traffic,
    "loss": _loss,
    "vantages": _vantages,
    "identified_hosts": _unavailable(
        "identified_hosts", "The data hold no identifiers of hosts, so addresses stand for them."
    ),
    "control_family": _unavailable(
        "control_family", "No control family is measured in the same networks."
    ),
    "canary": _unavailable("canary", "No canary probes measure constant coverage."),
}
"""Every guard, by id, in the order in which they are listed."""


def _sensor_shares(ground: Ground) -> dict[str, float]:
    """Return each sensor's clients over all clients, in the hours in which it saw any."""
    table = ground.view.table(schema.ACTIVITY)
    hourly = table.filter(
        table.grain == "hour",
        table.vantage == ground.kept.vantage,
        table.start >= _literal(ground.window.since),
        table.start < _literal(ground.window.until),
    )
    whole = hourly.filter(hourly.sensor.isnull()).select("start", total="clients")
    each = hourly.filter(hourly.sensor.notnull()).join(whole, "start")
    rows = each.group_by("sensor").aggregate(own=each.clients.sum(), total=each.total.sum())
    return {row["sensor"]: row["own"] / row["total"] for row in rows.to_pyarrow().to_pylist()}


def _sensor_presence(ground: Ground) -> dict[str, tuple[float, float]]:
    """Return the share of the hours of each half's days in which each sensor delivered."""
    table = _fitted_coverage(ground)
    rows = table.select("sensor", "hour").distinct().to_pyarrow()
    day = rows["hour"].cast("int64").to_numpy() // _DAY_US
    fitted = np.isin(day, ground.kept.days)
    late = day >= int(ground.kept.days[len(ground.kept.days) // 2])
    names, own = np.unique(np.array(rows["sensor"].to_pylist(), dtype=np.str_), return_inverse=True)
    half = len(ground.kept.days) // 2
    first, second = (
        np.bincount(own[part], minlength=len(names)) / (24 * days)
        for part, days in ((fitted & ~late, half), (fitted & late, len(ground.kept.days) - half))
    )
    return dict(zip(names.tolist(), zip(first.tolist(), second.tolist(), strict=True), strict=True))


def _read_by_day(ground: Ground) -> dict[str, Floats]:
    """Return sums of each fitted day, as arrays in the order of the days."""
    table = _fitted_coverage(ground)
    table = table.filter(table.messages > 0)
    columns = ("messages", "matched", "lost")
    rows = (
        table.group_by("hour", "source")
        .aggregate(**{name: table[name].sum() for name in columns})
        .to_pyarrow()
    )
    sums = {name: rows[name].to_numpy().astype(np.float64) for name in columns}
    sums["own"] = sums["matched"] * _messages_a_lookup(ground, rows["source"])
    day = rows["hour"].cast("int64").to_numpy() // _DAY_US
    place = np.searchsorted(ground.kept.days, day)
    place = np.minimum(place, len(ground.kept.days) - 1)
    fitted = ground.kept.days[place] == day
    return {
        name: np.bincount(
            place[fitted], weights=values[fitted], minlength=len(ground.kept.days)
        ).astype(np.float64)
        for name, values in sums.items()
    }


def _messages_a_lookup(ground: Ground, column: Any) -> Floats:  # noqa: ANN401 - Arrow
    """Return, for each source of a column, how many of its messages one observation stands for.

    That is one for sources that hold queries alone, and two for those that hold every response.
    """
    known = {
        source.id: min(2.0, max(1.0, source.messages / max(source.query_messages, 1)))
        if source.query_messages
        else 1.0
        for source in ground.view.sources
    }
    codes = column.combine_chunks().dictionary_encode()
    shares = np.array([known.get(name, 2.0) for name in codes.dictionary.to_pylist()])
    each: Floats = shares[codes.indices.to_numpy(zero_copy_only=False)]
    return each


def _fitted_coverage(ground: Ground) -> Any:  # noqa: ANN401 - ibis is untyped
    table = delivering(ground.view.table(schema.COVERAGE))
    return table.filter(
        table.vantage == ground.kept.vantage,
        table.hour >= _literal(ground.window.since),
        table.hour < _literal(ground.window.until),
    )


def watch_changes(case: Case, window: Window) -> list[tuple[datetime, str]]:
    """Return when names were added or lost inside the window; its first day is its base."""
    changes = [
        (event.time, f"{event.kind.replace('_', ' ')} on {event.time:%Y-%m-%d}")
        for event in case.events
        if event.kind in {"names_added", "names_lost"} and _inside(event.time, window)
    ]
    for watch in case.watches:
        listed = (*watch.names, *watch.addresses, *watch.families)
        shown = watch.dga or next(iter(listed), "")
        more = len(listed) - 1
        what = printable(shown, 80) + (f" and {more} more" if more > 0 else "")
        for time, word in ((watch.since, "watched from"), (watch.until, "lost on")):
            if time is not None and _inside(time, window):
                changes.append((time, f"{what} {word} {time:%Y-%m-%d}"))
    return changes


def _percent(share: float) -> str:
    """Return a share in percent with three digits that matter."""
    return f"{100.0 * share:.3g} %"


def _inside(time: datetime, window: Window) -> bool:
    return window.since < time < window.until


def _retired_inside(retired: datetime | None, window: Window) -> bool:
    return retired is not None and retired < window.until - _DAY


def _few(words: list[str], limit: int = 5) -> list[str]:
    return words if len(words) <= limit else [*words[:limit], f"{len(words) - limit} more"]


def _literal(time: datetime) -> Any:  # noqa: ANN401 - ibis is untyped
    import ibis  # noqa: PLC0415 - heavy

    return ibis.literal(time.astimezone(UTC), type="timestamp('UTC', 6)")
