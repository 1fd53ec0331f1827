"""The infrastructure map as a figure that can be published: islands, shapes, labels, a legend.

Kinds differ in shape and in colour. Seeds are ringed; candidates carry their rank; what joins
nothing (shared hosting, CDN, parking) is hollow and grey, with its reason; a sinkhole is a dark
disc with a cross. Client networks are not on this figure: ``trafficfigure`` shows them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from remnant.report.canvas import Canvas, Labels, dots, glyph, text_width
from remnant.report.mapfacts import KIND_WORDS, candidate_ranks
from remnant.report.palette import LIGHT, to_variables
from remnant.report.wording import legible

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from remnant.infrastructure.layout import Arrangement
    from remnant.report.mapfacts import Candidate, MapFacts

    Floats = npt.NDArray[np.float64]

__all__ = ["LOOKS", "inline_map", "map_svg"]

LOOKS: Final = {
    "name": ("circle", "accent"),
    "domain": ("hexagon", "accent"),
    "address": ("square", "address"),
    "prefix": ("diamond", "prefix"),
    "asn": ("cross", "network"),
    "name_server": ("up", "server"),
    "mail_exchanger": ("down", "mail"),
    "sinkhole": ("circle", "ink"),
    "client_network": ("diamond", "client"),
}
"""Kind of node -> shape and colour."""

_FILE_WIDTH: Final = 1280
_SMALLEST: Final = 1.1
_TINY: Final = 3.2
_DOTS: Final = frozenset({"name", "domain", "address"})
_LABEL: Final = 38
_MOST_RANKS: Final = 50
_MOST_LINED: Final = 10


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """What is drawn, in pixels."""

    arrangement: Arrangement
    ranks: dict[int, int]
    kinds: list[str]
    values: list[str]
    labels: list[str | None]
    hubs: list[str | None]
    x: Floats
    y: Floats
    radius: Floats
    narrow: bool

    def words(self, node: int) -> str:
        """Return the label of a node."""
        size = int(self.arrangement.folded.sizes[node])
        value = _shortened(self.values[node])
        if size > 1:
            return f"{size:,} {KIND_WORDS[self.kinds[node]][1]}, as {value}"
        if self.kinds[node] in {"asn", "sinkhole"} and self.labels[node]:
            called = legible(str(self.labels[node]), 30)
            return f"{value} {called}"
        if self.hubs[node] and self.kinds[node] != "sinkhole":
            reason = re.split(r" \(|[;:,]", legible(str(self.hubs[node]), 80))[0]
            return f"{value} ({_shortened(reason)})"
        return value


def map_svg(arrangement: Arrangement, candidates: Sequence[Candidate], facts: MapFacts) -> str:
    """Return the figure as an SVG document with title, legend and facts, in the light colours."""
    return _draw(arrangement, candidates, facts, _FILE_WIDTH, titled=True).svg(
        _said(arrangement, candidates, facts)
    )


def inline_map(
    arrangement: Arrangement, candidates: Sequence[Candidate], facts: MapFacts
) -> tuple[str, str]:
    """Return the figure as SVG elements for a page, in its colours: for wide windows, for narrow.

    Title and facts stand beside them on the page.
    """
    said = _said(arrangement, candidates, facts)
    wide, narrow = (
        to_variables(
            _draw(arrangement, candidates, facts, width, titled=False).svg(said, css_class)
        )
        for width, css_class in ((920, "wide"), (328, "narrow"))
    )
    return wide, narrow


def _draw(
    arrangement: Arrangement,
    candidates: Sequence[Candidate],
    facts: MapFacts,
    width: int,
    *,
    titled: bool,
) -> Canvas:
    left, top, right, bottom = arrangement.layout.bounds
    margin = 26 if titled else 10
    scale = min((width - 2 * margin) / max(right - left, 40.0), 14.0)
    high = min(max((bottom - top) * scale, 120.0), 1.15 * width)
    scale = min(scale, high / max(bottom - top, 1e-9))
    head = 84.0 if titled else 6.0
    graph = arrangement.folded.graph
    places = arrangement.layout.positions.astype(np.float64)
    shift = 0.5 * (width - (right - left) * scale)
    scene = _Scene(
        arrangement,
        {n: r for n, r in candidate_ranks(graph, candidates).items() if r <= _MOST_RANKS},
        graph.kinds,
        list(map(str, graph.nodes["value"].to_pylist())),
        graph.nodes["label"].to_pylist(),
        graph.nodes["hub"].to_pylist(),
        shift + (places[:, 0] - left) * scale,
        head + (places[:, 1] - top) * scale,
        np.maximum(arrangement.layout.radii * scale, _SMALLEST),
        narrow=width < 500,
    )
    legend = _legend_rows(scene, width - 2 * margin)
    foot = head + high + 18
    line = 20 if width > 500 else 18
    canvas = Canvas(width, foot + line * (len(legend) + 2 * titled) + 14)
    if titled:
        canvas.rect(0, 0, canvas.width, canvas.height, LIGHT["paper"])
        canvas.text(margin, 38, facts.heading, size=21, fill=LIGHT["ink"], weight=600)
        canvas.text(margin, 62, _summary(scene), size=13.5, fill=LIGHT["soft"])
    _islands(canvas, scene)
    _edges(canvas, scene)
    _marks(canvas, scene)
    _label(canvas, scene, (4, head - 4, width - 4, foot - 6))
    for k, row in enumerate(legend):
        _legend_row(canvas, row, margin, foot + line * k + 8)
    if titled:
        at = foot + line * (len(legend) + 1) + 4
        canvas.text(margin, at, facts.line, size=12, fill=LIGHT["soft"])
    return canvas


def _islands(canvas: Canvas, scene: _Scene) -> None:
    """Draw the ground of each cluster."""
    groups = scene.arrangement.layout.clusters
    order = np.argsort(groups, kind="stable")
    data = []
    for members in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        if members.size < 3:
            continue
        points = np.column_stack([scene.x[members], scene.y[members]])
        data.append("M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in _hull(points)) + "Z")
    wide = 8.0 if scene.narrow else 18.0
    ground = LIGHT["panel"]
    canvas.path("".join(data), fill=ground, stroke=ground, width=wide, cap="round")


def _hull(points: Floats) -> list[tuple[float, float]]:
    """Return the convex hull of points, by Andrew's monotone chain."""
    ordered = [(float(x), float(y)) for x, y in points[np.lexsort((points[:, 1], points[:, 0]))]]

    def half(run: list[tuple[float, float]]) -> list[tuple[float, float]]:
        out: list[tuple[float, float]] = []
        for p in run:
            while len(out) > 1 and (
                (out[-1][0] - out[-2][0]) * (p[1] - out[-2][1])
                <= (out[-1][1] - out[-2][1]) * (p[0] - out[-2][0])
            ):
                out.pop()
            out.append(p)
        return out[:-1]

    return half(ordered) + half(ordered[::-1])


