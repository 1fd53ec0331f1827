"""How many, really: from addresses that were seen to machines that are infected, in plain words.

Everybody publishes the number of addresses. Here the sizes stand one below the other, counted ones
and concluded ones apart, and a few sentences say which is which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remnant.report.wording import (
    is_bound,
    legible,
    number,
    percent,
    published,
    window_words,
)
from remnant.windows import Window

if TYPE_CHECKING:
    from remnant.report.facts import Content, Measure

__all__ = ["Rung", "paragraphs", "rungs"]


@dataclass(frozen=True, slots=True)
class Rung:
    """One size.

    Attributes:
        label: what it is, in a few words.
        measure: the estimate.
        counted: addresses that were counted, not machines that were concluded.
        meaning: what it counts, in one sentence.
    """

    label: str
    measure: Measure
    counted: bool
    meaning: str


_PARTS_BELOW: Final = 10
_FROM: Final = {
    "resolver": "DNS resolvers",
    "sinkhole_http": "sinkhole, by web requests",
    "sinkhole_tcp": "sinkhole, by connections",
    "sinkhole_dns": "sinkhole's name servers",
    "authority": "authoritative name servers",
    "flow": "flow records",
    "report": "reports of others",
}
"""Vantage -> what comes after "seen from the" in a sentence for everybody."""

_RUNGS: Final[dict[str, tuple[str, bool, str]]] = {
    "footprint": (
        "Addresses ever seen",
        True,
        "Every address that asked at least once. It only ever grows, because addresses change.",
    ),
    "active_clients": (
        "Addresses in a day",
        True,
        "Different addresses on an average day of the last week.",
    ),
    "online_hosts": (
        "Addresses in an hour",
        True,
        "Different addresses in an average hour of the last week.",
    ),
    "infected_population": (
        "Infected machines in all",
        False,
        "Machines infected on an average day of the last weeks, switched on or off: each once, "
        "however often its address changed, but those behind one address as one.",
    ),
    "infected_online": (
        "Infected machines at a time",
        False,
        "Machines that are switched on and ask in an average hour.",
    ),
    "two_vantage_hosts": (
        "Machines, from two views",
        False,
        "Machines that asked on an average day of the last week in the networks that both views "
        "see, with those that both missed; one whose address changed that day counts again.",
    ),
    "hosts_behind_caches": (
        "Machines behind resolvers",
        False,
        "Machines that ask on an average day, concluded from the requests that pass the resolvers' "
        "caches.",
    ),
    "dga_bots_whole": (
        "Machines with the generator",
        False,
        "Machines a day that run the generator, whether or not they meet a seized name.",
    ),
}


def rungs(content: Content) -> list[Rung]:
    """Return the sizes of a report that have a value or are hidden, largest kind first."""
    found = []
    for quantity, (label, counted, meaning) in _RUNGS.items():
        for measure in content.measures:
            if measure.quantity != quantity or not _told(measure):
                continue
            other = measure.vantage not in {None, content.vantage}
            place = f" ({_short(measure.vantage)})" if other else ""
            found.append(Rung(label + place, measure, counted, meaning))
    return found


def paragraphs(content: Content) -> list[str]:
    """Return the story in sentences that a journalist can read; numbers with their intervals."""
    here = {
        measure.quantity: measure
        for measure in reversed(content.measures)
        if measure.vantage in {None, content.vantage}
    }
    told = [_addresses(here), _machines(content, here)]
    told += [_online(here), _elsewhere(content, here), _left_out(content)]
    return [text for text in told if text]


def _addresses(here: dict[str, Measure]) -> str:
    ever, day, hour = (here.get(key) for key in ("footprint", "active_clients", "online_hosts"))
    if ever is not None and ever.hidden is not None:
        return "So few addresses were seen that their number is not published."
    if ever is None or not ever.value:
        return "No address was seen, so there is nothing to conclude from."
    text = f"{_whole(ever.value)} different addresses were seen in all"
    if ever.since is not None and ever.until is not None:
        text += f" ({window_words(Window(ever.since, ever.until))})"
    if day is not None and day.value is not None:
        text += f", {_whole(day.value)} on an average day of the last week"
    if hour is not None and hour.value is not None:
        text += f", {_whole(hour.value)} in an average hour of it"
    return (
        f"{text}. None of these is the number of infected machines. One machine appears under "
        "many addresses when its provider changes them, so long counts are too high; several "
        "machines behind one address count once, so short counts are too low."
    )


def _machines(content: Content, here: dict[str, Measure]) -> str:
    whole = here.get("infected_population")
    if whole is None or whole.hidden is not None:
        return "The number of machines behind them is not stated here."
    if whole.value is None:
        why = whole.assumptions[0] if whole.assumptions else "the data do not allow it"
        return f"How many machines that are cannot be told: {legible(why, 300)}."
    text = (
        f"Our estimate is that {_about(whole)} were infected, switched on or off, on an average "
        f"day{_when(whole)}, among those that this view can see ({_place(content.vantage)})."
    )
    ever = here.get("footprint")
    least = "at least " if _bound(whole) else ""
    if ever is not None and ever.value and whole.value:
        text += (
            f" That is {least}{percent(whole.value / ever.value, 0)} of the addresses ever seen."
        )
    if least:
        text += (
            " The true number may be much larger: machines behind one address count once, and a "
            "machine that never asked in that time is not seen."
        )
    return text


def _online(here: dict[str, Measure]) -> str:
    online = here.get("infected_online")
    if online is None or online.value is None:
        return ""
    return (
        f"Of them, {_about(online)} were switched on and asking in an average hour{_when(online)}."
    )


def _elsewhere(content: Content, here: dict[str, Measure]) -> str:
    """Return what other views say, each for itself."""
    told = []
    main = here.get("infected_population")
    for measure in content.measures:
        if measure.value is None or measure.vantage in {None, content.vantage}:
            continue
        place = _place(measure.vantage)
        if measure.quantity == "infected_population":
            same = main is not None and (main.since, main.until) == (measure.since, measure.until)
            when = " in the same time" if same else _when(measure)
            told.append(f"Seen from the {place}, {_about(measure)} were infected a day{when}.")
        elif measure.quantity == "dga_bots_whole":
            told.append(
                f"Seen from the {place}, {_about(measure)} a day ran the generator of the names"
                f"{_when(measure)}."
            )
    if told:
        told.append(
            "Each view sees other networks, so these numbers need not agree. The same machine can "
            "be in each of them; they are never added up."
        )
    return " ".join(told)


def _left_out(content: Content) -> str:
    """Return who is counted and in no estimate of machines, view by view."""
    told = []
    for measure in content.measures:
        if measure.quantity != "bystanders" or not (measure.value or measure.hidden):
            continue
        count = number(measure.value) if measure.hidden is None else _few(content, measure)
        told.append(f"{count} seen from the {_place(measure.vantage or content.vantage)}")
    if not told:
        return ""
    return (
        f"Left out of these estimates, though not of the counts, are addresses that behave like "
        f"scanners, researchers or monitors and not like infected machines: {', '.join(told)}."
    )


def _few(content: Content, measure: Measure) -> str:
    assert measure.hidden is not None
    return published(measure.hidden, content.minimum_count)


def _about(measure: Measure) -> str:
    """Return value and interval: ``about 3,400 machines (95 % interval 3,100 to 3,900)``.

    A lower bound has its own limit: ``at least 3,400 machines (95 % sure: at least 3,100)``.
    """
    assert measure.value is not None
    level, low, high = percent(measure.level), measure.low, measure.high
    if _bound(measure):
        text = f"at least {_whole(measure.value)} machines"
        return text if low is None else f"{text} ({level} sure: at least {_whole(low)})"
    text = f"about {_whole(measure.value)} machines"
    if low is None and high is None:
        return text
    least = "no lower limit" if low is None else _whole(low)
    most = "no upper limit" if high is None else _whole(high)
    return f"{text} ({level} interval {least} to {most})"


def _bound(measure: Measure) -> bool:
    return is_bound(
        {
            "value": measure.value,
            "high": measure.high,
            "method": measure.method,
            "assumptions": measure.assumptions,
        }
    )


def _when(measure: Measure) -> str:
    """Return when that was: `` between 3 Jun 2015 and 30 Jun 2015``."""
    if measure.since is None or measure.until is None:
        return ""
    words = window_words(Window(measure.since, measure.until))
    return f" between {words.replace(' to ', ' and ')}" if " to " in words else f" on {words}"


def _whole(value: float) -> str:
    """Return a number of machines or addresses: a part of one means nothing to a reader."""
    return number(round(value)) if value >= _PARTS_BELOW else number(value, 2)


def _told(measure: Measure) -> bool:
    return measure.value is not None or measure.hidden is not None


def _short(vantage: str | None) -> str:
    return (vantage or "").replace("sinkhole_", "").replace("dns", "DNS").replace("http", "HTTP")


def _place(vantage: str | None) -> str:
    if vantage is None:
        return "unknown view"
    return " and ".join(_FROM.get(part, legible(part, 40)) for part in vantage.split("+"))
