"""Dates on which the curve breaks, each with what is known to have happened then.

There are two tests. The **search** asks whether the curve breaks on any day at least 14 days from
both ends. The test at **known dates** asks the same of the dates on record alone (events of the
case, sensors, the watchlist), as few as 7 days from an end: as it does not pay for looking
everywhere, it sees smaller steps. Both weigh the evidence of ``break_evidence``, each at a level
of its own, which holds for all days or all dates together.

The search asks for two steps that cancel as well, down on one day and up again on a later one:
either of them alone may be hidden. Both are cut at once.

Where there is a break the series is cut, and both pieces are tested in the same way. Each break has
an interval of dates; whatever is on record inside it stands beside it, and where nothing is, the
break is unexplained. A break is never called a clean-up here.

References:
    Bai, Econometric Theory 13 (1997), 315-352 (one break after the other, dates refined in turn).
    Andrews, Econometrica 61 (1993), 821-856 (a break's place is undefined without one).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from remnant.estimate.break_evidence import (
    chance_of,
    evidence_of,
    pairs_of,
    with_pairs,
)
from remnant.estimate.break_lines import lines_at
from remnant.estimate.loglinear import prepare
from remnant.estimate.online import day_start
from remnant.estimate.segments import MINIMUM_SEGMENT_DAYS, MOST_BREAKS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from numpy.typing import NDArray

    from remnant.estimate.break_evidence import Evidence, Pairs
    from remnant.estimate.loglinear import LogSeries

    Floats = NDArray[np.float64]
    Days = NDArray[np.int64]
    Places = NDArray[np.int64]

__all__ = ["KNOWN_DAYS", "SIGNIFICANT", "Cause", "Changepoint", "FoundBy", "annotate", "find"]

CauseKind = Literal["event", "notice", "sensor", "watchlist", "coverage", "outage"]

FoundBy = Literal["search", "date", "both"]

SIGNIFICANT: Final = 0.02
"""Each of the two tests finds a break in at most this share of series without one."""

KNOWN_DAYS: Final = 7
"""Days on both sides of a date on record that its test needs."""

_MOST_SEARCHED: Final = 60
_MOST_DATED: Final = 200
_MOST_ENDS: Final = 40
_LEVEL: Final = 0.95
_MOST_CAUSES: Final = 20
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cause:
    """Something on record that may bend the curve.

    Attributes:
        time: when (UTC).
        kind: what sort of thing.
        text: what happened, for people.
    """

    time: datetime
    kind: CauseKind
    text: str


@dataclass(frozen=True, slots=True)
class Changepoint:
    """A break of the curve and what is on record for its dates.

    Attributes:
        day: first day of the new piece, the most likely one (UTC midnight).
        low: first day of the 95 % interval; the day itself where only the test at known dates
            found it.
        high: last day of it.
        jump: change of the level there on the log scale; a fall is negative.
        jump_low: lower limit of the jump (95 %), the day held.
        jump_high: upper limit.
        rate_before: fall per day before it, on the log scale.
        rate_after: fall per day after it.
        sigma: standard deviation of a day's noise beside both lines, on the log scale.
        phi: lag-1 correlation of that noise.
        takes: days that the change took.
        found_by: the search, the test at known dates, or both.
        chance: share of series without a break in which the test that found it finds as much; the
            smaller one where both did.
        causes: what lies inside the interval, or the day before it; empty if unexplained.
    """

    day: datetime
    low: datetime
    high: datetime
    jump: float
    jump_low: float
    jump_high: float
    rate_before: float
    rate_after: float
    sigma: float
    phi: float
    takes: int
    found_by: FoundBy
    chance: float
    causes: tuple[Cause, ...] = ()

    @property
    def explanation(self) -> str:
        """What is on record, in words; ``unexplained`` where nothing is."""
        return "; ".join(cause.text for cause in self.causes) or "unexplained"


def find(
    days: Days,
    values: Floats,
    exposure: Floats | None = None,
    dates: Iterable[datetime] = (),
) -> list[Changepoint]:
    """Return the breaks of a daily series, in order, without causes.

    Args:
        days: days since 1970-01-01 UTC, strictly increasing; days left out are gaps.
        values: the series, zero or more each.
        exposure: share of a whole day's signal that each value had the chance to see.
        dates: when something happened that is on record (UTC).
    """
    ready = prepare(days, values, exposure)
    if ready is None:
        return []
    known = sorted({(time - day_start(0)) // _DAY for time in dates})
    cuts: list[_Cut] = []
    waiting = [(0, len(ready.days))]
    while waiting and len(cuts) < MOST_BREAKS:
        start, stop = waiting.pop(0)
        found = _test(ready, start, stop, known)
        if found and len(cuts) + len(found) <= MOST_BREAKS:
            cuts += found
            edges = [start, *(cut.row for cut in found), stop]
            waiting += pairwise(edges)
    return _dated(ready, sorted(cuts, key=lambda cut: cut.row))


def annotate(found: Iterable[Changepoint], causes: Iterable[Cause]) -> list[Changepoint]:
    """Return the breaks with the causes that lie in their intervals, in order of time.

    A cause late on the day before the interval shows first on the day itself, so that day counts.
    """
    known = sorted(causes, key=lambda cause: cause.time)
    return [
        replace(
            one,
            causes=tuple(
                cause for cause in known if one.low - _DAY <= cause.time < one.high + _DAY
            )[:_MOST_CAUSES],
        )
        for one in found
    ]


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where a series is cut: the first row of the new piece, and which test found it.

    ``rows`` are the first and last row of the interval, where it was dated with another break.
    """

    row: int
    found_by: FoundBy
    chance: float
    rows: tuple[int, int] | None = None


