"""Reports: have one made, see how far it is, download it; figures, maps and data as files."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Form, HTTPException, Path, Response
from fastapi.responses import FileResponse, RedirectResponse
from pydantic import BaseModel

from remnant.web.access.audit import Action, audit
from remnant.web.access.gate import admits
from remnant.web.access.viewer import ANALYSTS
from remnant.web.making.made import ENDINGS, Wish
from remnant.web.making.making import Making
from remnant.web.page import page
from remnant.web.pages.about import About, about
from remnant.web.pages.names import Vantage
from remnant.web.problem import RESPONSES
from remnant.web.site import AskedBy

if TYPE_CHECKING:
    from remnant.web.making.made import Made
    from remnant.web.site import Asked

__all__ = ["router"]

router = APIRouter(tags=["reports"])

Kind = Literal[
    "report",
    "figures",
    "map-graphml",
    "map-gexf",
    "map-stix",
    "map-misp",
    "map-csv",
    "map-svg",
    "map-png",
]
_WORDS: Final = {
    "report": "Report (HTML)",
    "figures": "All figures (ZIP of SVG, PNG, CSV)",
    "map-graphml": "Map (GraphML)",
    "map-gexf": "Map (GEXF)",
    "map-stix": "Map (STIX 2.1)",
    "map-misp": "Map (MISP event)",
    "map-csv": "Map (ZIP of CSV)",
    "map-svg": "Map (SVG)",
    "map-png": "Map (PNG)",
}
_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "zip": "application/zip",
    "graphml": "application/xml",
    "gexf": "application/xml",
    "json": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
}
_ALONE: Final = (
    "sandbox{scripts}; default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; "
    "{script_src}base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a report may do when it is shown here: it is nobody's page, and asks for nothing."""

IdPart = Annotated[str, Path(max_length=60, pattern=r"^[a-z0-9-]+$", description="Its id.")]


class ReportRow(BaseModel):
    """One file that was made or is being made; times are UTC, the window's end is exclusive."""

    id: str
    kind: str
    title: str
    state: str
    stage: str
    problem: str | None
    by: str
    asked: datetime
    finished: datetime | None
    seconds: float | None
    since: str | None
    until: str | None
    vantage: str | None
    internal: bool | None
    interactive: bool
    bytes: int | None
    digest: str | None
    simulated: bool
    file: str | None
    shown: str | None


class Export(BaseModel):
    """Data that are written out while they are sent; how large they are is not known before."""

    title: str
    path: str


class Reports(BaseModel):
    """What was made for a case, the newest first."""

    about: About
    reports: list[ReportRow]
    open: int
    kinds: list[tuple[str, str]]
    vantages: list[str]
    window: list[datetime] | None
    exports: list[Export]
    minimum_count: int


@page(
    router,
    "/cases/{case}/reports",
    title="Reports",
    roles=ANALYSTS,
    table="reports",
    kept=False,
)
def reports(asked: AskedBy, case: str) -> Reports:
    """Reports, figures and maps that were made or are being made, and data to download."""
    from remnant.errors import NoData
    from remnant.estimate.coverage import default_window, vantages

    head = about(asked, case)
    shelf = Making.of(asked.request.app).shelf
    rows = [_row(made) for made in shelf.list(case)]
    present: list[str] = []
    window = None
    with asked.site.snapshots.view(case) as view:
        if view.sources:
            present = vantages(view)
            try:
                whole = default_window(view)
                window = [whole.since, whole.until]
            except NoData:
                window = None
    return Reports(
        about=head,
        reports=rows,
        open=sum(row.state in {"waiting", "working"} for row in rows),
        kinds=list(_WORDS.items()),
        vantages=present,
        window=window,
        exports=[] if head.stored is None else _exports(case),
        minimum_count=asked.site.settings.report.minimum_count,
    )


@router.post(
    "/cases/{case}/reports",
    status_code=303,
    response_class=RedirectResponse,
    summary="Have a report, figures or a map made",
    responses=RESPONSES,
)
@admits(ANALYSTS, records=Action.REPORT_MADE)
def make_report(
    asked: AskedBy,
    case: str,
    kind: Annotated[Kind, Form()] = "report",
    since: Annotated[str, Form(max_length=40, description="A date, or a time with a zone.")] = "",
    until: Annotated[str, Form(max_length=40, description="Exclusive.")] = "",
    vantage: Annotated[Vantage | Literal[""], Form()] = "",
    internal: Annotated[bool, Form(description="Show small counts; not for publication.")] = False,
    interactive: Annotated[bool, Form(description="Figures that can be explored.")] = False,
) -> RedirectResponse:
    """Put a file on the list of what is to be made; it is made beside the server."""
    from remnant.windows import Window, parse_time

    asked.case(case)
    start = parse_time(since.strip()) if since.strip() else None
    end = parse_time(until.strip()) if until.strip() else None
    if start is not None and end is not None:
        Window(start, end)
    wish = Wish(
        kind=kind,
        since=since.strip(),
        until=until.strip(),
        vantage=vantage,
        internal=internal,
        interactive=interactive and kind == "report",
    )
    audit(asked.request, Action.REPORT_MADE, f"{case} {kind}{' internal' if internal else ''}")
    Making.of(asked.request.app).ask(case, wish, asked.viewer.name)
    return RedirectResponse(f"/cases/{case}/reports", 303)


