"""The figures of a case as JSON, CSV, SVG and PNG, and Vega for those who ask to explore one."""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Path, Query, Response
from pydantic import BaseModel

from remnant.web.access.gate import admits
from remnant.web.access.viewer import EVERYONE
from remnant.web.curves.asked import Span, chosen
from remnant.web.exports import exports
from remnant.web.page import to_csv
from remnant.web.pages.about import there
from remnant.web.problem import RESPONSES
from remnant.web.site import AskedBy

if TYPE_CHECKING:
    from collections.abc import Callable

    from remnant.web.site import Asked

__all__ = ["router"]

router = APIRouter(tags=["figures"])

Key = Annotated[str, Path(pattern=r"^[a-z_]{1,24}$")]
Chosen = Annotated[Span, Query()]

_TYPES: Final = {"svg": "image/svg+xml", "png": "image/png", "vega": "application/json"}
_YEAR_S: Final = 31_536_000
_turn: Final = threading.Lock()


class FigureData(BaseModel):
    """A figure: its title, what stands beside it, and its numbers as published.

    ``facts`` says unit, window, vantage and age of the data; ``note`` what marks and shades mean;
    ``label`` what one would say about it to somebody who cannot see it. In ``rows`` a null is a gap
    or not known, never zero; text stands for a hidden count.
    """

    case: str
    key: str
    title: str
    facts: str
    note: str
    label: str
    columns: list[str]
    rows: list[dict[str, Any]]


@router.get("/cases/{case}/figures/{key}.json", summary="Figure", responses=RESPONSES)
@admits(EVERYONE)
def figure_json(asked: AskedBy, case: str, key: Key, span: Chosen) -> FigureData:
    """Return the numbers of a figure."""
    return _found(asked, case, key, span)[0]


@router.get(
    "/cases/{case}/figures/{key}.csv",
    summary="Figure, as CSV",
    responses=RESPONSES | {200: {"content": {"text/csv": {}}}},
    response_class=Response,
)
@admits(EVERYONE)
def figure_csv(asked: AskedBy, case: str, key: Key, span: Chosen) -> Response:
    """Return the numbers of a figure as CSV: the rows of its JSON."""
    found = _found(asked, case, key, span)[0]
    return Response(
        to_csv(found.rows),
        media_type="text/csv; charset=utf-8",
        headers=_named(case, key, "csv"),
    )


@router.get(
    "/cases/{case}/figures/{key}.svg",
    summary="Figure, as SVG",
    responses=RESPONSES | {200: {"content": {"image/svg+xml": {}}}},
    response_class=Response,
)
@admits(EVERYONE)
def figure_svg(asked: AskedBy, case: str, key: Key, span: Chosen) -> Response:
    """Return a figure as SVG, with title, unit, window and age of the data in it."""
    return _file(asked, case, key, span, "svg")


@router.get(
    "/cases/{case}/figures/{key}.png",
    summary="Figure, as PNG",
    responses=RESPONSES | {200: {"content": {"image/png": {}}}},
    response_class=Response,
)
@admits(EVERYONE)
def figure_png(asked: AskedBy, case: str, key: Key, span: Chosen) -> Response:
    """Return a figure as PNG of two device pixels per CSS pixel."""
    return _file(asked, case, key, span, "png")


@router.get("/cases/{case}/figures/{key}.vega", include_in_schema=False)
@admits(EVERYONE)
def figure_vega(asked: AskedBy, case: str, key: Key, span: Chosen) -> Response:
    """Return the Vega specification of a curve, for exploring."""
    return _file(asked, case, key, span, "vega")


@router.get("/vega/{version}.js", include_in_schema=False)
@admits(EVERYONE)
def vega(version: str) -> Response:
    """Return Vega's JavaScript; pages load it only when a person asks to explore a figure."""
    del version  # only tells one version from another
    with _turn:
        data = _bundle()
    kept = {"cache-control": f"public, max-age={_YEAR_S}, immutable"}
    return Response(data, media_type="text/javascript; charset=utf-8", headers=kept)


@cache
def _bundle() -> bytes:
    from remnant.report.interactive import bundle

    return bundle().encode()


def _file(asked: Asked, case: str, key: str, span: Span, ending: str) -> Response:
    found, spec = _found(asked, case, key, span)
    what = [found.model_dump(), span.log]
    data = exports.get(ending, what, spec)
    return Response(data, media_type=_TYPES[ending], headers=_named(case, key, ending))


def _named(case: str, key: str, ending: str) -> dict[str, str]:
    # The name of a case and the key are letters, digits and hyphens.
    kind = "attachment" if ending == "csv" else "inline"
    return {"content-disposition": f'{kind}; filename="{case}-{key}.{ending}"'}


def _found(
    asked: Asked, case: str, key: str, span: Span
) -> tuple[FigureData, Callable[[], dict[str, Any]]]:
    """Return a figure's numbers, and what makes its specification.

    Raises:
        HTTPException: 404, there is no such figure; 503, it is being worked out.
    """
    asked.case(case)
    if key in {"online", "requests"}:
        window = chosen(asked, case, span)
        curve = None if window is None else window.curve(key)
        if curve is not None:
            return (
                FigureData(
                    case=case,
                    key=key,
                    title=curve.title,
                    facts=curve.facts,
                    note=curve.note,
                    label=curve.label,
                    columns=list(curve.columns),
                    rows=curve.rows,
                ),
                lambda: curve.figure(log=span.log).specification(),
            )
    if (span.is_free or span.judge) and not asked.viewer.is_internal:
        raise HTTPException(403, "only analysts choose windows")
    whole = asked.site.results.get(
        case, "overview", internal=asked.viewer.is_internal, **span.judged
    )
    figure = there(whole, "figure").get("figures", {}).get(key)
    if figure is None:
        raise HTTPException(404, "this case has no such figure")
    data = FigureData(
        case=case,
        key=key,
        title=figure["title"],
        facts=figure["facts"],
        note=figure["note"],
        label=figure["label"],
        columns=figure["columns"],
        rows=[dict(zip(figure["columns"], row, strict=True)) for row in figure["rows"]],
    )
    spec: dict[str, Any] = figure["spec"]
    return data, lambda: spec