def _test(series: LogSeries, start: int, stop: int, known: list[int]) -> list[_Cut]:
    """Return the clearest break of the rows [start, stop), or two steps that cancel; or nothing."""
    piece = series.head(stop).tail(start)
    anywhere = _thinned(_inner(piece.days, MINIMUM_SEGMENT_DAYS), _MOST_SEARCHED)
    named = _places_of(known, piece.days)
    both = np.union1d(anywhere, named).astype(np.int64)
    if not len(both):
        return []
    whole = evidence_of(piece, both)
    searched, dated = _searched(piece, whole, anywhere), _tested(piece, whole, named)
    if searched is not None and searched.pair is not None:
        clearest = float(searched.pair.log_odds.max())
        if dated is None or clearest > dated[0].log_odds.max():
            return _both_steps(piece, searched.pair, searched.chance, start, dated)
    if dated is None:
        if searched is None:
            return []
        return [_Cut(start + _best(searched.evidence), "search", searched.chance)]
    evidence, chance = dated
    on_record = _best(evidence)
    if searched is None:
        return [_Cut(start + on_record, "date", chance)]
    low, high = _hull(searched.evidence)
    best = start + _best(searched.evidence)
    if low - 1 <= on_record <= high + 1:
        return [_Cut(best, "both", min(chance, searched.chance))]
    # Two breaks, or one that both tests see: the clearer one is cut first, and the rest is tested.
    if evidence.log_odds.max() > searched.evidence.log_odds.max():
        return [_Cut(start + on_record, "date", chance)]
    return [_Cut(best, "search", searched.chance)]


@dataclass(frozen=True, slots=True)
class _Found:
    """What the search found: one break, or a pair of steps where that says more."""

    evidence: Evidence
    chance: float
    pair: Pairs | None


def _searched(piece: LogSeries, whole: Evidence, places: Places) -> _Found | None:
    """Return what speaks for one break at one of the places, or for two steps that cancel."""
    if not len(places):
        return None
    evidence = whole.at(places)
    ends = _thinned(places, _MOST_ENDS)
    pairs = pairs_of(piece, ends)
    total = evidence.total if pairs is None else with_pairs(evidence.total, pairs.total)
    if total <= 0.0:
        return None
    chance = chance_of(piece, places, total, None if pairs is None else ends)
    if chance > SIGNIFICANT:
        return None
    return _Found(
        evidence, chance, None if pairs is None or pairs.total < evidence.total else pairs
    )


