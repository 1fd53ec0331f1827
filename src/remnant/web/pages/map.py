"""The map of a case: what its names and addresses are joined to, drawn, as tables, and as files."""

from __future__ import annotations

import gzip
import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from remnant.web.access.gate import admits
from remnant.web.access.viewer import ANALYSTS
from remnant.web.answers import Body, send
from remnant.web.page import page
from remnant.web.pages.about import About, about, there
from remnant.web.problem import RESPONSES
from remnant.web.results.mapped import facts_of, unpacked, whole
from remnant.web.site import AskedBy

if TYPE_CHECKING:
    from remnant.web.results.results import Result
    from remnant.web.site import Asked

__all__ = ["Candidate", "map_of", "router"]

router = APIRouter(tags=["map"])

_FILES: Final = (
    ("svg", "Picture (SVG)", "as in the report, for print"),
    ("png", "Picture (PNG)", "twice the pixels"),
    ("nodes.csv", "Things (CSV)", "one row each"),
    ("edges.csv", "Relations (CSV)", "one row each"),
    ("graphml", "GraphML", "for Gephi, Cytoscape, yEd, NetworkX"),
    ("gexf", "GEXF", "for Gephi, with positions and times"),
    ("stix", "STIX 2.1", "for sharing, TLP:AMBER"),
    ("misp", "MISP event", "for sharing, TLP:AMBER"),
    ("viewer", "Viewer JSON", "what this page draws"),
)
_TYPES: Final = {
    "svg": ("image/svg+xml", "svg"),
    "png": ("image/png", "png"),
    "nodes.csv": ("text/csv; charset=utf-8", "csv"),
    "edges.csv": ("text/csv; charset=utf-8", "csv"),
    "graphml": ("application/xml", "graphml"),
    "gexf": ("application/xml", "gexf"),
    "stix": ("application/json", "json"),
    "misp": ("application/json", "json"),
    "viewer": ("application/json", "json"),
}
_FILE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""What a picture that is opened by itself may do: its attributes are its look, nothing runs."""

Format = Literal[
    "svg", "png", "nodes.csv", "edges.csv", "graphml", "gexf", "stix", "misp", "viewer"
]


class MapView(BaseModel):
    """What the viewer keeps in the address; the server's answer does not depend on it."""

    model_config = ConfigDict(extra="forbid")

    node: Annotated[str | None, Field(max_length=300)] = None
    colour: Annotated[str | None, Field(max_length=20)] = None
    size: Annotated[str | None, Field(max_length=20)] = None
    fold: Annotated[str | None, Field(max_length=10)] = None
    open: Annotated[list[Annotated[str, Field(max_length=300)]], Field(max_length=20)] = []
    hide: Annotated[str | None, Field(max_length=200)] = None
    day: Annotated[str | None, Field(max_length=10)] = None
    at: Annotated[str | None, Field(max_length=60)] = None


class Of(BaseModel):
    """Of which map a part is asked for."""

    model_config = ConfigDict(extra="forbid")

    made: AwareDatetime | None = Field(
        None, description="When it was made; 409 where there is a newer one. Default: the newest."
    )


class Kind(BaseModel):
    """How many things of a kind are on the map."""

    kind: str
    words: str
    number: int


class Candidate(BaseModel):
    """A thing closely joined to the seeds: a lead, no finding. Scores give an order only."""

    rank: int
    kind: str
    value: str
    score: float
    reasons: list[str]
    also: list[str] = []


class LeftOut(BaseModel):
    """Records that are not on the map."""

    what: str
    reason: str
    number: int


class File(BaseModel):
    """The map as a file."""

    title: str
    path: str
    use: str


class MapPage(BaseModel):
    """A map: ready, being worked out, empty, or not to be worked out; times are UTC.

    ``observed`` is false where nothing but the traffic is known; ``made_current`` where nothing was
    stored since.
    """

    about: About
    state: Literal["ready", "working", "nothing", "problem"]
    problem: str | None = None
    made: datetime | None = None
    made_current: bool = False
    observed: bool = False
    things: int = 0
    relations: int = 0
    seeds: int = 0
    hubs: int = 0
    facts_line: str = ""
    has_days: bool = False
    has_figure: bool = False
    kinds: list[Kind] = []
    candidates: list[Candidate] = []
    notes: list[str] = []
    left_out: list[LeftOut] = []
    files: list[File] = []


@page(router, "/cases/{case}/map", title="Map", roles=ANALYSTS, table="candidates")
def map(asked: AskedBy, case: str, query: Annotated[MapView, Query()]) -> MapPage:  # noqa: A001 - the page's name
    """Return what is on the map of a case, its candidates, and where its files lie.

    What the viewer draws is at ``map/viewer.json``.
    """
    del query
    return _answer(asked, case, about(asked, case), map_of(asked, case))


def map_of(asked: Asked, case: str) -> Result:
    """Return the map as it was last worked out; analysts see all of it."""
    return asked.site.results.get(case, "map", internal=True)


