"""Commands that bring traffic in: real, simulated, or the whole way as a demonstration."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remnant.cli_audit import changes, now_recorded, reads
from remnant.cli_shared import (
    Format,
    FormatOption,
    Progress,
    emit,
    emit_json,
    load_reference,
    open_library,
    open_settings,
    open_store,
    open_view,
    own_prefixes,
    say,
    split_names,
)
from remnant.web.access.actions import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import tzinfo

    from remnant.capture import Reader, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.collate.ingest import SourceResult
    from remnant.settings import Settings
    from remnant.store import Store
    from remnant.watchlist import Rule, Watchlist
    from remnant.windows import Window

__all__ = ["Ingest", "demo", "ingest", "read_options", "simulate"]

_COLUMNS = (
    "path",
    "format",
    "state",
    "records",
    "messages",
    "matched",
    "malformed",
    "skipped",
    "clock_faults",
    "answers",
    "first",
    "last",
)


_LONGEST_PERIOD_S = 3653 * 86_400

_SHOWN = (
    "state", "format", "messages", "matched", "answers", "malformed", "skipped", "first", "last",
    "path",
)  # fmt: skip
"""What a table shows of each source, on 100 columns; the summary below it has the rest."""


@changes(Action.TRAFFIC_READ, "targets", "all_cases")
def ingest(
    targets: Annotated[
        list[str],
        typer.Argument(
            help="The case, or several with commas between; then files, folders, or - for standard "
            "input. With --all-cases only files and folders.",
            metavar="CASE[,CASE...] PATH...",
        ),
    ],
    *,
    all_cases: Annotated[
        bool, typer.Option("--all-cases", help="Serve every stored case in one pass.")
    ] = False,
    sensor: Annotated[
        str | None, typer.Option(help="Name of the sensor, where the source does not state one.")
    ] = None,
    vantage: Annotated[
        str | None, typer.Option(help="Where the sensor stood, when not the format's usual place.")
    ] = None,
    input_format: Annotated[
        str, typer.Option(help="auto, or the name of a format; see the reference of formats.")
    ] = "auto",
    year: Annotated[
        int | None,
        typer.Option(
            min=1970, max=2200, help="Year of the earliest line, for lines that carry none."
        ),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Zone of the lines that carry none, such as Europe/Rome.")
    ] = None,
    answers: Annotated[
        str,
        typer.Option(
            help="Resource records to keep as passive DNS: those about watched names and "
            "addresses (watched), all, or none."
        ),
    ] = "watched",
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Threads that decode; default: one for each core."),
    ] = None,
    period: Annotated[
        str | None,
        typer.Option(
            help="For which time sources that hold hits only (victim reports) are complete: dates "
            "(the last day included) or times with a zone.",
            metavar="FROM/UNTIL",
        ),
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Read DNS traffic, flows or victim reports and keep what the case watches.

    The same content read twice, renamed, recompressed or grown never counts twice.
    """
    from remnant.errors import StoreError
    from remnant.schema import VANTAGES

    settings = open_settings()
    library = open_library(settings)
    if all_cases:
        names = [entry.name for entry in library.list() if entry.origin == "stored"]
        paths = targets
        if not names:
            raise typer.BadParameter("no case is stored yet; see: remnant case new --help")
    else:
        names, paths = list(dict.fromkeys(split_names(targets[0]))), targets[1:]
    if not names or not paths:
        raise typer.BadParameter("name a case, and at least one file or folder")
    if vantage is not None and vantage not in VANTAGES:
        raise typer.BadParameter("--vantage is one of " + ", ".join(VANTAGES))
    started = time.monotonic()
    run = Ingest(settings, names, sensor=sensor, input_format=input_format)
    options = read_options(
        vantage=vantage,
        year=year,
        zone=_zone(timezone),
        period=_period(period),
        answers=answers,
        threads=threads,
    )
    try:
        run.read(paths, options)
    except StoreError:
        # What was committed before stays, so it is told.
        if run.rows:
            run.tell(output, time.monotonic() - started)
        raise
    run.tell(output, time.monotonic() - started)
    if run.failed:
        raise typer.Exit(1)


def _zone(name: str | None) -> tzinfo | None:
    if name is None:
        return None
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise typer.BadParameter(
            f"--timezone {name!r} is not known; expected a name such as UTC or Europe/Rome"
        ) from None


def _period(text: str | None) -> Window | None:
    """Return the stated period; a very long one is a slip of the pen."""
    if text is None:
        return None
    from remnant.windows import TimeSyntaxError, parse_period

    found = parse_period(text)
    if found.seconds > _LONGEST_PERIOD_S:
        raise TimeSyntaxError(
            "the period is too long", got=str(found), expected="at most ten years"
        )
    return found


def read_options(
    *,
    vantage: str | None = None,
    year: int | None = None,
    zone: tzinfo | None = None,
    period: Window | None = None,
    answers: str = "watched",
    threads: int | None = None,
) -> ReadOptions:
    """Return what a person says of the sources of a run."""
    from remnant.capture import ReadOptions
    from remnant.capture.records import MODES

    modes = {mode: mode for mode in MODES}
    if answers not in modes:
        raise typer.BadParameter("--answers is one of " + ", ".join(modes))
    return ReadOptions(
        now=datetime.now(tz=UTC),
        year=year,
        timezone=zone,
        vantage=vantage,
        period=period,
        answers=modes[answers],
        threads=threads or len(os.sched_getaffinity(0)),
    )


class Ingest:
    """One run of ``ingest``: what it reads, and what became of each source.

    Args:
        settings: of the home folder.
        names: the cases to serve.
        sensor: what a person named.
        input_format: ``auto``, or the name of a reader.
        watched: whether the names are those of stored cases, whose rules are watched.
    """

    def __init__(
        self,
        settings: Settings,
        names: Sequence[str],
        *,
        sensor: str | None = None,
        input_format: str = "auto",
        watched: bool = True,
    ) -> None:
        from remnant.capture.readers import READERS

        if input_format != "auto" and input_format not in READERS:
            raise typer.BadParameter("--input-format is one of auto, " + ", ".join(READERS))
        self.settings = settings
        self.names = names
        self.sensor = sensor
        self.input_format = input_format
        self.watched = watched
        self.rows: list[dict[str, Any]] = []
        self.notes: dict[str, int] = {}
        self.problems: list[str] = []
        self.failed = False

    def read(self, paths: Sequence[str], options: ReadOptions) -> None:
        """Read every source for every case."""
        from remnant.errors import printable
        from remnant.watchlist import Watchlist
        from remnant.wire import kernels_are_new

        watchlist = Watchlist.compile(self._rules() if self.watched else ())
        lookup = _lookup(self.settings, self.names) if self.watched else None
        year = options.year
        found = list(_sources(paths))
        years = self._years([path for path, _, _ in found], year)
        total = sum(size for _, _, size in found) if all(s >= 0 for _, _, s in found) else None
        done = 0
        if found and kernels_are_new():
            say(
                "The first source of each format takes up to a minute longer: its kernels are "
                "compiled, once."
            )
        with (
            open_store(self.settings, write=True) as store,
            Progress("reading", total) as bar,
        ):
            for path, named, size in found:
                bar.to(done, f"reading {printable(Path(path).name, 30)}")
                self._one(
                    path,
                    store,
                    watchlist,
                    replace(options, year=years.get(path, year)),
                    lookup,
                    named=named,
                    moved=partial(bar.more, done),
                )
                done += max(size, 0)

    def _rules(self) -> list[Rule]:
        from remnant.cases.rules import compile_rules

        library = open_library(self.settings)
        return [rule for name in self.names for rule in compile_rules(library.get(name))]

    def _one(
        self,
        path: str,
        store: Store,
        watchlist: Watchlist,
        options: ReadOptions,
        lookup: Callable[[Any], Any] | None,
        *,
        named: bool,
        moved: Callable[[int], None],
    ) -> None:
        """Read one source; what is wrong with it is told, and the others are read all the same."""
        from remnant.collate.ingest import ingest_source
        from remnant.errors import FormatError, UnknownFormat, printable

        try:
            with _open(path) as stream:
                reader = self._reader(stream)
                if reader is None:
                    self._not_read(path, "not recognised", named=named)
                    return
                results = ingest_source(
                    stream,
                    reader,
                    store,
                    watchlist,
                    options,
                    cases=self.names,
                    sensor=self.sensor,
                    lookup=lookup,
                    path=_place(path),
                    reopen=(lambda: _open(path)) if _opens_again(path) else None,
                    on_batch=lambda _: moved(stream.raw_position),
                )
        except UnknownFormat as error:
            self._not_read(path, error.text(), named=named)
            return
        except FormatError as error:
            # It is traffic, in a folder too, and was not read.
            self._not_read(path, error.text(), named=True)
            return
        except OSError as error:
            if error.filename is None:
                raise
            self._not_read(path, error.strerror or str(error), named=True)
            return
        self._keep(results)
        for result in results:
            if result.state == "refused":
                self.failed = True
                self.problems.append(f"{printable(path)}: refused: {'; '.join(result.notes)}")

    def _years(self, paths: Sequence[str], year: int | None) -> dict[str, int]:
        """Return the year in which each log begins whose lines say none, if there are several.

        Raises:
            FormatError: the order of the logs cannot be told.
        """
        from remnant.capture import DatedReader
        from remnant.capture.years import years_of
        from remnant.errors import FormatError

        if year is None:
            return {}
        days: dict[str, int] = {}
        for path in filter(_opens_again, paths):
            # What cannot be read is told when its turn comes.
            with contextlib.suppress(FormatError, OSError), _open(path) as stream:
                reader = self._reader(stream)
                if not isinstance(reader, DatedReader):
                    continue
                day = reader.first_day(stream.head())
                if day is not None:
                    days[path] = day
        return dict(zip(days, years_of(list(days.values()), year), strict=True))

    def _reader(self, stream: ByteStream) -> Reader | None:
        from remnant.capture.readers import READERS, recognise

        head = stream.head()
        if self.input_format != "auto":
            return READERS[self.input_format]
        if not head and stream.damage is None:
            # An empty file is of every format; it is listed with zero records.
            return next(iter(READERS.values()))
        return recognise(head)

    def _keep(self, results: list[SourceResult]) -> None:
        for result in results:
            row = result.to_json()
            if len(self.names) == 1:
                row.pop("case")
            self.rows.append(row)
            for note in result.notes:
                self.notes[note] = self.notes.get(note, 0) + 1

    def _not_read(self, path: str, why: str, *, named: bool) -> None:
        """List a source that no reader can use; named by the person it is a failure."""
        from remnant.capture.readers import READERS
        from remnant.errors import printable

        empty: dict[str, Any] = dict.fromkeys(_COLUMNS)
        state = "not recognised" if why == "not recognised" else "not read"
        self.rows.append(
            empty
            | {"path": _written(path), "format": None, "state": state}
            | dict.fromkeys(
                ("records", "messages", "matched", "malformed", "skipped", "clock_faults"), 0
            )
            | {"notes": [] if why == "not recognised" else [why]}
        )
        if why == "not recognised":
            self.problems.append(
                f"{printable(path)}: no reader recognises it; known: "
                + ", ".join(reader.title for reader in READERS.values())
            )
        else:
            self.problems.append(why if printable(path) in why else f"{printable(path)}: {why}")
        self.failed = self.failed or named

    def tell(self, output: Format, seconds: float) -> None:
        """Print what became of each source."""
        if output is Format.JSON:
            emit_json({"sources": self.rows, "seconds": round(seconds, 3)})
        else:
            columns = _COLUMNS if output is Format.CSV else _SHOWN
            rows = self.rows if output is Format.CSV else _shortened(self.rows)
            emit(rows, output, columns if len(self.names) == 1 else ("case", *columns))
        for problem in self.problems:
            say(problem)
        if output is not Format.TABLE:
            return
        for note, count in self.notes.items():
            say(note if count == 1 else f"{note} ({count} sources)")
        counts = {
            key: sum(row[key] for row in self.rows)
            for key in ("records", "messages", "matched", "malformed", "skipped", "clock_faults")
        }
        answers = sum(row["answers"] or 0 for row in self.rows)
        say(
            f"{len(self.rows):,} {'source' if len(self.rows) == 1 else 'sources'}, "
            f"{counts['records']:,} records = "
            f"{counts['messages']:,} messages + {counts['malformed']:,} malformed + "
            f"{counts['skipped']:,} skipped; {counts['matched']:,} matched, "
            f"{counts['clock_faults']:,} clock faults, {answers:,} answers stored; {seconds:.1f} s"
        )