def _both_steps(
    piece: LogSeries,
    pair: Pairs,
    chance: float,
    start: int,
    dated: tuple[Evidence, float] | None,
) -> list[_Cut]:
    """Return two steps that cancel, each dated on all days around where the search found it."""
    best = int(pair.log_odds.argmax())
    inner = _inner(piece.days, MINIMUM_SEGMENT_DAYS)
    near = max(1, -(-len(inner) // _MOST_ENDS)) + 2
    around = [inner[np.abs(inner - row) <= near] for row in (pair.first[best], pair.after[best])]
    fine = pairs_of(piece, np.union1d(*around).astype(np.int64)) or pair
    kept = np.isin(fine.first, around[0]) & np.isin(fine.after, around[1])
    fine = (
        fine
        if not kept.any()
        else replace(
            fine, first=fine.first[kept], after=fine.after[kept], log_odds=fine.log_odds[kept]
        )
    )
    weights = np.exp(fine.log_odds - fine.log_odds.max())
    on_record = None if dated is None else _best(dated[0])
    cuts = []
    best = int(fine.log_odds.argmax())
    for rows in (fine.first, fine.after):
        low, high = _likeliest(rows, weights / weights.sum())
        named = on_record is not None and low - 1 <= on_record <= high + 1
        cuts.append(
            _Cut(
                start + int(rows[best]),
                "both" if named else "search",
                chance,
                (start + low, start + high),
            )
        )
    return cuts


def _likeliest(rows: Places, weights: Floats) -> tuple[int, int]:
    """Return the first and last of the rows that together have 95 % of the weight."""
    places, which = np.unique(rows, return_inverse=True)
    shares = np.bincount(which, weights=weights)
    order = np.argsort(shares)[::-1]
    kept = places[order[: int(np.searchsorted(np.cumsum(shares[order]), _LEVEL)) + 1]]
    return int(kept.min()), int(kept.max())


def _tested(piece: LogSeries, whole: Evidence, places: Places) -> tuple[Evidence, float] | None:
    """Return the evidence and its chance where they speak for a break at one of the places."""
    if not len(places):
        return None
    evidence = whole.at(places)
    if evidence.total <= 0.0:
        return None
    chance = chance_of(piece, places, evidence.total)
    return (evidence, chance) if chance <= SIGNIFICANT else None


def _dated(series: LogSeries, cuts: list[_Cut]) -> list[Changepoint]:
    """Return the breaks, each dated between its neighbours."""
    found: list[Changepoint] = []
    rows = [0, *(cut.row for cut in cuts), len(series.days)]
    for place, cut in enumerate(cuts, 1):
        start, stop = rows[place - 1], rows[place + 1]
        piece = series.head(stop).tail(start)
        row = low = high = cut.row - start
        if cut.rows is not None:
            low, high = (edge - start for edge in cut.rows)
            evidence = evidence_of(piece, np.array([row], dtype=np.int64))
        elif cut.found_by == "date":
            evidence = evidence_of(piece, np.array([row], dtype=np.int64))
        else:
            evidence = evidence_of(
                piece, _thinned(_inner(piece.days, MINIMUM_SEGMENT_DAYS), _MOST_DATED)
            )
            row = _best(evidence)
            low, high = _hull(evidence)
            rows[place] = start + row
        width = int(evidence.widths[evidence.log_odds.argmax()])
        lines = lines_at(piece, row, width)
        jump_low, jump_high = lines.jump.interval(_LEVEL)
        found.append(
            Changepoint(
                day=day_start(int(piece.days[row])),
                # A break may lie anywhere in the gap before a day.
                low=day_start(
                    int(piece.days[low]) if cut.found_by == "date" else int(piece.days[low - 1]) + 1
                ),
                high=day_start(int(piece.days[high])),
                jump=lines.jump.quantile(0.5),
                jump_low=jump_low,
                jump_high=jump_high,
                rate_before=lines.before.quantile(0.5),
                rate_after=lines.after.quantile(0.5),
                sigma=lines.sigma,
                phi=lines.phi,
                takes=width,
                found_by=cut.found_by,
                chance=cut.chance,
            )
        )
    return found


def _inner(days: Days, margin: int) -> Places:
    """Return the rows with so many days, and rows, before them and from them on."""
    row = np.arange(len(days))
    early = (days - days[0] >= margin) & (row >= KNOWN_DAYS)
    late = (days[-1] - days + 1 >= margin) & (len(days) - row >= KNOWN_DAYS)
    return np.flatnonzero(early & late).astype(np.int64)


def _thinned(places: Places, most: int) -> Places:
    step = max(1, -(-len(places) // most))
    return places[step // 2 :: step]


def _places_of(known: list[int], days: Days) -> Places:
    """Return the first row of each date and of the day after it, far enough from both ends.

    What happens late on a day shows on the next one.
    """
    inside = [day for day in known if days[0] < day <= days[-1]]
    rows = np.searchsorted(days, np.array(inside, dtype=np.int64))
    both = np.unique(np.append(rows, rows + 1))
    return both[np.isin(both, _inner(days, KNOWN_DAYS))].astype(np.int64)


def _best(evidence: Evidence) -> int:
    return int(evidence.places[evidence.log_odds.argmax()])


def _hull(evidence: Evidence) -> tuple[int, int]:
    """Return the first and last row of the smallest set of places with 95 % of the weight."""
    weights = evidence.weights
    order = np.argsort(weights)[::-1]
    kept = evidence.places[order[: int(np.searchsorted(np.cumsum(weights[order]), _LEVEL)) + 1]]
    return int(kept.min()), int(kept.max())
