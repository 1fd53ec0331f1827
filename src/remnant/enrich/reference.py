"""Reference data: whose an address is, and where, as of a date.

Sources are asked in the order of the settings, databases before tables, and each field is taken
from the first source that knows it. The prefix comes from the source that gave the AS, the name of
an AS only from a source that means the same AS.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.collate.pseudonym import counting_unit, unit_address
from remnant.enrich import cache, mmdb, tables
from remnant.enrich.addresses import from_bytes, masked, prefix_texts
from remnant.enrich.content import row_numbers, segments
from remnant.enrich.ranges import Ranges, Segments, blocks, find
from remnant.enrich.roles import roles_of
from remnant.errors import ReferenceDataError
from remnant.schema import CLIENTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from remnant.settings import Settings

__all__ = ["COLUMNS", "Reference", "Source", "missing_hint"]

COLUMNS: Final = ("prefix", "asn", "as_name", "country", "role", "as_of")
"""The columns of a look-up, typed as in ``schema.CLIENTS``."""

_SCHEMA: Final = pa.schema(
    [pa.field(column.name, column.type) for column in CLIENTS.columns if column.name in COLUMNS]
)
_FILE_LIMIT: Final = 4 << 30
_DATE: Final = re.compile(r"(?<!\d)((?:19|20)\d{2})[-_.]?(\d{2})[-_.]?(\d{2})(?!\d{3})")


def missing_hint() -> str:
    """Return one line that says where free reference data is to be had."""
    return (
        "AS and country are unknown without reference data: name files of iptoasn.com, CAIDA "
        "pfx2as, DB-IP Lite, IPinfo Lite or GeoLite2 under [reference] in settings.toml"
    )


@dataclass(frozen=True, slots=True)
class Source:
    """One loaded source.

    Attributes:
        path: the file.
        format: what it was recognised as.
        as_of: the date of its data.
        dated_by: where that date is from: ``build date`` (the database says it), ``file name``, or
            ``modification time``.
        bad: lines or records that could not be used.
        notes: what a person should know about how it was read.
        table: the flattened source, of ``content.SEGMENTS``.
    """

    path: Path
    format: str
    as_of: dt.date
    dated_by: str
    bad: int
    notes: tuple[str, ...]
    table: pa.Table


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference data of a site.

    Attributes:
        sources: in the order in which they are asked.
        as_names: columns asn (sorted) and as_name, for ASes that no source names.
    """

    sources: tuple[Source, ...]
    as_names: pa.Table

    @classmethod
    def none(cls) -> Reference:
        """Return reference data that knows nothing; the built-in roles still apply."""
        return cls((), _no_names())

    @property
    def is_empty(self) -> bool:
        """Whether no source is loaded."""
        return not self.sources

    @classmethod
    def load(cls, settings: Settings, *, extra_tables: Sequence[Path] = ()) -> Reference:
        """Return the reference data that the settings name; without any, that of ``none``.

        A file is read and flattened once, then kept in ``home/reference``.

        Args:
            settings: names the files.
            extra_tables: tables that are asked before those of the settings; a simulated case
                brings one for its made-up networks.

        Raises:
            ReferenceDataError: a named file does not exist, or cannot be used.
        """
        folder = settings.home / "reference"
        named = [*extra_tables, *settings.reference.databases, *settings.reference.tables]
        used: set[str] = set()
        sources = tuple(_source(path, folder, used) for path in named)
        if named:
            cache.prune(folder, used, time.time())
        names = _no_names()
        path = settings.reference.as_names
        if path is not None:
            names, _ = tables.read_names(path, tables.unpack(path, _content(path)))
        return cls(sources, names)

    def lookup(self, addresses: npt.NDArray[np.uint8]) -> pa.Table:
        """Return what is known of each address.

        IPv4-mapped, NAT64, 6to4 and Teredo addresses are looked up as the IPv4 address they carry.

        Args:
            addresses: uint8[n, 16].

        Returns:
            n rows of ``COLUMNS``. ``as_of`` is the oldest date of the sources that gave a fact of
            the row, or of all sources where none knows the address; null without sources.
        """
        high, low = from_bytes(_looked_up(addresses))
        count = len(high)
        asn: Any = pa.nulls(count, pa.int64())
        name: Any = pa.nulls(count, pa.string())
        country: Any = pa.nulls(count, pa.string())
        length = np.full(count, -1, np.int32)
        days = np.array([source.as_of for source in self.sources], "datetime64[D]")
        oldest = np.full(count, days.max() if len(days) else 0, "datetime64[D]")
        known = np.zeros(count, bool)
        for source, day in zip(self.sources, days, strict=True):
            rows = find(_segments(source.table), high, low)
            taken = source.table.take(row_numbers(rows))
            here: Any = taken["asn"].combine_chunks()
            gives = _valid(here) & ~_valid(asn)
            length[gives] = blocks(_ranges(taken, gives), high[gives], low[gives])
            asn = pc.coalesce(asn, here)
            names: Any = _plain(taken["as_name"])
            same: Any = pc.fill_null(pc.equal(here, asn), False)
            named: Any = pc.if_else(same, names, pa.scalar(None, pa.string()))
            gives |= _valid(named) & ~_valid(name)
            name = pc.coalesce(name, named)
            where: Any = _plain(taken["country"])
            gives |= _valid(where) & ~_valid(country)
            country = pc.coalesce(country, where)
            oldest[gives] = np.minimum(oldest[gives], day)
            known |= gives
        if len(days):
            oldest[~known] = days.min()
        name = pc.coalesce(name, self._names_of(asn))
        arrays = {
            "prefix": prefix_texts(*masked(high, low, length), length),
            "asn": asn,
            "as_name": name,
            "country": country.dictionary_encode(),
            "role": roles_of(high, low).dictionary_encode(),
            "as_of": _dates(oldest) if len(days) else pa.nulls(count, pa.string()),
        }
        return pa.table(arrays).select(_SCHEMA.names).cast(_SCHEMA)

    def _names_of(self, asn: Any) -> Any:  # noqa: ANN401 - Arrow
        listed = self.as_names["asn"].to_numpy()
        wanted = pc.fill_null(asn, 0).to_numpy(zero_copy_only=False)
        at = np.searchsorted(listed, wanted)
        hit = np.zeros(len(wanted), bool)
        inside = at < len(listed)
        hit[inside] = listed[at[inside]] == wanted[inside]
        names: Any = self.as_names["as_name"].combine_chunks()
        return names.take(row_numbers(np.where(hit, at, -1)))


