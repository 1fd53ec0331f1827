"""Commands that keep the house: reference data, sensors, settings."""

from __future__ import annotations

from typing import Annotated

import typer

from remnant.cli_audit import changes, reads, recorded
from remnant.cli_shared import (
    CaseArgument,
    Format,
    FormatOption,
    emit,
    load_reference,
    open_library,
    open_settings,
    open_store,
    open_view,
    say,
)
from remnant.errors import printable
from remnant.web.access.actions import Action

__all__ = ["enrich", "sensor_app", "settings_app"]

sensor_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The sensors: which deliver, which are retired.",
)
settings_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The settings in use.")


@changes(Action.REFERENCE_FILLED, "case")
def enrich(case: CaseArgument) -> None:
    """Fill AS, country and prefix again, after the reference data changed."""
    from remnant.enrich.reference import missing_hint
    from remnant.enrich.refill import refill

    settings = open_settings()
    reference = load_reference(settings, case)
    with open_store(settings, write=True) as store:
        open_view(settings, store, case)
        result = refill(store, case, reference)
    say(result.sentence)
    if reference.is_empty:
        say(missing_hint())


@sensor_app.command("list", short_help="List the sensors of a case.")
@reads
def sensor_list(case: CaseArgument, *, output: FormatOption = Format.TABLE) -> None:
    """List the sensors of a case: first and last hour, hours delivered, retirement."""
    settings = open_settings()
    with open_store(settings) as store:
        open_view(settings, store, case)
        rows = store.sensors(case)
    emit(rows, output, ("sensor", "vantage", "first", "last", "hours", "messages", "retired"))


@sensor_app.command("retire", short_help="Say that a sensor was switched off on purpose.")
@changes(Action.SENSOR_RETIRED, "name", also=(Action.SENSOR_EXPECTED,))
def sensor_retire(
    name: Annotated[str, typer.Argument(help="Name of the sensor.", metavar="NAME")],
    *,
    at: Annotated[
        str | None, typer.Option(help="When it stopped on purpose: a date or a time with a zone.")
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take it back: the sensor is expected again.")
    ] = False,
) -> None:
    """Say that a sensor was switched off on purpose, so that its silence is not a gap.

    It holds for every case that the sensor delivered to; they are listed.
    """
    from remnant.errors import NoData
    from remnant.windows import iso, parse_time

    if (at is None) is not undo:
        raise typer.BadParameter("give either --at or --undo", param_hint="--at")
    time = None if at is None else parse_time(at)
    if time is None:
        recorded().about(name, Action.SENSOR_EXPECTED)
    else:
        recorded().about(f"{name} at {iso(time)}")
    settings = open_settings()
    cases = [entry.name for entry in open_library(settings).list()]
    with open_store(settings, write=True) as store:
        rows = {case: store.sensors(case) for case in cases}
        concerned = [case for case in cases if any(row["sensor"] == name for row in rows[case])]
        if not concerned:
            known = sorted({str(row["sensor"]) for found in rows.values() for row in found})
            raise NoData(
                "no sensor of this name delivered anything",
                got=name,
                expected=", ".join(map(printable, known)) or None,
                hint="remnant sensor list CASE",
            )
        if undo and name not in store.view(concerned[0]).retired:
            raise NoData(
                "this sensor is not retired", got=name, hint=f"remnant sensor list {concerned[0]}"
            )
        told = recorded()
        told.about(f"{','.join(concerned)} {told.subject}")
        store.retire_sensor(name, time)
    what = "is expected again" if time is None else f"is not expected any more from {iso(time)}"
    say(f"Sensor {printable(name)} {what}, in: {', '.join(concerned)}.")


@settings_app.command("show")
@reads
def settings_show(*, output: FormatOption = Format.TABLE) -> None:
    """Show every setting, its value and where it comes from."""
    from remnant.settings import show

    emit(show(open_settings()), output, ("key", "value", "origin"))
