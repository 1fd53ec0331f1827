"""Half-lives, ranks, changes and states of places in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remnant.report.lands import UNKNOWN
from remnant.report.wording import number

if TYPE_CHECKING:
    from remnant.web.places.rows import PlaceRow

__all__ = ["change", "clean_up", "half_life", "pick", "rank", "short"]

_STATES: Final = {
    "effective": ("▼▼", "effective"),
    "working": ("▼", "working"),
    "no_effective_cleanup": ("▬", "too slow"),
    "growing": ("▲", "growing"),
    "cannot_tell": ("?", "cannot tell yet"),
}
_MINUS: Final = "\u2212"
_LONGEST: Final = 9_999


def half_life(row: PlaceRow) -> tuple[str, str]:
    """Return a half-life in days and its interval; ("\u2013", "") where there is no estimate.

    Where the limits of the rate lie on both sides of zero, the interval has no upper end.
    """
    if row.decline is None:
        return ("\u2013", "")
    value = "none" if row.half_life is None else _days(row.half_life)
    if row.half_life_low is None:
        return (value, "no fall")
    if row.half_life_high is None:
        return (value, f"at least {_days(row.half_life_low)}")
    return (value, f"{_days(row.half_life_low)} to {_days(row.half_life_high)}")


def rank(row: PlaceRow) -> tuple[str, str]:
    """Return the rank among all fitted networks, 1 the fastest fall, and its interval."""
    if row.rank is None:
        return ("\u2013", "")
    return (number(row.rank), f"{number(row.rank_low)} to {number(row.rank_high)}")


def change(value: float | None) -> str:
    """Return a relative change as people write it.

    >>> change(-0.25), change(0.5), change(-0.001), change(None)
    ('\u221225 %', '+50 %', '0 %', '\u2013')
    """
    if value is None:
        return "\u2013"
    if abs(value) >= 10:
        return f"\u00d7{number(1 + value)}"
    text = f"{100 * value:+.0f} %"
    return "0 %" if text[1:] == "0 %" else text.replace("-", _MINUS)


def clean_up(state: str | None) -> tuple[str, str]:
    """Return sign and word of a state of clean-up."""
    return _STATES.get(state or "", ("", "\u2013"))


def pick(row: PlaceRow) -> str:
    """Return how a row is picked in an address: ``AS64500-DE``, or ``DE``."""
    country = row.country or UNKNOWN
    return country if row.asn is None else f"AS{row.asn}-{country}"


def short(value: float | None) -> str:
    """Return a count in at most five characters.

    >>> short(0.25), short(37), short(1234), short(12_345_678), short(None)
    ('0.3', '37', '1.2k', '12M', '\u2013')
    """
    if value is None:
        return "\u2013"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:
            scaled = value / size
            return f"{scaled:.1f}{letter}" if scaled < 9.95 else f"{scaled:.0f}{letter}"
    return f"{value:.1f}" if 0 < value < 9.95 and value != int(value) else f"{value:.0f}"


def _days(value: float) -> str:
    return f"over {_LONGEST:,}" if value > _LONGEST else f"{value:,.0f}"
