"""The report as one HTML file: nothing fetched, no script, every stranger's word escaped.

The templates beside this module are filled by Jinja with autoescape on. Whatever a stranger can
write (names, AS names, titles, notes, reasons) also passes ``wording.legible``, which shows control
and bidirectional characters as escapes.

References:
    Content Security Policy Level 3 (W3C); WCAG 2.2 (W3C).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import jinja2
from markupsafe import Markup

from remnant.judge.wording import short_title
from remnant.report import reality, wording
from remnant.report.atlas import drawings, write_drawings
from remnant.report.export import write_figures, write_whole
from remnant.report.facts import FULL_COVERAGE
from remnant.report.figures import figures
from remnant.report.frame import environment, style
from remnant.report.interactive import CURVES, Extra, explore
from remnant.report.suppress import Hidden, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from remnant.report.atlas import Atlas
    from remnant.report.facts import Bystanders, Content, Measure, Network, TwoViews
    from remnant.report.suppress import Count

__all__ = ["POLICY", "render", "write"]

POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
"""What the page may do: style itself."""

_MOST_DAYS: Final = 1500
_TILES: Final = (
    "online_hosts",
    "half_life",
    "decay_rate",
    "active_clients",
    "footprint",
    "queries",
)
_DRAWN: Final = frozenset({*CURVES, "how_many", "views"})
"""Figures that stand in the page as drawings; the others stand there as tables."""
_COUNTED: Final = frozenset({"queries", "ipv4", "ipv6_64", "mixed"})
_SIGNS: Final = {"failed": "✗", "passed": "✓", "unavailable": "○"}
"""State of a check -> its sign, in the order in which they are shown."""


def write(
    content: Content,
    path: Path,
    *,
    atlas: Atlas | None = None,
    figures: Path | None = None,
    interactive: bool = False,
) -> None:
    """Write the report, and its figures where a folder is given.

    Args:
        content: what it shows.
        path: the HTML file.
        atlas: the infrastructure, where it is known.
        figures: folder for each figure as SVG, PNG and CSV.
        interactive: embed Vega, so that the figures can be explored; the file then holds scripts.

    Raises:
        RemnantError: a file cannot be written.
    """
    write_whole(path, render(content, atlas=atlas, interactive=interactive).encode())
    if figures is not None:
        write_figures(content, figures)
        if atlas is not None:
            write_drawings(atlas, figures)


def render(content: Content, *, atlas: Atlas | None = None, interactive: bool = False) -> str:
    """Return the report as the text of one self-contained HTML5 file."""
    env = _environment()
    title = short_title(content.title, simulated=content.simulated)
    every = figures(content)
    extra = explore(every) if interactive else Extra()
    drawn = {
        figure.key: tuple(Markup(svg) for svg in figure.inline())  # noqa: S704 - escaped by Vega
        for figure in every
        if figure.key in _DRAWN
    }
    maps = {} if atlas is None else drawings(atlas)
    return env.get_template(
        "report.html.j2"
    ).render(
        c=content,
        title=title,
        made=content.title[len(title) :].strip(" ()"),
        policy=POLICY + extra.policy,
        style=Markup(style()),  # noqa: S704 - our own file
        scripts=extra.scripts,
        figures={figure.key: figure for figure in every},
        atlas=atlas,
        maps={key: tuple(map(Markup, both)) for key, both in maps.items()},
        drawn=drawn,
        vantage=wording.VANTAGE_WORDS.get(content.vantage, (wording.legible(content.vantage), "")),
        state=wording.STATES.get(
            content.verdict.state, (wording.legible(content.verdict.state, 40), "•", "open")
        ),
        change=wording.would_change(content.verdict.state, content.slowest_half_life_days),
        tiles=_tiles(content),
        story=reality.paragraphs(content),
        rungs=reality.rungs(content),
        measures=[_measure(measure, content) for measure in content.measures],
        assumptions=_assumptions(content.measures),
        checks=_checks(content.verdict.evidence),
        marks=content.marks,
        days=content.days[-_MOST_DAYS:],
        full=FULL_COVERAGE,
        top={
            "countries": _top(row.pulse.mean for row in content.countries),
            "networks": _top(row.pulse.mean for row in content.networks),
            "names": _top(row.clients for row in content.names),
        },
    )


@cache
def _environment() -> jinja2.Environment:
    env = environment("remnant.report")
    env.filters |= {
        "window": wording.window_words,
        "mark": wording.mark_words,
        "network": _network,
        "two_views": _two_views,
        "left_out": _left_out,
        "count": _count,
    }
    env.globals["number_of"] = shown
    return env


@jinja2.pass_context
def _count(context: jinja2.runtime.Context, count: Count | float) -> str:
    """Return a count as this report publishes it."""
    return wording.published(count, context["c"].minimum_count)


@jinja2.pass_context
def _two_views(context: jinja2.runtime.Context, views: TwoViews) -> str:
    """Return what the two views say together, in sentences."""
    return wording.two_views(views, context["c"].minimum_count)


@jinja2.pass_context
def _left_out(context: jinja2.runtime.Context, found: Bystanders) -> str:
    """Return how many clients were left out of the estimates, in a sentence."""
    return wording.left_out(found, context["c"].minimum_count)


def _network(row: Network) -> str:
    return wording.network_name(row.asn, row.as_name)


def _top(counts: Iterable[Count]) -> int:
    return max((value for count in counts if (value := shown(count)) is not None), default=0)


def _tiles(content: Content) -> list[dict[str, str]]:
    found = {
        measure.quantity: measure
        for measure in content.measures
        if measure.vantage in {None, content.vantage}
    }
    tiles = []
    for name in _TILES:
        measure = found.get(name)
        if measure is not None:
            tile = _measure(measure, content)
            if measure.hidden is None and measure.unit in _COUNTED:
                tile["value"] = wording.compact(measure.value)
            tiles.append(tile)
    return tiles


def _measure(measure: Measure, content: Content) -> dict[str, Any]:
    """Return one estimate in words: name, value, interval."""
    if measure.hidden is not None:
        value = wording.published(measure.hidden, content.minimum_count)
        small = measure.hidden is Hidden.SMALL
        limits = "too few to publish" if small else "would give a small count away"
    else:
        value = wording.amount(measure.value, measure.unit)
        if measure.unit == "days" and measure.value is not None:
            value += " days"
        limits = _limits(measure)
    return {
        "name": wording.measure_name(measure.quantity),
        "value": value,
        "interval": limits,
        "raw": measure,
    }


def _limits(measure: Measure) -> str:
    if measure.value is None and measure.low is None and measure.high is None:
        return "cannot be estimated yet"
    if measure.low == measure.high and measure.low is not None and measure.level is None:
        return "counted, not estimated"
    level = "" if measure.level is None else f"{wording.percent(measure.level)} interval "
    return level + wording.interval(measure.low, measure.high, measure.unit)


def _assumptions(measures: Sequence[Measure]) -> list[str]:
    lines = (line for measure in measures for line in measure.assumptions)
    return list(dict.fromkeys(lines))[:40]


def _checks(evidence: Sequence[Mapping[str, Any] | str]) -> list[dict[str, str]]:
    """Return the evidence of the verdict: sign, state, checks and words of each line."""
    order = {state: place for place, state in enumerate(_SIGNS)}
    found = sorted(
        wording.findings(evidence[:60]), key=lambda item: order.get(item.state, len(order))
    )
    return [
        {
            "sign": _SIGNS.get(item.state, "·"),
            "state": item.state,
            "names": item.names,
            "words": item.words,
        }
        for item in found
    ]