def _source(path: Path, folder: Path, used: set[str]) -> Source:
    """Read one source, or take it from the cache; its cached name is added to ``used``."""
    data = _content(path)
    name = cache.name_of(data)
    used.add(name)
    kept = cache.load(folder, name)
    if kept is None:
        if mmdb.MARKER in data[-mmdb.METADATA_LIMIT :]:
            content = mmdb.read(path, data)
        else:
            content = tables.read(path, tables.unpack(path, data))
        table, misplaced = segments(content)
        notes: dict[str, Any] = {
            "format": content.format,
            "bad": content.bad + misplaced,
            "notes": list(content.notes),
            "built": content.built.isoformat() if content.built else None,
        }
        cache.save(folder, name, table, notes)
    else:
        table, notes = kept
    as_of, dated_by = _dated(path, notes["built"])
    return Source(
        path=path,
        format=notes["format"],
        as_of=as_of,
        dated_by=dated_by,
        bad=notes["bad"],
        notes=tuple(notes["notes"]),
        table=table.combine_chunks(),
    )


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > _FILE_LIMIT:
            raise ReferenceDataError("the file is too large", where=str(path), expected="4 GiB")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise ReferenceDataError(
            "the reference data cannot be read",
            where=str(path),
            got=getattr(error, "strerror", None) or error,
            hint="correct [reference] in settings.toml, or put the file there",
        ) from None


def _dated(path: Path, built: str | None) -> tuple[dt.date, str]:
    """Return the date of a source's data, and where that is from."""
    if built is not None:
        return dt.date.fromisoformat(built), "build date"
    for match in _DATE.finditer(path.name):
        try:
            return dt.date(int(match[1]), int(match[2]), int(match[3])), "file name"
        except ValueError:
            continue
    changed = dt.datetime.fromtimestamp(path.stat().st_mtime, tz=dt.UTC)
    return changed.date(), "modification time"


def _looked_up(addresses: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return each address, or the IPv4 address that it carries."""
    codes, units = counting_unit(addresses)
    return np.where((codes == 0)[:, None], unit_address(codes, units), addresses)


def _segments(table: pa.Table) -> Segments:
    high, low = table["high"].to_numpy(), table["low"].to_numpy()
    return Segments(high, low, np.zeros(0, np.int64))


def _ranges(taken: pa.Table, rows: npt.NDArray[np.bool_]) -> Ranges:
    """Return the ranges that own some rows of a source."""
    names = ("first_high", "first_low", "last_high", "last_low")
    chosen = row_numbers(np.flatnonzero(rows))
    return Ranges(*(taken[name].take(chosen).to_numpy() for name in names))


def _plain(column: Any) -> Any:  # noqa: ANN401 - Arrow
    """Return a column of words as text."""
    return column.combine_chunks().dictionary_decode()


def _valid(column: Any) -> npt.NDArray[np.bool_]:  # noqa: ANN401 - Arrow
    found: npt.NDArray[np.bool_] = column.is_valid().to_numpy(zero_copy_only=False)
    return found


def _dates(days: npt.NDArray[np.datetime64]) -> Any:  # noqa: ANN401 - Arrow
    distinct, codes = np.unique(days, return_inverse=True)
    texts: Any = pa.array(np.datetime_as_string(distinct).tolist(), pa.string())
    return texts.take(row_numbers(codes.reshape(-1)))


def _no_names() -> pa.Table:
    return pa.table({"asn": pa.array([], pa.int64()), "as_name": pa.array([], pa.string())})
