"""Two of a kind side by side: periods, networks or countries, or vantages, on one scale."""

from __future__ import annotations

from datetime import datetime, timedelta
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from remnant.errors import NoData
from remnant.report.drawing import NARROW, WIDE
from remnant.report.wording import number, percent, window_words
from remnant.web.access.gate import admits
from remnant.web.access.viewer import ANALYSTS
from remnant.web.curves import ratio as measuring
from remnant.web.curves import sides
from remnant.web.curves.asked import Time, Vantage
from remnant.web.curves.drawing import Line, Looks, draw, standalone
from remnant.web.curves.rollups import window_of
from remnant.web.exports import exports
from remnant.web.page import page
from remnant.web.pages.about import About, about
from remnant.web.site import AskedBy
from remnant.windows import Window, iso

if TYPE_CHECKING:
    from remnant.store import View
    from remnant.web.curves.ratio import Measured
    from remnant.web.curves.sides import Side
    from remnant.web.site import Asked

__all__ = ["router"]

router = APIRouter(tags=["case"])

By = Literal["periods", "networks", "vantages"]
Scale = Literal["absolute", "first", "own"]

_DAY: Final = timedelta(days=1)
_WEEK: Final = 7
_PERIOD: Final = timedelta(days=28)
_CHOICES: Final = 40
_PLACE = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_]*$")]


class Compared(BaseModel):
    """What is compared, and how.

    ``a`` and ``b`` are networks (AS64500), countries (DE) or vantages; periods have bounds instead.
    ``scale`` is ``absolute``, ``first`` (both divided by the start of the first: sizes and changes)
    or ``own`` (each divided by its own start: changes alone). A start is the mean of the first
    seven complete days.
    """

    model_config = ConfigDict(extra="forbid")

    by: By = "periods"
    count: sides.Counted = "online"
    scale: Scale = "absolute"
    a: _PLACE = ""
    b: _PLACE = ""
    since: Time = ""
    until: Time = ""
    since_a: Time = ""
    until_a: Time = ""
    since_b: Time = ""
    until_b: Time = ""
    vantage: Vantage = ""
    log: bool = False


class SideTold(BaseModel):
    """One side: its level is the mean of its complete days, with an interval where there is one."""

    name: str
    label: str
    since: datetime
    until: datetime
    vantage: str
    unit: str
    level: float | None
    low: float | None
    high: float | None
    n: int
    gap_days: int
    coverage: float | None
    start: float | None


class DayRow(BaseModel):
    """One day of both: its number from the start, dates, and values (null in a gap)."""

    day: int
    date_a: str
    a: float | None
    date_b: str
    b: float | None


class Comparison(BaseModel):
    """Two sides, the ratio of the second to the first, and what to keep in mind."""

    about: About
    by: By
    count: sides.Counted
    scale: Scale
    scale_words: str
    confidence: float
    sides: list[SideTold]
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    sentence: str
    notes: list[str]
    days: list[DayRow]
    problem: str | None = None
    vantages: list[str] = Field(exclude=True)
    places: list[str] = Field(exclude=True)
    whole: Any = Field(exclude=True)
    drawn: Any = Field(exclude=True)
    facts: str = Field(exclude=True)


@page(router, "/cases/{case}/compare", title="Compare", roles=ANALYSTS, table="days")
def compare(asked: AskedBy, case: str, query: Annotated[Compared, Query()]) -> Comparison:
    """Two periods, networks, countries or vantages of one case, side by side."""
    head = about(asked, case)
    confidence = asked.site.settings.estimate.level
    with asked.site.snapshots.view(case) as view:
        found = _sides(asked, view, query)
    first, second = found.pair
    count = found.count
    same_days = query.by != "periods"
    known = measuring.both_known(first, second) if same_days else (first.known, second.known)
    levels = [measuring.level(days, confidence=confidence) for days in known]
    times = measuring.ratio(levels[1], levels[0])
    starts = [_start(side) for side in (first, second)]
    base = {"absolute": (1.0, 1.0), "first": (starts[0], starts[0]), "own": tuple(starts)}
    divisors = base[query.scale]
    return Comparison(
        about=head,
        by=query.by,
        count=count,
        scale=query.scale,
        scale_words=_scale_words(query.scale, starts),
        confidence=confidence,
        sides=[
            SideTold(
                name=name,
                label=side.label,
                since=side.window.since,
                until=side.window.until,
                vantage=side.vantage,
                unit=side.unit,
                level=level.value,
                low=level.low,
                high=level.high,
                n=level.n,
                gap_days=side.gap_days,
                coverage=side.coverage,
                start=start,
            )
            for name, side, level, start in zip("AB", (first, second), levels, starts, strict=True)
        ],
        ratio=times.value,
        ratio_low=times.low,
        ratio_high=times.high,
        sentence=_sentence(times, confidence),
        notes=_notes(query.by, count, first, second, query.count),
        days=_rows(first, second, divisors),
        vantages=found.vantages,
        places=found.places,
        whole=found.whole,
        drawn=_drawn(query, first, second, divisors),
        facts=f"{first.unit} · complete UTC days · A: {first.label} · B: {second.label}",
    )


