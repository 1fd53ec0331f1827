"""Rows for the terminal and for other programs: tables, JSON, CSV.

A table is for reading: numbers are grouped, hostile text is escaped, nothing is interpreted as
markup. JSON is the contract and loses nothing. CSV is for spreadsheets: text that one would take
for a formula gets a leading apostrophe.

References:
    RFC 8259 (JSON), RFC 4180 (CSV); OWASP, CSV Injection.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import shutil
import sys
from datetime import date, datetime
from itertools import chain, islice
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

from remnant.errors import printable
from remnant.report import wording
from remnant.windows import Window, iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.table import Table

__all__ = [
    "MOST_ROWS",
    "estimates_table",
    "neutral",
    "render",
    "stream",
    "to_csv",
    "verdict_text",
]

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - full-width forms count too
MOST_ROWS: Final = 2000
"""Rows that a table shows at most."""

_CROWD: Final = 60
"""At most so many notes below a table."""
_CELL: Final = 64
_WIDEST: Final = 1000
_PATH: Final = 30
_TIMES: Final = ("start", "first", "last", "since", "until", "first_seen", "last_seen")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_WHOLE: Final = ("address", "path", "state", "format", "proof", "country", "unit", "vantage")
_NAMING: Final = ("path", "value")
_ADDRESS: Final = 15  # an IPv4 address in two lines is misread
_SIGNS: Final = {"passed": "ok", "failed": "FAIL", "unavailable": "n/a"}


def render(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], output: str) -> str:
    """Return rows as ``table``, ``json`` or ``csv``, ending in a newline.

    Args:
        rows: the rows of a reading verb.
        columns: which keys a table and CSV show, in order; JSON keeps every key.
        output: one of the three formats.
    """
    if output == "json":
        return json.dumps([_plain(row) for row in rows], indent=2, allow_nan=False) + "\n"
    if output == "csv":
        return to_csv(columns, ([row.get(column) for column in columns] for row in rows))
    return _table(rows, columns)


def stream(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], output: str) -> Iterator[str]:
    """Yield what ``render`` returns, in pieces of a bounded number of rows.

    A table is yielded whole: ask for few rows.
    """
    parts = _portions(iter(rows))
    # Nothing is written before the first rows are there: until then an error can be told alone.
    head = next(parts, [])
    if output == "table":
        yield render([row for part in chain([head], parts) for row in part], columns, output)
        return
    if output == "csv":
        yield render(head, columns, output)
        yield from (render(part, columns, output).partition("\n")[2] for part in parts)
        return
    if not head:
        yield "[]\n"
        return
    yield render(head, columns, output)[:-3]
    yield from (",\n" + render(part, columns, output)[2:-3] for part in parts)
    yield "\n]\n"


def _portions(rows: Iterator[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    while part := list(islice(rows, MOST_ROWS)):
        yield part


def to_csv(columns: Sequence[str], rows: Any) -> str:  # noqa: ANN401 - any iterable of rows
    """Return CSV with a header line; null is an empty cell, text is neutralised."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_csv_cell(value) for value in row] for row in rows)
    return out.getvalue()


def neutral(text: str) -> str:
    """Return text that no spreadsheet takes for a formula, control characters escaped.

    >>> neutral("=cmd|' /C calc'!A0")
    "'=cmd|' /C calc'!A0"
    """
    shown = printable(text, 4000)
    return "'" + shown if text.lstrip(" ").startswith(_FORMULA) else shown


