"""The process that makes one file: it reads settings, then case and id, from standard input.

It writes how far it is, then the file, then what the file holds. A person who asked for it reads
the same reasons for a failure as from the command.
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
import pickle
import sys
import tempfile
import time
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from remnant.cases.library import Library
from remnant.errors import NoData, RemnantError, printable
from remnant.report.export import write_whole
from remnant.store import Store
from remnant.web.making.made import Shelf
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from remnant.cases.model import Case
    from remnant.enrich.reference import Reference
    from remnant.report.facts import Content
    from remnant.settings import Settings
    from remnant.store import View
    from remnant.web.making.made import Made, Wish
    from remnant.windows import Window

__all__ = ["main", "make", "window_of"]

_MAP: Final = "map-"


def main() -> None:
    """Make the file that standard input names."""
    settings: Settings = pickle.loads(base64.b64decode(sys.stdin.buffer.readline()))  # noqa: S301 - our own parent's
    case, id_ = sys.stdin.buffer.readline().decode().split()
    with contextlib.suppress(OSError):
        os.nice(5)  # pages come first
    shelf = Shelf(settings.home)
    make(settings, shelf, shelf.get(case, id_))


def make(settings: Settings, shelf: Shelf, made: Made) -> Made:
    """Make one file; return what became of it, which is written down as well."""
    begun = time.monotonic()
    made = replace(made, state="working", stage="reading the store")
    shelf.put(made)

    def at(stage: str) -> None:
        shelf.put(replace(made, stage=stage))

    told: dict[str, Any] = {}
    try:
        told = _made(settings, shelf, made, at)
        state, problem = "done", None
    except RemnantError as error:
        state, problem = "failed", error.text()
    except Exception as error:  # noqa: BLE001 - whatever it was, the page says so
        state = "failed"
        problem = f"the program failed: {type(error).__name__}: {printable(str(error), 200)}"
    made = replace(
        made,
        state=state,
        stage="",
        problem=problem,
        finished=iso(datetime.now(tz=UTC).replace(microsecond=0)),
        seconds=round(time.monotonic() - begun, 1),
        **told,
    )
    shelf.put(made)
    return made


def window_of(view: View, since: str, until: str) -> Window | None:
    """Return the window that two texts describe; ``None`` is the default one.

    Raises:
        TimeSyntaxError: a bound is no time, or the end does not lie after the start.
        NoData: the window lies before or after all data.
    """
    from remnant.estimate.coverage import default_window
    from remnant.windows import Window, parse_time

    if not since and not until:
        return None
    start = parse_time(since) if since else None
    end = parse_time(until) if until else None
    if start and end:
        Window(start, end)
    whole = default_window(view)
    start, end = start or whole.since, end or whole.until
    if start >= whole.until or end <= whole.since:
        raise NoData(
            "the window lies outside the data of this case",
            where=view.case,
            expected=f"a part of {whole}",
            hint="leave out both bounds for all of it",
        )
    return Window(start, end)


def _made(
    settings: Settings, shelf: Shelf, made: Made, at: Callable[[str], None]
) -> dict[str, Any]:
    from remnant.enrich.reference import Reference

    library = Library(settings.home)
    case = library.get(made.case)
    own = library.path(made.case).with_name("prefixes.tsv")
    reference = Reference.load(settings, extra_tables=[own] if own.is_file() else [])
    path = shelf.to_write(made)
    with Store.open(settings) as store:
        view = store.view(made.case)
        if made.wish.kind.startswith(_MAP):
            window = _map(settings, store, view, case, reference, made.wish, path, at)
            told: dict[str, Any] = {}
            if window is not None:
                told["window"] = (iso(window.since), iso(window.until))
        else:
            content = _report(settings, store, view, case, reference, made.wish, path, at)
            told = {
                "window": (iso(content.window.since), iso(content.window.until)),
                "vantage": content.vantage,
                "digest": content.digest,
            }
        told |= {"simulated": view.simulated, "bytes": path.stat().st_size}
    return told


def _report(
    settings: Settings,
    store: Store,
    view: View,
    case: Case,
    reference: Reference,
    wish: Wish,
    path: Path,
    at: Callable[[str], None],
) -> Content:
    """Write the report, or its figures as ZIP; return what it shows."""
    from remnant.report import atlas
    from remnant.report.content import gather
    from remnant.report.html import write

    if not view.sources:
        raise NoData(
            "nothing was ingested for this case yet",
            where=case.name,
            hint=f"remnant ingest {case.name} PATH...",
        )
    now = datetime.now(tz=UTC)
    at("counting and estimating")
    content = gather(
        view,
        case,
        settings,
        window=window_of(view, wish.since, wish.until),
        vantage=wish.vantage or None,
        internal=wish.internal,
        now=now,
    )
    at("laying out the map")
    drawn = atlas.gather(
        store,
        view,
        case,
        settings,
        reference,
        window=content.window,
        vantage=content.vantage,
        internal=wish.internal,
        now=now,
    )
    at("drawing")
    if wish.kind == "report":
        write(content, path, atlas=drawn, interactive=wish.interactive)
        return content
    with tempfile.TemporaryDirectory(prefix="remnant-figures-") as folder:
        write(content, Path(folder) / "report.html", atlas=drawn, figures=Path(folder) / "figures")
        write_whole(path, _zipped(sorted((Path(folder) / "figures").iterdir())))
    return content


def _map(
    settings: Settings,
    store: Store,
    view: View,
    case: Case,
    reference: Reference,
    wish: Wish,
    path: Path,
    at: Callable[[str], None],
) -> Window | None:
    """Write the map in one of its formats; return its window, ``None`` where it is all there is."""
    from datetime import timedelta

    from remnant.infrastructure.case_map import case_map
    from remnant.infrastructure.rank import LISTED, candidates
    from remnant.infrastructure.unusable import EARLIEST
    from remnant.report.mapexport import write_map
    from remnant.report.mapfacts import MapFacts
    from remnant.windows import Window, parse_time

    window = None
    if wish.since or wish.until:
        start = parse_time(wish.since) if wish.since else EARLIEST
        last = datetime.now(tz=UTC) + timedelta(days=1)
        window = Window(start, parse_time(wish.until) if wish.until else last)
    at("walking the records")
    graph = case_map(store, view, case, settings, reference, window=window, hops=None)
    if not graph.is_observed:
        raise NoData(
            "no passive DNS holds the names or addresses of this case",
            where=case.name,
            hint="import some with remnant pdns import PATH...",
        )
    at("laying out the map")
    rows = [one.to_json() for one in candidates(graph, limit=50, kinds=LISTED)]
    facts = MapFacts(
        case=case.name,
        title=case.title,
        window=window,
        source="passive DNS",
        made=datetime.now(tz=UTC).replace(microsecond=0),
        simulated=view.simulated,
        minimum=0 if wish.internal else settings.report.minimum_count,
        takedown=case.takedown,
    )
    format_ = wish.kind.removeprefix(_MAP)
    if format_ != "csv":
        write_map(graph, rows, format_, path, facts=facts)
        return window
    with tempfile.TemporaryDirectory(prefix="remnant-map-") as folder:
        parts = write_map(graph, rows, "csv", Path(folder) / f"{case.name}.csv", facts=facts)
        write_whole(path, _zipped(parts))
    return window


def _zipped(paths: list[Path]) -> bytes:
    """Return files as a ZIP: the same files give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for path in paths:
            about = zipfile.ZipInfo(path.name)
            about.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(about, path.read_bytes())
    return out.getvalue()


if __name__ == "__main__":
    main()
