"""Six questions that whoever opens a case comes with, each answered in a line or two.

Is it still there? Since when? Is clean-up working? How sure are we? Where is it? What is it joined
to? "Cannot tell yet" is an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from remnant.report import wording
from remnant.report.lands import UNKNOWN, name_of
from remnant.windows import Window, parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from remnant.web.curves.curve import Curve

__all__ = ["Answer", "glance"]

_LATER: Final = "being worked out"
_TOP: Final = 3
_MINUS: Final = "\u2212"


class Answer(BaseModel):
    """One question and its answer.

    ``short`` is the answer in a few words, ``detail`` what it rests on; ``method`` is the page that
    says how it is computed, ``more`` a page that shows more.
    """

    key: str
    question: str
    short: str
    detail: str
    method: str | None = None
    more: str | None = None
    more_title: str = ""


def glance(
    case: str,
    *,
    takedown: datetime | None,
    days_since: int | None,
    verdict: Mapping[str, Any] | None,
    told: Mapping[str, Any],
    curves: Sequence[Curve],
    joined: Mapping[str, Any] | None,
    joined_known: bool,
    has_traffic: bool,
    tabs: Sequence[str],
) -> list[Answer]:
    """Return the six answers.

    Args:
        case: name of the case.
        takedown: when it was (UTC).
        days_since: whole days from then to now.
        verdict: as ``remnant judge`` prints it; null while it is worked out.
        told: the overview's result; empty while it is worked out.
        curves: online and requests; empty without traffic.
        joined: counts of the map; null where none is known.
        joined_known: whether that null is final.
        has_traffic: whether anything was read; what the public sees of it may still be made.
        tabs: pages that the viewer may open.
    """
    place, names = f"/cases/{case}/networks", f"/cases/{case}/map"
    return [
        _still(told, curves, has_traffic=has_traffic),
        _since(takedown, days_since, curves),
        _working(verdict, has_traffic=has_traffic),
        _sure(verdict, told, curves),
        _where(told, place if place in tabs else None, has_traffic=has_traffic),
        _joined(joined, names if names in tabs else None, known=joined_known),
    ]


def _still(told: Mapping[str, Any], curves: Sequence[Curve], *, has_traffic: bool) -> Answer:
    question, method = "Is it still there?", "/method/online_hosts"
    if not curves and has_traffic:
        later = f"The numbers are {_LATER}."
        return Answer(key="still", question=question, short="Not known yet", detail=later)
    if not curves:
        return Answer(key="still", question=question, short="Cannot tell yet", detail="No data.")
    measure = _measure(told, "online_hosts")
    seen = f"data as of {wording.day(_last(curves[0].as_of))}"
    if measure is not None and measure["hidden"] is not None:
        short = "Yes, but few"
        detail = f"The number of clients online is not published; {seen}."
    elif measure is not None and measure["value"] is not None:
        value = measure["value"]
        short = f"Yes: {wording.number(value)} online" if value > 0 else "Not in the last days"
        detail = _level(measure) + f"; {seen}."
    else:
        known = [p for p in curves[0].points if p.drawn is not None]
        if not known:
            short, detail = _asks(curves, seen)
        else:
            value = known[-1].drawn or 0.0
            short = f"Yes: {wording.number(value)} online" if value > 0 else "Not on the last day"
            detail = f"Clients at a time on {wording.day(known[-1].start)}, counted; {seen}."
    return Answer(key="still", question=question, short=short, detail=detail, method=method)


def _asks(curves: Sequence[Curve], seen: str) -> tuple[str, str]:
    """Return what can be said where no interval is complete: whether anything asked."""
    counts = [p.value for p in curves[-1].points if isinstance(p.value, int | float)]
    why = f"no {curves[-1].step} is complete, so how many are online cannot be told"
    if counts and sum(counts):
        return "Yes, it still asks", f"{wording.number(sum(counts))} requests; {why}; {seen}."
    return "Cannot tell yet", f"{why[:1].upper()}{why[1:]}; {seen}."


def _level(measure: Mapping[str, Any]) -> str:
    unit = wording.UNIT_WORDS.get(measure["unit"], wording.counted_in(measure["unit"]))
    parts = [f"{unit} in an average hour"]
    if measure["since"] and measure["until"]:
        window = Window(parse_time(measure["since"]), parse_time(measure["until"]))
        parts.append(wording.window_words(window))
    if measure["low"] is not None or measure["high"] is not None:
        limits = wording.interval(measure["low"], measure["high"], measure["unit"])
        parts.append(f"{wording.percent(measure['level'])} interval {limits}")
    return ", ".join(parts)


def _since(takedown: datetime | None, days: int | None, curves: Sequence[Curve]) -> Answer:
    short = "No takedown date" if takedown is None else f"Takedown {wording.day(takedown)}"
    parts = []
    if takedown is not None and days is not None:
        parts.append(f"{wording.number(abs(days))} days {'ago' if days >= 0 else 'from now'}")
    if curves:
        parts.append(f"data: {wording.window_words(curves[0].window)}")
    detail = "; ".join(parts)
    return Answer(
        key="since",
        question="Since when?",
        short=short,
        detail=f"{detail[:1].upper()}{detail[1:]}." if detail else "",
    )


def _working(verdict: Mapping[str, Any] | None, *, has_traffic: bool) -> Answer:
    question, method = "Is clean-up working?", "/method/verdict"
    if verdict is None:
        return Answer(
            key="working",
            question=question,
            short="Not known yet" if has_traffic else "Cannot tell yet",
            detail=f"The verdict is {_LATER}." if has_traffic else "No data.",
        )
    title = wording.STATES.get(verdict["state"], (verdict["state"], "", ""))[0]
    life = verdict["half_life_days"]
    rate = verdict["rate_per_day"]
    if rate["value"] is None:
        detail = "No trend could be fitted."
    elif verdict["state"] == "cannot_tell":
        detail = f"Fitted {_pace(rate)}; what keeps the verdict open stands in its evidence."
    elif life["value"] is None:
        detail = f"It does not fall: {_pace(rate)}."
    else:
        detail = (
            f"Halves every {wording.number(life['value'])} days "
            f"({wording.interval(life['low'], life['high'])}): "
            f"{wording.rate(rate['value'])} less a day."
        )
    if verdict["can_tell_by"]:
        detail += f" Can be told by {wording.legible(str(verdict['can_tell_by']), 40)}."
    short = {
        "effective": "Yes",
        "working": "Yes, slowly",
        "no_effective_cleanup": "No",
        "growing": "No, it grows",
        "cannot_tell": "Cannot tell yet",
    }.get(verdict["state"], wording.legible(title, 40))
    return Answer(key="working", question=question, short=short, detail=detail, method=method)


def _pace(rate: Mapping[str, Any]) -> str:
    """Return how fast it falls or grows, in words that say which of the two, with the interval."""
    value, low, high = rate["value"], rate["low"], rate["high"]
    words = f"{_size(value)} {'less' if value > 0 else 'more'} a day"
    if low is None or high is None:
        return words
    # A decline is counted upwards; people read less with a minus and more with a plus.
    least, most = (_signed(end) for end in (high, low))
    return f"{words} (95 % interval {least} to {most})"


def _signed(decline: float) -> str:
    sign = "" if not decline else _MINUS if decline > 0 else "+"
    return f"{sign}{_size(decline)}"


def _size(decline: float) -> str:
    """Return the share that goes or comes each day, without its sign."""
    return wording.rate(decline).removeprefix(_MINUS)


def _sure(
    verdict: Mapping[str, Any] | None, told: Mapping[str, Any], curves: Sequence[Curve]
) -> Answer:
    question = "How sure are we?"
    parts = []
    short = "Not known yet"
    if told:
        days = told["intake"]["covered_days"] + told["intake"]["gap_days"]
        parts.append(f"{told['intake']['covered_days']} of {days} days are complete.")
    elif curves:
        whole = sum(not point.gap for point in curves[0].points)
        parts.append(f"{whole} of {len(curves[0].points)} {curves[0].step}s are complete.")
    if verdict is not None:
        states = [item.get("state") for item in verdict["evidence"] if isinstance(item, dict)]
        passed, failed, missing = (
            states.count(state) for state in ("passed", "failed", "unavailable")
        )
        short = f"{passed} of {passed + failed} checks passed" if passed + failed else "No checks"
        if missing:
            parts.append(f"{missing} more could not be made and decide nothing.")
        if failed:
            parts.append("A failed check keeps the verdict open.")
    return Answer(
        key="sure",
        question=question,
        short=short,
        detail=" ".join(parts),
        method="/method/verdict",
        more=None if verdict is None else "#rests",
        more_title="What it rests on",
    )


def _where(told: Mapping[str, Any], more: str | None, *, has_traffic: bool) -> Answer:
    question = "Where is it?"
    title = "Networks and countries"
    if not told:
        later = f"Countries and networks are {_LATER}." if has_traffic else "No data."
        return Answer(
            key="where",
            question=question,
            short="Not known yet",
            detail=later,
            more=more,
            more_title=title,
        )
    rows = told["countries"]
    if not rows:
        return Answer(
            key="where",
            question=question,
            short="Not known",
            detail="No client was seen.",
            more=more,
            more_title=title,
        )
    if not any(row["code"] and row["code"] != UNKNOWN for row in rows):
        return Answer(
            key="where",
            question=question,
            short="Countries not known",
            detail="No reference data says where the addresses are; settings.toml names such files "
            "under [reference].",
            method="/method/places",
            more=more,
            more_title=title,
        )
    top = ", ".join(name_of(row["code"]) for row in rows[:_TOP])
    sizes = ", ".join(
        f"{name_of(row['code'])} {_count(row['pulse']['mean'])}" for row in rows[:_TOP]
    )
    detail = (
        f"Clients a day: {sizes}. {_many(told['countries_total'], 'country', 'countries')}, "
        f"{_many(told['networks_total'], 'network', 'networks')} in all."
    )
    return Answer(
        key="where",
        question=question,
        short=f"Most in {top}",
        detail=detail,
        method="/method/places",
        more=more,
        more_title=title,
    )


def _joined(joined: Mapping[str, Any] | None, more: str | None, *, known: bool) -> Answer:
    question = "What is it joined to?"
    if joined is None:
        detail = (
            "No passive DNS is known for it, so there is no map."
            if known
            else f"The map is {_LATER}."
        )
        return Answer(key="joined", question=question, short="Not known", detail=detail)
    kinds = {row["what"]: row["count"] for row in joined["kinds"]}
    first = ", ".join(f"{wording.number(n)} {what}" for what, n in list(kinds.items())[:4])
    living = joined["living"]
    alive = (
        f"{wording.number(living)} still live and must be acted on."
        if living
        else "None of its names and servers is known to live."
    )
    return Answer(
        key="joined",
        question=question,
        short=f"{wording.number(sum(kinds.values()))} things on the map",
        detail=f"{first}. {alive}",
        method="/method/map",
        more=more,
        more_title="Map",
    )


def _measure(told: Mapping[str, Any], quantity: str) -> Mapping[str, Any] | None:
    for measure in told.get("measures", ()):
        if measure["quantity"] == quantity and measure["vantage"] in {None, told["vantage"]}:
            found: Mapping[str, Any] = measure
            return found
    return None


def _many(count: int, one: str, more: str) -> str:
    return f"{wording.number(count)} {one if count == 1 else more}"


def _count(count: object) -> str:
    return count if isinstance(count, str) else wording.number(count)  # type: ignore[arg-type]


def _last(time: datetime) -> datetime:
    from datetime import timedelta

    return time - timedelta(microseconds=1)
