"""Text tables of prefixes and ranges, and lists of AS names.

Three shapes are recognised by their first usable line, columns separated by tabs:

- CAIDA's pfx2as: prefix, length, origin. Several origins of one prefix are joined by ``_``, the
  most frequently seen first (since October 2010), and the first is taken; an AS set (``,``) names
  no origin, so the AS stays null. Both are counted.
- iptoasn.com's ip2asn: first address, last address, AS number, country, AS description.
- iptoasn.com's ip2country: first address, last address, country.

References:
    CAIDA, "RouteViews prefix-to-AS mappings", README; iptoasn.com.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.enrich.addresses import Column, parse
from remnant.enrich.content import MAX_ASN, Content, country_code, name_text, row_numbers
from remnant.enrich.ranges import Ranges, from_prefixes
from remnant.errors import ReferenceDataError
from remnant.wire import compiled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = ["read", "read_names", "unpack"]

_UNPACKED_LIMIT: Final = 2 << 30
_SNIFF_LINES: Final = 64
_TAB: Final = 0x09
_NEWLINE: Final = 0x0A
_RETURN: Final = 0x0D
_HASH: Final = 0x23
_NAME_LINE: Final = r"^(?:AS)?(?P<asn>[0-9]{1,10})[ \t|,]+(?P<name>.+)$"

PFX2AS: Final = ("prefix", "length", "origin")
IP2ASN: Final = ("first", "last", "asn", "country", "as_name")
IP2COUNTRY: Final = ("first", "last", "country")


def read(path: Path, data: bytes) -> Content:
    """Return what a table says; ``data`` is its content, unpacked.

    Lines that cannot be used are counted. Where two lines name the same range the first holds.

    Raises:
        ReferenceDataError: no line has one of the three shapes.
    """
    shape = _shape(data)
    if shape is None:
        raise ReferenceDataError(
            "no line of the table can be read",
            where=str(path),
            got=data[:80].decode("utf-8", "replace"),
            expected="pfx2as (prefix, length, AS) or ip2asn (first, last, AS, country, name), "
            "separated by tabs",
        )
    rows, bad = _rows(data, shape)
    content = _prefixes(rows) if shape is PFX2AS else _ranges(rows, shape)
    return Content(content.format, content.ranges, content.facts, content.bad + bad, content.notes)


def read_names(path: Path, data: bytes) -> tuple[pa.Table, int]:
    """Return names of ASes (columns asn, sorted and distinct, and as_name), and bad lines.

    Lines read ``64500 NAME``, ``AS64500<tab>NAME`` or ``64500|NAME``; the first line of a number
    holds, ``#`` starts a comment.

    Raises:
        ReferenceDataError: no line names an AS.
    """
    lines = [line for line in data.splitlines() if line.strip() and not line.startswith(b"#")]
    texts = pa.array([line[:1024].decode("utf-8", "replace").strip() for line in lines])
    found: Any = pc.extract_regex(texts.cast(pa.string()), _NAME_LINE)
    asn = pc.struct_field(found, "asn").cast(pa.int64()).fill_null(0).to_numpy()
    usable = np.flatnonzero((asn > 0) & (asn <= MAX_ASN))
    numbers, first = np.unique(asn[usable], return_index=True)
    if not len(numbers):
        raise ReferenceDataError(
            "no line names an AS",
            where=str(path),
            got=data[:80].decode("utf-8", "replace"),
            expected="lines such as: 64500 EXAMPLE-AS",
        )
    names = pc.struct_field(found, "name").take(row_numbers(usable[first]))
    cleaned = [name_text(name) for name in names.to_pylist()]
    table = pa.table({"asn": pa.array(numbers), "as_name": pa.array(cleaned, pa.string())})
    return table, len(lines) - len(usable)


def unpack(path: Path, data: bytes) -> bytes:
    """Return the content of a file that may be compressed with gzip, of several members too.

    Raises:
        ReferenceDataError: damaged, or more than 2 GiB unpacked.
    """
    parts = []
    size = 0
    while data[:2] == b"\x1f\x8b":
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(data, _UNPACKED_LIMIT - size + 1)
        except zlib.error as error:
            raise _unusable(path, "the compression is damaged", error) from None
        size += len(part)
        if size > _UNPACKED_LIMIT:
            raise _unusable(path, "the table is too large", "more than 2 GiB unpacked")
        if not member.eof:
            raise _unusable(path, "the table is cut off", "an unfinished gzip member")
        parts.append(part)
        data = member.unused_data
    return b"".join(parts) if parts else data


def _unusable(path: Path, what: str, got: object) -> ReferenceDataError:
    return ReferenceDataError(what, where=str(path), got=got, hint="download it again")


def _shape(data: bytes) -> tuple[str, ...] | None:
    for line in data[: 1 << 16].splitlines()[:_SNIFF_LINES]:
        fields = line.decode("utf-8", "replace").split("\t")
        whole = parse(pa.array(fields[:2], pa.string())).length
        if len(fields) < 3 or whole[0] != 128:
            continue
        if len(fields) == 3 and re.fullmatch(r"[0-9]{1,3}", fields[1]):
            return PFX2AS
        if whole[1] == 128 and len(fields) in {3, 5}:
            return IP2COUNTRY if len(fields) == 3 else IP2ASN
    return None


def _rows(data: bytes, shape: tuple[str, ...]) -> tuple[pa.Table, int]:
    """Return the lines that have as many fields as the shape, as bytes, and how many have not."""
    buffer = np.frombuffer(data, np.uint8)
    lines = int(np.count_nonzero(buffer == _NEWLINE)) + 1
    starts = np.empty((len(shape), lines), np.int64)
    ends = np.empty((len(shape), lines), np.int64)
    rows, bad = _split(buffer, starts, ends)
    columns = {
        name: _gathered(buffer, starts[place, :rows], ends[place, :rows])
        for place, name in enumerate(shape)
    }
    return pa.table(columns), bad


def _gathered(
    buffer: Bytes, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> pa.Array[Any]:
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(ends - starts, out=offsets[1:])
    content = np.empty(offsets[-1], np.uint8)
    _copy(buffer, starts, offsets, content)
    buffers = [None, pa.py_buffer(offsets.data), pa.py_buffer(content.data)]
    return pa.Array.from_buffers(pa.large_binary(), len(starts), buffers)


@compiled
def _split(
    buffer: Bytes, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> tuple[Int, Int]:
    """Find the fields of each line; return how many lines are complete, and how many are bad.

    Empty lines and comments are neither.
    """
    columns = starts.shape[0]
    rows, bad, at = 0, 0, 0
    while at < buffer.size:
        first = at
        fields = 0
        begin = at
        while at <= buffer.size:
            byte = np.int64(buffer[at]) if at < buffer.size else np.int64(_NEWLINE)
            if byte in (_TAB, _NEWLINE):
                if fields < columns:
                    starts[fields, rows], ends[fields, rows] = begin, at
                fields += 1
                begin = at + 1
            at += 1
            if byte == _NEWLINE:
                break
        end = at - 1
        if end > first and buffer[end - 1] == _RETURN:
            end -= 1
            if fields <= columns:
                ends[fields - 1, rows] = end
        if end == first or buffer[first] == _HASH:
            continue
        if fields == columns:
            rows += 1
        else:
            bad += 1
    return rows, bad


@compiled
def _copy(
    buffer: Bytes,
    starts: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    content: Bytes,
) -> None:
    for row in range(starts.size):
        for place in range(offsets[row + 1] - offsets[row]):
            content[offsets[row] + place] = buffer[starts[row] + place]


def _prefixes(rows: pa.Table) -> Content:
    parts: tuple[Any, ...] = (rows["prefix"], rows["length"], pa.scalar(b"/", pa.large_binary()))
    joined: Any = pc.binary_join_element_wise(*parts)
    found = parse(joined)
    origin: Any = _text(rows["origin"], lambda text: text)
    first: Any = pc.replace_substring_regex(origin, "_.*", "")
    asn = _numbers(first)
    several: Any = pc.sum(pc.match_substring(origin, "_"))
    sets: Any = pc.sum(pc.match_substring(first, ","))
    # An origin that is neither a number nor a set is a bad line, a set is a line without an AS.
    usable = (found.length >= 0) & (
        asn.is_valid().to_numpy(zero_copy_only=False)
        | pc.match_substring(first, ",").to_numpy(zero_copy_only=False)
    )
    notes = []
    if several.as_py():
        notes.append(f"{several.as_py()} prefixes have several origins: the first is taken")
    if sets.as_py():
        notes.append(f"{sets.as_py()} prefixes have an AS set as origin: no AS is given")
    keep = np.flatnonzero(usable)
    ranges = from_prefixes(found.high[keep], found.low[keep], found.length[keep])
    nothing = pa.nulls(len(keep), pa.dictionary(pa.int32(), pa.string()))
    facts = pa.table(
        {"asn": _positive(asn.take(row_numbers(keep))), "as_name": nothing, "country": nothing}
    )
    return Content("pfx2as", ranges, facts, len(usable) - len(keep), tuple(notes))


def _ranges(rows: pa.Table, shape: tuple[str, ...]) -> Content:
    first, last = parse(rows["first"]), parse(rows["last"])
    usable = (first.length == 128) & (last.length == 128)
    country = _text(rows["country"], country_code)
    nulls = pa.nulls(len(rows), pa.string())
    asn: Any = pa.nulls(len(rows), pa.int64())
    name: Any = nulls
    if shape is IP2ASN:
        asn = _numbers(_text(rows["asn"], lambda text: text))
        usable &= asn.is_valid().to_numpy(zero_copy_only=False)
        asn = _positive(asn)
        name = _text(rows["as_name"], name_text)
        name = pc.if_else(asn.is_valid(), name, pa.scalar(None, pa.string()))
    keep = np.flatnonzero(usable)
    ranges = Ranges(first.high[keep], first.low[keep], last.high[keep], last.low[keep])
    facts = pa.table(
        {
            "asn": asn,
            "as_name": name.dictionary_encode(),
            "country": country.dictionary_encode(),
        }
    ).take(row_numbers(keep))
    title = "ip2asn" if shape is IP2ASN else "ip2country"
    return Content(title, ranges, facts, len(usable) - len(keep))


def _text(column: Column, change: Callable[[str], str | None]) -> Any:  # noqa: ANN401 - Arrow
    """Return bytes as text, each distinct value decoded and changed once."""
    encoded: Any = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = encoded.dictionary_encode()
    texts = [change(value.decode("utf-8", "replace")) for value in encoded.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(encoded.indices)


def _numbers(texts: Any) -> Any:  # noqa: ANN401 - Arrow
    """Return AS numbers, null where the text is not one."""
    plain = pc.match_substring_regex(texts, "^[0-9]{1,10}$")
    numbers: Any = pc.if_else(plain, texts, pa.scalar(None, pa.string())).cast(pa.int64())
    return pc.if_else(
        pc.less_equal(numbers, pa.scalar(MAX_ASN)), numbers, pa.scalar(None, pa.int64())
    )


def _positive(numbers: Any) -> Any:  # noqa: ANN401 - Arrow
    return pc.if_else(pc.greater(numbers, pa.scalar(0)), numbers, pa.scalar(None, pa.int64()))