class _Found(BaseModel):
    pair: tuple[Any, Any]
    count: sides.Counted
    vantages: list[str]
    places: list[str]
    whole: Any


def _sides(asked: Asked, view: View, query: Compared) -> _Found:
    """Return the two sides; what was not chosen is chosen so that there is something to see."""
    from remnant.estimate.coverage import choose_vantage, default_window, vantages

    whole = default_window(view)
    every = list(vantages(view))
    vantage = choose_vantage(view, query.vantage or None)
    count: sides.Counted = query.count
    networks, countries = sides.largest(view, vantage, whole, _CHOICES)
    places = networks + countries
    if query.by == "periods":
        pair = _periods(asked, view, query, vantage)
    elif query.by == "networks":
        window = window_of(view, query.since or None, query.until or None)
        count = "clients" if count == "online" else count
        default = [*places, "", ""] if len(networks) < 2 else networks
        chosen = [query.a or default[0], query.b or default[1]]
        if not all(chosen):
            raise NoData("fewer than two networks were seen", where=view.case)
        first, second = (
            sides.of_place(view, window, vantage, count, sides.parse_place(text)) for text in chosen
        )
        pair = first, second
    else:
        window = window_of(view, query.since or None, query.until or None)
        default = [*every, every[0]]
        chosen = [
            choose_vantage(view, text) for text in (query.a or default[0], query.b or default[1])
        ]
        first, second = (sides.of_whole(view, window, text, count) for text in chosen)
        pair = first, second
    return _Found(pair=pair, count=count, vantages=every, places=places, whole=whole)


