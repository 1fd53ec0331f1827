"""One TOML table, taken apart key by key: what is missing, wrong or left over is an error.

``TableReader`` hands out typed values and remembers which keys were asked for; ``finish`` refuses
the rest. Every error names the file, the line where that can be found, and the path of the key
(``watch[2].names[5]``, counted from 0).

References:
    TOML 1.0.0, toml.io.
"""

from __future__ import annotations

import difflib
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, overload

from remnant.errors import CaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Source", "TableReader"]

_Word = TypeVar("_Word", bound=str)

_EARLIEST: Final = datetime(1980, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_MAX_TEXT: Final = 1000
_TYPES: Final[dict[type, str]] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "an array",
    dict: "a table",
    datetime: "a date-time",
    date: "a date",
    time: "a time of day",
}


class Source:
    """The text that values came from; it finds the line of a key path for messages."""

    def __init__(self, where: str, text: str) -> None:
        self._where = where
        self._text = text

    def place(self, path: str, value: object = None) -> str:
        """Return ``file:line (path)``, or ``file (path)`` where the line cannot be found."""
        line = self._line(path, value)
        at = self._where if line is None else f"{self._where}:{line}"
        return f"{at} ({path})" if path else at

    def _line(self, path: str, value: object) -> int | None:
        found = re.match(r"([a-z_]+)(?:\[(\d+)\])?(?:\.([^.\[]+))?", path)
        if found is None:
            return None
        table, index, key = found[1], found[2], found[3]
        opening, closing = (r"\[\[", r"\]\]") if index is not None else (r"\[+", r"\]+")
        headers = re.finditer(
            rf"^[ \t]*{opening}[ \t]*{table}[ \t]*{closing}", self._text, re.MULTILINE
        )
        for number, header in enumerate(headers):  # noqa: B007 - used after the loop
            if number == int(index or 0):
                break
        else:
            plain = re.search(rf"^[ \t]*{re.escape(path)}[ \t]*=", self._text, re.MULTILINE)
            return None if plain is None else self._text.count("\n", 0, plain.end()) + 1
        following = re.compile(r"^[ \t]*\[+[ \t]*[a-z]+[ \t]*\]+[ \t]*(?:#.*)?$", re.MULTILINE)
        end = following.search(self._text, header.end())
        stop = len(self._text) if end is None else end.start()
        position = header.start()
        if key is not None:
            at = re.compile(rf"^[ \t]*[\"']?{re.escape(key)}[\"']?[ \t]*[=.]", re.MULTILINE).search(
                self._text, header.end(), stop
            )
            if at is None:
                return self._text.count("\n", 0, position) + 1
            position = at.start() + len(at[0]) - len(at[0].lstrip())
            if isinstance(value, str) and value and path.endswith("]"):
                quoted = [self._text.find(q + value + q, at.end(), stop) for q in ('"', "'")]
                inside = [place for place in quoted if place >= 0]
                position = min(inside, default=position)
        return self._text.count("\n", 0, position) + 1


