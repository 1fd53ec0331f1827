"""What became of a name over time, from what was observed of it.

Passive DNS says that a record was seen first and last at two times, registries say what was so when
they were asked. Between observations a state is taken to hold for a while (GAP); after that nobody
can tell. Nothing here connects to anything.

Where observations contradict each other:

- a change takes time to reach all caches: where an old state was seen for at most SLACK into a new
  one, the new one counts from its beginning;
- an address that a name server of a sinkhole or of a parking service gives is theirs, whatever the
  address;
- else the state that needs action counts, and the others are told beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from remnant.infrastructure.registrations import Dated
    from remnant.windows import Window

__all__ = [
    "GAP",
    "LIVE",
    "MOST_TEXTS",
    "SLACK",
    "STATES",
    "Evidence",
    "Interval",
    "State",
    "registered_again",
    "registry_evidence",
    "served_again",
    "taken_over",
    "timeline",
]

State = Literal[
    "resolving",
    "reregistered",
    "parked",
    "sinkholed",
    "suspended",
    "expired",
    "unregistered",
    "absent",
    "unknown",
]
"""What can be said of a name; see the page about states."""

STATES: Final[tuple[State, ...]] = get_args(State)
"""All states; of two that were observed at the same time the first counts."""

LIVE: Final[frozenset[State]] = frozenset({"resolving", "reregistered"})
"""States in which somebody must act."""

GAP: Final = timedelta(days=30)
"""How long a state is taken to hold between two observations."""

SLACK: Final = timedelta(days=2)
"""How far an old record may reach into a new state: caches keep it, at most for its TTL."""

MOST_TEXTS: Final = 5
"""Pieces of evidence of an interval that are told; the others are counted."""

_INSTANT: Final = timedelta(seconds=1)
_SUSPENDED: Final = frozenset({"client hold", "server hold"})
_PAID: Final = "RDAP: paid until"
_GRACE: Final = frozenset({"redemption period", "pending delete"})


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation, or several that say the same.

    Attributes:
        since: when it was first so (UTC).
        until: when it was last so (UTC).
        state: what it says.
        what: the evidence for people: ``A 203.0.113.7``, ``NXDOMAIN``, ``RDAP: client hold``.
        whose: who runs the sinkhole or the parking service; empty where it is none.
        sensors: who saw it, sorted.
        sources: ledger ids of the sources it is from, sorted.
        by: where it comes from: ``address`` (A and AAAA), ``alias``, ``delegation`` (NS),
            ``response`` (response codes) or ``registry``.
        server: the address or name server that it names; empty where it names none.
    """

    since: datetime
    until: datetime
    state: State
    what: str
    whose: str = ""
    sensors: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    by: str = "address"
    server: str = ""


