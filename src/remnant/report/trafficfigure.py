"""The traffic figure: who still asks for the seized names, and where the names lead.

Client networks stand on the left, names in the middle, what the names led to on the right:
addresses and sinkholes, then ASes and name servers. On the left a band is as wide as there were
queries. What became of a query is not known from here, so the lines on the right are relations and
all of one width.

A query is a question that a sensor saw, not a machine; a name that is asked through caches is asked
more often than is seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.report.canvas import Canvas, glyph, text_width
from remnant.report.mapfigure import LOOKS
from remnant.report.palette import LIGHT, to_variables
from remnant.report.wording import compact, legible, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remnant.infrastructure.graph import Graph
    from remnant.report.mapfacts import MapFacts

__all__ = ["inline_traffic", "traffic_svg"]

_NAMES: Final = frozenset({"name", "domain", "name_server", "mail_exchanger"})
_HEADS: Final = ("client networks", "names asked for", "led to", "ASes and name servers")
_FILE_WIDTH: Final = 1280
_NARROW: Final = 500
_BAR: Final = 8.0


@dataclass(slots=True)
class _Box:
    """One thing of a column: a node, or the rest of its kind."""

    kind: str
    words: str
    queries: int = 0
    clients: int = 0
    rest: bool = False
    top: float = 0.0
    high: float = 0.0
    used: list[float] = field(default_factory=lambda: [0.0, 0.0])

    @property
    def middle(self) -> float:
        return self.top + 0.5 * self.high


@dataclass(frozen=True, slots=True)
class _Flows:
    """What the figure shows: boxes by column, bands between the first two, lines between others."""

    columns: tuple[list[_Box], ...]
    bands: list[tuple[_Box, _Box, int]]
    lines: list[tuple[int, _Box, _Box]]
    queries: int
    networks: int
    names: int


def traffic_svg(graph: Graph, facts: MapFacts) -> str:
    """Return the figure as an SVG document with title and facts, in the light colours.

    Args:
        graph: the map as it may be shown (``mapfacts.published``), cut to the window.
        facts: what stands beside it.
    """
    flows = _flows(graph, (14, 16, 12, 9))
    return _draw(flows, facts, _FILE_WIDTH, titled=True).svg(_said(flows, facts))


def inline_traffic(graph: Graph, facts: MapFacts) -> tuple[str, str]:
    """Return the figure as SVG elements for a page, in its colours: for wide windows, for narrow.

    The narrow one shows networks and names only.
    """
    wide = _flows(graph, (12, 14, 10, 8))
    narrow = _flows(graph, (7, 8, 0, 0))
    return (
        to_variables(_draw(wide, facts, 920, titled=False).svg(_said(wide, facts), "wide")),
        to_variables(_draw(narrow, facts, 328, titled=False).svg(_said(narrow, facts), "narrow")),
    )


def _flows(graph: Graph, most: tuple[int, int, int, int]) -> _Flows:
    kinds = graph.kinds
    types = np.array(graph.edges["type"].cast(pa.string()).to_pylist(), dtype=object)
    tails, heads = graph.tails.tolist(), graph.heads.tolist()
    counts: list[int] = graph.edges["count"].to_numpy().tolist()
    clients = graph.edges["clients"].to_pylist()
    words = _words(graph, kinds)
    asked: dict[int, int] = {}
    asking: dict[int, int] = {}
    known: dict[int, int] = {}
    asks = np.flatnonzero(types == "asks").tolist()
    for edge in asks:
        asking[tails[edge]] = asking.get(tails[edge], 0) + counts[edge]
        asked[heads[edge]] = asked.get(heads[edge], 0) + counts[edge]
        known[tails[edge]] = max(known.get(tails[edge], 0), clients[edge] or 0)
    left, of_left = _boxes(asking, kinds, words, most[0], "networks")
    for node, box in of_left.items():
        if not box.rest:
            box.clients = known[node]
    middle, of_middle = _boxes(asked, kinds, words, most[1], "names")
    sums: dict[tuple[int, int], int] = {}
    boxes = {id(box): box for box in (*left, *middle)}
    for edge in asks:
        key = (id(of_left[tails[edge]]), id(of_middle[heads[edge]]))
        sums[key] = sums.get(key, 0) + counts[edge]
    bands = [(boxes[a], boxes[b], n) for (a, b), n in sums.items()]
    places = {left_: k for k, left_ in enumerate(boxes)}
    bands.sort(key=lambda band: (places[id(band[0])], places[id(band[1])]))
    leads = [
        (tails[e], heads[e])
        for e in np.flatnonzero((types == "resolves_to") | (types == "sinkholed_at")).tolist()
        if tails[e] in asked
    ]
    right, of_right = (
        _boxes(_weights(leads, asked), kinds, words, most[2], "addresses") if most[2] else ([], {})
    )
    lines = _joined(2, leads, of_middle, of_right)
    last: list[_Box] = []
    if most[3]:
        served = [
            (tails[e], heads[e])
            for e in np.flatnonzero(types == "served_by").tolist()
            if tails[e] in asked
        ]
        homes = _homes(graph, types, [n for n in of_right if kinds[n] in {"address", "sinkhole"}])
        weigh = _weights(leads, asked)
        ases = _weights([(a, b) for a, b in homes if b >= 0], weigh)
        top_as, of_as = _boxes(ases, kinds, words, most[3] - most[3] // 3, "networks")
        top_ns, of_ns = _boxes(_weights(served, asked), kinds, words, most[3] // 3, "name servers")
        last = [*top_as, *top_ns]
        lines += _joined(3, homes, of_right, of_as)
        lines += _joined(3, served, of_middle, of_ns)
    total = sum(asking.values())
    return _Flows((left, middle, right, last), bands, lines, total, len(asking), len(asked))


def _weights(pairs: Iterable[tuple[int, int]], of: dict[int, int]) -> dict[int, int]:
    """Return for each head what its tails weigh together."""
    out: dict[int, int] = {}
    for tail, head in pairs:
        out[head] = out.get(head, 0) + of.get(tail, 0)
    return out


def _homes(graph: Graph, types: Any, addresses: Sequence[int]) -> list[tuple[int, int]]:  # noqa: ANN401
    """Return the AS of each address: by its edges, or by the number that its row carries."""
    step: dict[int, int] = {}
    for edge in np.flatnonzero((types == "in_prefix") | (types == "in_asn")).tolist():
        step.setdefault(int(graph.tails[edge]), int(graph.heads[edge]))
    kinds, values = graph.kinds, graph.nodes["value"].to_pylist()
    known = {value: n for n, value in enumerate(values) if kinds[n] == "asn"}
    numbers = graph.nodes["asn"].to_pylist()
    out = []
    for address in addresses:
        at = step.get(address, -1)
        home = at if at >= 0 and kinds[at] == "asn" else step.get(at, -1)
        if home < 0 or kinds[home] != "asn":
            home = known.get(f"AS{numbers[address]}", -1)
        if home >= 0:
            out.append((address, home))
    return out


def _words(graph: Graph, kinds: list[str]) -> list[str]:
    values = graph.nodes["value"].to_pylist()
    labels = graph.nodes["label"].to_pylist()
    hubs = graph.nodes["hub"].to_pylist()
    out = []
    for kind, value, label, hub in zip(kinds, values, labels, hubs, strict=True):
        if kind == "client_network" and label:
            out.append(str(label) if not str(value).startswith("AS") else f"{label} ({value})")
        elif kind == "sinkhole":
            out.append(f"{label or 'sinkhole'} ({value})")
        elif kind == "asn" and label:
            out.append(f"{value} {label}")
        else:
            out.append(f"{value} ({hub})" if hub else str(value))
    return out


def _boxes(
    weights: dict[int, int], kinds: list[str], words: list[str], most: int, plural: str
) -> tuple[list[_Box], dict[int, _Box]]:
    """Return the heaviest nodes as boxes and the rest as one, and the box of each node."""
    order = sorted(weights, key=lambda n: (-weights[n], words[n]))
    shown = order if len(order) <= most else order[: most - 1]
    of = {n: _Box(kinds[n], words[n], weights[n]) for n in shown}
    boxes = list(of.values())
    rest = order[len(shown) :]
    if rest:
        box = _Box(
            kinds[rest[0]],
            f"{len(rest):,} other {plural}",
            sum(weights[n] for n in rest),
            rest=True,
        )
        boxes.append(box)
        of |= dict.fromkeys(rest, box)
    return boxes, of


def _joined(
    column: int,
    pairs: Iterable[tuple[int, int]],
    of_left: dict[int, _Box],
    of_right: dict[int, _Box],
) -> list[tuple[int, _Box, _Box]]:
    """Return lines between boxes, each once; ``column`` is that of the right end."""
    out: dict[tuple[int, int], tuple[int, _Box, _Box]] = {}
    for a, b in pairs:
        if a in of_left and b in of_right:
            out[id(of_left[a]), id(of_right[b])] = (column, of_left[a], of_right[b])
    return list(out.values())


def _draw(flows: _Flows, facts: MapFacts, width: int, *, titled: bool) -> Canvas:
    narrow = width < _NARROW
    size = 9.0 if narrow else 12.0
    margin = 26.0 if titled else 6.0
    head = 112.0 if titled else 30.0
    xs = _across(flows, width, margin, size)
    floor = 13.0 if narrow else 19.0
    gap = 3.0 if narrow else 5.0
    first_two = [flows.columns[0], flows.columns[1]]
    room = (210.0 if narrow else 430.0) + (60 if titled else 0)
    scale = room / max(flows.queries, 1)
    for column in first_two:
        _stack(column, head, floor, gap, scale)
    bottom = max((b.top + b.high for c in first_two for b in c), default=head + 60)
    for index in range(2, len(xs)):
        _spread(flows, index, head, bottom, floor + gap)
    bottom = max((b.top + b.high for c in flows.columns for b in c), default=bottom)
    canvas = Canvas(width, bottom + (66 if titled else 24))
    if titled:
        canvas.rect(0, 0, width, canvas.height, LIGHT["paper"])
        canvas.text(margin, 38, facts.heading, size=21, fill=LIGHT["ink"], weight=600)
        canvas.text(margin, 62, _summary(flows), size=13.5, fill=LIGHT["soft"])
    _columns(canvas, flows, xs, head, size, narrow=narrow)
    note = "width: queries"
    if not narrow:
        note += "; thin lines: what a name led to, not its traffic"
    if narrow:
        canvas.text(margin, bottom + 16, note, size=8.5, fill=LIGHT["soft"])
        return canvas
    canvas.text(margin, bottom + 22, note + _hidden(facts), size=12, fill=LIGHT["soft"])
    if titled:
        canvas.text(margin, bottom + 44, facts.line, size=12, fill=LIGHT["soft"])
    return canvas


def _hidden(facts: MapFacts) -> str:
    if facts.minimum < 2:
        return ""
    return f"; networks with fewer than {facts.minimum} clients are shown together"


def _stack(column: list[_Box], top: float, floor: float, gap: float, scale: float) -> None:
    """Give each box its place: as high as its queries, never lower than a line of text."""
    at = top
    for box in column:
        box.high = max(floor, box.queries * scale)
        box.top = at
        at += box.high + gap


def _spread(flows: _Flows, index: int, top: float, bottom: float, step: float) -> None:
    """Place the boxes of a column near the middle of what leads to them, in that order."""
    column = flows.columns[index]
    aims = []
    for box in column:
        found = [a.middle for c, a, b in flows.lines if b is box and c == index]
        aims.append(sum(found) / len(found) if found else bottom)
    order = sorted(range(len(column)), key=lambda k: (aims[k], k))
    room = max(step, (bottom - top) / max(len(column), 1))
    for place, k in enumerate(order):
        column[k].high = step - 5
        column[k].top = top + (place + 0.5) * room - 0.5 * column[k].high
    column[:] = [column[k] for k in order]


def _columns(
    canvas: Canvas, flows: _Flows, xs: list[float], head: float, size: float, *, narrow: bool
) -> None:
    """Draw bands and lines, then boxes, then words."""
    bar = _BAR
    for left, right, queries in flows.bands:
        one = left.high * queries / max(left.queries, 1)
        two = right.high * queries / max(right.queries, 1)
        y, v = left.top + left.used[1], right.top + right.used[0]
        left.used[1] += one
        right.used[0] += two
        canvas.path(
            _band(xs[0] + bar, y, one, xs[1], v, two),
            fill=LIGHT["line" if left.rest or right.rest else "band"],
            stroke=LIGHT["paper"],
            width=0.5,
        )
    # Lines leave names beside the longest one, addresses beside their own words: through none.
    leave = xs[1] + bar + 10 + _widest(flows, 1, size, canvas.width)
    for index, soft in ((3, 0.3), (2, 0.55)):
        if index >= len(xs):
            continue
        data = "".join(
            _curve(
                xs[2] + bar + 12 + text_width(_told(a, 2, canvas.width)[0], size)
                if _inside(a, flows.columns[2])
                else leave,
                *(a.middle, xs[index] - 3, b.middle),
            )
            for c, a, b in flows.lines
            if c == index
        )
        canvas.path(data, stroke=LIGHT["soft"], width=0.9, opacity=soft)
    for index, x in enumerate(xs):
        if not flows.columns[index]:
            continue
        anchor = "end" if index == 0 and not narrow else "start"
        at = x + _BAR if anchor == "end" else x
        words = _HEADS[index]
        canvas.text(at, head - 12, words, size=size, fill=LIGHT["soft"], anchor=anchor, weight=600)
        for box in flows.columns[index]:
            _box(canvas, box, index, x, bar, size)


def _across(flows: _Flows, width: int, margin: float, size: float) -> list[float]:
    """Return where each column stands: words have the room they need, curves share the rest."""
    if width < _NARROW:
        return [margin, 0.5 * width]
    wide = [_widest(flows, k, size, width) for k in range(4)]
    first = margin + max(wide[0], 90.0) + 8
    last = width - margin - _BAR - 8 - max(wide[3], text_width(_HEADS[3], 1.06 * size))
    left = max(last - first - wide[1] - wide[2] - 2 * (_BAR + 12), 180.0)
    second = first + 0.44 * left
    third = second + _BAR + 12 + wide[1] + 0.3 * left
    return [first, second, third, last]


def _widest(flows: _Flows, index: int, size: float, width: float) -> float:
    """Return the width of the longest words of a column, with the numbers beside or below them."""
    wide = 0.0
    for box in flows.columns[index]:
        words, told = (text_width(part, size) for part in _told(box, index, width))
        wide = max(wide, max(words, told) if index == 0 else words + told + 8)
    return wide


def _inside(box: _Box, column: list[_Box]) -> bool:
    return any(box is other for other in column)


def _box(canvas: Canvas, box: _Box, index: int, x: float, bar: float, size: float) -> None:
    """Draw one box with its words."""
    narrow = canvas.width < _NARROW
    shape, colour = LOOKS[box.kind]
    ink = LIGHT["soft" if box.rest else colour]
    if index < 2:
        canvas.rect(x, box.top, bar, max(box.high, 1.0), ink)
    else:
        canvas.path(glyph(shape, x + 0.5 * bar, box.middle, 5.5), fill=ink)
    words, told = _told(box, index, canvas.width)
    y = box.middle + 0.36 * size
    if index == 0 and not narrow:
        below = box.high >= 2.9 * size
        y -= 0.55 * size * below
        canvas.text(x - 7, y, words, size=size, fill=LIGHT["ink"], anchor="end")
        if below:
            canvas.text(
                x - 7, y + 1.2 * size, told, size=0.86 * size, fill=LIGHT["soft"], anchor="end"
            )
        return
    at, halo = x + bar + 6, LIGHT["paper"]
    canvas.text(at, y, words, size=size, fill=LIGHT["ink"], halo=halo)
    if index == 1 and not narrow:
        after = at + text_width(words, size) + 8
        canvas.text(after, y, told, size=0.86 * size, fill=LIGHT["soft"], halo=halo)


def _told(box: _Box, index: int, width: float) -> tuple[str, str]:
    """Return the words of a box and its numbers; narrow ones carry these in the words."""
    narrow = width < _NARROW
    limit = 17 if narrow else (26, 20, 26, 20)[index] if width < 1000 else (32, 30, 34, 28)[index]
    words = _cut(box.words, limit)
    if index > 1:
        return words, ""
    if narrow:
        return f"{words}  {compact(box.queries)}", ""
    told = number(box.queries)
    if index == 0 and box.clients:
        told += f" from {number(box.clients)}+ clients"
    return words, told


def _band(x: float, y: float, one: float, u: float, v: float, two: float) -> str:
    half = 0.5 * (x + u)
    return (
        f"M{x:.1f} {y:.1f}C{half:.1f} {y:.1f} {half:.1f} {v:.1f} {u:.1f} {v:.1f}"
        f"v{two:.1f}C{half:.1f} {v + two:.1f} {half:.1f} {y + one:.1f} {x:.1f} {y + one:.1f}Z"
    )


def _curve(x: float, y: float, u: float, v: float) -> str:
    half = 0.5 * (x + u)
    return f"M{x:.1f} {y:.1f}C{half:.1f} {y:.1f} {half:.1f} {v:.1f} {u:.1f} {v:.1f}"


def _cut(text: str, limit: int) -> str:
    shown = legible(text, 253)
    return shown if len(shown) <= limit else f"{shown[: limit - 9]}…{shown[-8:]}"


def _summary(flows: _Flows) -> str:
    if not flows.queries:
        return "No queries for these names were seen in the window"
    return (
        f"{number(flows.queries)} queries from {flows.networks:,} client networks for "
        f"{flows.names:,} names of the case, and where these led"
    )


def _said(flows: _Flows, facts: MapFacts) -> str:
    first = flows.columns[1][0].words if flows.columns[1] else "none"
    return f"Traffic of {facts.heading}: {_summary(flows)}; most asked: {legible(first, 80)}"
