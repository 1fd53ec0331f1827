"""Who calls at a sinkhole without being infected: published ranges, and networks of servers.

Beside this module lie lists of facts with their sources: ranges from which a scanning project says
that it scans, and ASes in which people rent servers. A site names more in a file of its own.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from remnant.enrich.addresses import parse
from remnant.enrich.ranges import Segments, find, flatten, from_prefixes, misplaced
from remnant.errors import ReferenceDataError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any

    import numpy.typing as npt

__all__ = ["KINDS", "Listed", "clouds", "listed"]

KINDS: Final = ("scanner", "crawler", "monitor", "sandbox", "researcher", "resolver", "sinkhole")
"""What a visitor that is no victim may be."""

_FILE_LIMIT: Final = 64 << 20
_LINE_LIMIT: Final = 1000


class Listed(NamedTuple):
    """Address ranges of known visitors.

    Attributes:
        segments: the address space, cut; ``owner`` is an index into ``kinds``.
        kinds: the kind of each range.
    """

    segments: Segments
    kinds: tuple[str, ...]

    def kinds_of(self, addresses: pa.ChunkedArray[Any]) -> npt.NDArray[np.int64]:
        """Return for each address or prefix (text) the index of its kind in ``KINDS``, else -1."""
        if not self.kinds:
            return np.full(len(addresses), -1, np.int64)
        read = parse(addresses)
        at = find(self.segments, read.high, read.low)
        owner = np.where((at >= 0) & (read.length >= 0), self.segments.owner[at], -1)
        codes = np.array([*map(KINDS.index, self.kinds), -1], np.int64)
        found: npt.NDArray[np.int64] = codes[owner]
        return found


@cache
def clouds() -> tuple[int, ...]:
    """Return the AS numbers of networks in which people rent servers, in order."""
    return tuple(sorted(int(row["indicator"].removeprefix("AS")) for row in _shipped("clouds")))


@cache
def listed(path: Path | None = None) -> Listed:
    """Return the ranges of the shipped list and of a site's own file.

    The file is CSV without a head: an address or prefix, then a kind of ``KINDS``; what follows is
    for people. Empty lines and lines that begin with ``#`` say nothing.

    Raises:
        ReferenceDataError: the file cannot be read, or a line of it is neither.
    """
    rows = [(row["indicator"], "scanner") for row in _shipped("scanners")]
    if path is not None:
        rows += _own(path)
    read = parse(pa.array([text for text, _ in rows], pa.string()))
    ranges = from_prefixes(read.high, read.low, read.length)
    if path is not None:
        wrong = (read.length < 0) | misplaced(ranges)
        if wrong.any():
            first = rows[int(np.flatnonzero(wrong)[0])][0]
            raise _unusable(path, first[:100], "an address, or a prefix such as 192.0.2.0/24")
    return Listed(flatten(ranges), tuple(kind for _, kind in rows))


def _shipped(name: str) -> list[dict[str, str]]:
    file = resources.files("remnant.enrich").joinpath("known", f"{name}.csv")
    with file.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def _own(path: Path) -> Iterable[tuple[str, str]]:
    try:
        if path.stat().st_size > _FILE_LIMIT:
            raise _unusable(path, "a larger file", f"at most {_FILE_LIMIT >> 20} MiB")
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ReferenceDataError(
            "the list of known visitors cannot be read",
            where=str(path),
            got=error.strerror or type(error).__name__,
            hint="correct reference.visitors in settings.toml",
        ) from error
    rows = []
    for line in text.splitlines():
        parts = [part.strip() for part in line[:_LINE_LIMIT].split(",")]
        if not parts[0] or parts[0].startswith("#"):
            continue
        if len(parts) < 2 or parts[1] not in KINDS:
            raise _unusable(path, line[:100], f"ADDRESS,KIND with a kind of {', '.join(KINDS)}")
        rows.append((parts[0], parts[1]))
    return rows


def _unusable(path: Path, got: str, expected: str) -> ReferenceDataError:
    return ReferenceDataError(
        "the list of known visitors cannot be used", where=str(path), got=got, expected=expected
    )