def estimates_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the estimates of ``remnant measure`` for reading, with what they rest on below.

    Each row has its window; below stand, each with the quantities that it is about, who counts, the
    methods and assumptions, and why a quantity has no value. Where rows are of several vantages,
    networks or countries a column says which; where they carry a ``truth`` (and ``inside``), so do
    columns for it.
    """
    from rich.table import Table  # noqa: PLC0415 - only where a table is shown

    several = len({row.get("vantage") for row in rows}) > 1
    places = any(row.get("asn") is not None or row.get("country") is not None for row in rows)
    tested = any("truth" in row for row in rows)
    table = _frame(Table)
    for name in (
        *(("place",) * places),
        "quantity",
        *(("vantage",) * several),
        "value",
        "interval",
        *(("truth", "inside") * tested),
        "unit",
        "window",
        "n",
        "coverage",
    ):
        table.add_column(
            name,
            justify="right" if name in {"value", "truth", "n"} else "left",
            # Its two dates stand one below the other.
            no_wrap=name in {"value", "window"},
        )
    for row in rows:
        cells = [wording.measure_name(row["quantity"])]
        if places:
            cells.insert(0, _place(row))
        if several:
            cells.append(str(row.get("vantage") or ""))
        cells += [_value(row), _limits(row)]
        if tested:
            inside = row.get("inside")
            cells += [
                wording.amount(row.get("truth"), row["unit"]),
                "" if inside is None else "yes" if inside else "NO",
            ]
        cells += [
            wording.counted_in(row["unit"]),
            _span(row),
            wording.number(row["n"]),
            wording.percent(row["coverage"]),
        ]
        table.add_row(*map(_text, cells))
    return "\n".join([_print(table).rstrip("\n"), *_below(rows)]) + "\n"


def _below(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines below estimates: who counts, what cannot be told, what the rest rests on."""
    at: dict[str, set[object]] = {}
    for row in rows:
        at.setdefault(row["quantity"], set()).add(row.get("vantage"))
    parts: dict[str, dict[str, list[str]]] = {
        "Who counts:": {},
        "What cannot be estimated, and why:": {},
        "What it rests on:": {},
    }
    who, untold, notes = parts.values()
    for row in rows:
        name = wording.measure_name(row["quantity"]).lower()
        if len(at[row["quantity"]]) > 1 and row.get("vantage"):
            name += f" at {row['vantage']}"
        who.setdefault(str(row["population"]), []).append(name)
        told = [str(line) for line in row["assumptions"]]
        if row["value"] is None and told:
            # A refusal stands first.
            untold.setdefault(told.pop(0), []).append(name)
        for line in ([] if row["method"] == "none" else [str(row["method"])]) + told:
            notes.setdefault(line, []).append(name)
    lines: list[str] = []
    for title, found in parts.items():
        lines += [title] * bool(found)
        for line, about in list(found.items())[:_CROWD]:
            whose = "all" if len(about) == len(rows) else "; ".join(dict.fromkeys(about))
            lines += _bullet(f"{printable(line, 400)} [{printable(whose, 2000)}]")
        if len(found) > _CROWD:
            lines.append(f"  ... and {len(found) - _CROWD} more; --format json has all.")
    return lines


def _value(row: Mapping[str, Any]) -> str:
    """Return the value of an estimate, marked where it is a lower bound."""
    shown = wording.amount(row["value"], row["unit"])
    return f"≥ {shown}" if wording.is_bound(row) else shown


def _span(row: Mapping[str, Any]) -> str:
    """Return the first and last day of an estimate's window, UTC; hours where days are cut."""
    if row["since"] is None or row["until"] is None:
        return ""
    since, until = (datetime.fromisoformat(str(row[key])) for key in ("since", "until"))
    return wording.window_words(Window(since, until)).replace(" to ", " to\n")


def _limits(row: Mapping[str, Any]) -> str:
    """Return the interval of an estimate in words."""
    low, high = row["low"], row["high"]
    if row["value"] is None and low is None and high is None:
        return "cannot be estimated"
    if low == high and low is not None and row["level"] is None:
        return "counted"
    level = "" if row["level"] is None else f" ({wording.percent(row['level'])})"
    return wording.interval(low, high, row["unit"]) + level


def _place(row: Mapping[str, Any]) -> str:
    country = row.get("country")
    network = "" if row.get("asn") is None else f"AS{row['asn']} "
    return network + (wording.country_name(country) if country else "")


