"""One takedown at a glance: is it still there, since when, is clean-up working, how sure, where."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from remnant.report import wording
from remnant.report.drawing import Frame
from remnant.web.access.viewer import EVERYONE
from remnant.web.curves.asked import Chosen, Span, chosen
from remnant.web.curves.drawing import coverage_strip
from remnant.web.frame import safe
from remnant.web.page import page
from remnant.web.pages.about import About, Freshness, about
from remnant.web.pages.glance import Answer, glance
from remnant.web.pages.tiles import Tile, tiles
from remnant.web.site import AskedBy
from remnant.windows import Window, parse_time

if TYPE_CHECKING:
    from remnant.web.results.results import Result
    from remnant.web.site import Asked

__all__ = ["router"]

router = APIRouter(tags=["case"])

_TOP: Final = 8
_CHECKS: Final = {"failed": "✗", "passed": "✓", "unavailable": "○"}


class Shown(BaseModel):
    """A curve: what stands beside it, and its numbers."""

    key: str
    title: str
    facts: str
    note: str
    label: str
    columns: list[str]
    rows: list[dict[str, Any]]


class Overview(BaseModel):
    """A case at a glance.

    ``verdict`` is as ``remnant judge --format json`` prints it, ``estimates`` as ``remnant
    measure`` does (hidden values are null and say so); both are null while they are being worked
    out, and ``status`` then says so. ``curves`` are those of the window asked for. Where counts are
    hidden they stand as text.
    """

    about: About
    verdict: dict[str, Any] | None
    change: str
    status: Freshness
    answers: list[Answer]
    tiles: list[Tile]
    window: Chosen | None
    curves: list[Shown]
    estimates: list[dict[str, Any]] | None
    countries: list[dict[str, Any]] | None
    networks: list[dict[str, Any]] | None
    names: list[dict[str, Any]] | None
    totals: dict[str, int]
    quality: dict[str, Any] | None
    views: dict[str, Any] | None
    joined: dict[str, Any] | None
    days_since: int | None
    data_age_days: int | None
    lines: list[dict[str, Any]] = Field(exclude=True)
    drawn: dict[str, Any] = Field(exclude=True)
    told: dict[str, Any] = Field(exclude=True)
    checks: list[dict[str, str]] = Field(exclude=True)
    state: Any = Field(exclude=True)


@page(router, "/cases/{case}", title="Overview", roles=EVERYONE, table="lines")
def overview(asked: AskedBy, case: str, query: Annotated[Span, Query()]) -> Overview:
    """What is left of one takedown: verdict, curves, places, what it is joined to, how sure."""
    head = about(asked, case)
    window = chosen(asked, case, query)
    judged, whole = _results(asked, case, query)
    told: dict[str, Any] = whole.value or {}
    verdict = judged.value
    curves = [] if window is None else list(window.curves)
    joined = asked.site.results.get(case, "joined", internal=asked.viewer.is_internal)
    now = datetime.now(tz=UTC)
    as_of = window.whole_until if window else None
    drawn = {curve.key: curve.drawings(log=window.log if window else False) for curve in curves}
    figures = told.get("figures", {})
    if told:
        drawn["coverage"] = _strip(told)
    for key in ("how_many", "views"):
        if figures.get(key, {}).get("wide"):
            drawn[key] = (safe(figures[key]["wide"]), safe(figures[key]["narrow"]))
    if joined.value and joined.value["picture"]:
        drawn["joined"] = (safe(joined.value["picture"]),)
    days_since = (now - head.takedown).days if head.takedown else None
    answers = glance(
        case,
        takedown=head.takedown,
        days_since=days_since,
        verdict=verdict,
        told=told,
        curves=curves,
        joined=joined.value,
        has_traffic=bool(curves) or head.stored is not None,
        joined_known=joined.is_current or joined.problem is not None,
        tabs=[tab.path for tab in head.tabs],
    )
    return Overview(
        about=head,
        verdict=verdict,
        change=wording.would_change(
            verdict["state"], asked.site.settings.judge.slowest_half_life_days
        )
        if verdict
        else "",
        status=Freshness.of(whole if whole.value is None or judged.value else judged),
        answers=answers,
        tiles=tiles(told, curves),
        window=window,
        curves=[
            Shown(
                key=curve.key,
                title=curve.title,
                facts=curve.facts,
                note=curve.note,
                label=curve.label,
                columns=list(curve.columns),
                rows=curve.rows,
            )
            for curve in curves
        ],
        estimates=told.get("measures"),
        countries=told["countries"][:_TOP] if told else None,
        networks=told["networks"][:_TOP] if told else None,
        names=told["names"][:_TOP] if told else None,
        totals={key: told[f"{key}_total"] for key in ("countries", "networks", "names") if told},
        quality=_quality(told),
        views=told.get("views"),
        joined=joined.value and {k: v for k, v in joined.value.items() if k != "picture"},
        days_since=days_since,
        data_age_days=(now - as_of).days if as_of else None,
        lines=_lines(curves),
        drawn=drawn,
        told=told,
        checks=_checks(verdict),
        state=wording.STATES.get(
            verdict["state"], (wording.legible(verdict["state"], 40), "•", "open")
        )
        if verdict
        else None,
    )


def _results(asked: Asked, case: str, query: Span) -> tuple[Result, Result]:
    """Return verdict and overview: of the default window, unless another one is asked for."""
    from dataclasses import replace

    results = asked.site.results
    if not asked.viewer.is_internal:
        whole = results.get(case, "overview", internal=False)
        return replace(whole, value=whole.value and whole.value["verdict"]), whole
    return (
        results.get(case, "verdict", internal=True, **query.judged),
        results.get(case, "overview", internal=True, **query.judged),
    )


def _strip(told: dict[str, Any]) -> tuple[Any, Any]:
    """Return the coverage of each day as a strip, for wide windows and for narrow ones."""
    day = timedelta(days=1)
    window = Window(parse_time(told["since"]), parse_time(told["until"]))
    days = [
        (start, start + day, row["coverage"], row["gap"])
        for row in told["days"]
        for start in [parse_time(row["start"])]
    ]
    label = told["figures"]["coverage"]["label"]
    return (
        coverage_strip(days, window, Frame(920, 60), label, css_class="wide"),
        coverage_strip(days, window, Frame(328, 60), label, css_class="narrow"),
    )


def _quality(told: dict[str, Any]) -> dict[str, Any] | None:
    """Return how complete the view was, and how old what was watched for."""
    if not told:
        return None
    intake = told["intake"]
    return {
        "covered_days": intake["covered_days"],
        "gap_days": intake["gap_days"],
        "sensors": intake["sensors"],
        "sources": told["source_count"],
        "quarantine": intake["quarantine"],
        "watchlist": told["watchlist"],
        "reference_dates": told["reference_dates"],
        "vantages": told["vantages"],
        "left_out": told["left_out"],
    }


def _checks(verdict: dict[str, Any] | None) -> list[dict[str, str]]:
    """Return what a verdict rests on: failed checks first."""
    if verdict is None:
        return []
    order = {state: place for place, state in enumerate(_CHECKS)}
    found = wording.findings(verdict["evidence"][:60])
    found.sort(key=lambda item: order.get(item.state, len(order)))
    return [
        {
            "sign": _CHECKS.get(item.state, "·"),
            "state": item.state,
            "names": item.names,
            "words": item.words,
        }
        for item in found
    ]


def _lines(curves: list[Any]) -> list[dict[str, Any]]:
    """Return both curves side by side, one row for each interval."""
    if not curves:
        return []
    online, requests = (curve.rows for curve in curves)
    return [
        {"start": a["start"], "requests": b["requests"]}
        | {key: value for key, value in a.items() if key != "start"}
        for a, b in zip(online, requests, strict=True)
    ]
