"""Outcomes that were made before, as long as the code that they rest on has not changed."""

from __future__ import annotations

import hashlib
import pickle
import sys
import time
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from campaigns.campaign import generator

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from campaigns.campaign import Cell, Outcomes

__all__ = ["Kept", "digests", "inputs", "load", "loaded", "run", "save"]

_ROOT: Final = Path(__file__).resolve().parent.parent
_FOLDER: Final = _ROOT / ".quality"
_CODE: Final = (_ROOT / "src" / "remnant", _ROOT / "campaigns")
_SHOWN: Final = frozenset({"__main__.py", "kept.py", "page.py"})
"""Files of the campaigns that show outcomes and do not make them."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Outcomes of one cell.

    Attributes:
        outcomes: as the cell made them.
        repeats: how many there are.
        seconds: of CPU that they took.
        files: each file of code that was loaded (below the project), and its SHA-256.
    """

    outcomes: Outcomes | dict[str, Outcomes]
    repeats: int
    seconds: float
    files: dict[str, str]


def run(campaign: str, cell: Cell) -> Kept:
    """Return the outcomes of a cell, what they cost, and the files that they rest on."""
    began = time.process_time()
    found = cell.simulate(generator(campaign, cell.label), cell.repeats)
    seconds = time.process_time() - began
    return Kept(found, cell.repeats, seconds, digests(loaded()))


def loaded() -> list[Path]:
    """Return the project's own files that this process has loaded."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    paths = {Path(file).resolve() for file in files if file}
    return sorted(
        path
        for path in paths
        if any(path.is_relative_to(folder) for folder in _CODE) and path.name not in _SHOWN
    )


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file, by its path; empty for one that is gone."""
    return {
        str(path.relative_to(_ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.exists()
        else ""
        for path in paths
    }


def inputs(made: Sequence[Kept], of: int | None = None) -> str:
    """Return what a table was made from, in words that no commit and no machine changes.

    The digest is the first 16 digits of the SHA-256 over the names and the SHA-256 of all files of
    code that any of its cells had loaded.

    Args:
        made: its cells.
        of: how many cells there are, if some were not run.
    """
    files = {name: digest for kept in made for name, digest in kept.files.items()}
    words = "".join(f"{name} {files[name]}\n" for name in sorted(files))
    digest = hashlib.sha256(words.encode()).hexdigest()[:16]
    minutes = sum(kept.seconds for kept in made) / 60
    present = digests(_ROOT / name for name in files)
    changed = sum(present[name] != known for name, known in files.items())
    since = f"; {changed} of them have changed since" if changed else ""
    part = (
        f"; {len(made)} of {of} cells, the others are not run yet"
        if of not in {None, len(made)}
        else ""
    )
    return (
        f"{len(files)} files of code, digest `{digest}`; {minutes:.1f} minutes of CPU{since}{part}."
    )


def load(campaign: str, cell: Cell, *, changed: bool = False) -> Kept | None:
    """Return what was kept of a cell; null where there is nothing, or the code has changed.

    Args:
        campaign: its name.
        cell: the cell.
        changed: return it even where the code has changed since.
    """
    try:
        # Our own file, in a folder of this checkout.
        kept = pickle.loads(_path(campaign, cell).read_bytes())  # noqa: S301
    except (OSError, EOFError, AttributeError, ImportError, pickle.UnpicklingError):
        return None
    if not isinstance(kept, Kept) or kept.repeats != cell.repeats or not kept.files:
        return None
    if not all(_whole(found) for found in _each(kept.outcomes)):
        return None
    return kept if changed or digests(_ROOT / name for name in kept.files) == kept.files else None


def _each(outcomes: Outcomes | dict[str, Outcomes]) -> Iterable[Outcomes]:
    return outcomes.values() if isinstance(outcomes, dict) else (outcomes,)


def _whole(outcomes: Outcomes) -> bool:
    """Return whether outcomes have every field; those of an older version may lack one."""
    return all(hasattr(outcomes, one.name) for one in fields(outcomes))


def save(campaign: str, cell: Cell, kept: Kept) -> None:
    """Keep the outcomes of a cell."""
    _FOLDER.mkdir(exist_ok=True)
    _path(campaign, cell).write_bytes(pickle.dumps(kept))


def _path(campaign: str, cell: Cell) -> Path:
    words = "|".join(f"{key}={value}" for key, value in cell.label.items())
    return _FOLDER / f"{campaign}-{zlib.crc32(words.encode()):08x}.pickle"
