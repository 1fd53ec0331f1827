"""One change of the store: files written aside, then one commit, or nothing at all."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.compute as pc

from remnant.errors import StoreError
from remnant.schema import SIGHTINGS, Table
from remnant.store.files import Folder, Pending, by_name, explained, read_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    import sqlalchemy as sa

    from remnant.store.ledger import Ledger
    from remnant.store.records import FileRecord, Prefix, SourceRecord

__all__ = ["Change"]


class Change:
    """Collects new files and what they replace; ``commit`` makes all of it true at once.

    Used as a context manager: leaving it without a commit leaves no trace.

    Args:
        folder: where the files lie.
        ledger: what lists them.
        same_rows: the change moves rows between files and alters none, so roll-ups stay true.

    Attributes:
        scratch: a folder for temporary files, on the same disk, gone at the end.
    """

    def __init__(self, folder: Folder, ledger: Ledger, *, same_rows: bool = False) -> None:
        self._same_rows = same_rows
        self._folder = folder
        self._ledger = ledger
        self._pending: list[Pending] = []
        self._replaced: set[str] = set()
        self._steps: list[Callable[[sa.Connection], None]] = []
        self._dirty: dict[str, set[str]] = {}
        self.scratch = folder.temporary / uuid.uuid4().hex

    def __enter__(self) -> Self:
        with explained(self.scratch):
            self.scratch.mkdir(parents=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)
        if kind is not None and self._pending:
            # Named but perhaps not listed. Where the ledger does not answer either, the next
            # writer removes them.
            with contextlib.suppress(StoreError):
                listed = self._ledger.all_paths()
                self._folder.remove(
                    file.record.path for file in self._pending if file.record.path not in listed
                )

    def write(
        self,
        table: Table,
        case: str,
        day: str | None,
        data: pa.Table,
        sources: Iterable[str],
        *,
        brief: bool = False,
        run: str | None = None,
    ) -> None:
        """Write rows to a new file of a table; no rows, no file.

        With ``brief`` in less time and more space, for a file that is merged with others soon. With
        ``run`` the rows are in the table's order (``answer_keys``), and the file is one of a run.
        """
        if len(data):
            pending = self._folder.write(
                self.scratch, table, case, day, data, sources, brief=brief, run=run
            )
            self._pending.append(pending)
        if table is SIGHTINGS and day is not None:
            self.mark_dirty(case, day)

    def replace(self, files: Iterable[FileRecord]) -> None:
        """Take listed files out."""
        for file in files:
            self._replaced.add(file.path)
            if file.table == SIGHTINGS.name and file.day is not None:
                self.mark_dirty(file.case, file.day)

    def rewrite(self, file: FileRecord, edit: Callable[[pa.Table], pa.Table]) -> None:
        """Replace a listed file by what ``edit`` makes of its rows."""
        table = by_name(file.table)
        data = edit(read_table(table, self._folder.path(file)))
        self.replace([file])
        self.write(table, file.case, file.day, data, file.sources, run=file.run)

    def remove_source(self, case: str, source: str) -> None:
        """Take the rows of a source out of every table; the ledger keeps its row."""
        with self._ledger.reading() as connection:
            files = self._ledger.files(connection, case, source=source)
        for file in files:
            self.replace([file])
            others = file.sources - {source}
            if others:
                table = by_name(file.table)
                data = read_table(table, self._folder.path(file))
                kept = data.filter(
                    pc.not_equal(data["source"].cast(pa.string()), pa.scalar(source))
                )
                self.write(table, case, file.day, kept, others, run=file.run)

    def put_source(self, record: SourceRecord, prefix: Prefix | None) -> None:
        """Insert or replace the ledger's row of a source, and remember where it ended."""
        self._steps.append(lambda connection: self._ledger.put_source(connection, record))
        if prefix is not None:
            self.put_prefix(prefix)

    def drop_prefix(self, source: str, length: int) -> None:
        """Forget a length at which a source ended, one that nobody has a copy of."""
        self._steps.append(lambda connection: self._ledger.drop_prefix(connection, source, length))

    def put_prefix(self, prefix: Prefix) -> None:
        """Remember a length at which a copy of a source ended."""
        self._steps.append(lambda connection: self._ledger.put_prefix(connection, prefix))

    def mark_dirty(self, case: str, day: str) -> None:
        """Say that the roll-ups of a day must be made again."""
        if not self._same_rows:
            self._dirty.setdefault(case, set()).add(day)

    def mark_clean(self, case: str, days: Iterable[str]) -> None:
        """Say that this change brings the roll-ups of these days."""
        done = set(days)
        self._steps.append(lambda connection: self._ledger.mark_clean(connection, case, done))

    def commit(self) -> None:
        """Make the change: files get their names, then the ledger lists them.

        Raises:
            StoreError: it could not be done; the store is as it was.
        """
        self._folder.publish(self._pending)
        now = datetime.now(tz=UTC)
        with self._ledger.writing() as connection:
            for step in self._steps:
                step(connection)
            self._ledger.replace_files(connection, self._replaced, now)
            self._ledger.add_files(connection, (file.record for file in self._pending))
            for case, days in self._dirty.items():
                self._ledger.mark_dirty(connection, case, days)
        self._pending = []
