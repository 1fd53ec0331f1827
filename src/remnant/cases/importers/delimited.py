"""Tables with a header: comma, semicolon or tab between the columns.

The indicator stands in the first column that is called domain, name, fqdn, hostname, host,
indicator or value, else in a column of addresses (address, ip). ``role`` and ``state`` may have
columns of their own, and ``type`` (as MISP exports it) leaves out rows of other kinds.

References:
    RFC 4180.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final, TypeVar

from remnant.cases.importers.plain import without_comment
from remnant.cases.model import ROLES, STATES
from remnant.errors import CaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from remnant.cases.importers import Collector

__all__ = ["collect", "delimiter_of", "is_header"]

_Word = TypeVar("_Word", bound=str)

_NAMES: Final = ("domain", "name", "fqdn", "hostname", "host", "indicator", "value")
_ADDRESSES: Final = ("address", "ip")
_TYPES: Final = frozenset(
    {"domain", "domain-name", "fqdn", "host", "hostname", "ip", "ip-dst", "ip-src", "ipv4", "ipv6"}
    | {"ipv4-addr", "ipv6-addr", "name"}
)
_DELIMITERS: Final = (",", ";", "\t")


def delimiter_of(line: str) -> str | None:
    """Return the delimiter that a line has most of, or ``None`` if it has none."""
    best = max(_DELIMITERS, key=line.count)
    return best if best in line else None


def is_header(line: str) -> bool:
    """Return whether a line names a column that holds indicators."""
    cells = _cells(line, delimiter_of(line) or ",")
    return not {*_NAMES, *_ADDRESSES}.isdisjoint(cells)


def collect(text: str, collector: Collector, where: str) -> None:
    """Give every row of a table to the collector.

    Raises:
        CaseError: no column holds indicators, or a quotation never ends.
    """
    lines = io.StringIO(text, newline="")
    head, first = "", 0
    for first, head in enumerate(lines, start=1):  # noqa: B007 - the header and its line number
        if without_comment(head):
            break
    delimiter = delimiter_of(head) or ","
    columns = _cells(head, delimiter)
    if not is_header(head):
        raise CaseError(
            "no column says that it holds names",
            where=f"{where}:{first}",
            got=head.strip(),
            expected="a first line with a column called " + ", ".join(_NAMES),
            hint="without a header, only a list with one name in a line is read",
        )
    main = [columns.index(word) for word in _NAMES if word in columns][:1]
    wanted = main + [columns.index(word) for word in _ADDRESSES if word in columns][:1]
    role, state, kind = (_column(columns, word) for word in ("role", "state", "type"))
    for number, row in _rows(lines, delimiter, where, first):
        place = f"line {number}"
        if not any(row) or row[0].lstrip().startswith("#"):
            continue
        values = [row[column] for column in wanted if column < len(row) and row[column].strip()]
        if kind is not None and _at(row, kind) not in _TYPES | {""}:
            collector.skip(_at(row, wanted[0]), place, f"a row of type {_at(row, kind)[:40]}")
            continue
        try:
            said = _word(_at(row, role), ROLES), _word(_at(row, state), STATES)
        except ValueError as error:
            collector.skip(_at(row, wanted[0]), place, str(error))
            continue
        for value in values:
            collector.add(value, place, role=said[0], state=said[1])


def _rows(
    lines: Iterable[str], delimiter: str, where: str, offset: int
) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise CaseError(
                "the table cannot be read",
                where=f"{where}:{offset + reader.line_num}",
                got=str(error),
                expected="cells with quotes closed, shorter than 128 KiB",
            ) from None
        yield offset + reader.line_num, row


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip().strip('"').strip().lower() for cell in line.split(delimiter)]


def _column(columns: list[str], word: str) -> int | None:
    return columns.index(word) if word in columns else None


def _at(row: list[str], column: int | None) -> str:
    return "" if column is None or column >= len(row) else row[column].strip()


def _word(text: str, words: Sequence[_Word]) -> _Word | None:
    """Return the word that a cell says; ``None`` for an empty cell."""
    if not text:
        return None
    for word in words:
        if word == text.lower():
            return word
    raise ValueError(f"{text[:40]} is none of {', '.join(words)}")
