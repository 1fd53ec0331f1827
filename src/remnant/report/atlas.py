"""What a report shows of the infrastructure: the map, the traffic on it, and what still lives.

The map shows what sensors of passive DNS saw, over all times on record: most of an infrastructure
stood before its takedown. The traffic is that of the report's window and vantage. What ranks high
beside the published indicators is a lead and no finding: it is named in internal reports only.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from remnant.errors import NoData
from remnant.report.export import write_whole
from remnant.report.mapfacts import KIND_WORDS, MapFacts, candidate_ranks, published
from remnant.report.wording import VANTAGE_WORDS

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from remnant.cases.model import Case
    from remnant.enrich.reference import Reference
    from remnant.infrastructure.graph import Graph
    from remnant.infrastructure.layout import Arrangement
    from remnant.infrastructure.rank import Candidate
    from remnant.infrastructure.server import Server
    from remnant.settings import Settings
    from remnant.store import Store, View
    from remnant.windows import Window

__all__ = ["Atlas", "drawings", "gather", "write_drawings"]

_CANDIDATES: Final = 20
_SERVERS: Final = 25
_MOST_DRAWN: Final = 5_000


@dataclass(frozen=True)
class Atlas:
    """The infrastructure as a report shows it.

    Attributes:
        graph: the map.
        asked: the same with all networks of clients; null without traffic. Not to be published as
            it is (``mapfacts.published``).
        facts: what stands beside it.
        asked_facts: what stands beside the traffic: its window and vantage.
        kinds: words for a kind of thing, and how many there are, most first.
        seeds: indicators of the case on the map.
        hubs: things that join nothing.
        left_out: records that could not be used.
        internal: candidates are named and small counts shown.
        candidates: what ranks highest, best first; empty where they are not to be named.
        ranked: how many things rank high enough to be listed.
        notes: what did not work out in the ranking.
        living: servers and names that must be acted on, at most ``_SERVERS``.
        living_total: how many there are.
        states: words for a state and how many of the case's names are in it, most first.
        alive_days: how long ago a living one may have been observed.
    """

    graph: Graph
    asked: Graph | None
    facts: MapFacts
    asked_facts: MapFacts
    kinds: tuple[tuple[str, int], ...]
    seeds: int
    hubs: int
    left_out: int
    internal: bool
    candidates: tuple[Candidate, ...]
    ranked: int
    notes: tuple[str, ...]
    living: tuple[Server, ...]
    living_total: int
    states: tuple[tuple[str, int], ...]
    alive_days: int

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The candidates as rows with kind, value, score and reasons."""
        return [one.to_json() for one in self.candidates]

    @cached_property
    def arranged(self) -> Arrangement:
        """The map folded and laid out, once for all its figures."""
        from remnant.infrastructure.layout import arrange  # noqa: PLC0415 - compiles

        return arrange(self.graph, keep=list(candidate_ranks(self.graph, self.rows)))

    @cached_property
    def shown(self) -> Graph | None:
        """The map with the networks of clients that may be shown; null without traffic."""
        return None if self.asked is None else published(self.asked, self.facts.minimum)

    @property
    def is_drawn(self) -> bool:
        """Whether the map is small enough to be a picture that a person can read."""
        return len(self.graph) <= _MOST_DRAWN