def _answer(asked: Asked, case: str, head: About, found: Result) -> MapPage:
    del asked
    value = found.value
    if value is None:
        if found.problem:
            return MapPage(about=head, state="problem", problem=found.problem)
        return MapPage(about=head, state="working")
    if not value["things"]:
        return MapPage(about=head, state="nothing", made=value["made"])
    from remnant.report.mapfacts import KIND_WORDS

    return MapPage(
        about=head,
        state="ready",
        made=value["made"],
        made_current=found.is_current,
        observed=value["observed"],
        things=value["things"],
        relations=value["relations"],
        seeds=value["seeds"],
        hubs=value["hubs"],
        facts_line=value["line"],
        has_days=value["days"] is not None,
        has_figure=value["figure"] is not None,
        kinds=[
            Kind(kind=kind, words=KIND_WORDS[kind][number != 1], number=number)
            for kind, number in value["kinds"]
        ],
        candidates=[Candidate.model_validate(row) for row in value["candidates"]],
        notes=value["notes"],
        left_out=[
            LeftOut(what=str(row["what"]), reason=str(row["reason"]), number=int(row["count"]))
            for row in value["left_out"]
        ],
        files=[
            File(title=title, path=f"/cases/{case}/map/export/{key}", use=use)
            for key, title, use in _FILES
            if key not in {"svg", "png"} or value["figure"] is not None
        ],
    )


@router.get(
    "/cases/{case}/map/viewer.json",
    responses=RESPONSES,
    response_class=Response,
    summary="The map for the viewer",
)
@admits(ANALYSTS)
def viewer(asked: AskedBy, case: str, query: Annotated[Of, Query()]) -> Response:
    """Return the folded map with positions: columns as ``remnant map --format viewer`` has them.

    And ``nodes.score``: thousandths of the ranking's score.
    """
    return _part(asked, case, "viewer", made=query.made)


@router.get(
    "/cases/{case}/map/members.json",
    responses=RESPONSES,
    response_class=Response,
    summary="What folded things stand for",
)
@admits(ANALYSTS)
def members(asked: AskedBy, case: str, query: Annotated[Of, Query()]) -> Response:
    """Return the members of folded things and their relations, numbered on from the viewer's."""
    return _part(asked, case, "members", made=query.made)


@router.get(
    "/cases/{case}/map/days.json",
    responses=RESPONSES,
    response_class=Response,
    summary="Requests on the map, day by day",
)
@admits(ANALYSTS)
def days(asked: AskedBy, case: str, query: Annotated[Of, Query()]) -> Response:
    """Return queries and distinct clients of each day for the relations with most queries.

    Null on days on which no sensor delivered; distinct clients do not add up.
    """
    return _part(asked, case, "days", made=query.made)


@router.get("/cases/{case}/map/figure.svg", include_in_schema=False)
@admits(ANALYSTS)
def figure(asked: AskedBy, case: str) -> Response:
    """Return the picture of the map."""
    answer = _part(asked, case, "figure", "image/svg+xml")
    answer.headers["content-security-policy"] = _FILE_POLICY
    return answer


@router.get(
    "/cases/{case}/map/export/{format}",
    responses=RESPONSES,
    response_class=Response,
    summary="The map as a file",
)
@admits(ANALYSTS)
def export(asked: AskedBy, case: str, format: Format) -> Response:  # noqa: A002 - in the path
    """Return the whole map in a format of graph programs, of exchange, or of print."""
    from remnant.report.mapexport import csv_tables, map_bytes, png

    value = _value(asked, case)
    if format in {"svg", "png"} and value["figure"] is None:
        raise HTTPException(404, "the map is too large for a picture")
    if format == "viewer":
        data = gzip.decompress(unpacked(value["viewer"]))
    elif format in {"svg", "png"}:
        drawn = gzip.decompress(unpacked(value["figure"]))
        data = drawn if format == "svg" else png(drawn.decode())
    elif format.endswith(".csv"):
        data = csv_tables(whole(value))[format == "edges.csv"].encode()
    else:
        data = map_bytes(whole(value), value["candidates"], format, facts=facts_of(value))
    kind, ending = _TYPES[format]
    stem = f"{case}-map" + {"nodes.csv": "-nodes", "edges.csv": "-edges"}.get(format, "")
    if ending == "json" and format != "viewer":
        stem += f"-{format}"
    headers = {"content-disposition": f'attachment; filename="{stem}.{ending}"'}
    if format == "svg":
        headers["content-security-policy"] = _FILE_POLICY
    return Response(data, media_type=kind, headers=headers)


def _value(asked: Asked, case: str) -> dict[str, Any]:
    """Return the map of a case, which must be there.

    Raises:
        HTTPException: 404, there is none; 503, it is being worked out.
    """
    asked.case(case)
    return there(map_of(asked, case), "map")


def _part(
    asked: Asked,
    case: str,
    part: str,
    kind: str = "application/json",
    *,
    made: datetime | None = None,
) -> Response:
    """Return a packed part of the map as it is kept, compressed, where the browser takes that.

    Raises:
        HTTPException: as ``_value``; 404, the map has no such part; 409, it is not the map that
            was made at that time.
    """
    value = _value(asked, case)
    if made is not None and made != datetime.fromisoformat(value["made"]):
        raise HTTPException(409, "a newer map is there")
    text = value[part]
    if text is None:
        raise HTTPException(404, f"this map has no {part}")
    packed = unpacked(text)
    tag = hashlib.blake2b(packed, digest_size=12).hexdigest()
    if "gzip" in asked.request.headers.get("accept-encoding", ""):
        # Kept compressed: what it is without that need not be made.
        return send(asked.request, Body(b"", packed, kind, tag, personal=False, headers={}))
    plain = gzip.decompress(packed)
    return send(asked.request, Body(plain, None, kind, tag, personal=False, headers={}))