def _periods(asked: Asked, view: View, query: Compared, vantage: str) -> tuple[Side, Side]:
    from remnant.estimate.coverage import default_window

    whole = default_window(view)
    takedown = asked.case(view.case).takedown
    since = takedown if takedown in whole else whole.since
    length = min(_PERIOD, (whole.until - since) / 2)
    days = max(1, length // _DAY)
    given = [
        Window(since, since + days * _DAY),
        Window(max(whole.since, whole.until - days * _DAY), whole.until),
    ]
    bounds = ((query.since_a, query.until_a), (query.since_b, query.until_b))
    windows = [
        window_of(view, start or iso(default.since), end or iso(default.until))
        if start or end
        else window_of(view, iso(default.since), iso(default.until))
        for default, (start, end) in zip(given, bounds, strict=True)
    ]
    first, second = (
        sides.of_whole(view, window, vantage, query.count, window_words(window))
        for window in windows
    )
    return first, second


def _start(side: Side) -> float | None:
    """Return the mean of the first seven complete days; null where there is none above zero."""
    first = [value for _, value in side.known[:_WEEK]]
    mean = sum(first) / len(first) if first else 0.0
    return mean or None


def _scale_words(scale: Scale, starts: list[float | None]) -> str:
    if scale == "first":
        return (
            "Both are divided by the same number: the mean of A's first seven complete days "
            f"({number(starts[0])})."
        )
    if scale == "own":
        return (
            "Each is divided by the mean of its own first seven complete days "
            f"(A: {number(starts[0])}, B: {number(starts[1])}): this compares changes, not sizes."
        )
    return "Both are shown as they were counted, on one scale from zero."


def _sentence(found: Measured, confidence: float) -> str:
    if found.value is None:
        return "No ratio can be given: one side has no complete day above zero."
    text = f"B is {number(found.value)} times A"
    if found.low is None or found.high is None:
        return (
            f"{text}. No interval can be given: it needs {measuring.MINIMUM_DAYS} complete days on "
            "each side."
        )
    limits = f"{number(found.low)} to {number(found.high)}"
    if found.low <= 1 <= found.high:
        return f"{text} ({percent(confidence)} interval {limits}): no difference is shown."
    word = "more" if found.value > 1 else "less"
    return f"{text} ({percent(confidence)} interval {limits}): {word} than A."


def _notes(by: By, count: sides.Counted, first: Side, second: Side, wanted: str) -> list[str]:
    """Return what a reader must keep in mind with this pair."""
    notes = []
    if first.gap_days or second.gap_days:
        notes.append(
            f"Days that are not complete are gaps, not zeros: {first.gap_days} in A, "
            f"{second.gap_days} in B."
        )
    shares = (first.coverage, second.coverage)
    if None in shares:
        notes.append("The coverage of one side is not known, so neither is what it missed.")
    elif abs((shares[0] or 0) - (shares[1] or 0)) > 0.01:
        notes.append(
            f"Coverage differs: {percent(shares[0])} in A, {percent(shares[1])} in B. A part of "
            "any difference may be that."
        )
    if by == "vantages":
        notes.append(
            "Vantages see different things, and what a client is differs between them; compare how "
            "they change rather than how large they are. The same machine can be in both."
        )
        if first.unit != second.unit:
            notes.append(f"A counts {first.unit}; B counts {second.unit}.")
    if by == "networks":
        notes.append(
            "Distinct clients of a day grow where addresses change often, so a network with short "
            "leases looks larger than it is."
        )
        if wanted == "online" and count != "online":
            notes.append(
                "Networks are rolled up by day, so clients a day stand for clients online."
            )
    if by == "periods":
        if abs(first.window.seconds - second.window.seconds) > 86_400:
            notes.append("The periods are not equally long.")
        if first.window.since < second.window.until and second.window.since < first.window.until:
            notes.append("The periods overlap, so the two are not independent.")
    notes.append(
        "The intervals hold each side's own noise and memory and take the sides as independent."
    )
    return notes


def _rows(first: Side, second: Side, divisors: tuple[float | None, ...]) -> list[DayRow]:
    length = max(len(first.days), len(second.days))

    def at(side: Side, place: int, divisor: float | None) -> tuple[str, float | None]:
        if place >= len(side.days):
            return "", None
        value = side.values[place]
        shown = None if value is None or divisor is None else value / divisor
        return iso(side.days[place])[:10], shown

    rows = []
    for place in range(length):
        date_a, a = at(first, place, divisors[0])
        date_b, b = at(second, place, divisors[1])
        rows.append(DayRow(day=place, date_a=date_a, a=a, date_b=date_b, b=b))
    return rows


def _drawn(
    query: Compared, first: Side, second: Side, divisors: tuple[float | None, ...]
) -> tuple[Any, Any]:
    """Return both lines on one axis; periods are laid one on the other by their first days."""
    start = first.days[0]
    length = max(len(first.days), len(second.days)) * _DAY
    lines = []
    for side, divisor, ink, dashed in zip(
        (first, second), divisors, ("accent", "ink"), (False, True), strict=True
    ):
        shift = start - side.days[0]
        points = [
            (day + shift + _DAY / 2, None if value is None or divisor is None else value / divisor)
            for day, value in zip(side.days, side.values, strict=True)
        ]
        lines.append(Line(points, ink=ink, dashed=dashed))
    looks = Looks(
        label=f"A, {first.label}, and B, {second.label}, day by day; the table has the numbers.",
        log=query.log,
        share=query.scale != "absolute",
        relative=query.by == "periods",
    )
    window = Window(start, start + length)
    return (
        draw(lines, window, WIDE, looks, css_class="wide"),
        draw(lines, window, NARROW, looks, css_class="narrow"),
    )


@router.get("/cases/{case}/compare.svg", include_in_schema=False)
@admits(ANALYSTS)
def compare_svg(asked: AskedBy, case: str, query: Annotated[Compared, Query()]) -> Response:
    """Return the drawing as SVG, with what it compares in it."""
    return Response(_document(compare(asked, case, query)), media_type="image/svg+xml")


@router.get("/cases/{case}/compare.png", include_in_schema=False)
@admits(ANALYSTS)
def compare_png(asked: AskedBy, case: str, query: Annotated[Compared, Query()]) -> Response:
    """Return the drawing as PNG of two device pixels per CSS pixel."""
    text = _document(compare(asked, case, query))
    return Response(exports.get_png(text), media_type="image/png")


def _document(found: Comparison) -> str:
    made_up = "SIMULATED · " if found.about.simulated else ""
    lines = wrap(f"{made_up}{found.facts} · line: A, dashed: B · {found.scale_words}", 130)
    return standalone(found.drawn[0], found.sentence, lines)
