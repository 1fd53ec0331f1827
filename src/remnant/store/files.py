"""Parquet files: where they lie, how they are written so that they survive, how they are read.

``store/<table>/case=<case>/day=<day>/<id>.parquet``; tables that are not kept by day have no day
folder. A file is complete and on disk before it gets its name, and counts only once it is listed.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import shutil
import uuid
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from remnant.errors import StoreError
from remnant.schema import ANSWERS, STORED, Table, check_version
from remnant.store.records import FileRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = [
    "Folder",
    "Pending",
    "by_name",
    "conform",
    "explained",
    "key_ends",
    "keys_of",
    "read_table",
]

_ROW_GROUP: Final = 1 << 18
ORDERED_GROUP: Final = 1 << 13
"""Rows of a row group of a file whose rows are in order: what one look-up reads at least."""
_KEYS: Final = b"remnant.keys"
_SEARCHED: Final = (
    "time", "name", "client", "asn", "hour", "start", "grain", "rrname", "rdata", "time_first",
)  # fmt: skip
_REPEATING: Final = frozenset(
    {
        "name",
        "case_bits",
        "asn",
        "qtype",
        "rcode",
        "service_port",
        "weight",
        "queries",
        "prefix",
        "as_name",
        "as_of",
        "rrname",
        "rrtype",
        "rdata",
    }
)
"""Plain columns whose values repeat; the others are written without a dictionary."""

_DENSE: Final = frozenset({"time", "client", "client_port", "first_time", "last_time"})
"""Columns that take much time to compress and get little shorter by it."""
_ROWS_AT_ONCE: Final = 1 << 16

_BY_NAME: Final = {table.name: table for table in STORED}


@dataclass(frozen=True, slots=True)
class Pending:
    """A file that is on disk under a temporary name."""

    temporary: Path
    record: FileRecord


def by_name(name: str) -> Table:
    """Return the stored table of this name."""
    return _BY_NAME[name]


@contextlib.contextmanager
def explained(where: Path) -> Iterator[None]:
    """Turn failures of the operating system into a StoreError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            hint = "free some space and run the command again; what was stored before is unchanged"
        elif error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            hint = "give this user the right to write there, or choose another --home"
        else:
            hint = "what was stored before is unchanged"
        raise StoreError(
            "the store cannot be read or written",
            where=str(error.filename or where),
            got=error.strerror or error,
            hint=hint,
        ) from error


def conform(table: Table, data: pa.Table, names: Sequence[str] | None = None) -> pa.Table:
    """Return the data with exactly the columns of its table; missing nullable ones are null.

    With ``names`` only these columns.

    Raises:
        StoreError: a column is missing or has another type, or a null stands where none may.
    """
    columns = []
    wanted = table.arrow if names is None else pa.schema([table.arrow.field(n) for n in names])
    for field in wanted:
        if field.name in data.column_names:
            column = data.column(field.name)
        elif field.nullable:
            column = pa.nulls(len(data), field.type)
        else:
            raise StoreError(f"table {table.name} lacks a column", got=field.name)
        if column.null_count and not field.nullable:
            raise StoreError(f"table {table.name} has a null where none may be", got=field.name)
        try:
            columns.append(column if column.type == field.type else column.cast(field.type))
        except pa.ArrowException as error:
            raise StoreError(
                f"column {field.name} of table {table.name} has another type",
                got=column.type,
                expected=str(field.type),
            ) from error
    return pa.table(columns, schema=wanted.with_metadata(table.arrow.metadata))


