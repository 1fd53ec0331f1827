"""Commands that make traffic up: for itself, or to go the whole way as a demonstration."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remnant.cli_audit import changes, now_recorded, reads
from remnant.cli_ingest import Ingest, read_options
from remnant.cli_shared import (
    Progress,
    open_library,
    open_settings,
    open_store,
    open_view,
    own_prefixes,
    say,
)
from remnant.web.access.actions import Action

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["demo", "simulate"]

_TINY = 0.0005
"""Scale of the botnet that is only there to have every kernel compiled."""

_WHICH = "Which botnet: beebone, kelihos, zbot."


@reads
def simulate(
    scenario: Annotated[str, typer.Argument(help=_WHICH, metavar="SCENARIO")],
    *,
    out: Annotated[Path, typer.Option("-o", "--output", help="A new or empty folder.")],
    scale: Annotated[
        float | None,
        typer.Option(help="Size relative to the real botnet; default: the scenario's."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
) -> None:
    """Make up a botnet's traffic at resolvers and at a sinkhole, and the truth to compare with."""
    result = _simulate(scenario, out, scale, seed)
    say(
        f"{result.messages:,} messages in {result.files} files "
        f"({result.written_bytes / 1e6:,.0f} MB), {result.sightings:,} of them queries for watched "
        f"names; {result.events:,} events at the sinkhole; scale {result.scale:g}, seed "
        f"{result.seed}"
    )
    say(
        f"Next: remnant case import {result.case_file} --prefixes {result.prefixes} && "
        f"remnant ingest {result.case} {result.traffic} --answers all"
    )


def _simulate(scenario: str, out: Path, scale: float | None, seed: int) -> Any:
    from remnant.simulate import run

    with Progress("simulating", None, unit="days") as bar:
        return run(scenario, out, scale=scale, seed=seed, progress=bar.steps)


@changes(Action.DEMO_MADE, "scenario")
def demo(
    scenario: Annotated[str, typer.Argument(help=_WHICH, metavar="SCENARIO")] = "beebone",
    *,
    scale: Annotated[
        float | None,
        typer.Option(help="Size relative to the real botnet; default: the scenario's."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same botnet.")] = 1,
    keep: Annotated[
        bool, typer.Option("--keep-traffic", help="Keep the simulated traffic files.")
    ] = False,
    no_serve: Annotated[
        bool, typer.Option("--no-serve", help="Only write the report; serve no dashboard.")
    ] = False,
    rehearsal: Annotated[bool, typer.Option("--rehearsal", hidden=True)] = False,
) -> None:
    """Go the whole way on a simulated botnet: simulate, ingest, measure, judge, report, serve.

    Without a terminal, or where CI=true, it only tries whether the dashboard answers.
    """
    from remnant.cases.casefile import load
    from remnant.cli_read import write_report
    from remnant.cli_serve import has_watcher, serve_here, try_served
    from remnant.infrastructure.registrations import import_files
    from remnant.judge.verdict import judge as judge_case
    from remnant.report.text import verdict_text
    from remnant.simulate import scenarios
    from remnant.web.results.filling import filled

    if scenario not in scenarios():
        raise typer.BadParameter("the scenarios are: " + ", ".join(scenarios()))
    settings = open_settings()
    place = settings.home / "demo" / scenario
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as until_done:
        until_done.callback(lambda: None if keep else shutil.rmtree(place, ignore_errors=True))
        if not rehearsal:
            until_done.enter_context(_rehearsed(scenario))
        say(f"1/4  Simulating the {scenario} botnet, two resolvers and the sinkhole …")
        made = _simulate(scenario, place, scale, seed)
        say(
            f"     {made.messages:,} DNS messages, {made.events:,} events at the sinkhole, "
            f"scale {made.scale:g} of the real botnet, seed {made.seed}"
        )
        library = open_library(settings)
        with open_store(settings, write=True) as store:
            store.delete_case(made.case)
        library.save(
            load(made.case_file), text=made.case_file.read_text(encoding="utf-8"), replace=True
        )
        shutil.copyfile(made.prefixes, own_prefixes(settings, made.case))

        say("2/4  Ingesting it …")
        run = Ingest(settings, [made.case])
        told = made.passive_dns
        run.read([str(p) for p in sorted(made.traffic.iterdir()) if p != told], read_options())
        # All of it: what a map joins to the watched names is not watched itself.
        run.read([str(told)], read_options(answers="all"))
        say(
            f"     {sum(row['messages'] for row in run.rows):,} messages read, "
            f"{sum(row['matched'] for row in run.rows):,} of them for watched names"
        )
        if run.problems:
            say("\n".join(run.problems))
        with open_store(settings, write=True) as store:
            list(import_files(store, [made.rdap], case=made.case))

        report = settings.home / "reports" / f"{made.case}.html"
        with open_store(settings) as store:
            case, view = open_view(settings, store, made.case)
            with contextlib.nullcontext() if no_serve else filled(settings, store, view):
                say("3/4  Measuring and judging …")
                verdict = judge_case(view, case, settings).to_json()
                say("4/4  Writing the report …")
                write_report(settings, store, case, view, report)
    now_recorded(settings)  # before the dashboard, which lasts
    if rehearsal:
        return
    typer.echo("\n" + verdict_text(verdict), nl=False)
    typer.echo(f"\nThe report lies in {report.resolve()}")
    typer.echo(
        f"Look further:  remnant traffic {made.case} --by country\n"
        f"               remnant map {made.case} --candidates\n"
        f"               remnant servers {made.case} --alive"
    )
    if keep:
        typer.echo(f"The traffic is kept in {made.traffic}")
    if no_serve:
        return
    typer.echo("")
    if has_watcher():
        serve_here(settings)
    else:
        try_served(settings, made.case, str(verdict["sentence"]))


@contextlib.contextmanager
def _rehearsed(scenario: str) -> Iterator[None]:
    """Let another process go ahead on a tiny botnet, where nothing was compiled yet.

    Half the time of a first demo is the compiling of kernels, which one processor does while the
    other has nothing to do. What one process has compiled the other loads.
    """
    import subprocess
    import tempfile

    from remnant.wire import kernels_are_new

    if not kernels_are_new() or len(os.sched_getaffinity(0)) < 2:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="remnant-rehearsal-") as folder:
        home = {"REMNANT_HOME": folder, "REMNANT_SITE_KEY": str(Path(folder, "site.key"))}
        line = ["-m", "remnant", "demo", scenario, "--scale", str(_TINY), "--rehearsal"]
        other = subprocess.Popen(  # noqa: S603 - this program
            [sys.executable, *line],
            env=os.environ | home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            other.kill()
            other.wait()
