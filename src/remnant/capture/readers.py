"""All formats that come in, in the order in which they are tried.

A reader's module is loaded when the reader is first used: the names of the formats cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Final

from remnant.capture import DatedReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.capture import Batch, Reader, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["READERS", "recognise"]


@dataclass(slots=True)
class _Deferred:
    """A reader whose module is loaded on first use."""

    name: str
    title: str
    vantage: str
    module: str
    attribute: str
    hits_only: bool = False
    _loaded: Reader | None = field(default=None, init=False, repr=False)

    def _reader(self) -> Reader:
        if self._loaded is None:
            reader: Reader = getattr(import_module(self.module), self.attribute)()
            self._loaded = reader
        return self._loaded

    def sniff(self, head: bytes) -> bool:
        return self._reader().sniff(head)

    def first_day(self, head: bytes) -> int | None:
        reader = self._reader()
        return reader.first_day(head) if isinstance(reader, DatedReader) else None

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        return self._reader().read(stream, watchlist, options)


READERS: Final[dict[str, Reader]] = {
    reader.name: reader
    for reader in (
        _Deferred("dnstap", "dnstap", "resolver", "remnant.capture.dnstap", "DnstapReader"),
        _Deferred("cdns", "C-DNS", "authority", "remnant.capture.cdns", "CdnsReader"),
        _Deferred(
            "powerdns-protobuf",
            "PowerDNS protobuf",
            "resolver",
            "remnant.capture.powerdns",
            "PowerDnsReader",
        ),
        _Deferred("pcap", "pcap, pcapng", "resolver", "remnant.capture.pcap", "PcapReader"),
        _Deferred("zeek", "Zeek dns.log", "resolver", "remnant.capture.zeek", "ZeekReader"),
        _Deferred(
            "suricata", "Suricata EVE log", "resolver", "remnant.capture.suricata", "SuricataReader"
        ),
        _Deferred("dnsdb", "DNSDB answers", "report", "remnant.capture.cof", "DnsdbReader"),
        _Deferred("cof", "passive DNS (COF)", "report", "remnant.capture.cof", "CofReader"),
        _Deferred(
            "passivedns",
            "passivedns log",
            "report",
            "remnant.capture.passivedns",
            "PassiveDnsReader",
        ),
        _Deferred("bind", "BIND query log", "resolver", "remnant.capture.bind", "BindReader"),
        _Deferred(
            "bind-rpz",
            "BIND policy hits",
            "resolver",
            "remnant.capture.bind_rpz",
            "BindRpzReader",
            hits_only=True,
        ),
        _Deferred(
            "unbound", "Unbound query log", "resolver", "remnant.capture.unbound", "UnboundReader"
        ),
        _Deferred(
            "unbound-rpz",
            "Unbound policy hits",
            "resolver",
            "remnant.capture.unbound_rpz",
            "UnboundRpzReader",
            hits_only=True,
        ),
    )
}
"""The readers by the word for ``--input-format``, the surest to recognise first."""


def recognise(head: bytes) -> Reader | None:
    """Return the reader whose format the first bytes (decompressed, up to 64 KiB) are of."""
    return next((reader for reader in READERS.values() if reader.sniff(head)), None)
