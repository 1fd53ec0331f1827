"""Shadowserver's daily reports about infected hosts that came to sinkholes.

Columns are found by their names, in any order: the reports say that their order may change, and
columns have come and gone since 2011. What a row says about the malware is matched against family
words, its host name against names, its destination against addresses.

References:
    The Shadowserver Foundation, report_schema: reports.json (columns), upcoming-changes.md (order),
    severity.md; the reports' legacy names (botnet_drone, sinkhole_http_drone, microsoft_sinkhole,
    sinkhole_dns) as their users' test data have them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.capture import event_rows, text_rows
from remnant.capture.csv_records import (
    MAX_COLUMNS,
    Layout,
    columns_of,
    header_of,
    layout_of,
    records,
)
from remnant.capture.details import Keys, details
from remnant.capture.event_rows import EventTables
from remnant.capture.lines import nothing
from remnant.capture.shadowserver_rows import (
    DNS,
    REFERRERS,
    ROLES,
    SHORT,
    VICTIMS,
    read_reports,
    spans_of,
)
from remnant.errors import FormatError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.event_rows import Events
    from remnant.capture.lines import Block
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

    Rows64 = npt.NDArray[np.int64]

__all__ = ["ShadowserverReader"]

_ROLES: Final = {
    "timestamp": "time",
    "src_ip": "source",
    "ip": "source",
    "src_port": "source_port",
    "port": "source_port",
    "protocol": "protocol",
    "dst_ip": "target",
    "cc_ip": "target",
    "dst_port": "target_port",
    "cc_port": "target_port",
    "http_host": "host",
    "ssl_servername": "servername",
    "query": "query",
    "cc_dns": "cc_name",
    "query_type": "qtype",
    "count": "count",
    "ssl_cipher": "cipher",
    "http_url": "url",
    "url": "url",
    "http_agent": "agent",
    "agent": "agent",
    "infection": "infection",
    "family": "family",
    "tag": "tag",
}
"""Columns that are read; ``type`` means something else in each of three legacy reports."""

_KEPT: Final = {
    "http_url": "http_url",
    "url": "http_url",
    "http_host": "http_host",
    "http_agent": "http_agent",
    "agent": "http_agent",
    "http_referer": "http_referer",
    "ssl_servername": "ssl_servername",
    "ssl_cipher": "ssl_cipher",
    "cc_dns": "cc_dns",
    "dst_ip": "dst_ip",
    "cc_ip": "dst_ip",
    "protocol": "protocol",
    "infection": "infection",
    "family": "family",
    "tag": "tag",
    "type": "type",
    "machine_name": "machine_name",
    "application": "application",
    "version": "version",
    "forwarded_by": "forwarded_by",
    "public_source": "public_source",
    "severity": "severity",
    "event_id": "event_id",
    "id": "event_id",
    "device_vendor": "device_vendor",
    "device_type": "device_type",
    "device_model": "device_model",
    "response": "response",
    "tor": "tor",
    "proxy": "proxy",
    "p0f_genre": "p0f_genre",
    "p0f_detail": "p0f_detail",
}
"""Columns that ``detail`` keeps of hits, by the key under which it does, in its order."""

_PLACE: Final = re.compile(
    r"(src_|dst_|cc_|http_referer_)?(asn|geo|region|city|hostname|naics|sic|sector)"
    r"|host|http_referer_(ip|port)"
)
"""Columns about networks and places, which Remnant looks up by itself, and about third parties."""

_NEEDED: Final = (
    ("timestamp",),
    ("src_ip", "ip", "http_referer_ip"),
    ("infection", "query", "type"),
)
"""What every report has: one of each."""

_NETWORKS: Final = frozenset({"src_asn", "asn", "http_referer_asn"})
"""By one of these a report is told from other tables of events."""

_ORDER: Final = tuple(dict.fromkeys(_KEPT.values()))
_LONGEST_KEY: Final = 40
_SLICE: Final = 8192
_SHOWN: Final = 10


class ShadowserverReader:
    """Reads Shadowserver's sinkhole reports; see ``capture.Reader``."""

    name = "shadowserver"
    title = "Shadowserver report"
    vantage = "report"
    hits_only = True

    def sniff(self, head: bytes) -> bool:
        """Return whether the first line is the header of a report about infected hosts."""
        columns = header_of(head)
        return _kind(columns) is not None and not _NETWORKS.isdisjoint(columns)

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a report.

        Raises:
            FormatError: the first record is no header, or lacks a column that is needed.
        """
        tables = EventTables(watchlist, options.vantage or self.vantage, options.now)
        header = _Header(stream.name)
        spans = np.empty((len(ROLES), 3), np.int64)
        breaks = np.empty((2, MAX_COLUMNS + 1), np.int64)
        scratch = np.empty(16, np.uint8)
        short = 0
        for part in records(stream):
            block = part.block
            rows = text_rows.room_for(block)
            events = event_rows.room_for(block, words=watchlist.has_families)
            header.begin_block()
            record = 0
            while True:
                record = int(
                    read_reports(
                        block.data,
                        block.ends,
                        part.flaws,
                        record,
                        header.columns.layout,
                        header.columns.kind,
                        block.tail,
                        rows,
                        events,
                        spans,
                        breaks,
                        scratch,
                    )
                )
                if record >= block.ends.size or block.tail:
                    break
                header.take(_record(block, record), record)
                record += 1
            if block.tail:
                if not text_rows.is_complete(rows):
                    tables.note_incomplete(block)
                    continue
                stream.advance(block.data.size)
            short += int(rows.counters[SHORT])
            yield tables.batch(block, rows, events, header.details(block, events))
        tables.notes.extend(header.notes)
        if short:
            tables.notes.append(f"{short} rows have fewer fields than columns: the rest is empty")
        if tables.notes:
            block = nothing(stream)
            header.begin_block()
            events = event_rows.room_for(block)
            rows = text_rows.room_for(block)
            yield tables.batch(block, rows, events, header.details(block, events))


def _record(block: Block, index: int) -> bytes:
    start = int(block.ends[index - 1]) + 1 if index else 0
    return block.data[start : int(block.ends[index])].tobytes()


@dataclass(frozen=True, slots=True)
class _Columns:
    """What one header says.

    Attributes:
        layout: the role of each column.
        kind: which kind of report it is.
        kept: which key of ``detail`` each column fills.
        keys: the keys.
    """

    layout: Layout
    kind: int
    kept: Layout
    keys: Keys


class _Header:
    """The headers of a source as far as they have been read; concatenated reports have several.

    Attributes:
        columns: what the last one says.
        notes: what a person should know of them.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._read = False
        self.columns = _Columns(layout_of([], []), VICTIMS, layout_of([], []), Keys([]))
        self._segments: list[tuple[int, _Columns]] = []
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> list[str]:
        return list(self._notes)

    def begin_block(self) -> None:
        """Forget which records of the last block came after which header."""
        self._segments = [(0, self.columns)]

    def take(self, record: bytes, index: int) -> None:
        """Take a header.

        Args:
            record: its bytes.
            index: which record of the block it is.

        Raises:
            FormatError: it is the first one, and lacks what is needed.
        """
        columns = columns_of(record)
        kind = _kind(columns)
        if kind is None:
            self._refuse(columns)
            # Its rows cannot be read; its first name tells the header after it all the same.
            layout = layout_of(columns, [])
            self.columns = _Columns(layout, VICTIMS, layout, Keys([]))
        else:
            roles = _roles(columns)
            names = [_key(column, role) for column, role in zip(columns, roles, strict=True)]
            keys = list(dict.fromkeys([*_ORDER, *names]))
            present = [key for key in keys if key is not None and key in names]
            index_of = {key: i for i, key in enumerate(present)}
            kept = [-1 if name is None else index_of[name] for name in names]
            self.columns = _Columns(
                layout_of(columns, roles), kind, layout_of(columns, kept), Keys(present)
            )
            self._note(columns, kind)
        self._read = True
        self._segments.append((index, self.columns))

    def _refuse(self, columns: Sequence[str]) -> None:
        missing = [
            " or ".join(names) for names in _NEEDED if not any(name in columns for name in names)
        ]
        error = FormatError(
            f"the report has no column {missing[0]}"
            if missing
            else "this is not the header of a report about infected hosts",
            where=self._where,
            got=", ".join(columns) or "no header",
            expected="a header with " + "; ".join(" or ".join(names) for names in _NEEDED),
            hint="give the report as it was sent, with its first line",
        )
        if not self._read:
            raise error
        self._notes[f"{error.what}: the rows after that header were not read"] = None

    def _note(self, columns: Sequence[str], kind: int) -> None:
        unknown = [column for column in columns if _is_unknown(column)]
        if unknown:
            shown = ", ".join(printable(column, 40) for column in unknown[:_SHOWN])
            more = len(unknown) - _SHOWN
            self._notes[
                f"columns that are not known here are kept in detail: {shown}"
                + (f" and {more} more" if more > 0 else "")
            ] = None
        if kind == REFERRERS:
            self._notes[
                "a report about servers that link to the sinkhole, not about infected hosts: its "
                "rows were skipped"
            ] = None
        if kind == DNS:
            self._notes[
                "a report of a DNS sinkhole: its clients are mostly resolvers, not infected hosts"
            ] = None

    def details(self, block: Block, events: Events) -> Callable[[Rows64], pa.Array[Any]]:
        """Return what gives the column ``detail`` of some rows of a block."""
        segments = tuple(self._segments)
        breaks = np.empty((2, MAX_COLUMNS + 1), np.int64)

        def made(hits: Rows64) -> pa.Array[Any]:
            parts: list[pa.Array[Any]] = [pa.nulls(0, pa.string())]
            which = events.record[hits]
            # Rows come in the order of their records, so each header has a run of them.
            starts = np.searchsorted(which, [first for first, _ in segments])
            for number, (_, columns) in enumerate(segments):
                stop = starts[number + 1] if number + 1 < len(segments) else which.size
                for begin in range(int(starts[number]), int(stop), _SLICE):
                    some = which[begin : min(begin + _SLICE, int(stop))]
                    spans = np.full((some.size, len(columns.keys.names), 3), -1, np.int64)
                    spans_of(block.data, block.ends, some, columns.kept, breaks, spans)
                    parts.append(details(block.data, spans, columns.keys))
            return pa.concat_arrays(parts)

        return made


