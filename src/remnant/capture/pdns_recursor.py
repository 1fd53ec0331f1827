"""The questions and answers in the log of the PowerDNS Recursor.

References:
    PowerDNS Recursor documentation, logging.quiet and logging.structured_logging.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.capture.pdns_auth_lines import VALUE_LIMIT
from remnant.capture.pdns_recursor_lines import NAMELESS, new_tasks, read_lines
from remnant.capture.text_log import NO_TIME, NO_YEAR, ServerLog, first_day, read_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.capture.text_rows import Rows
    from remnant.watchlist import Watchlist
    from remnant.wire import Bytes

__all__ = ["PdnsRecursorReader"]

_LINE: Final = re.compile(
    rb"(?:^|[ \n])(?:\[[0-9]{1,10}/[0-9]{1,10}\] )?(?:TCP )?question for '[^ \n]{1,1020}"
    rb"\|[A-Z0-9-]{1,16}' from [0-9a-fA-F.:\[\]%]{2,50}"
    rb'|(?:^|[ \n])msg="(?:Question|(?:TCP q|Q)uestion answered from packet cache)" '
    rb'[^\n]{0,300}?qname="'
)


class PdnsRecursorReader:
    """Reads what ``quiet=no`` writes, classic or structured; see ``capture.Reader``."""

    name = "pdns-recursor"
    title = "PowerDNS Recursor log"
    vantage = "resolver"
    hits_only = False

    def sniff(self, head: bytes) -> bool:
        """Return whether a question of this log is among the first bytes."""
        return _LINE.search(head) is not None

    def first_day(self, head: bytes) -> int | None:
        """Return the day on which a log begins whose lines say no year.

        Args:
            head: the first bytes of the log.

        Returns:
            0 to 365, as in a leap year; None if the first question says its year, or has no time.
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
    value, tasks = np.empty(VALUE_LIMIT, np.uint8), new_tasks()

    def read(
        view: Bytes,
        ends: npt.NDArray[np.int64],
        year: npt.NDArray[np.int64],
        when: npt.NDArray[np.int64],
        policy: bool,  # noqa: ARG001 - policy hits are not read
        rows: Rows,
    ) -> None:
        read_lines(view, ends, year, when, value, tasks, rows)

    return ServerLog(
        read,
        policy=False,
        paired_by="port",
        notes={
            NO_TIME: "{} lines have no time (recursor.conf: log-timestamp=yes, or use syslog)",
            NO_YEAR: "{} lines have a time without a year",
            NAMELESS: "{} queries were answered from the packet cache, and the log does not name"
            " them: they are missing here (recursor.conf: structured-logging=yes, or"
            " disable-packetcache=yes)",
        },
    )