def gather(
    store: Store,
    view: View,
    case: Case,
    settings: Settings,
    reference: Reference,
    *,
    window: Window,
    vantage: str,
    internal: bool,
    now: datetime,
) -> Atlas | None:
    """Return what a report shows of a case's infrastructure; null without passive DNS.

    Args:
        store: opened for reading.
        view: of the case.
        case: what is watched.
        settings: how far a map goes, and the smallest published count.
        reference: whose addresses are.
        window: of the report: the traffic is that of it.
        vantage: of the report.
        internal: name candidates, and show small counts.
        now: when the report is made (UTC).
    """
    from remnant.infrastructure.case_map import case_map  # noqa: PLC0415 - rooms load when used
    from remnant.infrastructure.rank import ranking  # noqa: PLC0415 - likewise

    graph = case_map(store, view, case, settings, reference)
    if not graph.is_observed:
        return None
    ranked = ranking(graph)
    best = ranked.best(_CANDIDATES if internal else 1)
    minimum = 0 if internal else settings.report.minimum_count
    living, states, days = _servers(store, view, case, reference)
    asked = _asked(graph, view, window, vantage)
    facts = MapFacts(
        case=case.name,
        title=case.title,
        window=None,
        source="passive DNS",
        made=now.replace(microsecond=0),
        simulated=view.simulated,
        minimum=minimum,
        takedown=case.takedown,
    )
    seen = VANTAGE_WORDS.get(vantage, (vantage, ""))[0]
    return Atlas(
        graph=graph,
        asked=asked,
        facts=facts,
        asked_facts=replace(facts, window=window, source=f"requests seen by: {seen}"),
        kinds=_kinds(graph),
        seeds=int(graph.seeds.size),
        hubs=int(graph.hubs.sum()),
        left_out=int(sum(row["count"] for row in graph.left_out.to_pylist())),
        internal=internal,
        candidates=tuple(best) if internal else (),
        ranked=len(best),
        notes=ranked.notes,
        living=tuple(living[:_SERVERS]),
        living_total=len(living),
        states=states,
        alive_days=days,
    )


def drawings(atlas: Atlas) -> dict[str, tuple[str, str]]:
    """Return the figures as SVG elements for a page, each for wide and for narrow windows."""
    from remnant.report.mapfigure import inline_map  # noqa: PLC0415 - only with a map
    from remnant.report.trafficfigure import inline_traffic  # noqa: PLC0415 - likewise

    found = {}
    if atlas.is_drawn:
        found["map"] = inline_map(atlas.arranged, atlas.rows, atlas.facts)
    if atlas.shown is not None:
        found["map_traffic"] = inline_traffic(atlas.shown, atlas.asked_facts)
    return found


def write_drawings(atlas: Atlas, folder: Path) -> list[Path]:
    """Write the figures as SVG and PNG, and the map as CSV; return the paths.

    The CSV of a report for publication has how many things of each kind there are: what is joined
    to a botnet's names is not all its own, and a list would name all of it.

    Raises:
        RemnantError: a file cannot be written.
    """
    from remnant.report.mapexport import png, write_map  # noqa: PLC0415 - only with a map
    from remnant.report.mapfigure import map_svg  # noqa: PLC0415 - likewise
    from remnant.report.trafficfigure import traffic_svg  # noqa: PLC0415 - likewise

    start = folder / f"{atlas.facts.case}-map"
    if atlas.internal:
        place = start.with_suffix(".csv")
        paths = write_map(atlas.graph, atlas.rows, "csv", place, facts=atlas.facts)
    else:
        paths = [start.with_suffix(".csv")]
        rows = [("kind", "number"), *atlas.kinds]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        write_whole(paths[0], text.getvalue().encode())
    figures = {}
    if atlas.is_drawn:
        figures[start.name] = map_svg(atlas.arranged, atlas.rows, atlas.facts)
    if atlas.shown is not None:
        figures[f"{start.name}-traffic"] = traffic_svg(atlas.shown, atlas.asked_facts)
    for name, svg in figures.items():
        for ending, data in (("svg", svg.encode()), ("png", png(svg))):
            paths.append(folder / f"{name}.{ending}")
            write_whole(paths[-1], data)
    return paths


def _asked(graph: Graph, view: View, window: Window, vantage: str) -> Graph | None:
    from remnant.infrastructure.traffic import with_traffic  # noqa: PLC0415 - loads the engine

    try:
        asked = with_traffic(graph, view, window, vantage)
    except NoData:
        return None
    return asked if len(asked) > len(graph) else None


def _servers(
    store: Store, view: View, case: Case, reference: Reference
) -> tuple[list[Server], tuple[tuple[str, int], ...], int]:
    """Return what lives, the states of the case's names, and how recent living is."""
    from remnant.infrastructure.case_servers import case_servers  # noqa: PLC0415 - loads the engine

    found = case_servers(store, view, case, reference)
    states = Counter(one.state for one in found.servers if one.kind == "name")
    living = [one for one in found.servers if one.alive]
    return living, tuple(states.most_common()), found.alive_days


def _kinds(graph: Graph) -> tuple[tuple[str, int], ...]:
    counts = Counter(graph.kinds)
    return tuple((KIND_WORDS[kind][number != 1], number) for kind, number in counts.most_common())
