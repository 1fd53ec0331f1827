"""What the dashboard keeps of a case beside what was ingested for it, to be counted and removed.

<home>/dashboard/<case>/           results that were worked out
<home>/dashboard-names/<case>/     tables of names and servers
<home>/reports/<case>/             files that people had made, and what is known of them
<home>/reports/<case>.html         the report that a command wrote
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remnant.cases.casefile import check_name
from remnant.errors import StoreError
from remnant.web.making.made import Shelf
from remnant.web.results.kept import Kept
from remnant.web.results.names import folder_of

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.settings import Settings

__all__ = ["Traces", "forget", "traces"]


@dataclass(frozen=True, slots=True)
class Traces:
    """What is kept of one case.

    Attributes:
        reports: files that were made or were asked for.
        results: results that were worked out, and tables of names.
    """

    reports: int
    results: int

    def __bool__(self) -> bool:
        return bool(self.reports or self.results)

    @property
    def counted(self) -> tuple[tuple[int, str, str], ...]:
        """Numbers, each with the words for one and for many."""
        return (
            (self.reports, "report", "reports"),
            (self.results, "result of the dashboard", "results of the dashboard"),
        )


def traces(settings: Settings, case: str) -> Traces:
    """Return what the dashboard keeps of a case.

    Raises:
        CaseError: no case may have that name.
    """
    results, tables, _ = _folders(settings, case)
    kept = [path for path in _in(results) if path.suffix == ".json"]
    return Traces(len(Shelf(settings.home).list(case)), len(kept) + len(_in(tables)))


def forget(settings: Settings, case: str) -> Traces:
    """Remove what the dashboard keeps of a case; return what that was.

    Raises:
        CaseError: no case may have that name.
        StoreError: something of it cannot be removed.
    """
    found = traces(settings, case)
    *_, reports = folders = _folders(settings, case)
    try:
        for folder in folders:
            if folder.is_symlink():
                folder.unlink()
            elif folder.is_dir():
                shutil.rmtree(folder)
        reports.with_name(f"{case}.html").unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            "what the dashboard keeps of this case cannot be removed",
            where=str(error.filename or settings.home),
            got=error.strerror,
            hint="remove it yourself; the case and its data are gone",
        ) from error
    return found


def _folders(settings: Settings, case: str) -> tuple[Path, Path, Path]:
    name = check_name(case)
    results = Kept(settings.home).root / name
    return results, folder_of(settings, name), settings.home / "reports" / name


def _in(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
