r"""The map as GraphML and as GEXF 1.3, for Gephi, Cytoscape, yEd, networkx and their like.

Both carry every column of the nodes and edges; nulls are left out. Node ids are ``n`` and the
number of the node, edge ids ``e`` and that of the edge. GEXF gives each node and edge its life, so
that Gephi's time line works, and positions where there is a layout. Characters that XML cannot hold
are written as ``\xNN``.

References:
    GraphML Specification 1.0, graphml.graphdrawing.org; GEXF 1.3, gexf.net.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape, quoteattr

from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from remnant.infrastructure.graph import Graph
    from remnant.infrastructure.layout import Layout
    from remnant.report.mapfacts import MapFacts

__all__ = ["EDGE_FIELDS", "NODE_FIELDS", "gexf", "graphml"]

NODE_FIELDS: Final = {
    **dict.fromkeys(("kind", "value", "label", "role", "state", "hub", "country"), "string"),
    "seed": "boolean",
    **dict.fromkeys(("hop", "degree", "asn"), "long"),
    **dict.fromkeys(("time_first", "time_last"), "string"),
}
"""Column of a node -> its type in GraphML and GEXF."""

EDGE_FIELDS: Final = {
    "type": "string",
    **dict.fromkeys(("count", "clients"), "long"),
    **dict.fromkeys(("time_first", "time_last", "sensors", "sources"), "string"),
}
"""Column of an edge -> its type; lists are joined by a comma and a space."""

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_RETURNS: Final = {"\r": "&#13;"}


def graphml(graph: Graph, facts: MapFacts) -> str:
    """Return the map as a GraphML document."""
    return "".join(_graphml(graph, facts))


def gexf(graph: Graph, facts: MapFacts, layout: Layout | None = None) -> str:
    """Return the map as a GEXF 1.3 document, dynamic, with positions where there is a layout."""
    return "".join(_gexf(graph, facts, layout))


def _graphml(graph: Graph, facts: MapFacts) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
    for owner, fields in (("node", NODE_FIELDS), ("edge", EDGE_FIELDS)):
        for name, kind in fields.items():
            yield f'<key id="{owner[0]}_{name}" for="{owner}" attr.name="{name}" '
            yield f'attr.type="{kind}"/>\n'
    yield f'<graph id={_attribute(facts.case)} edgedefault="directed">\n'
    yield f"<desc>{_text(_about(facts))}</desc>\n"
    for number, row in enumerate(_rows(graph.nodes, NODE_FIELDS)):
        yield f'<node id="n{number}">'
        yield from _data("n", row)
        yield "</node>\n"
    ends = zip(graph.tails.tolist(), graph.heads.tolist(), strict=True)
    for number, ((tail, head), row) in enumerate(
        zip(ends, _rows(graph.edges, EDGE_FIELDS), strict=True)
    ):
        yield f'<edge id="e{number}" source="n{tail}" target="n{head}">'
        yield from _data("e", row)
        yield "</edge>\n"
    yield "</graph>\n</graphml>\n"


def _data(prefix: str, row: dict[str, Any]) -> Iterator[str]:
    for name, value in row.items():
        yield f'<data key="{prefix}_{name}">{_text(_written(value))}</data>'


def _gexf(graph: Graph, facts: MapFacts, layout: Layout | None) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield '<gexf xmlns="http://gexf.net/1.3" xmlns:viz="http://gexf.net/1.3/viz" version="1.3">\n'
    yield f'<meta lastmodifieddate="{facts.made:%Y-%m-%d}"><creator>Remnant</creator>'
    yield f"<description>{_text(_about(facts))}</description></meta>\n"
    yield '<graph mode="dynamic" defaultedgetype="directed" timeformat="date">\n'
    for owner, fields in (("node", NODE_FIELDS), ("edge", EDGE_FIELDS)):
        yield f'<attributes class="{owner}" mode="static">\n'
        for name, kind in fields.items():
            # "label" and "type" are words of the format itself.
            title = {"label": "called", "type": "relation"}.get(name, name)
            yield f'<attribute id="{owner[0]}_{name}" title="{title}" type="{kind}"/>\n'
        yield "</attributes>\n"
    yield "<nodes>\n"
    for number, row in enumerate(_rows(graph.nodes, NODE_FIELDS)):
        label = _attribute(str(row.get("value", "")))
        yield f'<node id="n{number}" label={label}{_life(row)}>'
        yield from _attvalues("n", row)
        if layout is not None:
            x, y = layout.positions[number].tolist()
            yield f'<viz:position x="{x:.2f}" y="{-y:.2f}" z="0.0"/>'
            yield f'<viz:size value="{layout.radii[number]:.2f}"/>'
        yield "</node>\n"
    yield "</nodes>\n<edges>\n"
    ends = zip(graph.tails.tolist(), graph.heads.tolist(), strict=True)
    for number, ((tail, head), row) in enumerate(
        zip(ends, _rows(graph.edges, EDGE_FIELDS), strict=True)
    ):
        kind = _attribute(str(row.get("type", "")))
        yield f'<edge id="e{number}" source="n{tail}" target="n{head}" kind={kind}{_life(row)}>'
        yield from _attvalues("e", row)
        yield "</edge>\n"
    yield "</edges>\n</graph>\n</gexf>\n"


def _attvalues(prefix: str, row: dict[str, Any]) -> Iterator[str]:
    yield "<attvalues>"
    for name, value in row.items():
        yield f'<attvalue for="{prefix}_{name}" value={_attribute(_written(value))}/>'
    yield "</attvalues>"


def _life(row: dict[str, Any]) -> str:
    """Return the start and end of a node or edge as attributes, where they are known."""
    ends = (("start", row.get("time_first")), ("end", row.get("time_last")))
    return "".join(f' {name}="{time}"' for name, time in ends if time is not None)


def _rows(table: pa.Table, fields: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield rows without nulls, times as ISO 8601, lists joined."""
    for batch in table.select(list(fields)).to_batches(10_000):
        for row in batch.to_pylist():
            yield {name: _plain(value) for name, value in row.items() if value is not None}


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a column
    if isinstance(value, list):
        return ", ".join(value)
    return iso(value) if hasattr(value, "isoformat") else value


def _written(value: Any) -> str:  # noqa: ANN401 - any value of a column
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


def _about(facts: MapFacts) -> str:
    return f"{facts.heading}: {facts.line}"


def _clean(text: str) -> str:
    return _NOT_XML.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def _text(text: str) -> str:
    return escape(_clean(text), _RETURNS)


def _attribute(text: str) -> str:
    return quoteattr(_clean(text))
