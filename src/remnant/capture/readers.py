"""All formats that come in, in the order in which they are tried.

A reader's module is loaded when the reader is first used: the names of the formats cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Final

from remnant.capture import DatedReader, StatingReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.capture import Batch, Reader, ReadOptions, Stated
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["FORMATS", "READERS", "Format", "recognise"]


@dataclass(slots=True)
class Format:
    """A format; the module of its reader is loaded on first use.

    Attributes:
        name: the word for ``--input-format``.
        title: what a person calls it.
        vantage: where its sensor stands by default.
        module: where its reader is.
        attribute: the reader's class.
        gives: what a person gets of it, in words.
        hits_only: as in ``capture.Reader``.
        page: its page among the formats of the documentation, the name's own where it is empty.
    """

    name: str
    title: str
    vantage: str
    module: str
    attribute: str
    gives: str
    hits_only: bool = False
    page: str = ""
    _loaded: Reader | None = field(default=None, init=False, repr=False)

    @property
    def reader(self) -> Reader:
        """The reader itself."""
        if self._loaded is None:
            reader: Reader = getattr(import_module(self.module), self.attribute)()
            self._loaded = reader
        return self._loaded

    def sniff(self, head: bytes) -> bool:
        """Return what the reader says of the first bytes."""
        return self.reader.sniff(head)

    def first_day(self, head: bytes) -> int | None:
        """Return the day on which a log begins whose lines say no year, if the format has such."""
        reader = self.reader
        return reader.first_day(head) if isinstance(reader, DatedReader) else None

    def states(self, stream: ByteStream) -> Stated | None:
        """Return what a source says of itself, if those of the format do."""
        reader = self.reader
        return reader.states(stream) if isinstance(reader, StatingReader) else None

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a source; see ``capture.Reader``."""
        return self.reader.read(stream, watchlist, options)


_ROOM: Final = "remnant.capture"

FORMATS: Final = (
    # Bytes with a magic number, then bytes with a shape, then lines: the surest first.
    Format(
        "segment",
        "Remnant sinkhole segment",
        "sinkhole_dns",
        f"{_ROOM}.segment",
        "SegmentReader",
        gives="events at the sinkhole",
    ),
    Format(
        "dnstap",
        "dnstap",
        "resolver",
        f"{_ROOM}.dnstap",
        "DnstapReader",
        gives="queries, responses, policy hits, answers",
    ),
    Format(
        "pcap",
        "packet capture (pcap, pcapng)",
        "resolver",
        f"{_ROOM}.pcap",
        "PcapReader",
        gives="queries, responses, answers",
    ),
    Format(
        "cdns",
        "C-DNS (RFC 8618)",
        "authority",
        f"{_ROOM}.cdns",
        "CdnsReader",
        gives="queries, responses, answers",
    ),
    Format(
        "powerdns-protobuf",
        "PowerDNS and dnsdist protobuf",
        "resolver",
        f"{_ROOM}.powerdns",
        "PowerDnsReader",
        gives="queries, responses, policy hits, answers",
    ),
    Format(
        "zeek",
        "Zeek dns.log",
        "resolver",
        f"{_ROOM}.zeek",
        "ZeekReader",
        gives="queries with their responses, answers",
    ),
    Format(
        "zeek-conn",
        "Zeek conn.log",
        "flow",
        f"{_ROOM}.zeek_conn",
        "ZeekConnReader",
        gives="flows",
    ),
    Format(
        "suricata",
        "Suricata EVE log",
        "resolver",
        f"{_ROOM}.suricata",
        "SuricataReader",
        gives="queries, responses, answers, flows",
    ),
    Format(
        "dnsdb",
        "DNSDB answers",
        "report",
        f"{_ROOM}.cof",
        "DnsdbReader",
        gives="answers",
        page="cof",
    ),
    Format(
        "cof",
        "passive DNS (COF)",
        "report",
        f"{_ROOM}.cof",
        "CofReader",
        gives="answers",
    ),
    Format(
        "passivedns",
        "passivedns log",
        "report",
        f"{_ROOM}.passivedns",
        "PassiveDnsReader",
        gives="answers",
    ),
    Format("nfdump", "nfdump CSV", "flow", f"{_ROOM}.nfdump", "NfdumpReader", gives="flows"),
    Format(
        "shadowserver",
        "Shadowserver report",
        "report",
        f"{_ROOM}.shadowserver",
        "ShadowserverReader",
        gives="hits",
        hits_only=True,
    ),
    Format(
        "bind",
        "BIND query log",
        "resolver",
        f"{_ROOM}.bind",
        "BindReader",
        gives="queries, responses",
    ),
    Format(
        "bind-rpz",
        "BIND policy hits",
        "resolver",
        f"{_ROOM}.bind_rpz",
        "BindRpzReader",
        gives="hits",
        hits_only=True,
    ),
    Format(
        "unbound",
        "Unbound query log",
        "resolver",
        f"{_ROOM}.unbound",
        "UnboundReader",
        gives="queries, responses",
    ),
    Format(
        "unbound-rpz",
        "Unbound policy hits",
        "resolver",
        f"{_ROOM}.unbound_rpz",
        "UnboundRpzReader",
        gives="hits",
        hits_only=True,
    ),
    Format(
        "dnsmasq",
        "dnsmasq or Pi-hole log",
        "resolver",
        f"{_ROOM}.dnsmasq",
        "DnsmasqReader",
        gives="queries, responses, answers",
    ),
    Format(
        "pdns-auth",
        "PowerDNS Authoritative Server log",
        "authority",
        f"{_ROOM}.pdns_auth",
        "PdnsAuthReader",
        gives="queries",
        page="powerdns",
    ),
    Format(
        "pdns-recursor",
        "PowerDNS Recursor log",
        "resolver",
        f"{_ROOM}.pdns_recursor",
        "PdnsRecursorReader",
        gives="queries, responses",
        page="powerdns",
    ),
)
"""All formats, the surest to recognise first."""

READERS: Final[dict[str, Reader]] = {known.name: known for known in FORMATS}
"""The readers by the word for ``--input-format``, the surest to recognise first."""


def recognise(head: bytes) -> Reader | None:
    """Return the reader whose format the first bytes (decompressed, up to 64 KiB) are of."""
    return next((reader for reader in READERS.values() if reader.sniff(head)), None)
