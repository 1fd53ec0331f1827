"""What was made for a case, and how far what is being made is: files in the home folder.

    <home>/reports/<case>/<id>.json     what was asked for, by whom, and what became of it
    <home>/reports/<case>/<id>.<end>    the file

Every path is put together from a case's checked name, an id of fixed form and an ending of a fixed
list, so no request can lead elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from remnant.cases.casefile import check_name
from remnant.errors import NoData
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["ENDINGS", "ID", "Made", "Shelf", "Wish"]

ID: Final = r"[0-9]{8}t[0-9]{6}-[0-9a-f]{8}"
"""What an id looks like."""

ENDINGS: Final[Mapping[str, str]] = {
    "report": "html",
    "figures": "zip",
    "map-graphml": "graphml",
    "map-gexf": "gexf",
    "map-stix": "json",
    "map-misp": "json",
    "map-csv": "zip",
    "map-svg": "svg",
    "map-png": "png",
}
"""What can be made -> the ending of its file."""

_ELSEWHERE: Final = "elsewhere"
_MOST: Final = 500
_MOST_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes:
        kind: a key of ``ENDINGS``.
        since: start of the window as a person wrote it; empty: the first covered hour.
        until: its end, exclusive; empty: the last covered hour.
        vantage: point of view; empty: the default one.
        internal: with small counts.
        interactive: a report with figures that can be explored.
    """

    kind: str
    since: str = ""
    until: str = ""
    vantage: str = ""
    internal: bool = False
    interactive: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """One file that was made, or is being made.

    Attributes:
        id: its id; ``elsewhere`` for the report that a command wrote.
        case: name of the case.
        wish: what was asked for.
        by: account.
        asked: when (UTC, ISO 8601).
        state: ``waiting``, ``working``, ``done``, ``failed`` or ``stopped``.
        stage: what is being done.
        problem: why it failed.
        finished: when it was done (UTC, ISO 8601).
        seconds: what it cost.
        bytes: size of the file.
        digest: of the numbers in it (``report.content.digest``), where it has some.
        window: start and end of what it shows (ISO 8601).
        vantage: point of view that was taken.
        simulated: its traffic was made up.
        server: process that has it made.
    """

    id: str
    case: str
    wish: Wish
    by: str = ""
    asked: str = ""
    state: str = "waiting"
    stage: str = ""
    problem: str | None = None
    finished: str | None = None
    seconds: float | None = None
    bytes: int | None = None
    digest: str | None = None
    window: tuple[str, str] | None = None
    vantage: str | None = None
    simulated: bool = False
    server: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it is still to be made."""
        return self.state in {"waiting", "working"}

    @property
    def ending(self) -> str:
        """The ending of its file."""
        return ENDINGS.get(self.wish.kind, "bin")


class Shelf:
    """The files of all cases.

    Args:
        home: the data folder.
    """

    def __init__(self, home: Path) -> None:
        self._root = home / "reports"

    def begin(self, case: str, wish: Wish, by: str) -> Made:
        """Put down what is asked for, and return it with its id.

        Raises:
            OSError: it cannot be written.
        """
        now = datetime.now(tz=UTC)
        id_ = f"{now:%Y%m%dt%H%M%S}-{secrets.token_hex(4)}"
        made = Made(id_, check_name(case), wish, by, iso(now), server=os.getpid())
        folder = self._folder(case)
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True, mode=0o700)
        self.put(made)
        return made

    def put(self, made: Made) -> None:
        """Write what is known of a file, in one step."""
        from remnant.report.export import write_whole

        text = json.dumps(asdict(made), ensure_ascii=True)
        write_whole(self._folder(made.case) / f"{made.id}.json", text.encode())

    def get(self, case: str, id_: str) -> Made:
        """Return what is known of a file.

        Raises:
            NoData: there is none of that id.
        """
        found = None
        if re.fullmatch(ID, id_):
            found = self._read(self._folder(case) / f"{id_}.json", case)
        elif id_ == _ELSEWHERE:
            found = self._elsewhere(case)
        if found is None:
            raise NoData(
                "there is no such report", got=id_, hint=f"/cases/{case}/reports lists all"
            )
        return found

    def path(self, made: Made) -> Path:
        """Return where a file lies.

        Raises:
            NoData: it is not there.
        """
        if made.id == _ELSEWHERE:
            path = self._root / f"{check_name(made.case)}.html"
        else:
            path = self._folder(made.case) / f"{made.id}.{made.ending}"
        if made.state != "done" or path.is_symlink() or not path.is_file():
            raise NoData("the file is not there", got=made.id, hint="it may have been deleted")
        return path

    def to_write(self, made: Made) -> Path:
        """Return where a file is to lie."""
        return self._folder(made.case) / f"{made.id}.{made.ending}"

    def list(self, case: str) -> list[Made]:
        """Return what was made for a case, the newest first."""
        names = sorted((path.name for path in self._folder(case).glob("*.json")), reverse=True)
        ids = [name[:-5] for name in names if re.fullmatch(ID, name[:-5])]
        found = [self._read(self._folder(case) / f"{id_}.json", case) for id_ in ids[:_MOST]]
        out = [made for made in found if made is not None]
        elsewhere = self._elsewhere(case)
        if elsewhere is not None:
            out.append(elsewhere)
        return sorted(out, key=lambda made: made.asked, reverse=True)

    def remove(self, made: Made) -> None:
        """Remove a file and what is known of it."""
        if made.id == _ELSEWHERE:
            self.path(made).unlink(missing_ok=True)
            return
        for path in (self.to_write(made), self._folder(made.case) / f"{made.id}.json"):
            path.unlink(missing_ok=True)

    def _folder(self, case: str) -> Path:
        return self._root / check_name(case)

    def _elsewhere(self, case: str) -> Made | None:
        """Return the report that a command wrote for a case, if there is one."""
        path = self._root / f"{check_name(case)}.html"
        if path.is_symlink() or not path.is_file():
            return None
        found = path.stat()
        at = iso(datetime.fromtimestamp(int(found.st_mtime), tz=UTC))
        return Made(
            _ELSEWHERE,
            case,
            Wish("report"),
            by="a command",
            asked=at,
            state="done",
            finished=at,
            bytes=found.st_size,
        )

    @staticmethod
    def _read(path: Path, case: str) -> Made | None:
        try:
            if path.stat().st_size > _MOST_BYTES:
                return None
            told: Any = json.loads(path.read_bytes())
            wish = Wish(**told["wish"])
            known = {field.name for field in fields(Made)} - {"wish", "case", "id"}
            rest = {key: value for key, value in told.items() if key in known}
            made = Made(id=path.stem, case=case, wish=wish, **rest)
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        if wish.kind not in ENDINGS:
            return None
        if made.window is not None:
            made = replace(made, window=(str(made.window[0]), str(made.window[1])))
        if made.is_open and not _runs(made.server):
            return replace(made, state="stopped", problem="the server that made it was stopped")
        return made


def _runs(process: int) -> bool:
    """Return whether a process is there."""
    with contextlib.suppress(OSError, OverflowError, TypeError):
        os.kill(process, 0)
        return process > 0
    return False
