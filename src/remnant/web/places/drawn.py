"""The figure of places over time as a page shows it, and as a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastapi import HTTPException, Response
from markupsafe import Markup

from remnant.web.page import to_csv
from remnant.web.places.chosen import dashes, figure
from remnant.web.places.rows import label_of
from remnant.web.places.seen import daily, places
from remnant.web.places.words import pick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.report.figures import Figure
    from remnant.store import View
    from remnant.web.places.rows import PlaceRow
    from remnant.web.places.seen import By, Scope

__all__ = ["Drawn", "as_file", "drawn", "of_lines", "picked"]

_TYPES: Final = {"svg": "image/svg+xml", "png": "image/png", "csv": "text/csv; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure in a page: its drawings for wide and narrow windows, and the key of its lines."""

    figure: Figure
    svgs: tuple[Markup, ...]
    key: list[tuple[Markup, str]]


def picked(rows: Sequence[PlaceRow], picks: Sequence[str]) -> list[PlaceRow]:
    """Return the rows that were picked, each once, in the order of the picks."""
    known = {pick(row): row for row in rows}
    return [known[text] for text in dict.fromkeys(picks) if text in known]


def drawn(
    view: View, of: Scope, rows: Sequence[PlaceRow], by: By, unit: str, *, simulated: bool
) -> Drawn:
    """Return the figure of some rows.

    Raises:
        HTTPException: 404, there is none.
    """
    if not rows:
        raise HTTPException(404, "none of these places was seen")
    known = {place.key: place for place in places(view, of, by)}
    matrix = daily(view, of, [known[row.key] for row in rows], by).tolist()
    names = [
        label_of(row) + (f" ({row.country})" if row.asn is not None and row.country else "")
        for row in rows
    ]
    return of_lines(list(zip(names, matrix, strict=True)), of, unit, simulated=simulated)


def of_lines(
    lines: Sequence[tuple[str, Sequence[float]]], of: Scope, unit: str, *, simulated: bool
) -> Drawn:
    """Return the figure of some curves."""
    made = figure(lines, of, unit=unit, simulated=simulated)
    return Drawn(
        figure=made,
        svgs=tuple(Markup(svg) for svg in made.inline()),  # noqa: S704 - escaped by Vega
        key=[(dashes(place), name) for place, (name, _) in enumerate(lines)],
    )


def as_file(made: Figure, case: str, kind: str) -> Response:
    """Return a figure as a file: ``svg``, ``png``, or its numbers as ``csv``.

    Raises:
        HTTPException: 404, another kind.
    """
    from remnant.report.drawing import png, svg

    if kind not in _TYPES:
        raise HTTPException(404, "a figure is there as svg, png and csv")
    data: str | bytes
    if kind == "csv":
        data = to_csv(dict(zip(made.columns, row, strict=True)) for row in made.rows)
    else:
        data = svg(made.specification()) if kind == "svg" else png(made.specification())
    name = f"{case}-{made.key}.{kind}"
    return Response(
        data,
        media_type=_TYPES[kind],
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )
