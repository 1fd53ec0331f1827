"""The command that reads traffic."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remnant.cli_audit import changes
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
    say,
    split_names,
)
from remnant.cli_sources import open_source, opens_again, place_of, sources_of, written
from remnant.web.access.actions import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import tzinfo

    from remnant.capture import Reader, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.collate.ingest import SourceResult
    from remnant.settings import Settings
    from remnant.store import Store
    from remnant.watchlist import Rule, Watchlist
    from remnant.windows import Window

__all__ = ["Ingest", "ingest", "read_options"]

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
        found = list(sources_of(paths))
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
            with open_source(path) as stream:
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
                    path=place_of(path),
                    reopen=(lambda: open_source(path)) if opens_again(path) else None,
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
        for path in filter(opens_again, paths):
            # What cannot be read is told when its turn comes.
            with contextlib.suppress(FormatError, OSError), open_source(path) as stream:
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
            | {"path": written(path), "format": None, "state": state}
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
