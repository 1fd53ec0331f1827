"""The query log of BIND 9, and its log of responses.

References:
    BIND 9 Administrator Reference Manual, logging, the categories queries and responses.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from remnant.capture.bind_lines import NO_PEER, OTHER_MONTH, read_lines
from remnant.capture.text_log import NO_TIME, NO_YEAR, OTHER_KIND, ServerLog, first_day, read_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["CLIENT", "NOTES", "BindReader", "has_messages"]

CLIENT: Final = (
    rb"(?:^|[ \n])client (?:@0x[0-9a-fA-F]{1,16} )?"
    rb"[0-9a-fA-F.:]{2,45}(?:%[^ #\n]{1,16})?#[0-9]{1,5}[^\n]{0,1100}?: "
)
"""A pattern of what stands before BIND's words about a client."""

_LINE: Final = re.compile(
    CLIENT + rb"(?:query|response): [^ \n]{1,1020} [A-Z0-9]{2,10} [A-Z0-9*-]{1,16}(?=[ \r\n]|$)"
)

NOTES: Final = {
    NO_TIME: "{} lines have no time (named.conf: print-time yes in the channel)",
    NO_YEAR: "{} lines have a time without a year",
    OTHER_MONTH: (
        "{} lines have a month that is not English (start named with LC_TIME=C,"
        " or named.conf: print-time iso8601 in the channel)"
    ),
    NO_PEER: "{} lines name no client, but (no-peer): they were skipped",
}
"""What is said of the counters of BIND's lines."""

_LOG: Final = ServerLog(
    read_lines,
    policy=False,
    paired_by="port",
    notes=NOTES
    | {
        OTHER_KIND: "{} lines of policy hits (rpz) were skipped: --input-format bind-rpz reads them"
    },
)


def has_messages(head: bytes) -> bool:
    """Return whether a line about a query or a response is among the first bytes."""
    if head.lstrip()[:1] in {b"{", b"["} or b"\n#fields\t" in head:
        return False
    return _LINE.search(head) is not None


class BindReader:
    """Reads the queries and responses that BIND logs, since 9.2; see ``capture.Reader``."""

    name = "bind"
    title = "BIND query log"
    vantage = "resolver"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether a line of BIND's query log is among the first bytes."""
        return has_messages(head)

    def first_day(self, head: bytes) -> int | None:
        """Return the day on which a log begins whose lines say no year; see ``text_log``."""
        return first_day(_LOG, head)

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a log.

        Raises:
            FormatError: the lines carry the times of syslog, which have no year, and the options
                do not say it.
        """
        return read_log(_LOG, stream, watchlist, options, self.vantage)
