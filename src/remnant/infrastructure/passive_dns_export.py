"""Passive DNS leaves in the common output format, so that other programs, and Remnant, read it.

One object a line, for each record and sensor. Beside the columns of the format a line has what
would be lost else: ``time_first_us`` and ``time_last_us`` (microseconds since 1970) where a time is
no whole second, ``ttl_low`` and ``ttl_high`` where they are known. Readers let unknown fields pass.

References:
    draft-dulaunoy-dnsop-passive-dns-cof-12.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from remnant.errors import RemnantError
from remnant.infrastructure.passive_dns import type_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["cof_lines", "write_cof"]

_MOST_COUNT: Final = 10**15 - 1
"""What readers of the format take for a number."""
_ROWS: Final = 50_000


def cof_lines(tables: Iterable[pa.Table]) -> Iterator[bytes]:
    """Yield lines of the common output format, many at once.

    Args:
        tables: as ``passive_dns.records`` yields them.
    """
    for table in tables:
        for start in range(0, len(table), _ROWS):
            lines = _lines(table.slice(start, _ROWS))
            yield "".join(lines.to_pylist()).encode("utf-8")


def write_cof(tables: Iterable[pa.Table], target: str | None) -> int:
    """Write records to a file, whole or not at all, or to standard output; return how many.

    Args:
        tables: as ``passive_dns.records`` yields them.
        target: path of the file; ``None`` or ``-``: standard output.

    Raises:
        RemnantError: the file cannot be written; what was there before is unchanged.
    """
    count = 0

    def counted() -> Iterator[pa.Table]:
        nonlocal count
        for table in tables:
            count += len(table)
            yield table

    if target in {None, "-"}:
        for lines in cof_lines(counted()):
            sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()
        return count
    with _whole_file(Path(str(target))) as file:
        for lines in cof_lines(counted()):
            file.write(lines)
    return count


@contextlib.contextmanager
def _whole_file(path: Path) -> Iterator[IO[bytes]]:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise RemnantError(
            "the file cannot be written",
            where=str(path),
            got=error.strerror or error,
            hint="check free space and permissions; a file of this name is unchanged",
        ) from error


def _lines(table: pa.Table) -> Any:  # noqa: ANN401 - Arrow
    times = {n: table[n].cast(pa.int64()) for n in ("time_first", "time_last")}
    count: Any = pc.min_element_wise(table["count"], pa.scalar(_MOST_COUNT, pa.int64()))
    parts: list[Any] = [
        '{"rrname":"', _escaped(table["rrname"]),
        '","rrtype":"', _words(table["rrtype"], type_word),
        '","rdata":["', _escaped(table["rdata"]),
        '"],"time_first":', _text(pc.divide(times["time_first"], 1_000_000)),
        ',"time_last":', _text(pc.divide(times["time_last"], 1_000_000)),
        ',"count":', _text(count),
        ',"sensor_id":', _words(table["sensor"], lambda word: json.dumps(word or "")),
    ]  # fmt: skip
    for name, time in times.items():
        second = pc.multiply(pc.divide(time, 1_000_000), 1_000_000)
        exact = pc.binary_join_element_wise(f',"{name}_us":', _text(time), "")
        parts.append(pc.if_else(pc.equal(time, second), "", exact))
    for name in ("ttl_low", "ttl_high"):
        told = pc.binary_join_element_wise(f',"{name}":', _text(table[name]), "")
        parts.append(pc.fill_null(told, ""))
    return pc.binary_join_element_wise(*parts, "}\n", "")


def _text(numbers: Any) -> Any:  # noqa: ANN401 - Arrow
    return numbers.cast(pa.string())


def _escaped(texts: Any) -> Any:  # noqa: ANN401 - Arrow
    """Return texts as JSON holds them: printable ASCII, so two characters are all."""
    slashes = pc.replace_substring(texts, "\\", "\\\\")
    return pc.replace_substring(slashes, '"', '\\"')


def _words(column: Any, of: Any) -> Any:  # noqa: ANN401 - Arrow
    """Return a word for each value, of which there are few."""
    coded: Any = column.combine_chunks().dictionary_encode()
    words = pa.array([of(value) for value in coded.dictionary.to_pylist()], pa.string())
    return words.take(coded.indices)
