"""Hits of BIND's response policy zones, as its log tells them.

References:
    BIND 9 Administrator Reference Manual, logging, the categories rpz and rpz-passthru; BIND 9,
    lib/ns/query.c (the line), lib/dns/rpz.c (the words for triggers and policies);
    draft-vixie-dnsop-dns-rpz.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from remnant.capture.bind import CLIENT, NOTES, has_messages
from remnant.capture.bind_lines import read_lines
from remnant.capture.text_log import OTHER_KIND, ServerLog, first_day, read_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["BindRpzReader", "detail_of"]

_LINE: Final = re.compile(
    CLIENT + rb"(?:disabled )?rpz [A-Z-]{2,16} [A-Za-z0-9-]{2,16} rewrite [^ \n]{1,1060} via [^ \n]"
)
_HIT: Final = re.compile(
    rb"(?:[^ ]* )?(?:[^ ]+ )??(?:\((?P<asked>(?:[^)\\]|\\.)*)\))?.*?: "
    rb"(?P<disabled>disabled )?rpz (?P<trigger>[^ ]+) (?P<action>[^ ]+) rewrite (?P<name>[^ ]+)"
    rb" via (?P<rule>[^ ]+)(?: \(CNAME to: (?P<target>[^ )]+)\))?"
)
_TYPE_AND_CLASS: Final = re.compile(rb"/[A-Z0-9-]+/[A-Z0-9]+$")
_TRIGGERS: Final = {
    "CLIENT-IP": "CLIENT_IP",
    "IP": "RESPONSE_IP",
    "NSDNAME": "NS_NAME",
    "NSIP": "NS_IP",
}
_ACTIONS: Final = {
    "PASSTHRU": "PASS",
    "TCP-ONLY": "TRUNCATE",
    "Local-Data": "LOCAL_DATA",
    "CNAME": "LOCAL_DATA",
}
_LONGEST: Final = 1024


def detail_of(text: bytes) -> str | None:
    """Return the ``detail`` of a line: its part after the client's address and port.

    The words for trigger and action are those of dnstap, so that hits of all sources compare.
    """
    hit = _HIT.match(text)
    if hit is None:
        return None
    action, trigger = _text(hit["action"]), _text(hit["trigger"])
    facts: dict[str, Any] = {
        "action": _ACTIONS.get(action, action),
        "trigger": _TRIGGERS.get(trigger, trigger),
        "rule": _text(hit["rule"]).lower(),
    }
    if hit["disabled"]:
        facts["disabled"] = True
    if hit["target"]:
        facts["target"] = _text(hit["target"])
    name = _TYPE_AND_CLASS.sub(b"", hit["name"])
    if hit["asked"] is not None and name.lower() != hit["asked"].lower():
        facts["name"] = _text(name)
    return json.dumps({"rpz": facts}, separators=(",", ":"))


def _text(word: bytes) -> str:
    return word[:_LONGEST].decode("utf-8", "replace")


_LOG: Final = ServerLog(
    read_lines,
    policy=True,
    paired_by=None,
    notes=NOTES
    | {
        OTHER_KIND: "{} lines of queries and responses were skipped: --input-format bind reads them"
    },
    detail=detail_of,
)


class BindRpzReader:
    """Reads the hits of BIND's response policy zones; see ``capture.Reader``."""

    name = "bind-rpz"
    title = "BIND policy hits"
    vantage = "resolver"
    hits_only = True

    def sniff(self, head: bytes) -> bool:
        """Return whether policy hits are among the first bytes, and no queries."""
        if head.lstrip()[:1] in {b"{", b"["} or b"\n#fields\t" in head:
            return False
        return _LINE.search(head) is not None and not has_messages(head)

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