def verdict_text(verdict: Mapping[str, Any]) -> str:
    """Return the verdict of ``remnant judge`` for reading: sentence, checks, evidence."""
    state = str(verdict["state"])
    head = wording.STATES.get(state, (printable(state, 40),))[0]
    lines = [head.upper(), "", *wrap(printable(verdict["sentence"], 2000), _width())]
    if verdict.get("can_tell_by"):
        lines += ["", f"With data as steady as now, this can be told by {verdict['can_tell_by']}."]
    lines += ["", f"Series: {printable(verdict['series'], 400)}"]
    for key, name, unit in (
        ("rate_per_day", "Decline a day", "per day"),
        ("half_life_days", "Half-life, days", "days"),
    ):
        value = verdict[key]["value"]
        shown = wording.amount(value, unit)
        limits = wording.interval(verdict[key]["low"], verdict[key]["high"], unit)
        lines.append(f"{name}: {shown} ({limits})")
    lines += ["", "Evidence:"]
    for item in wording.findings(verdict["evidence"]):
        head = " ".join(part for part in (_SIGNS.get(item.state, ""), item.names) if part)
        lines += _bullet(f"{head}: {item.words}" if head else item.words)
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    if not rows:
        return "no rows\n"
    from rich.table import Table  # noqa: PLC0415 - only where a table is shown

    table = _frame(Table)
    shown = rows[:MOST_ROWS]
    for column in columns:
        numeric = any(isinstance(row.get(column), int | float) for row in shown)
        table.add_column(
            column.replace("_", " "),
            justify="right" if numeric else "left",
            overflow="fold",
            # Only words may be broken: a number or a time in two lines is misread.
            no_wrap=numeric or column in _TIMES or column in _WHOLE,
            min_width=_least(shown, column) if numeric or column in _NAMING else None,
        )
    for row in shown:
        table.add_row(*(_text(_cell(row.get(column), name=column)) for column in columns))
    text = _print(table, _table_width())
    if len(rows) > MOST_ROWS:
        text += f"… and {len(rows) - MOST_ROWS:,} more rows; --format csv shows all\n"
    return text


def _least(rows: Sequence[Mapping[str, Any]], column: str) -> int:
    """Return the width below which a column cannot be read."""
    words = max(map(len, column.split("_")))
    if column not in _NAMING:
        return words
    longest = max(len(_cell(row.get(column), name=column)) for row in rows)
    return max(words, longest if column == "path" else min(longest, _ADDRESS))


def _cell(value: Any, limit: int = _CELL, *, name: str = "") -> str:  # noqa: ANN401 - any JSON value
    """Return one value for reading."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        # A number that names something is no quantity.
        if name in {"asn", "client_port", "service_port", "qtype", "rcode"}:
            return str(value)
        return wording.percent(value) if name == "coverage" else wording.number(value)
    if isinstance(value, list | tuple):
        return "; ".join(_cell(part, limit) for part in value)
    text = iso(value) if isinstance(value, datetime) else str(value)
    if name == "path" and len(text) > _PATH:
        text = "…" + text[-_PATH:]  # its end says which file it is; JSON and CSV have all of it
    if name in _TIMES and _TIME.fullmatch(text):
        text = text[:10] if text.endswith("T00:00:00Z") else f"{text[:10]} {text[11:16]}"
    return wording.legible(text, 253 if name == "name" else max(limit, _CELL))


def _csv_cell(value: Any) -> str | int | float:  # noqa: ANN401 - any JSON value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value if math.isfinite(value) else ""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, list | tuple):
        return neutral("; ".join(str(part) for part in value))
    return neutral(str(value))


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value that JSON can hold: times as ISO 8601, no infinities."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime):
        return iso(value)
    return value.isoformat() if isinstance(value, date) else value


def _bullet(text: str) -> list[str]:
    return wrap(text, _width(), initial_indent="  - ", subsequent_indent="    ")


def _table_width() -> int:
    """Return how wide a table may get: what a terminal shows, as much as it needs elsewhere."""
    return _width() if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDEST


def _width() -> int:
    """Return the width of the terminal, at least 60; 110 where there is none."""
    return max(60, shutil.get_terminal_size((110, 24)).columns)


def _frame(table: type[Table]) -> Table:
    from rich import box  # noqa: PLC0415 - only where a table is shown

    return table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def _text(words: str) -> Any:  # noqa: ANN401 - rich.text.Text, imported late
    from rich.text import Text  # noqa: PLC0415 - only where a table is shown

    return Text(words)  # never markup


def _print(table: Table, width: int | None = None) -> str:
    from rich.console import Console  # noqa: PLC0415 - only where a table is shown

    out = io.StringIO()
    console = Console(
        file=out, width=width or _width(), color_system=None, highlight=False, emoji=False
    )
    # A table that cannot fit is wider than the terminal rather than cut.
    free = console.options.update(width=_WIDEST)
    console.width = max(console.width, console.measure(table, options=free).minimum)
    console.print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