def _kind(columns: Sequence[str]) -> int | None:
    """Return which kind of report has these columns, or ``None`` if none does."""
    have = set(columns)
    if len(columns) > MAX_COLUMNS or not all(have.intersection(names) for names in _NEEDED):
        return None
    if not have & {"src_ip", "ip"}:
        return REFERRERS
    if "query" in have:
        return DNS
    if "infection" in have or ("type" in have and "dst_ip" in have):
        return VICTIMS
    return None


def _roles(columns: Sequence[str]) -> list[int]:
    have = set(columns)
    type_is = "malware"
    if "query" in have:
        type_is = "qtype"
    elif have & {"infection", "cc_ip"}:
        type_is = "protocol"
    roles = _ROLES | {"type": type_is}
    return [ROLES.index(roles[column]) if column in roles else -1 for column in columns]


def _is_unknown(column: str) -> bool:
    known = column in _ROLES or column in _KEPT or _PLACE.fullmatch(column) is not None
    return not known and column != ""


def _key(column: str, role: int) -> str | None:
    """Return the key under which ``detail`` keeps a column, if it does."""
    if column == "type" and role != ROLES.index("malware"):
        return "protocol" if role == ROLES.index("protocol") else None
    return _KEPT.get(column, column[:_LONGEST_KEY] if _is_unknown(column) else None)
