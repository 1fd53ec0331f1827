"""The command that estimates how much is left."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from remnant.cli_audit import reads
from remnant.cli_read import tell_watchlist_age
from remnant.cli_shared import (
    CaseArgument,
    Format,
    FormatOption,
    SinceOption,
    UntilOption,
    VantageOption,
    emit,
    open_settings,
    open_store,
    open_view,
    window_of,
)

__all__ = ["Place", "measure"]

_COLUMNS = (
    "quantity",
    "value",
    "low",
    "high",
    "level",
    "unit",
    "since",
    "until",
    "population",
    "method",
    "n",
    "coverage",
    "assumptions",
    "asn",
    "country",
    "vantage",
)


class Place(StrEnum):
    """What ``measure`` estimates by."""

    NETWORK = "network"
    COUNTRY = "country"


@reads
def measure(
    case: CaseArgument,
    *,
    by: Annotated[
        Place | None, typer.Option("--by", help="Estimate each network or country by itself.")
    ] = None,
    vantage: VantageOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    output: FormatOption = Format.TABLE,
    truth: Annotated[
        Path | None,
        typer.Option(
            "--compare-truth",
            help="For tests: the folder of a simulation; shows its truth beside each estimate.",
            metavar="DIR",
        ),
    ] = None,
) -> None:
    """Estimate how much is left, each number with its interval, population and method."""
    from remnant.estimate.measures import measure as measure_case
    from remnant.estimate.measures import measure_places

    settings = open_settings()
    with open_store(settings) as store:
        loaded, view = open_view(settings, store, case)
        window = window_of(view, since, until)
        if by is None:
            estimates = measure_case(view, loaded, settings, window=window, vantage=vantage)
        else:
            estimates = measure_places(
                view, loaded, settings, by.value, window=window, vantage=vantage
            )
        tell_watchlist_age(settings, loaded, view)
    rows: list[dict[str, Any]] = [estimate.to_json() for estimate in estimates]
    columns: tuple[str, ...] = _COLUMNS
    if truth is not None:
        from remnant.simulate.compare import compare

        rows = [row | told for row, told in zip(rows, compare(truth, estimates), strict=True)]
        columns = (*columns, "truth", "inside")
    if output is Format.TABLE:
        from remnant.report.text import estimates_table

        typer.echo(estimates_table(rows), nl=False)
        return
    emit(rows, output, columns)
