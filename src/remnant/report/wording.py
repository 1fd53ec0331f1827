"""Numbers, times, states and hostile text in words.

Everything that a person reads passes through here, so that the page, the figures and the exported
tables say the same thing in the same way. English, UTC.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from remnant.errors import printable
from remnant.report.suppress import Hidden

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from remnant.report.facts import Bystanders, Mark, TwoViews
    from remnant.report.suppress import Count
    from remnant.windows import Window

__all__ = [
    "STATES",
    "UNIT_WORDS",
    "VANTAGE_WORDS",
    "Finding",
    "amount",
    "compact",
    "counted_in",
    "country_name",
    "day",
    "findings",
    "interval",
    "is_bound",
    "left_out",
    "legible",
    "mark_words",
    "measure_name",
    "moment",
    "network_name",
    "number",
    "percent",
    "published",
    "rate",
    "two_views",
    "unit_word",
    "window_words",
    "would_change",
]

_MARKS_IN_A_ROW: Final = 2
_NONE: Final = "\u2013"
_MINUS: Final = "\u2212"

STATES: Final[dict[str, tuple[str, str, str]]] = {
    "effective": ("Clean-up is effective", "▼▼", "falling"),
    "working": ("Clean-up is working", "▼", "falling"),
    "no_effective_cleanup": ("No effective clean-up", "▬", "standing"),
    "growing": ("Growing", "▲", "growing"),
    "cannot_tell": ("Cannot tell yet", "?", "open"),
}
"""State of a verdict -> heading, sign (so that nothing depends on colour), style class."""

VANTAGE_WORDS: Final[dict[str, tuple[str, str]]] = {
    "resolver": (
        "DNS resolver, client side",
        (
            "A client is an address that asked the resolver. It sees only the networks that "
            "use this resolver, and no bot that uses another one."
        ),
    ),
    "sinkhole_http": (
        "sinkhole, HTTP",
        (
            "A client is an address that completed a connection and sent a request to the "
            "sinkhole: its address is genuine. Machines whose resolver blocks the names "
            "never arrive."
        ),
    ),
    "sinkhole_tcp": (
        "sinkhole, TCP",
        (
            "A client is an address that completed a TCP handshake with the sinkhole: its "
            "address is genuine. Scanners are among them."
        ),
    ),
    "sinkhole_dns": (
        "sinkhole's name server",
        (
            "A client is usually a resolver, not a machine: one resolver stands for many "
            "machines, and its cache hides most of their requests."
        ),
    ),
    "authority": (
        "authoritative name server",
        (
            "A client is usually a resolver, not a machine: one resolver stands for many "
            "machines, and its cache hides most of their requests."
        ),
    ),
    "flow": (
        "flow records",
        (
            "A client is an address that exchanged packets with a watched address. Source "
            "addresses of single packets may be forged."
        ),
    ),
    "report": (
        "victim reports of others",
        (
            "A client is an address that somebody else reported. Reports hold only hits, so "
            "how much was not reported is unknown."
        ),
    ),
}
"""Vantage -> its name, and what a client is there."""

UNIT_WORDS: Final = {
    "ipv4": "IPv4 addresses",
    "ipv6_64": "IPv6 /64 networks",
    "mixed": "IPv4 addresses and IPv6 /64 networks",
}
"""What one client is."""

_COUNTED_IN: Final = {
    "queries": "requests",
    "ipv4": "clients (IPv4)",
    "ipv6_64": "clients (IPv6 /64)",
    "mixed": "clients (IPv4 and IPv6 /64)",
    "hosts": "machines",
    "bots": "machines",
    "share": "share",
}

_CHECK_STATES: Final = ("failed", "passed", "unavailable")

_MEASURES: Final = {
    "queries": "Requests",
    "clients": "Seen in the window",
    "footprint": "Seen in all",
    "active_clients": "Seen a day",
    "peak_day_clients": "Seen on the busiest day",
    "online_hosts": "Online at a time",
    "decay_rate": "Decline a day",
    "half_life": "Half-life",
    "bystanders": "Left out: no victims",
    "churn_rate": "Address changes a day",
    "infected_online": "Infected machines at a time",
    "infected_population": "Infected machines in all",
    "lookups_behind_caches": "Lookups a day behind caches",
    "hosts_behind_caches": "Machines behind resolvers",
    "ttl_arms": "Two lifetimes of answers, compared",
    "dga_bots": "Machines a day that meet a seized generated name",
    "sinkhole_share": "Share of them that meets one",
    "dga_bots_whole": "Machines a day that look for generated names",
    "seen_at_both": "Seen at both vantages a day",
    "reach_ratio": "Share that reaches the sinkhole",
    "two_vantage_hosts": "Machines a day, from two views",
    "recent_decay_rate": "Decline a day, lately",
    "recent_half_life": "Half-life, lately",
    "floor_hosts": "Level that it falls towards",
    "hosts_in_28_days": "Online at a time in 28 days",
}


def legible(text: str, limit: int = 253) -> str:
    r"""Return hostile text as a person may safely read it, bounded.

    Control, format and bidirectional override characters are shown as escapes; more than two
    combining marks in a row are dropped, for they draw over the lines around them.

    >>> legible("evil\u202emoc.example")
    'evil\\u202emoc.example'
    """
    out: list[str] = []
    marks = 0
    for char in text[: 4 * limit]:
        marks = marks + 1 if unicodedata.category(char) in {"Mn", "Me"} else 0
        if marks <= _MARKS_IN_A_ROW:
            out.append(char)
    return printable("".join(out), limit)


def number(value: float | None, digits: int = 3) -> str:
    r"""Return a number as people write it: whole thousands grouped, ``digits`` where it is small.

    >>> number(37012.4), number(0.00204), number(None)
    ('37,012', '0.00204', '\u2013')
    """
    if value is None or not math.isfinite(value):
        return _NONE
    if value == int(value) or abs(value) >= 10 ** (digits - 1):
        return f"{round(value):,}"
    text = f"{value:.{digits}g}"
    return text if "e" not in text else f"{value:.6f}".rstrip("0").rstrip(".")


def compact(value: float | None) -> str:
    """Return a number short enough for a tile; from ten million on in millions.

    >>> compact(71_234_567)
    '71.2 million'
    """
    if value is None or not math.isfinite(value) or abs(value) < 1e7:
        return number(value)
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if abs(value) >= size:
            return f"{value / size:,.3g} {word}" if abs(value) < 1000 * size else number(value)
    return number(value)


def published(count: Count | float, minimum: int) -> str:
    """Return a count as published: the number, ``<10`` when small, ``hidden`` when linked.

    >>> published(Hidden.SMALL, 10)
    '<10'
    """
    if count is Hidden.SMALL:
        return f"<{minimum}"
    if isinstance(count, Hidden):
        return "hidden"
    return number(count)


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as a percentage; never 100 % for less than everything.

    >>> percent(0.9999)
    '>99.9 %'
    """
    if share is None or not math.isfinite(share):
        return _NONE
    shown = f"{100 * share:.{digits}f}"
    if share < 1 and float(shown) >= 100:
        return f">{100 - 10**-digits:.{digits}f} %"
    return f"{shown.rstrip('0').rstrip('.') if '.' in shown else shown} %"


def amount(value: float | None, unit: str) -> str:
    """Return a value of ``remnant measure`` in words: rates and shares in per cent.

    >>> amount(0.002, "per day"), amount(0.995, "share"), amount(347, "days")
    ('0.20 %', '99.5 %', '347')
    """
    if unit == "per day":
        return rate(value)
    return percent(value) if unit == "share" else number(value)


def interval(low: float | None, high: float | None, unit: str = "") -> str:
    """Return an interval in words, in the unit of its value; a null bound is infinite.

    >>> interval(112.0, None), interval(3100, 3900)
    ('at least 112', '3,100 to 3,900')
    """
    if low is None and high is None:
        return "no bound"
    if high is None:
        return f"at least {amount(low, unit)}"
    if low is None:
        return f"at most {amount(high, unit)}"
    return f"{amount(low, unit)} to {amount(high, unit)}"


def is_bound(row: Mapping[str, Any]) -> bool:
    """Return whether the value of an estimate is a lower bound: then more is as likely as not.

    Args:
        row: ``value``, ``high``, ``method`` and ``assumptions`` of the estimate.
    """
    if row["value"] is None or row["high"] is not None:
        return False
    return any("lower bound" in str(line) for line in (row["method"], *row["assumptions"]))


def mark_words(mark: Mark, limit: int = 200) -> str:
    """Return what a dated mark is: its kind where that says something, and its note.

    The words are cut to about ``limit`` characters, between two words where that is possible.
    """
    kind = "" if mark.kind == "other" and mark.note else legible(mark.kind, 24).replace("_", " ")
    words = ": ".join(part for part in (kind, legible(mark.note, 253)) if part)
    words = "event" if words == "other" else words
    if len(words) <= limit:
        return words
    cut = words[: limit - 1]
    whole, space, _ = cut.rpartition(" ")
    return (whole if space and len(whole) > limit // 2 else cut).rstrip(" :,;.(") + "…"


def rate(value: float | None) -> str:
    """Return a decline per day on the log scale as the share that goes each day.

    >>> rate(0.0026)
    '0.26 %'
    """
    if value is None:
        return _NONE
    return f"{100 * -math.expm1(-value) + 0.0:.2f} %".replace("-", _MINUS)


def day(time: datetime | None) -> str:
    """Return the UTC day of a time.

    >>> day(datetime(2015, 4, 8, tzinfo=UTC))
    '8 Apr 2015'
    """
    if time is None:
        return _NONE
    time = time.astimezone(UTC)
    return f"{time.day} {time:%b} {time.year}"


def moment(time: datetime | None) -> str:
    """Return a UTC time to the minute."""
    return _NONE if time is None else f"{day(time)} {time.astimezone(UTC):%H:%M} UTC"


def window_words(window: Window) -> str:
    """Return a window of days in words, its last day included; hours where it is not whole days.

    >>> from remnant.windows import Window
    >>> window_words(Window(datetime(2015, 4, 8, tzinfo=UTC), datetime(2015, 4, 10, tzinfo=UTC)))
    '8 Apr 2015 to 9 Apr 2015'
    """
    since, until = window.since.astimezone(UTC), window.until.astimezone(UTC)
    if any(time.hour or time.minute or time.second for time in (since, until)):
        return f"{moment(since)} to {moment(until)}"
    last = until - timedelta(days=1)
    return day(since) if last <= since else f"{day(since)} to {day(last)}"


def measure_name(quantity: str) -> str:
    """Return the heading of a quantity; an unknown one is shown as it is called."""
    return _MEASURES.get(quantity, legible(quantity, 60).replace("_", " ").capitalize())


def unit_word(unit: str) -> str:
    """Return what one client is."""
    return UNIT_WORDS.get(unit, legible(unit, 60))


def counted_in(unit: str) -> str:
    """Return a unit of ``remnant measure`` as a reader of its table needs it.

    >>> counted_in("mixed"), counted_in("per day")
    ('clients (IPv4 and IPv6 /64)', 'per day')
    """
    return _COUNTED_IN.get(unit, legible(unit, 60))


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of what a verdict rests on.

    Attributes:
        state: ``failed``, ``passed`` or ``unavailable`` for a check, else empty.
        names: the checks that say this, in words; empty where it is no check.
        words: what was found.
    """

    state: str
    names: str
    words: str


def findings(evidence: Iterable[Mapping[str, Any] | str]) -> list[Finding]:
    """Return the evidence of a verdict for reading, equal reasons of several checks in one line."""
    found: dict[tuple[str, str], list[str]] = {}
    for item in evidence:
        told: Mapping[str, Any] = {"sentence": item} if isinstance(item, str) else item
        name = str(told.get("id") or told.get("name") or told.get("kind") or "")
        words = told.get("sentence") or told.get("text") or told.get("value")
        state = str(told.get("state") or "")
        if state not in _CHECK_STATES:
            state = ""
        line = (state, legible(name if words is None else str(words), 1000))
        names = found.setdefault(line, [])
        if state and name:
            names.append(legible(name, 40).replace("_", " "))
    return [
        Finding(state, ", ".join(dict.fromkeys(names)), words)
        for (state, words), names in found.items()
    ]


def country_name(code: str | None) -> str:
    """Return the country code, or that it is not known (codes are not expanded: no list ages)."""
    return "unknown" if not code else legible(code, 8)


def network_name(asn: int | None, as_name: str | None) -> str:
    """Return an AS as operators write it.

    >>> network_name(64500, "Example Net")
    'AS64500 Example Net'
    """
    if asn is None:
        return "unknown network"
    return f"AS{asn} {legible(as_name, 120)}" if as_name else f"AS{asn}"


def would_change(state: str, slowest_half_life_days: float | None) -> str:
    """Return what would have to be seen for another verdict, in one sentence."""
    pace = (
        "the slowest pace worth having"
        if slowest_half_life_days is None
        else f"the pace that halves the number in {number(slowest_half_life_days)} days"
    )
    return {
        "effective": f"It changes when the interval of the decline no longer lies above {pace}.",
        "working": (
            f"It becomes effective when the whole interval of the decline lies above {pace}; it "
            "falls back to open when the interval reaches zero."
        ),
        "no_effective_cleanup": f"It changes when the interval of the decline reaches {pace}.",
        "growing": "It changes when the interval of the growth reaches zero.",
        "cannot_tell": (
            "It changes with more complete days of data, and when no check below has failed."
        ),
    }.get(state, "")


def two_views(views: TwoViews, minimum: int) -> str:
    """Return what two vantages say together, and which of them counts what."""
    first, second = (VANTAGE_WORDS.get(side.vantage, (side.vantage, ""))[0] for side in views.sides)
    told = []
    if views.both is not None:
        told.append(f"Seen at both on the same day: {published(views.both, minimum)} clients.")
    if isinstance(views.reach, Hidden):
        told.append("The share that arrives is hidden: a small count would follow from it.")
    elif views.reach is not None:
        value, low, high = views.reach
        limits = f" ({percent(low)} to {percent(high)})" if low is not None else ""
        told.append(
            f"Of the clients of the {first}, {percent(value)}{limits} also reached the {second}."
        )
    if isinstance(views.hosts, Hidden):
        told.append("How many there are in all is hidden with it.")
    elif views.hosts is not None:
        value, low, high = views.hosts
        told.append(
            "Seen or not, the networks that both see hold "
            f"{number(value)} hosts a day ({interval(low, high)})."
        )
    if views.refusal:
        told.append(f"{views.refusal[0].upper()}{legible(views.refusal[1:], 400)}.")
    if not told:
        told.append("Who is seen at both cannot be told: these vantages do not see the same hosts.")
    return " ".join(told)


def left_out(found: Bystanders, minimum: int) -> str:
    """Return how many clients were taken for bystanders, in one sentence."""
    if not found.kinds:
        return "None was so clearly one of them that it was left out of the estimates of hosts."
    kinds = ", ".join(f"{legible(kind, 20)} {published(n, minimum)}" for kind, n in found.kinds)
    return (
        f"Clients that clearly are no victims: {published(found.total, minimum)} ({kinds}); they "
        "are in every count, and in no estimate of hosts."
    )
