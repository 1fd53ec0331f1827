"""What the commands share: the home folder, output formats, and how options are read."""

from __future__ import annotations

import json
import sys
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from remnant.cases.casefile import Case
    from remnant.cases.library import Library
    from remnant.enrich.reference import Reference
    from remnant.settings import Settings
    from remnant.store import Store, View
    from remnant.windows import Window

__all__ = ["HOME", "Format", "FormatOption", "emit", "open_settings", "open_store", "window_of"]

_SILENT_WAIT_S: Final = 2.0
_ASK_AGAIN_S: Final = 0.02


class Format(StrEnum):
    """How a reading verb prints its rows."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


FormatOption = Annotated[
    Format, typer.Option("--format", help="How to print; JSON is a contract.", show_default=True)
]
CaseArgument = Annotated[str, typer.Argument(help="Name of the case.", metavar="CASE")]
SinceOption = Annotated[
    str | None, typer.Option(help="Start: a date (UTC) or a time with a zone.", metavar="TIME")
]
UntilOption = Annotated[
    str | None, typer.Option(help="End, exclusive: a date or a time with a zone.", metavar="TIME")
]
VantageOption = Annotated[
    str | None, typer.Option(help="Which point of view, when there are several.", metavar="V")
]


class _Home:
    """The folder that ``--home`` names, for the run of one command."""

    def __init__(self) -> None:
        self._path: Path | None = None

    def set(self, path: Path | None) -> None:
        self._path = path

    def get(self) -> Path | None:
        return self._path


HOME = _Home()


def open_settings() -> Settings:
    """Return the settings of the home folder in use."""
    from remnant.settings import load

    return load(HOME.get())


def open_library(settings: Settings) -> Library:
    """Return the stored cases."""
    from remnant.cases.library import Library

    return Library(settings.home)


def open_store(settings: Settings, *, write: bool = False) -> AbstractContextManager[Store]:
    """Return the store, opened for reading or, for one process at a time, for writing.

    Where another process writes, this one waits for its turn: a sinkhole writes each second.

    Raises:
        StoreBusy: the other one still writes after ``store.wait_s`` seconds.
    """
    from remnant.errors import StoreBusy
    from remnant.store import Store

    if not write:
        return Store.open(settings)
    begun = time.monotonic()
    told = False
    while True:
        try:
            return Store.open(settings, write=True)
        except StoreBusy as busy:
            waited = time.monotonic() - begun
            if waited >= settings.store.wait_s:
                raise
            if waited >= _SILENT_WAIT_S and not told:
                told = True
                say(
                    f"Waiting for {busy.got or 'another process'}, which writes to the store "
                    f"(at most {settings.store.wait_s:g} s: store.wait_s)."
                )
        time.sleep(_ASK_AGAIN_S)


def open_view(settings: Settings, store: Store, name: str) -> tuple[Case, View]:
    """Return a stored case and the snapshot of its tables.

    Raises:
        CaseError: there is no case of that name.
        NoData: nothing was ingested for it yet.
    """
    from remnant.errors import NoData

    case = open_library(settings).get(name)
    view = store.view(name)
    if not view.sources:
        raise NoData(
            "nothing was ingested for this case yet",
            where=name,
            hint=f"remnant ingest {name} PATH...   (files or folders of DNS traffic)",
        )
    return case, view


def load_reference(settings: Settings, *names: str) -> Reference:
    """Return the reference data: tables kept with the cases, then what the settings name."""
    from remnant.enrich.reference import Reference

    own = [own_prefixes(settings, name) for name in names]
    return Reference.load(settings, extra_tables=[path for path in own if path.is_file()])


def own_prefixes(settings: Settings, name: str) -> Path:
    """Return where the prefix table of one stored case lies, if it has one."""
    return open_library(settings).path(name).with_name("prefixes.tsv")


def window_of(view: View, since: str | None, until: str | None) -> Window | None:
    """Return the window that ``--since`` and ``--until`` describe; ``None`` is the default one.

    Raises:
        TimeSyntaxError: a bound is no time, or the end does not lie after the start.
        NoData: the window lies before or after all data.
    """
    from remnant.errors import NoData
    from remnant.estimate.coverage import default_window
    from remnant.windows import Window, parse_time

    if since is None and until is None:
        return None
    start = parse_time(since) if since else None
    end = parse_time(until) if until else None
    if start and end:
        Window(start, end)  # an empty one is refused before the data are looked at
    whole = default_window(view)
    start, end = start or whole.since, end or whole.until
    if start >= whole.until or end <= whole.since:
        raise NoData(
            "the window lies outside the data of this case",
            where=view.case,
            got=f"{'from ' + since if since else ''}{' until ' + until if until else ''}".strip(),
            expected=f"a part of {whole}",
            hint="leave out --since and --until for all of it",
        )
    return Window(start, end)


def emit(rows: Sequence[dict[str, Any]], output: Format, columns: Sequence[str]) -> None:
    """Print rows as a table, a JSON array or CSV."""
    from remnant.report.text import render

    typer.echo(render(rows, columns, output.value), nl=False)


def emit_json(value: object) -> None:
    """Print one JSON value."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def say(text: str) -> None:
    """Tell a person something that is not the answer itself (standard error)."""
    typer.echo(text, err=True)


class Progress:
    """A bar with rate, share done and time left; on a terminal only, quiet in a pipe.

    Args:
        title: what is being done.
        total: how much there is to do, or ``None`` when that is not known yet.
        unit: ``bytes``, or the plural of what ``to`` counts.
    """

    def __init__(self, title: str, total: int | None, *, unit: str = "bytes") -> None:
        self._title = title
        self._total = total
        self._unit = unit
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich import progress as rich_progress
            from rich.console import Console

            amount: list[Any] = (
                [rich_progress.DownloadColumn(), rich_progress.TransferSpeedColumn()]
                if self._unit == "bytes"
                else [rich_progress.TextColumn("{task.completed}/{task.total} " + self._unit)]
            )
            self._bar = rich_progress.Progress(
                rich_progress.TextColumn("{task.description}", markup=False),
                rich_progress.BarColumn(),
                *amount,
                rich_progress.TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=self._total)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def to(self, done: int, title: str | None = None) -> None:
        """Set how much is done."""
        if self._bar is not None:
            self._bar.update(
                self._task, completed=done, **({} if title is None else {"description": title})
            )

    def more(self, before: int, done: int) -> None:
        """Set how much is done of the part that began at ``before``."""
        self.to(before + done)

    def steps(self, done: int, total: int) -> None:
        """Set how many steps of how many are done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total)


def split_names(text: str) -> Iterator[str]:
    """Yield the names of a comma-separated list."""
    for part in text.split(","):
        if part.strip():
            yield part.strip()