class TableReader:
    """Typed access to one table."""

    def __init__(self, table: dict[str, Any], path: str, source: Source) -> None:
        self._table = table
        self._path = path
        self._source = source
        self._asked: list[str] = []

    @property
    def path(self) -> str:
        """Where the table stands."""
        return self._path

    def has(self, key: str) -> bool:
        """Return whether the file states a key."""
        return key in self._table

    def error(
        self,
        key: str,
        what: str,
        *,
        got: object = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> CaseError:
        """Return an error that names the place of a key (with an index, maybe) of this table."""
        path = f"{self._path}.{key}" if self._path and key else self._path or key
        where = self._source.place(path, got)
        return CaseError(what, where=where, got=got, expected=expected, hint=hint)

    def text(self, key: str, *, required: bool = False) -> str | None:
        """Return a string without control characters, at most 1,000 characters."""
        value = self._get(key, str, required=required)
        if value is None:
            return None
        if len(value) > _MAX_TEXT or any(ord(c) < 32 or ord(c) == 127 for c in value):
            raise self.error(
                key, "the text cannot be used", got=value, expected="one line of 1,000 characters"
            )
        return str(value)

    def word(self, key: str, words: Sequence[_Word], default: _Word) -> _Word:
        """Return one of a few words."""
        value = self._get(key, str)
        if value is None:
            return default
        for word in words:
            if word == value:
                return word
        raise self.error(
            key,
            f"{key} has a value that is not known",
            got=value,
            expected="one of " + ", ".join(words),
            hint=_nearest(value, words),
        )

    def integer(self, key: str, low: int, high: int, default: int) -> int:
        """Return an integer from ``low`` to ``high``."""
        value = self._get(key, int)
        if value is None:
            return default
        if not low <= value <= high:
            raise self.error(
                key, "the number is out of range", got=value, expected=f"{low} to {high}"
            )
        return int(value)

    def strings(self, key: str) -> list[str]:
        """Return an array of strings; a missing key is an empty list."""
        value = self._get(key, list)
        if value is None:
            return []
        for index, item in enumerate(value):
            if type(item) is not str:
                raise self.error(
                    f"{key}[{index}]",
                    "this is not a string",
                    got=f"{_kind(item)}: {item}",
                    expected="a string in quotes",
                )
        return list(value)

    def integers(self, key: str, low: int, high: int) -> list[int]:
        """Return an array of integers from ``low`` to ``high``; a missing key is an empty list."""
        value = self._get(key, list) or []
        for index, item in enumerate(value):
            if type(item) is not int or not low <= item <= high:
                raise self.error(
                    f"{key}[{index}]",
                    "this is not a number in range",
                    got=item,
                    expected=f"{low} to {high}",
                )
        return list(value)

    def boolean(self, key: str) -> bool:
        """Return true or false; a missing key is false."""
        return bool(self._get(key, bool))

    @overload
    def time(self, key: str, *, required: Literal[True], inclusive: bool = False) -> datetime: ...
    @overload
    def time(
        self, key: str, *, required: bool = False, inclusive: bool = False
    ) -> datetime | None: ...
    def time(self, key: str, *, required: bool = False, inclusive: bool = False) -> datetime | None:
        """Return a UTC time.

        A plain date is midnight UTC, or with ``inclusive`` the midnight after it, so that the
        whole day lies before the time.
        """
        value = self._get(key, date, required=required)
        if value is None:
            return None
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise self.error(
                    key,
                    "the time has no zone",
                    got=value.isoformat(),
                    expected="a time with a zone, or a plain date (a whole UTC day)",
                    hint=f"write {value.isoformat()}Z for UTC",
                )
            try:
                moment = value.astimezone(UTC)
            except OverflowError:
                moment = datetime.min.replace(tzinfo=UTC)
        else:
            moment = datetime(value.year, value.month, value.day, tzinfo=UTC)
            if inclusive and moment < _LATEST:
                moment += _DAY
        if not _EARLIEST <= moment <= _LATEST:
            raise self.error(
                key, "the time cannot be right", got=value, expected="the years 1980 to 2199"
            )
        return moment

    def tables(self, key: str) -> list[TableReader]:
        """Return the readers of an array of tables; a missing key is an empty list."""
        value = self._get(key, list)
        if value is None:
            return []
        readers = []
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                raise self.error(
                    f"{key}[{index}]", "this is not a table", got=_kind(item), expected=f"[[{key}]]"
                )
            readers.append(TableReader(item, f"{key}[{index}]", self._source))
        return readers

    def table(self, key: str, *, required: bool = False) -> TableReader | None:
        """Return the reader of one table, or ``None`` if it is missing."""
        value = self._get(key, dict, required=required)
        return None if value is None else TableReader(value, key, self._source)

    def finish(self) -> None:
        """Refuse every key that nobody asked for."""
        for key in self._table:
            if key not in self._asked:
                inside = f"[{self._path.split('[')[0]}]" if self._path else "a case file"
                raise self.error(
                    key,
                    f"{inside} has no such key",
                    got=key,
                    expected="one of " + ", ".join(self._asked),
                    hint=_nearest(key, self._asked),
                )

    def _get(self, key: str, kind: type, *, required: bool = False) -> Any:  # noqa: ANN401 - TOML
        self._asked.append(key)
        if key not in self._table:
            if required:
                raise self.error(key, f"{key} is missing", expected=_TYPES[kind])
            return None
        value = self._table[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            hint = None
            if kind is list and isinstance(value, str):
                hint = f'write {key} = ["..."]'
            elif kind is list and isinstance(value, dict):
                hint = f"write [[{key}]], with two brackets"
            elif kind is dict and isinstance(value, list):
                hint = f"write [{key}], once, with one bracket"
            elif kind is date and isinstance(value, str):
                hint = "leave out the quotes"
            expected = "a date-time with a zone, or a date" if kind is date else _TYPES[kind]
            raise self.error(
                key,
                f"{key} has the wrong type",
                got=f"{_kind(value)}: {value}" if not isinstance(value, dict) else _kind(value),
                expected=expected,
                hint=hint,
            )
        return value


def _kind(value: object) -> str:
    return _TYPES.get(type(value), type(value).__name__)


def _nearest(word: str, words: Sequence[str]) -> str | None:
    near = difflib.get_close_matches(word[:100], words, n=1)
    return f"did you mean {near[0]}?" if near else None
