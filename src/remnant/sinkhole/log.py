"""What the sinkhole says of itself: one JSON object a line, on standard error.

Nobody who talks to the sinkhole can fill the log: the lines of one process are limited, and what
was left out is counted. Nor can they write into it: whatever is not plain ASCII is escaped.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any, Final

from remnant.errors import RemnantError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["JsonLines", "json_log", "log_as_json"]

_LONGEST: Final = 2000
"""Characters of one fact."""
_MOST: Final = 100
"""Elements of one list."""
_LINES: Final = 20
_PERIOD_S: Final = 60.0
"""One process logs so many lines in so many seconds."""


def json_log(word: str, **facts: object) -> None:
    """Write one line: what happened, when (UTC), and facts, each of a bounded length.

    A line that cannot be written is lost: nothing stops because nobody reads the log.
    """
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "event": word,
        **{name: _bounded(fact) for name, fact in facts.items()},
    }
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(json.dumps(line, default=str) + "\n")
        sys.stderr.flush()


def _bounded(fact: object) -> object:
    if isinstance(fact, str) and len(fact) > _LONGEST:
        return f"{fact[:_LONGEST]}... ({len(fact)} characters)"
    if isinstance(fact, list) and len(fact) > _MOST:
        return [*fact[:_MOST], f"... ({len(fact)} in all)"]
    return fact


class JsonLines(logging.Handler):
    """Writes what libraries and rooms log as lines of JSON, a limited number of them.

    Args:
        process: named in each line.
        clock: seconds, never backwards.
        lines: written in one period; of the others only the number is told.
    """

    def __init__(
        self, process: str, clock: Callable[[], float] = time.monotonic, lines: int = _LINES
    ) -> None:
        super().__init__(logging.WARNING)
        self._process = process
        self._clock = clock
        self._lines = lines
        self._began = clock()
        self._written = self._left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless there were too many."""
        now = self._clock()
        if now - self._began >= _PERIOD_S:
            self._began, self._written = now, 0
        if self._written >= self._lines:
            self._left_out += 1
            return
        self._written += 1
        facts: dict[str, Any] = {"process": self._process, "message": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            facts["trace"] = "".join(traceback.format_exception(*record.exc_info))
        if self._left_out:
            facts["left_out"], self._left_out = self._left_out, 0
        json_log(record.levelname.lower(), **facts)


def log_as_json(process: str) -> None:
    """Write everything that this process logs as JSON, the error that ends it as well."""

    def crashed(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if isinstance(error, RemnantError):
            json_log("crashed", process=process, error=error.text())
        else:
            lines = traceback.format_exception(kind, error, trace)
            # The end says what happened.
            json_log("crashed", process=process, error="".join(lines)[-_LONGEST:])

    sys.excepthook = crashed
    logging.basicConfig(handlers=[JsonLines(process)], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