def _edges(canvas: Canvas, scene: _Scene) -> None:
    """Draw edges: within a cluster, between clusters, at hubs, at candidates."""
    graph = scene.arrangement.folded.graph
    tails, heads = graph.tails, graph.heads
    groups = scene.arrangement.layout.clusters
    hub = graph.hubs[tails] | graph.hubs[heads]
    across = groups[tails] != groups[heads]
    ranked = np.zeros(len(graph), np.bool_)
    # The evidence of the first ones; that of all would cover the map.
    ranked[[n for n, rank in scene.ranks.items() if rank <= _MOST_LINED]] = True
    best = (ranked[tails] | ranked[heads]) & ~hub
    # The more there is between islands, the fainter each line.
    faint = min(1.0, (250 / max(int((across & ~hub).sum()), 1)) ** 0.5)
    looks = (
        (hub, "soft", 0.5, 0.1 * min(1.0, (400 / max(int(hub.sum()), 1)) ** 0.5)),
        (~hub & across & ~best, "soft", 0.6, max(0.24 * faint, 0.05)),
        (~hub & ~across & ~best, "soft", 0.8, 0.5),
        (best, "alarm", 0.9, 0.5),
    )
    crowd = min(1.0, (3000.0 / max(tails.size, 1)) ** 0.35)
    thin = 0.6 if scene.narrow else 1.0
    for chosen, colour, width, opacity in looks:
        data = "".join(
            f"M{x:.1f} {y:.1f}l{u - x:.1f} {v - y:.1f}"
            for x, y, u, v in zip(
                scene.x[tails[chosen]].tolist(),
                scene.y[tails[chosen]].tolist(),
                scene.x[heads[chosen]].tolist(),
                scene.y[heads[chosen]].tolist(),
                strict=True,
            )
        )
        canvas.path(
            data, stroke=LIGHT[colour], width=width * thin, opacity=round(opacity * crowd, 2)
        )


