"""Hits of Unbound's policies: response policy zones, local zones, response addresses.

References:
    unbound.conf(5): rpz-log, rpz-log-name, local-zone (inform), log-local-actions, response-ip;
    Unbound, services/rpz.c (the words for triggers and actions).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from remnant.capture.text_log import OTHER_KIND, ServerLog, first_day, read_log
from remnant.capture.unbound import ADDRESS, NOTES, QUESTION, THREAD, has_messages
from remnant.capture.unbound_lines import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.capture import Batch, ReadOptions
    from remnant.capture.stream import ByteStream
    from remnant.watchlist import Watchlist

__all__ = ["UnboundRpzReader", "detail_of"]

_LINE: Final = re.compile(
    THREAD
    + rb"info: (?:(?:rpz: |RPZ )applied [^\n]{1,1100} |[^ \n]{1,256} [a-z_]{4,24} )"
    + ADDRESS
    + rb"@[0-9]{1,5} "
    + QUESTION
)
_RPZ: Final = re.compile(
    rb"(?:rpz: |RPZ )applied (?:\[(?P<zone>.*)\] )?(?:(?P<trigger>[a-z]+) )?(?P<rule>[^ ]*)"
    rb" (?:rpz-)?(?P<action>[a-z_-]+)$"
)
_TRIGGERS: Final = {"clientip": "CLIENT_IP", "nsdname": "NS_NAME", "nsip": "NS_IP"}
_ACTIONS: Final = {
    "passthru": "PASS",
    "tcp-only": "TRUNCATE",
    "local-data": "LOCAL_DATA",
    "cname-override": "LOCAL_DATA",
}
_LONGEST: Final = 1024


def detail_of(text: bytes) -> str | None:
    """Return the ``detail`` of a line: its part from the kind of policy to the action.

    The words for trigger and action of response policy zones are those of dnstap, so that hits of
    all sources compare; local zones have the words of ``unbound.conf``.
    """
    hit = _RPZ.match(text)
    if hit is None:
        rule, _, action = _text(text).partition(" ")
        if "/" in rule:
            facts = {"response_ip": {"action": action, "rule": rule}}
        else:
            facts = {"local_zone": {"action": action, "rule": _undotted(rule)}}
        return json.dumps(facts, separators=(",", ":"))
    return json.dumps({"rpz": _rpz(hit)}, separators=(",", ":"))


def _rpz(hit: re.Match[bytes]) -> dict[str, Any]:
    action, rule = _text(hit["action"]), _text(hit["rule"])
    trigger = "RESPONSE_IP" if "/" in rule else "QNAME"
    if hit["trigger"]:
        trigger = _TRIGGERS.get(_text(hit["trigger"]), _text(hit["trigger"]))
    facts: dict[str, Any] = {}
    if action != "disabled":
        facts["action"] = _ACTIONS.get(action, action.upper())
    facts |= {"trigger": trigger, "rule": _undotted(rule)}
    if hit["zone"]:
        facts["zone"] = _text(hit["zone"])
    if action == "disabled":
        facts["disabled"] = True
    return facts


def _undotted(name: str) -> str:
    return name.lower().removesuffix(".") or name


def _text(word: bytes) -> str:
    return word[:_LONGEST].decode("utf-8", "replace")


_LOG: Final = ServerLog(
    read_lines,
    policy=True,
    paired_by=None,
    notes=NOTES
    | {
        OTHER_KIND: "{} lines of queries and replies were skipped: "
        "--input-format unbound reads them"
    },
    detail=detail_of,
)


class UnboundRpzReader:
    """Reads the policy hits that Unbound logs; see ``capture.Reader``."""

    name = "unbound-rpz"
    title = "Unbound policy hits"
    vantage = "resolver"
    hits_only = True

    def sniff(self, head: bytes) -> bool:
        """Return whether policy hits are among the first bytes, and no queries."""
        if head.lstrip()[:1] == b"{":
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
            FormatError: the lines carry times without a year, and the options do not say it.
        """
        return read_log(_LOG, stream, watchlist, options, self.vantage)
