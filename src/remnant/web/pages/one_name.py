"""One name: its states and answers over time, who watches it, and who asks for it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from remnant.errors import CaseError, NoData, RemnantError
from remnant.web.access.gate import admits
from remnant.web.access.viewer import ANALYSTS
from remnant.web.name_path import STAR, name_of
from remnant.web.page import page
from remnant.web.pages.about import About, Freshness, about
from remnant.web.pages.names import NameRow, Vantage, name_row, tables_of
from remnant.web.problem import RESPONSES
from remnant.web.site import AskedBy
from remnant.web.strips import state_strip

if TYPE_CHECKING:
    from remnant.report.figures import Figure
    from remnant.web.site import Asked

__all__ = ["router"]

router = APIRouter(tags=["names"])

_MOST_RECORDS: Final = 200
_MOST_VERSIONS: Final = 20
_LARGE: Final = 1 << 20
"""Bytes of a case file of which earlier versions are not read for one page."""

_QUICK: Final = 10_000_000
"""Sightings up to which the clients of a name are counted by network without being asked for."""

_DRAWN: Final = {"svg": "image/svg+xml", "png": "image/png", "csv": "text/csv; charset=utf-8"}


class FigureQuery(BaseModel):
    """Which name, seen from where."""

    model_config = ConfigDict(extra="forbid")

    vantage: Vantage | None = None
    name: str = Field(max_length=1100)


class NameQuery(BaseModel):
    """Seen from where, and whether networks are counted."""

    model_config = ConfigDict(extra="forbid")

    vantage: Vantage | None = None
    networks: bool | None = Field(
        None, description="Count clients by network; default: where that is quick."
    )


class Custody(BaseModel):
    """What a version of the case file said of the name, from ``saved`` on (UTC)."""

    saved: datetime
    watched: bool
    role: str | None = None
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    source: str | None = None


class OneName(BaseModel):
    """What is known of one name.

    ``timeline`` and ``about_now`` come from passive DNS, registration data and response codes;
    ``records`` are passive DNS rows, those seen last first; ``days`` are queries and distinct
    clients of whole UTC days (null in a gap); ``networks`` count distinct clients of the whole
    window.
    """

    about: About
    fresh: Freshness
    name: str
    known: NameRow | None
    about_now: dict[str, Any] | None
    timeline: list[dict[str, Any]]
    custody: list[Custody]
    custody_problem: str | None
    records: list[dict[str, Any]]
    records_more: bool
    vantage: str | None
    vantages: list[str]
    days: list[dict[str, Any]]
    networks: list[dict[str, Any]] | None
    networks_more: bool
    figure: list[str] = Field(exclude=True)
    strip: str = Field(exclude=True)
    figure_facts: str


@page(
    router, "/cases/{case}/names/{name:path}", title="Name", roles=ANALYSTS, table="days",
    template="one_name",
)  # fmt: skip
def name(asked: AskedBy, case: str, name: str, query: Annotated[NameQuery, Query()]) -> OneName:
    r"""One name of a case; bytes that mean something in a path are written as ``\DDD``."""
    head = about(asked, case)
    folded = name_of(name)
    result, tables = tables_of(asked, case)
    told: dict[str, Any] = result.value or {}
    vantages: list[str] = told.get("vantages", [])
    vantage = query.vantage if query.vantage in vantages else next(iter(vantages), None)
    row = tables.name(vantage, folded) if tables is not None else None
    plain = folded.removeprefix("*.")
    server = tables.server("name", plain) if tables is not None else None
    records = _records(asked, plain)
    if tables is not None and row is None and server is None and not records:
        raise NoData(
            "this name is not known here",
            got=folded,
            expected="a name that the case watches, that was asked for, or that passive DNS holds",
            hint=f"/cases/{case}/names lists them",
        )
    count = told.get("sightings", 0) <= _QUICK if query.networks is None else query.networks
    traffic = _Traffic(asked, case, folded, vantage, networks=count)
    custody, custody_problem = _custody(asked, case, folded, row)
    timeline = [] if server is None else [_interval(one) for one in server["timeline"]]
    figure = traffic.figure(simulated=head.simulated)
    return OneName(
        about=head,
        fresh=Freshness.of(result),
        name=folded,
        known=None if row is None else name_row(row),
        about_now=server,
        timeline=timeline,
        custody=custody,
        custody_problem=custody_problem,
        records=records[:_MOST_RECORDS],
        records_more=len(records) > _MOST_RECORDS,
        vantage=vantage,
        vantages=vantages,
        days=traffic.days,
        networks=traffic.networks[: _Traffic.MOST] if count else None,
        networks_more=len(traffic.networks) > _Traffic.MOST,
        figure=[] if figure is None else [str(svg) for svg in figure.inline()],
        figure_facts="" if figure is None else figure.facts,
        strip=_strip(timeline),
    )


@router.get(
    "/cases/{case}/name-traffic.{ending}",
    response_class=Response,
    summary="Queries for a name per day, as a file",
    responses=RESPONSES | {200: {"content": {kind.split(";")[0]: {} for kind in _DRAWN.values()}}},
)
@admits(ANALYSTS)
def name_traffic(
    asked: AskedBy,
    case: str,
    ending: Literal["svg", "png", "csv"],
    query: Annotated[FigureQuery, Query()],
) -> Response:
    """The curve of one name as SVG, PNG or CSV."""
    from remnant.estimate.coverage import choose_vantage
    from remnant.report.drawing import PRINT, png, svg
    from remnant.report.text import to_csv

    asked.case(case)
    folded = name_of(query.name)
    with asked.site.snapshots.view(case) as view:
        vantage, simulated = choose_vantage(view, query.vantage), view.simulated
    figure = _Traffic(asked, case, folded, vantage).figure(simulated=simulated)
    if figure is None:
        raise NoData("there is no traffic to draw", where=case)
    data: str | bytes
    if ending == "csv":
        data = to_csv(figure.columns, figure.rows)
    else:
        spec = figure.specification(PRINT)
        data = svg(spec) if ending == "svg" else png(spec)
    return Response(
        data,
        media_type=_DRAWN[ending],
        headers={
            "content-disposition": f'attachment; filename="{case}-name.{ending}"',
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        },
    )


class _Traffic:
    """Queries and clients of one name, at one vantage."""

    MOST: Final = 20

    def __init__(
        self,
        asked: Asked,
        case: str,
        name: str,
        vantage: str | None,
        *,
        networks: bool = False,
    ) -> None:
        self.days: list[dict[str, Any]] = []
        self.networks: list[dict[str, Any]] = []
        self._name, self._vantage = name, vantage
        self._window: Any = None
        if vantage is None:
            return
        from remnant.estimate.coverage import by_step, default_window

        with asked.site.snapshots.view(case) as view:
            self._window = window = default_window(view)
            seen = self._by_day(view, window)
            for row in by_step(view, window, "day", vantage).to_pylist():
                blank = 0 if row["coverage"] else None
                queries, clients = seen.get(row["start"], (blank, blank))
                self.days.append(
                    {
                        "day": row["start"],
                        "queries": queries,
                        "clients": clients,
                        "coverage": row["coverage"],
                    }
                )
            if seen and networks:
                self.networks = self._by_network(view, window)

    def _by_day(self, view: Any, window: Any) -> dict[Any, tuple[int, int]]:
        from remnant import schema

        if self._name.startswith("*."):
            table = self._sightings(view, window)
            table = table.group_by(
                start=table.time.truncate("D").cast("timestamp('UTC', 6)")
            ).aggregate(queries=table.weight.sum(), clients=table.client.nunique())
        else:
            table = view.table(schema.ACTIVITY)
            table = table.filter(
                table.grain == "name",
                table.vantage == self._vantage,
                table.name == self._asked_for,
            )
        rows = table.select("start", "queries", "clients").to_pyarrow().to_pylist()
        return {row["start"]: (row["queries"], row["clients"]) for row in rows}

    def _by_network(self, view: Any, window: Any) -> list[dict[str, Any]]:
        import ibis

        from remnant import schema

        table = self._sightings(view, window)
        found = table.group_by("asn", "country").aggregate(
            queries=table.weight.sum(), clients=table.client.nunique()
        )
        found = found.order_by(ibis.desc("clients"), ibis.desc("queries"), "asn", "country")
        rows: list[dict[str, Any]] = found.limit(self.MOST + 1).to_pyarrow().to_pylist()
        numbers = sorted({row["asn"] for row in rows if row["asn"] is not None})
        known = view.table(schema.CLIENTS)
        known = known.filter(known.asn.isin(numbers or [-1]), known.as_name.notnull())
        known = known.group_by("asn").aggregate(as_name=known.as_name.max())
        names = {row["asn"]: row["as_name"] for row in known.to_pyarrow().to_pylist()}
        return [row | {"as_name": names.get(row["asn"])} for row in rows]

    def _sightings(self, view: Any, window: Any) -> Any:
        from remnant.estimate.traffic import sightings

        table = sightings(view, window, str(self._vantage))
        if self._name.startswith("*."):
            return table.filter(table.indicator == self._name)
        return table.filter(table.name == self._asked_for)

    @property
    def _asked_for(self) -> str:
        return "*" + self._name[len(STAR) :] if self._name.startswith(STAR) else self._name

    def figure(self, *, simulated: bool) -> Figure | None:
        """Return the curve; ``None`` where nothing was seen."""
        if not any(day["queries"] for day in self.days):
            return None
        from datetime import timedelta

        from remnant.estimate.coverage import COMPLETE
        from remnant.report import charts, wording
        from remnant.report.figures import Figure

        half = timedelta(hours=12)
        whole = [day["coverage"] is not None and day["coverage"] >= COMPLETE for day in self.days]
        points = [
            (
                day["day"] + half,
                float(day["queries"]) if ok and day["queries"] is not None else None,
            )
            for day, ok in zip(self.days, whole, strict=True)
        ]
        gaps = [
            (day["day"], day["day"] + 2 * half)
            for day, ok in zip(self.days, whole, strict=True)
            if not ok
        ]
        known = [value for _, value in points if value is not None]
        facts = [
            "queries per UTC day, counted",
            wording.window_words(self._window),
            f"seen by: {wording.VANTAGE_WORDS.get(str(self._vantage), (self._vantage, ''))[0]}",
            f"data as of {wording.day(self._window.until - timedelta(microseconds=1))}",
            *(["shaded: gaps"] if gaps else []),
        ]
        return Figure(
            key="name",
            title=f"Queries for {wording.legible(self._name, 80)} per day",
            facts=" · ".join(["SIMULATED", *facts] if simulated else facts),
            label=f"Queries per day: {len(known)} days are drawn, most "
            f"{wording.number(max(known, default=None))}, last "
            f"{wording.number(known[-1] if known else None)}.",
            columns=("day", "queries", "clients", "coverage"),
            rows=tuple(
                (f"{d['day']:%Y-%m-%d}", d["queries"], d["clients"], d["coverage"])
                for d in self.days
            ),
            draw=lambda frame: charts.curve(points, self._window, frame, gaps=gaps),
            height=220,
        )


def _records(asked: Asked, name: str) -> list[dict[str, Any]]:
    """Return passive DNS rows of a name, those seen last first; one more than is shown."""
    from remnant.infrastructure.passive_dns import lookup
    from remnant.store import Store

    try:
        with Store.open(asked.site.settings) as store:
            return lookup(store, name, limit=_MOST_RECORDS + 1)
    except RemnantError:
        return []


def _interval(one: dict[str, Any]) -> dict[str, Any]:
    from remnant.windows import parse_time

    times = {key: parse_time(one[key]) for key in ("since", "until")}
    kept = ("state", "whose", "also", "evidence", "sensors")
    return times | {key: one[key] for key in kept}


def _strip(timeline: list[dict[str, Any]]) -> Any:
    from remnant.windows import Window

    if not timeline:
        return ""
    return state_strip(timeline, Window(timeline[0]["since"], timeline[-1]["until"]))


def _custody(
    asked: Asked, case: str, name: str, row: dict[str, Any] | None
) -> tuple[list[Custody], str | None]:
    """Return what the versions of the case file said of a name, oldest first, changes only."""
    from remnant.cases import casefile

    library = asked.site.library
    rule = name if row is None or row["kind"] != "seen" else str(row["rule"] or name)
    found: list[Custody] = []
    versions = library.versions(case)
    if any(version.path.stat().st_size > _LARGE for version in versions):
        return [], "the case file is too large to read its earlier versions for one name"
    for version in versions[-_MOST_VERSIONS:]:
        try:
            loaded = casefile.load(version.path)
        except CaseError:
            continue
        watch = next((w for w in loaded.watches if rule in w.names), None)
        said = Custody(saved=version.saved, watched=False)
        if watch is not None:
            said = Custody(
                saved=version.saved,
                watched=True,
                role=watch.role,
                state=watch.state,
                since=watch.since,
                until=watch.until,
                source=watch.source,
            )
        same = said.model_dump(exclude={"saved"})
        if found and found[-1].model_dump(exclude={"saved"}) == same:
            continue
        if found or said.watched:
            found.append(said)
    return found, None