def _marks(canvas: Canvas, scene: _Scene) -> None:
    """Draw the nodes: hubs hollow, seeds ringed, candidates with their rank, counts on folds."""
    graph = scene.arrangement.folded.graph
    looks: dict[tuple[str, bool], list[int]] = {}
    for node, kind in enumerate(scene.kinds):
        looks.setdefault((kind, bool(graph.hubs[node]) and kind != "sinkhole"), []).append(node)
    x, y, radius = scene.x.tolist(), scene.y.tolist(), scene.radius.tolist()
    paper = LIGHT["paper"]
    for (kind, hollow), nodes in looks.items():
        shape, colour = LOOKS[kind]
        if hollow:
            data = "".join(glyph(shape, x[n], y[n], radius[n]) for n in nodes)
            canvas.path(data, fill=paper, stroke=LIGHT["soft"], width=1.3)
        else:
            sizes: dict[float, list[tuple[float, float]]] = {}
            rest = []
            for n in nodes:
                # Six corners on a few pixels are a dot.
                if kind in _DOTS and (shape != "hexagon" or radius[n] < _TINY):
                    sizes.setdefault(round(2 * radius[n], 1), []).append((x[n], y[n]))
                else:
                    rest.append(glyph(shape, x[n], y[n], radius[n]))
            cap = "square" if shape == "square" else "round"
            for size, points in sizes.items():
                wide = 0.88 * size if shape == "square" else size
                canvas.path(dots(points), stroke=LIGHT[colour], width=wide, cap=cap)
            canvas.path("".join(rest), fill=LIGHT[colour])
    sinks = [n for n, kind in enumerate(scene.kinds) if kind == "sinkhole"]
    crosses = "".join(_crossed(x[n], y[n], 0.5 * radius[n]) for n in sinks)
    canvas.path(crosses, stroke=paper, width=max(1.2, 0.0015 * canvas.width), cap="round")
    seeds = [n for n in graph.seeds.tolist() if n not in scene.ranks]
    rings = "".join(
        glyph("circle", x[n], y[n], radius[n] + min(2.4, 0.6 + 0.25 * radius[n])) for n in seeds
    )
    canvas.path(rings, stroke=LIGHT["ink"], width=0.6 if scene.narrow else 0.9)
    for node, rank in sorted(scene.ranks.items(), key=lambda item: -item[1]):
        size = max(radius[node] + 2, 5.0 if scene.narrow else 8.5)
        disc = glyph("circle", x[node], y[node], size)
        canvas.path(disc, fill=LIGHT["alarm"], stroke=paper, width=1.2)
        letters = 0.95 * size if rank > 9 else 1.15 * size
        canvas.text(
            *(x[node], y[node] + 0.36 * letters),
            *(str(rank),),
            size=letters,
            fill=paper,
            anchor="middle",
            weight=600,
        )
    for n in np.flatnonzero(scene.arrangement.folded.sizes > 1).tolist():
        count = f"{int(scene.arrangement.folded.sizes[n]):,}"
        letters = min(1.0 * radius[n], 1.8 * radius[n] / max(len(count) * 0.6, 1), 15.0)
        if letters >= 6.0 and n not in scene.ranks:
            at = y[n] + 0.36 * letters
            canvas.text(x[n], at, count, size=letters, fill=paper, anchor="middle", weight=600)


