"""Rows of a source, kept by day: in memory while they are few, else in temporary files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from remnant.store.files import explained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Rows"]

SPILL_ROWS: Final = 100_000
"""Rows of one case that stay in memory."""

SPILL_BYTES: Final = 32 << 20
"""Their bytes: names under a wildcard may be long on purpose."""

PART_ROWS: Final = 200_000
"""Rows that are handed out, sorted and written together."""

PART_BYTES: Final = 64 << 20
"""Their bytes; a column of text holds less than 2 GiB in Arrow."""


class Rows:
    """The rows that one source brings to one case.

    Args:
        scratch: folder for temporary files; who made it removes it.
        name: distinguishes the files of this case from those of others.
    """

    def __init__(self, scratch: Path, name: str) -> None:
        self._scratch = scratch
        self._name = name
        self._tables: list[pa.Table] = []
        self._count = 0
        self._bytes = 0
        self._runs: list[pa.Table] = []
        self._maps: list[pa.MemoryMappedFile] = []
        self._days: dict[int, list[tuple[int, int, int]]] = {}

    def add(self, rows: pa.Table) -> None:
        """Keep some rows; they have a column ``day`` (days since 1970)."""
        self._tables.append(rows)
        self._count += len(rows)
        self._bytes += rows.nbytes
        if self._count >= SPILL_ROWS or self._bytes >= SPILL_BYTES:
            self._spill(self._run())

    def days(self) -> list[int]:
        """Return the days that have rows, in order."""
        if self._tables:
            self._index(self._run())
        return sorted(self._days)

    def parts(self, day: int) -> Iterator[pa.Table]:
        """Yield the rows of a day in tables of a bounded number of rows; call ``days`` first."""
        kept: list[pa.Table] = []
        count = size = 0
        for run, start, length in self._days.get(day, ()):
            kept.append(self._runs[run].slice(start, length))
            count += length
            size += kept[-1].nbytes
            if count >= PART_ROWS or size >= PART_BYTES:
                yield pa.concat_tables(kept)
                kept, count, size = [], 0, 0
        if kept:
            yield pa.concat_tables(kept)

    def close(self) -> None:
        """Let go of the temporary files."""
        self._runs = []
        for file in self._maps:
            file.close()

    def _run(self) -> pa.Table:
        run = pa.concat_tables(self._tables).unify_dictionaries()
        self._tables, self._count, self._bytes = [], 0, 0
        day = run["day"].to_numpy()
        if (np.diff(day) < 0).any():
            run = run.take(np.argsort(day, kind="stable"))
        return run

    def _spill(self, run: pa.Table) -> None:
        path = self._scratch / f"{self._name}-{len(self._runs)}.arrow"
        run = run.combine_chunks()
        with explained(path):
            # Not compressed: mapped into memory it takes none that the system cannot have back.
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, run.schema) as writer:
                writer.write_table(run)
            mapped = pa.memory_map(str(path))
        self._maps.append(mapped)
        self._index(pa.ipc.open_file(mapped).read_all())

    def _index(self, run: pa.Table) -> None:
        day = run["day"].to_numpy()
        starts = np.flatnonzero(np.diff(day, prepend=day[:1] - 1))
        ends = np.append(starts[1:], day.size)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            self._days.setdefault(int(day[start]), []).append((len(self._runs), start, end - start))
        self._runs.append(run)
