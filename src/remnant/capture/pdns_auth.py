"""The queries in the log of the PowerDNS Authoritative Server.

One line is one query; what was answered is not in it, so the response code is null.

References:
    PowerDNS Authoritative Server documentation, settings, log-dns-queries.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.capture.pdns_auth_lines import VALUE_LIMIT, read_lines
from remnant.capture.text_log import NO_TIME, NO_YEAR, ServerLog, first_day, read_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.capture.text_rows import Rows
    from remnant.watchlist import Watchlist
    from remnant.wire import Bytes

__all__ = ["PdnsAuthReader"]

_LINE: Final = re.compile(
    rb"(?:^|[ \n])Remote [0-9a-fA-F.:%]{2,45}(?:\([^ )\n]{2,60}\))?(?:<-[0-9a-fA-F.:/]{3,49})?"
    rb" wants '[^ \n]{1,1020}\|[A-Z0-9-]{1,16}', do = [01], bufsize = [0-9]"
    rb'|(?:^|[ \n])msg="(?:TCP q|Q)uery received" [^\n]{0,200}?ts="[0-9.]{1,20}"'
)


class PdnsAuthReader:
    """Reads what ``log-dns-queries`` writes; see ``capture.Reader``."""

    name = "pdns-auth"
    title = "PowerDNS Authoritative Server log"
    vantage = "authority"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether a query of this log is among the first bytes."""
        return _LINE.search(head) is not None

    def first_day(self, head: bytes) -> int | None:
        """Return the day on which a log begins whose lines say no year.

        Args:
            head: the first bytes of the log.

        Returns:
            0 to 365, as in a leap year; None if the first query says its year, or has no time.
        """
        return first_day(_log(), head)

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        """Yield the batches of a log.

        Raises:
            FormatError: the lines carry the times of syslog, which have no year, and the options
                do not say it.
        """
        return read_log(_log(), stream, watchlist, options, self.vantage)


def _log() -> ServerLog:
    """Return how one log is read, with the memory that its lines need."""
    value = np.empty(VALUE_LIMIT, np.uint8)

    def read(
        view: Bytes,
        ends: npt.NDArray[np.int64],
        year: npt.NDArray[np.int64],
        when: npt.NDArray[np.int64],
        policy: bool,  # noqa: ARG001 - the log has no policy hits
        rows: Rows,
    ) -> None:
        read_lines(view, ends, year, when, value, rows)

    return ServerLog(
        read,
        policy=False,
        paired_by=None,
        notes={
            NO_TIME: "{} queries have no time (pdns.conf: log-timestamp=yes, or use syslog)",
            NO_YEAR: "{} queries have a time without a year",
        },
    )