def _crossed(x: float, y: float, arm: float) -> str:
    return (
        f"M{x - arm:.1f} {y - arm:.1f}L{x + arm:.1f} {y + arm:.1f}"
        f"M{x - arm:.1f} {y + arm:.1f}L{x + arm:.1f} {y - arm:.1f}"
    )


def _label(canvas: Canvas, scene: _Scene, frame: tuple[float, float, float, float]) -> None:
    """Write names beside the nodes that matter, where there is room."""
    size = 9.0 if scene.narrow else 11.5
    labels = Labels(frame, np.column_stack([scene.x, scene.y]))
    for node in (*scene.ranks, *np.flatnonzero(scene.radius > 6).tolist()):
        grown = max(scene.radius[node], 8.5 if node in scene.ranks and not scene.narrow else 0.0)
        labels.block(scene.x[node], scene.y[node], 0.9 * grown)
    written = 0
    for node in _important(scene):
        if written >= (9 if scene.narrow else 46):
            break
        words = scene.words(node)
        if scene.narrow and len(words) > 24:
            words = words[:23] + "…"
        radius = max(float(scene.radius[node]), 8.5 if node in scene.ranks else 0.0) + 1.5
        wide = text_width(words, size)
        at = labels.place(
            *(float(scene.x[node]), float(scene.y[node]), radius, wide, size * 1.15),
            covering=40 if node in scene.ranks else 2,
        )
        if at is None:
            continue
        ranked = node in scene.ranks
        grey = scene.hubs[node] is not None and not ranked
        canvas.text(
            at[0],
            at[1] + 0.35 * size,
            words,
            size=size,
            fill=LIGHT["soft" if grey else "ink"],
            weight=600 if ranked else 400,
            halo=LIGHT["paper"],
        )
        written += 1


def _important(scene: _Scene) -> list[int]:
    """Return the nodes to label, most important first."""
    graph = scene.arrangement.folded.graph
    sizes = scene.arrangement.folded.sizes
    degrees = np.bincount(np.concatenate([graph.tails, graph.heads]), minlength=len(graph))
    weight = degrees + 0.5 * sizes
    ranked = sorted(scene.ranks, key=lambda n: scene.ranks[n])
    kinds = np.array(scene.kinds, dtype=object)

    def top(chosen: Any, most: int) -> list[int]:  # noqa: ANN401 - a mask
        nodes = np.flatnonzero(chosen)
        return nodes[np.argsort(-weight[nodes], kind="stable")][:most].tolist()  # type: ignore[no-any-return]

    is_seed = np.zeros(len(graph), np.bool_)
    is_seed[graph.seeds] = True
    # The busiest node of each large cluster is its landmark.
    groups = scene.arrangement.layout.clusters
    by_weight = np.lexsort((-weight, groups))
    first = np.flatnonzero(np.diff(groups[by_weight], prepend=-1))
    marks = [int(by_weight[k]) for k in first[:14]]
    rows = [
        *ranked[:20],
        *top(kinds == "sinkhole", 6),
        *top(graph.hubs & (kinds != "sinkhole"), 8),
        *top(is_seed, 8),
        *marks,
        *top(kinds == "asn", 8),
        *top(sizes > 1, 8),
        *top(kinds == "name_server", 6),
        *ranked[20:],
        *top(is_seed, 20),
    ]
    return list(dict.fromkeys(rows))