@dataclass(frozen=True, slots=True)
class Interval:
    """One state of a name for a time, half-open (UTC).

    Attributes:
        since: its beginning.
        until: its end.
        state: what was so.
        whose: who runs the sinkhole or the parking service.
        also: states that were observed at the same time and do not count.
        last: the last observation of it; ``None`` where the state is unknown.
        evidence: at most MOST_TEXTS pieces of evidence, sorted, then how many more there are.
        sensors: who saw it, sorted.
        sources: ledger ids, sorted.
    """

    since: datetime
    until: datetime
    state: State
    whose: str = ""
    also: tuple[State, ...] = ()
    last: datetime | None = None
    evidence: tuple[str, ...] = ()
    sensors: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data, times in ISO 8601."""
        return {
            "since": iso(self.since),
            "until": iso(self.until),
            "state": self.state,
            "whose": self.whose or None,
            "also": list(self.also),
            "last": None if self.last is None else iso(self.last),
            "evidence": list(self.evidence),
            "sensors": list(self.sensors),
            "sources": list(self.sources),
        }


def timeline(
    evidence: Iterable[Evidence], window: Window, *, gap: timedelta = GAP, fresh: timedelta = GAP
) -> list[Interval]:
    """Return the states of one name over a window, without holes.

    Args:
        evidence: in any order.
        window: what is told.
        gap: how long a state holds between two observations of the name.
        fresh: how long it holds after the last one; then it is unknown.
    """
    spans = _settled(_joined(_within(evidence, window), gap))
    found: list[Interval] = []
    now = window.since
    for position, span in enumerate(spans):
        if span.since > now:
            found += _bridged(found, now, span.since, gap)
        later = spans[position + 1].since if position + 1 < len(spans) else None
        end = min(span.until, window.until) if later is None else min(span.until, later)
        end = max(end, span.since)
        found.append(replace(span, until=end))
        now = end
    if now < window.until:
        reach = min(window.until, now + fresh) if found else now
        if found and reach > now:
            found[-1] = replace(found[-1], until=reach)
        if reach < window.until:
            found.append(Interval(reach, window.until, "unknown", evidence=_silence(found)))
    return _united([one for one in found if one.until > one.since])


def _silence(found: Sequence[Interval]) -> tuple[str, ...]:
    last = max((one.last for one in found if one.last is not None), default=None)
    return ("nothing was observed",) if last is None else (f"nothing observed since {iso(last)}",)


def _bridged(
    found: list[Interval], now: datetime, then: datetime, gap: timedelta
) -> list[Interval]:
    """Return what fills the time between two observations; a short one goes to the first."""
    if found and then - now <= gap:
        found[-1] = replace(found[-1], until=then)
        return []
    if found and now + gap < then:
        found[-1] = replace(found[-1], until=now + gap)
        now += gap
    return [Interval(now, then, "unknown", evidence=_silence(found))]


def _within(evidence: Iterable[Evidence], window: Window) -> Iterator[Evidence]:
    for one in evidence:
        if one.since < window.until and one.until >= window.since:
            until = min(one.until, window.until - _INSTANT)
            since = max(one.since, window.since)
            yield replace(one, since=min(since, until), until=until)


def _joined(evidence: Iterable[Evidence], gap: timedelta) -> list[Interval]:
    """Return spans of one state and operator each; observations that lie close are one span."""
    groups: dict[tuple[State, str], list[Evidence]] = {}
    for one in evidence:
        groups.setdefault((one.state, one.whose), []).append(one)
    spans = []
    for (state, whose), parts in groups.items():
        parts.sort(key=lambda one: (one.since, one.until, one.what))
        run: list[Evidence] = []
        reach = parts[0].until
        for one in parts:
            if run and one.since - reach > gap:
                spans.append(_span(state, whose, run))
                run = []
            reach = max(reach, one.until) if run else one.until
            run.append(one)
        spans.append(_span(state, whose, run))
    return sorted(spans, key=_place)


def _place(span: Interval) -> tuple[datetime, int, str, datetime]:
    return span.since, STATES.index(span.state), span.whose, span.until


def _span(state: State, whose: str, run: Sequence[Evidence]) -> Interval:
    last = max(one.until for one in run)
    texts = sorted({one.what for one in run})
    more = len(texts) - MOST_TEXTS
    return Interval(
        run[0].since,
        last + _INSTANT,
        state,
        whose,
        last=last,
        evidence=(*texts[:MOST_TEXTS], *([f"and {more:,} more"] if more > 0 else [])),
        sensors=tuple(sorted({name for one in run for name in one.sensors})),
        sources=tuple(sorted({name for one in run for name in one.sources})),
    )


def _settled(spans: list[Interval]) -> list[Interval]:
    """Return spans that do not overlap: of each moment the state that counts."""
    spans = _trimmed(spans)
    cuts = sorted({edge for span in spans for edge in (span.since, span.until)})
    found: list[Interval] = []
    active: list[Interval] = []
    waiting = 0
    for start, end in pairwise(cuts):
        while waiting < len(spans) and spans[waiting].since <= start:
            active.append(spans[waiting])
            waiting += 1
        active = [span for span in active if span.until > start]
        if not active:
            continue
        best = min(active, key=lambda span: (STATES.index(span.state), _newest(span), span.whose))
        also = tuple(s for s in STATES if s != best.state and any(a.state == s for a in active))
        last = best.last if best.last is None else min(best.last, end)
        found.append(replace(best, since=start, until=end, also=also, last=last))
    return _united(found)


def _newest(span: Interval) -> float:
    return -span.since.timestamp()


def _trimmed(spans: list[Interval]) -> list[Interval]:
    """End an old state where a new one begins, if it was seen only a little longer."""
    found = []
    for span in spans:
        end = span.until
        for other in spans:
            if (
                (other.state, other.whose) != (span.state, span.whose)
                and span.since < other.since < end
                and end - other.since <= SLACK
                and other.until > span.until
            ):
                end = other.since
        last = span.last if span.last is None else min(span.last, end)
        found.append(replace(span, until=end, last=last))
    return sorted(found, key=_place)


def _united(found: Sequence[Interval]) -> list[Interval]:
    """Join neighbours that say the same."""
    out: list[Interval] = []
    for one in found:
        before = out[-1] if out else None
        if (
            before is not None
            and before.until == one.since
            and (before.state, before.whose, before.also) == (one.state, one.whose, one.also)
        ):
            texts = tuple(dict.fromkeys(before.evidence + one.evidence))
            lasts = [t for t in (before.last, one.last) if t is not None]
            out[-1] = replace(
                before,
                until=one.until,
                last=max(lasts, default=None),
                evidence=texts[: MOST_TEXTS + 1],
                sensors=tuple(sorted({*before.sensors, *one.sensors})),
                sources=tuple(sorted({*before.sources, *one.sources})),
            )
        else:
            out.append(one)
    return out


def taken_over(evidence: Sequence[Evidence]) -> list[Evidence]:
    """Give to sinkholes and parking services what their name servers answered.

    Args:
        evidence: of one name; ``delegation`` says when a sinkhole or parking service served it.
    """
    takers = [e for e in evidence if e.by == "delegation" and e.state in {"sinkholed", "parked"}]
    if not takers:
        return list(evidence)
    found: list[Evidence] = []
    for one in evidence:
        if one.by not in {"address", "alias"} or one.state not in LIVE:
            found.append(one)
            continue
        parts = [one]
        for taker in takers:
            parts = [piece for part in parts for piece in _split(part, taker)]
        found += parts
    return found


def _split(one: Evidence, taker: Evidence) -> Iterator[Evidence]:
    """Yield the parts of an observation before, during and after somebody served the name."""
    if one.state not in LIVE or one.until < taker.since or one.since > taker.until:
        yield one
        return
    if one.since < taker.since:
        yield replace(one, until=taker.since)
    during = replace(
        one,
        since=max(one.since, taker.since),
        until=min(one.until, taker.until),
        state=taker.state,
        whose=taker.whose,
        what=f"{one.what} from {taker.what}",
    )
    yield during
    if one.until > taker.until + SLACK:
        yield replace(one, since=taker.until)


def registered_again(evidence: Sequence[Evidence], began: datetime, what: str) -> list[Evidence]:
    """Say of what leads somewhere after a new registration that somebody registered the name anew.

    Args:
        evidence: of one name.
        began: when the new registration began (UTC).
        what: the evidence for that.
    """
    found: list[Evidence] = []
    for one in evidence:
        if one.state != "resolving" or one.until < began:
            found.append(one)
            continue
        if one.since < began:
            found.append(replace(one, until=began))
        since = max(one.since, began)
        found.append(replace(one, since=since, state="reregistered", what=f"{one.what}; {what}"))
    return found


def served_again(
    servers: Iterable[tuple[str, datetime, datetime]],
    evidence: Sequence[Evidence],
    gap: timedelta = GAP,
) -> tuple[datetime, str] | None:
    """Return since when entirely other name servers serve a name that was gone for a while.

    Args:
        servers: name servers of the name's domain, each with first and last time.
        evidence: of the name; in the gap there must be none that it was served.
        gap: how long it must have been gone.

    Returns:
        The beginning of the newest such time, and the evidence for people; ``None`` where there is
        none.
    """
    ordered = sorted(servers, key=lambda one: one[1:])
    present = [(e.since, e.until) for e in evidence if e.by in {"address", "alias"}]
    before: set[str] = set()
    run: set[str] = set()
    reach: datetime | None = None
    found = None
    for name, first, last in ordered:
        if reach is not None and first - reach > gap:
            before |= run
            run = {
                one for one, since, until in ordered if since <= first + SLACK and until >= first
            }
            seen = any(since < first and until > reach for since, until in present)
            if not seen and not run & before:
                days = (first - reach).days
                found = first, f"other name servers after {days} days without any"
        run.add(name)
        reach = last if reach is None else max(reach, last)
    return found


def registry_evidence(history: Sequence[Dated], seen: Sequence[Evidence] = ()) -> list[Evidence]:
    """Return what a registry said of a domain, as evidence; what it said twice held in between.

    That a name is paid until a time that has passed is weak: registries renew by themselves and
    wait for the money. It counts only where DNS had not seen the name lead anywhere for a while.

    Args:
        history: of one domain, the oldest first.
        seen: what DNS says of the name.
    """
    led = [(one.since, one.until) for one in seen if one.by in {"address", "alias"}]
    found = []
    for position, one in enumerate(history):
        state, what = _said(one)
        if state is None:
            continue
        if what.startswith(_PAID) and any(
            since <= one.observed + GAP and until >= one.observed - GAP for since, until in led
        ):
            continue
        until = one.observed
        if position + 1 < len(history) and _said(history[position + 1]) == (state, what):
            until = history[position + 1].observed
        found.append(Evidence(one.observed, until, state, what, by="registry"))
    return found


def _said(one: Dated) -> tuple[State | None, str]:
    said = one.registration
    if not said.found:
        return "unregistered", "RDAP: no such domain"
    if said.deleted is not None and said.deleted <= one.observed:
        return "unregistered", f"RDAP: deleted {iso(said.deleted)}"
    words = set(said.status)
    if words & _GRACE:
        return "expired", f"RDAP: {', '.join(sorted(words & _GRACE))}"
    if words & _SUSPENDED:
        return "suspended", f"RDAP: {', '.join(sorted(words & _SUSPENDED))}"
    if said.expires is not None and said.expires <= one.observed:
        return "expired", f"{_PAID} {iso(said.expires)}"
    return None, ""
