"""The log of queries and replies of Unbound.

References:
    unbound.conf(5): log-queries, log-replies, log-tag-queryreply, log-destaddr, log-time-ascii,
    log-time-iso, use-syslog.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from remnant.capture.text_log import NO_TIME, NO_YEAR, OTHER_KIND, ServerLog, first_day, read_log
from remnant.capture.unbound_lines import NO_CLIENT, NO_QUESTION, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["ADDRESS", "NOTES", "QUESTION", "THREAD", "UnboundReader", "has_messages"]

THREAD: Final = rb"\[[0-9]{1,10}:[0-9a-f]{1,8}\] "
"""A pattern of what stands before the kind of a line."""

ADDRESS: Final = rb"[0-9a-fA-F.:]{2,45}(?:%[^ @\n]{1,16})?"
QUESTION: Final = rb"[^ \n]{1,256} [A-Z0-9-]{1,16} [A-Z0-9]{2,12}(?=[ \r\n]|$)"

_LINE: Final = re.compile(THREAD + rb"(?:info|query|reply): " + ADDRESS + rb" " + QUESTION)

NOTES: Final = {
    NO_TIME: "{} lines have no time",
    NO_YEAR: "{} lines have a time without a year",
    NO_QUESTION: "{} replies (FORMERR) are to queries that could not be read: they were skipped",
    NO_CLIENT: "{} policy hits name no client: they were skipped",
}
"""What is said of the counters of Unbound's lines."""

_LOG: Final = ServerLog(
    read_lines,
    policy=False,
    paired_by="address",
    notes=NOTES
    | {
        OTHER_KIND: "{} lines of policy hits (rpz, local-zone) were skipped: "
        "--input-format unbound-rpz reads them"
    },
)


def has_messages(head: bytes) -> bool:
    """Return whether a line about a query or a reply is among the first bytes."""
    return head.lstrip()[:1] != b"{" and _LINE.search(head) is not None


class UnboundReader:
    """Reads the queries and replies that Unbound logs; see ``capture.Reader``."""

    name = "unbound"
    title = "Unbound query log"
    vantage = "resolver"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether a query or a reply is among the first bytes."""
        return has_messages(head)

    def first_day(self, head: bytes) -> int | None:
        """Return the day on which a log begins whose lines say no year; see ``text_log``."""
        return first_day(_LOG, head)

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a log.

        Raises:
            FormatError: the lines carry times without a year, and the options do not say it.
        """
        return read_log(_LOG, stream, watchlist, options, self.vantage)