def _legend_rows(scene: _Scene, width: float) -> list[list[tuple[str, str]]]:
    """Return the legend: a sign and its meaning, in rows that fit."""
    counts: dict[str, int] = {}
    sizes = scene.arrangement.folded.sizes.tolist()
    for kind, hub, size in zip(scene.kinds, scene.hubs, sizes, strict=True):
        if hub is None or kind == "sinkhole":
            counts[kind] = counts.get(kind, 0) + size
    items = [
        (kind, f"{counts[kind]:,} {words[counts[kind] != 1]}")
        for kind, words in KIND_WORDS.items()
        if counts.get(kind)
    ]
    graph = scene.arrangement.folded.graph
    if graph.seeds.size:
        items.append(("seed", "ringed: known at the takedown"))
    if scene.ranks:
        items.append(("candidate", "candidate, with its rank"))
    if any(h and k != "sinkhole" for h, k in zip(scene.hubs, scene.kinds, strict=True)):
        items.append(("hub", "hollow: shared by many, joins nothing"))
    if max(sizes, default=1) > 1:
        items.append(("fold", "number: so many alike, drawn as one"))
    rows: list[list[tuple[str, str]]] = [[]]
    used = 0.0
    for item in items:
        wide = text_width(item[1], 12) + 36
        if used + wide > width and rows[-1]:
            rows.append([])
            used = 0.0
        rows[-1].append(item)
        used += wide
    return rows


def _legend_row(canvas: Canvas, row: list[tuple[str, str]], x: float, y: float) -> None:
    for sign, words in row:
        at = x + 7
        if sign == "seed":
            canvas.path(glyph("circle", at, y, 3), fill=LIGHT["accent"])
            canvas.path(glyph("circle", at, y, 6), stroke=LIGHT["ink"], width=1.1)
        elif sign == "candidate":
            canvas.path(glyph("circle", at, y, 7), fill=LIGHT["alarm"])
            canvas.text(
                at, y + 3.4, "1", size=9.5, fill=LIGHT["paper"], anchor="middle", weight=600
            )
        elif sign == "hub":
            canvas.path(
                glyph("square", at, y, 5), fill=LIGHT["paper"], stroke=LIGHT["soft"], width=1.3
            )
        elif sign == "fold":
            canvas.path(glyph("hexagon", at, y, 7), fill=LIGHT["accent"])
            canvas.text(at, y + 3.2, "9", size=9, fill=LIGHT["paper"], anchor="middle", weight=600)
        else:
            shape, colour = LOOKS[sign]
            canvas.path(glyph(shape, at, y, 5), fill=LIGHT[colour])
            if sign == "sinkhole":
                canvas.path(_crossed(at, y, 2.4), stroke=LIGHT["paper"], width=1.2)
        canvas.text(x + 19, y + 4.2, words, size=12, fill=LIGHT["ink"])
        x += text_width(words, 12) + 36


def _summary(scene: _Scene) -> str:
    graph = scene.arrangement.folded.graph
    whole = int(scene.arrangement.folded.sizes.sum())
    seeds = int(scene.arrangement.folded.sizes[graph.seeds].sum())
    return (
        f"Infrastructure around {seeds:,} seeds: {whole:,} things, {graph.edges.num_rows:,} "
        "relations drawn; what is joined most lies on one island"
    )


def _said(arrangement: Arrangement, candidates: Sequence[Candidate], facts: MapFacts) -> str:
    graph = arrangement.folded.graph
    whole = int(arrangement.folded.sizes.sum())
    found = candidate_ranks(graph, candidates)
    best = min(found, key=lambda n: found[n], default=None)
    told = f"Map of {facts.heading}: {whole:,} things in {_groups(arrangement):,} clusters, "
    told += f"{len(found):,} candidates"
    if best is not None:
        told += f", first {legible(str(graph.nodes['value'][best].as_py()), 80)}"
    return told


def _groups(arrangement: Arrangement) -> int:
    return int(arrangement.layout.clusters.max(initial=-1)) + 1


def _shortened(text: str) -> str:
    """Return hostile text made legible and short: its start and its end."""
    shown = legible(text, 253)
    if len(shown) <= _LABEL:
        return shown
    return f"{shown[: _LABEL // 2 - 1]}…{shown[-(_LABEL // 2) :]}"
