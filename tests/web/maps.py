"""Maps of a given size behind the pages of a running server."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mapped import START, made_up, with_traffic
from remnant.infrastructure.traffic import Slider
from remnant.report.mapfacts import MapFacts
from remnant.web.results.mapped import told
from remnant.web.results.results import Result
from remnant.windows import Window
from report.mapsample import candidates, hostile

if TYPE_CHECKING:
    from fastapi import FastAPI

    from remnant.infrastructure.graph import Graph

MADE = datetime(2015, 6, 2, 12, 30, tzinfo=UTC)
GAP = 7
"""The day of the slider on which no sensor delivered."""
DAYS = 40


def chart(graph: Graph, title: str = "Taken") -> dict[str, Any]:
    """Return the result of a map, as its kind works it out: with candidates and days."""
    facts = MapFacts("taken", title, None, "passive DNS of 2 sensors", MADE, simulated=True)
    value, _ = told(graph, candidates(graph), facts, days=days_of(graph))
    return value


@cache
def sized(number: int) -> dict[str, Any]:
    """Return a map of which at least so many things are drawn, nothing folded further."""
    value = chart(with_traffic(made_up(int(number * 1.06), 11), 40))
    assert value["things"] >= number
    return value


@cache
def hostile_chart() -> dict[str, Any]:
    """A map of names that want to be something else."""
    return chart(hostile(), "<script>alert(1)</script>\u202e")


def days_of(graph: Graph) -> Slider | None:
    """Return made-up traffic of the edges from client networks, with a day without sensors."""
    values: list[Any] = graph.nodes["value"].to_pylist()
    types = graph.edges["type"].cast(pa.string()).to_pylist()
    asks = [e for e, kind in enumerate(types) if kind == "asks"]
    if not asks:
        return None
    draw = np.random.default_rng(5)
    queries = draw.integers(0, 5000, (len(asks), DAYS))
    covered = np.ones(DAYS, np.bool_)
    covered[GAP] = False
    queries[:, GAP] = 0
    return Slider(
        step="day",
        starts=tuple(f"{START + timedelta(days=k):%Y-%m-%dT%H:%M:%SZ}" for k in range(DAYS)),
        networks=tuple(values[int(graph.tails[e])] for e in asks),
        names=tuple(values[int(graph.heads[e])] for e in asks),
        queries=queries,
        clients=np.minimum(queries, 50),
        covered=covered,
        window=Window(START, START + timedelta(days=DAYS)),
        vantage="resolver",
        unit="ipv4",
        others=0,
    )


class Charted:
    """The results of a server, with a map put in place of its own."""

    def __init__(self, results: Any) -> None:
        self._results = results
        self.found = Result()

    def get(self, case: str, kind: str, **choices: Any) -> Result:
        """Return the map that was put there, or any other result as it is."""
        if kind == "map":
            return self.found
        found: Result = self._results.get(case, kind, **choices)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._results, name)


def put(app: FastAPI, found: Result) -> None:
    """Have the pages of a server show a map, for all cases."""
    site = app.state.site
    if not isinstance(site.results, Charted):
        site = dataclasses.replace(site, results=Charted(site.results))
        app.state.site = site
    site.results.found = found
    site.answers.clear()


def ready(value: dict[str, Any], made: datetime = MADE) -> Result:
    """Return a result that is there."""
    return Result(value | {"made": made.isoformat()}, made, is_current=True)


def tell(app: FastAPI, case: str) -> None:
    """Let open pages hear that a result of a case was worked out, as the work itself does."""
    results = app.state.site.results
    results._epochs[case] = results.epoch(case) + 1
    app.state.site.live.wake()
