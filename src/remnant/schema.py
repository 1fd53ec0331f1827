"""Every column of every table, declared once.

Rooms meet in these tables. A stored file carries its table's name and version in the Parquet
key-value metadata; readers unify columns by name and refuse a newer version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from remnant.errors import SchemaMismatch

__all__ = [
    "ACTIVITY",
    "ANSWERS",
    "ANSWERS_BY_DATA",
    "ANSWER_ROWS",
    "CLIENTS",
    "COVERAGE",
    "COVERAGE_COUNTS",
    "EDGES",
    "EVENTS",
    "LEFT_OUT",
    "NODES",
    "PROOFS",
    "QUARANTINE",
    "QUERIES",
    "SIGHTINGS",
    "STORED",
    "TIME",
    "TRANSPORTS",
    "UNITS",
    "UNLISTED",
    "VANTAGES",
    "Column",
    "Table",
    "check_version",
]

TIME: Final = pa.timestamp("us", tz="UTC")
"""All times: UTC, microseconds."""

VANTAGES: Final = (
    "resolver",
    "sinkhole_http",
    "sinkhole_tcp",
    "sinkhole_dns",
    "authority",
    "flow",
    "report",
)
"""Where a sighting was made, in the order in which a reading verb chooses by default."""

UNITS: Final = ("ipv4", "ipv6_64")
"""What one client is: an IPv4 address, or an IPv6 /64."""

PROOFS: Final = ("none", "dns_udp", "dns_tcp", "tcp", "tls", "http", "checkin")
"""How sure it is that a source address is genuine, the weakest first."""

TRANSPORTS: Final = ("udp", "tcp")
"""How an event reached the sinkhole."""

_WORD: Final = pa.dictionary(pa.int32(), pa.string())
_VERSION_KEY: Final = b"remnant.version"
_TABLE_KEY: Final = b"remnant.table"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its Arrow type, what it means, and what a null in it means.

    ``null`` is ``None`` where the column is never null.
    """

    name: str
    type: pa.DataType
    meaning: str
    unit: str | None = None
    null: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its name, schema version, grain and columns."""

    name: str
    version: int
    grain: str
    columns: tuple[Column, ...]
    partitions: tuple[str, ...] = ()

    @property
    def arrow(self) -> pa.Schema:
        """The Arrow schema, with table name and version in the metadata."""
        return pa.schema(
            [pa.field(c.name, c.type, nullable=c.null is not None) for c in self.columns],
            metadata={_TABLE_KEY: self.name.encode(), _VERSION_KEY: str(self.version).encode()},
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(column.name for column in self.columns)

    def empty(self) -> pa.Table:
        """Return a table of this schema without rows."""
        return self.arrow.empty_table()


def check_version(table: Table, schema: pa.Schema, where: str) -> None:
    """Refuse a file whose schema version is newer than this program's.

    Raises:
        SchemaMismatch: the file says another table, or a newer version.
    """
    metadata = schema.metadata or {}
    name = metadata.get(_TABLE_KEY, b"").decode("utf-8", "replace")
    version = metadata.get(_VERSION_KEY, b"0").decode("utf-8", "replace")
    if name != table.name:
        raise SchemaMismatch(
            "this is not a file of the table", where=where, got=name, expected=table.name
        )
    if not version.isdecimal() or int(version) > table.version:
        raise SchemaMismatch(
            f"the file of table {table.name} was written by a newer Remnant",
            where=where,
            got=f"version {version}",
            expected=f"version {table.version} or older",
            hint="update Remnant, or read this store with the version that wrote it",
        )


# The columns that a query and a sighting have in common.
_TIME = Column("time", TIME, "when the query arrived at the sensor", "UTC microseconds")
_SENSOR = Column("sensor", _WORD, "the sensor: --sensor, else the dnstap identity, else 'default'")
_VANTAGE = Column("vantage", _WORD, "where it was seen: one of schema.VANTAGES")
_CLIENT_PORT = Column(
    "client_port", pa.uint16(), "source port of the query", null="not in the source"
)
_SERVICE_PORT = Column(
    "service_port", pa.uint16(), "destination port of the query", null="not in the source"
)
_TRANSPORT = Column(
    "transport",
    _WORD,
    "udp, tcp, dot, doh, doq, dnscrypt_udp or dnscrypt_tcp",
    null="not in the source",
)
_NAME = Column(
    "name",
    pa.string(),
    "the name asked for: folded to lower case, no trailing dot, \\DDD escapes; where none was "
    "asked for (flows, some victim reports) the destination address as text, or '-' if there is "
    "none either",
)
_CASE_BITS = Column(
    "case_bits",
    pa.int64(),
    "bit i is set when the i-th ASCII letter of the name was upper case (first 63 letters)",
    null="no letter was upper case, or the source does not keep case",
)
_QTYPE = Column("qtype", pa.uint16(), "query type number (RFC 1035, IANA)", null="no DNS query")
_RCODE = Column(
    "rcode", pa.int16(), "response code", null="no response within 10 s in the same source"
)
_PROOF = Column(
    "proof",
    _WORD,
    "how sure it is that the source address is genuine: none (a packet that nothing answered for: "
    "anybody can have sent it), dns_udp, dns_tcp, tcp (a handshake was completed), tls, http or "
    "checkin",
)
_WEIGHT = Column("weight", pa.int64(), "events that this row stands for, at least 1", "events")
_DETAIL = Column(
    "detail", pa.string(), "bounded JSON with HTTP, TLS or policy facts", null="nothing to add"
)
_LIMITED = Column("limited", pa.bool_(), "the answer was held back by a rate limit")

QUERIES: Final = Table(
    "queries",
    1,
    "one row per observed query message and watchlist entry it hit (in memory only)",
    (
        _TIME,
        Column("offset", pa.int64(), "where the query's record starts in the stream", "bytes"),
        Column(
            "response",
            pa.bool_(),
            "the row was made from a response whose query is not in the source",
        ),
        Column(
            "sensor", _WORD, "the identity that the source states", null="the source states none"
        ),
        _VANTAGE,
        Column(
            "address", pa.binary(16), "source address; an IPv4 address as ::ffff:a.b.c.d", "bytes"
        ),
        Column(
            "ecs",
            pa.binary(17),
            "client subnet (RFC 7871): 16 address bytes as in 'address', then the prefix length "
            "in bits of those 16 bytes",
            null="none",
        ),
        _CLIENT_PORT,
        _SERVICE_PORT,
        _TRANSPORT,
        _NAME,
        _CASE_BITS,
        _QTYPE,
        _RCODE,
        Column("entry", pa.int32(), "index into the watchlist's entries"),
        _PROOF,
        _WEIGHT,
        _DETAIL,
        _LIMITED,
    ),
)

EVENTS: Final = Table(
    "events",
    1,
    "one event at the sinkhole: a DNS query in a seized zone, a connection, an HTTP request; what "
    "its segments hold",
    (
        Column("time", TIME, "when it arrived", "UTC microseconds"),
        Column("address", pa.binary(16), "source; an IPv4 address as ::ffff:a.b.c.d", "bytes"),
        Column(
            "destination",
            pa.binary(16),
            "the sinkhole's address that it came to, written as in 'address'",
            "bytes",
            null="not known (DNS)",
        ),
        Column("client_port", pa.uint16(), "source port"),
        Column("service_port", pa.uint16(), "destination port"),
        Column("transport", pa.uint8(), "index into schema.TRANSPORTS"),
        Column("proof", pa.uint8(), "index into schema.PROOFS"),
        Column(
            "name",
            pa.binary(),
            "the name asked for, or of the HTTP host or TLS server name: uncompressed wire form, "
            "case as received; empty where there was none",
            "bytes",
        ),
        Column("qtype", pa.uint16(), "query type number", null="no DNS query"),
        Column("rcode", pa.int16(), "response code that was answered", null="no DNS answer"),
        Column("ttl", pa.int32(), "of the address that was given", "seconds", null="none given"),
        Column("limited", pa.bool_(), "the answer was held back by a rate limit"),
        Column("unlisted", pa.bool_(), "the name is in a seized zone and not on the list"),
        Column(
            "ecs", pa.binary(), "client subnet: 17 bytes as in table queries", "bytes", null="none"
        ),
        Column("detail", pa.string(), "bounded JSON: HTTP and TLS facts", null="nothing to add"),
    ),
)

_SIGHTING = (
    _TIME,
    _SENSOR,
    _VANTAGE,
    Column(
        "client",
        pa.int64(),
        "keyed hash (SipHash-2-4, the site's key) of the counting unit of the source address",
    ),
    Column("unit", _WORD, "what one client is: ipv4, or ipv6_64"),
    Column("ecs", pa.int64(), "keyed hash of the client-subnet prefix", null="none sent"),
    Column("asn", pa.int64(), "origin AS of the source address", null="not in the data"),
    Column("country", _WORD, "ISO 3166-1 alpha-2, upper case", null="not in the data"),
    _CLIENT_PORT,
    _SERVICE_PORT,
    _TRANSPORT,
    _NAME,
    _CASE_BITS,
    _QTYPE,
    _RCODE,
    Column("indicator", _WORD, "the watch rule that matched, as written in the case"),
    _PROOF,
    _WEIGHT,
    _DETAIL,
    _LIMITED,
    Column("source", _WORD, "the source it was read from (ledger id)"),
)

SIGHTINGS: Final = Table(
    "sightings", 1, "one observed query message that matched the case", _SIGHTING, ("case", "day")
)

UNLISTED: Final = Table(
    "unlisted",
    1,
    "one event at the sinkhole for a name in a seized zone that the case does not list (the "
    "indicator is unlisted: and the zone), or one for a generated name outside of its dates "
    "(outside: and the name): kept apart, so that no number of the case counts it",
    _SIGHTING,
    ("case", "day"),
)

CLIENTS: Final = Table(
    "clients",
    1,
    "one client, source, day, sensor and vantage; a source that grew may have several rows for one "
    "of them, whose queries add up",
    (
        Column("client", pa.int64(), "the keyed hash that sightings carry"),
        Column("unit", _WORD, "what one client is: ipv4, or ipv6_64"),
        Column("address", pa.string(), "the counting unit: an IPv4 address, or an IPv6 /64"),
        Column("prefix", pa.string(), "routed prefix that covers it", null="not in the data"),
        Column("asn", pa.int64(), "origin AS", null="not in the data"),
        Column("as_name", pa.string(), "name of the AS", null="not in the data"),
        Column("country", _WORD, "ISO 3166-1 alpha-2", null="not in the data"),
        Column(
            "role",
            _WORD,
            "what the address is known to be: resolver, public_resolver, sinkhole",
            null="nothing known",
        ),
        Column("first_time", TIME, "first sighting of the day", "UTC microseconds"),
        Column("last_time", TIME, "last sighting of the day", "UTC microseconds"),
        Column("queries", pa.int64(), "sightings of the day, weighted", "events"),
        Column("as_of", pa.string(), "date of the reference data", null="no reference data"),
        Column("source", _WORD, "the source it was read from (ledger id)"),
        _SENSOR,
        _VANTAGE,
    ),
    ("case", "day"),
)

_COUNTS = (
    Column(
        "sensor", _WORD, "the sensor; null in a batch where the source states none", null="unnamed"
    ),
    Column("vantage", _WORD, "where it was seen: one of schema.VANTAGES"),
    Column(
        "hour", TIME, "start of the hour", "UTC microseconds", null="messages without usable time"
    ),
    Column("messages", pa.int64(), "messages read: queries and responses", "messages"),
    Column("matched", pa.int64(), "observations that matched the case", "messages"),
    Column("malformed", pa.int64(), "records that could not be read", "records"),
    Column("skipped", pa.int64(), "records that are not observations by definition", "records"),
    Column("lost", pa.int64(), "messages that the sensor itself reports as lost", "messages"),
    Column(
        "first_time", TIME, "first message in the hour", "UTC microseconds", null="no usable time"
    ),
    Column(
        "last_time", TIME, "last message in the hour", "UTC microseconds", null="no usable time"
    ),
    Column(
        "clock_faults",
        pa.int64(),
        "of the messages: timed before 2000, more than a day ahead, or not at all",
        "messages",
    ),
)

COVERAGE_COUNTS: Final = Table(
    "coverage_counts", 1, "one sensor, vantage and hour of a batch (in memory only)", _COUNTS
)

COVERAGE: Final = Table(
    "coverage",
    2,
    "one source, sensor, vantage and hour",
    (
        Column("source", _WORD, "the source (ledger id)"),
        *_COUNTS,
        Column(
            "basis",
            _WORD,
            "what the row says about the hour: traffic (the source holds all messages, so one of "
            "them shows that the sensor delivered), hits (the source holds hits only: it covers no "
            "hour), stated (the same, in a period for which a person says that it is complete: "
            "covered, even without a message; or an hour for which a sinkhole says of itself that "
            "it listened from its start to its end)",
            null="as traffic: written by version 1",
        ),
    ),
    ("case",),
)

QUARANTINE: Final = Table(
    "quarantine",
    1,
    "one record that could not be read (at most 10,000 a source are kept; all are counted)",
    (
        Column("source", _WORD, "the source (ledger id)", null="not stored yet"),
        Column("offset", pa.int64(), "where the record starts in the stream", "bytes"),
        Column("reason", _WORD, "why it could not be read"),
        Column("head", pa.binary(), "the first 64 bytes of the record", "bytes"),
    ),
    ("case",),
)

_ANSWER = (
    Column("rrname", pa.string(), "owner name: folded, no trailing dot, \\DDD escapes"),
    Column("rrtype", pa.uint16(), "record type number (RFC 1035, IANA)"),
    Column(
        "rdata",
        pa.string(),
        "data in presentation form: addresses canonical, names as in rrname; unknown types as "
        "RFC 3597 writes them",
    ),
    Column("time_first", TIME, "first time the record was seen", "UTC microseconds"),
    Column("time_last", TIME, "last time the record was seen", "UTC microseconds"),
    Column("count", pa.int64(), "times the record was seen, at least 1", "responses"),
)
_TTL_NULL: Final = "the source has no TTL, or version 1 wrote the file"
_TTL = (
    Column("ttl_low", pa.int64(), "least TTL with which it was seen", "seconds", null=_TTL_NULL),
    Column("ttl_high", pa.int64(), "greatest TTL of it", "seconds", null=_TTL_NULL),
)

ANSWER_ROWS: Final = Table(
    "answer_rows",
    2,
    "one record of a batch and a case that keeps it (in memory only)",
    (
        *_ANSWER,
        Column("sensor", _WORD, "the sensor that the source states", null="none stated"),
        Column(
            "case",
            pa.int32(),
            "index into the watchlist's cases",
            null="of every case: all records are kept",
        ),
        *_TTL,
    ),
)

ANSWERS: Final = Table(
    "answers",
    2,
    "passive DNS: one record (name, type and data), sensor and source; counts of several rows of "
    "one record add up, their times and their TTLs span",
    (
        *_ANSWER,
        _SENSOR,
        Column("source", _WORD, "the source it was read from (ledger id)"),
        *_TTL,
    ),
    ("case",),
)

ANSWERS_BY_DATA: Final = Table(
    "answers_by_data",
    1,
    "the rows of answers that hold an address or point to a name, once more, in the order of that "
    "address or name (derived: made when answers are put in order)",
    ANSWERS.columns,
    ("case",),
)

ACTIVITY: Final = Table(
    "activity",
    1,
    "exact roll-ups of sightings, one row per grain, vantage, unit and key",
    (
        Column("grain", _WORD, "hour, day, network or name: which key columns are set"),
        Column("start", TIME, "start of the hour or the day", "UTC microseconds"),
        Column("vantage", _WORD, "where it was seen"),
        Column(
            "unit", _WORD, "ipv4, ipv6_64, or 'mixed' when both kinds of client are in the count"
        ),
        Column("sensor", _WORD, "grain hour and day: the sensor", null="all sensors together"),
        Column("asn", pa.int64(), "grain network: origin AS", null="not in the data, or no key"),
        Column("country", _WORD, "grain network: country", null="not in the data, or no key"),
        Column("name", pa.string(), "grain name: the folded name", null="no key of this grain"),
        Column("queries", pa.int64(), "sightings, weighted", "events"),
        Column("clients", pa.int64(), "distinct clients", "clients"),
    ),
    ("case", "day"),
)

NODES: Final = Table(
    "nodes",
    1,
    "one thing of an infrastructure map (in memory and in exports); its number is its row",
    (
        Column(
            "kind",
            _WORD,
            "name, domain, address, prefix, asn, name_server, mail_exchanger, sinkhole or "
            "client_network",
        ),
        Column("value", pa.string(), "folded name, canonical address or prefix, AS64500"),
        Column("label", pa.string(), "what people call it: AS name, operator", null="as its value"),
        Column("seed", pa.bool_(), "an indicator of the case"),
        Column("role", _WORD, "a seed's role in the case file", null="not a seed"),
        Column("state", _WORD, "a seed's state in the case file", null="not a seed"),
        Column(
            "hub",
            pa.string(),
            "why it joins nothing: shared hosting, CDN, parking, sinkhole, public DNS ...",
            null="not a hub",
        ),
        Column("hop", pa.int32(), "steps from the nearest seed", "steps"),
        Column(
            "degree",
            pa.int64(),
            "neighbours that are known, also those that the map leaves out",
            "things",
        ),
        Column("time_first", TIME, "first seen", "UTC microseconds", null="not dated"),
        Column("time_last", TIME, "last seen", "UTC microseconds", null="not dated"),
        Column("asn", pa.int64(), "origin AS of an address or prefix", null="none or not known"),
        Column("country", _WORD, "country of an address or prefix", null="none or not known"),
    ),
)

EDGES: Final = Table(
    "edges",
    1,
    "one relation of an infrastructure map, of one type, while it was observed",
    (
        Column("tail", pa.int32(), "number of the node that it goes from"),
        Column("head", pa.int32(), "number of the node that it goes to"),
        Column(
            "type",
            _WORD,
            "resolves_to, alias_of, below, served_by, mail_by, in_prefix, in_asn, sinkholed_at or "
            "asks",
        ),
        Column("time_first", TIME, "first seen", "UTC microseconds", null="not dated"),
        Column("time_last", TIME, "last seen", "UTC microseconds", null="not dated"),
        Column("count", pa.int64(), "times it was seen", "responses or queries"),
        Column("clients", pa.int64(), "distinct clients of an asks edge", "clients", null="n/a"),
        Column("sensors", pa.list_(pa.string()), "sensors that saw it, sorted"),
        Column("sources", pa.list_(pa.string()), "sources it is from (ledger ids), sorted"),
    ),
)

LEFT_OUT: Final = Table(
    "left_out",
    1,
    "one reason for which an infrastructure map lacks records or things (in memory and in exports)",
    (
        Column(
            "what", _WORD, "records, things (not on the map), or joins (both ends may be on it)"
        ),
        Column("reason", pa.string(), "why"),
        Column("count", pa.int64(), "how many, each once", "records, things or joins"),
        Column("example", pa.string(), "one of them: the first by text"),
    ),
)

STORED: Final = (
    SIGHTINGS,
    UNLISTED,
    CLIENTS,
    COVERAGE,
    QUARANTINE,
    ANSWERS,
    ANSWERS_BY_DATA,
    ACTIVITY,
)
"""The tables that are kept as Parquet files."""
