"""Ibis on DuckDB over a list of files: bounded memory, UTC, nothing left behind."""

from __future__ import annotations

import os
import shutil
import uuid
from typing import TYPE_CHECKING, Any, Final, Self

import ibis
import pyarrow as pa

from remnant.errors import SchemaMismatch, StoreError
from remnant.schema import ACTIVITY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from ibis.expr.types import Table

    from remnant.schema import Table as TableSchema
    from remnant.settings import Settings
    from remnant.store.files import Folder
    from remnant.store.records import FileRecord

__all__ = ["Engine", "activity_schema", "batches_of", "ibis_schema", "rows_of"]

_BATCH_ROWS: Final = 20_000


def ibis_schema(table: TableSchema) -> ibis.Schema:
    """Return a table's columns as an engine sees them: words are plain text."""
    fields = [
        pa.field(field.name, field.type.value_type)
        if pa.types.is_dictionary(field.type)
        else pa.field(field.name, field.type)
        for field in table.arrow
    ]
    return ibis.Schema.from_pyarrow(pa.schema(fields))


def activity_schema() -> ibis.Schema:
    """Return the columns of the roll-ups."""
    return ibis_schema(ACTIVITY)


class Engine:
    """One DuckDB in memory, for the expressions of one snapshot.

    Args:
        folder: where the files lie.
        settings: memory and threads.
        beside: an engine whose memory, threads and caches this one shares; it must be closed last.
            Each has its own tables and answers its own questions, in parallel.
    """

    def __init__(self, folder: Folder, settings: Settings, *, beside: Engine | None = None) -> None:
        self._folder = folder
        self._spill: Path | None = None
        if beside is not None:
            self._connection: Any = ibis.duckdb.from_connection(beside._connection.con.cursor())  # noqa: SLF001 - of this class
            return
        self._spill = folder.root / f"spill-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._connection = ibis.duckdb.connect(
            memory_limit=settings.store.memory_limit,
            threads=settings.store.threads,
            temp_directory=str(self._spill),
            autoinstall_known_extensions=False,
            preserve_insertion_order=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the engine and remove what it spilled to disk."""
        self._connection.disconnect()
        if self._spill is not None:
            shutil.rmtree(self._spill, ignore_errors=True)

    def table(self, table: TableSchema, files: Sequence[FileRecord]) -> Table:
        """Return the rows of listed files as one table with exactly the schema's columns.

        Raises:
            SchemaMismatch: a file was written by a newer version.
            StoreError: a listed file is not there.
        """
        wanted = ibis_schema(table)
        if not files:
            return self._connection.create_table(
                f"empty_{table.name}_{uuid.uuid4().hex[:8]}", schema=wanted, temp=True
            )
        for file in files:
            if file.version > table.version:
                raise SchemaMismatch(
                    f"a file of table {table.name} was written by a newer Remnant",
                    where=file.path,
                    got=f"version {file.version}",
                    expected=f"version {table.version} or older",
                    hint="update Remnant, or read this store with the version that wrote it",
                )
        paths = [self._folder.path(file) for file in files]
        for path in paths:
            if not path.is_file():
                raise StoreError(
                    "a file of the store is missing",
                    where=str(path),
                    hint="restore it from a copy, or delete the case and ingest it again",
                )
        found = self._connection.read_parquet(
            [_literal(path) for path in map(str, paths)],
            # All files of a version have the same columns; to compare them, each must be opened.
            union_by_name=len({file.version for file in files}) > 1,
            hive_partitioning=False,
        )
        columns = {
            name: (found[name] if name in found.columns else ibis.null()).cast(kind)
            for name, kind in wanted.items()
        }
        return found.select(**columns)

    def kept(self, table: Table) -> Table:
        """Return the rows of an expression, computed now and kept until the engine closes."""
        return self._connection.create_table(f"kept_{uuid.uuid4().hex}", table, temp=True)


def rows_of(table: Table) -> Iterator[dict[str, Any]]:
    """Yield the rows of an expression in order; only a bounded number of them is held."""
    types = table.schema().to_pyarrow()
    for batch in batches_of(table):
        # An engine may return larger batches than it is asked for.
        for start in range(0, batch.num_rows, _BATCH_ROWS):
            yield from batch.slice(start, _BATCH_ROWS).cast(types).to_pylist()


def batches_of(table: Table) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an expression in order, in bounded batches of Arrow."""
    # Ibis asks DuckDB 2.0 for batches by a name that it does not have any more.
    relation = getattr(table.get_backend(), "_to_duckdb_relation", None)
    if relation is None:
        yield from table.to_pyarrow_batches(chunk_size=_BATCH_ROWS)
    else:
        yield from relation(table).to_arrow_reader(_BATCH_ROWS)


def _literal(path: str) -> str:
    """Return a path in which DuckDB sees no pattern."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)
