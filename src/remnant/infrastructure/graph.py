"""A map: things, and the relations between them while they were observed.

Both are tables (``schema.NODES``, ``schema.EDGES``), so that a map of millions of relations stays
columns. A node's number is its row. Relations have a direction and a type; those who walk the map
(ranking, layout, folding) take it as undirected.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.schema import EDGES, LEFT_OUT, NODES

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.windows import Window

__all__ = ["EDGE_TYPES", "KINDS", "Graph"]

KINDS: Final = (
    "name",
    "domain",
    "address",
    "prefix",
    "asn",
    "name_server",
    "mail_exchanger",
    "sinkhole",
    "client_network",
)
"""What a node can be. A sinkhole is an address or name server that is known to be one."""

EDGE_TYPES: Final = (
    "resolves_to",
    "alias_of",
    "below",
    "served_by",
    "mail_by",
    "in_prefix",
    "in_asn",
    "sinkholed_at",
    "asks",
)
"""What an edge can be: name to address; CNAME; name to its registered domain; domain or name to
name server or mail exchanger; address to prefix; prefix to AS; name to sinkhole; client network to
name."""


@dataclass(frozen=True)
class Graph:
    """A map of an infrastructure.

    Attributes:
        nodes: columns of ``schema.NODES``.
        edges: columns of ``schema.EDGES``; at most one row for each (tail, head, type).
        left_out: columns of ``schema.LEFT_OUT``: what was found and is not on the map, and why.
    """

    nodes: pa.Table
    edges: pa.Table
    left_out: pa.Table = field(default_factory=LEFT_OUT.empty)

    @classmethod
    def empty(cls) -> Graph:
        """Return a map of nothing."""
        return cls(NODES.empty(), EDGES.empty())

    def __len__(self) -> int:
        """Return the number of nodes."""
        return int(self.nodes.num_rows)

    @cached_property
    def tails(self) -> npt.NDArray[np.int32]:
        """The node that each edge goes from: int32[edges]."""
        return _numbers(self.edges["tail"])

    @cached_property
    def heads(self) -> npt.NDArray[np.int32]:
        """The node that each edge goes to: int32[edges]."""
        return _numbers(self.edges["head"])

    @cached_property
    def kinds(self) -> list[str]:
        """The kind of each node, one of KINDS."""
        return [str(kind) for kind in self.nodes["kind"].cast(pa.string()).to_pylist()]

    @cached_property
    def firsts(self) -> npt.NDArray[np.datetime64]:
        """When each edge was seen first: datetime64[us][edges], UTC; NaT where not dated."""
        return _times(self.edges["time_first"])

    @cached_property
    def lasts(self) -> npt.NDArray[np.datetime64]:
        """When each edge was seen last: datetime64[us][edges], UTC; NaT where not dated."""
        return _times(self.edges["time_last"])

    @cached_property
    def seeds(self) -> npt.NDArray[np.int64]:
        """Numbers of the seeds, ascending: int64[seeds]."""
        return np.flatnonzero(self.nodes["seed"].to_numpy())

    @cached_property
    def hubs(self) -> npt.NDArray[np.bool_]:
        """Whether each node joins nothing: bool[nodes]."""
        return np.asarray(pc.is_valid(self.nodes["hub"]).to_numpy(), dtype=np.bool_)

    @property
    def is_observed(self) -> bool:
        """Whether a sensor saw any relation; those of names to domains and networks say nothing."""
        return self.edges["time_first"].null_count < self.edges.num_rows

    def during(self, window: Window) -> Graph:
        """Return the map of a window: edges seen in it, or not dated; the nodes stay the same.

        An edge was seen from its first to its last time; whether it was there all the while
        nobody knows.
        """
        start, end = (
            np.datetime64(t.replace(tzinfo=None), "us") for t in (window.since, window.until)
        )
        kept = ~(self.firsts >= end) & ~(self.lasts < start)  # no time compares false: kept
        return Graph(self.nodes, self.edges.filter(pa.array(kept)), self.left_out)


def _numbers(column: pa.ChunkedArray[Any]) -> npt.NDArray[np.int32]:
    return np.asarray(column.to_numpy(), dtype=np.int32)


def _times(column: pa.ChunkedArray[Any]) -> npt.NDArray[np.datetime64]:
    return np.asarray(column.cast(pa.timestamp("us")).to_numpy(), dtype="datetime64[us]")