def read_table(table: Table, path: Path, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of a listed file; with ``columns`` only these columns of them.

    Raises:
        StoreError: it cannot be read.
        SchemaMismatch: a newer version wrote it.
    """
    with explained(path):
        try:
            with pq.ParquetFile(path) as file:
                check_version(table, file.schema_arrow, str(path))
                return conform(
                    table, file.read(None if columns is None else list(columns)), columns
                )
        except pa.ArrowException as error:
            raise StoreError(
                "a file of the store is damaged",
                where=str(path),
                got=error,
                hint="delete the case and ingest its sources again, or restore the store's files",
            ) from error


class Folder:
    """The folder ``store`` in the home folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.temporary = root / "tmp"

    def path(self, record: FileRecord | str) -> Path:
        """Return where a listed file lies."""
        return self.root / (record if isinstance(record, str) else record.path)

    def write(
        self,
        folder: Path,
        table: Table,
        case: str,
        day: str | None,
        data: pa.Table,
        sources: Iterable[str],
        *,
        brief: bool = False,
        run: str | None = None,
    ) -> Pending:
        """Write rows to a temporary file and wait until they are on disk.

        With ``brief`` in less time and more space, for a file that is merged with others soon. With
        ``run`` the rows are in the table's order, and the file tells where which keys begin.
        """
        data = conform(table, data).unify_dictionaries()
        groups, low, high = (None, b"", b"") if run is None else _key_places(table, data)
        identifier = uuid.uuid4().hex
        place = f"{table.name}/case={case}" + (f"/day={day}" if day is not None else "")
        temporary = folder / f"{identifier}.parquet"
        with explained(temporary), temporary.open("wb") as file:
            _write(table, data, file, brief=brief, groups=groups)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        return Pending(
            temporary,
            FileRecord(
                f"{place}/{identifier}.parquet",
                case,
                table.name,
                day,
                len(data),
                size,
                table.version,
                frozenset(sources),
                run,
                low,
                high,
            ),
        )

    def publish(self, pending: Iterable[Pending]) -> None:
        """Give files their names, and wait until the folders know them."""
        folders: set[Path] = set()
        with explained(self.root):
            for file in pending:
                target = self.path(file.record)
                if target.parent not in folders:
                    folders.update(_made(target.parent))
                    folders.add(target.parent)
                file.temporary.replace(target)
            for folder in sorted(folders):
                _sync_folder(folder)

    def remove(self, paths: Iterable[str]) -> None:
        """Delete files and the folders that they leave empty; missing ones are fine."""
        folders: set[Path] = set()
        for path in paths:
            target = self.path(path)
            with explained(target):
                target.unlink(missing_ok=True)
            folders.update(target.parents[: len(target.relative_to(self.root).parts) - 1])
        for folder in sorted(folders, reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def present(self) -> Iterator[str]:
        """Yield every table file in the folder, listed or not."""
        for table in STORED:
            for place, _, names in os.walk(self.root / table.name):
                relative = os.path.relpath(place, self.root)
                yield from (f"{relative}/{name}" for name in names if name.endswith(".parquet"))

    def sweep(self) -> None:
        """Remove what processes that ended early left behind; only the writer may."""
        shutil.rmtree(self.temporary, ignore_errors=True)
        for folder in self.root.glob("spill-*"):
            process = folder.name.split("-")[1]
            if not process.isdecimal() or not _alive(int(process)):
                shutil.rmtree(folder, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def keys_of(table: Table, data: pa.Table) -> pa.Array[Any]:
    """Return what orders the rows of ``answers`` or of ``answers_by_data`` (``answer_keys``)."""
    from remnant.store.answer_keys import data_keys, owner_keys  # noqa: PLC0415 - loads Numba

    return owner_keys(data) if table is ANSWERS else data_keys(data)


def _key_places(table: Table, data: pa.Table) -> tuple[list[bytes], bytes, bytes]:
    """Return the ends of each row group that rows in order become, and those of all."""
    keys = keys_of(table, data)
    count = len(keys)
    first = np.arange(0, count, ORDERED_GROUP)
    both: Any = pa.array(np.stack([first, np.minimum(first + ORDERED_GROUP, count) - 1], 1).ravel())
    ends: Any = keys.take(both).to_pylist()
    return ends, ends[0], ends[-1]


def key_ends(schema: pa.Schema) -> tuple[list[bytes], list[bytes]]:
    """Return the first and the last keys of the row groups of a file of a run."""
    texts = json.loads((schema.metadata or {}).get(_KEYS, b"[]"))
    keys = [base64.b64decode(text) for text in texts]
    return keys[::2], keys[1::2]


def _write(
    table: Table,
    data: pa.Table,
    file: IO[bytes],
    *,
    brief: bool,
    groups: list[bytes] | None = None,
) -> None:
    """Write Parquet. Measured: these choices take a third of the default's time, same size."""
    schema = table.arrow
    if groups is not None:
        places = json.dumps([base64.b64encode(key).decode("ascii") for key in groups])
        metadata = {**(data.schema.metadata or {}), _KEYS: places.encode("ascii")}
        data = data.replace_schema_metadata(metadata)
    repeating: Any = [
        f.name for f in schema if pa.types.is_dictionary(f.type) or f.name in _REPEATING
    ]
    times = {f.name: "DELTA_BINARY_PACKED" for f in schema if pa.types.is_timestamp(f.type)}
    dense = _DENSE if brief else frozenset[str]()
    kinds: Any = {name: "none" if name in dense else "zstd" for name in schema.names}
    levels: Any = {name: 1 for name in schema.names if name not in dense}
    if brief and table is ANSWERS:
        # Most names and data stand there once or twice.
        repeating = [name for name in repeating if name not in {"rrname", "rdata"}]
        kinds, levels = "lz4", None
    pq.write_table(
        data,
        file,
        compression=kinds,
        compression_level=levels,
        row_group_size=_ROW_GROUP if groups is None else ORDERED_GROUP,
        write_batch_size=_ROWS_AT_ONCE,
        use_dictionary=repeating,
        column_encoding=times,
        write_statistics=[name for name in _SEARCHED if name in schema.names],
    )


def _made(folder: Path) -> list[Path]:
    """Make a folder where it is missing; return the folders that got a new entry by that."""
    if folder.is_dir():
        return []
    changed = [*_made(folder.parent), folder.parent]
    folder.mkdir(exist_ok=True)
    return changed


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
