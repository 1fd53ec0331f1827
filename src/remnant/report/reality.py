"""How many, really: from addresses that were seen to machines that are infected, in plain words.

Everybody publishes the number of addresses. Here the sizes stand one below the other, counted ones
and concluded ones apart, and a few sentences say which is which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remnant.report.wording import VANTAGE_WORDS, legible, number, percent, window_words
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
        "Machines behind those addresses, switched on or not, one for one.",
    ),
    "infected_online": (
        "Infected machines at a time",
        False,
        "Machines that are switched on and ask in an average hour.",
    ),
    "two_vantage_hosts": (
        "Machines, from two views",
        False,
        "What the overlap of two views of the same networks says about both.",
    ),
    "hosts_behind_caches": (
        "Machines behind resolvers",
        False,
        "What the requests that pass the resolvers' caches say about those that do not.",
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
    told += [_online(here), _elsewhere(content), _left_out(here)]
    return [text for text in told if text]


def _addresses(here: dict[str, Measure]) -> str:
    ever, day, hour = (here.get(key) for key in ("footprint", "active_clients", "online_hosts"))
    if ever is not None and ever.hidden is not None:
        return "So few addresses were seen that their number is not published."
    if ever is None or not ever.value:
        return "No address was seen, so there is nothing to conclude from."
    text = f"{number(ever.value)} different addresses were seen in all"
    if day is not None and day.value is not None:
        text += f", {number(day.value)} on an average day of the last week"
    if hour is not None and hour.value is not None:
        text += f", {number(hour.value)} in an average hour"
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
    text = f"Our estimate is that {_about(whole)} were infected"
    if whole.since is not None and whole.until is not None:
        text += (
            f" between {window_words(Window(whole.since, whole.until)).replace(' to ', ' and ')}"
        )
    text += f" among those that this view can see ({_place(content.vantage)})."
    ever = here.get("footprint")
    if ever is not None and ever.value and whole.value:
        text += f" That is {percent(whole.value / ever.value, 0)} of the addresses ever seen."
    return text


def _online(here: dict[str, Measure]) -> str:
    online = here.get("infected_online")
    if online is None or online.value is None:
        return ""
    return f"Of them, {_about(online)} are switched on and asking at any one time."


def _elsewhere(content: Content) -> str:
    """Return what other views say, each for itself."""
    told = []
    for measure in content.measures:
        if measure.value is None or measure.vantage in {None, content.vantage}:
            continue
        place = _place(measure.vantage)
        if measure.quantity == "infected_population":
            told.append(f"Seen from the {place} there are {_about(measure)}.")
        elif measure.quantity == "dga_bots_whole":
            told.append(
                f"From the {place}, {_about(measure)} a day run the generator of the names."
            )
    if told:
        told.append("The same machine can be in each of these numbers; they are never added up.")
    return " ".join(told)


def _left_out(here: dict[str, Measure]) -> str:
    others = here.get("bystanders")
    if others is None or not others.value:
        return ""
    return (
        f"{number(others.value)} addresses are left out of these estimates, though not of the "
        "counts: they behave like scanners, researchers or monitors, not like infected machines."
    )


def _about(measure: Measure) -> str:
    """Return value and interval: ``about 3,400 machines (95 % interval 3,100 to 3,900)``."""
    bound = any("lower bound" in line for line in (measure.method, *measure.assumptions))
    text = f"{'at least' if bound else 'about'} {number(measure.value)} machines"
    if measure.low is None and measure.high is None:
        return text
    low = "no lower limit" if measure.low is None else number(measure.low)
    high = "no upper limit" if measure.high is None else number(measure.high)
    return f"{text} ({percent(measure.level)} interval {low} to {high})"


def _told(measure: Measure) -> bool:
    return measure.value is not None or measure.hidden is not None


def _short(vantage: str | None) -> str:
    return (vantage or "").replace("sinkhole_", "").replace("dns", "DNS").replace("http", "HTTP")


def _place(vantage: str | None) -> str:
    if vantage is None:
        return "unknown view"
    return " and ".join(
        VANTAGE_WORDS.get(part, (legible(part, 40), ""))[0] for part in vantage.split("+")
    )
