"""Captured packets: pcap and pcapng files, with the DNS messages that are in them.

References:
    draft-ietf-opsawg-pcap; draft-ietf-opsawg-pcapng; RFC 1035, RFC 7766.
"""

from __future__ import annotations

import dataclasses
import secrets
from typing import TYPE_CHECKING, Any

from remnant.capture import pcap_kernel as kernel
from remnant.capture.packets import LINK_NAMES
from remnant.capture.pcap_framing import is_capture
from remnant.capture.pcap_state import DROPPED, add_drops
from remnant.capture.responders import Askers
from remnant.capture.workers import Assembly, new_worker
from remnant.errors import UnknownFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.pcap_kernel import Layers
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["PcapReader"]


class PcapReader:
    """Reads pcap and pcapng files, several end to end too.

    DNS over UDP and TCP port 53 counts. Everything else in a capture is skipped.
    """

    name = "pcap"
    title = "packet capture (pcap, pcapng)"
    vantage = "resolver"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether the first bytes are those of a pcap or pcapng file."""
        return is_capture(head)

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a capture.

        A last packet that is not complete is counted as one malformed record and left unread
        (``Batch.end`` stands before it), so that a capture that grows can be read on.

        Raises:
            UnknownFormat: the bytes do not begin like a capture.
        """
        head = stream.head()
        if head and not is_capture(head):
            raise UnknownFormat(
                "this is not a capture of packets",
                where=stream.name,
                got=head[:16],
                expected="the header of a pcap or pcapng file",
            )
        worker = new_worker(watchlist, options)
        assembly = Assembly(watchlist, options, [worker], (self.vantage,))
        layers = kernel.new_layers((secrets.randbits(64), secrets.randbits(64)))
        askers = Askers()
        more = True
        while more:
            more = stream.more()
            again = True
            while again:
                assembly.begin()
                used, again = kernel.scan(
                    watchlist.tables, *worker, layers, stream.view, stream.offset, not more
                )
                final = not more and not again
                batch = assembly.batch(
                    [worker],
                    view=stream.view,
                    end=stream.offset + int(used),
                    final=final,
                    notes=_notes(layers) if final else (),
                )
                askers.add(batch.queries)
                if final:
                    batch = _without_responders(batch, askers.responders(layers.responders))
                stream.advance(int(used))
                yield batch


def _without_responders(batch: Batch, found: pa.Array[Any]) -> Batch:
    """Return the last batch with the addresses that asked for watched names and answer as well."""
    if not len(found):
        return batch
    note = (
        f"{len(found):,} addresses that ask for watched names answer DNS themselves in this "
        "capture: they are resolvers, and their queries are not counted"
    )
    return dataclasses.replace(batch, responders=found, notes=(*batch.notes, note))


def _notes(layers: Layers) -> list[str]:
    """Return what a person should be told of a capture that was read to its end."""
    notes = []
    for link, count in kernel.links(layers).items():
        name = "other" if link is None else str(link)
        known = "" if link not in LINK_NAMES else f" ({LINK_NAMES[link]})"
        notes.append(f"skipped {count:,} packets of link type {name}{known}: it is not read")
    begun = kernel.unfinished(layers)
    if begun:
        notes.append(f"at the end of the capture {begun:,} messages were not complete")
    if layers.responders.state[1]:
        notes.append("too many addresses answer DNS to know them all: some may count as clients")
    add_drops(layers.capture)
    dropped = int(layers.capture.state[DROPPED])
    if dropped:
        notes.append(f"the capture says that it lost {dropped:,} packets")
    return notes
