"""Indicator lists become cases: what ``remnant case import`` does.

The format is recognised from the bytes: a case file (TOML), STIX 2.1 or MISP JSON, a table with a
header, or a plain list. Every value that is not watched is listed with its place and a reason.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from remnant.cases import casefile
from remnant.cases.importers import Collector, SetAside, delimited, misp, plain, stix
from remnant.cases.model import MAX_FILE_BYTES, Case
from remnant.errors import CaseError, printable

if TYPE_CHECKING:
    from datetime import datetime

    from remnant.watchlist import Role, State

__all__ = ["FORMATS", "Format", "ImportResult", "import_bytes", "import_file", "recognise"]

Format = Literal["toml", "list", "csv", "stix", "misp"]

FORMATS: Final[tuple[Format, ...]] = get_args(Format)

# A header of a case file, or its first table written as key or dotted key.
_TABLE: Final = re.compile(
    r"^[ \t]*(?:\[{1,2}[ \t]*(?:case|watch|event|sinkhole)[ \t]*\]{1,2}"
    r"|case[ \t]*(?:\.[ \t]*[a-z]+[ \t]*)?=)",
    re.MULTILINE,
)
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: it begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_PACKED: Final = ((b"\x1f\x8b", "gzip"), (b"PK\x03\x04", "zip"), (b"\xfd7zXZ", "xz"))


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import found.

    Attributes:
        case: the case, ready for ``Library.save``.
        format: what the file was recognised as.
        text: the case file as it was written, to be kept with its comments; ``None`` if the case
            was made from another format.
        values: values that were looked at (0 for a case file).
        names: names that are watched.
        addresses: addresses and prefixes that are watched.
        families: words by which victim reports call the botnet.
        duplicates: values that repeated another one.
        set_aside: values that are not watched: place, text, reason; the first 10,000.
        set_aside_count: how many there are in all.
    """

    case: Case
    format: Format
    text: str | None
    values: int
    names: int
    addresses: int
    duplicates: int
    set_aside: tuple[SetAside, ...] = ()
    set_aside_count: int = 0
    families: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return {
            "case": self.case.name,
            "format": self.format,
            "values": self.values,
            "names": self.names,
            "addresses": self.addresses,
            "families": self.families,
            "duplicates": self.duplicates,
            "set_aside": [entry._asdict() for entry in self.set_aside],
            "set_aside_count": self.set_aside_count,
        }


