"""What a report shows of a case, as plain data: the numbers, the tables and the figures' drawings.

Made from ``report.content.gather``, so page, API and report cannot differ, and what is hidden in
the one is hidden in the others. Hidden counts stand as text (``<10``, ``hidden``).
"""

from __future__ import annotations

from dataclasses import asdict, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from remnant.cases.library import Library
from remnant.web.results.sharing import opened
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remnant.report.facts import Content
    from remnant.report.figures import Figure
    from remnant.settings import Settings

__all__ = ["overview", "plain", "tell", "verdict"]

_AS_THEY_ARE: Final = (
    "title",
    "vantage",
    "unit",
    "simulated",
    "internal",
    "minimum_count",
    "verdict",
    "measures",
    "days",
    "trend",
    "marks",
    "countries",
    "networks",
    "names",
    "countries_total",
    "networks_total",
    "names_total",
    "intake",
    "watchlist",
    "vantages",
    "reference_dates",
    "level",
    "slowest_half_life_days",
    "bystanders",
    "digest",
)
_INLINE: Final = frozenset({"how_many", "views"})
"""Figures that pages show as they are; curves are drawn anew, the others are tables."""


def overview(
    settings: Settings,
    case: str,
    *,
    internal: bool,
    since: str | None = None,
    until: str | None = None,
    vantage: str | None = None,
) -> dict[str, Any]:
    """Return what the report shows of a case.

    Args:
        settings: of the home folder.
        case: its name.
        internal: with small counts.
        since: first moment of the window; default: of the data.
        until: end of the window, exclusive; default: of the data.
        vantage: default: the first of ``estimate.traffic.vantages``.
    """
    from remnant.report.content import gather
    from remnant.web.curves.rollups import window_of

    loaded = Library(settings.home).get(case)
    with opened(settings, case) as (_, view):
        content = gather(
            view,
            loaded,
            settings,
            window=window_of(view, since, until) if since or until else None,
            vantage=vantage,
            internal=internal,
            now=datetime.now(tz=UTC),
        )
    return tell(content)


def verdict(
    settings: Settings,
    case: str,
    *,
    internal: bool,
    since: str | None = None,
    until: str | None = None,
    vantage: str | None = None,
) -> dict[str, Any]:
    """Return the verdict as ``remnant judge --format json`` prints it.

    The one for publication is that of the published report: its evidence has no small counts.
    """
    from remnant.judge.verdict import judge
    from remnant.web.curves.rollups import window_of

    if not internal:
        told: dict[str, Any] = overview(settings, case, internal=False)["verdict"]
        return told
    loaded = Library(settings.home).get(case)
    with opened(settings, case) as (_, view):
        window = window_of(view, since, until) if since or until else None
        return judge(view, loaded, settings, window=window, vantage=vantage).to_json()


def tell(content: Content) -> dict[str, Any]:
    """Return the content of a report as what JSON can hold."""
    from remnant.report import reality, wording
    from remnant.report.figures import figures

    minimum = content.minimum_count
    told = {name: plain(getattr(content, name), minimum) for name in _AS_THEY_ARE}
    return told | {
        "case": content.case,
        "takedown": iso(content.takedown) if content.takedown else None,
        "since": iso(content.window.since),
        "until": iso(content.window.until),
        "as_of": iso(content.as_of or content.window.until),
        "generated": iso(content.generated),
        "source_count": content.intake.source_count,
        "verdict": told["verdict"] | _limits(content),
        "change": wording.would_change(content.verdict.state, content.slowest_half_life_days),
        "story": reality.paragraphs(content),
        "two_views": "" if content.views is None else wording.two_views(content.views, minimum),
        "left_out": ""
        if content.bystanders is None
        else wording.left_out(content.bystanders, minimum),
        "views": None if content.views is None else _views(asdict(content.views), minimum),
        "figures": {figure.key: _figure(figure) for figure in figures(content)},
    }


def plain(value: Any, minimum: int) -> Any:
    """Return data classes, times and hidden counts as mappings, lists and text."""
    from remnant.report.suppress import Hidden
    from remnant.report.wording import published

    if isinstance(value, Hidden):
        return published(value, minimum)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return iso(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), minimum) for f in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(part, minimum) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, minimum) for part in value]
    return value


def _views(told: dict[str, Any], minimum: int) -> Any:
    return plain(told, minimum)


def _limits(content: Content) -> dict[str, Any]:
    """Return rate and half-life as ``remnant judge`` names their parts."""
    parts = ("value", "low", "high")
    return {
        "rate_per_day": dict(zip(parts, content.verdict.rate_per_day, strict=True)),
        "half_life_days": dict(zip(parts, content.verdict.half_life_days, strict=True)),
    }


def _figure(figure: Figure) -> dict[str, Any]:
    """Return a figure: what stands beside it, its rows, and how it is drawn."""
    wide, narrow = figure.inline() if figure.key in _INLINE else ("", "")
    found: Mapping[str, Any] = {
        "title": figure.title,
        "facts": figure.facts,
        "label": figure.label,
        "note": figure.note,
        "columns": list(figure.columns),
        "rows": [list(row) for row in figure.rows],
        "wide": wide,
        "narrow": narrow,
        "spec": figure.specification(),
    }
    return dict(found)
