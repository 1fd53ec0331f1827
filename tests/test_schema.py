from __future__ import annotations

import pyarrow as pa
import pytest

from remnant import schema
from remnant.errors import SchemaMismatch
from remnant.schema import SIGHTINGS, STORED, Table, check_version

TABLES = [value for value in vars(schema).values() if isinstance(value, Table)]


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_every_column_says_what_it_means(table: Table) -> None:
    assert len(set(table.names)) == len(table.columns)
    for column in table.columns:
        assert column.meaning
        assert table.arrow.field(column.name).nullable == (column.null is not None)
        assert not pa.types.is_timestamp(column.type) or column.type == schema.TIME


def test_stored_tables_have_a_case_partition() -> None:
    assert all(table.partitions[0] == "case" for table in STORED)


def test_a_newer_file_is_refused_and_an_older_one_read() -> None:
    check_version(SIGHTINGS, SIGHTINGS.arrow, "file")
    newer = SIGHTINGS.arrow.with_metadata(
        {b"remnant.table": b"sightings", b"remnant.version": b"999"}
    )
    with pytest.raises(SchemaMismatch, match="newer Remnant"):
        check_version(SIGHTINGS, newer, "file")
    with pytest.raises(SchemaMismatch, match="not a file of the table"):
        check_version(SIGHTINGS, schema.CLIENTS.arrow, "file")
    with pytest.raises(SchemaMismatch):
        check_version(SIGHTINGS, pa.schema([]), "file")