def _shortened(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with days for times, and paths from the folder that all of them share."""
    paths = [row["path"] for row in rows]
    if len(set(paths)) < 2 or "-" in paths:
        shared = None
    else:
        shared = os.path.commonpath([Path(path).absolute() for path in paths])
    return [
        row
        | {key: row[key] and row[key][:10] for key in ("first", "last")}
        | {"path": row["path"] if shared is None else os.path.relpath(row["path"], shared)}
        for row in rows
    ]


def _lookup(settings: Settings, names: Sequence[str]) -> Callable[[Any], Any]:
    """Return what looks addresses up, for all cases of a run."""
    from remnant.enrich.reference import missing_hint

    reference = load_reference(settings, *names)
    if reference.is_empty:
        say(missing_hint())
    return reference.lookup


def _sources(paths: Sequence[str]) -> list[tuple[str, bool, int]]:
    """Return path, whether the person named it, and bytes (-1: unknown) of every source."""
    found: list[tuple[str, bool, int]] = []
    for text in paths:
        path = Path(text)
        if text == "-":
            found.append((text, True, -1))
        elif path.is_dir():
            for inner in sorted(path.rglob("*")):
                if inner.name.startswith("."):
                    continue
                try:
                    if inner.is_file():
                        found.append((str(inner), False, inner.stat().st_size))
                except FileNotFoundError:
                    # A log moves on while its folder is looked into.
                    continue
                except OSError:
                    # To open it will say what is wrong.
                    found.append((str(inner), False, -1))
        else:
            size = path.stat().st_size if path.is_file() else -1
            found.append((text, True, size))
    return found


def _open(path: str) -> ByteStream:
    """Open one source.

    Raises:
        OSError: it cannot be opened.
        DamagedInput: its compression cannot be read.
    """
    from remnant.capture.stream import ByteStream

    if path == "-":
        return ByteStream(sys.stdin.buffer, "standard input")
    return ByteStream(Path(path).open("rb"), _written(path))


def _opens_again(path: str) -> bool:
    """Return whether a source can be opened a second time from its start: a pipe cannot."""
    if path == "-" or Path(path).absolute().is_relative_to("/dev"):
        return False
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except OSError:
        return False


def _place(path: str) -> str | None:
    """Return where a source is found again from any folder, ``None`` for what cannot be."""
    return _written(str(Path(path).absolute())) if _opens_again(path) else None


def _written(path: str) -> str:
    r"""Return a path as text that can be stored: bytes that are not UTF-8 stand as \xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


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