@router.get(
    "/cases/{case}/reports/{id_}/file",
    response_class=FileResponse,
    summary="Download a file that was made",
    responses=RESPONSES,
)
@admits(ANALYSTS)
def download(asked: AskedBy, case: str, id_: IdPart) -> Response:
    """The file, to be saved."""
    made, path = _found(asked, case, id_)
    audit(asked.request, Action.REPORT_DOWNLOADED, f"{case} {id_}")
    return FileResponse(
        path,
        media_type=_TYPES[made.ending],
        filename=f"{case}-{made.wish.kind}-{_day(made)}.{made.ending}",
        headers={
            "content-security-policy": _alone(interactive=False),
            "cache-control": "no-store",
        },
    )


@router.get(
    "/cases/{case}/reports/{id_}/shown",
    response_class=FileResponse,
    summary="Show a report",
    responses=RESPONSES,
)
@admits(ANALYSTS)
def shown(asked: AskedBy, case: str, id_: IdPart) -> Response:
    """A report as a page of its own, in a sandbox: its origin is not this server's."""
    made, path = _found(asked, case, id_)
    if made.ending != "html":
        raise HTTPException(409, "only reports are shown; others are downloaded")
    audit(asked.request, Action.REPORT_DOWNLOADED, f"{case} {id_} shown")
    return FileResponse(
        path,
        media_type=_TYPES["html"],
        headers={
            "content-security-policy": _alone(interactive=made.wish.interactive),
            "cache-control": "no-store",
        },
    )


@router.post(
    "/cases/{case}/reports/{id_}/delete",
    status_code=303,
    response_class=RedirectResponse,
    summary="Delete a file that was made",
    responses=RESPONSES,
)
@admits(ANALYSTS, records=Action.REPORT_DELETED)
def delete_report(asked: AskedBy, case: str, id_: IdPart) -> RedirectResponse:
    """Delete a file, or what is still to be made; it cannot be taken back."""
    asked.case(case)
    making = Making.of(asked.request.app)
    made = making.shelf.get(case, id_)
    audit(asked.request, Action.REPORT_DELETED, f"{case} {id_} ({made.wish.kind})")
    making.remove(made)
    return RedirectResponse(f"/cases/{case}/reports", 303)


def _found(asked: Asked, case: str, id_: str) -> tuple[Made, Any]:
    asked.case(case)
    shelf = Making.of(asked.request.app).shelf
    made = shelf.get(case, id_)
    return made, shelf.path(made)


def _alone(*, interactive: bool) -> str:
    # The report's own policy names the hashes of its scripts; both policies hold.
    return _ALONE.format(
        scripts=" allow-scripts" if interactive else "",
        script_src="script-src 'unsafe-inline'; " if interactive else "",
    )


def _day(made: Made) -> str:
    return made.asked[:10]


def _row(made: Made) -> ReportRow:
    base = f"/cases/{made.case}/reports/{made.id}"
    done = made.state == "done"
    elsewhere = made.id == "elsewhere"
    return ReportRow(
        id=made.id,
        kind=made.wish.kind,
        title=_WORDS[made.wish.kind],
        state=made.state,
        stage=made.stage,
        problem=made.problem,
        by=made.by,
        asked=datetime.fromisoformat(made.asked),
        finished=None if made.finished is None else datetime.fromisoformat(made.finished),
        seconds=made.seconds,
        since=made.window[0] if made.window else (made.wish.since or None),
        until=made.window[1] if made.window else (made.wish.until or None),
        vantage=made.vantage or made.wish.vantage or None,
        internal=None if elsewhere else made.wish.internal,
        interactive=made.wish.interactive,
        bytes=made.bytes,
        digest=made.digest,
        simulated=made.simulated,
        file=f"{base}/file" if done else None,
        shown=f"{base}/shown" if done and ENDINGS[made.wish.kind] == "html" else None,
    )


def _exports(case: str) -> list[Export]:
    base = f"/cases/{case}/exports"
    found = [
        ("Traffic by hour", "traffic.csv?by=hour"),
        ("Traffic by day", "traffic.csv?by=day"),
        ("Traffic by name", "traffic.csv?by=name"),
        ("Traffic by network", "traffic.csv?by=network"),
        ("Traffic by country", "traffic.csv?by=country"),
        ("Traffic by sensor", "traffic.csv?by=sensor"),
        ("Names beside the list", "unlisted.csv"),
        ("Clients: addresses that were seen", "clients.csv"),
        ("Servers, with whom to ask", "servers.csv"),
    ]
    return [Export(title=title, path=f"{base}/{path}") for title, path in found]
