"""The verdict: is clean-up working, is it not, or can it not be told yet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Final

from remnant.errors import printable
from remnant.estimate.coverage import COMPLETE, bases, covers_nothing, default_window
from remnant.estimate.decay import half_life
from remnant.estimate.measures import who
from remnant.estimate.online import Series, day_start, series
from remnant.judge.breaks import check_breaks, check_step, find_breaks
from remnant.judge.confounders import check_confounders
from remnant.judge.few_clients import check_few_clients
from remnant.judge.guards import Ground, Guard, check
from remnant.judge.outlook import Outlook, outlook
from remnant.judge.rules import RULES_VERSION, Facts, Rule, decide
from remnant.judge.watched import Watched, watched
from remnant.judge.wording import UNIT_WORDS, fitted_window, sentence, span
from remnant.windows import Window, iso

if TYPE_CHECKING:
    from datetime import date

    from remnant.cases.model import Case
    from remnant.estimate.decay import Trend
    from remnant.judge.rules import State
    from remnant.settings import Settings
    from remnant.store import View

__all__ = ["SERIES", "Verdict", "judge"]

SERIES: Final = (
    "online hosts (mean of the day's hourly distinct clients), complete days after the takedown"
)
"""The one series that the verdict is fitted to."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """A judgement with everything it rests on.

    Attributes:
        state: one of ``rules.STATES``.
        sentence: the judgement as one sentence.
        rule: id of the rule that decided.
        vantage: where the clients were seen.
        unit: what one client is.
        trend: the fitted trend; null if none could be fitted.
        fitted: the days it was fitted to.
        can_tell_by: for ``cannot_tell``: the day by which a verdict can be expected (UTC); null
            where more days alone do not help.
        guards: what was checked, and what could not be.
        evidence: what else the verdict rests on: objects with ``id``, ``state`` and ``sentence``.
    """

    state: State
    sentence: str
    rule: str
    vantage: str
    unit: str
    trend: Trend | None
    fitted: Series
    can_tell_by: date | None
    guards: tuple[Guard, ...]
    evidence: tuple[dict[str, object], ...]

    def to_json(self) -> dict[str, object]:
        """Return the JSON object of the contract: rates per day, half-lives in days.

        ``rate_per_day`` is on the log scale (a fall is positive). A null limit is infinite; all
        are null where no trend could be fitted.
        """
        trend = self.trend
        rates = (None, None, None) if trend is None else (trend.rate, trend.low, trend.high)
        lives = (half_life(rates[0]), half_life(rates[2]), half_life(rates[1]))
        return {
            "state": self.state,
            "sentence": self.sentence,
            "series": SERIES,
            "rate_per_day": dict(zip(_LIMITS, rates, strict=True)),
            "half_life_days": dict(zip(_LIMITS, lives, strict=True)),
            "can_tell_by": None if self.can_tell_by is None else self.can_tell_by.isoformat(),
            "evidence": [
                *self.evidence,
                *(_found(guard) for guard in self.guards),
            ],
            "vantage": self.vantage,
            "unit": self.unit,
            "rule": self.rule,
            "rules_version": RULES_VERSION,
        }


_LIMITS: Final = ("value", "low", "high")


def judge(
    view: View,
    case: Case,
    settings: Settings,
    window: Window | None = None,
    vantage: str | None = None,
) -> Verdict:
    """Return the verdict on a case: the first of ``rules.RULES`` that holds.

    Args:
        view: the case's tables.
        case: the case; only days after its takedown count.
        settings: ``estimate.level``, ``judge.slowest_half_life_days``, ``judge.minimum_days``, and
            the home folder with the case's versions.
        window: default: the first to the last covered hour.
        vantage: default: the first of ``coverage.vantages(view)``.

    Raises:
        NoData: the case has no traffic, or none of that vantage.
    """
    after = series(view, window, vantage).since(case.takedown)
    fitted = after.on(after.complete)
    level = settings.estimate.level
    slowest, minimum = settings.judge.slowest_half_life_days, settings.judge.minimum_days
    r_min = math.log(2) / slowest
    trend = after.trend(level=level)
    ground = None if trend is None else Ground(view, case, fitted, trend, r_min)
    age = watched(view, case, settings, digest=None if ground is None else ground.digest)
    breaks = find_breaks(ground, after, age.added)
    guards = [*check(ground), check_few_clients(ground), check_step(ground, breaks)]
    failed = [guard for guard in guards if guard.state == "failed"]
    rule = decide(
        Facts(
            days=len(fitted.days),
            minimum_days=minimum,
            failed=tuple(guard.id for guard in failed),
            low=None if trend is None else trend.low,
            high=None if trend is None else trend.high,
            r_min=r_min,
            no_period=covers_nothing(view, fitted.vantage),
        )
    )
    open_until = Outlook()
    if rule.outcome == "cannot_tell":
        open_until = outlook(
            case,
            after,
            trend,
            failed,
            minimum_days=minimum,
            r_min=r_min,
            level=level,
            cut=window is not None and window.until < default_window(view).until,
        )
    return Verdict(
        state=rule.outcome,
        sentence=sentence(
            case.title,
            rule,
            fitted,
            trend,
            failed,
            minimum_days=minimum,
            slowest=slowest,
            simulated=view.simulated,
            again=open_until.since,
        ),
        rule=rule.id,
        vantage=fitted.vantage,
        unit=fitted.unit,
        trend=trend,
        fitted=fitted,
        can_tell_by=open_until.by,
        guards=tuple(guards),
        evidence=(
            *_evidence(view, case, after, trend, rule=rule, slowest=slowest),
            *_age(age),
            *_again(open_until),
            _found(check_breaks(ground, breaks, minimum_days=minimum)),
            *(_found(found) for found in check_confounders(ground)),
        ),
    )


def _evidence(
    view: View, case: Case, after: Series, trend: Trend | None, *, rule: Rule, slowest: float
) -> list[dict[str, object]]:
    fitted = after.on(after.complete)
    window = fitted_window(fitted)
    return [
        *([_item("simulated", "The traffic is simulated.")] if view.simulated else []),
        _item(
            "rule",
            f"Decided by rule {rule.id} (rules version {RULES_VERSION}): {rule.condition}. "
            f"{rule.comment}",
            rule=rule.id,
            slowest_half_life_days=slowest,
        ),
        _vantage(fitted),
        *_stated(view, fitted),
        _window(case, window, fitted),
        *_gaps(after, fitted),
        *_values(fitted),
        *([] if trend is None else [_noise(trend)]),
        *_watchlists(view),
        *_events(case, window),
    ]


def _vantage(fitted: Series) -> dict[str, object]:
    counted = f"{who(fitted.vantage)} (vantage {fitted.vantage}), as {UNIT_WORDS[fitted.unit]}"
    text = f"Counted are {counted}."
    return _item("vantage", text, vantage=fitted.vantage, unit=fitted.unit)


def _stated(view: View, fitted: Series) -> list[dict[str, object]]:
    """Say that coverage was not observed, where that is so."""
    found = bases(view, fitted.vantage)
    if "stated" not in found:
        return []
    text = (
        "The sources hold hits only: that they are complete is what was stated when they were "
        "ingested (--period), and is not seen in them."
    )
    if "hits" in found:
        text += " Hits outside the stated period are shown and not fitted."
    return [_item("stated", text)]


def _window(case: Case, window: Window | None, fitted: Series) -> dict[str, object]:
    on = case.takedown.astimezone(UTC)
    takedown = f"the takedown was on {on.day} {on:%B %Y}"
    if window is None:
        return _item("window", f"No complete day after the takedown: {takedown}.", days=0)
    return _item(
        "window",
        f"Fitted to {len(fitted.days)} complete days, {span(window)}; {takedown}.",
        days=len(fitted.days),
        since=iso(window.since),
        until=iso(window.until),
    )


def _gaps(after: Series, fitted: Series) -> list[dict[str, object]]:
    left_out = after.days[~after.complete]
    if not len(left_out):
        return []
    shown = [f"{day_start(day):%Y-%m-%d}" for day in left_out.tolist()]
    many = ", ".join(shown[:10]) + (f" and {len(shown) - 10} more" if len(shown) > 10 else "")
    plural = "day is" if len(shown) == 1 else "days are"
    text = (
        f"{len(shown)} {plural} left out as gaps (not 24 hours, or less than "
        f"{COMPLETE * 100:g} % of the expected sensor-hours): {many}."
    )
    return [_item("gaps", text, gaps=len(shown), of=len(shown) + len(fitted.days))]


def _values(fitted: Series) -> list[dict[str, object]]:
    if not len(fitted.days):
        return []
    week = min(7, len(fitted.days))
    first, last = float(fitted.values[:week].mean()), float(fitted.values[-week:].mean())
    text = (
        f"Clients online in an average hour: {_level(first)} in the first {week} fitted days, "
        f"{_level(last)} in the last {week}."
    )
    return [_item("values", text, first=first, last=last)]


def _level(clients: float) -> str:
    """Return a mean of clients; digits after the point only where they matter."""
    return f"{clients:,.0f}" if clients >= 100 else f"{clients:,.1f}"


def _noise(trend: Trend) -> dict[str, object]:
    text = (
        f"Days vary by {trend.sigma * 100:.1f} % around the trend, with a day-to-day correlation "
        f"of {trend.phi:.2f}; "
        + ("weekdays are" if trend.weekdays else "weekdays are not")
        + " fitted."
    )
    return _item("noise", text, sigma=trend.sigma, phi=trend.phi)


def _watchlists(view: View) -> list[dict[str, object]]:
    sources = view.sources
    if not sources:
        return []
    oldest = min(source.read_at for source in sources)
    newest = max(source.read_at for source in sources)
    lists = len({source.watchlist for source in sources})
    plural = "one watchlist" if lists == 1 else f"{lists} different watchlists"
    read = f"read from {oldest:%Y-%m-%d} to {newest:%Y-%m-%d}"
    text = f"{len(sources)} sources, {read} with {plural}."
    return [_item("sources", text, sources=len(sources), watchlists=lists)]


def _age(age: Watched) -> list[dict[str, object]]:
    """Return how many sources lack what was added to the case, and what that is."""
    items = []
    if age.age:
        text = f"{age.age}; to read them again, ingest them again."
        items.append(_item("older_watchlist", text, older=age.older, sources=age.sources))
    if age.since:
        text = f"{age.since[0].upper()}{age.since[1:]}."
        items.append(_item("watched_since", text, added=len(age.added)))
    return items


def _again(open_until: Outlook) -> list[dict[str, object]]:
    if open_until.since is None:
        return []
    day = open_until.since.isoformat()
    text = f"From {day} on there are enough days without that change: judge with --since {day}."
    return [_item("judge_again", text, since=day)]


def _events(case: Case, window: Window | None) -> list[dict[str, object]]:
    if window is None:
        return []
    inside = [event for event in case.events if event.time in window]
    return [
        _item(
            "event",
            f"{event.time:%Y-%m-%d}, {event.kind.replace('_', ' ')}: {printable(event.note)}",
            time=iso(event.time),
            kind=event.kind,
        )
        for event in sorted(inside, key=lambda event: event.time)[:20]
    ]


def _found(guard: Guard) -> dict[str, object]:
    return {
        "id": guard.id,
        "state": guard.state,
        "sentence": guard.sentence,
        **guard.facts,
    }


def _item(name: str, text: str, **facts: object) -> dict[str, object]:
    return {"id": name, "state": "info", "sentence": text, **facts}