def import_file(path: Path | str, **options: Any) -> ImportResult:  # noqa: ANN401 - passed on
    """Return the case that a file describes; see ``import_bytes`` for the options.

    Raises:
        CaseError: the file cannot be read, or cannot be used.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CaseError(
            "the file cannot be read", where=str(path), got=error.strerror or str(error)
        ) from None
    options.setdefault("source", printable(path.name))
    return import_bytes(data, str(path), **options)


def import_bytes(
    data: bytes,
    where: str,
    *,
    name: str | None = None,
    takedown: datetime | None = None,
    title: str | None = None,
    below: bool = False,
    role: Role = "c2",
    state: State = "unknown",
    source: str | None = None,
    input_format: Format | None = None,
) -> ImportResult:
    """Return the case that bytes describe.

    Args:
        data: the file, at most 64 MiB.
        where: its name, for messages.
        name: name of the case; needed for all but a case file, where it replaces the file's.
        takedown: when the names were taken (UTC); needed as ``name`` is.
        title: what people call it; else the file's own title, else the name.
        below: names stand for everything below them as well (not for a case file).
        role: role of indicators that do not say their own.
        state: state of indicators that do not say their own.
        source: where the indicators are from.
        input_format: what the file is, where the bytes should not decide.

    Raises:
        CaseError: too large, not text, not a known format, nothing to watch in it, or name or
            takedown are missing.
    """
    text = _decode(data, where)
    kind, document = _as_said(text, where, input_format)
    if kind == "toml":
        if below:
            raise CaseError(
                "a case file says itself which names stand for everything below them",
                where=where,
                hint="leave out --below, and write *. before those names",
            )
        return _case_file(text, where, name, takedown, title)
    if name is None or takedown is None:
        raise CaseError(
            f"the file does not say its {'name' if name is None else 'takedown'}",
            where=where,
            got=f"a file of format {kind}",
            expected="a name and the time of the takedown",
            hint="add --name and --takedown",
        )
    casefile.check_name(name)
    collector = Collector(where, below=below, role=role, state=state)
    if kind == "list":
        plain.collect(text, collector)
    elif kind == "csv":
        delimited.collect(text, collector, where)
    elif kind == "stix":
        stix.collect(document, collector)
    else:
        misp.collect(document, collector)
        title = title or misp.title_of(document)
    watches = collector.watches(source)
    if not watches:
        first = f"{collector.set_aside[0].reason}" if collector.set_aside else None
        raise CaseError(
            "the file names nothing that can be watched",
            where=where,
            got=f"{collector.set_aside_count} values that cannot be, the first: {first}"
            if first
            else "no value at all",
            expected="domain names or addresses",
        )
    return ImportResult(
        case=Case(name, title or name, takedown, watches),
        format=kind,
        text=None,
        values=collector.values,
        names=sum(len(watch.names) for watch in watches),
        addresses=sum(len(watch.addresses) for watch in watches),
        duplicates=collector.duplicates,
        set_aside=tuple(collector.set_aside),
        set_aside_count=collector.set_aside_count,
    )


def recognise(text: str, where: str = "input") -> tuple[Format, Any]:
    """Return the format of a text, and the parsed document where it is JSON (else ``None``).

    Raises:
        CaseError: JSON that is neither STIX nor MISP.
    """
    start = text.lstrip()[:1]
    if start != "{" and _TABLE.search(text):
        return "toml", None
    if start in {"{", "["}:
        document = _json(text, where)
        if stix.is_stix(document):
            return "stix", document
        if misp.is_misp(document):
            return "misp", document
        raise CaseError(
            "this JSON is not of a kind that can be imported",
            where=where,
            expected="a STIX 2.1 bundle, or an event as MISP exports it",
        )
    for line in io.StringIO(text, newline=None):
        first = plain.without_comment(line)
        if first:
            is_table = delimited.delimiter_of(first) is not None or delimited.is_header(first)
            return ("csv" if is_table else "list"), None
    return "list", None


def _as_said(text: str, where: str, said: Format | None) -> tuple[Format, Any]:
    if said is None:
        return recognise(text, where)
    return said, _json(text, where) if said in {"stix", "misp"} else None


def _case_file(
    text: str, where: str, name: str | None, takedown: datetime | None, title: str | None
) -> ImportResult:
    case = casefile.loads(text, where)
    kept: str | None = text
    changes: dict[str, Any] = {
        key: value
        for key, value in (("name", name), ("takedown", takedown), ("title", title))
        if value is not None and value != getattr(case, key)
    }
    if changes:
        casefile.check_name(changes.get("name", case.name))
        case, kept = replace(case, **changes), None
    return ImportResult(
        case=case,
        format="toml",
        text=kept,
        values=0,
        names=sum(len(watch.names) for watch in case.watches),
        addresses=sum(len(watch.addresses) for watch in case.watches),
        duplicates=case.duplicates,
        families=sum(len(watch.families) for watch in case.watches),
    )


def _decode(data: bytes, where: str) -> str:
    """Return the text of a file: UTF-8, or UTF-16 and UTF-32 with a byte order mark."""
    if len(data) > MAX_FILE_BYTES:
        raise CaseError("the file is too large", where=where, expected="at most 64 MiB")
    for magic, packing in _PACKED:
        if data.startswith(magic):
            raise CaseError("the file is compressed", where=where, got=packing, hint="unpack it")
    encoding = "utf-8"
    for mark, named in _BOMS:
        if data.startswith(mark):
            encoding, data = named, data[len(mark) :]
            break
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise CaseError(
            "the file is not text that can be read",
            where=f"{where}, byte {error.start}",
            got=data[error.start : error.start + 8].hex(" "),
            expected="UTF-8, or UTF-16 with a byte order mark",
            hint="save the file as UTF-8",
        ) from None
    if "\0" in text:
        raise CaseError(
            "the file holds a NUL byte, so it is not text",
            where=f"{where}, character {text.index(chr(0))}",
            expected="UTF-8, or UTF-16 with a byte order mark",
        )
    return text


def _json(text: str, where: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise CaseError(
            "this is not JSON", where=f"{where}:{error.lineno}", got=error.msg
        ) from None
    except RecursionError:
        raise CaseError("the JSON is nested too deeply", where=where) from None
    except ValueError as error:
        raise CaseError("a value cannot be read", where=where, got=str(error)) from None
